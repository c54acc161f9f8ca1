"""
Screenshots of the run page, light and dark, for the README.

    make demo
    cd demo && python ../docs/page_pictures.py last RUN    # RUN: the run of v1, with which v2 is compared

Takes any run, and optionally a second one to compare it with. The screenshots show the first screen at the width of a
laptop.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from pytest_finetune.cli.runs.options import find_run, project_of, run_store
from pytest_finetune.reports.page.document import page_html
from pytest_finetune.reports.sources import from_record

HERE = Path(__file__).parent
SIZE = {"width": 1200, "height": 1040}


def main() -> None:
    name, *others = sys.argv[1:] or ["last"]
    run, against = find_run(run_store(), name), [find_run(run_store(), other) for other in others]
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "page.html")
        page.write_text(page_html([from_record(run, root=project_of(run), against=next(iter(against), None))]), "utf-8")
        for scheme in ("light", "dark"):
            path = HERE / f"page-{scheme}.png"
            path.write_bytes(screenshot(page, scheme))
            print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def screenshot(page_file: Path, scheme: str) -> bytes:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        )
        page = browser.new_page(viewport=SIZE, color_scheme=scheme, device_scale_factor=1.25)
        page.goto(page_file.as_uri())
        page.wait_for_selector("html[data-ready]")
        image: bytes = page.screenshot()
        browser.close()
    return image


if __name__ == "__main__":
    main()
