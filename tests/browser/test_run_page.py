"""The run page in a real browser: what a reviewer sees, clicks and types."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from page_runs import evaluated, recorded, write_set

from pytest_finetune.base.records import Completion, Failure, Usage
from pytest_finetune.reports.page.document import page_html
from pytest_finetune.reports.sources import from_record, from_session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_finetune.base.records import Case

    Open = Callable[..., Any]


LABELS = """
scorer = "label"
labels = ["bug", "feature", "question"]
[[gates]]
min = 0.9
[[gates]]
metric = "valid_rate"
min = 0.5
"""
LONG_GATE = """
[[gates]]
min = 0.9
where = { tag = "critical-for-the-support-team" }
"""
JSON = """
scorer = "json"
schema = "r.json"
[stability]
repeats = 2
[[gates]]
metric = "format_stability"
min = 0.99
"""
WORDS = ("bug", "feature", "question")


def labels_answer(case: Case, skew: int) -> str:
    number = int(case.id.removeprefix("case-"))
    if number % 10 == skew:
        return "bug, I think"
    return WORDS[(number + 1) % 3] if number % 7 == skew else WORDS[number % 3]


def json_answer(case: Case, attempt: int) -> Completion | Failure | str:
    number = int(case.id.removeprefix("person-"))
    if number == 0 and attempt:
        return '{"name": "P0", "age": "old"}'
    if number == 1:
        return Failure("timeout", "no answer within 120 s")
    if number == 2:
        return Completion("```json\n{}\n```", usage=Usage(10, 3), latency=2.5)
    return f'{{"name": "P{number}", "age": {number}}}'


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def page_file(project: Path) -> Path:
    """Sixty labels against a baseline, and eight records with two attempts each."""
    (project / "eval_sets").mkdir()
    (project / "eval_sets" / "r.json").write_text(
        '{"type": "object", "required": ["name"], "properties": {"age": {"type": "integer"}}}', "utf-8"
    )
    tickets = write_set(
        project,
        "tickets",
        [
            {
                "id": f"case-{number:02}",
                "system": "Label it.",
                "input": f"message number {number} about the <b>order</b>",
                "expected": WORDS[number % 3],
                "tags": ["en" if number % 2 else "zh", *(["critical"] if number % 5 == 0 else [])],
            }
            for number in range(60)
        ],
        LABELS,
    )
    people = write_set(
        project,
        "people",
        [
            {"id": f"person-{number}", "input": f"Who is P{number}?", "expected": {"name": f"P{number}", "age": number}}
            for number in range(8)
        ],
        JSON,
    )
    before = recorded(project, [tickets], lambda case, _: labels_answer(case, 4), spec="ft:before")
    after = recorded(
        project,
        [tickets, people],
        lambda case, attempt: labels_answer(case, 3) if case.id.startswith("case") else json_answer(case, attempt),
        spec="ft:after",
    )
    path = project / "page.html"
    path.write_text(page_html([from_record(after, root=project, against=before)]), "utf-8")
    return path


def shown(page: Any) -> list[str]:
    return page.locator("#sheet .row .id").all_inner_texts()


def count(page: Any) -> str:
    return page.locator("#count").inner_text()


def chips(page: Any) -> list[str]:
    return [text.removesuffix("×") for text in page.locator("#chips .chip").all_inner_texts()]


def chosen(page: Any) -> str:
    return page.locator("#detail h3").inner_text()


def test_the_verdict_and_the_gates_come_first(page_file: Path, opened: Open) -> None:
    page = opened(page_file)
    gates = "1 of 3 gates passed, 1 failed, 1 incomplete; 1 eval set without a gate on quality"
    assert page.title() == f"ft:after: Does not ship: {gates}"
    assert page.locator("h1").inner_text() == "ft:after"
    assert page.locator("main h2").first.inner_text() == "Gates"
    rows = page.locator(".gate-table tbody tr:not(.why)")
    assert rows.count() == 3
    assert page.locator(".gate-table svg .bar").count() == page.locator(".gate-table svg .point").count() > 0


def test_failures_come_first_in_the_list(page_file: Path, opened: Open) -> None:
    page = opened(page_file)
    states = [row.split()[0] for row in page.locator("#sheet .row .state").all_inner_texts()]
    assert states[0] == "missed"
    assert "passed" not in states[: states.index("error")]


def test_filters_combine_and_are_chips_in_the_address(page_file: Path, opened: Open) -> None:
    page = opened(page_file)
    page.select_option("[data-facet=tag]", "zh")
    page.select_option("[data-facet=tag]", "critical")
    assert count(page) == "6 of 68"
    page.select_option("[data-facet=state]", "missed")
    few = shown(page)
    assert 0 < len(few) < 6
    assert chips(page) == ["verdict: missed", "tag: zh", "tag: critical", "clear all"]
    assert "state=missed&tag=zh&tag=critical" in page.url
    page.reload()
    assert shown(page) == few
    page.get_by_role("button", name="Remove the filter verdict: missed").click()
    assert count(page) == "6 of 68"
    page.get_by_role("button", name="clear all").click()
    assert (count(page), chips(page)) == ("68 of 68", [])


def test_text_is_searched_in_ids_prompts_and_answers(page_file: Path, opened: Open) -> None:
    page = opened(page_file)
    for text, found in (("number 17", ["case-17"]), ("case-09", ["case-09"]), ("I think", None), ("Label it", [])):
        page.fill("#search", text)
        if found is None:
            assert len(shown(page)) == 6
        else:
            assert shown(page) == found
    assert page.locator("#empty").is_visible()


def test_a_cell_of_the_matrix_leads_to_its_cases(page_file: Path, opened: Open) -> None:
    page = opened(page_file)
    cell = page.locator(".matrix .wrong a").first
    expected = int(cell.inner_text())
    cell.click()
    assert count(page) == f"{expected} of 68"
    assert [chip.split(":")[0] for chip in chips(page)] == ["set", "expected", "answer", "clear all"]
    assert page.locator("#cases").bounding_box()["y"] < 50


def test_the_matrix_adds_up_to_the_planned_samples(page_file: Path, opened: Open) -> None:
    page = opened(page_file)
    assert sum(int(text) for text in page.locator(".matrix td.sum:not(.before)").all_inner_texts()) == 60
    assert sum(int(text.split()[0]) for text in page.locator(".matrix td:not(.sum) a").all_inner_texts()) == 60


def test_the_matrix_has_the_baseline_and_what_changed_since(page_file: Path, opened: Open) -> None:
    """An answer that only the baseline gave has its cell, and the changes of all cells add up to none."""
    page = opened(page_file)
    right = [int(text.split()[0]) for text in page.locator(".matrix td.right").all_inner_texts()]
    changed = [int(text.replace("−", "-")) for text in page.locator(".matrix small").all_inner_texts()]
    before = [int(text) for text in page.locator(".matrix td.before").all_inner_texts()]
    on_diagonal = page.locator(".matrix td.right small").all_inner_texts()
    assert sum(right) - sum(before) == sum(int(text.replace("−", "-")) for text in on_diagonal)
    assert changed
    assert sum(changed) == 0
    page.get_by_text("precision, recall, F1").click()
    assert page.get_by_role("columnheader", name="baseline F1").is_visible()


def test_format_failures_lead_to_their_cases_by_kind_and_path(page_file: Path, opened: Open) -> None:
    page = opened(page_file)
    page.get_by_role("link", name="wrong type").click()
    assert shown(page) == ["person-0"]
    assert chips(page) == ["set: eval_sets/people.jsonl", "format: wrong type", "path: $.age", "clear all"]


def test_drift_leads_to_its_cases(page_file: Path, opened: Open) -> None:
    page = opened(page_file)
    panel = page.get_by_role("region", name="Stability of eval_sets/people.jsonl")
    assert "2 samples per case" in panel.inner_text()
    assert "No drift." in panel.inner_text()


def test_flips_are_shown_side_by_side_with_their_differences(page_file: Path, opened: Open) -> None:
    page = opened(page_file)
    flips = page.locator(".flip")
    assert flips.first.locator(".flip-head").inner_text().startswith("lost")
    sides = flips.first.locator(".side h4").all_inner_texts()
    assert [side.split()[0] for side in sides] == ["baseline", "this"]
    lost = page.locator(".flip-links a").first
    number = int(lost.inner_text().split()[0])
    lost.click()
    assert count(page) == f"{number} of 68"
    assert chips(page)[:2] == ["set: eval_sets/tickets.jsonl", "flip: lost"]


def test_a_difference_is_marked_word_by_word(page_file: Path, opened: Open) -> None:
    page = opened(page_file, "#case=case-03")
    # "bug" was expected, and the answer was "bug, I think".
    assert page.locator("#detail .attempt pre mark.right").all_inner_texts() == [", I think"]
    assert page.locator("#detail .attempt pre mark.left").count() == 0


def test_one_legend_names_both_sides_of_a_difference(page_file: Path, opened: Open) -> None:
    page = opened(page_file, "#case=case-03")
    assert page.locator("#detail .attempt h4").all_inner_texts() == ["expected", "got"]
    assert page.locator("#detail .attempt .legend mark").all_inner_texts() == ["only expected", "only got"]
    colours = page.evaluate(
        """() => ["mark.left", "mark.right", ".missed", ".passed"].map((name) => {
            const style = getComputedStyle(document.querySelector(name));
            return name.startsWith("mark") ? style.textDecorationColor : style.color;
        })"""
    )
    assert len(set(colours)) == 4


def test_a_difference_in_white_space_is_visible(tmp_path: Path, opened: Open) -> None:
    one = write_set(tmp_path, "one", [{"id": "a", "input": "x", "expected": "red green"}], "normalize = []")
    run = recorded(tmp_path, [one], lambda *_: "red  green\n")
    path = tmp_path / "page.html"
    path.write_text(page_html([from_record(run, root=tmp_path)]), "utf-8")
    marks = opened(path).locator("#detail pre mark.right").all_inner_texts()
    assert "··" in marks
    assert "↵" in marks[-1]


def test_a_link_leads_to_a_case(page_file: Path, opened: Open) -> None:
    page = opened(page_file, "#case=person-2")
    assert chosen(page) == "person-2"
    assert "fenced" in page.locator("#detail .reason").first.inner_text()
    assert page.locator("#sheet .row[aria-selected=true] .id").inner_text() == "person-2"
    link = page.locator("#detail h3 a").get_attribute("href")
    other = opened(page_file, link)
    assert chosen(other) == "person-2"


def test_a_link_to_a_missing_case_opens_the_list(page_file: Path, opened: Open) -> None:
    page = opened(page_file, "#case=nobody&tag=zh")
    assert count(page) == "30 of 68"
    assert page.locator("#detail h3").count() == 1


@pytest.mark.parametrize(
    "address", ["#%E0%A4%A", "#m=99&state=nonsense", "#case=__proto__&q=constructor", "#=&&==&m=-1"]
)
def test_a_broken_address_does_not_break_the_page(page_file: Path, opened: Open, address: str) -> None:
    page = opened(page_file, address)
    assert page.locator("html").get_attribute("data-ready") == "yes"


def test_keys_move_search_and_help(page_file: Path, opened: Open) -> None:
    page = opened(page_file)
    rows = shown(page)
    for key, expected in (("j", 1), ("j", 2), ("k", 1)):
        page.keyboard.press(key)
        assert chosen(page) == rows[expected]
    page.focus("#grid")
    for key, expected in (("ArrowDown", 2), ("End", -1), ("Home", 0), ("ArrowUp", 0)):
        page.keyboard.press(key)
        assert chosen(page) == (rows[expected] if expected >= 0 else chosen(page))
    page.keyboard.press("/")
    page.keyboard.type("number 17")
    assert shown(page) == ["case-17"]
    page.keyboard.press("Escape")
    assert count(page) == "68 of 68"
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible()


def test_the_list_is_labelled_for_screen_readers(page_file: Path, opened: Open) -> None:
    page = opened(page_file)
    grid = page.get_by_role("grid", name="Cases")
    assert grid.get_attribute("aria-rowcount") == "69"
    page.keyboard.press("j")
    active = grid.get_attribute("aria-activedescendant")
    assert page.locator(f"#{active}").get_attribute("aria-selected") == "true"
    assert page.locator(f"#{active}").get_attribute("aria-rowindex") == "3"
    assert page.get_by_role("columnheader").all_inner_texts()[-5:] == [
        "verdict",
        "case",
        "prompt",
        "expected",
        "answer",
    ]
    headings = page.locator("h1, h2, h3").evaluate_all(
        "all => all.filter(h => h.checkVisibility()).map(h => +h.tagName[1])"
    )
    assert headings[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(headings))


CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour, over) => {
    canvas.fillStyle = over ? `rgb(${over.join(" ")})` : "white";
    canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const behind = (element) => {
    const colours = [];
    for (let at = element; at; at = at.parentElement) colours.unshift(getComputedStyle(at).backgroundColor);
    return colours.reduce((under, colour) => rgb(colour, under), [255, 255, 255]);
  };
  const light = (c) => c.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join("");
    if (!own || own === "·" || !element.checkVisibility()) continue;
    if (element.closest(".unseen, .skip, script, option")) continue;
    const under = behind(element);
    const [a, b] = [light(rgb(getComputedStyle(element).color, under)), light(under)].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) found.push([own.slice(0, 30), element.className, (a + 0.05) / (b + 0.05)]);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(page_file: Path, opened: Open, scheme: str) -> None:
    """WCAG AA, 4.5 to 1, measured on what the browser has computed."""
    page = opened(page_file, "#state=missed&case=case-03", color_scheme=scheme)
    assert page.evaluate(CONTRASTS) == []


def ground(page: Any) -> str:
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_colours_follow_the_system_until_one_is_chosen(page_file: Path, opened: Open) -> None:
    page = opened(page_file, color_scheme="dark")
    dark = ground(page)
    page.emulate_media(color_scheme="light")
    light = ground(page)
    assert dark != light
    switch = page.get_by_role("button", name="Colours")
    switch.click()
    assert ground(page) == light
    switch.click()
    assert ground(page) == dark
    page.reload()
    assert ground(page) == dark
    switch.click()
    assert ground(page) == light


def test_nothing_moves_if_reduced_motion_is_preferred(page_file: Path, opened: Open) -> None:
    moving = "[...document.querySelectorAll('*')].some(e => getComputedStyle(e).transitionDuration !== '0s')"
    assert opened(page_file, reduced_motion="reduce").evaluate(moving) is False
    assert opened(page_file, reduced_motion="no-preference").evaluate(moving) is True


TOO_WIDE = """() => [...document.querySelectorAll("main *")].filter((e) =>
  e.checkVisibility() && !e.closest(".scroll-x, .facets, svg, .unseen, .text, .sheet") &&
  e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.className)"""


@pytest.mark.parametrize("address", ["", "#case=case-03"])
def test_a_phone_needs_no_sideways_scrolling(page_file: Path, opened: Open, address: str) -> None:
    page = opened(page_file, address, width=390, height=844, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate(TOO_WIDE) == []


def test_on_a_phone_an_open_gate_has_lines_of_its_own(tmp_path: Path, opened: Open) -> None:
    rows = [
        {"id": f"c-{n}", "input": "x", "expected": "x", "tags": ["critical-for-the-support-team"]} for n in range(3)
    ]
    open_set = write_set(tmp_path, "open", rows, LONG_GATE)
    run = recorded(tmp_path, [open_set], lambda case, _: "x" if case.id == "c-0" else None)
    path = tmp_path / "page.html"
    path.write_text(page_html([from_record(run, root=tmp_path)]), "utf-8")
    page = opened(path, width=390, height=844, has_touch=True)
    name = page.locator(".gate-table .name").first
    assert "accuracy" in name.inner_text()
    assert name.bounding_box()["height"] < 60
    assert page.locator(".gate-table .none").evaluate_all("cells => cells.filter(e => e.checkVisibility()).length") == 0


def test_on_a_phone_a_case_opens_over_the_list_and_goes_back(page_file: Path, opened: Open) -> None:
    page = opened(page_file, width=390, height=844, has_touch=True)
    detail = page.locator("#detail")
    assert not detail.is_visible()
    page.locator("#sheet .row").nth(1).tap()
    assert detail.is_visible()
    first = chosen(page)
    page.get_by_role("button", name="Next case").tap()
    assert chosen(page) != first
    page.get_by_role("button", name="← list").tap()
    assert not detail.is_visible()


def test_a_printed_page_has_the_summary_and_the_first_cases(page_file: Path, opened: Open) -> None:
    page = opened(page_file, "#state=passed")
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    passed = int(count(page).split()[0])
    assert len(shown(page)) == passed
    assert not page.locator("#facets").is_visible()
    assert page.locator(".gate-table").first.is_visible()
    rows = page.locator("#sheet .row")
    assert rows.nth(1).bounding_box()["y"] > rows.nth(0).bounding_box()["y"]


def test_ten_thousand_cases_are_a_handful_of_rows(tmp_path: Path, opened: Open) -> None:
    many = write_set(
        tmp_path, "many", [{"id": f"c-{n}", "input": f"word {n}", "expected": f"word {n}"} for n in range(10_000)]
    )
    run = recorded(tmp_path, [many], lambda case, _: "word 77" if case.id == "c-4321" else case.expected[0])
    path = tmp_path / "page.html"
    path.write_text(page_html([from_record(run, root=tmp_path)]), "utf-8")
    page = opened(path)
    rows = page.locator("#sheet .row")
    assert count(page) == "10,000 of 10,000"
    assert rows.count() < 80
    assert shown(page)[0] == "c-4321"
    page.focus("#grid")
    page.keyboard.press("End")
    page.wait_for_selector("#row-9999")
    assert chosen(page) == "c-9999"
    assert rows.count() < 80
    page.evaluate("document.getElementById('grid').scrollTop = 150000")
    page.wait_for_selector("#row-4550")
    assert rows.count() < 80
    page.fill("#search", "word 777")
    assert count(page) == "11 of 10,000"


def test_several_models_share_one_page_with_a_switch(tmp_path: Path, opened: Open) -> None:
    tickets = write_set(tmp_path, "t", [{"id": f"c-{n}", "input": "x", "expected": "bug"} for n in range(4)])
    runs = [
        from_session(
            *evaluated(tmp_path, [tickets], lambda case, _, bad=bad: "nope" if case.id == bad else "bug", spec=spec)
        )
        for spec, bad in (("ft:one", "c-1"), ("ft:two", "c-3"))
    ]
    path = tmp_path / "page.html"
    path.write_text(page_html(runs), "utf-8")
    page = opened(path)
    assert (page.locator("h1:visible").all_inner_texts(), shown(page)[0]) == (["ft:one"], "c-1")
    page.get_by_role("navigation", name="Models").get_by_role("link", name="ft:two").click()
    assert (page.locator("h1:visible").all_inner_texts(), shown(page)[0]) == (["ft:two"], "c-3")
    assert page.title().startswith("ft:two: Does not ship")
    page.keyboard.press("j")
    assert re.search(r"m=1.*case=", page.url)
    page.reload()
    assert page.locator("h1:visible").all_inner_texts() == ["ft:two"]


def test_a_set_without_gates_or_labels_has_a_note(tmp_path: Path, opened: Open) -> None:
    plain = write_set(tmp_path, "plain", [{"id": "a", "input": "x", "expected": "y"}])
    path = tmp_path / "page.html"
    path.write_text(page_html([from_record(recorded(tmp_path, [plain], lambda *_: "y"), root=tmp_path)]), "utf-8")
    page = opened(path)
    assert page.locator(".headline").inner_text() == "Ships: 1 of 1 cases passed (all must pass)"
    assert page.get_by_text("no gates, so every case must pass").is_visible()
    assert page.locator(".matrix").count() == 0
    assert page.get_by_text("Flips against").count() == 0


def test_a_run_without_requests_shows_what_is_missing(tmp_path: Path, opened: Open) -> None:
    plain = write_set(
        tmp_path, "plain", [{"id": "a", "input": "x", "expected": "y"}, {"id": "b", "input": "z", "expected": "y"}]
    )
    run = recorded(tmp_path, [plain], lambda *_: None, judged=False)
    path = tmp_path / "page.html"
    path.write_text(page_html([from_record(run, root=tmp_path)]), "utf-8")
    page = opened(path)
    notes = page.locator(".note").all_inner_texts()
    assert notes[0].startswith("This run is open: 2 of 2 samples are missing")
    assert page.get_by_text("No answers.").is_visible()
    assert [row.split()[0] for row in page.locator("#sheet .row .state").all_inner_texts()] == ["unrun", "unrun"]


def test_an_old_record_whose_set_changed_shows_ids_and_answers_with_a_reason(tmp_path: Path, opened: Open) -> None:
    plain = write_set(tmp_path, "plain", [{"id": f"c-{n}", "input": "secret?", "expected": "y"} for n in range(3)])
    run = recorded(tmp_path, [plain], lambda case, _: None if case.id == "c-2" else "y", copies=False)
    plain.path.write_text('{"input": "other", "expected": "y"}\n', "utf-8")
    path = tmp_path / "page.html"
    path.write_text(page_html([from_record(run, root=tmp_path)]), "utf-8")
    page = opened(path, "#case=c-1")
    assert "the file has changed since" in page.locator("article .note").all_inner_texts()[-1]
    assert "No prompt" in page.locator("#detail .note").inner_text()
    assert page.locator("#detail .text").all_inner_texts() == ["y"]
    assert sorted(shown(page)) == ["(not run)", "c-0", "c-1"]


def test_an_id_that_two_sets_have_is_linked_with_its_set(tmp_path: Path, opened: Open) -> None:
    sets = [write_set(tmp_path, name, [{"id": "same", "input": name, "expected": "y"}]) for name in ("one", "two")]
    path = tmp_path / "page.html"
    path.write_text(page_html([from_record(recorded(tmp_path, sets, lambda *_: "y"), root=tmp_path)]), "utf-8")
    page = opened(path)
    page.keyboard.press("j")
    link = page.locator("#detail h3 a").get_attribute("href")
    assert link == "#case=eval_sets%2Ftwo.jsonl%3A%3Asame"
    assert "eval_sets/two.jsonl:1" in opened(path, link).locator("#detail").inner_text()


def test_the_contrast_test_sees_a_faint_text(page_file: Path, opened: Open) -> None:
    page = opened(page_file)
    page.evaluate("document.querySelector('.headline').style.color = '#999'")
    assert [found[1] for found in page.evaluate(CONTRASTS)] == ["headline fail"]


def test_the_right_one_of_several_expected_answers_is_compared(tmp_path: Path, opened: Open) -> None:
    rows = [{"id": "a", "input": "x", "ideal": ["the quick brown fox", "a slow green turtle"]}]
    several = write_set(tmp_path, "several", rows)
    run = recorded(tmp_path, [several], lambda *_: "a slow red turtle")
    path = tmp_path / "page.html"
    path.write_text(page_html([from_record(run, root=tmp_path)]), "utf-8")
    page = opened(path)
    assert page.locator("#detail pre mark.left").all_inner_texts() == ["green"]
    assert page.locator("#detail pre mark.right").all_inner_texts() == ["red"]


@pytest.mark.parametrize("answer", ["[" * 15_000, '{"a":' * 3_000, "a b " * 4_000, "\u4e2d" * 15_000])
def test_no_answer_hangs_or_breaks_the_difference(tmp_path: Path, opened: Open, answer: str) -> None:
    one = write_set(tmp_path, "one", [{"id": "a", "input": "x", "expected": "[" * 15_000 + "b a " * 1_000}])
    path = tmp_path / "page.html"
    path.write_text(page_html([from_record(recorded(tmp_path, [one], lambda *_: answer), root=tmp_path)]), "utf-8")
    assert opened(path).locator("#detail h3").inner_text() == "a"
