"""The scorers that the settings of an eval set name: the one that decides, and the others."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.text import described
from pytest_finetune.verdicts.evalset.asking_scorer import AskingScorer
from pytest_finetune.verdicts.evalset.eval_set import OtherScorer
from pytest_finetune.verdicts.evalset.settings_file import placed
from pytest_finetune.verdicts.scoring import make_scorer, scorer_class
from pytest_finetune.verdicts.scoring.options import option_faults

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_finetune.base.records import Case
    from pytest_finetune.verdicts.evalset.scorer import Scorer
    from pytest_finetune.verdicts.evalset.settings import EvalSettings
    from pytest_finetune.verdicts.metrics.calibration import Calibration
    from pytest_finetune.verdicts.set_faults import SetFaults

_Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class SetScorers:
    """
    The scorers of one eval set.

    Args:
        scorer: The one that decides.
        others: The others, by name.
        made: Every scorer with the path to its table in the settings, and its name; empty for the deciding one.
        folder: The folder of the eval set.
    """

    scorer: Scorer
    others: Mapping[str, OtherScorer]
    made: Sequence[tuple[_Path, str, Scorer]]
    folder: Path

    @property
    def warnings(self) -> list[str]:
        """Probable mistakes in their settings."""
        return [_without(self.folder, text) for _, _, scorer in self.made for text in scorer.warnings]

    def case_faults(self, case: Case) -> list[tuple[str, str]]:
        """Why a case cannot be scored: problem and hint of each fault."""
        found = []
        name = self.scorer.name
        if case.accept and not any(scorer.accepts for _, _, scorer in self.made):
            found.append((f"accept has no effect on scorer {name!r}", "expect a list: any of it is right"))
        elif problem := _problem(self.scorer, case):
            found.append((problem, _wrong_scorer(name)))
        others = ((_problem(other, case), name) for name, other in self.others.items())
        return found + [(problem, _wrong_scorer(name)) for problem, name in others if problem]

    def add_faults(self, cases: Sequence[Case], faults: SetFaults) -> None:
        """Add what is wrong with the settings of the scorers for these cases."""
        for at, name, scorer in self.made:
            seen = [self.others[name].part.case(case) for case in cases] if name else cases
            for path, problem, hint in scorer.faults(seen):
                faults.add_at((*at, *path), problem, hint)

    def calibration(self, path: Path, settings: EvalSettings) -> Calibration | None:
        """The calibration of the deciding judge, from the file next to the eval set; None without a judge."""
        return _calibration(self.scorer, path, settings)

    def calibrated_others(self, path: Path, settings: EvalSettings) -> Mapping[str, OtherScorer]:
        """The other scorers, judges with their calibrations."""
        return {
            name: replace(other, judge=_calibration(other.scorer, path, settings, name))
            for name, other in self.others.items()
        }


def _problem(scorer: Scorer | OtherScorer, case: Case) -> str | None:
    """What the scorer cannot use in a case; one of another package may break on it, which is the same."""
    try:
        return scorer.check(case)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - it may raise anything
        return f"its check broke: {described(error)}"


def make_scorers(settings: EvalSettings, folder: Path, faults: SetFaults) -> SetScorers | None:
    """The scorers that the settings name; None, with faults, if any of them cannot be made."""
    tables = list(settings.each_scorer())
    attempts = [(at, name, _make(at, own, folder, faults)) for at, name, own in tables]
    made = [(at, name, scorer) for at, name, scorer in attempts if scorer is not None]
    if len(made) < len(tables):
        return None
    scorers = {name: scorer for _, name, scorer in made}
    for at, name, scorer in made:
        if name and isinstance(scorer, AskingScorer) and scorer.compares:
            problem = f"{scorer.name} compares with a baseline, which only the deciding scorer may do"
            faults.add_at(
                (*at, "type"), problem, "add decides = true here, or use a second eval set with the same lines"
            )
    others = {name: OtherScorer(scorers[name], table.expected) for name, table in settings.others.items()}
    return SetScorers(scorers[""], others, made, folder)


def _calibration(scorer: Scorer, path: Path, settings: EvalSettings, name: str = "") -> Calibration | None:
    if not isinstance(scorer, AskingScorer):
        return None
    from pytest_finetune.verdicts.calibration import read_calibration
    from pytest_finetune.verdicts.scoring.scorers.judge import JudgeScorer

    return read_calibration(path, scorer, settings, name) if isinstance(scorer, JudgeScorer) else None


def _make(at: _Path, settings: EvalSettings, folder: Path, faults: SetFaults) -> Scorer | None:
    try:
        other_keys = ("name", "decides", "expected") if len(at) > 1 else ()
        wrong = list(option_faults(scorer_class(settings.scorer), settings.scorer_options, other_keys=other_keys))
        for fault in wrong:
            faults.add_at((*at, *fault.path), fault.problem, fault.hint)
        return None if wrong else make_scorer(settings, folder)
    except ScorerError as error:
        place = _without(folder, f"{error.where}: ") if error.where else ""
        faults.add_at(_blamed(error, settings, at, faults.text), f"{place}{error.problem}", error.hint)
        return None


def _blamed(error: ScorerError, settings: EvalSettings, at: _Path, text: str) -> _Path:
    """The setting that a scorer's error is about: the first one that its text mentions."""
    if error.where and settings.json_schema is not None:
        return (*at, "schema") if len(at) > 1 else placed(text, "schema")
    written = settings.model_dump(by_alias=True, exclude_unset=True).keys() - {"scorer", "scorer_options"}
    mentioned = [(place, key) for key in written if (place := error.problem.find(key.removesuffix("s"))) >= 0]
    if len(at) > 1:
        return (*at, min(mentioned)[1]) if mentioned else (*at, "type")
    return placed(text, min(mentioned)[1]) if mentioned else at


def _without(folder: Path, text: str) -> str:
    """The text, with files in the folder of the eval set named without that folder."""
    return text.replace(f"{folder}{os.sep}", "")


def _wrong_scorer(name: str) -> str:
    return f"the scorer is {name}: fix the line, or use another scorer"
