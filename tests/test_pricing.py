from __future__ import annotations

import socket
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import genai_prices
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.base.records import Message, Request, Usage
from pytest_finetune.evaluation.pricing import ASSUMED_ANSWER, estimate_cost, estimate_tokens, price

if TYPE_CHECKING:
    from collections.abc import Iterator

OPENAI = "https://api.openai.com/v1"
WHEN = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@dataclass
class Asked:
    model: str
    base_url: str = ""
    free: bool = False


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*_: object) -> None:
        raise AssertionError("a price was looked up over the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return


def test_tokens_are_priced_by_the_million():
    assert price("gpt-4.1-mini", Usage(prompt=1_000_000, completion=500_000)) == Decimal("1.20")


def test_a_price_needs_no_network(no_network):
    assert price("gpt-4.1-nano", Usage(prompt=10, completion=1), base_url=OPENAI) == Decimal("0.0000014")


def test_cached_tokens_are_cheaper_and_part_of_the_prompt():
    full = price("gpt-4.1-mini", Usage(prompt=1_000_000))
    cached = price("gpt-4.1-mini", Usage(prompt=1_000_000, cached=1_000_000))
    assert full == Decimal("0.4")
    assert cached == Decimal("0.1")


@pytest.mark.parametrize("base_url", ["", OPENAI])
def test_a_fine_tune_is_priced_as_a_fine_tune_and_not_as_its_base_model(base_url):
    usage = Usage(prompt=1_000_000, completion=1_000_000)
    tuned = price("ft:gpt-4o-mini-2024-07-18:acme::abc123", usage, base_url=base_url)
    assert tuned == Decimal("1.5")
    assert price("gpt-4o-mini-2024-07-18", usage, base_url=base_url) == Decimal("0.75")


@pytest.mark.parametrize("base_url", ["", OPENAI])
def test_a_fine_tune_that_the_list_lacks_has_the_price_of_openai_itself(base_url):
    usage = Usage(prompt=1_000_000, completion=1_000_000, cached=500_000)
    assert price("ft:gpt-4.1-mini-2025-04-14:acme::abc", usage, base_url=base_url) == Decimal("3.7")
    assert price("ft:gpt-4.1-mini-2025-04-14:acme::abc", usage, base_url="https://llm.example.com/v1") is None
    assert price("ft:gpt-4.1-mini-2025-04-14:acme::abc", usage, base_url=base_url, service_tier="priority") is None


def test_a_batch_has_rates_of_its_own_and_is_unknown_without_them():
    usage = Usage(prompt=1_000_000)
    assert price("gpt-4.1-mini", usage, when=WHEN, batch=True) == Decimal("0.2")
    assert price("ft:gpt-4.1-mini:acme::abc", usage, when=WHEN, batch=True) == Decimal("0.4")
    assert price("a-model-of-nobody", usage, when=WHEN, batch=True) is None
    assert price("smollm2-135m", usage, batch=True, free=True) == 0


@pytest.mark.parametrize(
    ("model", "base_url"),
    [
        ("ft:gpt-99:acme::abc", OPENAI),
        ("ft:gpt-99:acme::abc", ""),
        ("ft:", ""),
        ("", ""),
        ("a-model-of-nobody", ""),
        ("gpt-4.1-mini", "http://127.0.0.1:8000/v1"),
        ("gpt-4.1-mini", "https://llm.example.com/v1"),
    ],
)
def test_what_is_not_in_the_list_has_no_price(model, base_url):
    assert price(model, Usage(prompt=1, completion=1), base_url=base_url) is None


def test_a_model_that_is_billed_by_the_hour_is_not_free_by_the_token():
    """Its tokens have no rate, which a simple calculation would turn into zero dollars."""
    assert price("whisper-1", Usage(prompt=1000, completion=1000)) is None
    assert price("text-embedding-3-small", Usage(prompt=1000, completion=1), base_url=OPENAI) is None


def test_zero_tokens_are_free_only_if_the_price_is_known():
    assert price("gpt-4.1-mini", Usage()) == 0
    assert price("a-model-of-nobody", Usage()) is None


def test_a_local_model_is_free():
    assert price("smollm2-135m", Usage(prompt=10, completion=10), free=True) == 0
    assert price("smollm2-135m", Usage(prompt=10, completion=10)) is None


@pytest.mark.parametrize("usage", [Usage(prompt=1, cached=2), Usage(prompt=-1), Usage(completion=-5), Usage(5, 5, -1)])
def test_counts_that_contradict_each_other_have_no_price(usage):
    assert price("gpt-4.1-mini", usage) is None


def test_a_tier_has_its_own_rates_and_one_without_rates_is_unknown():
    usage = Usage(prompt=1_000_000)
    assert price("gpt-4.1-mini", usage, when=WHEN, service_tier="default") == Decimal("0.4")
    assert price("gpt-4.1-mini", usage, when=WHEN, service_tier="priority") == Decimal("0.7")
    assert price("gpt-4.1-mini", usage, when=WHEN, service_tier="scale") is None


def test_a_price_that_changed_is_the_one_of_its_day():
    usage = Usage(prompt=1_000_000)
    before = price("o3", usage, when=datetime(2025, 6, 1, tzinfo=UTC))
    after = price("o3", usage, when=WHEN)
    assert (before, after) == (Decimal(10), Decimal(2))


@given(
    model=st.sampled_from(["gpt-4.1-mini", "gpt-4o", "gpt-5.4", "o3", "claude-sonnet-4-5", "gemini-2.5-pro", "sonar"]),
    prompt=st.integers(0, 500_000),
    cached=st.floats(0, 1),
    completion=st.integers(0, 100_000),
)
def test_prices_equal_those_of_the_list_with_tiers_and_caching(model, prompt, cached, completion):
    usage = Usage(prompt=prompt, completion=completion, cached=int(prompt * cached))
    theirs = genai_prices.Usage(input_tokens=prompt, output_tokens=completion, cache_read_tokens=usage.cached)
    try:
        expected = genai_prices.calc_price(theirs, model, genai_request_timestamp=WHEN).total_price
    except LookupError:
        assert price(model, usage, when=WHEN) is None
    else:
        assert price(model, usage, when=WHEN) == expected


def test_nothing_heavy_is_imported_before_a_vendors_price_is_asked_for():
    code = """if True:
        import sys
        from pytest_finetune.base.records import Usage
        from pytest_finetune.evaluation.pricing import price
        for server in ("http://127.0.0.1:8000/v1", "http://localhost:11434/v1", "http://[::1]/v1"):
            assert price("gpt-4.1-mini", Usage(prompt=1, completion=1), base_url=server) is None
        print("genai_prices" in sys.modules)
    """
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_four_latin_letters_or_one_chinese_character_are_about_a_token():
    assert estimate_tokens([Message("user", "word" * 10)]) == 4 + 10
    assert estimate_tokens([Message("user", "登录后闪退")]) == 4 + 5
    assert estimate_tokens([Message("user", "登录 crash")]) == 4 + 2 + 2
    assert estimate_tokens([]) == 0


def test_content_parts_and_tool_calls_count_as_text_and_images_do_not():
    parts = [{"type": "text", "text": "word" * 5}, {"type": "image_url", "image_url": {"url": "x" * 1000}}]
    assert estimate_tokens([Message("user", parts)]) == 4 + 5
    assert estimate_tokens([Message("assistant", None, {"tool_calls": [{"name": "get"}]})]) > 4


def test_an_estimate_takes_the_answer_for_as_long_as_it_may_be():
    messages = (Message("user", "word" * 6),)
    bounded = Request("gpt-4.1-mini", messages, {"max_completion_tokens": 1_000_000})
    assert estimate_cost(Asked("gpt-4.1-mini"), bounded) == Decimal("1.600004")
    unbounded = estimate_cost(Asked("gpt-4.1-mini"), Request("gpt-4.1-mini", messages))
    assert unbounded == price("gpt-4.1-mini", Usage(prompt=10, completion=ASSUMED_ANSWER))


def test_an_estimate_is_free_for_a_free_target_and_unknown_for_an_unknown_one():
    request = Request("m", (Message("user", "hello"),))
    assert estimate_cost(Asked("m", free=True), request) == 0
    assert estimate_cost(Asked("m"), request) is None


def test_tools_are_part_of_what_is_estimated():
    bare = Request("gpt-4.1", (Message("user", "hello"),))
    tools = Request("gpt-4.1", bare.messages, {"tools": [{"type": "function", "function": {"name": "get_weather"}}]})
    without, with_tools = (estimate_cost(Asked("gpt-4.1"), request) for request in (bare, tools))
    assert without is not None
    assert with_tools is not None
    assert with_tools > without
