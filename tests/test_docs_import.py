"""docs/import.md: its example does what is shown, and its tables are the code's."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from click.testing import CliRunner

from pytest_finetune.cli import main
from pytest_finetune.lifecycle.importing.graders import _SIMILARITIES, _STRING_CHECKS
from pytest_finetune.lifecycle.importing.source import FORMATS

TEXT = (Path(__file__).parents[1] / "docs/import.md").read_text("utf-8")
RUN_ID = re.compile(r"[0-9T.]+-imported-run-1-[0-9a-f]{4}")


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_the_example_does_what_is_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results, config = blocks("json")
    Path("results.jsonl").write_text(results, "utf-8")
    Path("eval.json").write_text(config, "utf-8")
    call, _, printed = blocks("console")[0].partition("\n")

    done = CliRunner().invoke(main, shlex.split(call.removeprefix("$ pytest-finetune ")))

    assert done.exit_code == 1
    assert RUN_ID.sub("RUN", done.output) == RUN_ID.sub("RUN", printed)


def test_all_and_only_known_formats_are_documented():
    table = TEXT.partition("| format |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE) == list(FORMATS)


def test_all_carried_graders_are_documented():
    table = TEXT.partition("| grader |")[2].partition("\n\n")[0]
    assert {*_STRING_CHECKS, *_SIMILARITIES} <= set(re.findall(r"`(\w+)`", table))


def test_every_command_has_only_known_options():
    known = {name for each in main.get_command(None, "import").params for name in each.opts}
    for block in blocks("console"):
        for line in re.findall(r"^\$ pytest-finetune import (.+)$", block, re.MULTILINE):
            assert {word for word in shlex.split(line) if word.startswith("-")} <= known
