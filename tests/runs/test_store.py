from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.base.errors import RunError
from pytest_finetune.base.records import Completion, Failure, FormatFailure, Sample, Score, State, ToolCall, Usage
from pytest_finetune.evaluation.runs import EvalSetPlan, Run, RunStore, TargetInfo, sample_from_dict, sample_to_dict
from pytest_finetune.evaluation.runs.samples import read_samples, sealed_line

TARGET = TargetInfo(spec="ft:a", model="ft:a", base_url="http://127.0.0.1:1/v1")
PLAN = [EvalSetPlan(name="eval_sets/a.jsonl", cases=2, repeats=1, cases_sha256="c", settings_sha256="s")]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
completions = st.builds(
    Completion,
    texts,
    finish_reason=texts,
    model=texts,
    tool_calls=st.lists(st.builds(ToolCall, texts, texts), max_size=2).map(tuple),
    usage=st.none() | st.builds(Usage, st.integers(0, 10**9), st.integers(0, 10**9)),
    latency=st.floats(0, 1e4),
)
scores = st.builds(
    Score,
    st.booleans(),
    st.none() | st.sampled_from(FormatFailure),
    detail=texts,
    fields=st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9)),
)
samples = st.builds(
    Sample,
    texts,
    texts,
    st.integers(0, 9),
    st.sampled_from(State),
    st.none() | completions,
    st.none() | scores,
    st.none() | st.builds(Failure, texts, texts, st.none() | st.integers(100, 599)),
    st.none() | st.decimals(0, 10, places=6),
)


def sample(case_id="a", state=State.PASSED, text="bug"):
    return Sample("eval_sets/a.jsonl", case_id, 0, state, Completion(text), Score(state is State.PASSED))


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / ".finetune" / "runs")


@pytest.fixture
def run(store, tmp_path):
    return store.create(TARGET, PLAN, folder=tmp_path)


@given(samples)
def test_a_sample_round_trips_as_plain_data(sample):
    value = sample_to_dict(sample)
    assert sample_from_dict(json.loads(json.dumps(value))) == sample


@given(st.lists(samples, max_size=5), st.integers(0, 400))
def test_a_record_cut_anywhere_has_the_lines_before_the_cut(tmp_path_factory, written, cut):
    path = tmp_path_factory.mktemp("run") / "samples.jsonl"
    lines = [sealed_line(sample_to_dict(sample)) for sample in written]
    data = b"".join(lines)[:cut]
    path.write_bytes(data)
    whole = data.count(b"\n")
    assert list(read_samples(path)) == written[:whole]


def test_samples_are_on_disk_when_append_returns(run):
    run.append(sample_to_dict(sample()))
    assert Run.load(run.path).samples() == {sample().key: sample()}


def test_the_last_result_of_a_repeated_sample_counts(run):
    run.append(sample_to_dict(Sample(*sample().key, State.ERROR, failure=Failure("timeout", "late"))))
    run.append(sample_to_dict(sample()))
    assert run.samples()[sample().key].state is State.PASSED


def test_a_resumed_run_requests_errors_again(run):
    run.append(sample_to_dict(sample("a")))
    run.append(sample_to_dict(Sample(PLAN[0].name, "b", 0, State.ERROR, failure=Failure("timeout", "late"))))
    assert set(run.answered()) == {sample("a").key}


@pytest.mark.parametrize("place", [0, 30, -12, -3])
def test_an_edited_line_is_refused_with_its_line_number(run, place):
    run.append(sample_to_dict(sample("a")))
    run.append(sample_to_dict(sample("b")))
    path = run.path / "samples.jsonl"
    first, second = path.read_bytes().splitlines(keepends=True)
    edited = bytearray(first)
    edited[place] ^= 1
    path.write_bytes(bytes(edited) + second)
    with pytest.raises(RunError, match=r"samples\.jsonl:1: this line does not match its checksum"):
        run.samples()


def test_a_closed_run_never_changes(run):
    run.update(closed=True)
    with pytest.raises(RunError, match="a closed run never changes"):
        run.update(stopped="later")


def test_resume_finds_the_newest_open_run_of_the_same_plan(store, tmp_path):
    store.create(TARGET, PLAN, folder=tmp_path).update(closed=True)
    wanted = store.create(TARGET, PLAN, folder=tmp_path)
    wanted.release()
    store.create(TARGET, [PLAN[0].model_copy(update={"cases_sha256": "other"})], folder=tmp_path)
    assert store.resume(TARGET, PLAN).id == wanted.id


def test_resume_cuts_a_torn_tail_so_that_the_next_line_starts_clean(store, run):
    run.append(sample_to_dict(sample("a")))
    run.release()
    with (run.path / "samples.jsonl").open("ab") as file:
        file.write(b'{"eval_set":"eval_s')
    resumed = store.resume(TARGET, PLAN)
    resumed.append(sample_to_dict(sample("b")))
    assert set(resumed.samples()) == {sample("a").key, sample("b").key}


def test_without_an_open_run_resume_says_what_to_do(store):
    with pytest.raises(RunError, match=r"no open run of ft:a.*\n.*run without --resume"):
        store.resume(TARGET, PLAN)


def test_a_run_is_found_by_name_by_path_and_as_the_last(store, run, tmp_path):
    assert {store.find(name).id for name in (run.id, "last", f".finetune/runs/{run.id}")} == {run.id}


def test_a_misspelt_run_gets_a_suggestion(store, run):
    with pytest.raises(RunError, match=f"did you mean '{run.id}'"):
        store.find(run.id[:-1] + "?")


def test_an_unknown_field_in_a_manifest_is_an_error_with_its_place(run):
    path = run.path / "manifest.json"
    manifest = json.loads(path.read_text()) | {"verdict": []}
    path.write_text(json.dumps(manifest))
    with pytest.raises(RunError, match=r"manifest\.json: verdict: Extra inputs"):
        Run.load(run.path)


def test_a_run_keeps_its_answers_out_of_the_repository(run):
    assert (run.path.parent.parent / ".gitignore").read_text() == "*\n"


def test_amounts_are_stored_exactly(run):
    paid = Sample("s", "a", 0, State.PASSED, Completion("x"), Score(passed=True), cost=Decimal("0.000001234567"))
    run.append(sample_to_dict(paid))
    assert run.samples()[paid.key].cost == Decimal("0.000001234567")


@pytest.mark.slow
def test_kill_9_while_writing_leaves_a_readable_record(tmp_path):
    """A process that appends continuously is killed; every line that it reported as written can be read."""
    code = textwrap.dedent("""
        import sys
        from pathlib import Path
        from pytest_finetune.base.records import *
        from pytest_finetune.evaluation.runs import *
        target = TargetInfo(spec="m", model="m")
        run = RunStore(Path(sys.argv[1])).create(target, [], folder=Path(sys.argv[1]))
        print(run.path, flush=True)
        for n in range(10**9):
            run.append(sample_to_dict(Sample("s", str(n), 0, State.PASSED, Completion("x" * 500), Score(True))))
            print(n, flush=True)
    """)
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    path = process.stdout.readline().strip()
    lines = [process.stdout.readline() for _ in range(200)]
    os.kill(process.pid, signal.SIGKILL)
    lines += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    last = max(int(line) for line in lines if line.endswith("\n"))
    assert {int(key[1]) for key in Run.load(tmp_path / path).samples()} >= set(range(last + 1))
