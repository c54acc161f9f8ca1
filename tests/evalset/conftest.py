from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.errors import EvalSetErrors
from pytest_finetune.verdicts.loading import load_eval_sets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_finetune.verdicts.evalset import EvalSet

    Fault = tuple[str, str, str]


def as_jsonl(lines: list[Any]) -> str:
    return "".join(line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., EvalSet]:
    """Write `set.jsonl` from lines, text or bytes, and `set.toml` from text, and load the set."""

    def _load(lines: Any, toml: str | None = None) -> EvalSet:
        data = lines if isinstance(lines, bytes) else as_jsonl([lines] if isinstance(lines, str) else lines).encode()
        (tmp_path / "set.jsonl").write_bytes(data)
        if toml is not None:
            (tmp_path / "set.toml").write_text(toml, encoding="utf-8")
        return load_eval_sets([tmp_path / "set.jsonl"], root=tmp_path)[0]

    return _load


@pytest.fixture
def faults(load: Callable[..., EvalSet]) -> Callable[..., list[Fault]]:
    """The faults of a set that cannot be loaded, as `(where, problem, hint)`."""

    def _faults(lines: Any, toml: str | None = None) -> list[Fault]:
        with pytest.raises(EvalSetErrors) as caught:
            load(lines, toml)
        return [(fault.where, fault.problem, fault.hint) for fault in caught.value.faults]

    return _faults


@pytest.fixture
def fault(faults: Callable[..., list[Fault]]) -> Callable[..., Fault]:
    """The only fault of a set."""

    def _fault(lines: Any, toml: str | None = None) -> Fault:
        (only,) = faults(lines, toml)
        return only

    return _fault
