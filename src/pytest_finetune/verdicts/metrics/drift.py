"""How the answers to one case differ in form: keys that come and go, types that change, the order of keys."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from pytest_finetune.base.json_path import step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_finetune.verdicts.metrics.plan import CaseSamples


class DriftKind(StrEnum):
    """How answers to one case differ in form. A different key order is reported but makes no case unstable."""

    KEY = "key comes and goes"
    TYPE = "type changes"
    ORDER = "key order changes"


@dataclass(frozen=True, slots=True)
class Drift:
    """
    One JSON path at which answers to the same case differ.

    Args:
        path: JSON path, `$.slots.city`; elements of a list share `[*]`.
        kind: How they differ.
        cases: Ids of the cases in which they do, in plan order.
        seen: What the answers to those cases held there, with counts: types, `absent`, or orders of keys.
    """

    path: str
    kind: DriftKind
    cases: tuple[str, ...]
    seen: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Place:
    """What an answer holds at one path: its type, its keys in order, and its parent's path, which the root lacks."""

    type: str
    keys: tuple[str, ...]
    parent: str | None


def find_drift(rows: Sequence[CaseSamples]) -> tuple[Drift, ...]:
    """All drift of a plan, most frequent paths first. Only valid answers have a shape to compare."""
    cases: dict[tuple[str, DriftKind], list[str]] = {}
    seen: dict[tuple[str, DriftKind], Counter[str]] = {}
    for row in rows:
        shapes = [score.shape for score in row.scores if score.format_failure is None and score.shape]
        if len(set(shapes)) < 2:  # noqa: PLR2004 - one shape cannot differ from itself
            continue
        for place, values in _differences(shapes):
            cases.setdefault(place, []).append(row.case.id)
            seen.setdefault(place, Counter()).update(values)
    order = sorted(cases, key=lambda place: (-len(cases[place]), place))
    return tuple(Drift(*place, tuple(cases[place]), dict(seen[place].most_common())) for place in order)


def _differences(shapes: Sequence[str]) -> Iterator[tuple[tuple[str, DriftKind], list[str]]]:
    leaves = [_flatten(shape) for shape in shapes]
    for path in {path for answer in leaves for path in answer}:
        here = [answer[path] for answer in leaves if path in answer]
        types = [place.type for place in here]
        # A key counts as absent only if its object exists: below a changed type it would be reported twice.
        absent = sum(path not in answer and _has_object(answer, here[0].parent) for answer in leaves)
        if absent:
            yield (path, DriftKind.KEY), [*types, *["absent"] * absent]
        if len(set(types)) > 1:
            yield (path, DriftKind.TYPE), types
        orders = {place.keys for place in here}
        if len({frozenset(keys) for keys in orders}) < len(orders):
            yield (path, DriftKind.ORDER), [", ".join(place.keys) for place in here]


def _has_object(places: Mapping[str, Place], path: str | None) -> bool:
    return path is not None and path in places and places[path].type == "object"


@lru_cache(maxsize=1024)
def _flatten(shape: str) -> dict[str, Place]:
    """Every place of a shape by its JSON path; elements of a list share one path, with all their types."""
    places: dict[str, Place] = {}
    try:
        tree = json.loads(shape)
    except RecursionError:
        # Only a broken or hostile answer is nested this deeply; its paths are not worth reporting.
        return places
    for path, place in _walk(tree):
        before = places.get(path)
        types = {*before.type.split(" or "), place.type} if before else {place.type}
        places[path] = Place(" or ".join(sorted(types)), place.keys, place.parent)
    return places


def _walk(shape: object) -> Iterator[tuple[str, Place]]:
    # An explicit stack: an answer may be nested deeper than Python's recursion limit.
    waiting: list[tuple[str, str | None, object]] = [("$", None, shape)]
    while waiting:
        path, parent, here = waiting.pop()
        if isinstance(here, dict):
            yield path, Place("object", tuple(here), parent)
            waiting += [(path + step(key), path, value) for key, value in here.items()]
        elif isinstance(here, list):
            yield path, Place("array", (), parent)
            waiting += [(f"{path}[*]", path, element) for element in here]
        else:
            yield path, Place(str(here), (), parent)
