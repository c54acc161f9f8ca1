"""What a gate demands, as data: reports and records use this and never parse a gate's label."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pytest_finetune.verdicts.field_paths import expects_field
from pytest_finetune.verdicts.stats.spending import Sequential  # noqa: TC001 - records hold rules, and pydantic reads this

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_finetune.base.records import Case

RuleKind = Literal["min", "max", "max_drop", "max_flips", "must_pass"]
"""The key of `[[gates]]` that determines the kind of a gate."""

Family = Literal["", "holm", "hierarchy"]
"""How the gates of a set that compare slices with a baseline share their level; empty for a gate on its own."""


@dataclass(frozen=True, slots=True)
class Rule:
    """
    The demand of one gate.

    Args:
        kind: Which of the five rules it is.
        metric: What is measured, by its name in the settings; `accuracy` for `max_flips` and `must_pass`.
        bar: The limit on the value, in the metric's unit; the largest drop or the most flips; None for `must_pass`.
        confidence: Level at which the whole interval must clear the bar; None if the value alone decides.
        where: The slice of the cases, `tag` or metadata; empty for all of them.
        tags: Of `must_pass`: a case with one of them has to pass.
        field: Of `field_accuracy`: the JSON path of the one field that counts; empty for all fields.
        coverage: Of `accuracy_at_coverage`: the share of the cases that count, the most confident ones; else 1.
        per_case: `m of k` attempts that a case needs to pass; empty if its share of passes counts.
        against: The baseline's name in the settings; empty if there is no comparison.
        max_errors: Samples in error that the verdict tolerates; None for any number, if errors are what is measured.
        scorer: Name of the scorer whose scores count; empty for the one that decides whether an answer passed.
        of_label: Of `recall`: the label whose cases count; `*` for the label with the lowest recall.
        family: How it shares its level with the other gates of its set that have the same family.
        sequential: How it is decided before all cases are requested: `obrien-fleming`, `pocock` or `e-process`; empty
            if it looks at all of them, once.
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
    field: str = ""
    coverage: float = 1.0
    scorer: str = ""
    of_label: str = ""
    family: Family = ""
    sequential: Sequential | Literal[""] = ""

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
        slices = [f"{key}={value}" for key, value in (("scorer", self.scorer), ("field", self.field)) if value]
        slices += [f"coverage={self.coverage:g}"] if self.metric == "accuracy_at_coverage" else []
        slices += [f"label={self.of_label}"] if self.of_label else []
        slices += [f"{key}={value}" for key, value in self.where.items()]
        return ",".join([names[self.kind], *slices, *([f"per_case={self.per_case}"] if self.per_case else [])])

    @property
    def needed(self) -> int | None:
        """Attempts that a case needs to pass: the m of `m of k`; None if its share of passes counts."""
        return int(self.per_case.split()[0]) if self.per_case else None

    @property
    def repeats(self) -> int | None:
        """Attempts that the rule expects: the k of `m of k`; None for any number."""
        return int(self.per_case.split()[-1]) if self.per_case else None

    @property
    def upward(self) -> bool:
        """The value must reach the bar; otherwise it must not exceed it."""
        return self.kind in ("min", "must_pass")

    @property
    def compares(self) -> bool:
        """The value is a change from a baseline, not the metric itself."""
        return self.kind in ("max_drop", "max_flips")

    @property
    def against_production(self) -> bool:
        """The baseline is the version that the registry has in production."""
        return self.against == "production"

    @property
    def covers_all(self) -> bool:
        """Every case of the set counts, each with its share of passes."""
        return not self.where and not self.field and not self.tags and not self.per_case

    def covers(self, case: Case) -> bool:
        """Whether the gate covers a case; one on a field covers the cases that expect it."""
        tagged = not self.tags or not set(self.tags).isdisjoint(case.tags)
        return in_slice(case, self.where) and tagged and (not self.field or expects_field(case, self.field))


def in_slice(case: Case, where: Mapping[str, str | int | bool]) -> bool:
    """Whether a case matches all of `where`: `tag` is one of its tags, any other key is equal in its metadata."""
    return all(
        value in case.tags if key == "tag" else _same(case.metadata.get(key), value) for key, value in where.items()
    )


def _same(found: object, wanted: object) -> bool:
    # In Python 1 == True, but a gate on `n = 1` does not mean `n = true`.
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)
