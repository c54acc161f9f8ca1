"""Scorers: one judges (Case, Completion) into a Score; each is pure, and none can be hung or crashed by an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.verdicts.evalset.scorer import SCORERS, USES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_finetune.verdicts.evalset.scorer import Scorer
    from pytest_finetune.verdicts.evalset.settings import EvalSettings

__all__ = ["make_scorer", "scorer_warnings"]


def make_scorer(settings: EvalSettings, folder: Path) -> Scorer:
    """
    The scorer that the settings ask for.

    Args:
        settings: The settings of the eval set.
        folder: Where the eval set lies: schema files are named from here, and modules found.

    Raises:
        ScorerError: The settings do not suit the scorer, or the user's function cannot be had.
    """
    name = settings.scorer
    if ":" in name:
        from pytest_finetune.verdicts.scoring.function import make

        _refuse_idle_settings(settings, set())
        return make(settings, folder)
    _refuse_idle_settings(settings, USES[name])
    return _builder(name)(settings, folder)


def scorer_warnings(scorer: Scorer) -> tuple[str, ...]:
    """What looked doubtful while the scorer was made, such as unknown words in its JSON Schema."""
    warnings: tuple[str, ...] = getattr(scorer, "warnings", ())
    return warnings


def _builder(name: str) -> Callable[[EvalSettings, Path], Scorer]:
    from importlib import import_module

    module = {"json": "json_value", "regex": "pattern"}.get(name, name)
    make: Callable[[EvalSettings, Path], Scorer] = import_module(f"{__name__}.{module}").make
    return make


def _refuse_idle_settings(settings: EvalSettings, used: set[str]) -> None:
    for field in ("normalize", "labels", "json_schema", "dialect"):
        if field in settings.model_fields_set and field not in used:
            key = "schema" if field == "json_schema" else field
            takers = ", ".join(name for name in SCORERS if field in USES[name])
            raise ScorerError(
                f"{key!r} has no effect on scorer {settings.scorer!r}",
                hint=f"remove it, or use a scorer that reads it: {takers}",
            )
