"""The base model, read by transformers from its GGUF file, and its tokenizer, the same as the server's."""

from __future__ import annotations

import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AttentionInterface,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerBase,
)

from pytest_finetune.evaluation.targets.weights import BASE, find_weights

if TYPE_CHECKING:
    from transformers.models.llama.modeling_llama import LlamaAttention

    from pytest_finetune.evaluation.targets.weights import Weights
    from pytest_finetune.server.trainer.job import TrainingJob

_WEIGHTS = "model.safetensors"
_HEAD = "lm_head.weight"
_HASH_LENGTH = 16
_TREE_ATTENTION = "token_tree"


@dataclass(frozen=True, slots=True)
class Base:
    """
    The model that an adapter is trained on.

    Args:
        model: The language model in float32, with attention over token trees.
        tokenizer: Its tokenizer, with the prompt template.
    """

    model: LlamaForCausalLM
    tokenizer: PreTrainedTokenizerBase


def load_base(cache: Path | None) -> Base:
    """
    Load smollm2-135m.

    Args:
        cache: Folder for the unpacked model; created if missing, and safe to share between processes.

    Raises:
        TargetError: The weights are not installed.
    """
    warnings.filterwarnings("ignore", module=r"(transformers|peft|torch)\b")
    AttentionInterface.register(_TREE_ATTENTION, _attend)
    weights = find_weights(f"local:{BASE}", Path())
    base = _from_gguf(weights) if cache is None else _from_cache(weights, cache)
    base.model.requires_grad_(requires_grad=False)
    base.model.set_attn_implementation(_TREE_ATTENTION)
    return base


def choose_precision(job: TrainingJob) -> torch.dtype:
    """The type of the large matrix products: bfloat16 if the job or, with `auto`, the processor asks for it."""
    if job.precision != "auto":
        return torch.bfloat16 if job.precision == "bfloat16" else torch.float32
    able = torch.cpu.get_capabilities()
    fast = any(able.get(name) for name in ("avx512_bf16", "amx_bf16"))
    return torch.bfloat16 if fast else torch.float32


def _from_gguf(weights: Weights) -> Base:
    folder, name = str(weights.model.parent), weights.model.name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    return Base(LlamaForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32), tokenizer)


def _from_cache(weights: Weights, cache: Path) -> Base:
    folder = cache / weights.sha256()[:_HASH_LENGTH]
    if not folder.is_dir():
        _fill(folder, weights)
    config = LlamaConfig.from_pretrained(folder)
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    model.load_state_dict(load_file(folder / _WEIGHTS), strict=False, assign=True)
    model.tie_weights()
    model.model.rotary_emb = type(model.model.rotary_emb)(config)
    return Base(model, AutoTokenizer.from_pretrained(folder))


def _fill(folder: Path, weights: Weights) -> None:
    """Write the folder under a temporary name and rename it; if two processes do so, one wins."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        base = _from_gguf(weights)
        # The output head shares its weights with the embedding.
        state = {name: tensor for name, tensor in base.model.state_dict().items() if name != _HEAD}
        save_file(state, temporary / _WEIGHTS)
        config = base.model.config.to_dict()
        config.pop("quantization_config", None)
        LlamaConfig.from_dict(config).save_pretrained(temporary)
        base.tokenizer.save_pretrained(temporary)
        if not folder.is_dir():
            os.replace(temporary, folder)  # noqa: PTH105 - never replaces a folder that has files
    except FileExistsError:
        pass
    except OSError:
        if not folder.is_dir():
            raise
    finally:
        rmtree(temporary, ignore_errors=True)


def _attend(
    module: LlamaAttention, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, **_: object
) -> tuple[torch.Tensor, None]:
    """
    Attention within a tree of n tokens, with the signature that transformers requires.

    Two products and a softmax; in bfloat16 this is four times as fast as torch's own function.

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
