"""
`package.module:function`: the user's own scorer.

The function takes `(case, completion)`, both frozen records, and returns a `bool` or a `Score`. It runs in a thread,
so it may block or take long, and calls may run concurrently.
"""

from __future__ import annotations

import inspect
import threading
import traceback
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_finetune.base.errors import ScorerError, did_you_mean
from pytest_finetune.base.records import FormatFailure, Score
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.base.text import described, shorten
from pytest_finetune.verdicts.evalset.scorer import Scorer
from pytest_finetune.verdicts.scoring.answers import missing_answer
from pytest_finetune.verdicts.scoring.local_modules import LocalModules

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Self

    from pytest_finetune.base.records import Case, Completion
    from pytest_finetune.verdicts.evalset.settings import EvalSettings

SIGNATURE = "it takes (case, completion) and returns a bool or a Score"


@dataclass(frozen=True, slots=True)
class FunctionScorer(Scorer):
    """
    Scores with the user's function.

    Args:
        name: `package.module:function`.
        function: What to call.
        fingerprint: Hash of the module, the local modules that it imports, and the files in `scorer_files`; a change
            of any of them makes it a different scorer.
        facts: Metrics that the gates of the set use and a bare bool does not support.
        warnings: Doubts about the gates, and what the fingerprint does not cover.
    """

    name: str
    function: Callable[[Case, Completion], object]
    fingerprint: str = ""
    facts: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()
    settings: ClassVar = frozenset({"scorer_files"})
    metrics: ClassVar = frozenset({"score", "field_accuracy", "valid_rate", "format_stability"})
    blocking: ClassVar = True
    fingerprinted: ClassVar = True
    holds_json: ClassVar = True

    @classmethod
    def make(cls, settings: EvalSettings, folder: Path) -> Self:
        """
        A scorer around the function that the settings name.

        Its module is looked up in the eval set's folder, in the folders above it up to the working directory, and
        among installed packages.

        Raises:
            ScorerError: The module or the function cannot be found, or it is not a plain function.
        """
        module_name, _, function_name = settings.scorer.partition(":")
        local = LocalModules(module_name, _folders(folder))
        module = _imported(settings.scorer, local)
        function = getattr(module, function_name, None)
        if function is None:
            names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
            hint = did_you_mean(function_name, names)
            raise ScorerError(f"{module_name!r} has no function {function_name!r}", hint=hint)
        if not callable(function) or inspect.iscoroutinefunction(function):
            raise ScorerError(f"{settings.scorer!r} is not a plain function", hint=SIGNATURE)
        gates = [gate for gate in settings.rules if gate.metric in cls.metrics]
        return cls(
            settings.scorer,
            function,
            sha256("".join([_fingerprint(module, local), *_file_hashes(settings, folder)]).encode()).hexdigest(),
            frozenset(gate.metric for gate in gates),
            (
                *(f"gate {gate.label}: it needs a Score from {settings.scorer}, not a bool" for gate in gates),
                *_not_covered(settings, module, local),
            ),
        )

    @classmethod
    def reports(cls, metric: str, settings: EvalSettings) -> bool:
        """Only what a gate uses: without one, the function may return a bare bool."""
        return metric in cls.metrics and any(gate.metric == metric for gate in settings.gates)

    def score(self, case: Case, completion: Completion) -> Score:
        """
        The function's score; if it rejects an answer without text, the format failure too.

        Raises:
            ScorerError: The function raised, or returned something else.
        """
        try:
            verdict = self.function(case, completion)
        except BaseException as error:
            # Whatever a user's function raises is reported as its fault, and ends one sample, not the run.
            problem = f"{self.name} broke: {shorten(described(error), 200)}"
            raise ScorerError(problem, _place(error), "fix the scoring function") from error
        if isinstance(verdict, Score):
            return self._checked(verdict)
        if self.facts:
            problem = f"{self.name} returned {type(verdict).__name__}, but a gate needs {', '.join(sorted(self.facts))}"
            raise ScorerError(problem, hint="return a Score with these facts, or gate accuracy only")
        if not isinstance(verdict, bool):
            raise ScorerError(f"{self.name} returned {type(verdict).__name__}", hint=SIGNATURE)
        fault = None if verdict else missing_answer(completion)
        return fault.score() if fault else Score(passed=verdict)

    def _checked(self, score: Score) -> Score:
        """The user's Score, checked: a truthy `passed` that is not a bool would count as right."""
        problem = _unsound(score) or _lacking(score, self.facts)
        if problem:
            raise ScorerError(f"{self.name} returned a Score whose {problem}", hint="see pytest_finetune.Score")
        return score


def _folders(folder: Path) -> list[Path]:
    """Folders searched for local modules: the eval set's, and those above it up to the working directory."""
    start, top = folder.resolve(), Path.cwd()
    return [start, *([each for each in start.parents if each.is_relative_to(top)] or [top])]


def _fingerprint(module: ModuleType, local: LocalModules) -> str:
    if local.sources:
        return local.fingerprint
    file = inspect.getsourcefile(module)
    return sha256(Path(file).read_bytes()).hexdigest() if file else ""


def _file_hashes(settings: EvalSettings, folder: Path) -> list[str]:
    try:
        return [sha256((folder / name).read_bytes()).hexdigest() for name in settings.scorer_files]
    except OSError as error:
        raise ScorerError(f"scorer_files: {error.filename} cannot be read: {error.strerror}") from error


def _not_covered(settings: EvalSettings, module: ModuleType, local: LocalModules) -> list[str]:
    if not local.sources:
        return [f"scorer {settings.scorer}: of installed code only {module.__name__} is hashed, not what it imports"]
    # Whether the listed files are all that is read cannot be seen; that a network is read as well can.
    reads = local.places_that_read(beyond_files=bool(settings.scorer_files))
    if not reads:
        return []
    what, remedy = "files or other data", "list files in scorer_files; "
    if settings.scorer_files:
        what, remedy = "more than files", ""
    unnoticed = f"scorer {settings.scorer} reads {what} ({reads[0]}), and changes of it would not be noticed"
    return [f"{unnoticed}: {remedy}a network, a process or the environment cannot be covered"]


def _unsound(score: Any) -> str:
    """Why a Score is invalid, in one clause; empty if it is valid."""
    if not isinstance(score.passed, bool):
        return "passed is not a bool"
    if score.format_failure is not None and not isinstance(score.format_failure, FormatFailure):
        return "format_failure is not a FormatFailure"
    if not all(isinstance(text, str) for text in (score.path, score.detail, score.label, score.shape)):
        return "path, detail, label or shape is not text"
    return _unsound_figures(score) or ("shape is not JSON text" if score.shape and not _is_json(score.shape) else "")


def _unsound_figures(score: Score) -> str:
    if score.value is not None and not _is_graded(score.value):
        return "value is not a number from 0 to 1"
    if score.fields is not None and not _is_share(score.fields):
        return "fields are not (right, all) with 0 <= right <= all and all above 0"
    if score.wrong is not None and not _is_paths(score.wrong):
        return "wrong is not a tuple of JSON paths"
    return ""


def _lacking(score: Score, facts: frozenset[str]) -> str:
    if "score" in facts and score.value is None and score.format_failure is None:
        return "value is missing, but a gate needs score"
    if "field_accuracy" in facts and score.fields is None:
        return "fields are missing, but a gate needs field_accuracy"
    if "format_stability" in facts and not score.shape and score.format_failure is None:
        return "shape is missing, but a gate needs format_stability"
    return ""


def _is_paths(wrong: object) -> bool:
    # A text would do as a sequence of texts.
    return isinstance(wrong, tuple) and all(isinstance(path, str) for path in wrong)


def _is_graded(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _is_share(fields: object) -> bool:
    match fields:
        case (int(right), int(total)):
            return 0 <= right <= total and total > 0
    return False


def _is_json(text: str) -> bool:
    try:
        parse_json(text)
    except JsonFault:
        return False
    return True


def _imported(name: str, local: LocalModules) -> ModuleType:
    try:
        return local.load() if local.sources else import_module(local.name)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
            raise
        # Importing runs the user's code, which may raise anything.
        problem = f"scorer {name!r} cannot be imported: {shorten(described(error), 200)}"
        hint = f"{local.name!r} is looked up in the eval set's folder, above it, and among installed packages"
        raise ScorerError(problem, hint=hint) from error


def _place(error: BaseException) -> str:
    frames: list[Any] = traceback.extract_tb(error.__traceback__)[1:]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
