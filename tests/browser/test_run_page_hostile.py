"""Any text of a model or an eval set stays text on the run page: no dialog, no request, no element."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from page_runs import recorded, write_set

from pytest_finetune.base.records import Completion, Failure
from pytest_finetune.reports.page.document import page_html
from pytest_finetune.reports.sources import from_record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_finetune.base.records import Case

CORPUS = [
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<!--<script>",
    "]]><svg onload=alert(3)>",
    "<img src=x onerror=alert(4)>",
    "<img src=http://127.0.0.1:9/leak.png>",
    "\"><iframe src='javascript:alert(5)'></iframe>",
    "' onmouseover='alert(6)' x='",
    "javascript:alert(7)",
    '<a href="javascript:alert(8)">x</a>',
    "<style>@import 'http://127.0.0.1:9/x.css';*{display:none}</style>",
    "<base href=http://127.0.0.1:9/>",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>",
    "<form action=http://127.0.0.1:9/><button autofocus onfocus=alert(9)>",
    "<details open ontoggle=alert(10)>",
    "{{ 7*7 }}{% raw %}${alert(11)}`",
    "__proto__",
    "constructor",
    "\u2028alert(12)//\u2029",
    "\x1b[31mred\x1b[0m\x1b]8;;http://127.0.0.1:9\x07link\x07",
    "abc\u202egpj.exe\u2066\u200b\ufeff",
    "\x00\x07\x08\x7f\x9b31m",
    "&lt;script&gt;alert(13)&lt;/script&gt;&#x3c;b&#x3e;",
    "#m=1&case=x&set=y",
    "%3Cscript%3Ealert(14)%3C/script%3E",
    '{"__proto__": {"polluted": 1}, "a": "<b>"}',
    "a" * 30_000,
]


def printable(text: str, limit: int) -> str:
    """The characters that an eval set accepts in an id or a tag."""
    return "".join(filter(str.isprintable, text))[:limit].strip().replace("::", ":") or "x"


def answer(case: Case, attempt: int) -> Completion | Failure | str:
    text = CORPUS[case.metadata["number"]]
    kinds: list[Any] = [text, Failure("server", text), Completion("", refusal=text), Completion(text, text, text)]
    return kinds[(case.metadata["number"] + attempt) % 4]


@pytest.fixture(scope="module", params=["label", "json"])
def hostile(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    labels = CORPUS[:12]
    rows = [
        {
            "id": printable(f"{number} {text}", 60),
            "system": text,
            "input": text,
            "expected": labels[number % 12] if request.param == "label" else {"x": text},
            "tags": [printable(text, 80), "<b>tag</b>"],
            "metadata": {"number": number, "fact": text[:50]},
        }
        for number, text in enumerate(CORPUS)
    ]
    toml = f'scorer = "{request.param}"\n' + (f"labels = {json.dumps(labels)}\n" if request.param == "label" else "")
    hostile_set = write_set(
        root, "a<img src=x onerror=alert(15)>&'\"", rows, f"{toml}[stability]\nrepeats = 2\n[[gates]]\nmin = 0.5\n"
    )
    before = recorded(
        root,
        [hostile_set],
        lambda case, _: json.dumps(case.expected[0]) if request.param == "json" else case.expected[0],
    )
    spec = "ft:<script>alert(16)</script>\u202e"
    run = recorded(root, [hostile_set], answer, spec=spec)
    path = root / "page.html"
    path.write_text(page_html([from_record(run, root=root, against=before), from_record(before, root=root)]), "utf-8")
    return path


FOREIGN = """() => [...document.querySelectorAll("img, iframe, object, embed, form, base, audio, video, body b")]
  .filter((e) => !e.closest("dialog, .models, .against, .reason")).map((e) => e.outerHTML)"""


def test_hostile_texts_stay_texts(hostile: Path, opened: Callable[..., Any]) -> None:
    page = opened(hostile)
    for _ in range(len(CORPUS) + 1):
        page.keyboard.press("j")
        assert page.evaluate(FOREIGN) == []
    for summary in page.locator("#detail summary").all():
        summary.click()
    for facet in page.locator("select[data-facet]").all():
        for value in facet.locator("option").evaluate_all("all => all.map(o => o.value).slice(0, 40)"):
            facet.select_option(value)
    page.locator(".skip").focus()
    assert page.evaluate(FOREIGN) == []
    assert page.evaluate("[document.querySelectorAll('script').length, document.querySelectorAll('style').length]") == [
        3,
        1,
    ]
    assert page.evaluate("({}).polluted ?? null") is None
    assert (
        page.evaluate("[...document.querySelectorAll('a')].filter(a => !a.getAttribute('href').startsWith('#')).length")
        == 0
    )


def test_control_and_bidi_codes_are_made_visible_and_ansi_is_stripped(
    hostile: Path, opened: Callable[..., Any]
) -> None:
    page = opened(hostile)
    page.get_by_label("Search").fill("gpj.exe")
    text = page.locator("#detail").inner_text()
    assert "abc\\u202egpj.exe\\u2066\\u200b\\ufeff" in text
    page.get_by_label("Search").fill("redlink")
    assert page.locator("#sheet .row").count() > 0
    whole = page.evaluate("document.documentElement.outerHTML")
    assert not set(whole) & set("\x1b\x07\x08\x7f\x9b\u202e\u2066\u200b\ufeff")


def test_a_link_to_a_case_with_a_hostile_name_works(hostile: Path, opened: Callable[..., Any]) -> None:
    page = opened(hostile)
    for _ in range(6):
        page.keyboard.press("j")
        name, link = page.locator("#detail h3").inner_text(), page.locator("#detail h3 a").get_attribute("href")
        assert opened(hostile, link).locator("#detail h3").inner_text() == name


def test_the_policy_allows_only_our_script(hostile: Path, tmp_path: Path, chromium: Any) -> None:
    """The last line of defence: even if markup got into the page, it would run and load nothing."""
    spoilt = tmp_path / "spoilt.html"
    script = "document.title = 'run'"
    bad = f"<script>{script}</script><img src=x onerror=\"{script}\"><p id=p style='color:red'>"
    spoilt.write_text(hostile.read_text("utf-8").replace("<main>", f"<main>{bad}"), "utf-8")
    page = chromium.new_page()
    requests: list[str] = []
    page.on("requestfinished", lambda request: requests.append(request.url))
    stopped: list[str | None] = []
    page.on("requestfailed", lambda request: stopped.append(request.failure))
    refused: list[str] = []
    page.on("console", lambda entry: refused.append(entry.text))
    page.goto(spoilt.as_uri())
    page.keyboard.press("j")
    assert page.title() != "run"
    assert page.evaluate("getComputedStyle(document.getElementById('p')).color") != "rgb(255, 0, 0)"
    assert (requests, stopped) == ([spoilt.as_uri()], ["csp"])
    assert sum("Content Security Policy" in text for text in refused) >= 3
    page.close()
