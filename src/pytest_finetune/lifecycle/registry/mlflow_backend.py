"""
A registry in MLflow's model registry, `mlflow:http://host:port` or `mlflow:http://host:port#NAME`.

Two registered models hold it. `NAME` (`pytest-finetune`, where none is given) is for people and for what deploys: a
model version for each entry, with the entry in its tags, and the aliases `production`, `canary` and `candidate`.
`NAME.history` is the truth: a model version for each event, never changed.

Of two changes at once one wins and the other is told, although MLflow has neither locks nor conditional writes: it
numbers the versions of a model in the order in which it makes them, and `mlflow_log` rests on that alone. Who stops
halfway has changed all or nothing. What MLflow cannot promise, and what becomes of it:

- `NAME` follows the history some requests later. Until then, or until the next change when a writer was killed in
  between, an alias may name the version before. `read` never looks at it; `verify` tells; `settle` mends it.
- Anybody with access can change or delete what is there. `verify` finds what was changed; a history with a gap, or one
  whose end was taken off, is not read at all. The chain has no secret: who rewrites all of it stays unseen.
- MLflow serves 15 requests at a time; writers beyond that number at once may be told that it is too busy.
- The order of numbers is kept by the databases that MLflow runs on, SQLite, PostgreSQL, MySQL and SQL Server; its old
  store of plain files counts without a lock.
"""

from __future__ import annotations

import random
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from pytest_finetune.base.errors import RegistryError
from pytest_finetune.lifecycle.registry.entry import Registry
from pytest_finetune.lifecycle.registry.mlflow_log import LOST, Log, followed, step_between, step_tags
from pytest_finetune.lifecycle.registry.mlflow_mirror import HEAD, differences, head, promised
from pytest_finetune.lifecycle.registry.mlflow_server import (
    MissingError,
    MlflowServer,
    RefusedError,
    TakenError,
    parse_place,
)
from pytest_finetune.lifecycle.registry.states import apply
from pytest_finetune.lifecycle.registry.verification import refuse_altered, verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.lifecycle.registry.entry import Event
    from pytest_finetune.lifecycle.registry.mlflow_mirror import Difference
    from pytest_finetune.lifecycle.registry.mlflow_server import Card
    from pytest_finetune.lifecycle.registry.states import Change

ATTEMPTS = 100
"""How often a change is tried anew after others were faster; each time somebody gets through."""

PATIENCE = 30.0
"""Seconds after which `NAME` is given up to whoever keeps changing it; alone, it takes a tenth of one."""

_NOTE = 500
_RESTORE = "a version was deleted or changed in MLflow: restore it from a backup of its database"


class MlflowBackend:
    """
    A registry on an MLflow server, which need not hold one yet.

    Args:
        address: What stands behind `mlflow:`. Credentials come from MLflow's own variables, `MLFLOW_TRACKING_TOKEN`
            or `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`, and never stand in it.

    Raises:
        RegistryError: It is no such address, or MLflow's client is not installed. The server is not asked yet.
    """

    def __init__(self, address: str) -> None:
        place = parse_place(address)
        self.location = str(place)
        self._server = MlflowServer(place)
        self._model, self._history = place.model, f"{place.model}.history"
        self._log = Log()

    def read(self) -> Registry:
        """
        The registry as its history has it; an empty one where there is none.

        Only what is new is fetched: who looks again and again costs the server three small requests each time.

        Raises:
            RegistryError: The server does not answer, or its history has a gap or cannot be read.
        """
        return self._read()[1].registry

    def update(self, change: Change, *, now: datetime | None = None, expected_seq: int | None = None) -> Registry:
        """
        Make one change and keep it, or change nothing; see `Backend.update`.

        Raises:
            RegistryError: As there; where the registry does not agree with its history, unless the change is forced;
                and when the change is kept and `NAME` could not be brought in step, which the text says.
        """
        for _ in range(ATTEMPTS):
            card, log = self._read()
            self._check(log.registry, expected_seq, forced=change.forced)
            after = apply(log.registry, change, now=now or datetime.now(UTC))
            self._prepare(card)
            if self._wins(log, after):
                self._settle_after(after.history[-1])
                return after
        raise RegistryError(f"others were faster {ATTEMPTS} times in a row", self.location, "try again")

    def verify(self) -> list[str]:
        """
        Everything that the history does not explain, in the registry and in what MLflow shows of it.

        Raises:
            RegistryError: As `read`.
        """
        self._log = Log()
        card, log = self._read()
        seen = [] if card is None else self._differences(card, log.registry)
        return [*verify(log.registry), *(f"{self._model}: {difference.problem}" for difference in seen)]

    def settle(self) -> None:
        """
        Bring the model versions and aliases of `NAME` in step with the history.

        Raises:
            RegistryError: As `read`; or the server refuses, or others keep changing it.
        """
        start, pause = time.monotonic(), 0.0
        while mends := self._mends():
            if time.monotonic() - start > PATIENCE:
                raise RegistryError(f"{self._model} keeps changing", self.location, "who else writes there?")
            with suppress(MissingError):  # Another writer settles too; look again.
                for mend in mends:
                    mend()
            # Several that settle at once disturb each other: they part in time, and the last one finds all in step.
            time.sleep(random.uniform(0, pause))  # noqa: S311 - no secret
            pause = min(pause + 0.1, 1.0)

    def _mends(self) -> list[Callable[[], object]]:
        card, log = self._read()
        return [] if card is None else [found.mend for found in self._differences(card, log.registry) if found.mend]

    def _read(self) -> tuple[Card | None, Log]:
        self._server.reach()
        # First the card: its mark, which is set after the event, can then never be newer than the history.
        card = self._server.card(self._model)
        known = self._log
        records = self._server.records(self._history, after=known.number)
        log = followed(known, records, f"{self.location}, {self._history}")
        if card is not None and not promised(log.registry, card):
            raise RegistryError(
                f"the history ends at event {log.registry.seq} and has lost what came after or stood there: "
                f"{self._model} was in step with {card.tags[HEAD].partition(':')[0]}",
                self.location,
                _RESTORE,
            )
        self._log = log
        return card, log

    def _differences(self, card: Card, registry: Registry) -> list[Difference]:
        return differences(registry, self._server, card, self._server.records(self._model))

    def _check(self, registry: Registry, expected_seq: int | None, *, forced: bool) -> None:
        if expected_seq is not None and registry.seq != expected_seq:
            raise RegistryError(
                f"changed meanwhile: it is at event {registry.seq}, and the decision was made at {expected_seq}",
                self.location,
                "look at it as it stands now, and decide again",
            )
        if not forced:
            refuse_altered(registry, self.location, remedy="restore MLflow's database, or force with a reason")

    def _prepare(self, card: Card | None) -> None:
        """Register the two models where they are not, and leave alone what somebody else made."""
        if card is None:
            self._register(self._history, {})
            self._register(self._model, {HEAD: head(Registry())})
            card = self._server.card(self._model)
        if card is None or HEAD not in card.tags:
            raise RegistryError(
                f"the registered model {self._model} holds something else",
                self.location,
                "name another: mlflow:URI#NAME",
            )

    def _register(self, model: str, tags: dict[str, str]) -> None:
        with suppress(TakenError):
            self._server.make_card(model, tags, "Kept by pytest-finetune: see `pytest-finetune registry`.")

    def _wins(self, log: Log, after: Registry) -> bool:
        """Whether the last event of `after`, sent now, is the one that counts; what has lost is marked, for people."""
        writer, event = uuid4().hex, after.history[-1]
        number, failure = self._sent(event, step_tags(step_between(log.registry, after), writer))
        try:
            now = self._read()[1]
        except RegistryError as error:
            raise self._doubt(event, failure or error) from error
        if failure and now.registry.seq < event.seq:
            raise self._doubt(event, failure) from failure  # It may still be on its way.
        if now.writers[event.seq - 1] == writer:
            return True
        if number:
            # Taking it out would let a reader see it without its tags: MLflow fetches the two one after the other.
            with suppress(RegistryError):
                self._server.tag(self._history, LOST, "true", number=number)
        return False

    def _sent(self, event: Event, tags: dict[str, str]) -> tuple[int, RegistryError | None]:
        """The number of the record, or why it is not known: the server may have made it and failed to say so."""
        note = f"{event.action} {event.version}, by {event.who}"[:_NOTE]
        try:
            return self._server.append(self._history, f"event/{event.seq}", tags, note), None
        except RefusedError:
            raise
        except RegistryError as error:
            return 0, error

    def _doubt(self, event: Event, error: RegistryError) -> RegistryError:
        return RegistryError(
            f"whether event {event.seq} is kept is not known: {error.problem}",
            self.location,
            "look at the history before you try again",
        )

    def _settle_after(self, event: Event) -> None:
        if self._log.registry.seq > event.seq:
            return  # Whoever made the later event does it, and two at once would be in each other's way.
        try:
            self.settle()
        except RegistryError as error:
            raise RegistryError(
                f"event {event.seq} is kept, and {self._model} is not in step with it yet: {error.problem}",
                self.location,
                "the next change brings it in step; `pytest-finetune registry verify` says whether it is",
            ) from error
