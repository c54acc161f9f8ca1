"""What the command line asks for, made: eval sets loaded, limits shared out, targets built. Nothing is asked yet."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.errors import TargetError
from pytest_finetune.base.secret_masking import without_keys
from pytest_finetune.evaluation.engine import Limits
from pytest_finetune.evaluation.runs import RunStore
from pytest_finetune.lifecycle.registry.production import registry_of
from pytest_finetune.lifecycle.target_specs import make_target
from pytest_finetune.verdicts.evalset.discovery import find_eval_sets
from pytest_finetune.verdicts.loading import eval_set_name, load_eval_sets

if TYPE_CHECKING:
    from pytest_finetune.evaluation.targets import Target
    from pytest_finetune.verdicts.evalset import EvalSet

_SHOWN = 3
"""Files that are named as passed over."""


def load(config: pytest.Config) -> list[EvalSet]:
    """
    The eval sets among what pytest was told to run.

    Raises:
        EvalSetErrors: All faults of all of them.
    """
    if config.args_source is not pytest.Config.ArgsSource.ARGS and not hasattr(config, "workerinput"):
        _add_eval_sets_beside_testpaths(config)
    named = [_path_of(config, argument) for argument in config.args]
    paths = find_eval_sets(named, root=config.rootpath, patterns=config.getini("finetune_eval_sets"))
    return load_eval_sets(paths, root=config.rootpath, repeats=config.option.finetune_repeats)


def no_eval_sets(config: pytest.Config) -> str:
    """The message where `load` has found nothing: what was looked for, where, what was passed over, what to type."""
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
        lines.append(f"  passed over: {', '.join(others[:_SHOWN])}{more}")
        hint = (
            f"name the file, as in: pytest --model=SPEC {eval_set_name(root / others[0], config.invocation_params.dir)}"
        )
    else:
        hint = "put a .jsonl file in a folder eval_sets/, or name one: pytest --model=SPEC path/to/cases.jsonl"
    return "\n".join([*lines, f"  hint: {hint}"])


def limits_of(config: pytest.Config, models: int) -> Limits:
    """The share of one model in one process of what the session may use."""
    option = config.option
    sharers = models * int(getattr(config, "workerinput", {}).get("workercount", 1))
    return Limits(
        concurrency=-(-option.finetune_concurrency // sharers),
        deadline=option.finetune_deadline,
        max_cost=option.finetune_max_cost and option.finetune_max_cost / sharers,
    )


def target_of(config: pytest.Config, spec: str, limits: Limits) -> Target:
    """
    The target that a spec names.

    Raises:
        FinetuneError: It names nothing usable.
    """
    option, folder = config.option, config.rootpath / ".finetune"
    return make_target(
        spec,
        made_by_user=_made_by_user(config, spec),
        base_url=option.finetune_model_base_url,
        registry=registry_of(option.finetune_registry, config.rootpath),
        concurrency=limits.concurrency,
        store=RunStore(folder / "runs"),
        models=folder / "models",
        cache=_cache_folder(config),
    )


def _cache_folder(config: pytest.Config) -> Path | None:
    """The folder of the response cache; None where it is not used."""
    cache = getattr(config, "cache", None)
    # A promotion needs fresh answers: an id is no proof that a server still has the weights that answered before.
    if config.option.finetune_no_cache or config.option.finetune_promote or cache is None:
        return None
    try:
        return Path(cache.mkdir("finetune"))
    except OSError:
        # On a read-only disk pytest's own cache is off, too.
        return None


def _made_by_user(config: pytest.Config, spec: str) -> Any:
    try:
        return config.hook.pytest_finetune_target(spec=spec, config=config)
    except Exception as error:
        # The hook is the user's, and may raise anything.
        told = without_keys(f"{type(error).__name__}: {error}", os.environ.get("OPENAI_API_KEY", "").strip())
        problem = f"the hook failed for {spec!r}: {told}"
        raise TargetError(problem, "pytest_finetune_target", "fix the hook in conftest.py") from error


def _add_eval_sets_beside_testpaths(config: pytest.Config) -> None:
    """Without paths on the command line, `--model` means the project's eval sets too, whatever `testpaths` says."""
    named = [_path_of(config, arg) for arg in config.args]
    patterns = config.getini("finetune_eval_sets")
    known = set(find_eval_sets(named, root=config.rootpath, patterns=patterns))
    everywhere = find_eval_sets([config.rootpath], root=config.rootpath, patterns=patterns)
    config.args.extend(str(path) for path in everywhere if path not in known)


def _path_of(config: pytest.Config, argument: str) -> Path:
    # Not resolved: pytest collects under the name it was given, symbolic links and all.
    return Path(os.path.normpath(config.invocation_params.dir / argument.split("::", maxsplit=1)[0]))
