"""JSON paths, such as `$.slots.city`, `$.items[2]` or `$["two words"]`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


_STEP = re.compile(r"""\.([^.\[\]"]+)|\[([0-9]+|\*)\]|\[("(?:[^"\\]|\\.)*")\]""")
_INDEX = re.compile(r"\[[0-9]+\]")
_LATER_CALL = re.compile(r'\["((?:[^"\\]|\\.)*)#[0-9]+"\]')
EVERY = "[*]"
"""The step that stands for every item of a list."""


def normal_path(text: str) -> str:
    """
    A path in the one spelling that comparisons use: `$["city"]` is `$.city`; `[*]` is every item of a list.

    Raises:
        ValueError: It is not a path.
    """
    steps = list(_STEP.finditer(text, 1)) if text.startswith("$") else []
    if "$" + "".join(found[0] for found in steps) != text:
        raise ValueError(f'{text!r} is not a JSON path; write $.city, $.items[0].sku, $.items[*].sku or $["two words"]')
    return "$" + "".join(_normal_step(*found.groups()) for found in steps)


def steps_of(path: str) -> tuple[str, ...]:
    """The steps of a normal path."""
    return tuple(found[0] for found in _STEP.finditer(path, 1))


def general_path(path: str, *, calls: bool = False) -> str:
    """A normal path with `[*]` for every index; with `calls`, a function's later call, `name#2`, is as its first."""
    if "[" not in path:
        return path
    if calls:
        path = _LATER_CALL.sub(lambda found: step(json.loads(f'"{found[1]}"')), path, count=1)
    return _INDEX.sub(EVERY, path)


def _normal_step(key: str | None, index: str | None, quoted: str | None) -> str:
    if index is not None:
        return f"[{index}]"
    return step(json.loads(quoted) if quoted is not None else key or "")


def json_path(parts: Iterable[str | int]) -> str:
    """The path of these keys and 0-based indices."""
    return "$" + "".join(step(part) for part in parts)


def step(part: str | int) -> str:
    """One step of a path: `.city`, `[2]` or `["two words"]`."""
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if part.replace("$", "_").isidentifier() else f"[{json.dumps(part)}]"
