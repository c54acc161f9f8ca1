"""pytest-html's report in a real browser: its rows work, and all text from models and eval sets stays text."""

from __future__ import annotations

import json

import pytest
from scripted_server import Reply, error

CORPUS = [
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<img src=x onerror=alert(3)>",
    "<img src=http://127.0.0.1:9/leak.png>",
    '"><svg onload=alert(4)>',
    "' autofocus onfocus='alert(5)",
    "</td></tr></table><iframe src=javascript:alert(6)>",
    "</dd></dl></div><style>*{display:none}</style>",
    "<details open ontoggle=alert(7)>",
    "E<b>error line</b>",
    "{{7*7}}${alert(8)}",
    "\x1b[31mred\x1b]8;;http://127.0.0.1:9\x07link",
    "abc\u202efed\u2066",
    "&lt;script&gt;&#x3c;b&#x3e;",
    r"C:\new\x41\N{BULLET}",
]


def name_of(text):
    """The characters that an eval set accepts in an id."""
    return "".join(filter(str.isprintable, text)).replace("::", ":").strip()


@pytest.fixture
def report(pytester, evaluate, opened):
    """Evaluate with --html and open the page."""

    def run(*options, **how):
        evaluate("--html=report.html", "--self-contained-html", *options, **how)
        page = opened(pytester.path / "report.html")
        page.wait_for_selector("#results-table tbody")
        return page

    return run


@pytest.fixture
def hostile(pytester, server):
    """The corpus as ids, prompts, expected answers, tags and name of eval sets, and as answers and errors."""
    folder = pytester.mkdir("eval_sets")
    rows = [
        {"id": name_of(text), "input": f"{text}\n{number}", "expected": text + "?", "tags": [name_of(text)]}
        for number, text in enumerate(CORPUS)
    ]
    (folder / "<img src=x onerror=alert(9)>.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    (folder / "<img src=x onerror=alert(9)>.toml").write_text("[[gates]]\nmin = 0.1\n", "utf-8")
    (folder / "plain.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")

    def answer(body):
        number = int(body["messages"][-1]["content"].rpartition("\n")[2])
        text = CORPUS[number]
        return [
            text,
            error(400, text),
            Reply(text, finish_reason=text),
            Reply(message={"content": None, "refusal": text}),
        ][number % 4]

    server.answer = answer


def elements(page):
    """The number of elements that neither our report nor pytest-html's contains."""
    foreign = "iframe, details, b, table table, body style:not(:first-of-type), .log img"
    return page.locator(foreign).count() + page.evaluate(
        "[...document.querySelectorAll('*')].filter(e => [...e.attributes].some("
        "a => a.name.startsWith('on') && !a.value.startsWith('location.reload'))).length"
    )


def test_hostile_text_stays_text(hostile, report):
    page = report(model="ft:<img src=x onerror=alert(0)>")
    assert page.locator("#results-table tbody").count() == 2 * len(CORPUS) + 1
    page.click("#show_all_details")
    assert elements(page) == 0
    assert page.locator("h1").inner_text() == "ft:<img src=x onerror=alert(0)>: evaluation"
    names = [name.removesuffix("::setup") for name in page.locator("td.col-testId").all_inner_texts()]
    assert {f"eval_sets/plain.jsonl::{' '.join(name_of(text).split())}" for text in CORPUS} <= set(names)
    assert "\u202e" not in page.locator("body").inner_text()
    assert r"\u202e" in page.locator("body").inner_text()


def test_failures_come_first_and_are_expanded(suite, report):
    suite(["a", "b", "c"], inputs=["a", "x", "c"], toml="[[gates]]\nmin = 0.9\n")
    page = report()
    results = page.locator("td.col-result").all_inner_texts()
    assert results == ["Failed", "XFailed", "Passed", "Passed"]
    shown = page.locator("dl.ft:visible")
    assert shown.count() == 2
    assert "expected\nb\ngot\nx" in shown.nth(1).inner_text()


def test_a_row_expands_to_its_prompt_and_answer(suite, report):
    suite(["calm"], inputs=["calm"])
    page = report()
    assert page.locator("dl.ft:visible").count() == 0
    page.click("tr.collapsible td.col-verdict")
    assert page.locator("dl.ft:visible").inner_text() == "user\ncalm\nexpected\ncalm\ngot\ncalm"


def test_columns_sort_by_what_they_show(suite, report):
    suite(["a", "b", "c"], inputs=["a", "x" * 4000, "y" * 400])
    page = report()
    page.click('th[data-column-type="tokens"]')
    tokens = [int(text.strip().replace(",", "")) for text in page.locator("td.col-tokens").all_inner_texts()]
    assert tokens in (sorted(tokens), sorted(tokens, reverse=True))
    assert len(set(tokens)) == 3


def test_the_interval_is_drawn_within_its_chart(suite, report):
    suite(["a", "b"], inputs=["a", "x"], toml="[[gates]]\nmin = 0.5\n")
    page = report()
    chart = page.locator(".ft-summary svg")
    assert chart.locator("path").count() == 4
    box = chart.bounding_box()
    assert box["width"] > 100
    assert box["height"] >= 10
