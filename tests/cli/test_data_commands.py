"""`pytest-finetune data prepare | split | price | profile`: output, exit codes and errors."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pytest_finetune.cli import main
from pytest_finetune.cli.data.progress import watched
from pytest_finetune.cli.data.source import Source

OPENINGS = ("where is", "I lost", "please change", "who took", "nobody answers about", "refund me for", "how big is")
THINGS = ("the parcel", "my invoice", "an old password", "this blue lamp", "your newsletter", "a broken kettle")
LABELS = ("delivery", "billing", "account")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words):
    return CliRunner().invoke(main, ["data", *map(str, words)], prog_name="pytest-finetune")


def lines_of(name):
    return [json.loads(line) for line in Path(name).read_text("utf-8").splitlines()]


def write_rows(name="train.jsonl", *, broken=False):
    prompts = [f"{opening} {thing} {number}" for number, opening in enumerate(OPENINGS) for thing in THINGS]
    rows = [
        json.dumps({"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": LABELS[at % 3]}]})
        for at, text in enumerate(prompts)
    ]
    Path(name).write_text("\n".join([*rows, *(["{nope"] if broken else [])]) + "\n", "utf-8")
    return len(rows)


def test_prepare_reports_skipped_records_and_exits_with_1():
    Path("raw.csv").write_text('question,answer\na,"{""b"": 1}"\nb,\nc,x\n', "utf-8")
    Path("system.txt").write_text("Be brief.\n", "utf-8")
    mapped = ("--map", "input=question", "--map", "output=answer", "--system", "@system.txt", "--json-output")
    done = run("prepare", "raw.csv", "-o", "train.jsonl", *mapped)
    assert done.exit_code == 1
    assert done.output == (
        "train.jsonl: 1 example written\n"
        "2 records skipped:\n"
        "  raw.csv:3: answer is empty\n"
        "  raw.csv:4: answer is not strict JSON: Expecting value at character 0\n"
    )
    (example,) = lines_of("train.jsonl")
    assert [message["content"] for message in example["messages"]] == ["Be brief.", "a", '{"b":1}']


def test_prepare_json_lists_every_skipped_record():
    Path("raw.jsonl").write_text('{"input": "a", "output": "b", "id": 1}\n' + '{"x": 1}\n' * 9, "utf-8")
    done = run("prepare", "raw.jsonl", "-o", "train.jsonl", "--json")
    output = json.loads(done.stdout)
    assert (output["written"], output["left_out"], output["not_kept"]) == (1, 9, {"id": 1})
    assert [each["line"] for each in output["left_out_records"]] == list(range(2, 11))
    text = run("prepare", "raw.jsonl", "-o", "again.jsonl").output
    assert "raw.jsonl:2: unknown shape; its keys: 'x'" in text
    assert "(and 8 more)" in " ".join(text.split())
    assert "dropped, not part of OpenAI's format: id (1) (--keep keeps it)" in text


def test_prepare_shows_each_reason_of_skipped_records_once():
    blank = [{"input": "a", "output": ""}] * 7 + [{"input": None, "output": "b"}] * 3
    odd = [{"input": "a", "output": "b"}] + [{f"column_{'abcdefg'[at]}": 1} for at in range(7)]
    Path("raw.jsonl").write_text("".join(json.dumps(each) + "\n" for each in [*blank, *odd]), "utf-8")
    text = " ".join(run("prepare", "raw.jsonl", "-o", "train.jsonl").output.split())
    assert "raw.jsonl:1: output is empty (and 6 more)" in text
    assert "raw.jsonl:8: input is null (and 2 more)" in text
    assert "… and 4 more: --json lists them" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("raw.jsonl", "-o", "there.jsonl"), "there.jsonl: exists already"),
        (("raw.jsonl", "-o", "raw.jsonl", "--force"), "the output file is the input"),
        (("raw.xlsx", "-o", "new.jsonl"), "unknown format"),
        (("none.csv", "-o", "new.jsonl"), "cannot be read"),
        (("raw.jsonl", "-o", "new.jsonl", "--map", "outptu=b"), "did you mean 'output'?"),
        (("raw.jsonl", "-o", "new.jsonl", "--system", "@none.txt"), "none.txt cannot be read"),
        (("raw.jsonl", "-o", "new.jsonl", "--system", " "), "the system prompt is empty"),
        (("raw.jsonl", "-o", "new.jsonl", "--schema", "raw.csv"), "not strict JSON"),
        (("raw.csv", "-o", "new.jsonl", "--encoding", "klingon"), "'klingon' is not a known encoding"),
        (("raw.csv", "-o", "new.jsonl", "--delimiter", ";;"), "';;' is not one character, or tab"),
        (("raw.csv", "-o", "new.jsonl"), "no record is usable"),
    ],
)
def test_prepare_errors_are_one_message_and_write_nothing(words, message):
    Path("raw.jsonl").write_text('{"input": "a", "output": "b"}\n', "utf-8")
    Path("raw.csv").write_text("a,b\n1,2\n", "utf-8")
    Path("there.jsonl").write_text("mine", "utf-8")
    done = run("prepare", *words)
    assert done.exit_code == 2
    assert message in done.output
    assert "Traceback" not in done.output
    assert sorted(path.name for path in Path().iterdir()) == ["raw.csv", "raw.jsonl", "there.jsonl"]
    assert Path("there.jsonl").read_text("utf-8") == "mine"


def test_split_writes_its_files_and_reports_them():
    rows = write_rows()
    done = run("split", "train.jsonl", "-o", "set", "--validation", "0.3", "--test", "0.2", "--seed", "x")
    assert done.exit_code == 0, done.output
    parts = {side: lines_of(f"set.{side}.jsonl") for side in ("train", "validation", "test")}
    assert sum(map(len, parts.values())) == rows
    assert "seed x: the same rows go to the same sides; adding rows does not move the others" in done.output
    assert "label" in done.output
    again = run("split", "train.jsonl", "-o", "set", "--validation", "0.3", "--test", "0.2", "--seed", "x")
    assert again.exit_code == 2
    assert "exists already" in again.output


def test_split_skips_broken_lines_and_exits_with_1():
    rows = write_rows(broken=True)
    done = run("split", "train.jsonl", "--stratify", "--json")
    assert done.exit_code == 1
    output = json.loads(done.stdout)
    assert output["left_out_records"][0]["line"] == rows + 1
    assert {label: counts["validation"] for label, counts in output["labels"].items()} == dict.fromkeys(LABELS, 1)
    assert set(output["sides"]) == {"train", "validation"}
    assert Path("train.train.jsonl").exists()


def test_a_side_without_rows_is_a_warning_and_exit_code_1():
    Path("train.jsonl").write_text('{"input": "a", "output": "b"}\n', "utf-8")
    done = run("split", "train.jsonl")
    assert done.exit_code == 1
    assert "has no rows: there are too few clusters" in done.output


def test_split_refuses_shares_without_a_rest_for_training():
    write_rows()
    done = run("split", "train.jsonl", "--validation", "0.6", "--test", "0.4")
    assert done.exit_code == 2
    assert "must leave a share for training" in done.output


def test_price_compares_models_and_exits_with_1_for_an_unknown_price():
    write_rows()
    done = run("price", "train.jsonl", "--model", "gpt-4.1-mini", "--model", "gpt-4.1-nano", "--monthly-calls", "1000")
    assert done.exit_code == 0, done.output
    assert "training on 42 examples" in done.output
    assert "one month, 1,000 calls" in done.output
    output = " ".join(done.output.split())
    assert re.search("gpt-4.1-mini: the model and its fine-tunes (will be|were) shut down on 2027-01-14", output)
    unknown = run("price", "train.jsonl", "--model", "an-unknown-model", "--json")
    assert unknown.exit_code == 1
    (model,) = json.loads(unknown.stdout)["models"]
    assert (model["training"]["cost"], model["tokens_are"]) == (None, "estimated")


def test_price_counts_eval_sets_with_or_without_training(folder):
    sets = folder / "eval_sets"
    sets.mkdir()
    (sets / "tickets.jsonl").write_text('{"input": "where is it", "expected": "delivery"}\n', "utf-8")
    done = run("price", "--model", "ft:gpt-4o-mini-2024-07-18:a::b", "--eval", "eval_sets", "--json")
    assert done.exit_code == 0, done.output
    (model,) = json.loads(done.stdout)["models"]
    assert model["training"] is None
    assert model["evaluations"]["eval_sets/tickets.jsonl"]["calls"] == 1
    assert (
        "one evaluation of eval_sets/tickets.jsonl" in run("price", "--model", "gpt-4o", "--eval", "eval_sets").output
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "gpt-4o"), "name a training file"),
        (("train.jsonl",), "Missing option '--model'"),
        (("train.jsonl", "--model", ""), "--model is empty"),
        (("none.jsonl", "--model", "gpt-4o"), "cannot be read"),
        (("empty.jsonl", "--model", "gpt-4o"), "empty"),
        (("plain.jsonl", "--model", "gpt-4o"), "no record is usable: unknown shape"),
        (("train.jsonl", "--model", "gpt-4o", "--eval", "nowhere"), "no eval set there"),
    ],
)
def test_price_errors_are_one_message(words, message):
    write_rows()
    Path("empty.jsonl").write_text("", "utf-8")
    Path("plain.jsonl").write_text('{"question": "a", "answer": "b"}\n', "utf-8")
    done = run("price", *words)
    assert done.exit_code == 2
    assert message in done.output
    assert "Traceback" not in done.output


def test_profile_prints_a_summary_and_writes_a_page():
    write_rows()
    done = run("profile", "train.jsonl", "-o", "profile.html")
    assert done.exit_code == 0, done.output
    assert "train.jsonl: 42 rows" in done.output
    assert "labels: 3" in done.output
    assert "few_examples" in done.output
    assert Path("profile.html").read_text("utf-8").startswith("<!doctype html>")
    assert run("profile", "train.jsonl", "-o", "profile.html").exit_code == 2
    output = json.loads(run("profile", "train.jsonl", "--json", "--no-check").stdout)
    assert output["labels"] == dict.fromkeys(LABELS, 14)
    assert output["findings"] is None


def test_profile_exits_with_1_for_broken_lines_and_with_2_for_no_rows():
    rows = write_rows(broken=True)
    done = run("profile", "train.jsonl", "--no-check")
    assert done.exit_code == 1
    assert f"train.jsonl:{rows + 1}: not strict JSON" in done.output
    assert "findings: not checked" in done.output
    Path("empty.jsonl").write_text("\n", "utf-8")
    assert run("profile", "empty.jsonl").exit_code == 2
    assert run("profile", "train.jsonl", "-o", "train.jsonl", "--force").exit_code == 2


def test_progress_is_shown_on_a_terminal_only(capsys, monkeypatch):
    assert list(watched(range(5), "read")) == list(range(5))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("pytest_finetune.cli.data.progress._EVERY", -1.0)
    assert list(watched(range(1200), "read")) == list(range(1200))
    shown = capsys.readouterr().err
    assert "read 1,000 rows" in shown
    assert shown.endswith("\r\033[K")


def test_a_dash_is_standard_input():
    assert Source(exists=True).convert("-", None, None) == Path("/dev/stdin")
    assert Source().convert("a-b.jsonl", None, None) == Path("a-b.jsonl")


@pytest.mark.parametrize(
    ("words", "done"),
    [
        (["split"], False),
        (["profile"], False),
        (["profile", "--no-check"], True),
        (["check"], True),
        (["check", "--fix", "out.jsonl"], False),
        (["price", "--model", "gpt-4.1"], True),
        (["price", "--model", "gpt-4.1", "--monthly-calls", "9"], False),
    ],
)
def test_a_pipe_is_refused_by_commands_that_read_twice(words, done):
    write_rows()
    content = Path("train.jsonl").read_bytes()
    out, into = os.pipe()
    os.write(into, content)
    os.close(into)
    try:
        result = run(*words, f"/dev/fd/{out}")
    finally:
        os.close(out)
    assert (result.exit_code < 2, "cannot be read twice" in result.output) == (done, not done)


def test_an_existing_page_is_refused_before_the_check(monkeypatch):
    write_rows()
    Path("page.html").touch()
    monkeypatch.setattr("pytest_finetune.cli.data.profile.check", lambda *_, **__: pytest.fail("checked"))
    assert run("profile", "train.jsonl", "-o", "page.html").exit_code == 2


def test_no_color_is_respected(monkeypatch):
    write_rows()
    coloured = CliRunner().invoke(main, ["data", "check", "train.jsonl"], color=True)
    monkeypatch.setenv("NO_COLOR", "1")
    plain = CliRunner().invoke(main, ["data", "check", "train.jsonl"], color=True)
    assert ("\x1b[" in coloured.output, "\x1b[" in plain.output) == (True, False)


def test_a_library_that_is_not_installed_is_named_with_the_extra(monkeypatch):
    write_rows()
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    done = run("check", "train.jsonl")
    assert done.exit_code == 2
    assert "phonenumbers is not installed, and data commands need it" in done.output
    assert "pip install 'pytest-finetune[data]'" in done.output
