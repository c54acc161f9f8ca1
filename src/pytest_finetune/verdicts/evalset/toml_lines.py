"""Paths of keys in a TOML text, and the lines that they are on."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def key_path(path: Sequence[str | int]) -> str:
    """A path of keys as people write it: `gates[0].metric`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")


def line_of(text: str, path: Sequence[str | int]) -> int:
    """
    The 1-based line of a TOML text where the value at a path is written.

    Found by searching the text: a key inside a multi-line string can mislead it, which then gives the line of the
    table, or the first line.
    """
    lines = text.split("\n")
    first, end, rest = _table(lines, path)
    for key in reversed([key for key in rest if isinstance(key, str)]):
        written = re.compile(rf"""(?:^|[\s{{,.])["']?{re.escape(key)}["']?\s*[.=]""")
        for index in range(first, end):
            if written.search(lines[index]):
                return index + 1
    return max(first, 1)


def _table(lines: list[str], path: Sequence[str | int]) -> tuple[int, int, list[str | int]]:
    """First line after the header of the innermost table on the path, the line it ends at, and the rest of the path."""
    headers = [(index, name) for index, line in enumerate(lines) if (name := _header(line))]
    for length in range(len(path), 0, -1):
        *parents, last = path[:length]
        name = tuple(key for key in path[:length] if isinstance(key, str))
        wanted = last if isinstance(last, int) else 0
        starts = [place for place, (_, header) in enumerate(headers) if header == name]
        if wanted < len(starts) and (parents or not isinstance(last, int)):
            place = starts[wanted]
            end = headers[place + 1][0] if place + 1 < len(headers) else len(lines)
            return headers[place][0] + 1, end, list(path[length:])
    return 0, headers[0][0] if headers else len(lines), list(path)


def _header(line: str) -> tuple[str, ...]:
    """The keys of a table's header, `[models."gpt-6-*".request]`; empty for any other line."""
    if not line.lstrip().startswith("["):
        return ()
    try:
        inside: Any = tomllib.loads(line)
    except ValueError:
        return ()
    keys: list[str] = []
    while inside:
        if isinstance(inside, list):
            inside = inside[0]
        else:
            ((key, inside),) = inside.items()
            keys.append(key)
    return tuple(keys)
