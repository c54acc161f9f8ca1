"""Cases of an eval set that are near copies of each other and carry no group, so that intervals count each."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.data.near_duplicates import TextIndex, clusters

if TYPE_CHECKING:
    from pytest_finetune.base.records import Case
    from pytest_finetune.verdicts.evalset import EvalSet


def ungrouped_copies(eval_set: EvalSet) -> list[list[Case]]:
    """
    The sets of near copies, largest first, whose cases are not all in one group; found as `data check` finds them.

    Raises:
        DataError: numpy or rapidfuzz is not installed.
    """
    index = TextIndex()
    numbers = [index.add("\n".join(message.content for message in case.messages)) for case in eval_set.cases]
    roots = clusters(len(index), index.near_pairs())
    alike: dict[int, list[Case]] = defaultdict(list)
    for case, number in zip(eval_set.cases, numbers, strict=True):
        alike[roots[number]].append(case)
    loose = [cases for cases in alike.values() if len(cases) > 1 and _in_several_groups(cases)]
    return sorted(loose, key=len, reverse=True)


def copies_warning(eval_set: EvalSet) -> str:
    """One sentence on `ungrouped_copies`; empty if there are none."""
    loose = ungrouped_copies(eval_set)
    if not loose:
        return ""
    count, example = sum(map(len, loose)), loose[0]
    return (
        f"{eval_set.name}: {count:,} of {len(eval_set.cases):,} cases are near copies of each other without a common"
        f' group, such as {example[0].id!r} and {example[1].id!r}; intervals count them as independent: add "group"'
    )


def _in_several_groups(cases: list[Case]) -> bool:
    return len({case.group or (case.id,) for case in cases}) > 1
