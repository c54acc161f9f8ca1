"""Shards and `runs merge`: the verdict of a single run, whatever the order, and nothing if a sample is missing."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from scripted_server import ScriptedServer, error

from pytest_finetune import RunStore
from pytest_finetune.base.errors import FinetuneError
from pytest_finetune.cli import main
from pytest_finetune.evaluation.runs import Run
from pytest_finetune.evaluation.shards import Shard
from pytest_finetune.verdicts.loading import load_eval_sets

TOML = 'scorer = "label"\nlabels = ["yes", "no"]\n[[gates]]\nmin = 0.5\n[[gates]]\nmetric = "macro_f1"\nmin = 0.3\n'


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    return tmp_path


@pytest.fixture
def server():
    """Answers with the last word of the prompt; `bad` is refused until `mended` says otherwise."""

    def answer(body):
        word = body["messages"][-1]["content"].split()[-1]
        return error(400, "bad") if word == "bad" and not server.mended else word.replace("bad", "yes")

    with ScriptedServer(answer) as server:
        server.mended = False
        yield server


def write_set(name="words", answers=("yes", "no", "yes", "no", "yes", "no", "no"), toml=TOML):
    path = Path("eval_sets", f"{name}.jsonl")
    path.parent.mkdir(exist_ok=True)
    rows = [
        {"id": f"c{n}", "input": f"{name} {n}: say {word}", "expected": "yes" if n % 3 else "no"}
        for n, word in enumerate(answers)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    path.with_suffix(".toml").write_text(toml, "utf-8")
    return path


def command(*words, code=0):
    result = CliRunner().invoke(main, words, prog_name="pytest-finetune")
    assert result.exit_code == code, result.output
    return result.output


def run(server, *words, model="m", code=0):
    return command("run", f"--model={model}", f"--base-url={server.url}", *words, code=code)


def shards(server, count, numbers=None):
    """Run shards, and return the ids of their runs."""
    each = [json.loads(run(server, f"--shard={number}/{count}", "--json")) for number in numbers or range(1, count + 1)]
    assert all(one["complete"] for one in each)
    return [one["run"] for one in each if one["samples"]]


def stored():
    return [Run.load(path) for path in RunStore(Path(".finetune", "runs")).newest_first()]


def facts(run):
    manifest = run.manifest
    return manifest.verdicts, manifest.totals, manifest.answered_by, manifest.warnings, manifest.eval_sets


@pytest.mark.parametrize("count", [1, 2, 3, 9, 20])
def test_merged_shards_have_the_verdict_of_a_single_run(server, count):
    write_set()
    write_set("others", ("yes", "yes", "no"), 'scorer = "exact"\n[stability]\nrepeats = 2\n[[gates]]\nmin = 0.9\n')
    run(server, code=1)
    single = stored()[0]
    names = shards(server, count)
    assert len(server.requests) == 2 * (7 + 3 * 2)

    random.Random(count).shuffle(names)
    output = command("runs", "merge", *names, code=1)

    merged = stored()[0]
    assert merged.manifest.closed
    assert merged.seal_fault == ""
    assert facts(merged) == facts(single)
    assert "accuracy>=0.5" in output


def test_sequential_gates_are_decided_by_the_merged_run(server):
    sequential = '[[gates]]\nmin = 0.5\nconfidence = 0.95\nsequential = "pocock"\n'
    write_set(answers=["yes" if n % 3 else "no" for n in range(60)], toml=sequential)
    run(server)
    single = stored()[0].manifest.verdicts
    names = shards(server, 3)
    assert sum(one.manifest.totals.unneeded for one in stored()[:3]) == 0
    command("runs", "merge", *names)
    merged = stored()[0].manifest.verdicts
    assert [(one.status, one.value, one.low, one.high) for one in merged] == [
        (one.status, one.value, one.low, one.high) for one in single
    ]


@given(st.integers(1, 40), st.integers(0, 60))
def test_every_sample_is_in_one_shard_and_shards_differ_by_one_case(count, cases):
    folder = Path("eval_sets")
    shutil.rmtree(folder, ignore_errors=True)
    path = write_set("many", ["yes"] * (cases + 1), "[stability]\nrepeats = 2\n")
    sets = load_eval_sets([path], root=Path())
    shares = [Shard(number, count).keys(sets) for number in range(1, count + 1)]
    assert sum(map(len, shares)) == len(set().union(*shares)) == 2 * (cases + 1)
    assert max(map(len, shares)) - min(map(len, shares)) <= 2


def test_merging_again_in_another_order_changes_nothing(server):
    write_set()
    names = shards(server, 3)
    command("runs", "merge", *names)
    before = stored()
    assert "merged already" in command("runs", "merge", *reversed(names))
    assert [one.id for one in stored()] == [one.id for one in before]


def test_runs_of_other_machines_are_merged_by_their_folders(server, folder, monkeypatch):
    write_set()
    names = shards(server, 2)
    other = folder / "artifacts"
    shutil.move(folder / ".finetune" / "runs" / names[1], other / names[1])
    command("runs", "merge", names[0], f"artifacts/{names[1]}")
    assert stored()[0].manifest.closed


def test_a_shard_has_no_verdict_and_is_neither_last_nor_resumed_by_another(server):
    write_set()
    output = run(server, "--shard=1/2")
    assert "shard 1/2: 4 of 4 samples answered, 0 errors\nnext: merge the runs" in output
    (first,) = stored()
    assert (first.manifest.closed, first.manifest.verdicts, first.manifest.shard) == (False, (), "1/2")
    assert "shard 1/2, open" in command("runs", "list")
    assert "no run yet" in command("runs", "show", "last", code=2)

    run(server, "--shard=2/2", "--resume")
    run(server, "--shard=1/2", "--resume")
    assert len(server.requests) == 7
    assert len(stored()) == 2


def test_a_whole_run_does_not_resume_a_shard(server):
    write_set()
    run(server, "--shard=1/2")
    run(server, "--resume")
    assert [one.manifest.shard for one in stored()] == ["", "1/2"]


def test_missing_shards_are_named(server):
    write_set()
    names = shards(server, 4, (1, 3))
    output = command("runs", "merge", *names, code=2)
    assert "3 of 7 samples are missing: there is no run of shard 2/4, shard 4/4" in output
    assert len(stored()) == 2


def test_a_shard_that_stopped_is_named(server):
    write_set()
    names = shards(server, 2)
    lines = Path(".finetune", "runs", names[1], "samples.jsonl")
    lines.write_bytes(b"".join(lines.read_bytes().splitlines(keepends=True)[:1]))
    output = command("runs", "merge", *names, code=2)
    assert f"{names[1]} lacks 2: 2 of 7 samples are missing" in " ".join(output.split())


def test_errors_are_asked_again_and_then_win_no_more(server):
    write_set(answers=("yes", "bad", "no"))
    assert "3 samples answered" not in run(server, "--shard=2/2")
    assert "1 errors" in run(server, "--shard=2/2", "--resume")
    names = shards(server, 1)
    server.mended = True
    run(server, "--shard=2/2", "--resume")
    mended = next(one for one in stored() if one.manifest.shard == "2/2")
    command("runs", "merge", *names, mended.id, code=1)
    assert stored()[0].manifest.totals.error == 0


def test_two_answers_to_one_case_are_refused(server):
    write_set(answers=("yes", "no"))
    (whole,) = shards(server, 1)
    (half,) = shards(server, 2, (1,))
    output = command("runs", "merge", whole, half, code=2)
    assert "has another answer to c0 of eval_sets/words.jsonl" in " ".join(output.split())


@pytest.mark.parametrize("change", ["cases", "settings", "model"])
def test_another_plan_is_refused(server, change):
    path = write_set()
    names = shards(server, 2, (1,))
    if change == "cases":
        path.write_text(path.read_text("utf-8").replace("words 0", "words zero"), "utf-8")
    elif change == "settings":
        path.with_suffix(".toml").write_text(TOML.replace("0.5", "0.4"), "utf-8")
    model = "other" if change == "model" else "m"
    run(server, "--shard=2/2", model=model)
    names.append(stored()[0].id)
    expected = (
        "it is a run of other" if change == "model" else f"differs from the files, or from the first run: {change}"
    )
    assert expected in " ".join(command("runs", "merge", *names, code=2).split())


def test_an_edited_answer_is_refused(server):
    write_set()
    names = shards(server, 2)
    lines = Path(".finetune", "runs", names[0], "samples.jsonl")
    lines.write_bytes(lines.read_bytes().replace(b'"missed"', b'"passed"'))
    assert "does not match its checksum" in " ".join(command("runs", "merge", *names, code=2).split())


def test_a_set_that_is_gone_is_named(server):
    path = write_set()
    names = shards(server, 2)
    path.unlink()
    assert "there is no eval set eval_sets/words.jsonl" in command("runs", "merge", *names, code=2)


def test_an_interrupted_merge_leaves_no_closed_run(server, monkeypatch):
    write_set()
    names = shards(server, 2)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pytest_finetune.evaluation.runs.run.os.write", full)
    assert "No space left on device" in command("runs", "merge", *names, code=2)
    assert not any(one.manifest.closed for one in stored())


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0", "-1/3", "1/3/5", "1/1000000", " 1/2", "١/٢"])
def test_what_is_no_shard_is_an_error(text):
    with pytest.raises(FinetuneError, match="is no shard"):
        Shard.parse(text)
