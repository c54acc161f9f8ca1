"""What all tests share: pytest inside pytest, a scripted server, eval sets written in one line, golden files."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import _pytest.pytester
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, settings
from scripted_server import ScriptedServer

pytest_plugins = ["pytester"]

# Hypothesis profiles; no deadlines, which would measure the machine. In CI the examples are the same in every run, so
# that a failure comes from the change. `make test-fast` passes --hypothesis-profile=quick.
settings.register_profile("random", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("quick", settings.get_profile("random"), max_examples=10)
settings.register_profile("ci", settings.get_profile("random"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "random")

# Inner sessions do not need hypothesis, whose import takes half a second in each process.
PLAIN = ("-p", "no:randomly", "-p", "no:hypothesispytest")
SLOW_FIXTURES = {"chromium", "mlflow_address", "pytester", "running"}
"""A browser, an MLflow server, pytest inside pytest, our own server with a model in it: what uses one is `slow`."""

ROOT = str(Path(__file__).parents[1])
LABELS = ("bug", "feature", "question", "other")


class _ForgetOnlyOwnModules(_pytest.pytester.SysModulesSnapshot):
    """
    After an inner session, forget only the modules that its test wrote.

    pytester forgets all that an inner session imported. Imported a second time, C extensions misbehave, classes are no
    longer those that other modules hold, and it is slow.
    """

    def __init__(self, preserve=None):
        super().__init__(preserve=_is_installed)


def _is_installed(name):
    # By its own dictionary: torch.classes answers to any attribute.
    module = getattr(sys.modules.get(name), "__dict__", {})
    origins = [module.get("__file__") or "", *(module.get("__path__") or [])]
    # The repository itself, with its environment, may be in the folder for temporary files.
    return not any(origin.startswith(tempfile.gettempdir()) and not origin.startswith(ROOT) for origin in origins)


_pytest.pytester.SysModulesSnapshot = _ForgetOnlyOwnModules


@pytest.fixture(autouse=True)
def _no_key_from_outside(monkeypatch):
    """Tests send requests only to servers that they have started."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="rewrite golden files with the outputs as they are")


def pytest_collection_modifyitems(items):
    for item in items:
        if not SLOW_FIXTURES.isdisjoint(item.fixturenames) or _needs_weights(item):
            item.add_marker(pytest.mark.slow)


def _needs_weights(item):
    """Whether a real model answers or is trained: such tests are skipped where its weights are not installed."""
    return any("weights" in mark.kwargs["reason"] for mark in item.iter_markers("skipif"))


@pytest.fixture
def golden(request):
    """
    Compare a text with a golden file, in `golden/` next to the test: `golden("runs-list.txt", output)`.

    syrupy keeps its session in a module global, which the sessions that pytester runs in this process would replace.
    """

    def compare(name, text):
        path = request.path.parent / "golden" / name
        if request.config.getoption("update_golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
        assert text == path.read_text("utf-8"), f"{path} differs; where that is meant: pytest --update-golden"

    return compare


@pytest.fixture
def server():
    """Echoes the last message of each request."""
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def suite(pytester):
    """Write an eval set: `suite(6)`, `suite(["bug", "bug"], toml="…", name="tickets")`. The server echoes the input."""

    def write(expected=3, *, toml=None, name="tickets", inputs=None, **common):
        if isinstance(expected, int):
            expected = [f"word-{number}" for number in range(expected)]
        inputs = inputs or expected
        rows = [
            {"id": f"case-{number}", "input": question, "expected": answer, **common}
            for number, (question, answer) in enumerate(zip(inputs, expected, strict=True))
        ]
        folder = pytester.path / "eval_sets"
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        if toml is not None:
            path.with_suffix(".toml").write_text(toml, "utf-8")
        return path

    return write


@pytest.fixture
def evaluate(pytester, server):
    """Run pytest on the suite with the scripted server as the model `ft:test`; with the response cache if asked."""

    def run(*options, model="ft:test", subprocess=False, cache=False):
        if not cache:
            options = ("--finetune-no-cache", *options)
        options = (f"--model={model}", f"--model-base-url={server.url}", *PLAIN, *options)
        if subprocess:
            # For sessions that hang, not for loaded machines.
            return pytester.runpytest_subprocess(*options, timeout=300)
        return pytester.runpytest_inprocess(*options)

    return run


@pytest.fixture
def calibrate(server):
    """Run `gates calibrate` on the suite with the scripted server as the judge's."""
    from pytest_finetune.cli import main

    def run(*options):
        arguments = ["gates", "calibrate", "eval_sets/tickets.jsonl", f"--base-url={server.url}", *options]
        return CliRunner().invoke(main, arguments, catch_exceptions=False)

    return run
