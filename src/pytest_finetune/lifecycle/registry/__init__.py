"""The registry: model versions, their status, and the evidence for it."""

from __future__ import annotations

from pytest_finetune.base.errors import RegistryError
from pytest_finetune.lifecycle.registry.assessment import Assessment, assess
from pytest_finetune.lifecycle.registry.backend import Backend, Verifiable, open_registry, read_checked
from pytest_finetune.lifecycle.registry.current_user import current_who
from pytest_finetune.lifecycle.registry.entry import (
    Entry,
    Event,
    Evidence,
    EvidenceSet,
    Registry,
    Rollout,
    TrainingFile,
    VersionStatus,
)
from pytest_finetune.lifecycle.registry.file_backend import FileBackend
from pytest_finetune.lifecycle.registry.judged_sets import JudgedSets, judged_sets
from pytest_finetune.lifecycle.registry.states import Change, apply
from pytest_finetune.lifecycle.registry.transitions import is_before_first, production_of
from pytest_finetune.lifecycle.registry.verification import verify
from pytest_finetune.lifecycle.registry.version_spec import version_for

__all__ = [
    "Assessment",
    "Backend",
    "Change",
    "Entry",
    "Event",
    "Evidence",
    "EvidenceSet",
    "FileBackend",
    "JudgedSets",
    "Registry",
    "RegistryError",
    "Rollout",
    "TrainingFile",
    "Verifiable",
    "VersionStatus",
    "apply",
    "assess",
    "current_who",
    "is_before_first",
    "judged_sets",
    "open_registry",
    "production_of",
    "read_checked",
    "verify",
    "version_for",
]
