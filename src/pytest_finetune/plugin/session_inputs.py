"""From the command line to eval sets and options."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_finetune.evaluation import configured_prices
from pytest_finetune.evaluation.configured_prices import parse_prices
from pytest_finetune.evaluation.runs import RunStore
from pytest_finetune.verdicts.evalset.discovery import eval_set_name, find_eval_sets
from pytest_finetune.verdicts.evalset.project import read_api
from pytest_finetune.verdicts.loading import load_eval_sets

if TYPE_CHECKING:
    from pytest_finetune.evaluation.configured_prices import ConfiguredPrices
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.evalset.request_form import Api

_TABLES, _YAML = (".csv", ".tsv"), (".yaml", ".yml")
_SHOWN = 3
"""Ignored files that a message names."""


@dataclass(frozen=True)
class SessionInputs:
    """
    What a session evaluates and with which options.

    Args:
        root: pytest's rootdir.
        eval_sets: The eval sets by path.
        store: The recorded runs.
        prices: The prices of the ini `finetune_prices`.
        registry: A path relative to the root, or `mlflow:URI`.
        redact: Reports omit prompts and answers.
        is_worker: This process is an xdist worker: it sends requests, but judges nothing.
        api: The API that all requests are sent to; None leaves it to the eval sets and the models.
        limit: Cases of each eval set that are requested, as a first look; None is all.
        is_distributed: xdist runs the tests in other processes; true on the controller only.
    """

    root: Path
    eval_sets: dict[Path, EvalSet]
    store: RunStore
    prices: ConfiguredPrices
    registry: str
    redact: bool
    is_worker: bool
    api: Api | None
    limit: int | None
    is_distributed: bool


def read_inputs(config: pytest.Config) -> SessionInputs:
    """
    Load the eval sets, and read the options.

    Raises:
        EvalSetErrors: All faults of all eval sets.
        PriceError: A configured price is wrong.
    """
    return SessionInputs(
        root=config.rootpath,
        eval_sets={eval_set.path: eval_set for eval_set in _load(config)},
        store=RunStore(config.rootpath / ".finetune" / "runs"),
        prices=parse_prices(config.getini(configured_prices.OPTION)),
        registry=config.option.pytest_finetune_registry,
        redact=config.option.pytest_finetune_redact,
        is_worker=hasattr(config, "workerinput"),
        api=_api(config),
        limit=config.option.pytest_finetune_limit,
        is_distributed=config.getoption("dist", "no") != "no",
    )


def _load(config: pytest.Config) -> list[EvalSet]:
    """
    The eval sets that are named on pytest's command line, or are in a folder named there.

    Raises:
        EvalSetErrors: All faults of all eval sets.
    """
    if config.args_source is not pytest.Config.ArgsSource.ARGS and not hasattr(config, "workerinput"):
        _add_eval_sets_outside_testpaths(config)
    named = [_path_of(config, argument) for argument in config.args]
    paths = find_eval_sets(named, root=config.rootpath, patterns=config.getini("finetune_eval_sets"))
    return load_eval_sets(paths, root=config.rootpath, repeats=config.option.pytest_finetune_repeats, api=_api(config))


def _api(config: pytest.Config) -> Api | None:
    """
    The API that all requests are sent to; None leaves it to the eval sets and the models.

    Raises:
        EvalSetError: The ini value is not the name of an API.
    """
    chosen: Api | None = config.option.pytest_finetune_api
    return chosen or read_api(config.getini("finetune_api"))


def no_eval_sets(config: pytest.Config) -> str:
    """The error message if there are no eval sets: the patterns, the folders, ignored files and a command to try."""
    patterns, root = config.getini("finetune_eval_sets"), config.rootpath
    named = [_path_of(config, argument) for argument in config.args]
    others = [eval_set_name(path, root) for path in find_eval_sets(named, root=root, patterns=["*"])]
    where = ", ".join(eval_set_name(path, config.invocation_params.dir) for path in named)
    lines = [
        "--model: no eval sets to evaluate",
        f"  looked for: {' or '.join(patterns)} (ini finetune_eval_sets), relative to {root}",
        f"  looked in: {'this folder' if where == '.' else where}",
    ]
    if others:
        more = ", ..." if len(others) > _SHOWN else ""
        lines.append(f"  ignored: {', '.join(others[:_SHOWN])}{more}")
        hint = f"name the file: pytest --model=SPEC {eval_set_name(root / others[0], config.invocation_params.dir)}"
    else:
        hint = "put a .jsonl file in a folder eval_sets/, or name one: pytest --model=SPEC path/to/cases.jsonl"
    return "\n".join([*lines, f"  hint: {hint}"])


def hint_to_import(config: pytest.Config) -> str:
    """How the first named file of a format that is not an eval set becomes one; empty if none is named."""
    for path in (_path_of(config, argument) for argument in config.args):
        if path.suffix.lower() in _TABLES and path.is_file():
            return f"hint: make it an eval set: pytest-finetune init --from {path.name}"
        if path.suffix.lower() in _YAML and path.is_file():
            return f"hint: make it an eval set: pytest-finetune import {path.name}"
    return ""


def _add_eval_sets_outside_testpaths(config: pytest.Config) -> None:
    """Without paths on the command line, collect all eval sets of the project, whatever `testpaths` says."""
    named = [_path_of(config, arg) for arg in config.args]
    patterns = config.getini("finetune_eval_sets")
    known = set(find_eval_sets(named, root=config.rootpath, patterns=patterns))
    everywhere = find_eval_sets([config.rootpath], root=config.rootpath, patterns=patterns)
    config.args.extend(str(path) for path in everywhere if path not in known)


def _path_of(config: pytest.Config, argument: str) -> Path:
    # Symbolic links are not resolved, because pytest does not resolve them in the paths that it collects.
    return Path(os.path.normpath(config.invocation_params.dir / argument.split("::", maxsplit=1)[0]))
