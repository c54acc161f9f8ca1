"""Runs over real eval sets with made-up answers, judged and recorded as in a session, for tests of the page."""

from __future__ import annotations

import json
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.records import Completion, Failure, Sample, State, Usage
from pytest_finetune.evaluation.engine import Limits
from pytest_finetune.evaluation.evaluation import Evaluation
from pytest_finetune.evaluation.runs import RunStore, prompt_sha256, sample_to_dict
from pytest_finetune.verdicts.loading import load_eval_sets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from pytest_finetune.base.records import Case
    from pytest_finetune.evaluation.results import SetResult
    from pytest_finetune.evaluation.runs import Run
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.gates import Baseline

Answer = Completion | Failure | str | None


def write_set(root: Path, name: str, rows: Iterable[Mapping[str, Any]], toml: str = "") -> EvalSet:
    """An eval set on disk, loaded."""
    folder = root / "eval_sets"
    folder.mkdir(exist_ok=True, parents=True)
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    if toml:
        path.with_suffix(".toml").write_text(toml, "utf-8")
    return load_eval_sets([path], root=root)[0]


def evaluated(
    root: Path,
    eval_sets: list[EvalSet],
    answer: Callable[[Case, int], Answer],
    *,
    spec: str = "ft:test",
    baselines: Mapping[str, Baseline] | None = None,
    judged: bool = True,
    copies: bool = True,
) -> tuple[Evaluation, list[SetResult]]:
    """A whole evaluation: `answer` gives a text, a completion, a failure, or None for an unrun sample."""
    target: Any = SimpleNamespace(spec=spec, model=spec, base_url="http://127.0.0.1:1/v1", identity="", free=True)
    evaluation = Evaluation(target, eval_sets, Limits())
    run = evaluation.open_record(RunStore(root / ".finetune" / "runs"), root=root, keep_files=copies)
    for planned in evaluation.collected.missing():
        answered = answer(planned.case, planned.attempt)
        if answered is not None:
            sample = _sample(planned.eval_set, planned.case, planned.attempt, answered)
            evaluation.collected.collect(sample)
            run.append(sample_to_dict(sample))
    run.release()
    return evaluation, evaluation.conclude(baselines) if judged else evaluation.judge(baselines)


def recorded(root: Path, eval_sets: list[EvalSet], answer: Callable[[Case, int], Answer], **how: Any) -> Run:
    """The record of a whole evaluation."""
    evaluation, _ = evaluated(root, eval_sets, answer, **how)
    assert evaluation.run is not None
    return evaluation.run


def _sample(eval_set: EvalSet, case: Case, attempt: int, answered: Completion | Failure | str) -> Sample:
    prompt_hash = prompt_sha256(eval_set.request(case, "ft:test", attempt))
    key = eval_set.name, case.id, attempt
    if isinstance(answered, Failure):
        return Sample(*key, State.ERROR, failure=answered, prompt_sha256=prompt_hash)
    if isinstance(answered, str):
        answered = Completion(answered, model="ft:test", usage=Usage(40, 3), latency=0.25)
    score = eval_set.score(case, answered)
    state = State.PASSED if score.passed else State.MISSED
    return Sample(*key, state, answered, score, cost=Decimal("0.0001"), prompt_sha256=prompt_hash)
