"""The Python of docs/api.md runs as it is written, against a scripted server."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from scripted_server import ScriptedServer

BLOCKS = re.findall(
    r"^```python\n(.*?)^```",
    Path(__file__).parents[1].joinpath("docs/api.md").read_text("utf-8"),
    re.MULTILINE | re.DOTALL,
)


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """Three tickets, all answered rightly."""
    folder = tmp_path / "eval_sets"
    folder.mkdir()
    rows = [{"input": f"ticket {n}: {label}", "expected": label} for n, label in enumerate(["bug", "bill", "bug"])]
    (folder / "tickets.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (folder / "tickets.toml").write_text('scorer = "label"\nlabels = ["bug", "bill"]\n', "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    with ScriptedServer(lambda body: body["messages"][-1]["content"].split()[-1]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        yield server


def test_the_page_has_these_blocks():
    assert len(BLOCKS) == 4


@pytest.mark.parametrize(
    ("block", "printed"),
    list(zip(BLOCKS, ["ships: ", "macro_f1>=0.85 pass", "gpt-4.1-mini-2025-04-14 ships", "[]"], strict=True)),
)
def test_a_block_runs(block, printed, capsys):
    exec(compile(block, "docs/api.md", "exec"), {"__name__": "__main__"})
    assert printed in capsys.readouterr().out


def test_a_model_is_evaluated_in_five_lines():
    lines = BLOCKS[0].splitlines()
    assert len([line for line in lines if line]) == 5
