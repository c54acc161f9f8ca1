"""What all tests share: pytest inside pytest, a scripted server, and eval sets written in a line."""

from __future__ import annotations

import json

import pytest
from scripted_server import ScriptedServer

import pytest_finetune.evaluation.pricing
import pytest_finetune.evaluation.targets.cache
import pytest_finetune.evaluation.targets.client
import pytest_finetune.evaluation.targets.local
import pytest_finetune.evaluation.targets.openai  # noqa: F401

# pytester forgets what an inner session imports. Imported twice, C extensions misbehave, and it is slow.

pytest_plugins = ["pytester"]

# Nothing in an inner session needs hypothesis, which each of its processes would import for half a second.
PLAIN = ("-p", "no:randomly", "-p", "no:hypothesispytest")
LABELS = ("bug", "feature", "question", "other")


@pytest.fixture(autouse=True)
def _no_key_from_outside(monkeypatch):
    """No test asks anyone but a server it has started."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server():
    """Answers every question with its own last message."""
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
            {"id": f"case-{number}", "input": asked, "expected": answer, **common}
            for number, (asked, answer) in enumerate(zip(inputs, expected, strict=True))
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
        return (pytester.runpytest_subprocess if subprocess else pytester.runpytest_inprocess)(*options)

    return run
