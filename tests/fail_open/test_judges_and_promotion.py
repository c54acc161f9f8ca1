"""A judge's gate promotes a model only with the calibration that the run was judged by."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from scripted_judge import GATED, TOML, polite, write_labelled

from pytest_finetune.cli import main
from pytest_finetune.lifecycle.registry import Change, Entry, FileBackend

NOW = datetime(2026, 11, 1, tzinfo=UTC)
GOOD = [f"please {number}" for number in range(40)]


@pytest.fixture
def registry(pytester, suite, server):
    """A registry with a candidate, and a set whose 40 answers the judge passes."""
    server.answer = polite
    suite(GOOD, toml=GATED)
    backend = FileBackend(pytester.path / "registry.json")
    backend.update(Change("add", "v2", who="test", entry=Entry(model_id="new", created_at=NOW)), now=NOW)
    return backend


@pytest.fixture
def labelled(registry, calibrate, pytester):
    path = write_labelled(pytester.path)
    assert calibrate().exit_code == 0
    return path


def status(backend):
    return backend.read().entries["v2"].status.value


def promote(code, run=("--run", "last")):
    result = CliRunner().invoke(main, ["registry", "promote", "v2", *run, "--who", "ann"])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def test_a_calibrated_judges_gate_promotes_in_the_session(labelled, registry, evaluate):
    assert evaluate("--promote", model="new").ret == 0
    assert status(registry) == "production"


def test_an_uncalibrated_judges_gate_does_not_promote(registry, evaluate):
    assert evaluate("--promote", model="new").ret == pytest.ExitCode.TESTS_FAILED
    assert status(registry) == "candidate"
    promote(1)
    assert status(registry) == "candidate"


def test_a_calibrated_judges_gate_promotes_later(labelled, registry, evaluate):
    assert evaluate(model="new").ret == 0
    promote(0)
    assert status(registry) == "production"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("removed", "the judge's agreement with people was not measured"),
        ("worse", "the judge is not better than chance"),
        ("relabelled", "tickets.calibration.jsonl was changed after the judge saw it"),
    ],
)
def test_without_the_calibration_a_run_that_passed_does_not_promote(
    labelled, registry, evaluate, calibrate, pytester, change, reason
):
    assert evaluate(model="new").ret == 0
    if change == "removed":
        labelled.with_suffix(".json").unlink()
    elif change == "worse":
        write_labelled(pytester.path, errs=14)
        assert calibrate().exit_code == 1
    else:
        write_labelled(pytester.path, count=29)
    assert reason in promote(1)
    assert status(registry) == "candidate"


def test_the_calibration_of_a_judge_that_does_not_decide_is_needed_too(registry, suite, evaluate, calibrate, pytester):
    judge = TOML.replace("[scorer]", '[[scorers]]\nname = "tone"')
    gates = '[[gates]]\nmin = 0.9\n[[gates]]\nscorer = "tone"\nmin = 0.5\nconfidence = 0.9\n'
    suite(GOOD, toml='[[scorers]]\ntype = "contains"\ndecides = true\n' + judge + gates)
    labelled = write_labelled(pytester.path, scorer="tone")
    assert calibrate("--scorer", "tone").exit_code == 0
    assert evaluate("-n2", model="new").ret == 0
    kept = labelled.with_suffix(".json").read_bytes()
    labelled.with_suffix(".json").unlink()
    assert "the judge's agreement with people was not measured" in promote(1)
    assert status(registry) == "candidate"
    labelled.with_suffix(".json").write_bytes(kept)
    promote(0)
    assert status(registry) == "production"


def recalibrate_too_kind(folder, calibrate):
    """A judge that is better than chance, but passes 12 of 30 answers that people call bad."""
    path = write_labelled(folder)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for number, line in enumerate(lines[30:42]):
        line["answer"] = f"please, but {number}"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = calibrate()
    assert result.exit_code == 0, result.output


def test_a_gate_that_the_judges_new_calibration_fails_does_not_promote(registry, suite, evaluate, calibrate, pytester):
    suite(GOOD[:30] + [f"now {number}" for number in range(10)], toml=GATED)
    write_labelled(pytester.path)
    assert calibrate().exit_code == 0
    assert evaluate(model="new").ret == 0
    recalibrate_too_kind(pytester.path, calibrate)
    assert "because the judge was calibrated again since the run: sensitivity 0.900, specificity 0.600" in promote(1)
    assert status(registry) == "candidate"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("removed", "the judge's agreement with people was not measured"),
        ("changed", "people on right 27 of 30, wrong 27 of 30, and now on right 27 of 30, wrong 18 of 30"),
    ],
)
def test_the_stored_evidence_of_a_canary_needs_the_calibration_that_it_was_judged_by(
    labelled, registry, evaluate, calibrate, pytester, change, reason
):
    assert evaluate(model="new").ret == 0
    command = ["registry", "canary", "v2", "--run", "last", "--traffic", "0.1", "--who", "ann"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    kept = {path: path.read_bytes() for path in (labelled, labelled.with_suffix(".json"))}
    if change == "removed":
        labelled.with_suffix(".json").unlink()
    else:
        recalibrate_too_kind(pytester.path, calibrate)
    assert reason in promote(1, run=())
    assert status(registry) == "canary"
    for path, content in kept.items():
        path.write_bytes(content)
    promote(0, run=())
    assert status(registry) == "production"
