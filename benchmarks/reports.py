"""
The time to write and to open the reports of 1,000 and 10,000 cases.

    python benchmarks/reports.py --cases 1000 10000

A scripted server answers immediately, one case in ten wrongly; later sessions replay that run, each in a separate
process. The cost of a report is the additional CPU time of a session that writes it; `runs report` is a whole process,
start-up included. The files are opened in headless Chromium: time until the first row is visible, time from a keystroke
in the filter until its rows are drawn, and frame times while the list is scrolled from top to bottom.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from overhead import plugin, pytest, run, scripted_server

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync")
REPORT = "from pytest_finetune.cli import main; main()"

KEYSTROKE = """async (text) => {
  const search = document.getElementById("search");
  const started = performance.now();
  search.value = text;
  search.dispatchEvent(new Event("input"));
  await new Promise(requestAnimationFrame);
  document.getElementById("sheet").getBoundingClientRect();
  return performance.now() - started;
}"""
SCROLL = """async () => {
  const list = document.getElementById("grid");
  const frames = [];
  const steps = 120;
  let before = performance.now();
  for (let step = 1; step <= steps; step++) {
    list.scrollTop = (list.scrollHeight * step) / steps;
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    frames.push(now - before);
    before = now;
  }
  frames.sort((a, b) => a - b);
  return [frames[Math.floor(steps / 2)], frames[Math.floor(steps * 0.95)]];
}"""


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder, scripted_server(0) as url:
        suites = {cases: write_suite(Path(folder), cases) for cases in arguments.cases}
        # Byte code is compiled once after an installation, not once a run.
        run(plugin(write_suite(Path(folder), 1), url, "--finetune-html=page.html"), write_suite(Path(folder), 1))
        print(f"{'':<30}{'cases':>8}{'CPU s':>9}{'MB':>7}{'open ms':>9}{'filter ms':>11}{'frame ms p50/p95':>18}")
        for cases, suite in suites.items():
            run(plugin(suite, url), suite)
            bare = least(replay(suite), suite)
            session_page(suite, cases, bare)
            recorded_page(suite, cases)
            if not arguments.no_pytest_html:
                pytest_html(suite, cases, bare)


def replay(suite: Path, *options: str) -> list[str]:
    return pytest("--model=replay:last", f"--rootdir={suite}", *options)


def least(command: Sequence[str], suite: Path) -> float:
    """CPU seconds, the minimum of three runs: other load on the machine can only add to them."""
    return min(run(command, suite).cpu for _ in range(3))


def session_page(suite: Path, cases: int, bare: float) -> None:
    path = suite / "session.html"
    cpu = least(replay(suite, f"--finetune-html={path}"), suite)
    show("--finetune-html", cases, cpu - bare, path, measured(path, run_page))


def recorded_page(suite: Path, cases: int) -> None:
    path = suite / "report.html"
    command = [sys.executable, "-c", REPORT, "runs", "report", "last", "--force", "-o", str(path)]
    show("runs report, whole process", cases, least(command, suite), path, measured(path, run_page))


def pytest_html(suite: Path, cases: int, bare: float) -> None:
    path = suite / "pytest.html"
    cpu = least(replay(suite, f"--html={path}", "--self-contained-html"), suite)
    show("pytest-html, self-contained", cases, cpu - bare, path, measured(path, html_table))


def run_page(page: Any) -> list[float]:
    page.wait_for_selector("#sheet .row")
    opened = page.evaluate("performance.now()")
    return [opened, page.evaluate(KEYSTROKE, "order 77"), *page.evaluate(SCROLL)]


def html_table(page: Any) -> list[float]:
    page.wait_for_selector("#results-table .results-table-row", state="attached", timeout=600_000)
    return [float(page.evaluate("performance.now()"))]


def measured(path: Path, look: Callable[[Any], list[float]]) -> list[float]:
    """The figures of the median of three openings, ordered by the first figure."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        figures = []
        for _ in range(3):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(path.as_uri(), timeout=600_000)
            figures.append(look(page))
            page.close()
        browser.close()
    return sorted(figures)[1]


def show(name: str, cases: int, cpu: float, path: Path, figures: Sequence[float]) -> None:
    size = path.stat().st_size / 1e6
    line = f"{name:<30}{cases:>8,}{cpu:>9.2f}{size:>7.2f}{figures[0]:>9.0f}"
    if len(figures) > 1:
        line += f"{figures[1]:>11.0f}{figures[2]:>12.0f} /{figures[3]:>4.0f}"
    print(line, flush=True)


def write_suite(folder: Path, cases: int) -> Path:
    suite = folder / f"suite-{cases}"
    lines = suite / "eval_sets" / "cases.jsonl"
    if not lines.exists():
        lines.parent.mkdir(parents=True)
        rows = [
            {
                "id": f"case-{number}",
                "system": "Label the customer's message with one word: ok, late, broken, other.",
                "input": f"order {number} came late, the box was open, and nobody answers the telephone since Monday",
                "expected": "late" if number % 10 == 9 else "ok",
                "tags": ["en" if number % 3 else "zh", *(["critical"] if number % 17 == 0 else [])],
            }
            for number in range(cases)
        ]
        lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
        toml = 'scorer = "label"\nlabels = ["ok", "late", "broken", "other"]\n[[gates]]\nmin = 0.5\n'
        lines.with_suffix(".toml").write_text(toml)
    return suite


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, nargs="+", default=[1000, 10_000], help="sizes of the eval set")
    parser.add_argument("--no-pytest-html", action="store_true", help="leave out the rows of pytest-html")
    return parser.parse_args()


if __name__ == "__main__":
    main()
