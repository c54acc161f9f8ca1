"""The viewer in a real browser: a person finds a run, compares it, reviews a case and finds the review again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from page_runs import recorded, write_set
from viewer_process import TOKEN, Client, viewer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Visit = Callable[..., Any]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    root: Path = tmp_path_factory.mktemp("viewer")
    rows = [{"id": f"c{n}", "input": f"question {n}", "expected": "yes"} for n in range(30)]
    tickets = write_set(root, "tickets", rows, "[[gates]]\nmin = 0.95\n")
    write_set(root, "others", [{"id": "o1", "input": "other", "expected": "no"}])
    labels = 'scorer = "label"\nlabels = ["yes", "no"]\n'
    write_set(root, "labels", [{"id": "l1", "input": "other", "expected": "no"}], labels)
    recorded(root, [tickets], lambda *_: "yes", spec="ft:old")
    recorded(root, [tickets], lambda case, _: "no" if case.id in ("c3", "c7") else "yes", spec="ft:new")
    with viewer(root) as client:
        yield client


@pytest.fixture
def visit(chromium: Any, running: Client) -> Iterator[Visit]:
    """Open the viewer; every request goes to it, and none fails."""
    contexts: list[Any] = []
    requests: list[str] = []
    problems: list[str] = []

    def open_page(path: str = "/", *, width: int = 1280, **options: Any) -> Any:
        context = chromium.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
        page.goto(f"{running.url}/?token={TOKEN}")
        page.goto(running.url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [url for url in requests if not url.startswith((running.url, "data:"))] == []
    assert problems == []


def open_newest(page: Any) -> None:
    page.locator(".runs a").first.click()
    page.locator("html[data-ready]").wait_for()


def test_a_run_is_found_and_compared_with_another(visit: Visit) -> None:
    page = visit("/?q=ft")
    assert page.locator(".runs tbody tr").count() == 2
    page.get_by_label("A: ").last.check()
    page.get_by_label("B: ").first.check()
    page.get_by_role("button", name="Compare B with A").click()
    page.locator("html[data-ready]").wait_for()
    assert page.locator("h1").inner_text() == "ft:new"
    assert page.locator(".flip").count() == 2


def test_the_filters_of_the_list_are_kept_in_the_address(visit: Visit) -> None:
    page = visit()
    page.get_by_label("Worst verdict").select_option("pass")
    page.get_by_role("button", name="Filter").click()
    assert page.locator(".runs .id").all_inner_texts() == ["ft:old"]
    assert "status=pass" in page.url
    assert page.get_by_label("Worst verdict").input_value() == "pass"


def test_a_review_is_saved_and_found_again_by_its_filter(visit: Visit) -> None:
    page = visit()
    open_newest(page)
    page.get_by_label("the answer is").select_option("right")
    page.get_by_label("note").fill("<b>the set is wrong</b>")
    page.get_by_role("button", name="Save").click()
    page.locator(".review output").first.filter(has_text="saved").wait_for()
    address = page.url.partition("#")[0]
    page.goto(f"{address}#review=right")
    page.reload()
    assert page.locator("#sheet .id").all_inner_texts() == ["c3"]
    assert page.get_by_label("note").input_value() == "<b>the set is wrong</b>"


def test_a_case_is_added_to_a_set_and_a_second_time_refused(visit: Visit) -> None:
    page = visit()
    open_newest(page)
    page.get_by_text("add to an eval set").click()
    form = page.locator("details .review")
    page.locator("details[data-ready]").wait_for()
    assert form.locator("textarea").input_value() == "yes"
    form.get_by_role("button", name="take the model's answer").click()
    assert form.locator("textarea").input_value() == "no"
    form.get_by_label("eval set").select_option("eval_sets/others.jsonl")
    form.get_by_role("button", name="Add").click()
    form.locator("output").filter(has_text="added as c3").wait_for()


def test_the_label_of_a_set_of_labels_is_chosen(visit: Visit) -> None:
    page = visit()
    open_newest(page)
    page.get_by_text("add to an eval set").click()
    page.locator("details[data-ready]").wait_for()
    form = page.locator("details .review")
    form.get_by_label("eval set").select_option("eval_sets/labels.jsonl")
    assert form.locator("select").nth(1).locator("option").all_inner_texts() == ["yes", "no"]
    form.locator("select").nth(1).select_option("no")
    form.get_by_role("button", name="Add").click()
    form.locator("output").filter(has_text="added as c3").wait_for()


def test_the_filter_by_person_follows_a_review_without_a_reload(visit: Visit) -> None:
    page = visit()
    open_newest(page)
    save = page.get_by_role("button", name="Save")
    page.keyboard.press("j")
    title = page.locator("#detail h3").inner_text()
    page.get_by_label("the answer is").select_option("unclear")
    save.click()
    page.locator(".review output").first.filter(has_text="saved").wait_for()
    page.get_by_label("Filter by person").select_option("unclear")
    assert page.locator("#sheet .id").all_inner_texts() == [title]
    page.get_by_label("the answer is").select_option("wrong")
    save.click()
    page.locator("#empty").wait_for()
    assert page.locator("#detail h3").inner_text() == title
    assert page.locator(".review output").first.inner_text() == "saved"


@pytest.mark.parametrize("path", ["/", "/history", "/runs"])
def test_a_phone_needs_no_sideways_scrolling(visit: Visit, path: str) -> None:
    page = visit("/" if path == "/runs" else path, width=390)
    if path == "/runs":
        open_newest(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
