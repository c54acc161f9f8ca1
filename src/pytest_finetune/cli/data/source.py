"""The input file of the `data` commands, where `-` is standard input, and the shape of its rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune.verdicts.shapes import NAMES

if TYPE_CHECKING:
    import os

shape_option = click.option(
    "--shape",
    type=click.Choice(list(NAMES)),
    callback=lambda context, parameter, value: value or "",  # noqa: ARG005 - click's signature
    metavar="NAME",
    help=f"Shape of the rows: {', '.join(NAMES)}.  [default: found by their columns]",
)
_STANDARD_INPUT = Path("/dev/stdin")


class Source(click.Path):
    """A file to read. With `exists` a missing file is a usage error, otherwise it is left to the reader."""

    name = "file"

    def __init__(self, *, exists: bool = False) -> None:
        super().__init__(exists=exists, dir_okay=False, allow_dash=True, path_type=Path)

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """The path; `/dev/stdin` for a dash."""
        path = super().convert(value, param, ctx)
        return _STANDARD_INPUT if str(path) == "-" else path
