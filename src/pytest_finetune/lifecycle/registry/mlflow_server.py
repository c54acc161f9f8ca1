"""The operations of an MLflow server that the registry needs: numbered records, tags and aliases."""

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
from urllib.parse import SplitResult, urlsplit
from urllib.request import urlopen

from pytest_finetune.base.errors import RegistryError
from pytest_finetune.evaluation.targets.key_policy import refuse_to_send_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

DEFAULT_MODEL = "pytest-finetune"
ANSWER_TIMEOUT = 5.0
"""Seconds within which a server must respond to a health check."""

_EXAMPLE = "write mlflow:http://127.0.0.1:5000, or mlflow:http://127.0.0.1:5000#NAME for another registered model"
_PAGE = 1000
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")
_CREDENTIALS = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD")
_LOGIN = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, in the environment"


class MlflowRefusedError(RegistryError):
    """The server refused the request, and did nothing."""


class MissingError(MlflowRefusedError):
    """The requested object does not exist, or no longer."""


class TakenError(MlflowRefusedError):
    """The object to create exists already."""


_KINDS: dict[str, type[RegistryError]] = {
    "RESOURCE_DOES_NOT_EXIST": MissingError,
    "RESOURCE_ALREADY_EXISTS": TakenError,
    "INVALID_PARAMETER_VALUE": MlflowRefusedError,
    "PERMISSION_DENIED": MlflowRefusedError,
    "UNAUTHENTICATED": MlflowRefusedError,
    "CUSTOMER_UNAUTHORIZED": MlflowRefusedError,
}
"""Codes of requests that had no effect. `BAD_REQUEST` is not one: an overloaded server also sends it after success."""

_UNAUTHORIZED = (401, 403)


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """The address of a server, without credentials, and the name of the registered model."""

    uri: str
    model: str

    def __str__(self) -> str:
        return f"mlflow:{self.uri}#{self.model}"


@dataclass(frozen=True, slots=True)
class NumberedVersion:
    """A model version of MLflow: its number, which the server assigns from 1, and its tags."""

    number: int
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A registered model of MLflow: its tags, and the version number that each alias points to."""

    tags: Mapping[str, str]
    aliases: Mapping[str, int]


def parse_place(address: str) -> ServerAddress:
    """
    Parse the part after `mlflow:`: `http://host:port` or `https://…`, with `#NAME` for another registered model.

    Raises:
        RegistryError: The address is invalid, or contains credentials or a query, which are never printed.
    """
    if "@" in address or "?" in address:
        raise RegistryError("an MLflow address must not contain credentials or a query", "mlflow:", _LOGIN)
    parts = _split(address)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise RegistryError("is not the address of an MLflow server", f"mlflow:{address}", _EXAMPLE)
    model = parts.fragment or DEFAULT_MODEL
    if not _MODEL.fullmatch(model):
        raise RegistryError(
            f"{model!r} cannot name a registered model", f"mlflow:{address}", "use letters, digits, '._-'"
        )
    return ServerAddress(f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/"), model)


class MlflowServer:
    """
    A connection to an MLflow server; nothing is cached.

    Args:
        place: The server; named in every error.

    Raises:
        RegistryError: MLflow's client is not installed.
        TargetError: Credentials would be sent unencrypted.
    """

    def __init__(self, place: ServerAddress) -> None:
        found = find_spec("mlflow")
        # A folder that is called mlflow is found as a namespace package, which has no origin.
        if found is None or found.origin is None:
            raise RegistryError("mlflow is not installed", str(place), "pip install 'pytest-finetune[mlflow]'")
        if any(os.environ.get(name) for name in _CREDENTIALS):
            refuse_to_send_key(place.uri)
        self.place = place

    def check_reachable(self) -> None:
        """
        Check that the server responds, because MLflow's client would retry for minutes.

        Raises:
            RegistryError: It does not.
        """
        try:
            urlopen(f"{self.place.uri}/health", timeout=ANSWER_TIMEOUT).close()  # noqa: S310 - http or https
        except HTTPError as error:
            error.close()
        except (OSError, HTTPException) as error:
            # MLflow's own settings determine which certificates are trusted, so leave that to its client.
            if not (isinstance(error, URLError) and isinstance(error.reason, SSLError)):
                raise self._unreachable(error) from error

    def registered_model(self, model: str) -> RegisteredModel | None:
        """The registered model with this name; None if there is none."""
        try:
            with self._client() as client:
                found = client.get_registered_model(model)
        except MissingError:
            return None
        return RegisteredModel(dict(found.tags), {alias: int(number) for alias, number in found.aliases.items()})

    def create_model(self, model: str, tags: Mapping[str, str], description: str) -> None:
        """
        Register a model.

        Raises:
            TakenError: The name is taken; of two concurrent attempts one gets this error.
        """
        with self._client() as client:
            client.create_registered_model(model, dict(tags), description)

    def records(self, model: str, *, after: int = 0) -> list[NumberedVersion]:
        """The versions of a registered model with a number above `after`, in order, without deleted ones."""
        found: list[NumberedVersion] = []
        token = None
        with self._client() as client:
            while True:
                page = client.search_model_versions(
                    f"name = '{model}' and version_number > {after}", _PAGE, ["version_number ASC"], token
                )
                found += [NumberedVersion(int(version.version), dict(version.tags)) for version in page]
                token = page.token
                if not token:
                    return found

    def append(self, model: str, path: str, tags: Mapping[str, str], description: str = "") -> int:
        """
        Create a version with all its tags, in one transaction of the server.

        Returns:
            Its number: one more than the highest number ever assigned.
        """
        with self._client() as client:
            made = client.create_model_version(
                model, f"pytest-finetune:/{path}", tags=dict(tags), description=description, await_creation_for=0
            )
        return int(made.version)

    def delete(self, model: str, number: int) -> None:
        """Delete a version; its number is never assigned again."""
        with self._client() as client:
            client.delete_model_version(model, str(number))

    def tag(self, model: str, key: str, value: str | None, *, number: int | None = None) -> None:
        """Set a tag of a version, or of the registered model itself; None removes it."""
        with self._client() as client:
            if number is None:
                client.set_registered_model_tag(model, key, value)
            elif value is None:
                client.delete_model_version_tag(model, str(number), key)
            else:
                client.set_model_version_tag(model, str(number), key, value)

    def alias(self, model: str, alias: str, number: int | None) -> None:
        """Point an alias to a version; None removes it."""
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
        # The client reports its use to the makers of MLflow by default.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        mlflow = import_module("mlflow")
        return mlflow, mlflow.MlflowClient(tracking_uri=self.place.uri, registry_uri=self.place.uri)

    def _unreachable(self, error: Exception) -> RegistryError:
        reason = error.reason if isinstance(error, URLError) else error
        command = "mlflow server --backend-store-uri sqlite:///mlflow.db"
        return RegistryError(f"no MLflow server responds: {reason}", str(self.place), f"start one: {command}")

    def _explained(self, error: Any) -> RegistryError:  # noqa: ANN401 - MLflow is not imported here
        """An error of MLflow's client. After any but a `MlflowRefusedError` the request may have had its effect."""
        text = " ".join(str(error).split())[:300]
        unauthorized = error.get_http_status_code() in _UNAUTHORIZED
        kind = _KINDS.get(error.error_code, MlflowRefusedError if unauthorized else RegistryError)
        hint = _LOGIN if unauthorized else ""
        return kind(f"MLflow error: {text}", str(self.place), hint)


def _split(address: str) -> SplitResult | None:
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return None
    return parts
