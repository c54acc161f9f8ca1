"""
What the documentation site adds to the files of docs/: the README as its first page, and links out of the folder.

mkdocs calls these functions; mkdocs.yml names this file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parents[1]
PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "SECURITY.md": "security.md"}
"""Pages that lie next to docs/, and their names on the site."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie next to docs/."""
    for source, name in PAGES.items():
        text = (ROOT / source).read_text("utf-8")
        text = re.sub(r'(\]\(|src="|srcset=")docs/', r"\1", text)
        files.append(File.generated(config, name, content=_moved(text, str(config.repo_url), here="")))
    return files


def on_page_markdown(markdown: str, config: MkDocsConfig, **_: object) -> str:
    """Links to files out of docs/ lead to the repository, or to their page on the site."""
    return _moved(markdown, str(config.repo_url), here="../")


def _moved(text: str, repository: str, *, here: str) -> str:
    def target(match: re.Match[str]) -> str:
        path, anchor = match["path"], match["anchor"] or ""
        if path in PAGES:
            return f"]({PAGES[path]}{anchor})"
        # Pages of docs/ itself, which the README links.
        if not here and (ROOT / "docs" / path).exists():
            return match[0]
        return f"]({repository}/blob/main/{path}{anchor})"

    return re.sub(rf"\]\({re.escape(here)}(?P<path>[\w./-]+)(?P<anchor>#[\w-]+)?\)", target, text)
