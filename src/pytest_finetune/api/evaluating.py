"""A model evaluated from Python or by a command, without pytest."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypedDict

from pytest_finetune.api.loading import existing, load_eval_set, project_of
from pytest_finetune.api.result import EvaluationResult
from pytest_finetune.base.errors import EvalSetError, FinetuneError
from pytest_finetune.evaluation.baseline import recorded_baselines
from pytest_finetune.evaluation.configured_prices import project_prices
from pytest_finetune.evaluation.engine import Limits
from pytest_finetune.evaluation.recorded import aevaluate_target
from pytest_finetune.evaluation.runs import RunStore
from pytest_finetune.evaluation.shards import Shard
from pytest_finetune.lifecycle.registry.production import registry_of, stored_baselines, wants_production
from pytest_finetune.lifecycle.target_specs import make_asked_target, make_target
from pytest_finetune.reports.sources import from_session
from pytest_finetune.verdicts.evalset import EvalSet
from pytest_finetune.verdicts.evalset.copies import number_copies
from pytest_finetune.verdicts.evalset.discovery import find_eval_sets
from pytest_finetune.verdicts.evalset.project import configured_api, configured_patterns, read_api
from pytest_finetune.verdicts.loading import load_eval_sets

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any, Unpack

    from pytest_finetune.api.gate import Gate
    from pytest_finetune.evaluation.baseline import Baselines
    from pytest_finetune.evaluation.targets import Target
    from pytest_finetune.verdicts.evalset.request_form import Api

EvalSets: TypeAlias = "str | Path | EvalSet | Sequence[str | Path | EvalSet]"


class EvaluateOptions(TypedDict, total=False):
    """The options of `evaluate`, which describes them."""

    base_url: str | None
    baseline: str
    gates: Sequence[Gate] | None
    repeats: int | None
    api: Api | None
    concurrency: int
    deadline: float
    max_cost: float | Decimal | None
    registry: str
    resume: bool
    to_the_end: bool
    shard: str
    folder: str | Path
    progress: Callable[[int, int], None] | None
    batch: bool
    notify: Callable[[str], None] | None


def evaluate(
    eval_sets: EvalSets = (),
    *,
    model: str,
    base_url: str | None = None,
    baseline: str = "",
    gates: Sequence[Gate] | None = None,
    repeats: int | None = None,
    api: Api | None = None,
    concurrency: int = 32,
    deadline: float = 120.0,
    max_cost: float | Decimal | None = None,
    registry: str = "registry.json",
    resume: bool = False,
    to_the_end: bool = False,
    shard: str = "",
    folder: str | Path = ".",
    progress: Callable[[int, int], None] | None = None,
    batch: bool = False,
    notify: Callable[[str], None] | None = None,
) -> EvaluationResult:
    """
    Evaluate a model over eval sets, as `pytest --model=MODEL` does, and record the run.

    Args:
        eval_sets: Files, folders or loaded eval sets; by default all eval sets of the project.
        model: `ft:…` or any model id, `registry:VERSION`, `local:NAME`, `local:PATH.gguf`, `replay:RUN`.
        base_url: Server; None takes `OPENAI_BASE_URL` from the environment. The key is `OPENAI_API_KEY`.
        baseline: A recorded run that gates compare with: an id, a unique prefix of one, or `last`. Without, gates
            against production use the evidence in the registry.
        gates: Gates instead of those in the settings of each eval set.
        repeats: Requests per case; None takes it from the settings.
        api: `chat` or `responses`; None takes the project's `finetune_api`, else the eval sets and the model decide.
        concurrency: Maximum requests in flight.
        deadline: Seconds for one sample, retries included.
        max_cost: US dollars after which no new request is sent.
        registry: Path relative to the project, or `mlflow:URI`.
        resume: Request only what the newest unfinished run of this plan lacks; a finished one is taken as it is.
        to_the_end: Ask all cases even if sequential gates are decided, for a run that others are compared with.
        shard: `3/16` requests the third of sixteen shares of the cases; `pytest-finetune runs merge` puts their runs
            together. The result of a share is no verdict.
        folder: A folder of the project, whose root names eval sets and holds `.finetune/runs`.
        progress: Called after each answer with the number of samples there are, and the number planned.
        batch: Send the requests as batches, at their price, and wait for the answers, up to a day. Models that scorers
            ask, such as judges, are asked one by one.
        notify: Called with a message for the user about the batches.

    Raises:
        FinetuneError: An eval set, a gate, the model, a record or a price cannot be used and nothing was requested; or
            a batch cannot be sent or collected, which `resume` continues.
    """
    work = evaluate_async(
        eval_sets,
        model=model,
        base_url=base_url,
        baseline=baseline,
        gates=gates,
        repeats=repeats,
        api=api,
        concurrency=concurrency,
        deadline=deadline,
        max_cost=max_cost,
        registry=registry,
        resume=resume,
        to_the_end=to_the_end,
        shard=shard,
        folder=folder,
        progress=progress,
        batch=batch,
        notify=notify,
    )
    return run_now(work)


async def evaluate_async(
    eval_sets: EvalSets = (), *, model: str, **options: Unpack[EvaluateOptions]
) -> EvaluationResult:
    """
    `evaluate` in the event loop that runs already. Cancelled, it sends no more requests; all answers are on record.

    Args:
        eval_sets: Files, folders or loaded eval sets; by default all eval sets of the project.
        model: As `evaluate` takes it.
        options: The other arguments of `evaluate`.

    Raises:
        FinetuneError: As `evaluate` does.
    """
    return await evaluate_made(eval_sets, model, options, _target)


MakeTarget: TypeAlias = "Callable[[Callable[..., Target], str, EvaluateOptions, Sequence[EvalSet]], Target]"
"""Makes the model under test, given what makes the target of a spec, the spec, the options and the eval sets."""


async def evaluate_made(
    eval_sets: EvalSets, model: str, options: EvaluateOptions, target_of: MakeTarget
) -> EvaluationResult:
    """`evaluate_async` with a target that is made in another way."""
    start, root = project_of(options.get("folder", "."))
    concurrency, registry = options.get("concurrency", 32), options.get("registry", "registry.json")
    limits = Limits(concurrency, options.get("deadline", 120.0), _dollars(options.get("max_cost")))
    sets = load_sets(eval_sets, start, root, options)
    store, base_url = RunStore(root / ".finetune" / "runs"), options.get("base_url")
    models, versions = root / ".finetune" / "models", registry_of(registry, root)
    make = partial(make_target, concurrency=concurrency, registry=versions, store=store, models=models)
    share = Shard.parse(options["shard"]) if options.get("shard") else None
    recorded = await aevaluate_target(
        target_of(make, model, options, sets),
        sets,
        limits,
        store=store,
        root=root,
        baselines=baselines_of(options.get("baseline", ""), sets, store, registry, root),
        prices=project_prices(root),
        fresh=not options.get("resume"),
        to_the_end=options.get("to_the_end", False),
        progress=options.get("progress"),
        make_asked=partial(make_asked_target, base_url=base_url, make=make),
        shard=share,
    )
    reported = from_session(recorded.evaluation, recorded.results)
    return EvaluationResult(model, recorded.evaluation.run, recorded.results, recorded.stopped, reported)


def _target(
    make: Callable[..., Target],
    model: str,
    options: EvaluateOptions,
    eval_sets: Sequence[EvalSet],  # noqa: ARG001
) -> Target:
    target = make(model, base_url=options.get("base_url"))
    if not options.get("batch"):
        return target
    # The modules behind it take a tenth of a second, which others need not wait for.
    from pytest_finetune.lifecycle.batches.target import BatchReporting, batch_target

    return batch_target(target, BatchReporting(options.get("notify"), options.get("progress")))


def _dollars(amount: float | Decimal | None) -> Decimal | None:
    try:
        return None if amount is None else Decimal(str(amount))
    except InvalidOperation:
        raise FinetuneError(f"{amount!r} is not a number", "max_cost", "an amount of US dollars") from None


def load_sets(given: EvalSets, start: Path, root: Path, options: EvaluateOptions) -> list[EvalSet]:
    """
    The eval sets that are evaluated, with the options that change them.

    Raises:
        FinetuneError: One cannot be used, or none is found.
    """
    each = [given] if isinstance(given, str | Path | EvalSet) else list(given)
    gates, repeats, api = options.get("gates"), options.get("repeats"), options.get("api")
    loaded = [one for one in each if isinstance(one, EvalSet)]
    if loaded and (gates is not None or repeats is not None or api):
        hint = "give them to load_eval_set"
        raise EvalSetError("gates, repeats and api do not change an eval set that is loaded", loaded[0].name, hint)
    paths = [one for one in each if not isinstance(one, EvalSet)]
    if paths or not each:
        found = _find(paths, start, root)
        if gates is None:
            sets = load_eval_sets(found, root=root, repeats=repeats, api=read_api(api) if api else configured_api(root))
        else:
            sets = [load_eval_set(path, gates=gates, repeats=repeats, api=api, folder=start) for path in found]
        loaded = [*loaded, *sets]
    if len({one.name for one in loaded}) < len(loaded):
        raise EvalSetError("an eval set is given twice", ", ".join(one.name for one in loaded))
    return number_copies(loaded)


def _find(given: Sequence[str | Path], start: Path, root: Path) -> list[Path]:
    named = [existing(start / each) for each in given] or [root]
    patterns = configured_patterns(root)
    paths = find_eval_sets(named, root=root, patterns=patterns)
    if not paths:
        where = ", ".join(map(str, named))
        raise EvalSetError(f"no eval sets: looked for {' or '.join(patterns)}", where, "name a .jsonl file")
    return paths


def baselines_of(name: str, sets: Sequence[EvalSet], store: RunStore, registry: str, root: Path) -> Baselines:
    """
    What gates compare with: a recorded run, or production's evidence in the registry.

    Raises:
        FinetuneError: There is no such run, or the registry cannot be read.
    """
    if name:
        run = name.removeprefix("replay:")
        return recorded_baselines(f"replay:{run}", store.find(run), sets)
    return stored_baselines(sets, registry_of(registry, root)) if wants_production(sets, registry, root) else {}


def run_now(work: Coroutine[Any, Any, EvaluationResult]) -> EvaluationResult:
    """The result of an evaluation, whether an event loop runs in this thread or not."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    return _in_a_thread(work)


def _in_a_thread(work: Coroutine[Any, Any, EvaluationResult]) -> EvaluationResult:
    """Run it in a thread with a loop of its own, because this thread's loop runs already, as in a notebook."""
    thread = _Thread(work)
    thread.start()
    try:
        thread.join()
    except BaseException:
        # A notebook's Stop reaches only this thread.
        thread.cancel()
        thread.join()
        raise
    return thread.result()


class _Thread(threading.Thread):
    def __init__(self, work: Coroutine[Any, Any, EvaluationResult]) -> None:
        super().__init__(name="evaluate")
        self._runner = asyncio.Runner()
        self._loop = self._runner.get_loop()
        self._task = self._loop.create_task(work)

    def run(self) -> None:
        with self._runner:
            self._runner.run(asyncio.wait([self._task]))

    def cancel(self) -> None:
        """Stop sending requests; `join` then waits until the record is complete."""
        # The loop is closed if the work has just ended.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._task.cancel)

    def result(self) -> EvaluationResult:
        """
        The result of the work.

        Raises:
            Exception: What the work raised.
        """
        return self._task.result()
