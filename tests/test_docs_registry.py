"""docs/registry.md and docs/ci.md: commands, options and shutdown dates match the code, and the CI files are valid."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

from pytest_finetune.cli.registry import command
from pytest_finetune.lifecycle.registry.announcements import (
    ANNOUNCED,
    AZURE_ANNOUNCED,
    AZURE_AS_OF,
    AZURE_FINE_TUNES,
    AZURE_SOURCE,
    LAST_FINE_TUNING_DAY,
    SOURCE,
)

DOCS = Path(__file__).parents[1] / "docs"
TEXTS = {name: (DOCS / f"{name}.md").read_text("utf-8") for name in ("registry", "ci")}


def shown_commands():
    for name, text in TEXTS.items():
        for line in re.findall(r"pytest-finetune registry ([^\n`|;)]+)", text):
            words = shlex.split(line.replace("<(", ""), comments=True)
            if words and words[0].isalpha():
                yield pytest.param(words, id=f"{name}:{' '.join(words[:3])}")


@pytest.mark.parametrize("words", list(shown_commands()))
def test_each_shown_command_accepts_its_options(words):
    found = command.get_command(click.Context(command), words[0])
    options = {option for parameter in found.params if isinstance(parameter, click.Option) for option in parameter.opts}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options


def test_every_command_is_documented():
    documented = set(re.findall(r"`([a-z]+)[ `]", TEXTS["registry"]))
    assert set(command.subcommands) <= documented


def dates(heading):
    """The table below a heading as the dates by model."""
    table = TEXTS["registry"].partition(heading)[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (\d{4}-\d{2}-\d{2}) \| (.+) \|$", table, re.MULTILINE)
    return {name: day for day, names in rows for name in names.split(", ")}


def test_the_shutdown_dates_are_those_of_the_code():
    def of_code(table):
        return {name: day.isoformat() for name, day in table.items()}

    assert dates("(OpenAI's API)") == of_code(ANNOUNCED)
    assert dates("without these base models (Azure)") == of_code(AZURE_ANNOUNCED)
    assert dates("without their fine-tunes (Azure)") == of_code(AZURE_FINE_TUNES)
    for fact in (LAST_FINE_TUNING_DAY, SOURCE, AZURE_SOURCE, AZURE_AS_OF):
        assert str(fact) in TEXTS["registry"]


def workflows():
    """The GitHub workflow, the use of the action, the GitLab jobs and the Azure pipeline of docs/ci.md."""
    return [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```", TEXTS["ci"], re.DOTALL | re.MULTILINE)]


def scripts():
    github, _, gitlab, azure = workflows()
    steps = [step for job in github["jobs"].values() for step in job["steps"]]
    return [
        *(step["run"] for step in steps if "run" in step),
        *("\n".join(job["script"]) for job in gitlab.values()),
        *(step["script"] for job in azure["jobs"] for step in job["steps"] if "script" in step),
    ]


def test_the_ci_files_have_the_structure_that_their_services_expect():
    github, action, gitlab, azure = workflows()
    # YAML 1.1 reads the word `on` as true.
    assert set(github[True]) == {"pull_request", "schedule"}
    for job in github["jobs"].values():
        assert job["runs-on"] == "ubuntu-latest"
        assert all(len({"run", "uses"} & set(step)) == 1 for step in job["steps"])
    for job in gitlab.values():
        assert set(job) <= {"image", "rules", "resource_group", "timeout", "script", "artifacts"}
        assert all(isinstance(line, str) for line in job["script"])
    for job in azure["jobs"]:
        assert all(len({"task", "script", "publish"} & set(step)) == 1 for step in job["steps"])
    assert set(action["steps"][1]["with"]) <= set(yaml.safe_load((DOCS.parent / "action.yml").read_text())["inputs"])


def test_the_ci_files_pin_packages_and_request_minimal_permissions():
    github, *_ = workflows()
    assert github["permissions"] == {}
    special = {"promote": {"contents": "write"}, "comment": {"pull-requests": "write"}}
    for name, job in github["jobs"].items():
        assert job["permissions"] == special.get(name, {"contents": "read"})
        key = "secrets.OPENAI_API_KEY" in str(job)
        assert key is (name in {"evaluate", "sunset"})
        actions = [step["uses"] for step in job["steps"] if "uses" in step]
        assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", action) for action in actions)
        checkouts = [step for step in job["steps"] if "checkout" in step.get("uses", "")]
        assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    installs = [line for script in scripts() for line in script.splitlines() if "pip install" in line]
    assert all(re.fullmatch(r"pip install( [a-z-]+==[0-9.]+)+", line) for line in installs)


def test_secrets_reach_only_pull_requests_of_the_repository_itself():
    github, *_ = workflows()
    own = "github.event.pull_request.head.repo.full_name == github.repository"
    assert own in github["jobs"]["evaluate"]["if"]
    assert own.replace("==", "!=") in github["jobs"]["outside"]["if"]
    assert github["jobs"]["promote"]["needs"] == "evaluate"


@pytest.mark.parametrize("script", scripts())
def test_every_script_is_valid_shell(script):
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_every_pytest_option_in_the_ci_files_exists():
    command = [sys.executable, "-m", "pytest", "--help"]
    known = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    joined = [script.replace("\\\n", " ") for script in scripts()]
    lines = [line for script in joined for line in script.splitlines() if line.startswith("pytest ")]
    given = {word.partition("=")[0] for line in lines for word in shlex.split(line) if word.startswith("--")}
    assert {"--model", "--finetune-html", "--max-cost"} <= given
    assert {option for option in given if not re.search(rf"{option}\b", known)} == set()
