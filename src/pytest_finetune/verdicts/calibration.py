"""The labelled answers next to an eval set, and the verdicts of its judge: NAME.calibration.jsonl and .json."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from pytest_finetune.base.errors import EvalSetErrors, ScorerError
from pytest_finetune.base.files import read_regular
from pytest_finetune.base.json_text import canonical_json
from pytest_finetune.base.records import Completion
from pytest_finetune.verdicts.evalset.formats import CaseReader
from pytest_finetune.verdicts.evalset.reading import Faults, read_objects
from pytest_finetune.verdicts.metrics.calibration import Calibration
from pytest_finetune.verdicts.scoring.answers import missing_answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_finetune.base.records import Case
    from pytest_finetune.verdicts.evalset.settings import EvalSettings
    from pytest_finetune.verdicts.scoring.scorers.judge import JudgeScorer

_HINT = 'write a case with "answer": the text that was judged, and "human": the verdict of a person'


@dataclass(frozen=True, slots=True)
class LabelledCase:
    """
    A case with a recorded answer and the verdict of a person.

    Args:
        case: What was asked.
        answer: The answer.
        passes: The person's verdict passes.
        sha256: Hash of the whole line, by which the judge's verdict is found again.
        baseline: The answer that it was compared with, if the scorer compares.
    """

    case: Case
    answer: Completion
    passes: bool
    sha256: str
    baseline: Completion | None = None


class CalibrationRecord(BaseModel):
    """
    The content of NAME.calibration.json.

    Args:
        judge: The judge's spec.
        model, base_url: What was asked.
        answered_by: The names that the server answered under.
        judge_sha256: Hash of the rubric, the judge and its parameters: `JudgeScorer.judge_sha256`.
        verdicts: By the hash of the labelled line, the judge's verdict; None if it gave none.
        figures: For people: the figures as they were printed. Nothing reads them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    format: int = 1
    judge: str
    model: str
    base_url: str
    answered_by: tuple[str, ...]
    judge_sha256: str
    verdicts: dict[str, str | float | None]
    figures: dict[str, Any] = {}


def labelled_path(eval_set: Path, scorer: str = "") -> Path:
    """Where the labelled answers of an eval set are; with the name of a scorer, those for this judge."""
    named = re.sub(r"[^\w-]+", "-", scorer)
    return eval_set.with_suffix(f"{named and f'.{named}'}.calibration.jsonl")


def record_path(eval_set: Path, scorer: str = "") -> Path:
    """Where the judge's verdicts on them are."""
    return labelled_path(eval_set, scorer).with_suffix(".json")


def read_labelled(path: Path, scorer: JudgeScorer) -> list[LabelledCase]:
    """
    The labelled answers of a file.

    Raises:
        EvalSetErrors: All faults of the file.
    """
    faults = Faults(path.name)
    reader, found = CaseReader(faults), dict[str, LabelledCase]()
    try:
        data = read_regular(path)
    except OSError as error:
        faults.add_unreadable(error.strerror or str(error), _HINT)
        raise EvalSetErrors(faults.found) from error
    for line, value in read_objects(data, faults):
        digest = sha256(canonical_json(value).encode()).hexdigest()[:16]
        answer, human = value.pop("answer", None), value.pop("human", None)
        other = value.pop("baseline", None) if scorer.compares else None
        case = reader.read(line, value)
        try:
            passes = _human_verdict(human, scorer)
        except ScorerError as error:
            faults.add(f"human: {error.problem}", _HINT)
            continue
        if not isinstance(answer, str) or missing_answer(Completion(answer)):
            faults.add("answer is not a text", _HINT)
        elif scorer.compares and not isinstance(other, str):
            faults.add("baseline is not a text", 'add "baseline": the answer that people compared it with')
        elif digest in found:
            faults.add("the same line twice", "remove one of them")
        elif case is not None:
            found[digest] = LabelledCase(
                case, Completion(answer), passes, digest, None if other is None else Completion(other)
            )
    if faults.found:
        raise EvalSetErrors(faults.found)
    return list(found.values())


def read_calibration(eval_set: Path, scorer: JudgeScorer, settings: EvalSettings, name: str = "") -> Calibration:
    """
    The calibration of a set's judge; its `problem` names what is missing or does not match.

    Args:
        eval_set: The JSONL file of the set.
        scorer: The judge.
        settings: Those of the set.
        name: The name of the scorer; empty for the one that decides.
    """
    path, labelled = record_path(eval_set, name), labelled_path(eval_set, name)
    if not path.is_file():
        return Calibration(problem="the judge's agreement with people was not measured")
    try:
        record = CalibrationRecord.model_validate_json(read_regular(path))
        cases = read_labelled(labelled, scorer)
        verdicts = {key: _worth(value, scorer) for key, value in record.verdicts.items()}
    except (OSError, ValidationError, EvalSetErrors, ScorerError) as error:
        return Calibration(problem=f"{path.name} or {labelled.name} cannot be used ({_first_line(error)})")
    if record.judge_sha256 != scorer.judge_sha256(record.model) or record.judge != scorer.asks.spec:
        return Calibration(problem=f"{path.name} is that of another judge or rubric")
    if verdicts.keys() != {case.sha256 for case in cases}:
        return Calibration(problem=f"{labelled.name} was changed after the judge saw it")
    if sum(verdict is None for verdict in verdicts.values()) > settings.max_errors:
        return Calibration(problem=f"{path.name} lacks verdicts")
    return tally(cases, verdicts, record)


def tally(
    cases: Sequence[LabelledCase], verdicts: Mapping[str, float | None], record: CalibrationRecord
) -> Calibration:
    """
    The agreement of the judge with people.

    Args:
        cases: The labelled cases.
        verdicts: By the hash of the line, what the judge's verdict counts; None is not counted.
        record: Who was asked.
    """
    judged = [(case.passes, worth) for case in cases if (worth := verdicts[case.sha256]) is not None]
    right = [worth for passes, worth in judged if passes]
    wrong = [1 - worth for passes, worth in judged if not passes]
    return Calibration(
        (sum(right), len(right)),
        (sum(wrong), len(wrong)),
        model=record.model,
        base_url=record.base_url,
        answered_by=record.answered_by,
    )


def _human_verdict(human: object, scorer: JudgeScorer) -> bool:
    if isinstance(human, bool):
        return human
    if isinstance(human, str | int | float):
        return scorer.person_passes(str(human))
    raise ScorerError("there is no verdict", hint=_HINT)


def _worth(verdict: str | float | None, scorer: JudgeScorer) -> float | None:
    return None if verdict is None else scorer.worth(scorer.read_verdict(str(verdict)))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
