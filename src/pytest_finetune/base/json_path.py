"""JSON paths, such as `$.slots.city`, `$.items[2]` or `$["two words"]`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def json_path(parts: Iterable[str | int]) -> str:
    """The path of these keys and 0-based indices."""
    return "$" + "".join(step(part) for part in parts)


def step(part: str | int) -> str:
    """One step of a path: `.city`, `[2]` or `["two words"]`."""
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if part.replace("$", "_").isidentifier() else f"[{json.dumps(part)}]"
