"""The training set as a whole: number of examples, balance of labels, and kinds of input that are missing."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import DataError, did_you_mean
from pytest_finetune.base.text import shorten
from pytest_finetune.lifecycle.data.canonical import field_text
from pytest_finetune.lifecycle.data.codes import make_finding
from pytest_finetune.lifecycle.data.labels import MAX_LABEL_LENGTH, MAX_LABELS, are_labels
from pytest_finetune.verdicts.scoring.normalizers import collapse_whitespace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_finetune.lifecycle.data.answers import ReadAnswer
    from pytest_finetune.lifecycle.data.canonical import Example
    from pytest_finetune.lifecycle.data.finding import FindingLog
    from pytest_finetune.lifecycle.data.structure import ReportFinding

LEAST, SENSIBLE = 10, 100
"""Examples: OpenAI requires at least 10; its guide reports clear improvements from 50 to 100 examples."""

LEAST_OF_A_LABEL, MOST_IMBALANCE = 10, 10
"""Examples that each label should have, and the largest accepted ratio of the most common to the rarest label."""

LONG = 3
"""An input counts as long if it has this many times the median length."""

# Bounds memory where the answers are free text: there are far fewer labels than this.
_MOST_COUNTED = 10_000
# Characters: an input this short counts as empty.
_SHORTEST = 2
_UNDECIDED = re.compile(
    r"other|others|none|null|unknown|unclear|unsure|ambiguous|undecided|uncertain|neither|n/?a|mixed"
    r"|oos|out[ _-]of[ _-]scope|其他|其它|未知|不确定|不清楚|无法判断|不明",
    re.IGNORECASE,
)
_MORE = "add more; 100 to 500 good ones are a sensible start"
_NO_WORD = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class AllowedLabels:
    """
    The labels that answers may have.

    Args:
        names: The labels as the model writes them.
        normalize: Applied to labels and answers before they are compared.
        schema: Whether the names come from a schema; other answers are then reported by the schema check.
    """

    names: tuple[str, ...]
    normalize: Callable[[str], str] = str.strip
    schema: bool = False


class Balance:
    """
    Counts the training examples and their labels.

    Args:
        file: File that findings about the whole set are reported for.
        labels: The allowed answers; None uses the answers as they are.
        label_by: Key of a JSON answer to use as the label; empty uses the answers themselves.
    """

    def __init__(self, file: str, labels: AllowedLabels | None, label_by: str = "") -> None:
        self._file, self._labels, self._label_by = file, labels, label_by
        self._allowed = {} if labels is None else {labels.normalize(name): name for name in labels.names}
        self._counts: Counter[str] = Counter()
        self._first: dict[str, tuple[str, int]] = {}
        self._lengths = array("q")
        self._unlabelled = self._labelled = False
        self._unusable = 0
        self._trained, self._held_out = _Kinds(), _Kinds()
        self._keys: dict[str, None] = {}

    def add(self, example: Example, read: ReadAnswer | None, report: ReportFinding) -> None:
        """Count one example; an answer that is not an allowed label is reported immediately."""
        self._lengths.append(len(example.question))
        self._trained.add(example, read)
        structured = read is not None and read.value is not None
        if self._label_by:
            self._count_field(example, None if read is None else read.value, report)
        elif structured:
            self._unlabelled = True
        elif example.answer and (answer := example.answer.strip()):
            self._count_label(example, answer, report)

    def add_held_out(self, example: Example, read: ReadAnswer | None) -> None:
        """Remember the kinds of input in a validation row or an eval case."""
        self._held_out.add(example, read)

    def add_unusable(self) -> None:
        """Count a row that is reported as broken; it will be an example once it is fixed."""
        self._unusable += 1

    def close(self, log: FindingLog) -> None:
        """
        Report what the whole set lacks; rows that are reported as broken count as examples here.

        Raises:
            DataError: No answer has the key `label_by`.
        """
        if self._label_by and self._lengths and not self._labelled:
            hint = did_you_mean(self._label_by, self._keys) if self._keys else "the answers are not JSON objects"
            raise DataError(f"no answer has the key {shorten(self._label_by)!r}", self._file, hint)
        count = len(self._lengths)
        whole = count + self._unusable
        if whole < LEAST and (count or not self._unusable):
            problem = f"{count} usable example{'s' * (count != 1)}; OpenAI requires at least {LEAST}"
            log.add(make_finding("too_few_examples", self._file, 0, problem, _MORE))
        elif whole < SENSIBLE and count:
            problem = f"only {count} usable examples"
            log.add(make_finding("few_examples", self._file, 0, problem, _MORE))
        counts = self.label_counts()
        if counts is not None:
            self._log_labels(counts, log)
        if count >= LEAST:
            self._log_missing(log)

    def label_counts(self) -> dict[str, int] | None:
        """Examples of each label, most common first; None if the answers are not labels."""
        if self._labels is not None:
            known = Counter(dict.fromkeys(self._labels.names, 0))
            known.update({self._allowed[key]: count for key, count in self._counts.items() if key in self._allowed})
            return dict(known.most_common())
        few = are_labels(len(self._counts), self._counts.total()) and not self._unlabelled
        return dict(self._counts.most_common()) if few else None

    def _count_field(self, example: Example, value: object, report: ReportFinding) -> None:
        label = field_text(value, self._label_by)
        if label is not None:
            self._labelled = True
            self._count_label(example, label.strip(), report)
        elif type(value) is dict and len(self._keys) < MAX_LABELS:
            self._keys |= dict.fromkeys(islice(value, MAX_LABELS))

    def _count_label(self, example: Example, answer: str, report: ReportFinding) -> None:
        key = answer if self._labels is None else self._labels.normalize(answer)
        if self._labels is not None and key not in self._allowed and not self._labels.schema:
            hint = did_you_mean(answer, self._labels.names)
            report("unknown_label", f"the answer {shorten(answer)!r} is not one of the labels", hint)
        if len(key) > MAX_LABEL_LENGTH or len(self._counts) >= _MOST_COUNTED:
            # One long answer is enough to know that the answers are not labels.
            self._unlabelled = self._unlabelled or self._labels is None
            return
        self._counts[key] += 1
        self._first.setdefault(key, (example.file, example.line))

    def _log_labels(self, counts: Mapping[str, int], log: FindingLog) -> None:
        # A label in another spelling is reported as such, and is neither rare nor a label of its own.
        variants = self._log_variants(counts, log)
        counts = {label: count for label, count in counts.items() if label not in variants}
        for label, count in counts.items():
            if count < LEAST_OF_A_LABEL:
                file, line = self._first.get(self._labels.normalize(label) if self._labels else label, (self._file, 0))
                problem = f"the label {shorten(label)!r} has {count} example{'s' * (count != 1)}"
                log.add(
                    make_finding(
                        "rare_label", file, line, problem, f"add more, at least {LEAST_OF_A_LABEL}, or drop it"
                    )
                )
        # A rare label is reported above, and that it is far less common than another follows from it.
        common = [label for label, count in counts.items() if count >= LEAST_OF_A_LABEL]
        rarest, commonest = min(common, key=lambda label: counts[label], default=""), next(iter(counts))
        if common and counts[commonest] > MOST_IMBALANCE * counts[rarest]:
            problem = (
                f"{shorten(commonest)!r} has {counts[commonest]:,} examples, {shorten(rarest)!r} has {counts[rarest]:,}"
            )
            hint = "add examples of the rare label, or remove some of the common one"
            log.add(make_finding("class_imbalance", self._file, 0, problem, hint))

    def _log_variants(self, counts: Mapping[str, int], log: FindingLog) -> set[str]:
        """Report labels that are spelled in two ways; return the rarer spellings."""
        spelt: dict[str, str] = {}
        variants = set()
        for label in counts:
            plain = _NO_WORD.sub("", collapse_whitespace(label.casefold())) or label
            first = spelt.setdefault(plain, label)
            if first != label and self._labels is None:
                variants.add(label)
                file, line = self._first[label]
                problem = (
                    f"the label {shorten(label)!r} ({counts[label]:,} rows) is {shorten(first)!r} in {counts[first]:,}"
                )
                log.add(make_finding("label_variant", file, line, problem, "use one spelling per label"))
        return variants

    def _log_missing(self, log: FindingLog) -> None:
        """Report the kinds of input that are evaluated, but that no training row has."""
        trained, held_out = self._trained, self._held_out
        middle, longest = median(self._lengths), max(self._lengths)
        missing = []
        if held_out.empty and not trained.empty:
            problem = f"{held_out.empty} has an almost empty input or an empty field; no training row has"
            missing.append(("no_empty_field", problem, "incomplete inputs", held_out.empty))
        if held_out.longest >= LONG * middle > longest:
            problem = f"{held_out.long} has {held_out.longest:,} characters; the longest training input has {longest:,}"
            missing.append(("no_long_input", problem, "long inputs", held_out.long))
        if held_out.ambiguous and not trained.ambiguous:
            problem = f"the answer of {held_out.ambiguous} marks its input as ambiguous; no training answer does"
            missing.append(("no_ambiguous_input", problem, "ambiguous inputs", held_out.ambiguous))
        for code, problem, kind, place in missing:
            log.add(make_finding(code, self._file, 0, problem, f"add examples of how to answer {kind}", other=place))


class _Kinds:
    """The kinds of input in some rows, each with the place of its first example; empty where there is none."""

    def __init__(self) -> None:
        self.empty = self.ambiguous = self.long = ""
        self.longest = 0

    def add(self, example: Example, read: ReadAnswer | None) -> None:
        place = f"{example.file}:{example.line}"
        is_empty = len(example.question.strip()) <= _SHORTEST and not example.parts
        is_ambiguous = bool(example.answer and _UNDECIDED.fullmatch(example.answer.strip()))
        if read is not None and read.value is not None and not (self.empty and self.ambiguous):
            is_empty, is_ambiguous = _edges(read.value, empty=is_empty, ambiguous=is_ambiguous)
        self.empty = self.empty or (place if is_empty else "")
        self.ambiguous = self.ambiguous or (place if is_ambiguous else "")
        if len(example.question) > self.longest:
            self.long, self.longest = place, len(example.question)


def _edges(value: object, *, empty: bool, ambiguous: bool) -> tuple[bool, bool]:
    """Whether a JSON answer has an empty field, and an undecided one; arguments that are true stay true."""
    fields = [value]
    while fields and not (empty and ambiguous):
        field = fields.pop()
        if field is None or field in ("", [], {}):
            empty, ambiguous = True, ambiguous or field is None
        elif type(field) is str:
            ambiguous = ambiguous or bool(_UNDECIDED.fullmatch(field.strip()))
        elif type(field) is dict:
            fields.extend(field.values())
        elif type(field) is list:
            fields.extend(field)
    return empty, ambiguous
