"""
Packs examples without padding, so that each shared prefix is computed once.

The sequences of a batch are merged into a tree of tokens; a system prompt that they share is one branch. Each node
attends only to its ancestors, and its position is its depth. So the model computes the same for each token as for its
sequence alone, and the gradient is that of the plain batch, for a fraction of the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from pytest_finetune.server.trainer.tokens import TokenizedExample, TokenSequence

MOST_MORE = 384
"""Maximum nodes of a pack beyond those of its first example; the cost of attention is quadratic in all nodes."""


@dataclass(frozen=True, slots=True)
class Pack:
    """
    One tree of n nodes with m answers to learn.

    Args:
        tokens: n token ids, parents before their children.
        positions: n depths, from 0.
        visible: n x n booleans: whether the row's node attends to the column's.
        nodes: m indices of the nodes whose next token is learned.
        targets: m token ids: those next tokens.
    """

    tokens: NDArray[np.int64]
    positions: NDArray[np.int64]
    visible: NDArray[np.bool_]
    nodes: NDArray[np.int64]
    targets: NDArray[np.int64]


class _Tree:
    """A tree of tokens that grows sequence by sequence; each path from the root is a prefix of some sequence."""

    def __init__(self) -> None:
        self.children: dict[tuple[int, int], int] = {}
        self.tokens: list[int] = []
        self.parents: list[int] = []
        self.positions: list[int] = []
        self.learned: list[tuple[int, int]] = []

    def add(self, sequence: TokenSequence) -> None:
        node = -1
        for position, token in enumerate(sequence.tokens):
            if position >= sequence.prompt:
                self.learned.append((node, token))
            if position < len(sequence.tokens) - 1:
                node = self._child(node, token, position)

    def missing(self, example: TokenizedExample) -> int:
        """The number of nodes that an example would add, counted for each of its sequences alone (an upper bound)."""
        return sum(self._missing(sequence) for sequence in example.sequences)

    def _missing(self, sequence: TokenSequence) -> int:
        node = -1
        for position, token in enumerate(sequence.tokens[:-1]):
            child = self.children.get((node, token))
            if child is None:
                return len(sequence.tokens) - 1 - position
            node = child
        return 0

    def _child(self, node: int, token: int, position: int) -> int:
        child = self.children.setdefault((node, token), len(self.tokens))
        if child == len(self.tokens):
            self.tokens.append(token)
            self.parents.append(node)
            self.positions.append(position)
        return child

    def pack(self) -> Pack:
        count = len(self.tokens)
        visible = np.eye(count, dtype=np.bool_)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                visible[node] |= visible[parent]
        nodes, targets = np.array(self.learned, dtype=np.int64).T
        return Pack(np.array(self.tokens), np.array(self.positions), visible, nodes, targets)


def pack(examples: Iterable[TokenizedExample], most_more: int = MOST_MORE) -> Iterator[Pack]:
    """Pack examples into trees of at most `most_more` nodes more than their first example; similar ones share one."""
    tree, first = _Tree(), 0
    for example in sorted(examples, key=lambda example: example.sequences[0].tokens):
        if tree.tokens and len(tree.tokens) + tree.missing(example) > first + most_more:
            yield tree.pack()
            tree = _Tree()
        is_first = not tree.tokens
        for sequence in example.sequences:
            tree.add(sequence)
        first = len(tree.tokens) if is_first else first
    if tree.tokens:
        yield tree.pack()
