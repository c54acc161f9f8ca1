"""What MLflow's own users see of a registry: a model version for each entry, aliases for those that serve."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RegistryError
from pytest_finetune.lifecycle.registry.entry import Status
from pytest_finetune.lifecycle.registry.history import record_sha256
from pytest_finetune.lifecycle.registry.mlflow_log import PREFIX, chunked
from pytest_finetune.lifecycle.registry.states import version_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pytest_finetune.lifecycle.registry.entry import Entry, Registry
    from pytest_finetune.lifecycle.registry.mlflow_server import Card, MlflowServer, Record

ALIASES = (Status.PRODUCTION, Status.CANARY, Status.CANDIDATE)
VERSION = f"{PREFIX}version"
HEAD = f"{PREFIX}head"
"""Tag of the registered model, `SEQ:HASH`: the event that MLflow is in step with. It marks the model as ours."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing on which MLflow and the registry disagree; `mend` brings MLflow in step, where a program may."""

    problem: str
    mend: Callable[[], object] | None


def head(registry: Registry) -> str:
    """The mark of a registry's last event."""
    return f"{registry.seq}:{registry.history[-1].hash if registry.history else ''}"


def promised(registry: Registry, card: Card) -> bool:
    """Whether the event that MLflow was in step with is in the history; if not, the history has lost its end."""
    seq, _, hash_ = card.tags.get(HEAD, "0:").partition(":")
    if not seq.isdecimal() or int(seq) > registry.seq:
        return False
    return int(seq) == 0 or registry.history[int(seq) - 1].hash == hash_


def differences(registry: Registry, server: MlflowServer, card: Card, records: list[Record]) -> list[Difference]:
    """
    On what they disagree, in the order to mend it; what depends on a missing model version shows once that is made.

    Args:
        registry: What should be seen.
        server: Where to mend it.
        card: The registered model as it is.
        records: Its versions as they are.
    """
    numbers = _numbers(records)
    if missing := [*_missing(registry, server, numbers)]:
        return missing
    tags = {record.number: record.tags for record in records}
    return [
        *_extra(registry, server, numbers),
        *(
            difference
            for version, entry in registry.entries.items()
            for difference in _tag_differences(server, numbers[version][0], tags, _tags(version, entry))
        ),
        *_alias_differences(registry, server, card, numbers),
        *_head_differences(registry, server, card),
    ]


def _numbers(records: list[Record]) -> dict[str, list[int]]:
    """The numbers of the records of each version, lowest first."""
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


def _missing(registry: Registry, server: MlflowServer, numbers: Mapping[str, list[int]]) -> Iterator[Difference]:
    for version, entry in registry.entries.items():
        if version not in numbers:
            mend = partial(server.append, server.place.model, version, _tags(version, entry))
            yield Difference(f"{version} has no model version", mend)


def _extra(registry: Registry, server: MlflowServer, numbers: Mapping[str, list[int]]) -> Iterator[Difference]:
    """Versions that two writers made for one entry, and such as nobody here made, which only a person may judge."""
    for version, found in numbers.items():
        if version not in registry.entries:
            yield Difference(f"model version {found[0]} is {version}, which the history does not know", None)
            continue
        for number in found[1:]:
            yield Difference(
                f"model version {number} is a second {version}", partial(server.delete, server.place.model, number)
            )


def _tag_differences(
    server: MlflowServer, number: int, tags: Mapping[int, Mapping[str, str]], wanted: Mapping[str, str]
) -> Iterator[Difference]:
    seen = tags[number]
    ours = {key for key in seen if key.startswith(PREFIX)}
    for key in sorted(ours | wanted.keys()):
        if seen.get(key) != wanted.get(key):
            problem = f"model version {number}: its tag {key} is not what the history says of {wanted[VERSION]}"
            yield Difference(problem, partial(server.tag, server.place.model, key, wanted.get(key), number=number))


def _alias_differences(
    registry: Registry, server: MlflowServer, card: Card, numbers: Mapping[str, list[int]]
) -> Iterator[Difference]:
    for alias in ALIASES:
        version = _holder(registry, alias)
        wanted = numbers[version][0] if version else None
        seen = card.aliases.get(alias)
        if seen != wanted:
            problem = f"the alias {alias} names {_called(seen)} instead of {_called(wanted)}"
            yield Difference(problem, partial(server.alias, server.place.model, alias.value, wanted))


def _holder(registry: Registry, alias: Status) -> str:
    try:
        return version_for(registry, alias)[0]
    except RegistryError:
        return ""


def _called(number: int | None) -> str:
    return "nothing" if number is None else f"model version {number}"


def _head_differences(registry: Registry, server: MlflowServer, card: Card) -> Iterator[Difference]:
    """The mark of how far MLflow is in step comes last, so that it never promises too much."""
    seen, wanted = card.tags.get(HEAD), head(registry)
    if seen != wanted:
        mend = partial(server.tag, server.place.model, HEAD, wanted)
        yield Difference(f"the tag {HEAD} is {seen!r} instead of {wanted!r}", mend)
