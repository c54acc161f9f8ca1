"""The label of each row, and whether the answers of a file are labels at all."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field

from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.lifecycle.data.canonical import field_of

MAX_LABELS = 200
MAX_LABEL_LENGTH = 100
ROWS_PER_LABEL = 3
"""Answers are labels if there are at most `MAX_LABELS`, of this length or less, with this many rows on average."""

WHY_NO_LABELS = "all the same, JSON, too long or too varied"
"""Why answers are not labels."""


def are_labels(different: int, rows: int) -> bool:
    """Whether this many different answers in this many rows are labels; a single one is not."""
    return 1 < different <= MAX_LABELS and different * ROWS_PER_LABEL <= rows


def is_structured(answer: str) -> bool:
    """Whether an answer is a JSON object or list, which is not a label."""
    if not answer.startswith(("{", "[")):
        return False
    try:
        return isinstance(parse_json(answer), dict | list)
    except JsonFault:
        return False


def choices(schema: object, key: str) -> tuple[str, ...]:
    """The strings that a JSON Schema allows for a property, by `enum` or `const`; empty if any value is allowed."""
    if not isinstance(schema, dict):
        return ()
    properties = schema.get("properties")
    allowed = properties.get(key) if isinstance(properties, dict) else None
    found = allowed.get("enum", [allowed["const"]] if "const" in allowed else []) if isinstance(allowed, dict) else []
    alternatives = [each for word in ("anyOf", "oneOf") if isinstance(each := schema.get(word), list)]
    inner = [name for each in alternatives for alternative in each for name in choices(alternative, key)]
    texts = [name for name in found if isinstance(name, str)] if isinstance(found, list) else []
    return tuple(dict.fromkeys([*texts, *inner]))


@dataclass(slots=True)
class Numbered:
    """
    Texts that many rows share: each text is stored once, and for each row its number, or -1 if it has none.

    Args:
        limit: Maximum number of different texts; None for no limit.
    """

    limit: int | None = None
    names: list[str] = field(default_factory=list)
    numbers: array[int] = field(default_factory=lambda: array("l"))
    overflown: bool = False
    _known: dict[str, int] = field(default_factory=dict)

    def add(self, name: str | None) -> None:
        """Add the text of the next row."""
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
    Collects the labels of rows.

    Args:
        key: Key of a JSON answer to use as the label; empty uses the answers themselves.
    """

    key: str = ""
    _seen: Numbered = field(default_factory=lambda: Numbered(MAX_LABELS))

    def add(self, answer: str) -> None:
        """Add the label of the next row, given its answer."""
        label = field_of(answer, self.key) if self.key else answer.strip()
        if label and (len(label) > MAX_LABEL_LENGTH or self._is_no_label(label)):
            self._seen.overflown, label = True, None
        self._seen.add(label or None)

    @property
    def names(self) -> list[str]:
        """The labels in order of first occurrence; empty if the answers are not labels."""
        names, numbers = self._seen.names, self._seen.numbers
        few = are_labels(len(names), len(numbers) - numbers.count(-1))
        return names if few and not self._seen.overflown else []

    @property
    def found(self) -> bool:
        """Whether any row has a value, even if the values are not labels."""
        return bool(self._seen.names) or self._seen.overflown

    def _is_no_label(self, answer: str) -> bool:
        # One such answer decides, so that the others need not be parsed.
        return not self.key and not self._seen.overflown and is_structured(answer)

    @property
    def numbers(self) -> array[int]:
        """For each row the index of its label in `names`, or -1."""
        return self._seen.numbers

    def counts(self) -> dict[str, int]:
        """Number of rows by label, most common first."""
        names = self.names
        numbers = Counter(number for number in self.numbers if number >= 0) if names else Counter[int]()
        return {names[number]: count for number, count in numbers.most_common()}
