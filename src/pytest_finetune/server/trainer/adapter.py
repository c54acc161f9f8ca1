"""A LoRA adapter on the base model, and its GGUF file, which llama.cpp adds to the base weights."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import gguf
import torch
from peft import LoraConfig, get_peft_model

from pytest_finetune.base.files import atomic_writer

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import LlamaForCausalLM

    from pytest_finetune.server.trainer.job import TrainingJob

_GGUF_NAMES = {
    "v_proj": "attn_v",
    "o_proj": "attn_output",
    "gate_proj": "ffn_gate",
    "up_proj": "ffn_up",
    "down_proj": "ffn_down",
}
"""Queries and keys are not adapted, because llama.cpp stores their rows in another order."""

_PARAMETER = re.compile(r"\.layers\.(\d+)\..*\.(\w+)\.lora_([AB])\.default\.weight$")


def add_adapter(model: LlamaForCausalLM, job: TrainingJob, precision: torch.dtype) -> dict[str, torch.nn.Parameter]:
    """
    Add a new adapter to a model, in place.

    Args:
        model: The base model, frozen.
        job: Sets rank, alpha and seed.
        precision: Type of the frozen matrices; the adapter itself is float32.

    Returns:
        The adapter's parameters by their names in GGUF; nothing else is trained.
    """
    torch.manual_seed(job.seed)
    config = LoraConfig(r=job.rank, lora_alpha=job.alpha, target_modules=list(_GGUF_NAMES), lora_dropout=0.0)
    peft_model = get_peft_model(model, config)
    for name, module in model.model.named_modules():
        if isinstance(module, torch.nn.Linear) and "lora_" not in name:
            module.weight.data = module.weight.data.to(precision)
    return {_gguf_name(name): part for name, part in peft_model.named_parameters() if part.requires_grad}


def write_adapter(path: Path, parameters: dict[str, torch.nn.Parameter], alpha: int, name: str) -> None:
    """
    Write an adapter as GGUF, atomically.

    Args:
        path: The file; an existing one is replaced.
        parameters: The result of `add_adapter`.
        alpha: As in the job.
        name: The model's display name.
    """
    with atomic_writer(path) as file:
        # The library takes only the name of a file; this name refers to the open temporary file.
        writer = gguf.GGUFWriter(file.name, "llama")
        writer.add_type("adapter")
        writer.add_name(name)
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", alpha)
        for tensor_name, parameter in parameters.items():
            writer.add_tensor(tensor_name, parameter.detach().to(torch.float16).numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def _gguf_name(name: str) -> str:
    found = _PARAMETER.search(name)
    if found is None:
        raise ValueError(f"{name} is not a parameter of an adapter")
    block, module, which = found.groups()
    return f"blk.{block}.{_GGUF_NAMES[module]}.weight.lora_{which.lower()}"
