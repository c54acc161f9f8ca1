"""Sequential gates in sessions: asked at random, stopped at a look, resumed, distributed, narrowed."""

import json

import pytest

from pytest_finetune.evaluation.runs import RunStore

GATE = '[[gates]]\nmin = 0.8\nconfidence = 0.95\nsequential = "{}"\n'


def last(pytester):
    return RunStore(pytester.path / ".finetune" / "runs").find("last")


@pytest.mark.parametrize(("method", "asked"), [("obrien-fleming", 40), ("pocock", 40), ("e-process", 24)])
def test_a_perfect_model_is_asked_until_the_look_that_decides(suite, evaluate, pytester, server, method, asked):
    suite(100, toml=GATE.format(method))
    result = evaluate("--concurrency=7", "--finetune-markdown=comment.md")
    assert result.ret == 0
    assert len(server.requests) == asked
    result.stdout.fnmatch_lines([f"*decided after {asked} of 100 samples*"])
    run = last(pytester)
    (verdict,) = run.manifest.verdicts
    assert (run.manifest.closed, run.manifest.totals.unneeded) == (True, 100 - asked)
    assert (verdict.status, verdict.stopping.n, verdict.stopping.planned) == ("pass", asked, 100)
    assert f"with {asked} of 100 cases" in verdict.message
    assert "corrected for stopping" in verdict.message


def test_cases_are_asked_in_the_same_random_order_by_every_run(suite, evaluate, server):
    path = suite(40, toml=GATE.format("pocock"))
    evaluate("--concurrency=1")
    first = [each.json["messages"][-1]["content"] for each in server.requests]
    server.requests.clear()
    evaluate("--concurrency=1")
    assert [each.json["messages"][-1]["content"] for each in server.requests] == first
    assert first != sorted(first, key=lambda text: int(text.split("-")[1]))
    server.requests.clear()
    path.with_suffix(".toml").write_text("[[gates]]\nmin = 0.8\nconfidence = 0.95\n")
    evaluate("--concurrency=1")
    assert [each.json["messages"][-1]["content"] for each in server.requests] == [f"word-{n}" for n in range(40)]


def test_a_fixed_gate_over_a_slice_is_waited_for(suite, evaluate, pytester, server):
    path = suite(100, toml=GATE.format("pocock"))
    plain = [json.loads(line) for line in path.read_text().splitlines()]
    for tagged in (f"case-{number}" for number in range(100)):
        rows = [row | ({"tags": ["late"]} if row["id"] == tagged else {}) for row in plain]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        if (place := _order(pytester).index(tagged)) > 60:
            break
    path.with_suffix(".toml").write_text(GATE.format("pocock") + '[[gates]]\nmin = 0.5\nwhere = { tag = "late" }\n')
    evaluate("--concurrency=1")
    run = last(pytester)
    assert len(server.requests) == place + 1
    assert [one.status for one in run.manifest.verdicts] == ["pass", "pass"]


def _order(pytester):
    from pytest_finetune.verdicts.loading import load_eval_sets

    (eval_set,) = load_eval_sets([pytester.path / "eval_sets" / "tickets.jsonl"], root=pytester.path)
    return [case.id for case in eval_set.in_asking_order]


def test_a_narrowed_run_is_no_stopped_one(suite, evaluate, pytester):
    suite(100, toml=GATE.format("pocock"))
    names = [f"eval_sets/tickets.jsonl::{case_id}" for case_id in _order(pytester)[:40]]
    result = evaluate(*names)
    assert result.ret != 0
    run = last(pytester)
    assert not run.manifest.closed
    assert run.manifest.totals.unrun == 60
    assert run.manifest.verdicts[0].status == "incomplete"


def test_an_interrupted_run_is_resumed_to_the_look_that_decides(suite, evaluate, pytester, server):
    suite(100, toml=GATE.format("pocock"))
    evaluate(*[f"eval_sets/tickets.jsonl::{case_id}" for case_id in _order(pytester)[:15]])
    assert len(server.requests) == 15
    result = evaluate("--resume")
    assert result.ret == 0
    assert len(server.requests) == 40
    assert last(pytester).manifest.closed


def test_a_bad_model_is_stopped_too(suite, evaluate, pytester, server):
    suite(100, toml=GATE.format("obrien-fleming"), inputs=["wrong"] * 100)
    result = evaluate()
    assert result.ret == 1
    assert len(server.requests) == 20
    assert last(pytester).manifest.verdicts[0].status == "fail"


@pytest.mark.parametrize("workers", ["-n2", "-n3"])
def test_workers_stop_when_all_their_answers_decide(suite, evaluate, pytester, server, workers):
    # Slow enough that a worker learns what the others were answered before it has asked all of its own cases.
    server.latency = 0.1
    suite(100, toml=GATE.format("pocock"))
    result = evaluate(workers, "--concurrency=2", subprocess=True)
    assert result.ret == 0
    run = last(pytester)
    assert run.manifest.closed
    assert 40 <= len(server.requests) < 100
    assert len(server.requests) + run.manifest.totals.unneeded == 100
    (verdict,) = run.manifest.verdicts
    assert (verdict.status, verdict.stopping.look, verdict.stopping.n) == ("pass", 2, 40)


def test_an_error_that_is_not_tolerated_leaves_the_run_open(suite, evaluate, pytester, server):
    from scripted_server import error

    suite(100, toml=GATE.format("pocock"))
    broken = _order(pytester)[3]
    server.answer = lambda body: (
        error(400, "bad")
        if body["messages"][-1]["content"] == broken.replace("case", "word")
        else body["messages"][-1]["content"]
    )
    result = evaluate()
    assert result.ret != 0
    run = last(pytester)
    assert run.manifest.verdicts[0].status == "incomplete"
    assert not run.manifest.closed


@pytest.mark.parametrize(
    ("gate", "problem"),
    [
        ('metric = "macro_f1"\nmin = 0.5\nconfidence = 0.95\nsequential = "pocock"', "macro_f1"),
        ('min = 0.5\nsequential = "pocock"', "names no risk"),
        ('min = 0.5\nconfidence = 0.95\nsequential = "wald"', "unknown value 'wald'"),
        ('must_pass = ["t"]\nsequential = "pocock"', "does not go with must_pass"),
    ],
)
def test_gates_that_cannot_be_sequential_are_refused_with_the_reason(suite, evaluate, server, gate, problem):
    suite(["bug"] * 30, toml=f'scorer = "label"\nlabels = ["bug", "other"]\n[[gates]]\n{gate}\n')
    result = evaluate()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"*sequential*{problem}*" if "macro" in problem or "risk" in problem else f"*{problem}*"]
    )
    assert not server.requests


def test_cases_in_groups_are_refused(suite, evaluate):
    suite(30, toml=GATE.format("pocock"), group="template")
    result = evaluate()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*sequential counts independent cases, and some cases here are in groups*"])


def test_repeats_count_cases(suite, evaluate, pytester, server):
    suite(100, toml=GATE.format("pocock") + "[stability]\nrepeats = 3\n")
    assert evaluate().ret == 0
    assert len(server.requests) == 120
    assert last(pytester).manifest.verdicts[0].stopping.n == 40


def test_every_report_says_at_which_look_it_stopped(suite, evaluate, pytester):
    from click.testing import CliRunner

    from pytest_finetune.cli import main

    suite(100, toml=GATE.format("pocock"))
    result = evaluate("--finetune-markdown=comment.md", "--finetune-html=page.html")
    said = "decided at look 2 of 5, with 40 of 100 cases (Pocock)"
    terminal = " ".join(result.stdout.str().split())
    assert said in terminal
    assert "both corrected for stopping" in terminal
    assert "no evidence for a promotion" not in terminal
    assert said in (pytester.path / "comment.md").read_text("utf-8")
    page = (pytester.path / "page.html").read_text("utf-8")
    assert said.replace("'", "&#39;") in page
    assert "The path of accuracy&gt;=0.8 to look 2 of 5" in page
    assert '<svg class="looks pass"' in page
    # The chart is hidden from screen readers, which read its figures in the table below it.
    assert '<td class="num">20</td><td class="num">1.000</td><td class="num">–</td><td class="num">0.500</td>' in page
    assert "its gates were decided with 40 of 100 samples asked" in page
    shown = json.loads(CliRunner().invoke(main, ["runs", "show", "last", "--json"]).output)
    assert said in json.dumps(shown)
    assert json.loads((last(pytester).path / "manifest.json").read_text())["verdicts"][0]["stopping"]["look"] == 2


def test_shuffled_tests_are_asked_in_the_order_of_the_looks(suite, evaluate, pytester, server):
    suite(100, toml=GATE.format("pocock"))
    pytester.makeconftest("def pytest_collection_modifyitems(items): items.reverse()")
    assert evaluate("--concurrency=4").ret == 0
    assert len(server.requests) == 40
