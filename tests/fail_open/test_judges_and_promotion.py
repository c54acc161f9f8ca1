"""A judge's gate promotes a model only with the calibration that the run was judged by."""

from __future__ import annotations

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


def promote(code):
    result = CliRunner().invoke(main, ["registry", "promote", "v2", "--run", "last", "--who", "ann"])
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
