"""One eval set, or a registry, read for a program."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import EvalSetError, EvalSetErrors
from pytest_finetune.lifecycle.importing.toml import settings_toml
from pytest_finetune.lifecycle.registry import Registry, open_registry, read_checked
from pytest_finetune.verdicts.evalset.project import configured_api, project_root, read_api
from pytest_finetune.verdicts.evalset.reading import UTF8_BOM
from pytest_finetune.verdicts.loading import load_eval_sets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.api.gate import Gate
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.evalset.request_form import Api


def load_eval_set(
    path: str | Path,
    *,
    gates: Sequence[Gate] | None = None,
    repeats: int | None = None,
    api: Api | None = None,
    folder: str | Path = ".",
) -> EvalSet:
    """
    Read an eval set, with the settings in the TOML file of the same name.

    Args:
        path: The JSONL file.
        gates: Gates instead of those in the settings file.
        repeats: Requests per case; None takes it from the settings.
        api: `chat` or `responses`; None takes the project's `finetune_api`, else the settings and the model decide.
        folder: The folder that the path is relative to; its project's root names the eval set.

    Raises:
        EvalSetErrors: All faults of the file and of its settings.
        EvalSetError: The folder or the file does not exist, or the gates do not fit the eval set.
    """
    start, root = project_of(folder)
    file = existing(start / path)
    demanded = read_api(api) if api else configured_api(root)
    (loaded,) = load_eval_sets([file], root=root, repeats=repeats, api=demanded)
    return loaded if gates is None else _with_gates(loaded, gates, root, repeats, demanded)


def read_registry(location: str | Path = "registry.json") -> Registry:
    """
    The registry at a path, or on an MLflow server for `mlflow:URI`; an empty one if there is no such file.

    Raises:
        RegistryError: It cannot be read, or it does not agree with its history.
    """
    return read_checked(open_registry(location))


def project_of(folder: str | Path) -> tuple[Path, Path]:
    """
    The folder, and the root of its project.

    Raises:
        EvalSetError: There is no such folder.
    """
    start = Path(folder).resolve()
    if not start.is_dir():
        raise EvalSetError("there is no such folder", str(folder))
    return start, project_root(start) or start


def existing(path: Path) -> Path:
    """
    The path itself.

    Raises:
        EvalSetError: There is nothing.
    """
    if not path.exists():
        raise EvalSetError("there is no such file or folder", str(path), "name a .jsonl file, or a folder of them")
    return path


def _with_gates(loaded: EvalSet, gates: Sequence[Gate], root: Path, repeats: int | None, api: Api | None) -> EvalSet:
    """The eval set with other gates, checked against its cases, and the text of its settings for the record."""
    toml = loaded.path.with_suffix(".toml")
    written = tomllib.loads(toml.read_bytes().removeprefix(UTF8_BOM).decode()) if toml.exists() else {}
    settings = {**written, "gates": [gate.to_dict() for gate in gates]}
    text = "\n".join([*settings_toml(settings), ""]).encode()
    try:
        (changed,) = load_eval_sets([loaded.path], root=root, repeats=repeats, api=api, settings={loaded.path: text})
    except EvalSetErrors as errors:
        place = f"gates given for {loaded.name}"
        raise EvalSetErrors([EvalSetError(one.problem, place, one.hint) for one in errors.faults]) from None
    return replace(changed, settings_text=text)
