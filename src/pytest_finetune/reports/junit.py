"""Properties in JUnit files: figures and names for programs, never a prompt or an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.base.text import printable
from pytest_finetune.reports.case_figures import case_figures
from pytest_finetune.reports.reported import UNCERTAIN_TEXT
from pytest_finetune.verdicts.breakdown import scorer_shares
from pytest_finetune.verdicts.checks import has_meaning
from pytest_finetune.verdicts.metrics.measure import exact_sum

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_finetune.base.records import Case, Sample
    from pytest_finetune.reports.reported import Gate, ReportedRun, ReportedSet

Property = tuple[str, str]


def case_properties(model: str, run: str, state: str, case: Case, samples: Sequence[Sample]) -> list[Property]:
    """The properties of one case; what is not known is left out."""
    figures = case_figures(samples)
    return _named(
        {
            "model": model,
            "run": run,
            "state": state,
            "why": figures.why,
            "score": f"{figures.passed / figures.attempts:.6g}",
            "fields": f"{figures.fields[0]}/{figures.fields[1]}" if figures.fields else "",
            "attempts": str(figures.attempts),
            "latency_ms": "" if figures.latency is None else f"{figures.latency * 1000:.0f}",
            "tokens": "" if figures.tokens is None else str(figures.tokens),
            "cost_usd": "" if figures.cost is None else f"{figures.cost:f}",
            "tags": ",".join(case.tags),
        }
    )


def gate_properties(model: str, run: str, gate: Gate) -> list[Property]:
    """The properties of one gate."""
    verdict = gate.verdict
    numbers = {"value": verdict.value, "low": verdict.low, "high": verdict.high, "bar": gate.bar}
    texts = {name: "" if number is None else f"{number:.6g}" for name, number in numbers.items()}
    texts |= {"planned": str(verdict.planned), "uncertain": UNCERTAIN_TEXT if gate.is_uncertain else ""}
    return _named({"model": model, "run": run, "verdict": gate.status, **texts})


def suite_properties(runs: Sequence[ReportedRun]) -> Iterator[Property]:
    """
    The properties of the whole session: `finetune.accuracy[eval_sets/tickets.jsonl]`.

    If there are several models, a second pair of brackets holds the model.
    """
    for run in runs:
        column = f"[{run.spec or run.model}]" if len(runs) > 1 else ""
        cost = "" if run.cost is None else f"{run.cost:f}"
        yield from _named({"model": run.model, "run": run.id, "cost_usd": cost}, column)
        yield from _named({f"warning[{number}]": text for number, text in enumerate(_warnings(run), 1)}, column)
        for part in run.sets:
            yield from _named(_set_figures(part), f"[{part.name}]{column}")


def _warnings(run: ReportedRun) -> tuple[str, ...]:
    return (*(run.outcome.warnings if run.judged else ()), *run.warnings)


def _set_figures(part: ReportedSet) -> dict[str, str]:
    summary, found = part.summary, {}
    for metric in ("accuracy", "score", "valid_rate"):
        if part.settings is None or not has_meaning(metric, part.settings.scorer):
            continue
        if metric == "score" and not part.reports(metric):
            continue
        measure = summary.measured(metric)
        name = metric if summary.requested is summary else f"{metric}_of_requested"
        found[name] = "" if measure.value is None else f"{measure.value:.6g}"
        if measure.interval is not None:
            found |= {f"{metric}_low": f"{measure.interval.low:.6g}", f"{metric}_high": f"{measure.interval.high:.6g}"}
    found |= {"cases": str(len(summary.rows)), "errors": str(summary.counts[State.ERROR]), "unrun": str(part.unrun)}
    scorers = scorer_shares(summary.requested.rows)
    found |= {f"scorer[{name}]": f"{float(exact_sum(shares) / len(shares)):.6g}" for name, shares in scorers.items()}
    return found | {f"gate[{gate.verdict.gate}]": gate.status for gate in part.gates}


def _named(values: Mapping[str, str], suffix: str = "") -> list[Property]:
    return [(printable(f"finetune.{name}{suffix}"), printable(value)) for name, value in values.items() if value]
