"""Validates the files of a job before it is queued, so that what cannot be trained fails at once with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.server.jobs.records import JobFault
from pytest_finetune.server.trainer.examples import read_examples

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LEAST_EXAMPLES = 10
_MOST_SHOWN = 5


def check_files(training: Path, validation: Path | None, names: Mapping[str, str]) -> int | JobFault:
    """The number of training examples, or what is wrong with a file; `names` has the uploaded name of each copy."""
    found = _check(training, "training_file", LEAST_EXAMPLES, names)
    if isinstance(found, JobFault) or validation is None:
        return found
    unseen = _check(validation, "validation_file", 1, names)
    return unseen if isinstance(unseen, JobFault) else found


def _check(path: Path, param: str, least: int, names: Mapping[str, str]) -> int | JobFault:
    what = param.replace("_", " ")
    examples, faults = read_examples(path.read_bytes(), names.get(path.name, what))
    if faults.found:
        shown = "\n".join(str(fault).replace("\n  hint: ", "; ") for fault in faults.found[:_MOST_SHOWN])
        more = len(faults.found) - _MOST_SHOWN
        rest = f"\n… and {more:,} more" if more > 0 else ""
        message = f"The job failed due to an invalid {what}. {shown}{rest}"
        return JobFault(code=f"invalid_{param}", message=message, param=param)
    if len(examples) < least:
        message = f"{what.capitalize()} has {len(examples)} example(s), but must have at least {least} examples"
        return JobFault(code="invalid_n_examples", message=message, param=param)
    return len(examples)
