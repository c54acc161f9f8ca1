"""
Writes the files of docs/ that are made from the code.

    python docs/generate.py
"""

from __future__ import annotations

from pathlib import Path

from reference import reference

from pytest_finetune.lifecycle.starting.editor_schemas import editor_schemas

DOCS = Path(__file__).parent


def generated() -> dict[Path, bytes]:
    """The content of each file by its path in docs/."""
    schemas = {Path("schemas", name): content for name, content in editor_schemas(installed=()).items()}
    return {**schemas, Path("reference.md"): reference().encode()}


if __name__ == "__main__":
    for path, content in generated().items():
        (DOCS / path).write_bytes(content)
