"""Batches are tested without their waits, in an empty project."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from batch_server import BatchServer
from click.testing import CliRunner

from pytest_finetune import RunStore
from pytest_finetune.cli import main
from pytest_finetune.lifecycle.batches import sending, service, target

GATE = "[[gates]]\nmin = 0.6\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(target, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(service, "WAITS", (0.0, 0.0, 0.0))
    monkeypatch.setattr(sending, "SEARCH_DELAYS", (0.0, 0.0))
    monkeypatch.setattr(sending, "RATE_WAITS", (0.0, 0.0))
    return tmp_path


@pytest.fixture
def server():
    """Answers every question with the last word of its prompt."""
    with BatchServer(lambda body: body["messages"][-1]["content"].split()[-1]) as server:
        yield server


@pytest.fixture
def write_set():
    """Write an eval set whose cases ask for one word each."""

    def write(*words, wrong=(), toml=GATE, name="words"):
        path = Path("eval_sets", f"{name}.jsonl")
        path.parent.mkdir(exist_ok=True)
        rows = [
            {"id": f"c{n}", "input": f"say {word}", "expected": "x" if word in wrong else word}
            for n, word in enumerate(words or ("a", "b", "c"))
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        path.with_suffix(".toml").write_text(toml, "utf-8")
        return path

    return write


@pytest.fixture
def run(server):
    """`pytest-finetune run --batch` against the server; returns what click's runner returns."""

    def invoke(*words, code=0, batch=True):
        words = ["run", "--model=m", f"--base-url={server.url}", *(["--batch"] if batch else []), *words]
        result = CliRunner().invoke(main, words, prog_name="pytest-finetune")
        assert result.exit_code == code, result.output
        return result

    return invoke


@pytest.fixture
def last():
    """The latest run of the project."""
    return lambda: RunStore(Path(".finetune", "runs")).find("last")


@pytest.fixture
def outcomes(last):
    """State, and answer or failure, of each sample of the latest run, by case."""

    def found():
        return {
            key[1]: (str(sample.state), sample.completion.text if sample.completion else sample.failure.message)
            for key, sample in last().samples().items()
        }

    return found
