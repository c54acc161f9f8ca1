"""
The pages against axe-core's rules: WCAG 2.2 A and AA, and its best practices.

axe-core comes from npm and is not among the requirements of the tests: `.ci/run` installs it, and `$AXE` may name the
file. Without it these tests are skipped.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from page_runs import recorded, write_set
from viewer_process import TOKEN, viewer

from pytest_finetune.reports.page.document import page_html
from pytest_finetune.reports.sources import from_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from viewer_process import Client

AXE = Path(os.environ.get("AXE") or Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js")

pytestmark = pytest.mark.skipif(not AXE.is_file(), reason="no axe-core: npm install axe-core, or set $AXE")

WORDS = ("bug", "feature", "question")
LABELS = 'scorer = "label"\nlabels = ["bug", "feature", "question"]\n[[gates]]\nmin = 0.9\n[[gates]]\nmin = 0.1\n'


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models over two sets; one of them with labels, tags and a failed gate."""
    root: Path = tmp_path_factory.mktemp("pages")
    rows = [
        {"id": f"c{n}", "input": f"text {n}", "expected": WORDS[n % 3], "tags": ["en", f"t{n % 12}"]} for n in range(40)
    ]
    sets = [
        write_set(root, "tickets", rows, LABELS),
        write_set(root, "plain", [{"id": "p", "system": "Answer.", "input": "x", "expected": "y"}]),
    ]
    for skew in (0, 1):
        recorded(root, sets, lambda case, _, skew=skew: _answer(case.id, skew), spec=f"ft:model-{skew}")
    return root


def _answer(case_id: str, skew: int) -> str:
    number = int(case_id[1:] or 0)
    return "bug, I think" if number % 9 == skew else WORDS[(number + (number % 5 == skew)) % 3]


@pytest.fixture(scope="module")
def running(project: Path) -> Iterator[Client]:
    with viewer(project) as client:
        yield client


@pytest.fixture
def faults(chromium: Any) -> Iterator[Callable[..., list[str]]]:
    """The rules that a page breaks, each with the first element that does."""
    contexts: list[Any] = []

    def check(*addresses: str, width: int = 1280, scheme: str = "light") -> list[str]:
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        for address in addresses:
            page.goto(address)
        page.evaluate(AXE.read_text("utf-8"))
        found = page.evaluate("axe.run(document)")
        return [f"{one['id']}: {one['nodes'][0]['html'][:150]}" for one in found["violations"]]

    yield check
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_run_page_breaks_no_rule(project: Path, tmp_path: Path, faults: Any, width: int, scheme: str) -> None:
    new, old = (from_record(run, root=project) for run in _runs(project))
    path = tmp_path / "page.html"
    path.write_text(page_html([new, old]), "utf-8")
    assert faults(path.as_uri(), width=width, scheme=scheme) == []


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("path", ["/", "/history", "/runs/{run}?against={other}", "/runs/none"])
def test_the_viewer_breaks_no_rule(running: Client, project: Path, faults: Any, path: str, width: int) -> None:
    new, old = _runs(project)
    enter = f"{running.url}/?token={TOKEN}"
    assert faults(enter, running.url + path.format(run=new.id, other=old.id), width=width) == []


def test_axe_sees_a_fault(tmp_path: Path, faults: Any) -> None:
    path = tmp_path / "page.html"
    path.write_text("<!doctype html><title>t</title><main><h1>t</h1><img src='data:,'></main>", "utf-8")
    assert [fault.partition(":")[0] for fault in faults(path.as_uri())] == ["html-has-lang", "image-alt"]


def _runs(project: Path) -> list[Any]:
    from pytest_finetune.evaluation.runs import Run, RunStore

    return [Run.load(path) for path in RunStore(project / ".finetune" / "runs").newest_first()]
