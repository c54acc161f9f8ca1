"""Python graders of OpenAI's Evals: written to a file, not run by the import, and working once the user names them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from foreign_files import string_check, write_json, write_jsonl
from scripted_server import ScriptedServer

from pytest_finetune import evaluate
from pytest_finetune.cli import main
from pytest_finetune.lifecycle.importing.python_graders import python_grader

SOURCE = """
from pathlib import Path

Path("ran.txt").write_text("ran")


def grade(sample, item):
    return 1.0 if sample["output_text"] == item["answer"] and item["question"] else 0.25
"""
GRADER = {"type": "python", "name": "near: it", "source": SOURCE, "pass_threshold": 0.5}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n", "utf-8")


def import_(*words, grader=GRADER, code=0):
    rows = [{"item": {"question": f"q{n}", "answer": f"q{n}" if n else "no"}} for n in range(3)]
    source = write_jsonl("tickets.jsonl", *rows)
    config = write_json("config.json", {"testing_criteria": [string_check(), grader]})
    words = ["import", str(source), f"--config={config}", "--prompt={{ item.question }}", "--json", *words]
    result = CliRunner().invoke(main, words, prog_name="pytest-finetune")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout) if code < 2 else result.output


def test_the_code_is_written_and_not_run():
    found = import_()
    (note,) = found["notes"]
    assert note.startswith("the Python grader 'near: it' is in eval_sets/tickets_near_it_grader.py and was not run")
    assert note.endswith('then set scorer = "tickets_near_it_grader:passes"')
    assert found["settings"] == {"scorer": "exact", "normalize": []}
    assert SOURCE.strip() in Path("eval_sets/tickets_near_it_grader.py").read_text("utf-8")
    assert not Path("ran.txt").exists()


def test_it_scores_once_the_settings_name_it():
    import_()
    Path("eval_sets/tickets.toml").write_text('scorer = "tickets_near_it_grader:passes"\n', "utf-8")
    with ScriptedServer() as server:
        result = evaluate(model="m", base_url=server.url)
    assert [row["state"] for row in result.to_dicts()] == ["missed", "passed", "passed"]
    assert result.to_dicts()[0]["detail"] == "the grader gave 0.25"


def test_an_existing_file_is_kept():
    Path("eval_sets").mkdir()
    mine = Path("eval_sets/tickets_near_it_grader.py")
    mine.write_text("mine", "utf-8")
    assert "tickets_near_it_grader.py: exists already" in import_(code=2)
    assert mine.read_text("utf-8") == "mine"
    assert not Path("eval_sets/tickets.jsonl").exists()
    import_("--force")
    assert mine.read_text("utf-8") != "mine"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"source": "def grade(sample: ..."}, "its source is not Python"),
        ({"source": "(" * 100_000}, "its source is not Python"),
        ({"source": "x = '\ud800'\n"}, "its source is not Python"),
        ({"source": "a\0b"}, "its source is not Python"),
        ({"source": "def score(sample, item): return 1"}, "its source has no function grade(sample, item)"),
        ({"source": "def grade(sample): return 1"}, "its source has no function grade(sample, item)"),
        ({"source": "#" * 300_000}, "has no source of at most 256 KiB"),
        ({"source": None}, "has no source of at most 256 KiB"),
        ({"pass_threshold": None}, "has no pass_threshold"),
        ({"pass_threshold": True}, "has no pass_threshold"),
    ],
)
def test_what_cannot_be_carried_over_is_reported(change, reason):
    assert python_grader("near", GRADER | change) == reason


def test_a_grader_that_is_not_carried_over_leaves_no_file():
    found = import_(grader=GRADER | {"source": "x"}, code=1)
    assert list(found["not_carried"]) == ["grader 'near: it' (python): its source has no function grade(sample, item)"]
    assert list(Path("eval_sets").glob("*.py")) == []
