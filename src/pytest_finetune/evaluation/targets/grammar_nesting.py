"""Detects grammars and schemas nested too deeply for llama.cpp, whose recursive parser would crash the process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

DEEPEST = 200
"""Levels. On Linux a grammar of 5,000 is parsed and one of 50,000 is a segmentation fault; other systems give a thread
as little as a sixteenth of the stack."""


def nesting_problem(params: Mapping[str, Any]) -> str:
    """What is wrong with the grammar or schema in a request's parameters; empty if nothing is."""
    grammar = params.get("grammar")
    if isinstance(grammar, str) and _parentheses(grammar) > DEEPEST:
        return f"'grammar' has more than {DEEPEST} nested parentheses"
    for name in ("json_schema", "response_format"):
        if _is_deeper(params.get(name), DEEPEST):
            return f"{name!r} has more than {DEEPEST} nested levels"
    return ""


def _parentheses(grammar: str) -> int:
    """The most parentheses open at once. Those inside quotes count too: no real grammar comes near the limit."""
    depth = deepest = 0
    for character in grammar:
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    return deepest


def _is_deeper(value: Any, limit: int) -> bool:
    # Level by level, because a recursive function would reach the interpreter's recursion limit.
    level = [value]
    for _ in range(limit + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True
