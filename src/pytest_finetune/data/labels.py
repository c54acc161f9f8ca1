"""The label of a row, and whether the answers of a file are labels at all."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_finetune.data.examples import answer_field, answer_text

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LABELS = 200
MAX_LABEL_LENGTH = 100
ROWS_PER_LABEL = 2
"""Answers are labels where at most so many different ones, each that short, have on average so many rows."""


@dataclass(slots=True)
class Numbered:
    """
    Texts that many rows share: each once, and its number for each row, -1 where it has none.

    Args:
        limit: Different texts that are kept; None for all.
    """

    limit: int | None = None
    names: list[str] = field(default_factory=list)
    numbers: array[int] = field(default_factory=lambda: array("l"))
    overflown: bool = False
    _known: dict[str, int] = field(default_factory=dict)

    def add(self, name: str | None) -> None:
        """Note the text of the next row."""
        number = -1 if name is None else self._known.get(name, len(self.names))
        if name is not None and number == len(self.names):
            if self.overflown or (self.limit is not None and number >= self.limit):
                self.overflown, number = True, -1
            else:
                self._known[name] = number
                self.names.append(name)
        self.numbers.append(number)


@dataclass(slots=True)
class Labels:
    """
    The labels of rows that are seen one by one.

    Args:
        key: The key of a JSON answer whose value is the label; empty takes the answers themselves.
    """

    key: str = ""
    _seen: Numbered = field(default_factory=lambda: Numbered(MAX_LABELS))

    def add(self, row: Mapping[str, Any]) -> None:
        """Note the label of the next row."""
        label = answer_field(row, self.key) if self.key else answer_text(row).strip()
        if label and len(label) > MAX_LABEL_LENGTH:
            self._seen.overflown, label = True, None
        self._seen.add(label or None)

    @property
    def names(self) -> list[str]:
        """The labels, as first met; none where the answers are too many or too long to be labels."""
        names = self._seen.names
        few = 1 < len(names) <= len(self._seen.numbers) // ROWS_PER_LABEL
        return names if few and not self._seen.overflown else []

    @property
    def numbers(self) -> array[int]:
        """For each row the number of its label in `names`, -1 where it has none."""
        return self._seen.numbers

    def counts(self) -> dict[str, int]:
        """Rows by label, the commonest first."""
        names = self.names
        numbers = Counter(number for number in self.numbers if number >= 0) if names else Counter[int]()
        return {names[number]: count for number, count in numbers.most_common()}
