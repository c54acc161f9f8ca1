"""What JUnit's readers get as properties: figures and names for machines, and never a prompt or an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.base.records import State
from pytest_finetune.base.text import printable
from pytest_finetune.reports.case_figures import case_figures
from pytest_finetune.verdicts.checks import has_meaning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_finetune.base.records import Case, Sample
    from pytest_finetune.evaluation.evaluation import Evaluation
    from pytest_finetune.evaluation.results import SetResult

Property = tuple[str, str]


def case_properties(model: str, run: str, state: str, case: Case, samples: Sequence[Sample]) -> list[Property]:
    """What there is to say of one case; what is not known is left out."""
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


def gate_properties(run: str, told: Mapping[str, Any]) -> list[Property]:
    """What there is to say of one gate, from the record of its verdict with its `model` and `bar`."""
    numbers = {name: "" if told[name] is None else f"{told[name]:.6g}" for name in ("value", "low", "high", "bar")}
    named = {"model": told["model"], "run": run, "verdict": told["status"], **numbers, "planned": str(told["planned"])}
    return _named(named)


def suite_properties(evaluations: Sequence[Evaluation], results: Sequence[SetResult]) -> Iterator[Property]:
    """
    What there is to say of the whole session: `finetune.accuracy[eval_sets/tickets.jsonl]`.

    With several models a second pair of brackets holds the model.
    """
    for evaluation in evaluations:
        model = evaluation.target.spec
        column = f"[{model}]" if len(evaluations) > 1 else ""
        run = evaluation.run
        cost = "" if run is None or run.manifest.totals.cost is None else f"{run.manifest.totals.cost:f}"
        yield from _named({"model": model, "run": run.id if run else "", "cost_usd": cost}, column)
        for result in results:
            if result.model == model:
                yield from _named(_set_figures(result), f"[{result.eval_set.name}]{column}")


def _set_figures(result: SetResult) -> dict[str, str]:
    summary, found = result.summary, {}
    for metric in ("accuracy", "valid_rate"):
        if not has_meaning(metric, result.eval_set.settings.scorer):
            continue
        measure = summary.measured(metric)
        name = metric if summary.requested is summary else f"{metric}_of_requested"
        found[name] = "" if measure.value is None else f"{measure.value:.6g}"
        if measure.interval is not None:
            found |= {f"{metric}_low": f"{measure.interval.low:.6g}", f"{metric}_high": f"{measure.interval.high:.6g}"}
    found |= {"cases": str(len(summary.rows)), "errors": str(summary.counts[State.ERROR]), "unrun": str(result.unrun)}
    return found | {f"gate[{verdict.gate}]": str(verdict.status) for verdict in result.verdicts}


def _named(values: Mapping[str, str], suffix: str = "") -> list[Property]:
    return [(printable(f"finetune.{name}{suffix}"), printable(value)) for name, value in values.items() if value]
