"""The faults of one eval set: in its lines, and in its settings at the line of their key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.errors import did_you_mean
from pytest_finetune.base.files import read_regular
from pytest_finetune.verdicts.evalset.discovery import eval_set_name
from pytest_finetune.verdicts.evalset.reading import Faults
from pytest_finetune.verdicts.evalset.toml_lines import key_path, line_of

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_finetune.base.errors import EvalSetError


class SetFaults:
    """
    Collects the faults and warnings of one eval set.

    Args:
        path: The JSONL file; settings are in the TOML file of the same name.
        root: The folder that names of files are relative to.

    Attributes:
        lines: Faults of the JSONL file.
        keys: Faults of the settings.
        text: The settings as written; empty before they are read, and without a settings file.
        warnings: Probable mistakes, each once, in order.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self.lines = Faults(eval_set_name(path, root))
        self.keys = Faults(eval_set_name(path.with_suffix(".toml"), root))
        self.text = ""
        self.warnings: dict[str, None] = {}

    @property
    def found(self) -> list[EvalSetError]:
        """All faults, those of the settings first."""
        return [*self.keys.found, *self.lines.found]

    def add_at(self, path: tuple[str | int, ...], problem: str, hint: str) -> None:
        """Add a fault of the setting at a path; a set without a settings file has none, as all have their defaults."""
        self.keys.line = line_of(self.text, path)
        self.keys.add(f"{key_path(path)}: {problem}", hint)


def read_file(path: Path, faults: Faults) -> bytes | None:
    """The content of a file; None, with a fault, if it cannot be read."""
    try:
        return read_regular(path)
    except OSError as error:
        faults.add_unreadable(error.strerror or str(error), file_hint(path))
        return None


def file_hint(path: Path) -> str:
    """The file that may be meant by one that cannot be read."""
    if path.parent.is_dir() and not path.exists():
        known = [other.name for other in path.parent.iterdir() if other.suffix == path.suffix]
        return did_you_mean(path.name, known) if known else f"there is no {path.suffix} file in its folder"
    return "check the path and its permissions"
