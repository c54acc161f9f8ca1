"""A real headless Chromium. Each opened page makes one request, for its own file, and no dialog or console error."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Witness:
    """Requests, dialogs and console errors of a page."""

    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self, page: Any) -> None:
        page.on("request", lambda request: self.requests.append(request.url.partition("#")[0]))
        page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None
        )


def _missing(what: str) -> None:
    """Skip without a browser, but fail in CI, where a skip would hide that nothing was tested."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}, and CI is to try the pages in a real browser", pytrace=False)
    pytest.skip(what)


# Of one module and not of the session: its event loop counts as running, and other tests start their own.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not path:
        _missing("no chromium: apt-get install chromium, or set $CHROMIUM")
    if shutil.which(path) is None:
        _missing(f"no chromium: $CHROMIUM is {path}, which is no program")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("no playwright: pip install playwright")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Open a file: `opened(path, "#state=missed", color_scheme="dark")`; the rest are options of the context."""
    contexts, witnesses = [], []

    def open_page(path: Path, address: str = "", *, width: int = 1280, height: int = 900, **options: Any) -> Any:
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        witness = Witness()
        witnesses.append((path, witness))
        witness.watch(page)
        page.goto(path.as_uri() + address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    for path, witness in witnesses:
        assert set(witness.requests) == {path.as_uri()}
        assert (witness.dialogs, witness.complaints) == ([], [])
