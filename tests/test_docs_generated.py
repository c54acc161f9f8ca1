"""What docs/generate.py makes from the code is as it was committed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

DOCS = Path(__file__).parents[1] / "docs"


def _generated(monkeypatch: pytest.MonkeyPatch) -> dict[Path, bytes]:
    monkeypatch.syspath_prepend(str(DOCS))
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[Path, bytes] = module.generated()
    return found


def test_the_generated_files_are_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    stale = [str(path) for path, content in _generated(monkeypatch).items() if (DOCS / path).read_bytes() != content]
    assert stale == [], "run: python docs/generate.py"
