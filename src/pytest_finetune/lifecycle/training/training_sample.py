"""A sample of training data as an eval set, requested and scored with the settings of a given eval set."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import DataError
from pytest_finetune.verdicts.evalset.formats import CaseReader
from pytest_finetune.verdicts.evalset.reading import Faults, read_objects
from pytest_finetune.verdicts.evalset.settings_hash import settings_sha256

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from pytest_finetune.verdicts.evalset import EvalSet


@dataclass(frozen=True, slots=True)
class TrainingSample:
    """
    A random sample of a training file.

    Args:
        eval_set: The sampled examples, with the settings of the given eval set except its gates.
        examples: Number of examples in the file.
        unusable: How many of them cannot be requested or scored with these settings.
        first_problem: What is wrong with the first unusable one, with its line number.
    """

    eval_set: EvalSet
    examples: int
    unusable: int
    first_problem: str


def training_sample(path: Path, like: EvalSet, *, size: int, seed: int) -> TrainingSample:
    """
    Sample examples of a training file.

    Args:
        path: JSONL in chat format, or in any shape of eval sets.
        like: The eval set whose settings apply.
        size: Maximum number of examples.
        seed: Random seed; the same file and seed give the same sample.

    Raises:
        DataError: The file cannot be read, or no example is usable.
    """
    rows, examples, problem = _usable(path, like)
    if not rows:
        hint = f"they are scored like {like.name}, with {like.scorer.name}; is this the training data of the model?"
        raise DataError(f"no example is usable: {problem or 'the file has none'}", str(path), hint)
    drawn = sorted(random.Random(seed).sample(range(len(rows)), min(size, len(rows))))  # noqa: S311 - sampling, not cryptography
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
        settings_sha256=settings_sha256(settings, like.fingerprint, like.api),
        warnings=(),
    )
    return TrainingSample(eval_set, examples, examples - len(rows), problem)


def _usable(path: Path, like: EvalSet) -> tuple[list[tuple[int, dict[str, Any]]], int, str]:
    """The usable rows, the number of all rows, and what is wrong with the first unusable one."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", str(path), "check the path and the permissions") from error
    faults, problem, seen = Faults(str(path)), "", set()
    reader, rows, examples = CaseReader(faults), [], 0
    for line, value in read_objects(data, faults):
        examples += 1
        case = reader.read(line, value)
        reason = like.check(case) if case else faults.found[-1].problem
        if case is None or reason:
            problem = problem or f"line {line}: {reason}"
        elif case.id not in seen:
            seen.add(case.id)
            rows.append((line, value))
    return rows, examples, problem or (str(faults.found[0]) if faults.found and not rows else "")
