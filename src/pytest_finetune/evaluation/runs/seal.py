"""
The seal of a closed run: a hash that no longer matches once the manifest or a sample is changed.

It contains no secret, so it reveals accidents and manual edits but is not a signature: it can be recomputed after a
change. To prevent that, restrict who can write to the folder of the records.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_finetune.evaluation.runs.manifest import Manifest

_BLOCK = 1 << 18


def sealed(manifest: Manifest, samples: Path) -> Manifest:
    """The manifest with the current length and hash of the samples, and with its seal."""
    # Length first: both then exclude what another process appends in the meantime.
    length = samples.stat().st_size if samples.exists() else 0
    held = {"samples_bytes": length, "samples_sha256": _file_sha256(samples, length)}
    filled = manifest.model_copy(update=held)
    # Seal what will be read back: JSON has no infinity, so an unbounded end becomes null.
    filled = type(manifest).model_validate_json(filled.model_dump_json())
    return filled.model_copy(update={"seal": _seal_of(filled)})


def seal_fault(manifest: Manifest, samples: Path) -> str:
    """What is wrong with the seal of a closed run, in one clause; empty if it is intact."""
    if not manifest.seal:
        return "has no seal: an older pytest-finetune closed it"
    if manifest.seal != _seal_of(manifest):
        return "has a broken seal: manifest.json changed after the run closed"
    if manifest.samples_sha256 != _file_sha256(samples, manifest.samples_bytes):
        return "has a broken seal: samples.jsonl changed after the run closed"
    return ""


def _seal_of(manifest: Manifest) -> str:
    # Defaults are excluded, so that old seals stay valid when a later version adds a field.
    values = manifest.model_dump(mode="json", exclude={"seal"}, exclude_defaults=True)
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _file_sha256(path: Path, length: int | None) -> str:
    """Hash of the first `length` bytes of a file, None for all; a run without samples has no file, hashed as empty."""
    found = hashlib.sha256()
    if not path.exists():
        return found.hexdigest()
    left = path.stat().st_size if length is None else length
    with path.open("rb") as file:
        while block := file.read(min(left, _BLOCK)):
            found.update(block)
            left -= len(block)
    return found.hexdigest()
