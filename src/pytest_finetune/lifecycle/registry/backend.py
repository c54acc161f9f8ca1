"""Where a registry is stored. Every backend guarantees that of two concurrent changes only one is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pytest_finetune.lifecycle.registry.file_backend import FileBackend
from pytest_finetune.lifecycle.registry.verification import refuse_altered

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from pytest_finetune.lifecycle.registry.entry import Registry
    from pytest_finetune.lifecycle.registry.states import Change

MLFLOW = "mlflow:"


class Backend(Protocol):
    """A store of one registry."""

    @property
    def location(self) -> str:
        """The location as users write it: a path, or `mlflow:URI`."""
        ...

    def read(self) -> Registry:
        """
        The current registry; an empty one if none exists yet.

        Raises:
            RegistryError: It cannot be read.
        """
        ...

    def update(self, change: Change, *, now: datetime | None = None, expected_seq: int | None = None) -> Registry:
        """
        Make one change and store it, or change nothing.

        Args:
            change: The change.
            now: Time recorded in the history, with time zone; None for the current time.
            expected_seq: `seq` of the registry that the change was decided on.

        Returns:
            The registry as the change left it.

        Raises:
            RegistryError: The rules forbid the change; another writer was faster (`changed meanwhile`); the registry
                does not agree with its history and the change is not forced; or it cannot be read or written.
        """
        ...


@runtime_checkable
class Verifiable(Protocol):
    """A backend that checks more than the registry itself."""

    def verify(self) -> list[str]:
        """All problems, one clause each."""
        ...


def open_registry(location: str | Path) -> Backend:
    """
    The registry at a path, or on an MLflow server for `mlflow:URI`; nothing is read yet.

    Raises:
        RegistryError: The location is on an MLflow server, and its address is invalid or `mlflow` is not installed.
    """
    if str(location).startswith(MLFLOW):
        from pytest_finetune.lifecycle.registry.mlflow_backend import MlflowBackend

        return MlflowBackend(str(location).removeprefix(MLFLOW))
    return FileBackend(location)


def read_checked(backend: Backend) -> Registry:
    """
    The registry, for a decision, such as which model to evaluate or to compare with.

    Raises:
        RegistryError: It cannot be read, or it does not agree with its history.
    """
    registry = backend.read()
    refuse_altered(registry, backend.location)
    return registry
