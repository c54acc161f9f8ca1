"""Models that could replace one that is shut down: recommended, registered, in the account, on a server, local."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.evaluation.fine_tune_prices import base_of
from pytest_finetune.lifecycle.registry.announcements import REPLACEMENTS, SOURCE
from pytest_finetune.lifecycle.registry.entry import VersionStatus
from pytest_finetune.lifecycle.registry.sunset import of_family

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pytest_finetune.lifecycle.migration.inventory import Account
    from pytest_finetune.lifecycle.registry import Registry

_LIVE = (VersionStatus.CANDIDATE, VersionStatus.CANARY, VersionStatus.PRODUCTION)


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    A model that could replace another.

    Args:
        model: What `--model` takes.
        reason: Why it is one, in one clause.
        kind: `recommended`, `registry`, `account`, `server` or `local`.
        source: Where a recommendation is from; empty for the others.
        listed: Whether the server lists it; None if the server was not asked, or is not its server.
    """

    model: str
    reason: str
    kind: str
    source: str = ""
    listed: bool | None = None


def find_candidates(
    old: str, *, registry: Registry, account: Account, ending: Sequence[str], base_model: str = "", models: Path
) -> list[Candidate]:
    """
    The models that could replace one, those that are recommended first; each model once.

    Args:
        old: The model that is shut down.
        registry: Its candidates, canary and production count.
        account: What the server reported; empty if it was not asked.
        ending: Models that are shut down soon as well, which are left out.
        base_model: What the old model was fine-tuned from, if its id does not say.
        models: The folder with the project's own weights.
    """
    found: dict[str, Candidate] = {}
    for one in (
        *_recommended(base_model or base_of(old), account),
        *_registered(registry),
        *_in_account(account),
        *_local(models),
    ):
        if one.model not in (old, *ending):
            found.setdefault(one.model, one)
    return list(found.values())


def _recommended(base: str, account: Account) -> Iterator[Candidate]:
    if model := of_family(REPLACEMENTS, base.partition(".ft-")[0]):
        listed = model in account.listed.models if account.listed.models else None
        reason = "recommended by OpenAI; a base model, which may need a longer prompt"
        yield Candidate(model, reason, "recommended", SOURCE, listed)


def _registered(registry: Registry) -> Iterator[Candidate]:
    for version, entry in registry.entries.items():
        if entry.status in _LIVE:
            yield Candidate(entry.model_id, f"{version} of the registry ({entry.status})", "registry")


def _in_account(account: Account) -> Iterator[Candidate]:
    """The fine-tunes of OpenAI and Azure, of which base models are too many to list; all models of other servers."""
    for model in account.listed.models:
        if model.startswith("ft:") or ".ft-" in model:
            yield Candidate(model, "a fine-tune of the account", "account", listed=True)
        elif account.own_server:
            yield Candidate(model, "served by the server", "server", listed=True)


def _local(models: Path) -> Iterator[Candidate]:
    for path in sorted(models.glob("*.gguf")):
        yield Candidate(f"local:{path.stem}", "weights on this machine", "local")
