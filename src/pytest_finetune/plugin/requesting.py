"""Before the first item runs: open the records, estimate the cost, and start the requests."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.errors import FinetuneError
from pytest_finetune.evaluation.runs import Run
from pytest_finetune.plugin.items import EvalItem
from pytest_finetune.plugin.marked_functions import SAMPLE, marked_case
from pytest_finetune.reports import terminal
from pytest_finetune.verdicts.evalset.asking_scorer import AskingScorer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_finetune.base.records import Case
    from pytest_finetune.evaluation.models_under_test import ModelsUnderTest, ModelUnderTest
    from pytest_finetune.plugin.session_inputs import SessionInputs
    from pytest_finetune.verdicts.evalset import EvalSet


def start(inputs: SessionInputs, models: ModelsUnderTest, session: pytest.Session) -> None:
    """
    Open the records, and queue all samples in the order of the items.

    Raises:
        pytest.UsageError: There is no run to resume, its record is damaged, --max-cost cannot be kept, or a batch
            cannot be sent or collected.
    """
    if inputs.is_worker:
        given = session.config.workerinput  # type: ignore[attr-defined]
        models.join_runs(given["finetune_runs"])
        models.share(Path(given["finetune_shared"]))
        # A worker judges nothing, but a scorer may compare each answer with the baseline's.
        if (path := given["finetune_baseline"]) and any(map(_compares, inputs.eval_sets.values())):
            models.compare_with_run(Run.load(Path(path)))
        return
    try:
        models.refuse_unknown_prices()
        models.open_runs(inputs.store, inputs.root, limited=inputs.limit is not None)
        models.fetch(_wanted(session.items))
        session.testscollected += _late_tests(session.config, inputs, models)
        models.request_ahead(_wanted(session.items))
    except FinetuneError as error:
        raise pytest.UsageError(str(error)) from error


def _compares(eval_set: EvalSet) -> bool:
    return isinstance(eval_set.scorer, AskingScorer) and eval_set.scorer.compares


def count_late_tests(inputs: SessionInputs, models: ModelsUnderTest, session: pytest.Session) -> None:
    """Add gates and promotion to the number of tests again, which each xdist worker sets when it has collected."""
    if inputs.is_distributed:
        session.testscollected += _late_tests(session.config, inputs, models)


def request_batch(
    models: ModelsUnderTest, requested: set[pytest.Item], item: pytest.Item, nextitem: pytest.Item | None
) -> None:
    """On an xdist worker, queue the samples of the items it will run next, except for those in `requested`."""
    new = [ahead for ahead in _upcoming(item, nextitem) if ahead not in requested]
    requested.update(new)
    models.request_ahead(_wanted(new))


def await_samples(models: ModelsUnderTest, item: pytest.Item) -> None:
    """Wait for the samples of an item, which then has them wherever it runs."""
    if isinstance(item, EvalItem):
        item.await_samples(models)
    elif marked := marked_case(item):
        item.stash[SAMPLE] = models.samples_of(marked.model, marked.eval_set, marked.case)[0]


def forecast(models: ModelsUnderTest, items: Iterable[pytest.Item]) -> list[str]:
    """One line per model: the number of requests and their estimated cost."""
    from pytest_finetune.evaluation.pricing import not_counted

    calls: dict[str, int] = {model.spec: 0 for model in models.all}
    costs: dict[str, Decimal | None] = {model.spec: Decimal(0) for model in models.all}
    left: dict[str, Counter[str]] = {model.spec: Counter() for model in models.all}
    for model, eval_set, case in _wanted(items):
        calls[model.spec] += eval_set.repeats
        for name, count in not_counted([message.content for message in case.messages]).items():
            left[model.spec][name] += count * eval_set.repeats
        so_far = costs[model.spec]
        if so_far is not None:
            request = eval_set.request(case, model.evaluation.target.model, 0)
            one = model.evaluation.spending.estimate(request)
            costs[model.spec] = None if one is None else so_far + one * eval_set.repeats
    lines = [terminal.forecast_line(spec, count, costs[spec], left[spec]) for spec, count in calls.items()]
    return lines + gate_forecast(models.evaluations[0].eval_sets if models.evaluations else ())


def gate_forecast(eval_sets: Iterable[EvalSet]) -> list[str]:
    """One line per gate: the chance that it passes and fails, if the model is half-way from its bar to perfect."""
    from pytest_finetune.reports.gate_plan import plan_line
    from pytest_finetune.verdicts.gates.forecast import Assumptions, forecast_set

    assumed = Assumptions(simulations=100, simulate_sizes=False)
    gated = [one for one in eval_sets if one.settings.gates]
    return [plan_line(one.name, forecast, assumed) for one in gated for forecast in forecast_set(one, assumed)]


def _late_tests(config: pytest.Config, inputs: SessionInputs, models: ModelsUnderTest) -> int:
    """How many tests follow the items: the gates, and the promotion."""
    gates = sum(len(eval_set.settings.gates) for eval_set in inputs.eval_sets.values())
    return gates * len(models.judged) + int(config.option.pytest_finetune_promote)


def _wanted(items: Iterable[pytest.Item]) -> Iterator[tuple[ModelUnderTest, EvalSet, Case]]:
    for item in items:
        if isinstance(item, EvalItem):
            yield item.model, item.eval_set, item.case
        elif marked := marked_case(item):
            yield marked.model, marked.eval_set, marked.case


def _upcoming(item: pytest.Item, nextitem: pytest.Item | None) -> list[pytest.Item]:
    """
    The items that this worker will run next, this one first.

    xdist sends a worker items in batches but passes hooks only the next one, so requests for the rest of the batch
    would wait for their turn. The worker keeps the batch as indices in `torun`, the queue of its own plugin, which is
    read under its lock. With `--dist=worksteal` another worker may take queued items, which would then be requested
    twice, so there only the next item is requested ahead.
    """
    known = [item, *([nextitem] if nextitem is not None else [])]
    config = item.config
    queue: Any = next((p.torun for p in config.pluginmanager.get_plugins() if hasattr(p, "torun")), None)
    if queue is None or config.workerinput["finetune_dist"] == "worksteal":  # type: ignore[attr-defined]
        return known
    if hasattr(queue, "lock"):
        with queue.lock() as waiting:
            indices = list(waiting)
    else:
        # xdist before 3.7 has a plain queue.Queue.
        with queue.mutex:
            indices = list(queue.queue)
    # Besides indices, the queue holds markers such as the one for shutdown.
    return known + [item.session.items[index] for index in indices if isinstance(index, int)]
