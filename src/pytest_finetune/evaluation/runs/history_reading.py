"""The history of an eval set, read from all recorded runs."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RunError
from pytest_finetune.base.records import State
from pytest_finetune.evaluation.runs.history import CaseOutcome, HistoryPoint, SetHistory
from pytest_finetune.evaluation.runs.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_finetune.base.records import Sample
    from pytest_finetune.evaluation.runs.manifest import EvalSetPlan
    from pytest_finetune.evaluation.runs.store import RunStore


def set_history(store: RunStore, eval_set: str, *, model: str = "") -> SetHistory:
    """
    The history of one eval set.

    Args:
        store: The recorded runs.
        eval_set: Name of the eval set, as in the runs: its path in the project.
        model: Only runs of models whose name, id or spec contains this text.

    Raises:
        RunError: No run has the eval set, or no run of this model.
    """
    points, unreadable, names, models = [], {}, set(), set()
    for path in reversed(store.newest_first()):
        try:
            run = Run.load(path)
            plan = next((one for one in run.manifest.eval_sets if one.name == eval_set), None)
            names |= {one.name for one in run.manifest.eval_sets}
            if plan is None:
                continue
            target = run.manifest.target
            models.add(target.title)
            if any(model in name for name in (target.title, target.model, target.spec)):
                points.append(_point(run, plan))
        except RunError as error:
            unreadable[path.name] = error.problem
    if not points:
        raise _nothing_found(store, eval_set, names, model if models else "", models)
    return SetHistory(eval_set, tuple(sorted(points, key=lambda point: point.manifest.created_at)), unreadable)


def _point(run: Run, plan: EvalSetPlan) -> HistoryPoint:
    attempts: dict[str, dict[int, Sample]] = defaultdict(dict)
    for (name, case, attempt), sample in run.samples().items():
        if name == plan.name:
            attempts[case][attempt] = sample
    outcomes = {case: _outcome(list(found.values()), plan.repeats) for case, found in attempts.items()}
    doubt = run.seal_fault if run.manifest.closed else "open"
    return HistoryPoint(run.manifest, plan, outcomes, doubt or ("a first look" if run.manifest.limited else ""))


def _outcome(samples: Sequence[Sample], attempts: int) -> CaseOutcome:
    passed = sum(sample.state is State.PASSED for sample in samples)
    others = [sample for sample in samples if sample.state is not State.PASSED]
    states = {sample.state for sample in others}
    if not others:
        state = State.PASSED if len(samples) >= attempts else State.UNRUN
    elif states == {State.MISSED}:
        state = State.MISSED
    else:
        state = next(one for one in (State.ERROR, State.UNRUN, State.UNNEEDED) if one in states)
    first = (others or samples)[0]
    return CaseOutcome(state, passed, attempts, first.prompt_sha256, first)


def _nothing_found(store: RunStore, eval_set: str, names: Iterable[str], model: str, models: Iterable[str]) -> RunError:
    if model:
        known = ", ".join(sorted(models)[:5])
        return RunError(f"no run of a model named {model!r} over {eval_set}", "--model", f"there are runs of {known}")
    hint = f"runs are over {', '.join(sorted(names)[:5])}" if names else "evaluate a model first: pytest --model=…"
    return RunError(f"no run of {eval_set}", str(store.root), hint)
