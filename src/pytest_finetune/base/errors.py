"""
The errors of this project; each has a problem, a place and a hint.

FinetuneError
├── EvalSetError        an eval set or its settings cannot be used as written
├── EvalSetErrors       all faults of all eval sets, reported together
├── ScorerError         a scorer cannot be built, or a user's scoring function broke
├── TargetError         a target cannot be made from its spec
├── RunError            a run record cannot be read, continued or compared
├── DataError           training data cannot be read, written or counted
├── TrainingError       a training cannot be started, followed or continued
├── ServerError         the local server cannot be started
├── RegistryError       a registry cannot be read, or a change is refused
└── PriceError          a required price is unknown
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


_MOST_NAMED = 30
_MOST_VARIANTS = 5
"""Faults of one kind in a file, such as different unknown keys, that are reported one by one."""

_NUMBER = re.compile(r"\d+")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


class FinetuneError(Exception):
    """
    An operation cannot be completed.

    Args:
        problem: What is wrong, in one clause.
        where: The place: `file:line`, an option, a JSON path. Empty if there is none.
        hint: What to do about it. Empty if that is obvious.
    """

    def __init__(self, problem: str, where: str = "", hint: str = "") -> None:
        # All parts go to args, because xdist pickles exceptions.
        super().__init__(problem, where, hint)
        self.problem, self.where, self.hint = problem, where, hint

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f"\n  hint: {self.hint}" if self.hint else ""
        return f"{place}{self.problem}{remedy}"


class EvalSetError(FinetuneError):
    """An eval set, or its settings file, cannot be used as written."""


class EvalSetErrors(FinetuneError):  # noqa: N818 - it is the plural of the error above
    """All faults of all eval sets, so that they can be fixed at once."""

    def __init__(self, faults: Iterable[EvalSetError]) -> None:
        self.faults = tuple(faults)
        FinetuneError.__init__(self, "\n".join(map(str, self.merged)))

    @property
    def merged(self) -> list[EvalSetError]:
        """The faults with equal ones of a file as one, with a count; of a kind that varies, such as a name, a few."""
        groups: dict[tuple[str, str], list[EvalSetError]] = {}
        for fault in self.faults:
            groups.setdefault((_file_of(fault), _NUMBER.sub("#", fault.problem)), []).append(fault)
        merged: list[EvalSetError] = []
        variants: dict[tuple[str, str], list[EvalSetError]] = {}
        for (file, problem), (first, *others) in groups.items():
            alike = variants.setdefault((file, _QUOTED.sub("", problem)), [])
            alike.append(first)
            if len(alike) <= _MOST_VARIANTS:
                more = f" (and {len(others):,} more)" if others else ""
                merged.append(EvalSetError(first.problem + more, first.where, first.hint))
            else:
                alike += others
        for alike in variants.values():
            if more_of_them := alike[_MOST_VARIANTS:]:
                problem = f"{more_of_them[0].problem} (and {len(more_of_them) - 1:,} more like it)"
                merged.append(EvalSetError(problem, more_of_them[0].where, more_of_them[0].hint))
        return merged

    def __reduce__(self) -> tuple[type[EvalSetErrors], tuple[tuple[EvalSetError, ...]]]:
        return type(self), (self.faults,)


def _file_of(fault: EvalSetError) -> str:
    file, _, line = fault.where.rpartition(":")
    return file if line.isdecimal() else fault.where


class ScorerError(FinetuneError):
    """A scorer cannot be built from its settings, or a user's scoring function broke."""


class TargetError(FinetuneError):
    """A target cannot be made from its spec: unknown name, missing package, missing key."""


class RunError(FinetuneError):
    """A run record cannot be read, continued or compared."""


class DataError(FinetuneError):
    """Training data cannot be read, written or counted."""


class TrainingError(FinetuneError):
    """A training cannot be started, followed or continued."""


class ServerError(FinetuneError):
    """The local server cannot be started."""


class RegistryError(FinetuneError):
    """A registry cannot be read, or a change of it is refused: the rules forbid it, or another writer was faster."""


class PriceError(FinetuneError):
    """A price that a limit or an estimate requires is unknown."""


def did_you_mean(name: str, known: Iterable[str], present: Collection[str] = ()) -> str:
    """A hint for a misspelt name: the closest known name, or the known names; those `present` are not suggested."""
    names = sorted(known)
    if close := get_close_matches(name, names, n=1):
        return f"remove it: {close[0]!r} is there already" if close[0] in present else f"did you mean {close[0]!r}?"
    names = [each for each in names if each not in present] or names
    others = len(names) - _MOST_NAMED
    return f"known: {', '.join(names[:_MOST_NAMED])}{f' and {others:,} more' if others > 0 else ''}"
