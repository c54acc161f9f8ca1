"""Summarizes a training file: lengths, tokens, kinds of answers, labels, system prompts, scripts and languages."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.lifecycle.data.canonical import answer_text, prompt_text, system_text
from pytest_finetune.lifecycle.data.labels import Labels
from pytest_finetune.lifecycle.data.languages import UNDECIDED, language_of, script_of
from pytest_finetune.lifecycle.data.tokens import not_counted_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_finetune.lifecycle.data.tokens import Tokenizer
    from pytest_finetune.verdicts.shapes.row import ChatRow

LENGTHS = ("tokens", "asked", "answered", "messages")
"""Measured per row: tokens, characters of the prompt (without system prompt), characters of the answer, messages."""

BINS = 40
# Bounds memory where each row has its own system prompt.
_MAX_PROMPTS = 10_000


@dataclass(frozen=True, slots=True)
class Distribution:
    """
    Distribution of whole numbers, one per row.

    Args:
        least, low, median, high, most: Quantiles 0, 0.05, 0.5, 0.95 and 1; each is one of the numbers.
        mean: Arithmetic mean; None without rows.
        bins: Start and count of up to `BINS` bins of equal width, from least to most.
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
    Summary of a training file.

    Args:
        rows: Number of rows.
        lengths: Distributions by the names in `LENGTHS`.
        tokens: Tokens of one epoch.
        not_counted: What has tokens that are not counted, such as images: its number by name.
        tokenizer: Encoding that counted them.
        answers: Rows by kind of answer: `text`, `JSON`, `tool calls`, `none`.
        labels: Rows by label; empty if the answers are not labels.
        system_prompts: Number of different system prompts; `_MAX_PROMPTS` means that or more.
        without_system: Rows without a system prompt.
        with_tools: Rows with tools.
        scripts: Rows by the script of the prompt.
        languages: Rows by the language of the prompt; `undecided` if it is not clear.
    """

    rows: int
    lengths: Mapping[str, Distribution]
    tokens: int
    not_counted: Mapping[str, int]
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
    Measures rows one by one; only counts and labels are kept.

    Args:
        tokenizer: Counts tokens.
        label_by: Key of a JSON answer to use as the label; empty uses short answers themselves.
    """

    tokenizer: Tokenizer
    label_by: str = ""
    _rows: int = 0
    _lengths: dict[str, Counter[int]] = field(default_factory=lambda: {name: Counter() for name in LENGTHS})
    _answers: Counter[str] = field(default_factory=Counter)
    _labels: Labels = field(init=False)
    _not_counted: Counter[str] = field(default_factory=Counter)
    _prompts: set[int] = field(default_factory=set)
    _counts: Counter[str] = field(default_factory=Counter)
    _scripts: Counter[str] = field(default_factory=Counter)
    _languages: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._labels = Labels(self.label_by)

    def add(self, row: ChatRow) -> None:
        """Measure one row."""
        self._rows += 1
        prompt, answer, system = prompt_text(row.prompt), answer_text(row), system_text(row.prompt)
        measured = (self.tokenizer.count_row(row), len(prompt), len(answer), len(row.messages))
        self._not_counted.update(not_counted_in(row))
        for name, length in zip(LENGTHS, measured, strict=True):
            self._lengths[name][length] += 1
        self._answers[_kind(row, answer)] += 1
        self._labels.add(answer)
        if system and len(self._prompts) < _MAX_PROMPTS:
            self._prompts.add(hash(system))
        self._counts["without_system"] += not system
        self._counts["with_tools"] += bool(row.tools)
        self._scripts[script_of(prompt) or "no letters"] += 1
        self._languages[language_of(prompt) if prompt else UNDECIDED] += 1

    def profile(self) -> Profile:
        """The summary of all rows added so far."""
        tokens = self._lengths["tokens"]
        return Profile(
            rows=self._rows,
            lengths={name: distribution(counts) for name, counts in self._lengths.items()},
            tokens=sum(length * count for length, count in tokens.items()),
            not_counted=dict(self._not_counted),
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
    """The distribution of numbers, given how often each occurs."""
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
    """The smallest of the numbers such that at least this share of all is not larger."""
    seen = 0
    for number in numbers:
        seen += counts[number]
        if seen >= share * total:
            return number
    return numbers[-1]


def _kind(row: ChatRow, answer: str) -> str:
    if row.reference:
        return "none"
    if row.answer.get("tool_calls"):
        return "tool calls"
    try:
        return "JSON" if isinstance(parse_json(answer), dict | list) else "text"
    except JsonFault:
        return "text"
