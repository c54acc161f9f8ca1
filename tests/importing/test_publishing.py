"""An import that cannot be written, or would not be valid, leaves nothing behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_finetune.base.errors import DataError
from pytest_finetune.lifecycle.importing import publishing

if TYPE_CHECKING:
    from pathlib import Path


def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "eval_sets").write_text("mine", "utf-8")
    with (
        pytest.raises(DataError, match="cannot be written") as refusal,
        publishing.private_folder(tmp_path / "eval_sets" / "a.jsonl"),
    ):
        pass
    assert "check the folder's permissions" in str(refusal.value)


def test_the_private_folder_is_removed_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        _fail_within(tmp_path)
    assert list(tmp_path.iterdir()) == []


def _fail_within(folder: Path) -> None:
    with publishing.private_folder(folder / "a.jsonl") as private:
        (private / "a.jsonl").write_text("{}", "utf-8")
        raise RuntimeError
