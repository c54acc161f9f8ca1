"""The order in which the cases of a set with a sequential gate are asked: at random, but the same for every run."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_finetune.base.records import Case


def asking_order(cases: Iterable[Case], cases_sha256: str) -> list[Case]:
    """
    The cases in a random order, so that those of every look are a random sample of all.

    The order depends on the plan alone, never on an answer, so it can be checked later from the cases which ones had to
    be asked first. Some of the cases are in the same order as among all of them.

    Args:
        cases: Some or all cases of a set.
        cases_sha256: Hash of all of them.
    """
    return sorted(cases, key=lambda case: sha256(f"{cases_sha256}\0{case.id}".encode()).digest())
