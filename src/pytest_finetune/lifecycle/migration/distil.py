"""Training data from the recorded answers of a model, for its successor."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import DataError
from pytest_finetune.base.records import State
from pytest_finetune.evaluation.runs.copies import recorded_set
from pytest_finetune.verdicts.evalset.discovery import find_eval_sets
from pytest_finetune.verdicts.evalset.project import configured_patterns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_finetune.base.records import Case, Completion, Sample
    from pytest_finetune.evaluation.runs import EvalSetPlan, Run


@dataclass(frozen=True, slots=True)
class Distilled:
    """
    Training data from a run.

    Args:
        rows: Chat rows, one per case: its prompt and tools, and the first usable answer of the model.
        left_out: Number of cases without such an answer, by reason.
    """

    rows: tuple[Mapping[str, Any], ...]
    left_out: Mapping[str, int]


def distil(run: Run, *, root: Path, missed_too: bool = False, eval_cases_too: bool = False) -> Distilled:
    """
    The answers of a run as training data.

    An answer is usable if it is complete and its case passed.

    Args:
        run: The record.
        root: The folder that the names of its eval sets are relative to.
        missed_too: Take answers that were judged wrong as well.
        eval_cases_too: Take the cases of eval sets that the project evaluates models with.

    Raises:
        DataError: A set's cases are no longer known, or the project evaluates models with them.
        RunError: The record is damaged.
    """
    if not eval_cases_too:
        _refuse_eval_sets(run, root)
    samples = run.samples()
    rows: list[Mapping[str, Any]] = []
    left_out: Counter[str] = Counter()
    for plan in run.manifest.eval_sets:
        cases, tools = _cases_of(run, plan, root)
        for case in cases:
            attempts = [samples.get((plan.name, case.id, attempt)) for attempt in range(plan.repeats)]
            found = [_answer(sample, missed_too=missed_too) for sample in attempts]
            chosen = next((each for each in found if not isinstance(each, str)), found[0])
            if isinstance(chosen, str):
                left_out[chosen] += 1
            else:
                rows.append(_row(case, chosen, case.tools or tools))
    return Distilled(tuple(rows), dict(left_out))


def jsonl_of(distilled: Distilled) -> bytes:
    """The rows as the bytes of a JSONL file."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in distilled.rows).encode()


def _refuse_eval_sets(run: Run, root: Path) -> None:
    judged = {path.resolve() for path in find_eval_sets([root], root=root, patterns=configured_patterns(root))}
    for plan in run.manifest.eval_sets:
        if (root / plan.name).resolve() in judged:
            problem = "an eval set of this project: a model that is trained on its cases can no longer be judged by it"
            hint = "record answers to other prompts, outside of the eval sets; or pass --eval-cases"
            raise DataError(problem, plan.name, hint)


def _cases_of(run: Run, plan: EvalSetPlan, root: Path) -> tuple[tuple[Case, ...], Sequence[Mapping[str, Any]]]:
    """The cases of a plan, and the tools of those that have none of their own."""
    recorded = recorded_set(run, plan, root=root)
    if recorded.cases is None:
        raise DataError(recorded.problem, run.id, "the prompts are needed; restore the file")
    return recorded.cases, (recorded.settings.request.tools if recorded.settings else None) or ()


def _answer(sample: Sample | None, *, missed_too: bool) -> Completion | str:
    """The answer of a sample, or why it is no example."""
    completion = sample.completion if sample else None
    if sample is None or completion is None:
        return "no answer"
    if completion.refusal:
        return "refused"
    if completion.finish_reason == "length":
        return "cut off"
    if not completion.text.strip() and not completion.tool_calls:
        return "empty"
    usable = sample.state is State.PASSED or (missed_too and sample.state is State.MISSED)
    return completion if usable else str(sample.state)


def _row(case: Case, completion: Completion, tools: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    answer: dict[str, Any] = {"role": "assistant", "content": completion.text or None}
    if completion.tool_calls:
        answer["tool_calls"] = [
            {"id": f"call_{at}", "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for at, call in enumerate(completion.tool_calls)
        ]
    given = {"tools": [dict(tool) for tool in tools]} if tools else {}
    return {"messages": [*(message.to_wire() for message in case.messages), answer], **given}
