"""Refuses options of pytest and other plugins that would make an evaluation meaningless, before any request."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_finetune.verdicts.evalset import EvalSet


class _Refusal(NamedTuple):
    """
    One combination that cannot work.

    Args:
        name: The option, with the plugin that defines it.
        is_used: Whether it is set in the given options.
        reason: Why it cannot work.
        hint: What to do instead.
        gated: Refused only if an eval set has gates.
    """

    name: str
    is_used: Callable[[Any], object]
    reason: str
    hint: str
    gated: bool = False


_SPLITS = "a gate judges all cases of an eval set, and each part has only some of them"
_ONE_SESSION = "evaluate in one session; -n and --concurrency make it faster"
_NOTHING_RUNS = "no case is evaluated"
_FORECAST = "--collect-only shows how many requests a session sends"

_REFUSALS = (
    _Refusal("--setup-plan", lambda option: option.setupplan, _NOTHING_RUNS, _FORECAST),
    _Refusal("--setup-only", lambda option: option.setuponly, _NOTHING_RUNS, _FORECAST),
    _Refusal(
        "--splits (pytest-split)", lambda option: getattr(option, "splits", None), _SPLITS, _ONE_SESSION, gated=True
    ),
    _Refusal(
        "--num-shards (pytest-shard)",
        lambda option: getattr(option, "num_shards", 1) > 1,
        _SPLITS,
        _ONE_SESSION,
        gated=True,
    ),
    _Refusal(
        "--test-group-count (pytest-test-groups)",
        lambda option: getattr(option, "test-group-count", None),
        _SPLITS,
        _ONE_SESSION,
        gated=True,
    ),
    _Refusal(
        "--workers or --tests-per-worker (pytest-parallel)",
        # Other plugins have an option --workers, too.
        lambda option: hasattr(option, "tests_per_worker") and (option.workers or option.tests_per_worker),
        "it runs tests in forks of this process, which receive no answers",
        "use -n (pytest-xdist), or nothing: requests are sent concurrently anyway",
    ),
)


def refuse_unusable_options(config: pytest.Config, eval_sets: Iterable[EvalSet]) -> None:
    """
    Refuse options with which nothing would be evaluated, or no gate could pass.

    Raises:
        pytest.UsageError: Names the option, the reason, and what to do instead.
    """
    gated = any(eval_set.settings.gates for eval_set in eval_sets)
    for refusal in _REFUSALS:
        if refusal.is_used(config.option) and (gated or not refusal.gated):
            raise pytest.UsageError(
                f"{refusal.name} does not work with --model: {refusal.reason}\n  hint: {refusal.hint}"
            )


def refuse_looponfail(config: pytest.Config) -> None:
    """
    Refuse `--looponfail` of xdist, which configures no session in its own process.

    Raises:
        pytest.UsageError: It is used with a model.
    """
    if config.option.pytest_finetune_model and config.getoption("looponfail", default=False):
        reason = "it would send requests after every change of a file"
        raise pytest.UsageError(
            f"--looponfail does not work with --model: {reason}\n  hint: use --lf to run misses again"
        )


def forks(item: pytest.Item) -> bool:
    """Whether pytest-forked runs this test in a fork of the process, which receives no answers."""
    return bool(item.config.getoption("forked", default=False) or item.get_closest_marker("forked"))


def not_collected(config: pytest.Config, names: list[str]) -> str:
    """The error message for eval sets that were loaded but that pytest did not collect."""
    patterns = config.getini("norecursedirs")
    parents = {folder.name for name in names for folder in PurePath(name).parents}
    excluding = [pattern for pattern in patterns if any(fnmatch(parent, pattern) for parent in parents)]
    cause = f"norecursedirs = {' '.join(excluding)}" if excluding else "--ignore, collect_ignore or a plugin"
    return (
        f"pytest does not collect these eval sets, so they would not be evaluated: {', '.join(names)}\n"
        f"  excluded by: {cause}\n"
        "  hint: remove that, or name the eval sets: pytest --model=SPEC path/to/cases.jsonl"
    )
