"""
Packs the examples of a batch into trees of tokens, so that each shared prefix is computed once and nothing is padded.

Examples usually share their system prompt, and the answers of one conversation share its earlier turns. Computed one by
one, each sequence would process its prefix again; in a padded batch, the short ones would also process padding.

Layout: the sequences of a pack are merged into a tree (a trie): each node is one token, and each path from a root is a
prefix of some sequence. A node attends only to itself and its ancestors, and its position is its depth. So each
node sees exactly the tokens and positions that it would see in its sequence alone: the loss is the same, and so is the
gradient, up to the rounding of sums in another order.

The mask is the topology-aware causal mask of SpecInfer (Miao et al. 2024, arXiv:2305.09781), which verifies a tree of
candidate tokens in one pass; here it serves training.
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
"""
Maximum nodes of a pack beyond those of its first example.

More nodes share more prefixes, but attention costs time and memory quadratic in all nodes, visible or not.
"""

_NO_NODE = -1


@dataclass(frozen=True, slots=True)
class Pack:
    """
    Trees of together n nodes, with m tokens to learn.

    Args:
        tokens: n token ids, parents before their children.
        positions: n depths; 0 for a root.
        visible: n x n booleans: whether the row's node attends to the column's.
        nodes: m indices of the nodes whose next token is learned. A node occurs once for each sequence that is learned
            from it: their next tokens may differ.
        targets: m token ids: those next tokens.
    """

    tokens: NDArray[np.int64]
    positions: NDArray[np.int64]
    visible: NDArray[np.bool_]
    nodes: NDArray[np.int64]
    targets: NDArray[np.int64]


class _Tree:
    """
    Trees that grow sequence by sequence.

    Nodes are numbered in the order in which they are added, so a parent has a lower number than its children. A root's
    parent is `_NO_NODE`.
    """

    def __init__(self) -> None:
        self.children: dict[tuple[int, int], int] = {}  # (parent, token) -> node
        self.tokens: list[int] = []
        self.parents: list[int] = []
        self.positions: list[int] = []
        self.learned: list[tuple[int, int]] = []  # (node, next token)

    def add(self, sequence: TokenSequence) -> None:
        # A token is predicted by the node before it. The last one predicts nothing, so it needs no node.
        node = _NO_NODE
        for position, token in enumerate(sequence.tokens):
            if position >= sequence.prompt:
                self.learned.append((node, token))
            if position < len(sequence.tokens) - 1:
                node = self._child(node, token, position)

    def missing(self, example: TokenizedExample) -> int:
        """
        The number of nodes that an example would add.

        An upper bound: what its sequences share only with each other is counted for each.
        """
        return sum(self._missing(sequence) for sequence in example.sequences)

    def _missing(self, sequence: TokenSequence) -> int:
        node = _NO_NODE
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
        # A parent comes before its children, so its row is complete when theirs are computed from it.
        for node, parent in enumerate(self.parents):
            if parent != _NO_NODE:
                visible[node] |= visible[parent]
        nodes, targets = np.array(self.learned, dtype=np.int64).T
        return Pack(np.array(self.tokens), np.array(self.positions), visible, nodes, targets)


def pack(examples: Iterable[TokenizedExample], most_more: int = MOST_MORE) -> Iterator[Pack]:
    """Pack examples; a pack has at most `most_more` nodes more than its first example."""
    # Sorted, so that examples with the same prefix are neighbours and come into the same pack.
    tree, first_size = _Tree(), 0
    for example in sorted(examples, key=lambda example: example.sequences[0].tokens):
        if tree.tokens and len(tree.tokens) + tree.missing(example) > first_size + most_more:
            yield tree.pack()
            tree = _Tree()
        is_first = not tree.tokens
        for sequence in example.sequences:
            tree.add(sequence)
        first_size = len(tree.tokens) if is_first else first_size
    if tree.tokens:
        yield tree.pack()
