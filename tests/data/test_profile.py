"""A profile counts what is in a file, names only clear languages, and its page escapes all text."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.lifecycle.data.languages import UNDECIDED, language_of, script_of
from pytest_finetune.lifecycle.data.profile import BINS, Profiler, distribution
from pytest_finetune.lifecycle.data.raw_rows import LeftOuts
from pytest_finetune.lifecycle.data.tokens import tokenizer_for
from pytest_finetune.reports.data_profile import profile_json, profile_lines
from pytest_finetune.reports.data_profile_page import profile_page
from pytest_finetune.verdicts.shapes import read_row

SOURCE = Path("train.jsonl")
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202e\x1b[31m"


def chat(prompt, answer, system="Route.", **more):
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return {"messages": [{"role": "system", "content": system}, *messages] if system else messages, **more}


def profile_of(rows, **options):
    profiler = Profiler(tokenizer_for("gpt-4.1"), **options)
    for row in rows:
        profiler.add(read_row(row))
    return profiler.profile()


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=60))
def test_a_distribution_matches_its_numbers(numbers):
    counts = {number: numbers.count(number) for number in numbers}
    found = distribution(counts)
    assert (found.least, found.most) == (min(numbers), max(numbers))
    assert found.median == sorted(numbers)[(len(numbers) - 1) // 2]
    assert found.low <= found.median <= found.high
    assert found.mean == pytest.approx(mean(numbers))
    assert sum(count for _, count in found.bins) == len(numbers)
    assert len(found.bins) <= BINS


def test_a_distribution_without_rows_has_no_mean():
    assert distribution({}).mean is None


def test_rows_are_counted_by_every_property():
    tool = {"type": "function", "function": {"name": "f"}}
    call = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
    rows = [
        chat("where is my parcel, please tell me", "delivery"),
        chat("the invoice is wrong, I want my money back", "billing", system="Other."),
        chat("还没有收到包裹，请帮我查一下", '{"a": 1}', system=""),
        {"messages": [{"role": "user", "content": "12"}, call], "tools": [tool]},
        {"messages": [{"role": "user", "content": "48"}], "reference_answer": 1},
    ]
    found = profile_of(rows)
    assert found.rows == 5
    assert found.answers == {"text": 2, "JSON": 1, "tool calls": 1, "none": 1}
    assert (found.system_prompts, found.without_system, found.with_tools) == (2, 3, 1)
    assert found.languages == {"en": 2, "zh": 1, UNDECIDED: 2}
    assert found.scripts == {"Latin": 2, "Han": 1, "no letters": 2}
    assert found.lengths["messages"].most == 3
    assert found.tokens == sum(tokenizer_for("gpt-4.1").count_row(read_row(row)) for row in rows)


def test_labels_are_counted_if_the_answers_are_labels():
    rows = [chat(f"question {number}", ("bug", "bug", "feature")[number % 3]) for number in range(30)]
    assert profile_of(rows).labels == {"bug": 20, "feature": 10}
    assert profile_of([chat("q", f"answer {number}") for number in range(30)]).labels == {}
    fields = [chat(f"q {number}", json.dumps({"team": "ab"[number % 2], "n": number})) for number in range(30)]
    assert profile_of(fields, label_by="team").labels == {"a": 15, "b": 15}


@pytest.mark.parametrize(
    ("text", "language", "script"),
    [
        ("Could you please tell me where my order is?", "en", "Latin"),
        ("Können Sie mir bitte sagen, wo meine Bestellung ist?", "de", "Latin"),
        ("¿Podría decirme por favor dónde está mi pedido?", "es", "Latin"),
        ("Скажите, пожалуйста, где находится мой заказ?", "ru", "Cyrillic"),
        ("注文した商品が今どこにあるか教えてください。", "ja", "Japanese"),
        ("주문한 상품이 지금 어디에 있는지 알려 주세요.", "ko", "Hangul"),
        ("你好，请问我的包裹现在在哪里？", "zh", "Han"),
        ("ok 48213", UNDECIDED, "Latin"),
        ("48213!", UNDECIDED, ""),
        ("ᚠᚢᚦᚨᚱᚲ", UNDECIDED, "other"),
    ],
)
def test_languages_and_scripts_are_detected(text, language, script):
    assert script_of(text) == script
    if script != "other":
        assert language_of(text) == language


@given(st.text(max_size=80))
def test_any_text_has_a_language_and_a_script(text):
    assert isinstance(language_of(text), str)
    assert isinstance(script_of(text), str)


def test_terminal_output_has_eighty_columns_and_no_control_codes():
    rows = [chat(f"q {number}", ("客服" * 20, HOSTILE)[number % 2]) for number in range(20)]
    lines = [text for text, _ in profile_lines(profile_of(rows), {"duplicate": 3, "api_key": 1}, Path(HOSTILE))]
    assert all(len(line) <= 80 and line.isprintable() for line in lines)
    assert any("error    api_key" in line for line in lines)
    output = profile_json(profile_of(rows), {"duplicate": 3}, LeftOuts(), SOURCE)
    assert output["findings"] == {"duplicate": {"count": 3, "severity": "warning"}}
    json.dumps(output)


def test_the_page_escapes_hostile_text():
    rows = [chat(HOSTILE, (HOSTILE, "b")[number % 2], system=HOSTILE) for number in range(20)]
    page = profile_page(profile_of(rows), {"duplicate": 3}, Path(HOSTILE))
    assert "<script" not in page
    assert "<img" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;" in page


def test_the_page_loads_nothing_and_allows_only_its_own_style():
    from base64 import b64encode
    from hashlib import sha256

    page = profile_page(profile_of([chat("a", "b")]), {}, SOURCE)
    style = page.split("<style>")[1].split("</style>")[0]
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in page
    assert "style=" not in page
    assert "http:" not in page.replace("http-equiv", "")
    assert "https:" not in page
