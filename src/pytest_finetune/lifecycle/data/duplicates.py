"""Duplicates within a file, the same prompt with different answers, and leakage between files."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_finetune.lifecycle.data.codes import make_finding
from pytest_finetune.lifecycle.data.near_duplicates import TextIndex

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.data.canonical import Example
    from pytest_finetune.lifecycle.data.finding import FindingLog
    from pytest_finetune.lifecycle.data.structure import ReportFinding

TRAINING, VALIDATION, EVAL = 1, 2, 4
"""The types of data files, each one bit; files are read in this order."""

_LEAKS = {
    (EVAL, TRAINING): ("eval_in_training", "near_eval_in_training", "training"),
    (EVAL, VALIDATION): ("eval_in_validation", "eval_in_validation", "validation"),
    (VALIDATION, TRAINING): ("validation_in_training", "validation_in_training", "training"),
}


class _Place(NamedTuple):
    file: str
    line: int
    system: str
    answer: bytes

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


_Nearest = dict[tuple[int, int], dict[int, tuple[float, _Place]]]
"""For each pair of types in `_LEAKS`: by the number of a held-out text, similarity and place of its nearest text."""


class DuplicateCheck:
    """
    Finds duplicates, conflicting answers and leakage in the examples of all files, training first.

    Args:
        similarity: Minimum similarity of near duplicates.
        log: Receives the findings that need all files, from `close`.

    Raises:
        DataError: numpy or rapidfuzz is not installed.
    """

    def __init__(self, similarity: float, log: FindingLog) -> None:
        self._log, self._index = log, TextIndex(similarity)
        self._rows: dict[tuple[int, bytes], _Place] = {}
        self._answers: dict[tuple[bool, bytes], _Place] = {}
        self._first: dict[int, dict[int, _Place]] = {TRAINING: {}, VALIDATION: {}, EVAL: {}}
        self._held_out: list[tuple[int, int, _Place]] = []

    def add(self, example: Example, side: int, report: ReportFinding) -> None:
        """Report an example that repeats an earlier one; near duplicates are reported by `close`."""
        place = _Place(example.file, example.line, example.system, example.answer_id)
        repeated = self._report_repeated(example, side, place, report)
        if not (example.question.strip() or example.parts):
            return
        number = self._index.add(example.question, side, parts=example.parts)
        first = self._first[side].setdefault(number, place)
        # Preference data has several pairs of answers to one prompt.
        if first is not place and not (repeated or example.is_pair) and first.system == place.system:
            _report_near(report, first, place, 1.0)
        if side != TRAINING:
            self._held_out.append((number, side, place))

    def close(self) -> None:
        """Report near duplicates and leakage."""
        nearest: _Nearest = {sides: {} for sides in _LEAKS}
        reported: set[tuple[int, int]] = set()
        for one, other, alike in self._index.near_pairs():
            for side, first in self._first.items():
                if one in first and other in first and (side, other) not in reported:
                    reported.add((side, other))
                    self._log_near(first[one], first[other], alike)
            self._note_leak(one, other, alike, nearest)
            self._note_leak(other, one, alike, nearest)
        for number, side, place in self._held_out:
            self._log_leaks(number, side, place, nearest)

    def _note_leak(self, mine: int, theirs: int, alike: float, nearest: _Nearest) -> None:
        """Keep, for a held-out text, the most similar text of each type of file that it must not resemble."""
        for (held, seen), best in nearest.items():
            place = self._first[seen].get(theirs)
            if place is not None and mine in self._first[held] and alike > best.get(mine, (0.0, place))[0]:
                best[mine] = alike, place

    def _report_repeated(self, example: Example, side: int, place: _Place, report: ReportFinding) -> bool:
        """Report a row that occurred before, or its prompt with another answer; return whether there was one."""
        equal = self._rows.setdefault((side, example.row_id), place)
        if equal is not place:
            report("duplicate", f"identical to {equal}", "keep one of them (--fix does)", other=str(equal))
            return True
        # An answer of weight 0 is not learned, so it contradicts nothing.
        if not example.is_learned:
            return False
        first = self._answers.setdefault((side == EVAL, example.prompt_id), place)
        if first.answer == example.answer_id:
            return False
        hint = "keep the correct one; with both, the model learns to guess"
        report("conflicting_answers", f"{first} has the same prompt, another answer", hint, other=str(first))
        return True

    def _log_near(self, first: _Place, second: _Place, alike: float) -> None:
        if first.system == second.system:

            def report(code: str, problem: str, hint: str, *, path: str = "", other: str = "") -> None:
                self._log.add(make_finding(code, second.file, second.line, problem, hint, path=path, other=other))

            _report_near(report, first, second, alike)

    def _log_leaks(self, number: int, side: int, place: _Place, nearest: _Nearest) -> None:
        for (held, seen), (exact, near, where) in _LEAKS.items():
            if held != side:
                continue
            same = self._first[seen].get(number)
            best = (1.0, same) if same else nearest[held, seen].get(number)
            if best is None:
                continue
            alike, other = best
            hint = f"remove it from the {where} file or from this one; otherwise results look better than they are"
            if other.file == place.file:
                self._log_same_file(exact, place.file, where)
                continue
            extent = "the same" if same else f"nearly the same ({alike:.0%})"
            problem = f"has {extent} prompt as {other}, a {where} row"
            self._log.add(
                make_finding(exact if same else near, place.file, place.line, problem, hint, other=str(other))
            )

    def _log_same_file(self, code: str, file: str, where: str) -> None:
        """Report once, not per row, that a file was given as two types."""
        hint = "divide it: pytest-finetune data split FILE --validation 0.1 --test 0.1"
        if not self._log.counts[file, code]:
            self._log.add(make_finding(code, file, 0, f"this file is also the {where} file", hint))


def _report_near(report: ReportFinding, first: _Place, second: _Place, alike: float) -> None:
    extent = (
        "the same questions except for case, spacing or punctuation"
        if alike == 1
        else f"nearly the same prompt ({alike:.0%})"
    )
    hint = "remove one, unless the difference is worth learning"
    answered = "with the same answer" if first.answer == second.answer else "with a different answer"
    report("near_duplicate", f"has {extent} as {first}, {answered}", hint, other=str(first))
