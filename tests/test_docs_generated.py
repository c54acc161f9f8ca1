"""What docs/generate.py makes from the code is as it was committed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def _generated() -> dict[Path, bytes]:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[Path, bytes] = module.generated()
    return found


def test_the_generated_files_are_up_to_date() -> None:
    stale = [str(path) for path, content in _generated().items() if (DOCS / path).read_bytes() != content]
    assert stale == [], "run: python docs/generate.py"
