"""Duplicates within a file, the same prompt with different answers, and leakage between files."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_finetune.lifecycle.data.codes import found
from pytest_finetune.lifecycle.data.near_duplicates import TextIndex

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.data.chat_example import Example
    from pytest_finetune.lifecycle.data.finding import FindingLog
    from pytest_finetune.lifecycle.data.structure import Say

TRAINING, VALIDATION, EVAL = 1, 2, 4
"""The sides of the data, each a bit; files are read in this order."""

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
"""By held-out side and the side that was seen: for the number of a text the nearest one, how alike and where."""


class Repeats:
    """
    Sees the examples of all files, training first, and notes what repeats.

    Args:
        similarity: Share of letters that near duplicates have in common.
        log: Where the findings go that only all files together show.

    Raises:
        DataError: numpy or rapidfuzz is not installed.
    """

    def __init__(self, similarity: float, log: FindingLog) -> None:
        self._log, self._index = log, TextIndex(similarity)
        self._answers: dict[tuple[bool, bytes], tuple[bytes, int, _Place]] = {}
        self._first: dict[int, dict[int, _Place]] = {TRAINING: {}, VALIDATION: {}, EVAL: {}}
        self._held_out: list[tuple[int, int, _Place]] = []

    def see(self, example: Example, side: int, say: Say) -> None:
        """Note what repeats an earlier example; what only resembles one is told at the end."""
        place = _Place(example.file, example.line, example.system, example.answer_id)
        repeated = self._repeats(example, side, place, say)
        if not example.question.strip():
            return
        number = self._index.add(example.question, side)
        first = self._first[side].setdefault(number, place)
        if first is not place and not repeated and first.system == place.system:
            _say_near(say, first, place, 1.0)
        if side != TRAINING:
            self._held_out.append((number, side, place))

    def close(self) -> None:
        """Report near duplicates and leakage."""
        nearest: _Nearest = {sides: {} for sides in _LEAKS}
        told: set[tuple[int, int]] = set()
        for one, other, alike in self._index.near_pairs():
            for side, first in self._first.items():
                if one in first and other in first and (side, other) not in told:
                    told.add((side, other))
                    self._tell_near(first[one], first[other], alike)
            self._note_leak(one, other, alike, nearest)
            self._note_leak(other, one, alike, nearest)
        for number, side, place in self._held_out:
            self._tell_leaks(number, side, place, nearest)

    def _note_leak(self, mine: int, theirs: int, alike: float, nearest: _Nearest) -> None:
        """Keep, for a held-out text, the most similar text of each file type that it must not resemble."""
        for (held, seen), best in nearest.items():
            place = self._first[seen].get(theirs)
            if place is not None and mine in self._first[held] and alike > best.get(mine, (0.0, place))[0]:
                best[mine] = alike, place

    def _repeats(self, example: Example, side: int, place: _Place, say: Say) -> bool:
        """Report a prompt that occurred before; return whether it did."""
        key = side == EVAL, example.prompt_id
        answer, first_side, first = self._answers.setdefault(key, (example.answer_id, side, place))
        if first is place:
            return False
        if answer != example.answer_id:
            hint = "keep the correct one; with both, the model learns to guess"
            say("conflicting_answers", f"{first} has the same prompt, another answer", hint, other=str(first))
        elif first_side == side:
            say("duplicate", f"identical to {first}", "keep one of them (--fix does)", other=str(first))
        return True

    def _tell_near(self, first: _Place, second: _Place, alike: float) -> None:
        if first.system == second.system:

            def say(code: str, problem: str, hint: str, *, path: str = "", other: str = "") -> None:
                self._log.add(found(code, second.file, second.line, problem, hint, path=path, other=other))

            _say_near(say, first, second, alike)

    def _tell_leaks(self, number: int, side: int, place: _Place, nearest: _Nearest) -> None:
        for (held, seen), (exact, near, where) in _LEAKS.items():
            if held != side:
                continue
            same = self._first[seen].get(number)
            best = (1.0, same) if same else nearest[held, seen].get(number)
            if best is None:
                continue
            alike, other = best
            hint = f"remove it from the {where} file or from this one: seen examples test nothing"
            if other.file == place.file:
                self._tell_same_file(exact, place.file, where, hint)
                continue
            said = "the same" if same else f"nearly the same ({alike:.0%})"
            problem = f"has {said} prompt as {other}, a {where} row"
            self._log.add(found(exact if same else near, place.file, place.line, problem, hint, other=str(other)))

    def _tell_same_file(self, code: str, file: str, where: str, hint: str) -> None:
        """Report once, not per row, that a file was given as two types."""
        if not self._log.counts[file, code]:
            self._log.add(found(code, file, 0, f"this file is also the {where} file", hint))


def _say_near(say: Say, first: _Place, second: _Place, alike: float) -> None:
    said = (
        "the same prompt except for case, spacing or punctuation"
        if alike == 1
        else f"nearly the same prompt ({alike:.0%})"
    )
    hint = "keep both only if the difference is worth learning"
    answered = "with the same answer" if first.answer == second.answer else "with a different answer"
    say("near_duplicate", f"has {said} as {first}, {answered}", hint, other=str(first))
