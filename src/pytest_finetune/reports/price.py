"""Cost estimates of one or more models as terminal lines and as JSON."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.text import shorten
from pytest_finetune.evaluation import fine_tune_prices
from pytest_finetune.evaluation.configured_prices import OPTION, price_hint
from pytest_finetune.reports.text import WIDTH, dollars, listed_counts, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import date
    from decimal import Decimal

    from pytest_finetune.lifecycle.data.price import CallCost, ModelPrice
    from pytest_finetune.reports.text import Line

_FACT, _VALUE = 26, 24


def price_lines(
    models: Sequence[ModelPrice], ends: Mapping[str, date], *, today: date, last_training_day: date
) -> Iterator[Line]:
    """
    A column per model, then warnings about estimates, unknown prices and shutdowns.

    Args:
        models: At least one.
        ends: Shutdown dates by model, where announced.
        today: In UTC.
        last_training_day: Last day on which OpenAI accepts fine-tuning jobs.
    """
    at_once = (WIDTH - _FACT) // (_VALUE + 2)
    for start in range(0, len(models), at_once):
        yield from _block(models[start : start + at_once])
    for warning in price_warnings(models, ends, today=today, last_training_day=last_training_day):
        yield from wrapped(f"warning: {warning}", {"yellow": True}, indent=2)
    if given := [shorten(each.model, 40) for each in models if each.configured]:
        yield from wrapped(f"as configured in {OPTION}: {', '.join(given)}", indent=2)
    yield f"training and fine-tuned models: OpenAI's price list as of {fine_tune_prices.AS_OF}", {}
    yield f"  {fine_tune_prices.SOURCE}", {}
    yield f"other models: genai-prices {metadata.version('genai-prices')}", {}


def price_json(
    models: Sequence[ModelPrice], ends: Mapping[str, date], *, today: date, last_training_day: date
) -> dict[str, Any]:
    """The estimates as JSON; dollars are strings, or null if unknown."""
    return {
        "models": [_model_json(each, ends.get(each.model)) for each in models],
        "warnings": list(price_warnings(models, ends, today=today, last_training_day=last_training_day)),
        "sources": {
            "training": {"list": fine_tune_prices.SOURCE, "as_of": fine_tune_prices.AS_OF.isoformat()},
            "answers": f"genai-prices {metadata.version('genai-prices')}",
        },
    }


def price_warnings(
    models: Sequence[ModelPrice], ends: Mapping[str, date], *, today: date, last_training_day: date
) -> Iterator[str]:
    """What makes a figure uncertain or the plan impossible."""
    for each in models:
        name = shorten(each.model, 40)
        if not each.exact:
            yield f"{name}: unknown tokenizer; tokens are estimated with {each.tokenizer}"
        for what, uncounted in _not_counted(each).items():
            yield f"{name}: the tokens of {listed_counts(uncounted)} are not counted; {what} costs more"
        if each.training is not None and each.training_cost is None:
            yield f"{name}: its training price is unknown" + (f"; {each.note}" if each.note else "")
        elif each.training is not None and each.training_rate:
            yield f"{name}: OpenAI accepts no fine-tuning jobs after {last_training_day}"
        if any(cost.standard is None for cost in _costs(each)):
            yield f"{name}: its price per answer is unknown; {price_hint(name)}"
        elif each.answers_as == each.model and not each.configured and not each.model.startswith(("ft:", "local:")):
            yield f"{name}: answers are priced at the base model's rate; there is no price for its fine-tunes"
        if each.model in ends:
            verb = "will be" if ends[each.model] > today else "were"
            yield f"{name}: the model and its fine-tunes {verb} shut down on {ends[each.model]}"


def is_priced(model: ModelPrice) -> bool:
    """Whether every requested cost is known."""
    trained = model.training is None or model.training_cost is not None
    return trained and all(cost.standard is not None for cost in _costs(model))


def _block(models: Sequence[ModelPrice]) -> Iterator[Line]:
    yield _row("", (shorten(each.model, _VALUE) for each in models)), {"bold": True}
    yield _row("tokenizer", (each.tokenizer + ("" if each.exact else " (estimate)") for each in models)), {}
    if models[0].training is not None:
        yield from _training_rows(models)
    if models[0].evaluations or models[0].month:
        yield _row("answers priced as", (shorten(each.answers_as, _VALUE) for each in models)), {}
    for name in models[0].evaluations:
        yield f"one evaluation of {shorten(name, 50)}", {"bold": True}
        yield from _call_rows([each.evaluations[name] for each in models])
    months = [each.month for each in models if each.month]
    if months:
        yield f"one month, {months[0].traffic.calls:,} calls", {"bold": True}
        yield from _call_rows(months)


def _training_rows(models: Sequence[ModelPrice]) -> Iterator[Line]:
    found = [each.training for each in models if each.training is not None]
    yield f"training on {found[0].examples:,} examples", {"bold": True}
    yield _row("  tokens", (f"{each.tokens:,}" for each in found)), {}
    yield from _not_counted_row(found[0].not_counted, len(models))
    yield _row("  longest example", (f"{each.longest:,}" for each in found)), {}
    yield _row("  epochs", (f"{each.epochs}" for each in models)), {}
    rates = (dollars(each.training_rate) for each in models)
    yield _row("  price per 1M tokens", rates), {}
    costs = (_amount(each.training_cost, found[0].not_counted) for each in models)
    yield _row("  cost", costs), {"bold": True}


def _call_rows(costs: Sequence[CallCost]) -> Iterator[Line]:
    yield _row("  calls", (f"{each.traffic.calls:,}" for each in costs)), {}
    yield _row("  prompt tokens", (f"{each.traffic.prompt:,}" for each in costs)), {}
    yield _row("  completion tokens", (f"{each.traffic.completion:,}" for each in costs)), {}
    left = costs[0].traffic.not_counted
    yield from _not_counted_row(left, len(costs))
    yield _row("  cost", (_amount(each.standard, left) for each in costs)), {"bold": True}
    yield _row("  cost as a batch", (_amount(each.batch, left) for each in costs)), {}
    yield _row("  cost on the base model", (_amount(each.untuned, left) for each in costs)), {}


def _not_counted_row(left: Mapping[str, int], columns: int) -> Iterator[Line]:
    if left:
        yield _row("  not counted", [shorten(listed_counts(left), _VALUE)] * columns), {"yellow": True}


def _amount(cost: Decimal | None, left: Mapping[str, int]) -> str:
    """Dollars; an estimate if not all is counted."""
    return dollars(cost) + (" (estimate)" if cost and left else "")


def _not_counted(model: ModelPrice) -> dict[str, Mapping[str, int]]:
    """What of a model's costs is not counted, by cost."""
    found = {"training": model.training.not_counted} if model.training else {}
    found |= {
        f"one evaluation of {shorten(name, 40)}": each.traffic.not_counted for name, each in model.evaluations.items()
    }
    if model.month:
        found["the month"] = model.month.traffic.not_counted
    return {what: left for what, left in found.items() if left}


def _row(fact: str, values: Iterable[str]) -> str:
    return (f"{fact:<{_FACT}}" + "  ".join(f"{value:>{_VALUE}}" for value in values)).rstrip()


def _costs(model: ModelPrice) -> list[CallCost]:
    return [*model.evaluations.values(), *([model.month] if model.month else [])]


def _model_json(model: ModelPrice, end: date | None) -> dict[str, Any]:
    training = model.training
    return {
        "model": model.model,
        "answers_as": model.answers_as,
        "tokenizer": model.tokenizer,
        "tokens_are": "exact" if model.exact and not _not_counted(model) else "estimated",
        "training": None
        if training is None
        else {
            "examples": training.examples,
            "tokens": training.tokens,
            "not_counted": dict(training.not_counted),
            "longest": training.longest,
            "epochs": model.epochs,
            "price_per_million": _text(model.training_rate),
            "cost": _text(model.training_cost),
            "note": model.note,
        },
        "evaluations": {name: _cost_json(cost) for name, cost in model.evaluations.items()},
        "month": _cost_json(model.month) if model.month else None,
        "configured": model.configured,
        "shutdown_date": end.isoformat() if end else None,
    }


def _cost_json(cost: CallCost) -> dict[str, Any]:
    traffic = cost.traffic
    return {
        "calls": traffic.calls,
        "prompt_tokens": traffic.prompt,
        "completion_tokens": traffic.completion,
        "not_counted": dict(traffic.not_counted),
        "cost": _text(cost.standard),
        "batch_cost": _text(cost.batch),
        "untuned_cost": _text(cost.untuned),
    }


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:f}"
