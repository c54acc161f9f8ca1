"""Files as people name them to `data`: `-` is standard input, as everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

_STANDARD_INPUT = Path("/dev/stdin")


class Source(click.Path):
    """A file to read; whether it is there is for the reader to say, unless `exists` asks for it at once."""

    name = "file"

    def __init__(self, *, exists: bool = False) -> None:
        super().__init__(exists=exists, dir_okay=False, allow_dash=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; that of standard input for a dash."""
        path = super().convert(value, param, ctx)
        return _STANDARD_INPUT if str(path) == "-" else path
