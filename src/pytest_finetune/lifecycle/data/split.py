"""
Assigns rows to the sides of a split by hash, so that adding rows does not move existing ones.

Rows with identical or nearly identical prompts, and rows of one group, form a cluster, which stays together. Its side
is a hash of the seed and of its representative: the smallest name of its groups if it has any, else the smallest hash
of a row's content. A new row therefore moves others only if it joins their cluster and becomes its representative, or
if it joins two clusters into one.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import DataError
from pytest_finetune.base.json_text import canonical_json
from pytest_finetune.base.text import shorten
from pytest_finetune.lifecycle.data.canonical import answer_text, example_of_row
from pytest_finetune.lifecycle.data.equal_texts import EqualTexts
from pytest_finetune.lifecycle.data.labels import Labels, Numbered
from pytest_finetune.lifecycle.data.near_duplicates import clusters
from pytest_finetune.lifecycle.data.spilled_texts import SpilledIndex

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_finetune.lifecycle.data.canonical import Example
    from pytest_finetune.verdicts.shapes.row import ChatRow

TRAIN, VALIDATION, TEST = SIDES = ("train", "validation", "test")

# Hashes have 8 bytes: of n rows two share a hash with a probability of about n² / 2^65.
_UNIT = 1 << 64
_WORD = array("L").itemsize


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """
    How rows are split.

    Args:
        validation, test: Shares in [0, 1), together below 1; the rest is for training.
        seed: Seed of the assignment; changing it reassigns every row.
        group_by: Rows with the same value under this key, of the row or its metadata, stay together.
        label_by: Key of a JSON answer to use as the label; empty uses short answers themselves.
        stratify: Give each label its exact share, at the price that a new row can move some at the edge.
        near: Keep near duplicates together, not only identical prompts.
        shape: Name of the rows' shape; empty finds it by their columns.
    """

    validation: float
    test: float = 0.0
    seed: str = "0"
    group_by: str = ""
    label_by: str = ""
    stratify: bool = False
    near: bool = True
    shape: str = ""


@dataclass(frozen=True, slots=True)
class Split:
    """
    The result of a split.

    Args:
        sides: Side of each row, in the order of the rows: an index into `SIDES`.
        rows: Number of rows by side.
        labels: Number of rows by label, then side; empty if the answers are not labels.
        groups: Number of different values of `group_by`.
        ungrouped: Number of rows without a value.
        clusters: Number of clusters with more than one row.
        clustered: Number of rows in these clusters.
        largest: Number of rows in the largest cluster.
    """

    sides: bytes
    rows: Mapping[str, int]
    labels: Mapping[str, Mapping[str, int]]
    groups: int
    ungrouped: int
    clusters: int
    clustered: int
    largest: int


class Splitter:
    """
    Collects rows one by one and assigns them when all have been added.

    Memory is about 600 bytes per row, whatever its length: texts go to a temporary file.

    Args:
        options: How rows are split.
    """

    def __init__(self, options: SplitOptions) -> None:
        self._options = options
        self._index: SpilledIndex | EqualTexts = SpilledIndex() if options.near else EqualTexts()
        self._texts = array("L")
        self._hashes = array("Q")
        self._groups = Numbered()
        self._labels = Labels(options.label_by)

    def add(self, value: Mapping[str, Any], row: ChatRow) -> None:
        """
        Add one row.

        Args:
            value: The record, which may have the key `group_by`.
            row: Its chat.
        """
        options = self._options
        example = example_of_row("", 0, row)
        answer = answer_text(row) if example.answer is None else example.answer
        self._texts.append(self._index.add(_compared(example) or answer, parts=example.parts))
        self._hashes.append(int.from_bytes(example.row_id[:8]))
        self._groups.add(_group(value, options.group_by) if options.group_by else None)
        self._labels.add(answer)

    def refuse_unknown_keys(self, where: str) -> None:
        """
        Refuse a misspelt key, which would separate what belongs together.

        Args:
            where: Name of the file in the error.

        Raises:
            DataError: No row has the key `group_by`, or no answer has the key `label_by`.
        """
        options = self._options
        if options.group_by and not self._groups.names:
            hint = "--group-by takes a key of the rows or of their metadata"
            raise DataError(f"no row has the key {shorten(options.group_by)!r}", where, hint)
        if options.label_by and not self._labels.found:
            hint = "--label-by takes a key of answers that are JSON objects"
            raise DataError(f"no answer has the key {shorten(options.label_by)!r}", where, hint)

    def split(self) -> Split:
        """Assign all rows that were added."""
        found = self._clusters()
        if self._options.stratify:
            sides = _stratified(self._strata(found), found, self._options)
        else:
            sides = bytearray(_side(place, self._options) for place in found.places)
        return self._result(bytes(sides[root] for root in found.roots), found)

    def _clusters(self) -> _Clusters:
        texts, groups = len(self._index), len(self._groups.names)
        pairs = self._index.near_pairs()
        joined = clusters(texts + groups, chain(pairs, self._group_pairs(texts)))
        roots = array("L", (joined[text] for text in self._texts))
        sizes, least = array("L", bytes(_WORD * len(joined))), array("Q", [_UNIT - 1]) * len(joined)
        for root, content in zip(roots, self._hashes, strict=True):
            sizes[root] += 1
            least[root] = min(least[root], content)
        names: dict[int, str] = {}
        for number, name in enumerate(self._groups.names):
            root = joined[texts + number]
            names[root] = min(names.get(root, name), name)
        seed = self._options.seed
        places = array("Q", (_hash(f"{seed}\n{names.get(root, value)}") for root, value in enumerate(least)))
        return _Clusters(roots, sizes, places)

    def _group_pairs(self, texts: int) -> Iterator[tuple[int, int, float]]:
        """Pairs of each text with the groups of its rows; groups are numbered after the texts."""
        for text, group in zip(self._texts, self._groups.numbers, strict=True):
            if group >= 0:
                yield text, texts + group, 1.0

    def _strata(self, found: _Clusters) -> list[list[int]]:
        """The clusters, grouped by the label that most of their rows have."""
        counts: dict[int, Counter[str]] = defaultdict(Counter)
        names = [*self._labels.names, ""]
        for root, label in zip(found.roots, self._labels.numbers, strict=True):
            counts[root][names[label] if len(names) > 1 else ""] += 1
        strata: dict[str, list[int]] = defaultdict(list)
        for root, labels in counts.items():
            strata[min(labels, key=lambda label: (-labels[label], label))].append(root)
        return list(strata.values())

    def _result(self, sides: bytes, found: _Clusters) -> Split:
        labels = self._labels.names
        counts: dict[str, Counter[str]] = {name: Counter(dict.fromkeys(SIDES, 0)) for name in sorted(labels)}
        for label, side in zip(self._labels.numbers if labels else (), sides, strict=False):
            if label >= 0:
                counts[labels[label]][SIDES[side]] += 1
        together = [size for size in found.sizes if size > 1]
        return Split(
            sides=sides,
            rows={name: sides.count(side) for side, name in enumerate(SIDES)},
            labels=counts,
            groups=len(self._groups.names),
            ungrouped=self._groups.numbers.count(-1) if self._options.group_by else 0,
            clusters=len(together),
            clustered=sum(together),
            largest=max(found.sizes, default=0),
        )


@dataclass(frozen=True, slots=True)
class _Clusters:
    """The cluster of each row (`roots`), and for each cluster its number of rows and its hash in [0, 2^64)."""

    roots: Sequence[int]
    sizes: Sequence[int]
    places: Sequence[int]


def _side(place: int, options: SplitOptions) -> int:
    """The side of a cluster by its hash alone, independent of all other clusters."""
    share = place / _UNIT
    return 1 if share < options.validation else 2 if share < options.validation + options.test else 0


def _stratified(strata: list[list[int]], found: _Clusters, options: SplitOptions) -> bytearray:
    """
    The side of each cluster, so that each stratum has the shares that were requested.

    Clusters are taken in the order of their hashes, which keeps most of them in place when rows are added.
    """
    sides = bytearray(len(found.places))
    for stratum in strata:
        total = sum(found.sizes[root] for root in stratum)
        taken = [0, 0, 0]
        for root in sorted(stratum, key=found.places.__getitem__):
            size = found.sizes[root]
            for side, share in ((1, options.validation), (2, options.test)):
                # Add the cluster if that brings the side nearer to its share. A side gets at least one cluster, unless
                # nothing would be left for training.
                wanted = taken[side] + size / 2 <= share * total or (share and not taken[side])
                if wanted and sum(taken) + size < total:
                    sides[root] = side
                    taken[side] += size
                    break
    return sides


def _compared(example: Example) -> str:
    """The text that rows are compared by: the question, or without one the system prompt."""
    return example.question if example.question.strip() or example.parts else example.system.strip()


def _group(row: Mapping[str, Any], key: str) -> str | None:
    metadata = row.get("metadata")
    found = row[key] if key in row else metadata.get(key) if isinstance(metadata, dict) else None
    return None if found is None else found if isinstance(found, str) else canonical_json(found)


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())
