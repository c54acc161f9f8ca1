"""Model ids in the files of a project."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 1_000_000
"""Larger files are data, not code or configuration, and are not searched."""

_ID = re.compile(
    rb"(?<![\w.:/-])"
    rb"(?:ft:[\w.-]+(?::[\w.-]*){1,4}|gpt-\d[\w.-]*|chatgpt-[\w.-]+|o[1-9]-(?:mini|pro|preview)[\w.-]*|o[1-9]-\d{4}[\w.-]*)"
)
"""Ids of OpenAI's families, and of fine-tunes on any server. `o1` alone is a name in too many programs."""

_SKIPPED = frozenset({"node_modules", "__pycache__", "venv", "site-packages"})


@dataclass(frozen=True, slots=True)
class Mention:
    """A model id in a file: its path relative to the folder that was searched, and the 1-based line."""

    model: str
    path: str
    line: int


def find_mentions(folder: Path, *, skip: Path | None = None) -> Iterator[Mention]:
    """
    Every line of a folder's text files that names a model, each id once per line, in the order of the paths.

    In a Git repository the files that Git ignores are left out, elsewhere hidden folders and installed packages; the
    records in `.finetune` and the file `skip` always are.
    """
    for path in sorted(_files(folder)):
        if ".finetune" in path.parts or (skip and (folder / path).resolve() == skip.resolve()):
            continue
        data = _text(folder / path)
        for number, line in enumerate(data.splitlines(), 1):
            for found in dict.fromkeys(match.group() for match in _ID.finditer(line)):
                yield Mention(found.decode("ascii", "replace").rstrip(".-:"), path.as_posix(), number)


def _files(folder: Path) -> Iterator[Path]:
    command = ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout  # noqa: S603 - fixed words
    except (OSError, subprocess.SubprocessError):
        yield from _walked(folder)
        return
    yield from (Path(os.fsdecode(name)) for name in listed.split(b"\0") if name)


def _walked(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _SKIPPED]
        yield from (Path(parent, name).relative_to(folder) for name in names)


def _text(path: Path) -> bytes:
    """The content of a text file; nothing for others, and for what cannot be read."""
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return b""
        data = path.read_bytes()
    except OSError:
        return b""
    return b"" if b"\0" in data else data
