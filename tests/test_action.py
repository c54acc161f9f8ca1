"""The steps of action.yml and of the workflows that this repository has for itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from scripted_server import ScriptedServer

ROOT = Path(__file__).parents[1]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
STEPS = {step.get("name", step.get("uses", "")): step for step in ACTION["runs"]["steps"]}
COMMENT = "Write the verdict on the pull request, or update it"

# What stands for GitHub's own command: it records each call, and lists the comments that there are.
GH = """#!/bin/bash
printf '%s\\n' "$*" >> "$GH_LOG"
if [[ "$*" == *"--jq"* ]]; then cat "$GH_COMMENTS"; fi
"""


def run(name: str, folder: Path, inputs: dict[str, str], **env: str) -> subprocess.CompletedProcess[str]:
    """Run a step as GitHub does, with its environment filled in."""
    step = STEPS[name]
    values = {**{key: each.get("default", "") for key, each in ACTION["inputs"].items()}, **inputs}
    filled = {
        key: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda match: values[match[1]], value)
        for key, value in step.get("env", {}).items()
    }
    given = {**os.environ, **filled, **env, "RUNNER_TEMP": str(folder / "temp"), "GITHUB_REPOSITORY": "acme/bots"}
    given |= {"GITHUB_OUTPUT": str(folder / "output"), "GITHUB_STEP_SUMMARY": str(folder / "summary")}
    given["PATH"] = f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    return subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "eval_sets").mkdir()
    (tmp_path / "eval_sets" / "a.jsonl").write_text('{"id": "one", "input": "1", "expected": "1"}\n')
    (tmp_path / "eval_sets" / "a.toml").write_text("[[gates]]\nmin = 1.0\n")
    (tmp_path / "temp").mkdir()
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "code"), [("1", 0), ("2", 1)])
def test_the_evaluation_writes_its_reports_and_its_exit_code_is_that_of_the_gates(
    project: Path, answer: str, code: int
) -> None:
    with ScriptedServer(lambda _: answer) as server:
        env = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "", "PYTEST_ADDOPTS": "-p no:randomly"}
        inputs = {"model": "m", "args": "-q --finetune-redact"}
        ran = run("Evaluate", project, inputs, **env)
        assert ran.returncode == code, ran.stdout + ran.stderr
        again = run("Evaluate", project, inputs, **env)
        assert again.returncode == code
    written = project / "temp" / "pytest-finetune"
    assert {path.name for path in written.iterdir()} == {"report.html", "report.md", "junit.xml"}
    assert (project / "output").read_text().splitlines()[0] == f"report={written}/report.html"
    assert (written / "report.md").read_text() in (project / "summary").read_text()


@pytest.mark.parametrize(
    ("comments", "method", "place"), [("", "POST", "7/comments"), ("31\n", "PATCH", "comments/31")]
)
def test_there_is_one_comment_and_it_is_updated(project: Path, comments: str, method: str, place: str) -> None:
    written = project / "temp" / "pytest-finetune"
    written.mkdir()
    (written / "report.md").write_text("it ships\n")
    (project / "comments").write_text(comments)
    log = project / "calls"
    ran = run(COMMENT, project, {}, NUMBER="7", GH_LOG=str(log), GH_COMMENTS=str(project / "comments"))
    assert ran.returncode == 0, ran.stderr
    assert log.read_text().splitlines()[-1] == (
        f"api --method {method} repos/acme/bots/issues/{place} --field body=@comment.md --silent"
    )
    assert (written / "comment.md").read_text() == "<!-- pytest-finetune -->\nit ships\n"


def test_without_a_report_there_is_no_comment(project: Path) -> None:
    (project / "temp" / "pytest-finetune").mkdir()
    assert run(COMMENT, project, {}, NUMBER="7", GH_LOG=str(project / "calls")).returncode == 0
    assert not (project / "calls").exists()


def test_inputs_reach_the_shell_only_through_the_environment() -> None:
    assert [name for name, step in STEPS.items() if "${{" in step.get("run", "")] == []
    assert all(step["shell"] == "bash" for step in STEPS.values() if "run" in step)
    documented = (ROOT / "docs" / "ci.md").read_text("utf-8")
    assert [name for name in ACTION["inputs"] if f"| `{name}` |" not in documented] == []


@pytest.mark.parametrize("steps", [ACTION["runs"]["steps"], *(job["steps"] for job in WORKFLOW["jobs"].values())])
def test_actions_are_pinned_by_commit(steps: list[dict[str, Any]]) -> None:
    used = [step["uses"] for step in steps if "uses" in step]
    assert used
    assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", action) for action in used)


def test_the_projects_workflow_covers_the_supported_versions() -> None:
    jobs = WORKFLOW["jobs"]
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    supported = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project)
    assert jobs["light"]["strategy"]["matrix"] == {"os": ["macos-latest", "windows-latest"], "python": supported}
    assert jobs["versions"]["strategy"]["matrix"]["python"] == supported
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert json.dumps(jobs["all"]["steps"]).count(".ci/run") == 1
