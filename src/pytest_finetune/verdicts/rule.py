"""What a gate demands, as facts: reports and records read these and never take a gate's label apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_finetune.base.records import Case
    from pytest_finetune.verdicts.evalset.settings import GateSettings

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


def rule_of(gate: GateSettings) -> Rule:
    """The facts of a gate as it is written in the settings."""
    limits: tuple[tuple[RuleKind, float | None], ...] = (
        ("min", gate.min),
        ("max", gate.max),
        ("max_drop", gate.max_drop),
        ("max_flips", gate.max_flips),
        ("must_pass", None),
    )
    kind, bar = next((one for one in limits if one[1] is not None), limits[-1])
    return Rule(
        kind=kind,
        metric=gate.metric,
        bar=bar,
        confidence=gate.confidence,
        where=gate.where,
        tags=tuple(gate.must_pass),
        per_case=gate.per_case or "",
        against=gate.against or "",
    )
