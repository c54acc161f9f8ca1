"""Before the first item runs: what will be asked, what it may cost, and off it goes."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.errors import FinetuneError
from pytest_finetune.plugin.items import EvalItem
from pytest_finetune.plugin.marks import marked_case
from pytest_finetune.reports import terminal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_finetune.base.records import Case
    from pytest_finetune.plugin.session import FinetuneSession, ModelUnderTest
    from pytest_finetune.verdicts.evalset import EvalSet


def start(session: FinetuneSession, pytest_session: pytest.Session) -> None:
    """
    Open the records, and put all questions in flight in the order of the items.

    Raises:
        pytest.UsageError: There is no run to resume, or --max-cost cannot be kept.
    """
    if session.is_worker:
        session.open_runs()
        return
    try:
        session.refuse_unknown_prices()
        session.open_runs()
    except FinetuneError as error:
        raise pytest.UsageError(str(error)) from error
    pytest_session.testscollected += session.late_tests
    session.ask_ahead(_wanted(pytest_session.items))


def count_gates(session: FinetuneSession, pytest_session: pytest.Session) -> None:
    """Under xdist the number of tests is set anew by each worker that has collected, and knows of no gates."""
    if session.config.getoption("dist", "no") != "no" and not session.is_worker:
        pytest_session.testscollected += session.late_tests


def ask_batch(session: FinetuneSession, item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """On a worker: put the questions of the batch it holds in flight, as far as they are not yet."""
    new = [ahead for ahead in _upcoming(session.config, item, nextitem) if ahead not in session.asked_items]
    session.asked_items.update(new)
    session.ask_ahead(_wanted(new))


def forecast(session: FinetuneSession, items: Iterable[pytest.Item]) -> list[str]:
    """One line a model: calls and the estimated cost."""
    from pytest_finetune.evaluation.pricing import estimate_cost

    calls: dict[str, int] = {model.spec: 0 for model in session.models}
    costs: dict[str, Decimal | None] = {model.spec: Decimal(0) for model in session.models}
    for model, eval_set, case in _wanted(items):
        calls[model.spec] += eval_set.repeats
        so_far = costs[model.spec]
        if so_far is not None:
            one = estimate_cost(model.evaluation.target, eval_set.request(case, model.evaluation.target.model, 0))
            costs[model.spec] = None if one is None else so_far + one * eval_set.repeats
    return [terminal.forecast_line(spec, count, costs[spec]) for spec, count in calls.items()]


def _wanted(items: Iterable[pytest.Item]) -> Iterator[tuple[ModelUnderTest, EvalSet, Case]]:
    for item in items:
        if isinstance(item, EvalItem):
            yield item.model, item.eval_set, item.case
        elif marked := marked_case(item):
            yield marked.model, marked.eval_set, marked.case


def _upcoming(config: pytest.Config, item: pytest.Item, nextitem: pytest.Item | None) -> list[pytest.Item]:
    """
    The items that this worker will run next, this one first.

    xdist hands a worker a batch at a time, and tells plugins of one item ahead only. The batch lies in the worker's
    queue; where that cannot be read, or may be stolen from (`--dist=worksteal`), one ahead it is.
    """
    known = [item, *([nextitem] if nextitem is not None else [])]
    queue: Any = next((p.torun for p in config.pluginmanager.get_plugins() if hasattr(p, "torun")), None)
    if queue is None or config.workerinput["finetune_dist"] == "worksteal":  # type: ignore[attr-defined]
        return known
    with queue.lock() as waiting:
        return known + [item.session.items[index] for index in waiting if isinstance(index, int)]
