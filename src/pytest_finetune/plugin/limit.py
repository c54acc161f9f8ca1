"""`--finetune-limit`: a first look at a few cases of each eval set."""

from __future__ import annotations

from collections import defaultdict
from hashlib import sha256
from typing import TYPE_CHECKING

from pytest_finetune.base.json_text import canonical_json
from pytest_finetune.plugin.items import EvalItem

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

    from pytest_finetune.base.records import Case


def apply_limit(config: pytest.Config, items: list[pytest.Item], limit: int) -> None:
    """Deselect all but a sample of each eval set's cases; the user's own tests are not limited."""
    chosen = {
        eval_set: sample_of(eval_set.cases, limit)
        for eval_set in {item.eval_set for item in items if isinstance(item, EvalItem)}
    }
    left_out = [item for item in items if isinstance(item, EvalItem) and item.case.id not in chosen[item.eval_set]]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]


def sample_of(cases: Iterable[Case], size: int) -> set[str]:
    """
    The ids of a sample of cases in which tags and expected answers are about as frequent as among all cases.

    The same cases give the same sample, whatever their order: within a stratum they are ordered by the hash of their
    id, and each gets the share of its stratum that comes before it. The sample has the smallest shares.
    """
    strata: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        strata[_stratum(case)].append(case.id)
    shares = [
        ((rank + 0.5) / len(stratum), _hash(name), name)
        for stratum in strata.values()
        for rank, name in enumerate(sorted(stratum, key=_hash))
    ]
    return {name for _, _, name in sorted(shares)[:size]}


def _stratum(case: Case) -> str:
    return canonical_json([sorted(case.tags), list(case.expected), [call.name for call in case.tool_calls]])


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
