"""
What answers cost: no network access, and an unknown price is never zero.

The project's own prices come first (`configured_prices.py`), then the list that genai-prices ships, and for fine-tunes
that it lacks, OpenAI's own list (`fine_tune_prices.py`).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from pytest_finetune.base.records import Usage
from pytest_finetune.evaluation.configured_prices import NO_PRICES, ConfiguredPrices
from pytest_finetune.evaluation.fine_tune_prices import Rates, fine_tune_prices
from pytest_finetune.evaluation.targets.base_url import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from genai_prices.types import ModelPrice, PriceCalculation, TieredPrices

    from pytest_finetune.base.records import Message, Request

ASSUMED_ANSWER = 100
"""Tokens that `estimate_cost` assumes for an answer if the request sets no limit."""

OPENAI_HOST = "api.openai.com"

STANDARD_TIERS = (None, "auto", "default")
_NAMES = {
    **dict.fromkeys(("image_url", "input_image", "image"), "images"),
    **dict.fromkeys(("input_audio", "audio"), "audio clips"),
    **dict.fromkeys(("file", "input_file"), "files"),
}
"""What content parts are called, by their type."""
_MILLION = Decimal(1_000_000)
_THOUSAND = Decimal(1_000)


class Priced(Protocol):
    """The attributes of a target that its price depends on."""

    model: str
    base_url: str
    free: bool


def price(
    model: str,
    usage: Usage,
    *,
    base_url: str = "",
    when: datetime | None = None,
    service_tier: str | None = None,
    batch: bool = False,
    free: bool = False,
    configured: ConfiguredPrices = NO_PRICES,
) -> Decimal | None:
    """
    US dollars that one call costs.

    Args:
        model: The model id of the request.
        usage: Tokens as the server counted them; `cached` ones are part of `prompt`.
        base_url: The server, because one model costs differently on several; empty finds the vendor by the id.
        when: Time of the call, for prices that change; None is now.
        service_tier: As sent in the request: `flex`, `priority`; None, `auto` and `default` are the standard tier.
        batch: Asked through the batch interface; it knows no tiers.
        free: It is known to cost nothing: a `local:` model.
        configured: Prices that win over the lists, whatever the server and the tier.

    Returns:
        The price, or None where the model, the server, the tier, or one of the rates is not in the list, or the
        counts contradict each other (more cached tokens than prompt tokens).
    """
    if free:
        return Decimal(0)
    if min(usage.cached, usage.prompt - usage.cached, usage.completion) < 0:
        return None
    if configured.has(model):
        given = configured.rates(model, batch=batch)
        return None if given is None else _apply(_model_price(given), usage)
    listed = _look_up(model, base_url)
    rates = None if listed is None else _rates(listed, when or datetime.now(UTC), service_tier, batch=batch)
    if rates is None and service_tier in STANDARD_TIERS:
        rates = _fine_tune_rates(model, base_url, batch=batch)
    return None if rates is None else _apply(rates, usage)


def estimate_cost(
    target: Priced, request: Request, configured: ConfiguredPrices = NO_PRICES, *, batch: bool = False
) -> Decimal | None:
    """
    Estimate the cost of a request before it is sent; None when the price is unknown.

    The answer is assumed to be as long as the request allows, or `ASSUMED_ANSWER` tokens if it sets no limit.
    """
    params = request.params
    limit = params.get("max_completion_tokens") or params.get("max_tokens") or ASSUMED_ANSWER
    fixed = [params[key] for key in ("tools", "response_format") if params.get(key)]
    prompt = estimate_tokens(request.messages) + sum(map(_json_tokens, fixed))
    return price(
        target.model,
        Usage(prompt=prompt, completion=limit),
        base_url=target.base_url,
        service_tier=params.get("service_tier"),
        batch=batch,
        free=target.free,
        configured=configured,
    )


def estimate_tokens(messages: Iterable[Message]) -> int:
    """
    Estimate how many tokens a prompt has.

    A rule of thumb: four characters a token, one token for every Chinese, Japanese or Korean character, four a
    message for its frame. Real tokenizers differ by a fifth either way; what `not_counted` names is not counted.
    """
    return sum(4 + _content_tokens(message.content) + _extra_tokens(message.extra) for message in messages)


def not_counted(contents: Iterable[object]) -> dict[str, int]:
    """
    What cannot be counted in tokens offline, such as pictures: its number by name.

    Args:
        contents: The contents of messages.
    """
    counts: dict[str, int] = {}
    for part in (part for content in contents if isinstance(content, (list, tuple)) for part in content):
        kind = str(part.get("type")) if isinstance(part, dict) else "part"
        if not (isinstance(part, dict) and isinstance(part.get("text"), str)) and kind != "refusal":
            name = _NAMES.get(kind, f"{kind} parts")
            counts[name] = counts.get(name, 0) + 1
    return counts


def _content_tokens(content: object) -> int:
    if isinstance(content, str):
        return _text_tokens(content)
    parts = content if isinstance(content, list | tuple) else []
    return sum(_text_tokens(part["text"]) for part in parts if isinstance(part, dict) and "text" in part)


def _extra_tokens(extra: Mapping[str, Any]) -> int:
    return _json_tokens(extra) if extra else 0


def _json_tokens(value: object) -> int:
    return _text_tokens(json.dumps(value, ensure_ascii=False, default=dict))


def _text_tokens(text: str) -> int:
    """From U+2E80 on, the CJK scripts begin, and few others fill eval sets."""
    wide = 0 if text.isascii() else sum(char >= "\u2e80" for char in text)
    return wide + -(-(len(text) - wide) // 4)


@lru_cache(maxsize=512)
def _look_up(model: str, base_url: str) -> PriceCalculation | None:
    """The list's entry for a model: a calculation over no tokens, which names model and provider."""
    # No vendor serves from this machine, and the list takes a tenth of a second to import.
    if is_loopback(base_url):
        return None
    import genai_prices

    try:
        if base_url:
            return genai_prices.calc_price(genai_prices.Usage(), model, provider_api_url=base_url)
        # The list finds a vendor by the start of the id, and does not know `ft:` for OpenAI's.
        vendor = "openai" if model.startswith("ft:") else None
        return genai_prices.calc_price(genai_prices.Usage(), model, provider_id=vendor)
    except LookupError:
        return None


def _rates(listed: PriceCalculation, when: datetime, service_tier: str | None, *, batch: bool) -> ModelPrice | None:
    if batch:
        context = {"processing": "batch"}
    elif service_tier in STANDARD_TIERS:
        return listed.model.get_prices(when)
    else:
        context = {"service_tier": str(service_tier)}
    # A provider that resells another's model does not resell its tiers.
    own = any(listed.model is model for model in listed.provider.models)
    variants = listed.model.price_variants or []
    known = any(
        variant.when == context and (variant.constraint is None or variant.constraint.active(when))
        for variant in variants
    )
    return listed.model.get_prices(when, context) if own and known else None


def _fine_tune_rates(model: str, base_url: str, *, batch: bool) -> ModelPrice | None:
    """OpenAI's own prices for the answers of a fine-tune; other servers have their own."""
    prices = fine_tune_prices(model) if model.startswith("ft:") else None
    if prices is None or (base_url and urlsplit(base_url).hostname != OPENAI_HOST):
        return None
    return _model_price(prices.batch if batch else prices.standard)


def _model_price(rates: Rates) -> ModelPrice:
    from genai_prices.types import ModelPrice

    return ModelPrice(input_mtok=rates.prompt, cache_read_mtok=rates.cached, output_mtok=rates.completion)


def _apply(rates: ModelPrice, usage: Usage) -> Decimal | None:
    """
    Rates times tokens, as genai-prices does it, at a tenth of its time.

    A tier's rate holds for all tokens once the prompt is longer than its start; cached tokens without a rate of
    their own cost as much as others.
    """
    listed = vars(rates)
    prompt, output = (_at(listed.get(key), usage.prompt) for key in ("input_mtok", "output_mtok"))
    if prompt is None or (output is None and usage.completion):
        return None
    cached = _at(listed.get("cache_read_mtok"), usage.prompt)
    tokens = (usage.prompt - usage.cached) * prompt
    tokens += usage.cached * (prompt if cached is None else cached)
    tokens += usage.completion * (output or 0)
    per_request = _at(listed.get("requests_kcount"), usage.prompt) or Decimal(0)
    return tokens / _MILLION + per_request / _THOUSAND


def _at(rate: Decimal | TieredPrices | None, prompt: int) -> Decimal | None:
    """A rate for prompts of this length."""
    if rate is None or isinstance(rate, Decimal):
        return rate
    reached: list[Decimal] = [tier.price for tier in rate.tiers if prompt > tier.start]
    return reached[-1] if reached else rate.base
