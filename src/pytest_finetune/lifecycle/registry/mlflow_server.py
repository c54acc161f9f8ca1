"""An MLflow server as the registry needs it: numbered records that are made whole or not at all, tags and aliases."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPException
from importlib import import_module
from importlib.util import find_spec
from ssl import SSLError
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from pytest_finetune.base.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

DEFAULT_MODEL = "pytest-finetune"
ANSWER_TIMEOUT = 5.0
"""Seconds that a server may take to say that it is there."""

_EXAMPLE = "write mlflow:http://127.0.0.1:5000, or mlflow:http://127.0.0.1:5000#NAME for another registered model"
_PAGE = 1000
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")
_LOGIN = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, in the environment"


class RefusedError(RegistryError):
    """The server has understood, and did nothing."""


class MissingError(RefusedError):
    """What was asked for is not, or no longer, on the server."""


class TakenError(RefusedError):
    """What was to be made is there already."""


_KINDS: dict[str, type[RegistryError]] = {
    "RESOURCE_DOES_NOT_EXIST": MissingError,
    "RESOURCE_ALREADY_EXISTS": TakenError,
    "INVALID_PARAMETER_VALUE": RefusedError,
    "PERMISSION_DENIED": RefusedError,
    "UNAUTHENTICATED": RefusedError,
    "CUSTOMER_UNAUTHORIZED": RefusedError,
}
"""What is surely refused. An overloaded server says `BAD_REQUEST` even of what it has done."""

_LOCKED_OUT = (401, 403)


@dataclass(frozen=True, slots=True)
class Place:
    """Where on which server: its address without credentials, and the name of the registered model."""

    uri: str
    model: str

    def __str__(self) -> str:
        return f"mlflow:{self.uri}#{self.model}"


@dataclass(frozen=True, slots=True)
class Record:
    """A model version of MLflow: the number that the server gave it, counting from 1, and its tags."""

    number: int
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Card:
    """A registered model of MLflow: its tags, and the number of the version that each alias names."""

    tags: Mapping[str, str]
    aliases: Mapping[str, int]


def parse_place(address: str) -> Place:
    """
    Where `mlflow:ADDRESS` leads: `http://host:port` or `https://…`, with `#NAME` for another registered model.

    Raises:
        RegistryError: It is no such address, or it holds credentials or a query; those are never shown.
    """
    if "@" in address or "?" in address:
        raise RegistryError("an MLflow address holds no credentials and no query", "mlflow:", _LOGIN)
    parts = _split(address)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise RegistryError("is not the address of an MLflow server", f"mlflow:{address}", _EXAMPLE)
    model = parts.fragment or DEFAULT_MODEL
    if not _MODEL.fullmatch(model):
        raise RegistryError(
            f"{model!r} cannot name a registered model", f"mlflow:{address}", "use letters, digits, '._-'"
        )
    return Place(f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/"), model)


class MlflowServer:
    """
    A server, asked anew each time.

    Args:
        place: Where it is; named in every error.

    Raises:
        RegistryError: MLflow's client is not installed.
    """

    def __init__(self, place: Place) -> None:
        found = find_spec("mlflow")
        # A folder that happens to be called mlflow is found too, and has no origin.
        if found is None or found.origin is None:
            raise RegistryError("mlflow is not installed", str(place), "pip install 'pytest-finetune[mlflow]'")
        self.place = place

    def reach(self) -> None:
        """
        Make sure that somebody answers, since MLflow's client goes on trying for minutes.

        Raises:
            RegistryError: Nobody does.
        """
        try:
            urlopen(f"{self.place.uri}/health", timeout=ANSWER_TIMEOUT).close()  # noqa: S310 - http or https
        except HTTPError as error:
            error.close()
        except (OSError, HTTPException) as error:
            # Which certificates to trust is for MLflow's own settings to say.
            if not (isinstance(error, URLError) and isinstance(error.reason, SSLError)):
                raise self._unreached(error) from error

    def card(self, model: str) -> Card | None:
        """The registered model of that name; None when there is none."""
        try:
            with self._client() as client:
                found = client.get_registered_model(model)
        except MissingError:
            return None
        return Card(dict(found.tags), {alias: int(number) for alias, number in found.aliases.items()})

    def make_card(self, model: str, tags: Mapping[str, str], description: str) -> None:
        """
        Register a model.

        Raises:
            TakenError: There is one of that name; of two that try at once, one is told so.
        """
        with self._client() as client:
            client.create_registered_model(model, dict(tags), description)

    def records(self, model: str, *, after: int = 0) -> list[Record]:
        """The versions of a registered model with a number above `after`, in order; deleted ones are left out."""
        found: list[Record] = []
        token = None
        with self._client() as client:
            while True:
                page = client.search_model_versions(
                    f"name = '{model}' and version_number > {after}", _PAGE, ["version_number ASC"], token
                )
                found += [Record(int(version.version), dict(version.tags)) for version in page]
                token = page.token
                if not token:
                    return found

    def append(self, model: str, path: str, tags: Mapping[str, str], description: str = "") -> int:
        """
        Make a version with all its tags in one transaction.

        Returns:
            The number that the server gave it: one more than the highest there ever was.
        """
        with self._client() as client:
            made = client.create_model_version(
                model, f"pytest-finetune:/{path}", tags=dict(tags), description=description, await_creation_for=0
            )
        return int(made.version)

    def delete(self, model: str, number: int) -> None:
        """Take a version out; its number is never given again."""
        with self._client() as client:
            client.delete_model_version(model, str(number))

    def tag(self, model: str, key: str, value: str | None, *, number: int | None = None) -> None:
        """Set a tag of a version, or of the registered model itself; None takes it off."""
        with self._client() as client:
            if number is None:
                client.set_registered_model_tag(model, key, value)
            elif value is None:
                client.delete_model_version_tag(model, str(number), key)
            else:
                client.set_model_version_tag(model, str(number), key, value)

    def alias(self, model: str, alias: str, number: int | None) -> None:
        """Let an alias name a version; None takes it off."""
        with self._client() as client:
            if number is None:
                client.delete_registered_model_alias(model, alias)
            else:
                client.set_registered_model_alias(model, alias, str(number))

    @contextmanager
    def _client(self) -> Iterator[Any]:
        mlflow, client = self._connection
        try:
            yield client
        except mlflow.exceptions.MlflowException as error:
            raise self._explained(error) from error

    @cached_property
    def _connection(self) -> tuple[ModuleType, Any]:
        # The client would otherwise report its use to MLflow's makers; nothing here talks to anybody unasked.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        mlflow = import_module("mlflow")
        return mlflow, mlflow.MlflowClient(tracking_uri=self.place.uri, registry_uri=self.place.uri)

    def _unreached(self, error: Exception) -> RegistryError:
        reason = error.reason if isinstance(error, URLError) else error
        command = "mlflow server --backend-store-uri sqlite:///mlflow.db"
        return RegistryError(f"no MLflow server answers: {reason}", str(self.place), f"start one: {command}")

    def _explained(self, error: Any) -> RegistryError:
        """What MLflow's client says: a server that broke, or a lost connection, may have done what was asked."""
        text = " ".join(str(error).split())[:300]
        locked_out = error.get_http_status_code() in _LOCKED_OUT
        kind = _KINDS.get(error.error_code, RefusedError if locked_out else RegistryError)
        hint = _LOGIN if locked_out else ""
        return kind(f"MLflow says: {text}", str(self.place), hint)


def _split(address: str) -> Any:
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return None
    return parts
