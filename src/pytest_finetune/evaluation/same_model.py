"""Whether two models are one under two names or addresses: compared with itself, no model can have become worse."""

from __future__ import annotations

import socket
from functools import lru_cache
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from pytest_finetune.base.model_ids import answers_for, names_fixed_weights
from pytest_finetune.evaluation.targets.base_url import is_loopback

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SHA256_DIGITS = 64


class AnsweringModel(Protocol):
    """A model and what answered for it."""

    @property
    def model(self) -> str:
        """Its id in requests."""

    @property
    def base_url(self) -> str:
        """Its server; empty without an address."""

    @property
    def identity(self) -> str:
        """What produces its answers: the server, or the hash of the weights."""

    @property
    def answered_by(self) -> tuple[str, ...]:
        """The names that the server answered under; an empty one where it did not say."""


class TargetAnswers(NamedTuple):
    """A target, and the names that its server answered under."""

    model: str
    base_url: str
    identity: str
    answered_by: tuple[str, ...]


def why_same(one: AnsweringModel, other: AnsweringModel) -> str:
    """
    Why two models are one, in a clause; empty if they are two.

    The names that a server answered under count as well: an alias is the snapshot that answered. If that is not known,
    an alias and a snapshot of it count as one.
    """
    weights = _weights(one.identity), _weights(other.identity)
    if any(weights):
        return "both have the same weights" if weights[0] == weights[1] else ""
    if one.model == other.model and names_fixed_weights(one.model):
        return f"both are {one.model}"
    if not one.model or not is_same_server(one.base_url, other.base_url):
        return ""
    return _shared_name(one, other) or _unresolved_alias(one, other) or _unresolved_alias(other, one)


def is_same_server(one: str, other: str) -> bool:
    """
    Whether two base URLs lead to one server.

    Case, default ports, a final slash, `/v1` and the names of this machine make no difference; other host names are
    looked up.
    """
    if one == other:
        return True
    if not one or not other:
        return False
    (host, *place), (other_host, *other_place) = _parts(one), _parts(other)
    return place == other_place and (host == other_host or not _addresses(host).isdisjoint(_addresses(other_host)))


def _shared_name(one: AnsweringModel, other: AnsweringModel) -> str:
    shared = _names(one, other) & _names(other, one)
    return f"both are {min(shared)} on one server" if shared else ""


def _names(one: AnsweringModel, other: AnsweringModel) -> set[str]:
    """What a model is called: its id, and the names it answered under that mean one model and not the whole server."""
    answered = {
        name
        for name in one.answered_by
        if name and (name == other.model or names_fixed_weights(name) or answers_for(name, one.model))
    }
    # Some servers ignore case in ids; two models whose ids differ only in that are hardly meant.
    return {name.casefold() for name in (one.model, *answered)}


def _unresolved_alias(alias: AnsweringModel, snapshot: AnsweringModel) -> str:
    if not answers_for(snapshot.model, alias.model):
        return ""
    if any(names_fixed_weights(name) for name in alias.answered_by):
        return ""
    return f"{snapshot.model} is a snapshot of {alias.model}, and the server did not say which one answered"


def _weights(identity: str) -> str:
    """The hash of local weights, which the context and the engine follow; empty for a server."""
    first = identity.partition(" ")[0]
    return first if len(first) == _SHA256_DIGITS and all(digit in "0123456789abcdef" for digit in first) else ""


def _parts(url: str) -> tuple[str, int | None, str]:
    parts = urlsplit(url.strip())
    host = (parts.hostname or "").rstrip(".")
    path = parts.path.rstrip("/").removesuffix("/v1")
    return "localhost" if is_loopback(url) else host, parts.port or _DEFAULT_PORTS.get(parts.scheme.lower()), path


@lru_cache(maxsize=32)
def _addresses(host: str) -> frozenset[str]:
    try:
        return frozenset(str(found[4][0]) for found in socket.getaddrinfo(host, None))
    except (OSError, UnicodeError):
        return frozenset()
