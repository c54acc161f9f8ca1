"""
Prices that a project configures for its models, in the setting `finetune_prices` of its pytest configuration.

One line per model or pattern, in US dollars per million tokens:

    MODEL = PROMPT, COMPLETION[, CACHED]
    MODEL batch = PROMPT, COMPLETION[, CACHED]
    MODEL training = PRICE
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeVar

from pytest_finetune.base.errors import PriceError
from pytest_finetune.evaluation.fine_tune_prices import Rates
from pytest_finetune.verdicts.evalset.project import configured_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

OPTION = "finetune_prices"

_LINE = re.compile(r"(?P<model>\S+)(?P<use>\s+[^=]*?)?\s*=(?P<prices>[^=]*)")
_AMOUNT = re.compile(r"\d+(\.\d+)?|\.\d+", re.ASCII)
_FORMS = {
    "": "MODEL = PROMPT, COMPLETION[, CACHED]",
    "batch": "MODEL batch = PROMPT, COMPLETION[, CACHED]",
    "training": "MODEL training = PRICE",
}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ConfiguredPrices:
    """
    Configured prices by model; a model may be a pattern as in `fnmatch`.

    A model's own line wins over patterns, and an earlier pattern over a later one.

    Args:
        answers: Of answers.
        batch: Of answers through the batch API.
        training: US dollars for a million tokens of training.
    """

    answers: Mapping[str, Rates] = field(default_factory=dict)
    batch: Mapping[str, Rates] = field(default_factory=dict)
    training: Mapping[str, Decimal] = field(default_factory=dict)

    def has(self, model: str) -> bool:
        """Whether any price of the model's answers is configured."""
        return self.rates(model) is not None or self.rates(model, batch=True) is not None

    def rates(self, model: str, *, batch: bool = False) -> Rates | None:
        """Prices of a model's answers; None if they are not configured."""
        return _find(self.batch if batch else self.answers, model)

    def training_rate(self, model: str) -> Decimal | None:
        """US dollars for a million tokens of training a model; None if it is not configured."""
        return _find(self.training, model)


NO_PRICES = ConfiguredPrices()


def parse_prices(lines: Iterable[str]) -> ConfiguredPrices:
    """
    The prices that the lines of the setting give.

    Raises:
        PriceError: A line is wrong; the message says which and why.
    """
    answers: dict[str, Rates] = {}
    batch: dict[str, Rates] = {}
    training: dict[str, Decimal] = {}
    seen: set[tuple[str, str]] = set()
    for line in filter(None, map(str.strip, lines)):
        model, use, amounts = _parse(line)
        if (model, use) in seen:
            raise _wrong_line(line, f"{model} has a price already", "delete one of the lines")
        seen.add((model, use))
        if use == "training":
            training[model] = amounts[0]
        else:
            (batch if use else answers)[model] = _rates(amounts, line, use)
    return ConfiguredPrices(answers, batch, training)


def project_prices(folder: Path) -> ConfiguredPrices:
    """
    The prices that the project of a folder configures, for a command without pytest.

    Raises:
        PriceError: A line is wrong.
        EvalSetError: The configuration cannot be read.
    """
    return parse_prices(configured_lines(folder, OPTION))


def price_hint(model: str, *, batch: bool = False) -> str:
    """What to write to configure a model's price."""
    name = f"{model} batch" if batch else model
    return f"give its price, in US dollars per million tokens, to {OPTION}: {name} = PROMPT, COMPLETION"


def _find(prices: Mapping[str, T], model: str) -> T | None:
    if model in prices:
        return prices[model]
    return next((price for pattern, price in prices.items() if fnmatchcase(model, pattern)), None)


def _parse(line: str) -> tuple[str, str, list[Decimal]]:
    """The model, what the prices are for (empty: answers), and the prices."""
    found = _LINE.fullmatch(line)
    if not found:
        raise _wrong_line(line, "not a model, '=' and its prices", f"the form is {_FORMS['']}")
    use = (found["use"] or "").strip()
    if use not in _FORMS:
        raise _wrong_line(line, f"{use!r} is neither 'batch' nor 'training'", "a model id has no spaces")
    amounts = [_amount(text.strip(), line) for text in found["prices"].split(",")]
    if len(amounts) not in ((1,) if use == "training" else (2, 3)):
        count = f"{len(amounts)} price{'' if len(amounts) == 1 else 's'}"
        raise _wrong_line(line, count, f"the form is {_FORMS[use]}")
    return found["model"], use, amounts


def _amount(text: str, line: str) -> Decimal:
    if not _AMOUNT.fullmatch(text):
        raise _wrong_line(line, f"{text!r} is not an amount", "write US dollars per million tokens, such as 0.25")
    return Decimal(text)


def _rates(amounts: list[Decimal], line: str, use: str) -> Rates:
    prompt, completion, *rest = amounts
    cached = rest[0] if rest else None
    if cached is not None and cached > prompt:
        raise _wrong_line(line, "cached tokens cost more than other prompt tokens", f"the form is {_FORMS[use]}")
    return Rates(prompt, cached, completion)


def _wrong_line(line: str, problem: str, hint: str) -> PriceError:
    return PriceError(f"{line!r}: {problem}", OPTION, hint)
