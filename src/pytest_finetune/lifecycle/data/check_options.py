"""What a check of data looks for, and what with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.data.near_duplicates import SIMILARITY
from pytest_finetune.lifecycle.data.personal import REGIONS
from pytest_finetune.lifecycle.data.rows import MAX_LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pytest_finetune.lifecycle.data.production import Production
    from pytest_finetune.verdicts.json_schema.validation import Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOptions:
    """
    What is checked, and what with.

    Args:
        codes: Codes to check for; None for all.
        model: The model to be trained, which sets the tokenizer and the token limit.
        max_tokens: Token limit per example; overrides the model's.
        labels: The allowed answers; by default those of the eval sets.
        label_by: Key of a JSON answer to use as the label; empty uses the answers themselves. The allowed labels are
            then `labels`, or the values that the schema allows for this key.
        schema: Schema of every answer; by default that of the eval sets, if they share one.
        similarity: Minimum similarity of near duplicates, in (0, 1].
        regions: Countries whose national phone numbers, without a country code, are detected.
        production: What production sends.
        examples: Findings kept per code and file; all are counted.
        max_line_bytes: Longer lines are findings and are not read.
        shape: Name of the shape of training and validation rows; empty finds it by their columns.
    """

    codes: Collection[str] | None = None
    model: str = ""
    max_tokens: int | None = None
    labels: Sequence[str] = ()
    label_by: str = ""
    schema: Schema | None = None
    similarity: float = SIMILARITY
    regions: Sequence[str] = REGIONS
    production: Production | None = None
    examples: int = 1000
    max_line_bytes: int = MAX_LINE_BYTES
    shape: str = ""
