"""A Chinese page names the English page that it was written after, and its hash; its blocks run or are of that page."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner

from pytest_finetune import load_eval_set
from pytest_finetune.cli import main

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "zh"
PAGES = sorted([*ROOT.glob("*.zh.md"), *GUIDE.glob("*.md")])
TWIN = re.compile(r"<!-- written after (\S+), sha256 ([0-9a-f]{64}) -->\n")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TRANSLATED = ("eval-sets", "verdicts", "reports", "lifecycle")
HAN = re.compile(r"[\u4e00-\u9fff]")


def blocks(path: Path) -> list[tuple[str, str]]:
    """The blocks of a page by kind; without comments, which are in the page's language, and blanks before them."""
    return [(kind, re.sub(r"\s+#.*", "", text)) for kind, text in BLOCK.findall(path.read_text("utf-8"))]


def twin(page: Path) -> Path:
    match = TWIN.match(page.read_text("utf-8"))
    assert match is not None, "the first line names the English page and its hash"
    return ROOT / match[1]


@pytest.mark.parametrize("name", ["README.md", *(f"docs/{name}.md" for name in TRANSLATED)])
def test_the_readme_and_the_guide_are_there_in_chinese(name: str) -> None:
    assert name in {str(twin(page).relative_to(ROOT)) for page in PAGES}


def test_pages_are_linked_and_in_the_navigation() -> None:
    assert "(README.zh.md)" in (ROOT / "README.md").read_text("utf-8")
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8")
    readme = (ROOT / "README.zh.md").read_text("utf-8")
    for page in GUIDE.glob("*.md"):
        assert f": zh/{page.name}\n" in navigation
        assert f"(docs/zh/{page.name})" in readme


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_english_page_has_not_changed_since(page: Path) -> None:
    english = twin(page)
    written = TWIN.match(page.read_text("utf-8"))[2]
    now = sha256(english.read_bytes()).hexdigest()
    assert written == now, f"{english.name} has changed: bring {page.name} up to date, then write sha256 {now}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_text_is_chinese(page: Path) -> None:
    paragraphs = BLOCK.sub("", page.read_text("utf-8")).split("\n\n")
    long = [text for text in paragraphs if len(text) > 200 and not text.startswith(("<!--", "<picture", "![", "    "))]
    assert [text for text in long if len(HAN.findall(text)) < len(text) / 8] == []


def test_blocks_of_the_readme_are_those_of_the_english_one() -> None:
    def shared(path: Path) -> list[tuple[str, str]]:
        return [block for block in blocks(path) if block[0] in ("toml", "console")]

    assert shared(ROOT / "README.zh.md") == shared(ROOT / "README.md")


@pytest.mark.parametrize("page", [*GUIDE.glob("*.md")], ids=lambda page: page.name)
def test_blocks_of_the_guide_are_those_of_the_english_page(page: Path) -> None:
    """All but those of the first steps that have Chinese rows, which the next test runs."""
    own = [block for block in blocks(page) if block not in blocks(twin(page))]
    assert [kind for kind, _ in own] == (["csv", "console", "json"] if page.name == "start.md" else [])


def test_the_first_steps_run_as_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = GUIDE / "start.md"
    (_, rows), (_, shown), (_, lines) = [block for block in blocks(page) if block not in blocks(twin(page))]
    monkeypatch.chdir(tmp_path)
    Path("faq.csv").write_text(rows, "utf-8")
    command, printed = shown.split("\n", 1)

    result = CliRunner().invoke(main, command.removeprefix("$ pytest-finetune ").split(), prog_name="pytest-finetune")

    assert (result.exit_code, result.output) == (0, printed)
    assert Path("eval_sets/tickets.jsonl").read_text("utf-8").startswith(lines)
    assert len(load_eval_set("eval_sets/tickets.jsonl").cases) == 6
