"""`--baseline` and `--stop-when-decided` at the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from scripted_server import error

from pytest_finetune.cli import main
from pytest_finetune.evaluation.runs import Run, RunStore
from pytest_finetune.reports.sources import from_record

NON_INFERIOR = '[[gates]]\nmetric = "accuracy"\nagainst = "production"\nmax_drop = 0.1\n'
FLIPS = '[[gates]]\nagainst = "production"\nmax_flips = 0\n'
BAR = "[[gates]]\nmin = {bar}\n"


def missing(*numbers, count=20):
    return ["wrong" if number in numbers else f"word-{number}" for number in range(count)]


def answer_by_model(**wrong):
    """Every model echoes its input, except for those that it gets wrong."""

    def answer(body):
        asked = body["messages"][-1]["content"]
        return "wrong" if asked in wrong.get(body["model"], ()) else asked

    return answer


@pytest.mark.parametrize(("wrong", "status", "code"), [((1, 2), "pass", 0), ((1, 2, 3), "fail", 1)])
def test_a_drop_against_a_recorded_run_is_judged_pair_by_pair(suite, evaluate, server, wrong, status, code):
    suite(20, toml=NON_INFERIOR)
    evaluate(model="old")
    server.answer = answer_by_model(new={f"word-{number}" for number in wrong})
    result = evaluate("--baseline=replay:last", model="new")
    assert result.ret == code
    result.stdout.fnmatch_lines(
        [f"*{status}*accuracy_drop<=0.1,vs=production*", f"*lost {len(wrong)}, won 0*", "*case-1*"]
    )


FAMILY = """[[gates]]
max_drop = {margin}
against = "baseline"
confidence = 0.95
family = "{family}"
{where}
"""


@pytest.mark.parametrize("family", ["holm", "hierarchy"])
def test_a_session_and_the_command_decide_a_family_alike(suite, evaluate, server, family):
    margins = (("", 0.2), ('where = { tag = "en" }', 0.15), ('where = { tag = "short" }', 0.12))
    gates = "".join(FAMILY.format(family=family, where=where, margin=margin) for where, margin in margins)
    suite(60, toml=gates, tags=["en", "short"])
    evaluate(model="old")
    server.answer = answer_by_model(new={f"word-{number}" for number in (1, 2, 3)})
    evaluate("--baseline=replay:last", model="new")
    *_, old = RunStore(Path(".finetune/runs")).newest_first()
    again = CliRunner().invoke(main, ["run", "--model=replay:last", f"--baseline=replay:{old.name}"])
    assert again.exit_code == 1
    now, session = (
        Run.load(path).manifest.verdicts for path in list(RunStore(Path(".finetune/runs")).newest_first())[:2]
    )
    assert [verdict.status for verdict in session] == ["pass", "inconclusive", "inconclusive"]
    decided = [[(one.gate, one.status, one.low, one.high, one.rule.family) for one in each] for each in (session, now)]
    assert decided[0] == decided[1]
    assert decided[0][0][-1] == family


def test_a_baseline_can_be_evaluated_in_the_same_session(suite, evaluate, server):
    suite(20, toml=FLIPS)
    server.answer = answer_by_model(old={"word-3"}, new={"word-4"})
    result = evaluate("--baseline=old", model="new", subprocess=True)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert len(server.requests) == 40
    result.stdout.fnmatch_lines(
        ["* old * new*", "*flips<=0,vs=production*fail*", "*lost 1, won 1*", "*case-4*", "*case-3*"]
    )
    assert "[old]::" not in result.stdout.str()
    result.assert_outcomes(failed=1, passed=38)


def test_without_gates_the_misses_of_the_baseline_fail_nothing(suite, evaluate, server):
    suite(5)
    server.answer = answer_by_model(old={"word-3"})
    assert evaluate("--baseline=old", model="new").ret == 0


def test_without_a_baseline_a_gate_that_compares_is_incomplete(suite, evaluate):
    suite(20, toml=NON_INFERIOR)
    result = evaluate()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*incomplete*", "*needs --baseline*"])


def test_a_baseline_over_other_cases_is_refused_by_the_gate(suite, evaluate):
    suite(20, toml=NON_INFERIOR)
    evaluate(model="old")
    suite(21, toml=NON_INFERIOR)
    result = evaluate("--baseline=replay:last", model="new")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*incomplete*", "*ran on different cases*"])


def test_a_missing_baseline_is_a_usage_error(suite, evaluate):
    suite(2)
    result = evaluate("--baseline=replay:nothing")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no run 'nothing'*"])


def test_a_decided_session_sends_no_more_requests_and_reaches_the_same_verdict(pytester, suite, evaluate, server):
    suite(400, inputs=["wrong"] * 400, toml=BAR.format(bar=0.9))
    result = evaluate("--stop-when-decided", "--concurrency=4")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    asked = len(server.requests)
    assert 41 <= asked <= 45
    result.stdout.fnmatch_lines(
        ["*fail*accuracy>=0.9*", f"decided after {asked} of 400 samples: {400 - asked} calls saved", "run *: closed"]
    )
    manifest = RunStore(pytester.path / ".finetune" / "runs").find("last").manifest
    assert (manifest.totals.unneeded, manifest.totals.unrun) == (400 - asked, 0)


def test_an_open_record_says_which_set_had_samples_that_were_not_needed(pytester, suite, evaluate, server):
    suite(40, toml=BAR.format(bar=0.05))
    suite(["other"] * 3, toml=BAR.format(bar=0.05), name="unlucky")
    server.answer = lambda body: error(401, "no") if "other" in str(body) else body["messages"][-1]["content"]
    evaluate("--stop-when-decided", "--concurrency=1")
    run = RunStore(pytester.path / ".finetune" / "runs").find("last")
    unneeded = 40 - len(server.requests) + 1
    assert not run.manifest.closed
    assert run.manifest.unneeded_by_set == {"eval_sets/tickets.jsonl": unneeded}
    sets = {part.name: (part.unneeded, part.unrun) for part in from_record(run, root=pytester.path).sets}
    assert sets == {"eval_sets/tickets.jsonl": (unneeded, 0), "eval_sets/unlucky.jsonl": (0, 2)}


def test_a_pass_is_decided_only_when_enough_have_passed(suite, evaluate, server):
    suite(100, toml=BAR.format(bar=0.5))
    result = evaluate("--stop-when-decided", "--concurrency=1")
    assert result.ret == 0
    assert 50 <= len(server.requests) <= 51


def test_deselected_cases_are_never_reported_as_unneeded(suite, evaluate, server):
    suite(100, toml=BAR.format(bar=0.1))
    result = evaluate("--stop-when-decided", "-k", "case-1")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*incomplete*", "*were not run*"])


def test_a_set_whose_gates_cannot_be_decided_early_is_evaluated_completely(suite, evaluate, server):
    suite(30, toml='[[gates]]\nmetric = "error_rate"\nmax = 0.5\n')
    evaluate("--stop-when-decided")
    assert len(server.requests) == 30


def test_stop_when_decided_is_refused_with_xdist(suite, evaluate):
    suite(3)
    result = evaluate("--stop-when-decided", "-n2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--stop-when-decided does not work with xdist*"])


def test_a_recorded_baseline_is_scored_with_the_current_settings(suite, evaluate, server):
    """Recorded under `exact`, when every case missed; under today's regex all would have passed."""
    suite(["[a-z0-9-]+"] * 20, inputs=[f"word-{number}" for number in range(20)], toml='scorer = "exact"\n' + FLIPS)
    evaluate(model="old")
    suite(["[a-z0-9-]+"] * 20, inputs=[f"word-{number}" for number in range(20)], toml='scorer = "regex"\n' + FLIPS)
    server.answer = lambda body: "!" if "word-3" in str(body) else "fine"
    result = evaluate("--baseline=replay:last", model="new")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*accuracy 1.000 -> 0.9*", "*lost *, won 0*"])


@pytest.mark.parametrize("baseline", ["replay:last", "new"])
def test_a_model_compared_with_itself_passes_no_gate(suite, evaluate, baseline):
    suite(20, toml=NON_INFERIOR)
    evaluate(model="new")
    result = evaluate(f"--baseline={baseline}", model="new")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*incomplete*accuracy_drop*"])


def test_the_verdict_names_what_it_was_compared_with(suite, evaluate, server):
    suite(20, toml=NON_INFERIOR)
    server.answer = answer_by_model(new={f"word-{number}" for number in range(9)})
    evaluate("--baseline=old", model="new").stdout.fnmatch_lines(["*against old (for production)*"])


def test_an_incomplete_baseline_is_not_shown_side_by_side(suite, evaluate, server):
    suite(20, toml=NON_INFERIOR)
    evaluate("-k", "case-1", model="old")
    result = evaluate("--baseline=replay:last", model="new")
    result.stdout.fnmatch_lines(["*not compared with replay:last: 9 answers of the", "  baseline are missing"])


def test_a_gate_without_its_baseline_is_warned_about_before_the_first_request(suite, evaluate):
    suite(2, toml=NON_INFERIOR)
    evaluate().stdout.fnmatch_lines(
        ["warning: eval_sets/tickets.jsonl is compared with production, but has no --baseline*"]
    )
