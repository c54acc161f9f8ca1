"""The examples of docs/running.md do what the page says."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from batch_server import BatchServer
from click.testing import CliRunner
from scripted_server import Reply, completion

from pytest_finetune.cli import main
from pytest_finetune.evaluation.configured_prices import project_prices
from pytest_finetune.evaluation.runs import RunStore

PAGE = (Path(__file__).parents[1] / "docs" / "running.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def block(language, containing):
    (text,) = [text for name, text in BLOCKS if name == language and containing in text]
    return text


def commands(containing):
    return [line.removeprefix("$ ") for line in block("console", containing).splitlines()]


def run(line, server, monkeypatch):
    """Run a documented command against the scripted server, and return its output."""
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    words = re.sub(r" --base-url=\S+", "", line).split()[1:]
    words = [found for word in words for found in (sorted(map(str, Path().glob(word))) if "*" in word else [word])]
    result = CliRunner().invoke(main, words, prog_name="pytest-finetune")
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def project(suite, pytester, monkeypatch):
    suite(40, toml="[[gates]]\nmin = 0.8\nconfidence = 0.95\n")
    monkeypatch.chdir(pytester.path)
    return pytester.path


def test_every_block_is_tested_here_or_with_its_subject():
    tested = [
        "pytest_finetune_target",
        "finetune_prices",
        "--batch",
        "batch export",
        "eval_case",
        "127.0.0.1:8000",
        "--shard",
    ]
    tested.append("-p no:anyio")
    assert [next((one for one in tested if one in text), text) for _, text in BLOCKS] == tested


def test_a_client_for_another_authentication_is_a_target(suite, evaluate, server, pytester):
    suite(2)
    hook = block("python", "pytest_finetune_target").replace("…", f"azure_endpoint={server.url!r}, **AZURE")
    setup = 'import openai\n\nAZURE = {"api_key": "k", "api_version": "2024-10-21"}\n\n'
    pytester.makeconftest(setup + hook)
    result = evaluate(model="azure:my-deployment")
    result.assert_outcomes(passed=2)
    assert all("/deployments/my-deployment/" in one.path for one in server.requests)


def test_configured_prices_are_those_of_the_page(pytester):
    pytester.makeini(block("ini", "finetune_prices"))
    prices = project_prices(pytester.path)
    rates = prices.rates("ft:gpt-4.1-mini-2025-04-14:acme:x:1")
    assert (rates.prompt, rates.completion, rates.cached) == (Decimal("0.80"), Decimal("3.20"), Decimal("0.20"))
    assert prices.rates("support-1").completion == Decimal("0.30")
    assert prices.rates("support-1", batch=True).completion == Decimal("0.15")
    assert prices.training_rate("smollm2-360m") == 2


def test_a_batch_is_sent_once_and_scored_like_any_other_run(project, monkeypatch):
    with BatchServer(lambda body: body["messages"][-1]["content"]) as server:
        output = run(next(line for line in commands("--batch") if " run " in line), server, monkeypatch)
    assert "ships: 1 of 1 gates passed" in output


def test_requests_are_exported_and_answers_imported(project, server, monkeypatch):
    export, _, imported = commands("batch export")
    run(export, server, monkeypatch)
    lines = []
    for line in Path("tickets.jsonl").read_text("utf-8").splitlines():
        asked = json.loads(line)
        answer = completion(Reply(asked["body"]["messages"][-1]["content"]), asked["body"])
        lines.append({"custom_id": asked["custom_id"], "response": {"status_code": 200, "body": answer}, "error": None})
    Path("answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    assert "ships: 1 of 1 gates passed" in run(imported, server, monkeypatch)


def test_a_plugin_that_nobody_needs_is_switched_off(pytester):
    pytester.makeini(block("ini", "-p no:anyio"))
    (line,) = [line for line in pytester.runpytest_subprocess().outlines if line.startswith("plugins:")]
    assert "html" in line
    assert "anyio" not in line


def test_a_marked_function_runs_once_per_case(suite, evaluate, pytester):
    suite(["sorry", "fine"])
    pytester.makepyfile(test_tone=block("python", "eval_case"))
    evaluate("test_tone.py").assert_outcomes(passed=1, failed=1)


def test_a_run_without_pytest(project, server, monkeypatch):
    (line,) = commands("127.0.0.1:8000")
    assert "my-model ships" in run(line, server, monkeypatch)


def test_shards_are_run_and_merged(project, server, monkeypatch):
    shard, merge = commands("--shard")
    for number in range(1, 17):
        run(shard.replace("3/16", f"{number}/16"), server, monkeypatch)
    (project / ".finetune" / "runs").rename(project / "artifacts")
    assert "my-model ships" in run(merge, server, monkeypatch)
    (path,) = RunStore(project / ".finetune" / "runs").newest_first()
    assert (path / "manifest.json").exists()
