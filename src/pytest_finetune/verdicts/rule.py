"""What a gate demands, as facts: reports and records read these and never take a gate's label apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_finetune.base.records import Case

RuleKind = Literal["min", "max", "max_drop", "max_flips", "must_pass"]
"""The key of `[[gates]]` that makes a gate what it is."""


@dataclass(frozen=True, slots=True)
class Rule:
    """
    One gate's demand.

    Args:
        kind: Which of the five rules it is.
        metric: What is measured, by its name in the settings; `accuracy` for `max_flips` and `must_pass`.
        bar: The limit on the value, in the metric's unit; the largest drop or the most flips; None for `must_pass`.
        confidence: Level at which the whole interval has to clear the bar; None where the value alone decides.
        where: The slice of the cases, `tag` or metadata; empty for all of them.
        tags: Of `must_pass`: a case with one of them has to pass.
        per_case: `m of k` attempts that a case needs to pass; empty where its share of passes counts.
        against: What the settings call the baseline; empty where there is no comparison.
        max_errors: Samples in error that the verdict tolerates; None for any number, where errors are what is measured.
    """

    # Records hold rules, and no record has an unknown field; pydantic itself is not needed for judging.
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    kind: RuleKind
    metric: str = "accuracy"
    bar: float | None = None
    confidence: float | None = None
    where: dict[str, str | int | bool] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    per_case: str = ""
    against: str = ""
    max_errors: int | None = 0

    @property
    def label(self) -> str:
        """The gate's name in node ids and tables: `accuracy>=0.95,tag=critical`."""
        bar = "" if self.bar is None else repr(self.bar).removesuffix(".0")
        names = {
            "min": f"{self.metric}>={bar}",
            "max": f"{self.metric}<={bar}",
            "max_drop": f"{self.metric}_drop<={bar},vs={self.against}",
            "max_flips": f"flips<={bar},vs={self.against}",
            "must_pass": f"must_pass={'+'.join(self.tags)}",
        }
        slices = [f"{key}={value}" for key, value in self.where.items()]
        return ",".join([names[self.kind], *slices, *([f"per_case={self.per_case}"] if self.per_case else [])])

    @property
    def needed(self) -> int | None:
        """Attempts that a case needs to pass: the m of `m of k`; None where its share of passes counts."""
        return int(self.per_case.split()[0]) if self.per_case else None

    @property
    def repeats(self) -> int | None:
        """Attempts that the rule supposes: the k of `m of k`; None for any number."""
        return int(self.per_case.split()[-1]) if self.per_case else None

    @property
    def upward(self) -> bool:
        """The value has to reach the bar; otherwise it has to stay within it."""
        return self.kind in ("min", "must_pass")

    @property
    def compares(self) -> bool:
        """The value is a change from a baseline, not the metric itself."""
        return self.kind in ("max_drop", "max_flips")

    @property
    def covers_all(self) -> bool:
        """Every case of the set counts, each by its share of passes."""
        return not self.where and not self.tags and not self.per_case

    def covers(self, case: Case) -> bool:
        """Whether the gate rules over a case."""
        return in_slice(case, self.where) and (not self.tags or not set(self.tags).isdisjoint(case.tags))


def in_slice(case: Case, where: Mapping[str, str | int | bool]) -> bool:
    """Whether a case has every fact of `where`: `tag` among its tags, any other key equal in its metadata."""
    return all(
        value in case.tags if key == "tag" else _same(case.metadata.get(key), value) for key, value in where.items()
    )


def _same(found: object, wanted: object) -> bool:
    # To Python, 1 is True; to the person who wrote the gate it is not.
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)
