"""One page for the decision to move: what ends when, what replaces it, on what evidence, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import RunError
from pytest_finetune.evaluation.runs.pairing import pair_runs
from pytest_finetune.lifecycle.registry.sunset import announced
from pytest_finetune.reports.registry import time_left
from pytest_finetune.reports.sources import from_record
from pytest_finetune.reports.tables import latency, rate
from pytest_finetune.reports.text import dollars, one_line, table, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from pytest_finetune.evaluation.runs import Run
    from pytest_finetune.evaluation.runs.pairing import Pairing
    from pytest_finetune.reports.reported import ReportedSet
    from pytest_finetune.reports.text import Line
    from pytest_finetune.verdicts.comparison import Comparison

NOT_WORSE, WORSE, UNDECIDED, NOT_COMPARED = "not worse", "worse", "undecided", "not compared"


@dataclass(frozen=True, slots=True)
class Compared:
    """
    A successor on one eval set, compared with the recorded answers of the model that ends.

    Args:
        comparison: The paired comparison; None if there is none.
        problem: Why not, in one clause.
    """

    comparison: Comparison | None = None
    problem: str = ""

    def verdict(self, margin: float) -> str:
        """
        `not worse` if the interval of the drop is within the margin, `worse` if it is beyond, else `undecided`.

        A test of non-inferiority: the upper end of the interval of the drop in accuracy decides.
        """
        if self.comparison is None:
            return NOT_COMPARED
        drop = self.comparison.interval
        return NOT_WORSE if drop.high <= margin else WORSE if drop.low > margin else UNDECIDED


@dataclass(frozen=True, slots=True)
class Answers:
    """The figures of one model by eval set, and how it compares; the model that ends is compared with nothing."""

    model: str
    run: str
    sets: dict[str, ReportedSet]
    compared: dict[str, Compared]


@dataclass(frozen=True, slots=True)
class Migration:
    """
    The model that ends, and its successors.

    Args:
        old: Its recorded answers.
        successors: The others, in the order given.
        margin: The largest drop in accuracy that is acceptable.
        monthly_calls: Requests a month; None if no cost a month is wanted.
    """

    old: Answers
    successors: tuple[Answers, ...]
    margin: float
    monthly_calls: int | None = None

    @property
    def ready(self) -> tuple[str, ...]:
        """The successors that are not worse on any eval set of the model that ends."""
        return tuple(one.model for one in self._ready())

    @property
    def ready_runs(self) -> tuple[str, ...]:
        """The ids of their runs."""
        return tuple(one.run for one in self._ready())

    def _ready(self) -> Iterator[Answers]:
        for one in self.successors:
            if all(one.compared[name].verdict(self.margin) == NOT_WORSE for name in self.old.sets):
                yield one


def compare_successors(
    old: Run, successors: Sequence[Run], *, root: Path, margin: float, confidence: float, monthly_calls: int | None
) -> Migration:
    """
    Compare the runs of successors with the run of the model that ends, over each eval set of the latter.

    Raises:
        RunError: A run is open, damaged or was changed afterwards; or is the first one, or has no eval set in common
            with it.
    """
    if any(run.id == old.id for run in successors):
        raise RunError("the same run as OLD", old.id, "name the run of a successor")
    for run in (old, *successors):
        if run.manifest.closed and run.seal_fault:
            raise RunError(f"the record was changed after the run: {run.seal_fault}", run.id, "evaluate again")
    before = from_record(old, root=root)
    names = [one.name for one in before.sets]
    return Migration(
        Answers(before.model, old.id, {one.name: one for one in before.sets}, {}),
        tuple(_successor(old, run, names, root, confidence) for run in successors),
        margin,
        monthly_calls,
    )


def migration_lines(migration: Migration, *, now: datetime) -> Iterator[Line]:
    """The page as text for a terminal."""
    yield from wrapped(_ending(migration, now), {"bold": True})
    yield from wrapped(_decision(migration), {"green" if migration.ready else "yellow": True})
    for name in migration.old.sets:
        yield "", {}
        yield one_line(name), {"bold": True}
        yield from table(_head(migration), _rows(migration, name), wide=0)
        for sentence in _sentences(migration, name):
            yield from wrapped(f"  {sentence}")


def migration_markdown(migration: Migration, *, now: datetime) -> str:
    """The page as Markdown."""
    parts = [f"# {_ending(migration, now)}", _decision(migration)]
    for name in migration.old.sets:
        rows = [_head(migration), ["---"] * len(_head(migration)), *_rows(migration, name)]
        parts += [f"## {name}", "\n".join(f"| {' | '.join(_cell(each) for each in row)} |" for row in rows)]
        parts.append("\n".join(f"- {_cell(sentence)}" for sentence in _sentences(migration, name)))
    return "\n\n".join(parts) + "\n"


def migration_json(migration: Migration, *, now: datetime) -> dict[str, Any]:
    """The page as JSON; figures that are not known are null."""
    end = announced(migration.old.model)
    return {
        "model": migration.old.model,
        "run": migration.old.run,
        "shutdown_date": end.date.isoformat() if end else None,
        "days_left": end.days_left(now) if end else None,
        "margin": migration.margin,
        "ready": list(migration.ready),
        "eval_sets": {
            name: [_figures(one, name, migration) for one in (migration.old, *migration.successors)]
            for name in migration.old.sets
        },
    }


def _successor(old: Run, run: Run, names: Sequence[str], root: Path, confidence: float) -> Answers:
    reported = from_record(run, root=root)
    compared = _compared(pair_runs(old, run, confidence=confidence), names)
    return Answers(reported.model, run.id, {one.name: one for one in reported.sets}, compared)


def _compared(pairing: Pairing, names: Sequence[str]) -> dict[str, Compared]:
    pairs = {pair.eval_set: pair for pair in pairing.pairs}
    refused = {refusal.eval_set: refusal.problem for refusal in pairing.refusals}
    found = {name: Compared(problem=refused.get(name, "its run does not have this eval set")) for name in names}
    for name in names:
        if pair := pairs.get(name):
            same = pair.same_settings
            found[name] = Compared(pair.comparison) if same else Compared(problem="it was scored by other settings")
    return found


def _ending(migration: Migration, now: datetime) -> str:
    end = announced(migration.old.model)
    when = f"shutdown on {end.date}, {time_left(end, now)}" if end else "no shutdown date known"
    return f"From {migration.old.model} ({when})"


def _decision(migration: Migration) -> str:
    bar = f"by more than {migration.margin:g}"
    if migration.ready:
        return f"Not worse on any eval set {bar}: {', '.join(migration.ready)}"
    return f"No successor is shown to be not worse {bar} on every eval set"


def _head(migration: Migration) -> list[str]:
    month = ["a month"] if migration.monthly_calls else []
    return ["model", "accuracy", "valid", "same form", "p50/p95", "per 1,000", *month]


def _rows(migration: Migration, name: str) -> list[list[str]]:
    return [_row(one, name, migration) for one in (migration.old, *migration.successors)]


def _row(one: Answers, name: str, migration: Migration) -> list[str]:
    calls = [migration.monthly_calls] if migration.monthly_calls else []
    if (found := one.sets.get(name)) is None:
        return [one.model, "-", "-", "-", "-", "-", *["-" for _ in calls]]
    cost = _cost(found)
    valid = rate(found.summary, "valid_rate")[:5] if found.reports("valid_rate") else "-"
    per = [dollars(None if cost is None else cost * count) for count in (1000, *calls)]
    same = None if one is migration.old else same_form(migration.old.sets[name], found)
    form = "-" if same is None else f"{same:.3f}"
    return [one.model, rate(found.summary, "accuracy"), valid, form, latency(found.summary), *per]


def _sentences(migration: Migration, name: str) -> Iterator[str]:
    for one in migration.successors:
        compared = one.compared[name]
        verdict = compared.verdict(migration.margin)
        if compared.comparison is None:
            yield f"{one.model}: {verdict}: {compared.problem}"
            continue
        drop, interval = float(compared.comparison.difference.drop), compared.comparison.interval
        change = f"accuracy {0 - drop:+.3f} [{0 - interval.high:+.3f}, {0 - interval.low:+.3f}]"
        lost, won = len(compared.comparison.lost), len(compared.comparison.won)
        yield f"{one.model}: {verdict}: {change}, lost {lost:,}, won {won:,}"


def _figures(one: Answers, name: str, migration: Migration) -> dict[str, Any]:
    found, compared = one.sets.get(name), one.compared.get(name)
    cost = _cost(found) if found else None
    values = {
        metric: found.summary.measured(metric).value if found else None
        for metric in ("accuracy", "valid_rate", "latency_p50", "latency_p95")
    }
    comparison = compared.comparison if compared else None
    return {
        "model": one.model,
        "run": one.run,
        **values,
        "same_form": same_form(migration.old.sets[name], found) if found and compared else None,
        "cost_per_request": float(cost) if cost is not None else None,
        "verdict": compared.verdict(migration.margin) if compared else None,
        "drop": float(comparison.difference.drop) if comparison else None,
        "interval": [comparison.interval.low, comparison.interval.high] if comparison else None,
        "problem": compared.problem if compared else "",
    }


def same_form(old: ReportedSet, new: ReportedSet) -> float | None:
    """
    The share of a model's answers that have the form of another's: the same functions called, JSON of the same shape.

    Args:
        old: The answers to compare with.
        new: The answers of the model. Of each case the first attempts are compared, the second ones, and so on; an
            answer that is missing has another form.

    Returns:
        From 0 to 1; None if the other model gave no answer.
    """
    forms = {key: form for key, form in _forms(old) if form is not None}
    given = dict(_forms(new))
    same = sum(given.get(key) == form for key, form in forms.items())
    return same / len(forms) if forms else None


def _forms(found: ReportedSet) -> Iterator[tuple[tuple[str, int], object]]:
    for row in found.summary.rows:
        for attempt, sample in enumerate(row.samples):
            completion = sample.completion if sample else None
            shape = sample.score.shape if sample and sample.score else ""
            names = tuple(call.name for call in completion.tool_calls) if completion else ()
            yield (row.case.id, attempt), (names, shape) if completion else None


def _cost(found: ReportedSet) -> Decimal | None:
    """US dollars for one request."""
    exact = found.summary.measured("cost_per_case").exact
    return None if exact is None else Decimal(exact.numerator) / Decimal(exact.denominator)


def _cell(text: str) -> str:
    return one_line(text).replace("|", "\\|")
