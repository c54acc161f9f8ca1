"""
`package.module:function`: a scorer of the user's own.

The function takes `(case, completion)`, both frozen records, and returns a `bool` or a `Score`. It runs in a thread,
so it may wait or compute for long, and several calls may run at once.
"""

from __future__ import annotations

import inspect
import sys
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_finetune.errors import ScorerError, did_you_mean
from pytest_finetune.records import Score
from pytest_finetune.scoring.diff import shorten
from pytest_finetune.scoring.taxonomy import withheld

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from pytest_finetune.evalset.settings import EvalSettings
    from pytest_finetune.records import Case, Completion

SIGNATURE = "it takes (case, completion) and returns a bool or a Score"


@dataclass(frozen=True, slots=True)
class FunctionScorer:
    """
    Scores by the user's function.

    Args:
        name: `package.module:function`.
        function: What to call.
    """

    name: str
    function: Callable[[Case, Completion], object]
    blocking: ClassVar[bool] = True

    def check(self, case: Case) -> str | None:  # noqa: ARG002 - only the function knows what it needs
        """No case is unfit, for all that can be known."""
        return None

    def score(self, case: Case, completion: Completion) -> Score:
        """
        What the function says; of an answer that it turns down, also whether there was an answer at all.

        Raises:
            ScorerError: The function broke, or returned something else.
        """
        try:
            verdict = self.function(case, completion)
        except Exception as error:
            # Whatever a user's function raises is told as its fault, and ends one sample, not the run.
            problem = f"{self.name} broke: {type(error).__name__}: {shorten(str(error), 200)}"
            raise ScorerError(problem, _place(error), "mend the scoring function") from error
        if isinstance(verdict, Score):
            return verdict
        if not isinstance(verdict, bool):
            raise ScorerError(f"{self.name} returned {type(verdict).__name__}", hint=SIGNATURE)
        fault = None if verdict else withheld(completion)
        return fault.score() if fault else Score(passed=verdict)


def make(settings: EvalSettings, folder: Path) -> FunctionScorer:
    """
    A scorer around the function that the settings name.

    Its module is looked for in the eval set's folder, in those above it up to the working directory, and among what
    is installed.

    Raises:
        ScorerError: The module or the function cannot be found, or is not a plain function.
    """
    module_name, _, function_name = settings.scorer.partition(":")
    module = _imported(settings.scorer, module_name, folder)
    function = getattr(module, function_name, None)
    if function is None:
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise ScorerError(f"{module_name!r} has no function {function_name!r}", hint=did_you_mean(function_name, names))
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise ScorerError(f"{settings.scorer!r} is not a plain function", hint=SIGNATURE)
    return FunctionScorer(settings.scorer, function)


def _imported(name: str, module_name: str, folder: Path) -> ModuleType:
    try:
        with _importable(folder):
            return import_module(module_name)
    except Exception as error:
        # Importing runs the user's code, which may raise anything.
        problem = f"scorer {name!r} cannot be imported: {type(error).__name__}: {shorten(str(error), 200)}"
        hint = f"{module_name!r} is looked for beside the eval set, above it, and among installed packages"
        raise ScorerError(problem, hint=hint) from error


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let modules be found from the folder up to the working directory, for as long as this lasts."""
    start, top = folder.resolve(), Path.cwd()
    above = [each for each in start.parents if each.is_relative_to(top)] or [top]
    before = list(sys.path)
    sys.path[:0] = [str(each) for each in (start, *above)]
    try:
        yield
    finally:
        sys.path[:] = before


def _place(error: BaseException) -> str:
    frames: list[Any] = traceback.extract_tb(error.__traceback__)[1:]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
