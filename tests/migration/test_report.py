"""`migrate report`: a successor is not worse only if the evidence says so on every eval set."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from scripted_server import Reply, ScriptedServer

from pytest_finetune import evaluate
from pytest_finetune.cli import main

OLD = "ft:gpt-4.1-mini-2025-04-14:acme::abc"
CASES = 200
WRONG = {"equal": 0, OLD: 0, "close": 1, "worse": 40, "better": 0}
"""Wrong answers among all cases; the model that ends is wrong on the last one too."""


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """A folder with a run of each model on the same eval set, and the ids of the runs."""
    folder = tmp_path_factory.mktemp("evaluated")
    prices = "\n".join(f"    {model} = 1, 2" for model in ("equal", "close", "worse"))
    (folder / "pytest.ini").write_text(f"[pytest]\nfinetune_prices =\n{prices}\n", "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("OPENAI_BASE_URL", raising=False)
        write("tickets")
        return folder, {model: run(model) for model in (OLD, "equal", "close", "worse")}


@pytest.fixture(autouse=True)
def runs(evaluated, tmp_path, monkeypatch):
    """The ids of the runs by model, of which the working directory is a copy."""
    folder, ids = evaluated
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    return ids


def write(name, cases=CASES, toml=""):
    path = Path("eval_sets", f"{name}.jsonl")
    path.parent.mkdir(exist_ok=True)
    rows = [{"id": f"c{n}", "input": str(n), "expected": "yes"} for n in range(cases)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    path.with_suffix(".toml").write_text(toml, "utf-8")


def answer(body):
    number = int(body["messages"][-1]["content"])
    last = body["model"] != "better" and number == CASES - 1
    return "no" if last or number < WRONG[body["model"]] else "yes"


def run(model, sets=(), **how):
    with ScriptedServer(answer) as server:
        return evaluate(sets, model=model, base_url=server.url, **how).run.id


def report(*words, code):
    result = CliRunner().invoke(main, ["migrate", "report", *words], prog_name="pytest-finetune")
    assert result.exit_code == code, result.output
    return result.output


def as_json(*words, code):
    return json.loads(report(*words, "--json", code=code))


def verdicts(found):
    return {one["model"]: one["verdict"] for one in found["eval_sets"]["eval_sets/tickets.jsonl"]}


def test_only_a_successor_within_the_margin_is_not_worse(runs):
    old, equal, worse = runs[OLD], runs["equal"], runs["worse"]
    found = as_json(old, equal, worse, "--margin=0.05", code=0)
    assert verdicts(found) == {OLD: None, "equal": "not worse", "worse": "worse"}
    assert (found["ready"], found["shutdown_date"]) == (["equal"], "2027-01-14")


def test_too_little_evidence_is_undecided_and_no_successor_is_ready(runs):
    old, close = runs[OLD], runs["close"]
    found = as_json(old, close, "--margin=0.005", code=1)
    assert (verdicts(found)["close"], found["ready"]) == ("undecided", [])
    assert "No successor is shown to be not worse by more than 0.005" in report(old, close, "--margin=0.005", code=1)


def test_figures_stand_side_by_side(runs):
    old, equal = runs[OLD], runs["equal"]
    text = report(old, equal, "--margin=0.05", "--monthly-calls=100000", code=0)
    head, first, second = text.splitlines()[4:7]
    assert head.split() == ["model", "accuracy", "valid", "same", "form", "p50/p95", "per", "1,000", "a", "month"]
    # The slower the machine, the wider the latencies and the shorter the name.
    assert first.startswith("ft:gp")
    assert first.split()[1] == "0.995"
    assert "equal" in second
    assert "$" in second
    assert max(map(len, text.splitlines())) <= 80


def test_the_page_is_written_as_markdown(runs):
    old, equal = runs[OLD], runs["equal"]
    assert report(old, equal, "--margin=0.05", "-o", "page.md", code=0) == "wrote page.md\n"
    page = Path("page.md").read_text("utf-8")
    assert page.startswith(f"# From {OLD} (shutdown on 2027-01-14, ")
    assert "| model | accuracy | valid | same form | p50/p95 | per 1,000 |" in page
    assert "- equal: not worse: accuracy +0.000 [" in page
    report(old, equal, "-o", "page.md", code=2)


def test_a_set_that_a_successor_lacks_is_not_compared():
    write("more")
    old, one_set = run(OLD), run("equal", "eval_sets/tickets.jsonl")
    found = as_json(old, one_set, "--margin=0.05", code=1)
    (missing,) = [one for one in found["eval_sets"]["eval_sets/more.jsonl"] if one["model"] == "equal"]
    assert (missing["verdict"], missing["problem"]) == ("not compared", "its run does not have this eval set")
    assert found["ready"] == []


@pytest.mark.parametrize("change", ["cases", "settings", "repeats"])
def test_runs_that_asked_otherwise_are_not_compared(change, runs):
    old = runs[OLD]
    if change == "cases":
        write("tickets", CASES - 1)
    if change == "settings":
        write("tickets", toml="normalize = []\n")
    new = run("equal", repeats=2 if change == "repeats" else None)
    assert verdicts(as_json(old, new, "--margin=0.5", code=1))["equal"] == "not compared"


def test_a_run_is_not_its_own_successor(runs):
    assert "the same run as OLD" in report(runs[OLD], runs[OLD], code=2)


def test_an_open_run_is_refused(runs):
    old, new = runs[OLD], runs["equal"]
    manifest = Path(".finetune", "runs", new, "manifest.json")
    manifest.write_text(json.dumps(json.loads(manifest.read_text("utf-8")) | {"closed": False}), "utf-8")
    assert "this run is open" in report(old, new, code=2)


def test_an_edited_record_is_refused(runs):
    old, new = runs[OLD], runs["worse"]
    samples = Path(".finetune", "runs", new, "samples.jsonl")
    samples.write_text(samples.read_text("utf-8").replace('"missed"', '"passed"'), "utf-8")
    assert "the record was changed after the run" in report(old, new, code=2)


def test_answers_that_call_other_functions_or_none_have_another_form():
    call = {"id": "x", "type": "function", "function": {"name": "book", "arguments": "{}"}}
    answer = {"role": "assistant", "tool_calls": [call]}
    rows = [{"id": f"c{n}", "messages": [{"role": "user", "content": str(n)}, answer]} for n in range(4)]
    path = Path("eval_sets", "tickets.jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    tool = '[[request.tools]]\ntype = "function"\nfunction = {name = "book", parameters = {type = "object"}}\n'
    path.with_suffix(".toml").write_text(f'scorer = "tool_call"\n{tool}', "utf-8")

    def calls(body):
        number = int(body["messages"][-1]["content"])
        if body["model"] == "equal" and number == 3:
            return "no call"
        name = "cancel" if body["model"] == "equal" and number == 2 else "book"
        return Reply(
            message={"content": None, "tool_calls": [{**call, "function": {**call["function"], "name": name}}]}
        )

    with ScriptedServer(calls) as server:
        old, new = (evaluate(model=model, base_url=server.url).run.id for model in (OLD, "equal"))
    found = as_json(old, new, code=1)["eval_sets"]["eval_sets/tickets.jsonl"]
    assert [one["same_form"] for one in found] == [None, 0.5]
