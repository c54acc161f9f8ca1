"""
A registry in MLflow's model registry: `mlflow:http://host:port` or `mlflow:http://host:port#NAME`.

It uses two registered models. `NAME.history` is the source of truth: one model version per event, never changed. `NAME`
(default `pytest-finetune`) is a view for people and deployments: one model version per entry, with the entry in its
tags, and the aliases `production`, `canary` and `candidate`.

MLflow has neither locks nor conditional writes. What replaces compare-and-set is the number of a model version, which
the server assigns in the order of creation: see `mlflow_log`. A writer that dies at any moment has made its whole
change or none. Limits:

- `NAME` is updated some requests after the history. Until then, or until the next change if the writer died, an alias
  may point to the version before. `read` never uses it, `verify` reports it, and `synchronize` fixes it.
- Anybody with access can change or delete what is stored. `verify` finds changes; a history with a gap, or without its
  end, is not read at all. The hash chain holds no secret, so a complete rewrite is not detected.
- MLflow handles 15 requests at a time; with more concurrent writers, some may be refused because it is too busy.
- The order of numbers is guaranteed by MLflow's databases SQLite, PostgreSQL, MySQL and SQL Server, but not by its old
  file store, which counts without a lock.
"""

from __future__ import annotations

import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from pytest_finetune.base.errors import RegistryError
from pytest_finetune.lifecycle.registry.entry import Registry
from pytest_finetune.lifecycle.registry.mlflow_log import LOST, Log, extended, step_between, step_tags
from pytest_finetune.lifecycle.registry.mlflow_mirror import HEAD, head, holds_shown_event, mismatches
from pytest_finetune.lifecycle.registry.mlflow_server import (
    MissingError,
    MlflowRefusedError,
    MlflowServer,
    TakenError,
    parse_place,
)
from pytest_finetune.lifecycle.registry.states import apply_checked
from pytest_finetune.lifecycle.registry.verification import verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pytest_finetune.lifecycle.registry.entry import Event
    from pytest_finetune.lifecycle.registry.mlflow_mirror import Mismatch
    from pytest_finetune.lifecycle.registry.mlflow_server import RegisteredModel
    from pytest_finetune.lifecycle.registry.states import Change

ATTEMPTS = 100
"""Attempts at a change before giving up; in every round one of the competing writers succeeds."""

ROUNDS = 40
"""
Attempts to synchronize before giving up while others change `NAME`; without them two or three are enough.

Not a time, because on a busy server one attempt can take many seconds.
"""

_LONGEST_DESCRIPTION = 500
_REMEDY = "restore MLflow's database, or force with a reason"


class MlflowBackend:
    """
    A registry on an MLflow server, which need not exist yet.

    Args:
        address: The part after `mlflow:`. Credentials come from MLflow's own variables, `MLFLOW_TRACKING_TOKEN` or
            `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`, and must not be in the address.

    Raises:
        RegistryError: The address is invalid, or MLflow's client is not installed. No request is sent yet.
    """

    def __init__(self, address: str) -> None:
        place = parse_place(address)
        self.location = str(place)
        self._server = MlflowServer(place)
        self._model, self._history = place.model, f"{place.model}.history"
        self._log = Log()

    def read(self) -> Registry:
        """
        The registry according to its history; an empty one if there is none.

        Only new events are fetched, so polling costs three small requests each time.

        Raises:
            RegistryError: The server does not respond, or its history has a gap or cannot be read.
        """
        return self._read()[1].registry

    def update(self, change: Change, *, now: datetime | None = None, expected_seq: int | None = None) -> Registry:
        """
        Make one change and store it, or change nothing; see `Backend.update`.

        Raises:
            RegistryError: As there; or the change was made and `NAME` could not be synchronized, as the message says.
        """
        # Optimistic concurrency: decide on the registry as read, try to append, and decide again if another was faster.
        for _ in range(ATTEMPTS):
            model, log = self._read()
            after = apply_checked(
                log.registry, change, self.location, now=now, expected_seq=expected_seq, remedy=_REMEDY
            )
            self._create_models(model)
            if self._append(log, after):
                self._synchronize_after(after.history[-1])
                return after
        raise RegistryError(f"other writers were faster {ATTEMPTS} times in a row", self.location, "try again")

    def verify(self) -> list[str]:
        """
        All problems of the registry, and all differences between it and its view in MLflow.

        Raises:
            RegistryError: As `read`.
        """
        self._log = Log()
        model, log = self._read()
        found = [] if model is None else self._mismatches(model, log.registry)
        return [*verify(log.registry), *(f"{self._model}: {mismatch.problem}" for mismatch in found)]

    def synchronize(self) -> None:
        """
        Make the model versions and aliases of `NAME` agree with the history.

        Raises:
            RegistryError: As `read`; or the server refuses, or others keep changing `NAME`.
        """
        self._synchronize(None)

    def _synchronize(self, event: Event | None) -> None:
        """Synchronize; if for an event, only until a later one: its writer does it, and two would undo each other."""
        for attempt in range(ROUNDS):
            fixes = self._fixes()
            if not fixes or (event and self._log.registry.seq > event.seq):
                return
            with suppress(MissingError):  # Another writer synchronizes at the same time: look again.
                for fix in fixes:
                    fix()
            # Random pauses separate writers that synchronize at the same time and undo each other's fixes.
            time.sleep(random.uniform(0, min(attempt / 10, 1.0)))  # noqa: S311 - no secret
        raise RegistryError(f"{self._model} keeps changing", self.location, "find out which other program writes to it")

    def _fixes(self) -> list[Callable[[], object]]:
        model, log = self._read()
        found = [] if model is None else self._mismatches(model, log.registry)
        return [mismatch.fix for mismatch in found if mismatch.fix]

    def _read(self) -> tuple[RegisteredModel | None, Log]:
        self._server.check_reachable()
        # The model first: its tag `HEAD` is set after the event, so what is read here is never newer than the history.
        model = self._server.registered_model(self._model)
        records = self._server.records(self._history, after=self._log.number)
        log = extended(self._log, records, f"{self.location}, {self._history}")
        if model is not None and not holds_shown_event(log.registry, model):
            raise RegistryError(
                f"the history ends at event {log.registry.seq}, and lacks event {model.tags[HEAD].partition(':')[0]}, "
                f"which {self._model} showed",
                self.location,
                "a version was deleted or changed in MLflow: restore it from a backup of its database",
            )
        self._log = log
        return model, log

    def _mismatches(self, model: RegisteredModel, registry: Registry) -> list[Mismatch]:
        return mismatches(registry, self._server, model, self._server.records(self._model))

    def _create_models(self, model: RegisteredModel | None) -> None:
        """Create the two registered models unless they exist; refuse one that is not a registry."""
        if model is None:
            description = "Kept by pytest-finetune: see `pytest-finetune registry`."
            for name, tags in ((self._history, {}), (self._model, {HEAD: head(Registry())})):
                with suppress(TakenError):
                    self._server.create_model(name, tags, description)
            model = self._server.registered_model(self._model)
        if model is None or HEAD not in model.tags:
            problem = f"the registered model {self._model} is not a registry of pytest-finetune"
            raise RegistryError(problem, self.location, "use another name: mlflow:URI#NAME")

    def _append(self, log: Log, after: Registry) -> bool:
        """Append the last event of `after`; returns whether it counts, or has lost the race against another writer."""
        writer, event = uuid4().hex, after.history[-1]
        number, failure = self._send(event, step_tags(step_between(log.registry, after), writer))
        # Only the history shows who won, and whether a request without a response had its effect.
        try:
            now = self._read()[1]
        except RegistryError as error:
            raise self._outcome_unknown(event, failure or error) from error
        if failure and now.registry.seq < event.seq:
            raise self._outcome_unknown(event, failure) from failure  # The request may still arrive.
        if now.writers[event.seq - 1] == writer:
            return True
        if number:
            # Marked for people, not deleted: MLflow reads a version and its tags one after the other, so a reader
            # could see a version that is being deleted without its tags.
            with suppress(RegistryError):
                self._server.tag(self._history, LOST, "true", number=number)
        return False

    def _send(self, event: Event, tags: dict[str, str]) -> tuple[int, RegistryError | None]:
        """The number of the record, or the error after which it is unknown whether the record was created."""
        description = f"{event.action} {event.version}, by {event.who}"[:_LONGEST_DESCRIPTION]
        try:
            return self._server.append(self._history, f"event/{event.seq}", tags, description), None
        except MlflowRefusedError:
            raise
        except RegistryError as error:
            return 0, error

    def _outcome_unknown(self, event: Event, error: RegistryError) -> RegistryError:
        problem = f"it is unknown whether event {event.seq} was recorded: {error.problem}"
        return RegistryError(problem, self.location, "look at the history before you try again")

    def _synchronize_after(self, event: Event) -> None:
        try:
            self._synchronize(event)
        except RegistryError as error:
            raise RegistryError(
                f"event {event.seq} was recorded, but {self._model} does not show it yet: {error.problem}",
                self.location,
                "the next change updates it; check with `pytest-finetune registry verify`",
            ) from error
