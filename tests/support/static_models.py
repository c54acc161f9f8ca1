"""A made-up model2vec model of three words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def small_model(folder: Path) -> Path:
    """`bug` and `error` have the cosine 0.8, `bug` and `praise` 0; a test without the package is skipped."""
    model2vec = pytest.importorskip("model2vec")
    numpy, tokenizers = pytest.importorskip("numpy"), pytest.importorskip("tokenizers")
    words = {"[UNK]": 0, "[PAD]": 1, "bug": 2, "error": 3, "praise": 4}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    vectors = numpy.array([[0, 0], [0, 0], [1, 0], [0.8, 0.6], [0, 1]], dtype="float32")
    model2vec.StaticModel(vectors, tokenizer).save_pretrained(str(folder))
    return folder
