"""docs/troubleshooting.md explains messages that the program really prints."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
SOURCE = "\n".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))


def test_every_message_is_one_of_the_source() -> None:
    tables = re.findall(r"^\| message \| cause and remedy \|\n\|---\|---\|\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    messages = [row.split(" | ")[0].removeprefix("| ") for table in tables for row in table.splitlines()]
    assert len(messages) >= 15
    assert [message for message in messages if message not in SOURCE] == []


def test_every_option_and_variable_exists() -> None:
    named = set(re.findall(r"`(--[a-z-]+|[A-Z]+_[A-Z_]+)", TEXT))
    assert {"--resume", "OPENAI_API_KEY"} <= named
    assert [name for name in named if name not in SOURCE] == []
