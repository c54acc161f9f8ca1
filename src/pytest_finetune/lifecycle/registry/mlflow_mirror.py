"""The view of a registry for users of MLflow: one model version per entry, and aliases for the serving versions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RegistryError
from pytest_finetune.lifecycle.registry.entry import VersionStatus
from pytest_finetune.lifecycle.registry.history import record_sha256
from pytest_finetune.lifecycle.registry.mlflow_log import PREFIX, chunked
from pytest_finetune.lifecycle.registry.version_spec import version_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pytest_finetune.lifecycle.registry.entry import Entry, Registry
    from pytest_finetune.lifecycle.registry.mlflow_server import MlflowServer, NumberedVersion, RegisteredModel

ALIASES = (VersionStatus.PRODUCTION, VersionStatus.CANARY, VersionStatus.CANDIDATE)
VERSION = f"{PREFIX}version"
HEAD = f"{PREFIX}head"
"""Tag `SEQ:HASH` of the registered model: the last event that is shown. It also marks the model as a registry."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A difference between MLflow and the registry; `fix` corrects MLflow, and is None if only a person may."""

    problem: str
    fix: Callable[[], object] | None


def head(registry: Registry) -> str:
    """The value of the tag `HEAD` for a registry."""
    return f"{registry.seq}:{registry.history[-1].hash if registry.history else ''}"


def holds_shown_event(registry: Registry, model: RegisteredModel) -> bool:
    """Whether the history has the last event that MLflow showed; if not, it has lost its end."""
    seq, _, hash_ = model.tags.get(HEAD, "0:").partition(":")
    if not seq.isdecimal() or int(seq) > registry.seq:
        return False
    return int(seq) == 0 or registry.history[int(seq) - 1].hash == hash_


def mismatches(
    registry: Registry, server: MlflowServer, model: RegisteredModel, records: list[NumberedVersion]
) -> list[Mismatch]:
    """
    All mismatches, in the order in which to fix them.

    Those that depend on a missing model version are reported after it has been created.

    Args:
        registry: The registry to show.
        server: The server to fix them on.
        model: The registered model.
        records: Its versions.
    """
    numbers = _numbers(records)
    if missing := [*_missing(registry, server, numbers)]:
        return missing
    tags = {record.number: record.tags for record in records}
    return [
        *_extra(registry, server, numbers),
        *(
            mismatch
            for version, entry in registry.entries.items()
            for mismatch in _tag_mismatches(server, numbers[version][0], tags, _tags(version, entry))
        ),
        *_alias_mismatches(registry, server, model, numbers),
        *_head_mismatches(registry, server, model),
    ]


def _numbers(records: list[NumberedVersion]) -> dict[str, list[int]]:
    """For each version the numbers of its model versions, lowest first."""
    numbers: dict[str, list[int]] = {}
    for record in records:
        if VERSION in record.tags:
            numbers.setdefault(record.tags[VERSION], []).append(record.number)
    return numbers


def _tags(version: str, entry: Entry) -> dict[str, str]:
    return {
        VERSION: version,
        f"{PREFIX}status": entry.status.value,
        f"{PREFIX}traffic": f"{entry.traffic:g}",
        f"{PREFIX}model_id": entry.model_id,
        f"{PREFIX}entry_sha256": record_sha256(entry),
        **chunked("entry", entry),
    }


def _missing(registry: Registry, server: MlflowServer, numbers: Mapping[str, list[int]]) -> Iterator[Mismatch]:
    for version, entry in registry.entries.items():
        if version not in numbers:
            fix = partial(server.append, server.place.model, version, _tags(version, entry))
            yield Mismatch(f"{version} has no model version", fix)


def _extra(registry: Registry, server: MlflowServer, numbers: Mapping[str, list[int]]) -> Iterator[Mismatch]:
    """Duplicates, which two writers made at the same time, and unknown versions, which only a person may delete."""
    for version, found in numbers.items():
        if version not in registry.entries:
            yield Mismatch(f"model version {found[0]} is {version}, which is not in the history", None)
            continue
        for number in found[1:]:
            yield Mismatch(
                f"model version {number} is a duplicate of {version}",
                partial(server.delete, server.place.model, number),
            )


def _tag_mismatches(
    server: MlflowServer, number: int, tags: Mapping[int, Mapping[str, str]], wanted: Mapping[str, str]
) -> Iterator[Mismatch]:
    seen = tags[number]
    ours = {key for key in seen if key.startswith(PREFIX)}
    for key in sorted(ours | wanted.keys()):
        if seen.get(key) != wanted.get(key):
            problem = f"model version {number}: its tag {key} differs from the history of {wanted[VERSION]}"
            yield Mismatch(problem, partial(server.tag, server.place.model, key, wanted.get(key), number=number))


def _alias_mismatches(
    registry: Registry, server: MlflowServer, model: RegisteredModel, numbers: Mapping[str, list[int]]
) -> Iterator[Mismatch]:
    for alias in ALIASES:
        version = _version_of(registry, alias)
        wanted = numbers[version][0] if version else None
        seen = model.aliases.get(alias)
        if seen != wanted:
            problem = f"the alias {alias} points to {_named(seen)} instead of {_named(wanted)}"
            yield Mismatch(problem, partial(server.alias, server.place.model, alias.value, wanted))


def _version_of(registry: Registry, alias: VersionStatus) -> str:
    try:
        return version_for(registry, alias)[0]
    except RegistryError:
        return ""


def _named(number: int | None) -> str:
    return "nothing" if number is None else f"model version {number}"


def _head_mismatches(registry: Registry, server: MlflowServer, model: RegisteredModel) -> Iterator[Mismatch]:
    """The tag `HEAD` is set last, so that it never names an event that is not shown yet."""
    seen, wanted = model.tags.get(HEAD), head(registry)
    if seen != wanted:
        fix = partial(server.tag, server.place.model, HEAD, wanted)
        yield Mismatch(f"the tag {HEAD} is {seen!r} instead of {wanted!r}", fix)
