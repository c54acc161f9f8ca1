"""An upper bound of the steps that a backtracking engine takes for a pattern, read from the pattern alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from math import inf

_TOKEN = re.compile(
    r"(?P<reference>\\[1-9]|\\k<)|\\(?:c.|.)|(?P<set>\[\^?)"
    r"|(?P<open>\((?:\?(?:[:=!]|<[=!]|<[^>]*>|[a-z-]*:))?)|(?P<close>\))|(?P<bar>\|)"
    r"|(?P<count>[*+?]|\{(?P<least>\d+)(?P<comma>,(?P<most>\d*))?\})\??|.",
    re.DOTALL,
)
_SET_END = re.compile(r"(?:\\.|[^\\\]])*\]", re.DOTALL)


@dataclass(slots=True)
class _Part:
    """
    The choices that a group, or the whole pattern, leaves to the engine.

    Args:
        ways: Combinations of alternatives and of bounded repetitions.
        loops: Unbounded repetitions one after the other: each is a power of the length of the text.
        weight: Atoms, each as often as fixed counts repeat it.
        explosive: The ways grow exponentially with the text: a choice is repeated without bound.
    """

    ways: float = 1
    loops: float = 0
    weight: float = 1
    explosive: bool = False

    def repeat(self, least: float, most: float) -> None:
        """Repeat the part."""
        is_free = self.ways > 1 or self.loops > 0
        if most == inf:
            self.explosive = self.explosive or is_free
            self.loops += 1
            return
        self.ways = _power(self.ways, most) * (most - least + 1)
        self.loops *= most
        self.weight *= max(most, 1)

    def add(self, other: _Part) -> None:
        """Append a part."""
        self.ways = min(self.ways * other.ways, inf)
        self.loops += other.loops
        self.weight += other.weight
        self.explosive = self.explosive or other.explosive


@dataclass(frozen=True, slots=True)
class Cost:
    """The bound of one pattern; see `_Part`."""

    ways: float
    loops: float
    weight: float
    explosive: bool
    anchored: bool

    def steps(self, length: int) -> float:
        """At most how many steps a search takes in a text of so many characters; `inf` where nothing bounds them."""
        if self.explosive:
            return inf
        starts = 1 if self.anchored else length + 1
        return starts * self.ways * self.weight * _power(length + 1, self.loops)


@lru_cache(maxsize=1024)
def cost_of(pattern: str) -> Cost:
    """The bound of a pattern; one that is not an ECMA pattern may have any."""
    open_parts, last = [_Part()], _Part(weight=0)
    at, has_bar = 0, False
    while token := _TOKEN.match(pattern, at):
        at = token.end()
        if token["count"]:
            last.repeat(*_bounds(token))
            continue
        open_parts[-1].add(last)
        if token["close"] and len(open_parts) > 1:
            last = open_parts.pop()
            continue
        last = _first_part(token)
        if token["open"]:
            open_parts.append(_Part())
        elif token["set"]:
            at = _end_of_set(pattern, at)
        has_bar = has_bar or (token["bar"] is not None and len(open_parts) == 1)
    for part in reversed(open_parts):
        last.add(part)
    return Cost(last.ways, last.loops, last.weight, last.explosive, pattern.startswith("^") and not has_bar)


def _first_part(token: re.Match[str]) -> _Part:
    if token["open"]:
        return _Part(weight=0)
    # A group that is referred to may be as long as the text.
    return _Part(ways=2 if token["bar"] else 1, loops=1 if token["reference"] else 0)


def _end_of_set(pattern: str, at: int) -> int:
    end = _SET_END.match(pattern, at)
    return end.end() if end else len(pattern)


def _bounds(token: re.Match[str]) -> tuple[float, float]:
    if token["least"] is None:
        return {"*": (0, inf), "+": (1, inf), "?": (0, 1)}[token["count"][0]]
    least = float(token["least"])
    return least, least if token["comma"] is None else float(token["most"]) if token["most"] else inf


def _power(base: float, exponent: float) -> float:
    try:
        return float(pow(base, exponent))
    except OverflowError:
        return inf
