"""Runs of the same plan, each with a share of its samples, put together to the run that one machine would have made."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RunError
from pytest_finetune.base.records import State
from pytest_finetune.evaluation.plan import plan, target_info
from pytest_finetune.evaluation.recorded import Recorded
from pytest_finetune.evaluation.runs import sample_to_dict
from pytest_finetune.evaluation.runs.manifest import plan_sha256
from pytest_finetune.evaluation.runs.samples import sealed_line
from pytest_finetune.evaluation.shards import Shard

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from pytest_finetune.base.records import Completion, Failure, Request, Sample
    from pytest_finetune.evaluation.evaluation import Evaluation
    from pytest_finetune.evaluation.plan import Key
    from pytest_finetune.evaluation.runs import Run, RunStore
    from pytest_finetune.verdicts.gates import Baseline

_ANSWERED = (State.PASSED, State.MISSED)
_NAMED = 5
"""Most cases or shards that an error names."""


class RecordedModel:
    """
    The model of a run as a target that is never asked.

    Args:
        run: Any run of the model.
    """

    immutable = False

    def __init__(self, run: Run) -> None:
        target = run.manifest.target
        self.spec, self.model, self.base_url = target.spec, target.model, target.base_url
        self.identity, self.version = target.identity, target.version
        self.free = target.spec.startswith("local:")

    async def open(self) -> None:
        """Nothing to open."""

    async def ask(self, request: Request, deadline: float) -> Completion | Failure:
        """
        Never called: what is missing is an error.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing to close."""


def merge_runs(
    evaluation: Evaluation,
    runs: Sequence[Run],
    *,
    store: RunStore,
    root: Path,
    baselines: Mapping[str, Baseline] | None = None,
) -> tuple[Recorded, bool]:
    """
    One run with the samples of all, judged as if one machine had requested them.

    The order of the runs is of no importance, and merging the same samples again finds the run that there is.

    Args:
        evaluation: The plan, of a `RecordedModel` over the eval sets as they are now; without samples.
        runs: What to merge; at least one.
        store: Where the new run is recorded.
        root: The folder that names of eval sets are relative to.
        baselines: What gates compare with, by the name of the eval set.

    Returns:
        The merged run, and whether it was there already.

    Raises:
        RunError: A run belongs to another plan or is damaged, two runs have different answers to one case, or samples
            are missing; nothing is recorded then.
    """
    evaluation.compare_with(baselines or {})
    for run in runs:
        _refuse_another_plan(run, evaluation)
    samples = _united(runs)
    keys = [planned.key for planned in plan(evaluation.eval_sets)]
    _refuse_gaps(keys, samples, runs, evaluation)
    lines = [sample_to_dict(samples[key]) for key in keys]
    earlier = _same_run(store, evaluation, lines)
    if earlier is None:
        run = evaluation.open_record(store, root=root)
        for line in lines:
            run.append(line)
    else:
        evaluation.join_record(earlier.path)
    for key in keys:
        evaluation.collected.add(samples[key])
    results = evaluation.conclude(baselines)
    return Recorded(evaluation, tuple(results), 0), earlier is not None


def _refuse_another_plan(run: Run, evaluation: Evaluation) -> None:
    theirs = {one.name: one for one in run.manifest.eval_sets}
    hint = "merge runs over the same eval sets with the same settings, with the files as they were then"
    for ours in evaluation.plans():
        found = theirs.pop(ours.name, None)
        if found is None:
            raise RunError(f"it does not have the eval set {ours.name}", run.id, hint)
        differing = [name for name in type(ours).model_fields if getattr(ours, name) != getattr(found, name)]
        if differing:
            changed = ", ".join(name.removesuffix("_sha256").replace("_", " ") for name in differing)
            raise RunError(f"{ours.name} differs from the files, or from the first run: {changed}", run.id, hint)
    if theirs:
        raise RunError(f"it has another eval set too: {', '.join(theirs)}", run.id, hint)
    target = target_info(evaluation.target)
    if run.manifest.target != target:
        raise RunError(f"it is a run of {run.manifest.target.title}, not of {target.title}", run.id, "merge one model")
    if run.manifest.plan_sha256 != plan_sha256(target, evaluation.plans()):
        made = run.manifest.versions.pytest_finetune
        raise RunError(f"pytest-finetune {made} made it", run.id, "merge with the version that made the runs")


def _united(runs: Iterable[Run]) -> dict[Key, Sample]:
    """
    The samples of all runs; an answer wins over an error.

    Raises:
        RunError: Two runs have different answers, or a record is damaged.
    """
    united: dict[Key, tuple[Sample, Run]] = {}
    for run in runs:
        if run.manifest.closed and (fault := run.seal_fault):
            raise RunError(fault, run.id, "restore the record, or run its share again")
        for key, sample in run.samples().items():
            there = united.get(key)
            if there is None or there[0].state not in _ANSWERED:
                united[key] = sample, run
            elif sample.state in _ANSWERED and sample != there[0]:
                problem = f"{there[1].id} has another answer to {key[1]} of {key[0]}"
                raise RunError(problem, run.id, "leave one of the two runs out")
    return {key: sample for key, (sample, _) in united.items()}


def _refuse_gaps(
    keys: Sequence[Key], samples: Mapping[Key, Sample], runs: Sequence[Run], evaluation: Evaluation
) -> None:
    if unknown := samples.keys() - set(keys):
        raise RunError(f"{min(unknown)[1]} is no case of {min(unknown)[0]}", runs[0].id, "merge runs of this project")
    missing = {key for key in keys if key not in samples}
    if not missing:
        return
    problem = f"{len(missing):,} of {len(keys):,} samples are missing"
    shards = {Shard.parse(run.manifest.shard): run for run in runs if run.manifest.shard}
    counts = {shard.count for shard in shards}
    if len(counts) == 1 and (absent := [one for one in _all_shards(counts.pop()) if one not in shards]):
        names = _some([f"shard {one}" for one in absent])
        raise RunError(f"{problem}: there is no run of {names}", runs[0].manifest.target.spec, "run it, then merge all")
    lacking = {run.id: len(missing & shard.keys(evaluation.eval_sets)) for shard, run in shards.items()}
    where = _some([f"{name} lacks {count:,}" for name, count in lacking.items() if count] or [run.id for run in runs])
    raise RunError(problem, where, "finish the runs with --resume, then merge all")


def _all_shards(count: int) -> list[Shard]:
    return [Shard(number, count) for number in range(1, count + 1)]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else "")


def _same_run(store: RunStore, evaluation: Evaluation, lines: Sequence[dict[str, object]]) -> Run | None:
    """The closed run of this plan with exactly these samples, if its seal is intact."""
    digest = sha256(b"".join(map(sealed_line, lines))).hexdigest()
    plan_of_all = plan_sha256(target_info(evaluation.target), evaluation.plans())
    for run in store.readable():
        manifest = run.manifest
        if manifest.closed and manifest.samples_sha256 == digest and manifest.plan_sha256 == plan_of_all:
            return None if run.seal_fault else run
    return None
