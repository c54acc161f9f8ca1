"""Where a registry is kept: every place promises that of two changes at once one wins and the other is told."""

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
    """A place that keeps one registry."""

    @property
    def location(self) -> str:
        """The place as people name it: a path, or `mlflow:URI`."""
        ...

    def read(self) -> Registry:
        """
        The registry as it stands; an empty one where there is none yet.

        Raises:
            RegistryError: It cannot be read.
        """
        ...

    def update(self, change: Change, *, now: datetime | None = None, expected_seq: int | None = None) -> Registry:
        """
        Make one change and keep it, or change nothing.

        Args:
            change: What to do.
            now: The time that the history notes, with its zone; the present when left out.
            expected_seq: `seq` of the registry that the change was decided on.

        Returns:
            The registry as the change left it.

        Raises:
            RegistryError: The rules forbid the change, another writer was faster (`changed meanwhile`), or the
                registry cannot be read or written.
        """
        ...


@runtime_checkable
class Verifiable(Protocol):
    """A backend that has more to check than the registry itself."""

    def verify(self) -> list[str]:
        """All that is wrong, a clause each."""
        ...


def open_registry(location: str | Path) -> Backend:
    """
    The registry at a path, or that of an MLflow server for `mlflow:URI`; nothing is read yet.

    Raises:
        RegistryError: MLflow is named and not installed.
    """
    if str(location).startswith(MLFLOW):
        from pytest_finetune.lifecycle.registry.mlflow_backend import MlflowBackend

        return MlflowBackend(str(location).removeprefix(MLFLOW))
    return FileBackend(location)


def read_checked(backend: Backend) -> Registry:
    """
    The registry, for a decision: which model to ask, call, compare with or train against.

    Raises:
        RegistryError: It cannot be read, or does not agree with its history.
    """
    registry = backend.read()
    refuse_altered(registry, backend.location)
    return registry
