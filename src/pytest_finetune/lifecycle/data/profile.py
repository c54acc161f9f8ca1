"""What is in a training file: how long its parts are, how many tokens, which labels, prompts, scripts and languages."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.lifecycle.data.examples import answer_text, asked_text, system_text
from pytest_finetune.lifecycle.data.labels import Labels
from pytest_finetune.lifecycle.data.languages import UNDECIDED, language_of, script_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_finetune.lifecycle.data.tokens import Tokenizer

LENGTHS = ("tokens", "asked", "answered", "messages")
"""What is measured of each row: tokens of all of it, characters of question and answer, messages."""

BINS = 40
_MAX_PROMPTS = 10_000


@dataclass(frozen=True, slots=True)
class Distribution:
    """
    Whole numbers, one a row.

    Args:
        least, low, median, high, most: The quantiles 0, 0.05, 0.5, 0.95 and 1; each is a number that occurs.
        mean: None where there are none.
        bins: Up to `BINS` equal steps from least to most: where each begins, and how many numbers are in it.
    """

    least: int = 0
    low: int = 0
    median: int = 0
    high: int = 0
    most: int = 0
    mean: float | None = None
    bins: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """
    What is in a file.

    Args:
        rows: Rows.
        lengths: By the names of `LENGTHS`.
        tokens: All tokens of one epoch.
        tokenizer: The encoding that counted them.
        answers: Rows by kind of answer: `text`, `JSON`, `tool calls`, `none`.
        labels: Rows by label; empty where the answers are no labels.
        system_prompts: Different ones; `_MAX_PROMPTS` stands for that or more.
        without_system: Rows without one.
        with_tools: Rows that offer tools.
        scripts: Rows by the script of the question.
        languages: Rows by the language of the question; `undecided` where it cannot be told.
    """

    rows: int
    lengths: Mapping[str, Distribution]
    tokens: int
    tokenizer: str
    answers: Mapping[str, int]
    labels: Mapping[str, int]
    system_prompts: int
    without_system: int
    with_tools: int
    scripts: Mapping[str, int]
    languages: Mapping[str, int]


@dataclass(slots=True)
class Profiler:
    """
    Takes rows one by one; keeps counts, and nothing of the rows but their labels.

    Args:
        tokenizer: Counts tokens.
        label_by: The key of a JSON answer that is the label; empty takes short answers themselves.
    """

    tokenizer: Tokenizer
    label_by: str = ""
    _rows: int = 0
    _lengths: dict[str, Counter[int]] = field(default_factory=lambda: {name: Counter() for name in LENGTHS})
    _answers: Counter[str] = field(default_factory=Counter)
    _labels: Labels = field(init=False)
    _prompts: set[int] = field(default_factory=set)
    _counts: Counter[str] = field(default_factory=Counter)
    _scripts: Counter[str] = field(default_factory=Counter)
    _languages: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._labels = Labels(self.label_by)

    def add(self, row: Mapping[str, Any]) -> None:
        """Measure one row."""
        self._rows += 1
        asked, answer, system = asked_text(row), answer_text(row), system_text(row)
        messages = row.get("messages")
        measured = (self.tokenizer.count_example(row), len(asked), len(answer), _count(messages))
        for name, length in zip(LENGTHS, measured, strict=True):
            self._lengths[name][length] += 1
        self._answers[_kind(row, answer)] += 1
        self._labels.add(row)
        if system and len(self._prompts) < _MAX_PROMPTS:
            self._prompts.add(hash(system))
        self._counts["without_system"] += not system
        self._counts["with_tools"] += bool(row.get("tools"))
        self._scripts[script_of(asked) or "no letters"] += 1
        self._languages[language_of(asked) if asked else UNDECIDED] += 1

    def profile(self) -> Profile:
        """What all rows together are."""
        tokens = self._lengths["tokens"]
        return Profile(
            rows=self._rows,
            lengths={name: distribution(counts) for name, counts in self._lengths.items()},
            tokens=sum(length * count for length, count in tokens.items()),
            tokenizer=self.tokenizer.name,
            answers=dict(self._answers.most_common()),
            labels=self._labels.counts(),
            system_prompts=len(self._prompts),
            without_system=self._counts["without_system"],
            with_tools=self._counts["with_tools"],
            scripts=dict(self._scripts.most_common()),
            languages=dict(self._languages.most_common()),
        )


def distribution(counts: Mapping[int, int]) -> Distribution:
    """The distribution of numbers that are given by how often each occurs."""
    numbers, total = sorted(counts), sum(counts.values())
    if not total:
        return Distribution()
    least, most = numbers[0], numbers[-1]
    step = max(1, -(-(most - least + 1) // BINS))
    bins: Counter[int] = Counter()
    for number in numbers:
        bins[(number - least) // step] += counts[number]
    low, median, high = (_quantile(numbers, counts, total, share) for share in (0.05, 0.5, 0.95))
    mean = sum(number * counts[number] for number in numbers) / total
    return Distribution(
        least, low, median, high, most, mean, tuple((least + at * step, bins[at]) for at in range(max(bins) + 1))
    )


def _quantile(numbers: list[int], counts: Mapping[int, int], total: int, share: float) -> int:
    """The smallest number that is not exceeded by at least this share of all."""
    seen = 0
    for number in numbers:
        seen += counts[number]
        if seen >= share * total:
            return number
    return numbers[-1]


def _kind(row: Mapping[str, Any], answer: str) -> str:
    messages = row.get("messages")
    if isinstance(messages, list) and messages and isinstance(messages[-1], dict) and messages[-1].get("tool_calls"):
        return "tool calls"
    if not answer:
        return "none"
    try:
        return "JSON" if isinstance(parse_json(answer), dict | list) else "text"
    except JsonFault:
        return "text"


def _count(messages: Any) -> int:
    return len(messages) if isinstance(messages, list) else 0
