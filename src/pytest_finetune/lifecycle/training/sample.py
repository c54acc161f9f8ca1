"""A sample of training data as an eval set: asked and scored exactly as the eval set is that it stands beside."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import DataError
from pytest_finetune.verdicts.evalset.formats import CaseReader
from pytest_finetune.verdicts.evalset.reading import Faults, read_objects
from pytest_finetune.verdicts.loading import settings_sha256

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from pytest_finetune.verdicts.evalset import EvalSet


@dataclass(frozen=True, slots=True)
class TrainingSample:
    """
    Some training examples to be asked.

    Args:
        eval_set: Them, under the settings of the eval set but for its gates.
        examples: How many the file has.
        unusable: How many of them cannot be asked or scored so.
        first_problem: Why the first of those cannot, with its line.
    """

    eval_set: EvalSet
    examples: int
    unusable: int
    first_problem: str


def training_sample(path: Path, like: EvalSet, *, size: int, seed: int) -> TrainingSample:
    """
    Draw examples of a training file.

    Args:
        path: JSONL in chat format, or in any shape of eval sets.
        like: The eval set that says how they are asked and scored.
        size: How many at most.
        seed: Of the draw: the same file and seed give the same sample.

    Raises:
        DataError: The file cannot be read, or no example can be asked and scored so.
    """
    rows, examples, problem = _usable(path, like)
    if not rows:
        hint = f"they are scored as {like.name} is, by {like.scorer.name}: is it the data of this model?"
        raise DataError(f"no example can be asked: {problem or 'there is none'}", str(path), hint)
    drawn = sorted(random.Random(seed).sample(range(len(rows)), min(size, len(rows))))  # noqa: S311 - a draw, no secret
    reader = CaseReader(Faults(str(path)))
    cases = [case for at in drawn if (case := reader.read(*rows[at])) is not None]
    settings = like.settings.model_copy(update={"gates": []})
    eval_set = replace(
        like,
        name=f"{path.as_posix()} ({len(cases)} of {examples}, seed {seed})",
        path=path,
        cases=tuple({case.id: case for case in cases}.values()),
        settings=settings,
        cases_sha256=reader.cases_sha256(),
        settings_sha256=settings_sha256(settings, like.scorer.fingerprint),
        warnings=(),
    )
    return TrainingSample(eval_set, examples, examples - len(rows), problem)


def _usable(path: Path, like: EvalSet) -> tuple[list[tuple[int, dict[str, Any]]], int, str]:
    """The rows that can be asked and scored, how many there are in all, and why the first other one cannot."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", str(path), "check the path and the rights") from error
    faults, problem, seen = Faults(str(path)), "", set()
    reader, rows, examples = CaseReader(faults), [], 0
    for line, value in read_objects(data, faults):
        examples += 1
        case = reader.read(line, value)
        told = like.scorer.check(case) if case else faults.found[-1].problem
        if case is None or told:
            problem = problem or f"line {line}: {told}"
        elif case.id not in seen:
            seen.add(case.id)
            rows.append((line, value))
    return rows, examples, problem or (str(faults.found[0]) if faults.found and not rows else "")
