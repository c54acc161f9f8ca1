"""The examples of docs/rollout.md run, and all options are documented there."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from pytest_finetune import ModelRouter

PAGE = (Path(__file__).parents[2] / "docs/rollout.md").read_text("utf-8")


def test_the_documented_examples_run(registry, server, monkeypatch):
    monkeypatch.chdir(registry.path.parent)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    server.answer = lambda body: "bug"
    names = {}
    for example in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        exec(example, names)
    assert names["answer"].choices[0].message.content == "bug"
    assert names["model"] in {"ft:v2", "ft:v3"}
    assert sum(standing.calls for standing in names["router"].status()) == 2
    names["client"].close()


def test_every_option_is_documented_with_its_default():
    options = inspect.signature(ModelRouter.__init__).parameters
    named = [name for name, option in options.items() if option.kind is option.KEYWORD_ONLY]
    assert [name for name in named if f"| `{name}` |" not in PAGE] == []
    assert f"({options['false_alarm_rate'].default})" in PAGE
    assert f"({options['poll'].default})" in PAGE
