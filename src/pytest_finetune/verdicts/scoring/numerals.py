"""Numbers as people write them, read strictly: digits and nothing else."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

from pydantic import Field

from pytest_finetune.base.format_fault import FormatFault
from pytest_finetune.base.records import FormatFailure
from pytest_finetune.base.text import shorten
from pytest_finetune.verdicts.evalset.settings_base import Settings
from pytest_finetune.verdicts.metrics.measure import as_written

MOST_DIGITS = 400
"""Longest number, in characters, and largest exponent: no answer may take long to compute with."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE]([+-]?[0-9]{1,3}))?")
_STARTS = re.compile(r"[^0-9]*[0-9]")


class Tolerance(Settings):
    """How far a number may be from the expected one; without either, it must be equal."""

    absolute: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    relative: float = Field(default=0.0, ge=0, lt=1)

    def accepts(self, expected: Fraction, got: Fraction) -> bool:
        """Whether a number is near enough: within the larger of the two tolerances, bounds included."""
        allowed = max(as_written(self.absolute), as_written(self.relative) * abs(expected))
        return abs(got - expected) <= allowed


def read_number(text: str, *, decimal: str = ".", thousands: str = "") -> Fraction:
    """
    The exact value of a number in decimal or scientific notation, `-3.5`, `.5`, `6.02e23`, spaces around it or not.

    Args:
        text: Any text.
        decimal: What separates the decimals, one character.
        thousands: What may separate groups of three digits before the decimals, one character; empty for nothing.

    Raises:
        FormatFault: The text is anything but one number: a unit, a currency, a percent sign, words, a fraction.
    """
    plain = text.strip()
    if len(plain) > MOST_DIGITS:
        raise FormatFault(FormatFailure.WRONG_TYPE, f"{shorten(plain)!r} is not a number")
    written = _in_plain_notation(plain, decimal, thousands)
    found = None if written is None else _NUMBER.fullmatch(written)
    if found is None:
        raise FormatFault(FormatFailure.WRONG_TYPE, _problem(plain, decimal))
    if found[1] and abs(int(found[1])) > MOST_DIGITS:
        raise FormatFault(FormatFailure.OUT_OF_RANGE, f"the exponent of {shorten(plain)} is out of range")
    return Fraction(Decimal(found[0]))


def _in_plain_notation(text: str, decimal: str, thousands: str) -> str | None:
    """The text with a point and without separators; None if it is not a number in the notation that was asked for."""
    whole, mark, rest = text.partition(decimal)
    if thousands and thousands in whole:
        if not re.fullmatch(rf"[+-]?[0-9]{{1,3}}(?:{re.escape(thousands)}[0-9]{{3}})+", whole):
            return None
        whole = whole.replace(thousands, "")
    # A point that does not separate decimals here is not part of a number.
    if "." in whole + rest:
        return None
    return f"{whole}.{rest}" if mark else whole


def _problem(text: str, decimal: str) -> str:
    if not _STARTS.match(text):
        return f"{shorten(text)!r} is not a number"
    return f"{shorten(text)!r} is not only a number in digits with {decimal!r} before the decimals"
