"""A model evaluated from Python or by a command, without pytest, and its result."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import EvalSetError, FinetuneError
from pytest_finetune.evaluation.baseline import recorded_baselines
from pytest_finetune.evaluation.configured_prices import project_prices
from pytest_finetune.evaluation.engine import Limits
from pytest_finetune.evaluation.recorded import evaluate_target
from pytest_finetune.evaluation.runs import RunStore
from pytest_finetune.lifecycle.registry.production import registry_of, stored_baselines, wants_production
from pytest_finetune.lifecycle.target_specs import make_asked_target, make_target
from pytest_finetune.verdicts.evalset.discovery import find_eval_sets
from pytest_finetune.verdicts.evalset.project import configured_api, configured_patterns, project_root, read_api
from pytest_finetune.verdicts.gates import Status
from pytest_finetune.verdicts.gates.outcome import outcome_of
from pytest_finetune.verdicts.loading import load_eval_sets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pytest_finetune.base.records import Failure
    from pytest_finetune.evaluation.baseline import Baselines
    from pytest_finetune.evaluation.recorded import Recorded
    from pytest_finetune.evaluation.results import SetResult
    from pytest_finetune.evaluation.runs import Run
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.evalset.request_form import Api
    from pytest_finetune.verdicts.gates.outcome import Outcome


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """
    The result of one model over its eval sets.

    Args:
        model: The model's spec.
        run: The record, with every answer.
        sets: The figures and verdicts of each eval set.
        stopped: Why no more requests were sent; None if all were.
    """

    model: str
    run: Run
    sets: tuple[SetResult, ...]
    stopped: Failure | None = None

    @property
    def outcome(self) -> Outcome:
        """The verdict over all sets in words, with its reasons."""
        return outcome_of(self.sets)

    @property
    def passed(self) -> bool:
        """Every gate passed, and every planned sample was requested. An open verdict is not a pass."""
        return self.stopped is None and all(one.complete for one in self.sets) and self.outcome.status is Status.PASS

    def to_dicts(self) -> list[dict[str, Any]]:
        """One row for each sample, in the order of the cases: what was expected, what was answered, and the verdict."""
        return [row for one in self.sets for row in _rows(one)]

    def to_pandas(self) -> Any:  # noqa: ANN401 - a DataFrame; pandas is not required
        """
        The rows of `to_dicts` as a DataFrame.

        Raises:
            ImportError: pandas is not installed.
        """
        import pandas as pd

        return pd.DataFrame(self.to_dicts())

    def __str__(self) -> str:
        lines = [f"{self.model} {self.outcome.words}: {self.outcome.reasons}"]
        lines += [f"  {name}  {label}  {status}: {detail}" for name, label, status, detail in self._verdicts()]
        return "\n".join([*lines, f"  run {self.run.id}"])

    def _repr_html_(self) -> str:
        """A table of the verdicts, for notebooks."""
        head = "".join(f"<th>{name}</th>" for name in ("eval set", "gate", "verdict", "measured"))
        rows = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in verdict)}</tr>" for verdict in self._verdicts()
        )
        sentence = escape(f"{self.model} {self.outcome.words}: {self.outcome.reasons}")
        return f"<p><b>{sentence}</b></p><table><tr>{head}</tr>{rows}</table>"

    def _verdicts(self) -> Iterable[tuple[str, str, str, str]]:
        for one in self.sets:
            for verdict in one.verdicts:
                yield one.name, verdict.rule.label, str(verdict.status), verdict.message


def evaluate(
    eval_sets: str | Path | Sequence[str | Path] = (),
    *,
    model: str,
    base_url: str | None = None,
    baseline: str = "",
    repeats: int | None = None,
    api: Api | None = None,
    concurrency: int = 32,
    deadline: float = 120.0,
    max_cost: float | Decimal | None = None,
    registry: str = "registry.json",
    resume: bool = False,
    folder: str | Path = ".",
    progress: Callable[[int, int], None] | None = None,
) -> EvaluationResult:
    """
    Evaluate a model over eval sets, as `pytest --model=MODEL` does, and record the run.

    Args:
        eval_sets: Files or folders; by default all eval sets of the project.
        model: `ft:…` or any model id, `registry:VERSION`, `local:NAME`, `local:PATH.gguf`, `replay:RUN`.
        base_url: Server; None takes `OPENAI_BASE_URL` from the environment. The key is `OPENAI_API_KEY`.
        baseline: A recorded run that gates compare with: an id, a unique prefix of one, or `last`. Without, gates
            against production use the evidence in the registry.
        repeats: Requests per case; None takes it from the settings.
        api: `chat` or `responses`; None takes the project's `finetune_api`, else the eval sets and the model decide.
        concurrency: Maximum requests in flight.
        deadline: Seconds for one sample, retries included.
        max_cost: US dollars after which no new request is sent.
        registry: Path relative to the project, or `mlflow:URI`.
        resume: Request only what the newest unfinished run of this plan lacks; a finished one is taken as it is.
        folder: A folder of the project, whose root names eval sets and holds `.finetune/runs`.
        progress: Called after each answer with the number of samples there are, and the number planned.

    Raises:
        FinetuneError: An eval set, the model, a record or a price cannot be used; nothing was requested.
    """
    start, root = _project(folder)
    limits = Limits(concurrency, deadline, _dollars(max_cost))
    sets = _load(eval_sets, start, root, repeats, read_api(api) if api else configured_api(root))
    store = RunStore(root / ".finetune" / "runs")
    models, versions = root / ".finetune" / "models", registry_of(registry, root)
    make = partial(make_target, concurrency=concurrency, registry=versions, store=store, models=models)
    work = partial(
        evaluate_target,
        make(model, base_url=base_url),
        sets,
        limits,
        store=store,
        root=root,
        baselines=_baselines(baseline, sets, store, registry, root),
        prices=project_prices(root),
        fresh=not resume,
        progress=progress,
        make_asked=partial(make_asked_target, base_url=base_url, make=make),
    )
    recorded = _outside_of_loops(work)
    return EvaluationResult(model, recorded.run, recorded.results, recorded.stopped)


def _project(folder: str | Path) -> tuple[Path, Path]:
    """The folder, and the root of its project."""
    start = Path(folder).resolve()
    if not start.is_dir():
        raise EvalSetError("there is no such folder", str(folder))
    return start, project_root(start) or start


def _dollars(amount: float | Decimal | None) -> Decimal | None:
    try:
        return None if amount is None else Decimal(str(amount))
    except InvalidOperation:
        raise FinetuneError(f"{amount!r} is not a number", "max_cost", "an amount of US dollars") from None


def _load(
    given: str | Path | Sequence[str | Path], start: Path, root: Path, repeats: int | None, api: Api | None
) -> list[EvalSet]:
    named = [start / each for each in ([given] if isinstance(given, str | Path) else given)] or [root]
    for path in named:
        if not path.exists():
            raise EvalSetError("there is no such file or folder", str(path), "name a .jsonl file, or a folder of them")
    patterns = configured_patterns(root)
    paths = find_eval_sets(named, root=root, patterns=patterns)
    if not paths:
        where = ", ".join(map(str, named))
        raise EvalSetError(f"no eval sets: looked for {' or '.join(patterns)}", where, "name a .jsonl file")
    return load_eval_sets(paths, root=root, repeats=repeats, api=api)


def _baselines(name: str, sets: Sequence[EvalSet], store: RunStore, registry: str, root: Path) -> Baselines:
    """What gates compare with: a recorded run, or production's evidence in the registry."""
    if name:
        run = name.removeprefix("replay:")
        return recorded_baselines(f"replay:{run}", store.find(run), sets)
    return stored_baselines(sets, registry_of(registry, root)) if wants_production(sets, registry, root) else {}


def _outside_of_loops(work: Callable[[], Recorded]) -> Recorded:
    """Run in a thread where this thread has an event loop already, as in a notebook."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    done: list[Recorded] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            failed.append(error)

    thread = threading.Thread(target=run, name="evaluate")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def _rows(one: SetResult) -> Iterable[dict[str, Any]]:
    for row in one.summary.rows:
        for attempt, sample in enumerate(row.samples):
            completion = sample.completion if sample else None
            score = sample.score if sample else None
            failure = sample.failure if sample else None
            yield {
                "eval_set": one.name,
                "case": row.case.id,
                "attempt": attempt,
                "state": str(sample.state) if sample else "unrun",
                "expected": list(row.case.expected),
                "answer": completion.text if completion else None,
                "detail": score.detail if score else failure.message if failure else "",
                "tags": list(row.case.tags),
                "latency": completion.latency if completion else None,
                "cost": None if sample is None or sample.cost is None else float(sample.cost),
            }
