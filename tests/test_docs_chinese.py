"""A Chinese page names the version of the English page that it was written after."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.zh.md"), *(ROOT / "docs").glob("**/*.zh.md")])
TWIN = re.compile(r"<!-- written after (\S+), sha256 ([0-9a-f]{64}) -->\n")


def english(page: Path) -> Path:
    return page.with_name(page.name.replace(".zh.md", ".md"))


def test_there_is_a_chinese_readme() -> None:
    assert ROOT / "README.zh.md" in PAGES
    assert "(README.zh.md)" in (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_english_page_has_not_changed_since(page: Path) -> None:
    match = TWIN.match(page.read_text("utf-8"))
    assert match is not None, "the first line names the English page and its hash"
    twin = english(page)
    assert match[1] == twin.name
    now = sha256(twin.read_bytes()).hexdigest()
    assert match[2] == now, f"{twin.name} has changed: bring {page.name} up to date, then write sha256 {now}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_of_settings_and_commands_are_those_of_the_english_page(page: Path) -> None:
    def blocks(path: Path) -> list[str]:
        found = re.findall(r"^```(?:toml|console)\n(.*?)^```", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        return [re.sub(r"\s*#.*", "", block) for block in found]

    assert blocks(page) == blocks(english(page))
