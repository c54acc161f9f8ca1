"""What `init` cannot write is named, and an eval set that could not be loaded is never written."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.errors import DataError
from pytest_finetune.lifecycle.starting.writing import write_draft

if TYPE_CHECKING:
    from pathlib import Path

GOOD: Any = SimpleNamespace(files={"first.toml": b"", "first.jsonl": b'{"input": "a", "expected": "b"}\n'})
BAD: Any = SimpleNamespace(files={"first.toml": b"", "first.jsonl": b'{"input": "a"\n'})


def test_a_draft_is_written_with_the_schemas_of_editors(tmp_path: Path) -> None:
    written = write_draft(GOOD, tmp_path / "eval_sets")
    assert [path.name for path in written[:2]] == ["first.toml", "first.jsonl"]
    assert all(path.exists() for path in written)
    assert len(written) > len(GOOD.files)


def test_an_eval_set_that_could_not_be_loaded_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="would not be a valid eval set"):
        write_draft(BAD, tmp_path / "eval_sets")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_folder_s_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "eval_sets").write_text("mine", "utf-8")
    with pytest.raises(DataError, match="cannot be created"):
        write_draft(GOOD, tmp_path / "eval_sets")
    assert (tmp_path / "eval_sets").read_text("utf-8") == "mine"


def test_a_file_in_the_place_of_the_schemas_is_named_and_nothing_is_half_written(tmp_path: Path) -> None:
    (tmp_path / ".schemas").write_text("mine", "utf-8")
    with pytest.raises(DataError, match=r"\.schemas: cannot be written"):
        write_draft(GOOD, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".schemas"]
