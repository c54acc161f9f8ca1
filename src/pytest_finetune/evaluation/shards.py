"""A share of the cases, so that several machines evaluate a model together; `merging.py` puts the runs together."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import FinetuneError
from pytest_finetune.evaluation.plan import plan

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_finetune.evaluation.plan import Key
    from pytest_finetune.verdicts.evalset import EvalSet

_MOST = 100_000


@dataclass(frozen=True, slots=True)
class Shard:
    """
    Every `count`-th case, beginning with case `number`; all attempts at a case are in the same shard.

    Args:
        number: From 1 to `count`.
        count: Shards in all.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """
        The shard written as `3/16`.

        Raises:
            FinetuneError: It is written otherwise, or there is no such shard.
        """
        match = re.fullmatch(r"([1-9]\d{0,5})/([1-9]\d{0,5})", text)
        shard = cls(*map(int, match.groups())) if match else cls(0, 0)
        if not 1 <= shard.number <= shard.count <= _MOST:
            raise FinetuneError(f"{text!r} is no shard", "--shard", "write 3/16 for the third of sixteen")
        return shard

    def keys(self, eval_sets: Iterable[EvalSet]) -> set[Key]:
        """The planned samples of this shard; cases are counted over all eval sets, so that shards differ by one."""
        cases: dict[tuple[str, str], int] = {}
        return {
            planned.key
            for planned in plan(eval_sets)
            if cases.setdefault(planned.key[:2], len(cases)) % self.count == self.number - 1
        }

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"
