"""
The seal of a closed run: a manifest or a sample that is changed afterwards no longer fits it.

It has no secret, so it tells accidents and hand edits, and is no signature: whoever computes it anew can write what
they like. What holds against that is who may write to where records are kept.
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
    """The manifest with length and hash of the samples as they lie there now, and its seal over everything."""
    # The length first: what another process appends meanwhile is left out of both.
    length = samples.stat().st_size if samples.exists() else 0
    held = {"samples_bytes": length, "samples_sha256": _file_sha256(samples, length)}
    filled = manifest.model_copy(update=held)
    # As it will be read: JSON has no word for an unbounded interval, and tells it as none.
    filled = type(manifest).model_validate_json(filled.model_dump_json())
    return filled.model_copy(update={"seal": _seal_of(filled)})


def seal_fault(manifest: Manifest, samples: Path) -> str:
    """What is against the seal of a closed run, one clause; empty where it holds."""
    if not manifest.seal:
        return "has no seal: an older pytest-finetune closed it"
    if manifest.seal != _seal_of(manifest):
        return "does not fit its seal: manifest.json was changed after the run closed"
    if manifest.samples_sha256 != _file_sha256(samples, manifest.samples_bytes):
        return "does not fit its seal: samples.jsonl was changed after the run closed"
    return ""


def _seal_of(manifest: Manifest) -> str:
    # Defaults are left out, so that a field which a later version adds leaves old seals as they are.
    values = manifest.model_dump(mode="json", exclude={"seal"}, exclude_defaults=True)
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _file_sha256(path: Path, length: int | None) -> str:
    """Hash of a file's first bytes, None for all; that of nothing where there is none: a run may have no sample."""
    found = hashlib.sha256()
    if not path.exists():
        return found.hexdigest()
    left = path.stat().st_size if length is None else length
    with path.open("rb") as file:
        while block := file.read(min(left, _BLOCK)):
            found.update(block)
            left -= len(block)
    return found.hexdigest()
