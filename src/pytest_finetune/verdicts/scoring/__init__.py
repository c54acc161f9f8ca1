"""Scorers turn a case and a completion into a score."""

from __future__ import annotations

import threading
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.text import described
from pytest_finetune.verdicts.evalset.scorer import Scorer
from pytest_finetune.verdicts.evalset.scorer_names import built_in_scorers, installed_scorers, is_function
from pytest_finetune.verdicts.evalset.toml_lines import key_path
from pytest_finetune.verdicts.scoring.options import option_faults

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_finetune.verdicts.evalset.settings import EvalSettings

__all__ = ["make_scorer", "scorer_class", "scorers_with"]

_SETTINGS = {
    "normalize": "normalize",
    "labels": "labels",
    "json_schema": "schema",
    "dialect": "dialect",
    "scorer_files": "scorer_files",
}
"""Field of `EvalSettings` -> key in the file, of the settings that only some scorers read."""

_FIX = "fix or reinstall the package that provides it"


def make_scorer(settings: EvalSettings, folder: Path) -> Scorer:
    """
    The scorer that the settings name.

    Args:
        settings: The settings of the eval set.
        folder: The eval set's folder; schema files and modules are looked up from here.

    Raises:
        ScorerError: The settings do not suit the scorer, or it cannot be imported.
    """
    chosen = scorer_class(settings.scorer)
    for path, problem, hint in option_faults(chosen, settings.scorer_options):
        place = f"{key_path(path)}: " if path else ""
        raise ScorerError(f"scorer {settings.scorer!r}: {place}{problem}", hint=hint)
    for field, key in _SETTINGS.items():
        if field in settings.model_fields_set and key not in chosen.settings:
            raise ScorerError(
                f"{key!r} has no effect on scorer {settings.scorer!r}",
                hint=f"remove it, or use a scorer that reads it: {', '.join(_readers(key))}",
            )
    try:
        return chosen.make(settings, folder)
    except ScorerError:
        raise
    except BaseException as error:
        _pass_interrupt(error)
        raise ScorerError(f"scorer {settings.scorer!r} broke: {described(error)}", hint=_FIX) from error


@lru_cache(maxsize=64)
def scorer_class(name: str) -> type[Scorer]:
    """
    The class of a scorer, by the name in the settings.

    Raises:
        ScorerError: The package that provides it cannot be imported, or provides something else.
    """
    if is_function(name):
        from pytest_finetune.verdicts.scoring.function import FunctionScorer

        return FunctionScorer
    if name in built_in_scorers():
        return _class_in(f"{__name__}.scorers.{name}")
    if (point := installed_scorers().get(name)) is None:
        raise ScorerError(f"there is no scorer {name!r}", hint="install the package that provides it")
    try:
        found = point.load()
    except BaseException as error:
        _pass_interrupt(error)
        problem = f"scorer {name!r} cannot be imported from {point.value}: {described(error)}"
        raise ScorerError(problem, hint=_FIX) from error
    if not (isinstance(found, type) and issubclass(found, Scorer)):
        raise ScorerError(f"{point.value} is not a subclass of pytest_finetune.Scorer")
    return found


def scorers_with(metric: str) -> list[str]:
    """The built-in scorers whose scores support one of `SCORER_METRICS`."""
    return [name for name in built_in_scorers() if metric in scorer_class(name).metrics]


def _pass_interrupt(error: BaseException) -> None:
    """Raise Ctrl-C again, which Python raises in the main thread, whatever runs there."""
    if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
        raise error


def _readers(key: str) -> list[str]:
    return [name for name in (*built_in_scorers(), "package.module:function") if key in scorer_class(name).settings]


def _class_in(module: str) -> type[Scorer]:
    own = (value for value in vars(import_module(module)).values() if isinstance(value, type))
    return next(each for each in own if issubclass(each, Scorer) and each.__module__ == module)
