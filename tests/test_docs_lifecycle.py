"""docs/lifecycle.md, executed from the first block to the last: a real server, real trainings, and their output."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import click
import pytest
from scripted_server import Reply, ScriptedServer, error
from server_process import ServerProcess, needs_training
from shown_output import ShownOutput

from pytest_finetune.cli import main

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "lifecycle.md").read_text("utf-8")
RAW = Path(__file__).parent / "lifecycle_data/tickets.csv"
SERVED, ELSEWHERE = "http://127.0.0.1:8321/v1", "http://127.0.0.1:8000/v1"
ENDINGS = {"csv": "csv", "python": "py", "toml": "toml"}
TIMEOUT = 300
"""Seconds for one command; the longest is a training of eighty steps."""

SURROUNDING = ("PYTEST_", "OPENAI_", "FINETUNE_", "GITHUB_", "MLFLOW_", "COV_", "CI", "COLUMNS")
"""Variables of the surrounding session that a reader's shell does not have."""

PROGRAMS = {
    "pytest-finetune": "-c \"from pytest_finetune.cli import main; main(prog_name='pytest-finetune')\"",
    "pytest": "-m pytest",
    "python": "",
}

# In CI a missing extra is a failure and no reason to skip.
walked = pytest.mark.skipif(
    needs_training.args[0] and os.environ.get("CI") != "true", reason=needs_training.kwargs["reason"]
)


class ClosedServer(ScriptedServer):
    """OpenAI's API after its shutdown of fine-tuning: it accepts files and no jobs."""

    def reply(self, request):
        place = (request.method, request.path.partition("?")[0])
        if place == ("POST", "/v1/fine_tuning/jobs"):
            return error(403, "New jobs are not allowed for this organisation")
        if place == ("POST", "/v1/files"):
            file = {
                "id": "file-1",
                "object": "file",
                "bytes": 1,
                "created_at": 1,
                "filename": "x",
                "purpose": "fine-tune",
            }
            return Reply(body={**file, "status": "processed"})
        return Reply(body={"object": "list", "data": [], "has_more": False})


class Walk:
    """A reader who follows the page in a folder, with a shell."""

    def __init__(self, folder, stack):
        self.folder, self._stack = folder / "project", stack
        self._shown, self._places = ShownOutput(), {}
        self._command, self._code = "", 0
        self.folder.mkdir()
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith(SURROUNDING)}
        path = f"{write_programs(folder / 'bin')}{os.pathsep}{os.environ['PATH']}"
        # pytest-randomly belongs to the surrounding session.
        self._environ |= {"PATH": path, "PYTHONUNBUFFERED": "1", "PYTEST_ADDOPTS": "-p no:randomly"}

    def write(self, kind, text, before):
        """Write the block to the file named last, or as the beginning of the raw data."""
        name = re.findall(rf"`([\w/]+\.{ENDINGS[kind]})`", before)[-1]
        if kind == "csv":
            whole = RAW.read_text("utf-8")
            assert whole.startswith(text)
            text = whole
        (self.folder / name).write_text(text, "utf-8")

    def type(self, block):
        """Run each command of the block; its exit code and output must be those of the page."""
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            if command == "echo $?":
                assert self._code == int(shown) != 0, self._command
                self._code = 0
                continue
            self.must_have_ended_well()
            self._command = command
            printed = self._do(command)
            for place, real in self._places.items():
                shown = shown.replace(place, real)
            assert self._shown.compare(shown, printed), f"$ {command}\nshown:\n{shown}\nprinted:\n{printed}"

    def must_have_ended_well(self):
        assert self._code == 0, f"{self._command} ended with {self._code}, and the page does not say so"

    def _do(self, command):
        word, _, rest = command.partition(" ")
        if command == "pytest-finetune serve":
            self._places[SERVED] = self._stack.enter_context(ServerProcess(self.folder)).url
            return f"base URL: {self._places[SERVED]}\n"
        if command == "unset OPENAI_BASE_URL":
            # Without --base-url the request goes to OpenAI's own server; a stand-in answers.
            self._environ["OPENAI_BASE_URL"] = self._stack.enter_context(ClosedServer()).url
            return ""
        if ELSEWHERE in command:
            self._places[ELSEWHERE] = self._stack.enter_context(ScriptedServer(self._right_answers())).url
        for place, real in self._places.items():
            command, rest = command.replace(place, real), rest.replace(place, real)
        if word == "export":
            name, _, value = rest.partition("=")
            self._environ[name] = value.replace("…", "a-key")
            return ""
        return self._run(self._shown.today(command))

    def _run(self, command):
        done = subprocess.run(
            command,
            shell=True,
            cwd=self.folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=TIMEOUT,
            check=False,
        )
        self._code = done.returncode
        return done.stdout

    def _right_answers(self):
        rows = map(json.loads, (self.folder / "eval_sets/tickets.jsonl").read_text("utf-8").splitlines())
        answers = {row["messages"][-2]["content"]: row["messages"][-1]["content"] for row in rows}
        return lambda body: answers[body["messages"][-1]["content"]]


def write_programs(folder):
    """Write the commands that an installed project has, wherever the tests run."""
    folder.mkdir()
    for name, arguments in PROGRAMS.items():
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {arguments} "$@"\n', "utf-8")
        program.chmod(0o755)
    return folder


@walked
def test_the_documented_lifecycle_runs(tmp_path):
    with ExitStack() as stack:
        walk = Walk(tmp_path, stack)
        for block in re.finditer(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
            kind, text = block.groups()
            if kind == "console":
                walk.type(text)
            else:
                walk.write(kind, text, PAGE[: block.start()])
        walk.must_have_ended_well()
        report = (walk.folder / "report.html").read_text("utf-8")
        assert "Ships: 3 of 3 gates passed" in report


def test_a_page_that_differs_from_the_output_is_detected():
    shown, ours, theirs = ShownOutput(), f"ftjob-{'a' * 24}", f"ftjob-{'B' * 24}"
    assert shown.compare(
        f"job {ours}: queued\n…\n{ours} ended, loss 0.10\n", f"job {theirs}: queued\n\n{theirs} ended, loss 2.3\n"
    )
    assert shown.today(f"watch {ours}") == f"watch {theirs}"
    assert not shown.compare(f"job {ours}: queued\n", f"job ftjob-{'C' * 24}: queued\n")
    assert not shown.compare("v1: 2 of 3 gates passed\n", "v1: 3 of 3 gates passed\n")
    assert not shown.compare("v1: new -> candidate\n", "v1: new -> candidate\nand more\n")
    assert not shown.compare("", "warning\n")


def shown_commands():
    return re.findall(r"^\$ pytest-finetune (.*)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("line", shown_commands())
def test_each_shown_command_accepts_its_options(line):
    words, found = shlex.split(line), main
    while isinstance(found, click.Group):
        found = found.get_command(click.Context(found), words.pop(0))
    options = {word for option in found.params if isinstance(option, click.Option) for word in option.opts}
    assert {word for word in words if word.startswith("-")} <= options


def anchors(text):
    """Headings as GitHub links to them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", ["docs/lifecycle.md", "docs/when.md", "README.md"])
def test_every_link_has_a_target(name):
    page = DOCS.parent / name
    links = re.findall(r"\]\((?!https?:)([^)]*)\)", page.read_text("utf-8"))
    assert links
    for link in links:
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text("utf-8")), link
