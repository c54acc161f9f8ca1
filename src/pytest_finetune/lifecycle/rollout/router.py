"""The router: which model answers a user, what came of it, and who steps in when it goes wrong."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from pytest_finetune.lifecycle.registry import Change, open_registry
from pytest_finetune.lifecycle.rollout.aside import Aside
from pytest_finetune.lifecycle.rollout.chat import Call
from pytest_finetune.lifecycle.rollout.forked import renew_in_children
from pytest_finetune.lifecycle.rollout.monitor import Monitor
from pytest_finetune.lifecycle.rollout.reported import described, outcome, seconds
from pytest_finetune.lifecycle.rollout.routing import FALLBACK, plan_of
from pytest_finetune.lifecycle.rollout.sharing import Positions
from pytest_finetune.lifecycle.rollout.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import openai

    from pytest_finetune.lifecycle.registry import Backend, Registry
    from pytest_finetune.lifecycle.rollout.monitor import Alarm, Standing
    from pytest_finetune.lifecycle.rollout.routing import Plan, Route, Stand

logger = logging.getLogger("pytest_finetune.rollout")

MENTIONS = 100
"""Names that callers make up anew for each call would fill memory and log."""


class ModelRouter:
    """
    Shares users out between the production version and a canary, and falls back when one of them misbehaves.

    Safe in threads and in asyncio: no method that belongs to a request waits for a file or a server, but for the
    model call of `chat` itself. A fallback holds until a person decides about the version (see docs/rollout.md) or
    until `reset`. What happens is told to the logger `pytest_finetune.lifecycle.rollout`.

    Args:
        backend: Where the registry is kept; see `from_registry`.
        false_alarm_rate: Chance, in (0, 1), that a canary no worse than production is ever called worse by this
            router, and that a production within its budget is ever called over it.
        max_latency: Seconds beyond which a call counts as failed, whatever it answered; None for no limit.
        poll: Seconds between two looks at the registry.
        write_events: Record fallbacks in the registry, in the background; every router that reads it then follows.
        who: Who is named as the author of such a record.
        clock: Seconds that do not go backwards.

    Raises:
        RegistryError: The registry cannot be read, does not agree with its history, or has no production version.
        ValueError: A rate or a time lies outside its range.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        false_alarm_rate: float = 0.01,
        max_latency: float | None = None,
        poll: float = 0.5,
        write_events: bool = False,
        who: str = "ModelRouter",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 0 < false_alarm_rate < 1:
            raise ValueError(f"a false-alarm rate lies between 0 and 1, and {false_alarm_rate} does not")
        if poll < 0:
            raise ValueError(f"cannot look every {poll} seconds")
        self._backend, self._max_latency, self._clock = backend, max_latency, clock
        self._write_events, self._who = write_events, who
        self._lock = threading.Lock()
        self._monitor = Monitor(false_alarm_rate)
        self._fallen: dict[str, Stand] = {}
        self._pardoned = 0
        self._mentioned: set[str] = set()
        self._aside = Aside("finetune-rollout")
        self._watch = Watch(backend, self._adopt, aside=self._aside, poll=poll, clock=clock)
        self._watch.read_or_raise()
        renew_in_children(self)

    @classmethod
    def from_registry(cls, location: str | Path = "registry.json", **options: Any) -> ModelRouter:
        """
        A router over the registry at a path, or at `mlflow:URI`; for the options see the class.

        Raises:
            RegistryError: The registry cannot be read, or has no production version.
        """
        return cls(open_registry(location), **options)

    def model_for(self, user_id: object) -> str:
        """The id of the model that answers this user: the same one until the registry or a fallback says otherwise."""
        return self.route_for(user_id).model

    def route_for(self, user_id: object) -> Route:
        """As `model_for`, with the version's name and the server it is on; 7 and "7" are one user."""
        self._watch.look()
        positions, end, trial, main = self._table
        return trial if positions.of(user_id) < end else main

    def main_route(self) -> Route:
        """Who serves all users but the canary's: production, or after its fall the fallback."""
        return self._table[3]

    def report(self, model: str, *, ok: bool, latency: float | None = None) -> None:
        """
        Tell how a call ended. Never raises.

        Args:
            model: The id that `model_for` gave. One that the registry does not route to is left out of account.
            ok: The call gave an answer of use; what that is, is the caller's to say. A call of which this is neither
                true nor false is left out of account.
            latency: Seconds it took; what is no number of seconds is left out of account.
        """
        route = self._monitor.route_of(model) if isinstance(model, str) else None
        if route is None:
            name = described(model)
            self._mention(f"model {name}", f"calls of {name} are not counted: the registry does not route to it")
        else:
            self.report_route(route, ok=ok, latency=latency)

    def report_route(self, route: Route, *, ok: bool, latency: float | None = None) -> None:
        """As `report`, by the route that `route_for` gave, which tells versions of one model id apart."""
        well, taken = outcome(ok), None if latency is None else seconds(latency)
        if latency is not None and taken is None:
            self._mention("latency", f"a latency of {described(latency)} is not counted: it should be seconds")
        if well is None:
            self._mention("ok", f"a call whose ok is {described(ok)} is not counted: it should be True or False")
            return
        if taken is not None and self._max_latency is not None:
            well = well and taken <= self._max_latency
        with self._lock:
            alarms = self._monitor.report(route, self._clock(), ok=well, latency=taken)
            acted = [alarm for alarm in alarms if self._fall_back(alarm)]
        for alarm in acted:
            self._tell(alarm)

    def chat(
        self,
        client: openai.OpenAI,
        *,
        user_id: object,
        accept: Callable[[Any], bool] | None = None,
        retry_on_production: bool = False,
        **request: Any,
    ) -> Any:
        """
        `client.chat.completions.create(**request)` with the user's model, its outcome reported.

        Args:
            client: Asked at the version's own server where the registry names one.
            user_id: Who asks.
            accept: Judges the answer; one it refuses is returned and counts as failed. What it raises counts as
                a failed call too.
            retry_on_production: Ask production once more when the canary raises or is not accepted.
            request: Everything else that `create` takes, but the model. With `stream=True` only the beginning of
                the stream is timed and reported.

        Returns:
            What `create` returned.

        Raises:
            Exception: Whatever the client raised, after it was reported as a failure.
        """
        first, second = self._first_and_second(user_id, retry_on_production=retry_on_production)
        return Call(self.report_route, request, accept, self._clock).ask(client, first, second)

    async def chat_async(
        self,
        client: openai.AsyncOpenAI,
        *,
        user_id: object,
        accept: Callable[[Any], bool] | None = None,
        retry_on_production: bool = False,
        **request: Any,
    ) -> Any:
        """As `chat`, with an `AsyncOpenAI`; a call that is cancelled is not reported."""
        first, second = self._first_and_second(user_id, retry_on_production=retry_on_production)
        return await Call(self.report_route, request, accept, self._clock).ask_async(client, first, second)

    def status(self) -> tuple[Standing, ...]:
        """How each version fares within the window, for a health page."""
        with self._lock:
            return self._monitor.standings(self._clock())

    def refresh(self) -> None:
        """
        Read the registry now, and wait for it.

        Raises:
            RegistryError: It cannot be used; the last good one stays.
        """
        self._watch.read_or_raise()

    def reset(self) -> None:
        """
        Forget every fallback and all that was reported, and begin anew with the registry as it stands.

        Raises:
            RegistryError: The registry cannot be used now; the fallbacks are forgotten all the same.
        """
        self.flush()
        try:
            self.refresh()
        finally:
            with self._lock:
                self._pardoned = self._registry.seq
                self._fallen = {}
                self._monitor.forget(self._plan.stands)
                self._follow()

    def flush(self, seconds: float = 10.0) -> bool:
        """Wait, for so many seconds at most, until what goes on in the background is done; whether it is."""
        return self._aside.wait(seconds)

    def after_fork(self) -> None:
        """In a forked worker: go on with what is known, free of what the parent's other threads were doing."""
        self._lock = threading.Lock()
        self._aside.forget()
        self._watch.after_fork()

    def _first_and_second(self, user_id: object, *, retry_on_production: bool) -> tuple[Route, Route | None]:
        first, main = self.route_for(user_id), self.main_route()
        return first, main if retry_on_production and first != main else None

    def _adopt(self, registry: Registry, plan: Plan) -> None:
        """Go on with a new registry: what nobody decided about stays fallen, what others recorded falls too."""
        with self._lock:
            held = {version: stand for version, stand in self._fallen.items() if plan.stands.get(version) == stand}
            self._monitor.forget(set(self._fallen) - set(held))
            told = [v for v, seq in plan.recorded.items() if seq > self._pardoned and v not in held]
            self._fallen = held | {version: plan.stands[version] for version in told}
            self._registry, self._plan = registry, plan
            self._mentioned.clear()
            self._follow()
        for fault in plan.faults:
            logger.warning("%s: %s", self._backend.location, fault)
        for version in told:
            logger.warning("%s has fallen back: the registry says so", version)

    def _follow(self) -> None:
        """Make plan and fallbacks take effect. Holds the lock."""
        plan, rollout = self._plan, self._registry.rollout
        self._monitor.follow(plan, rollout, self._fallen)
        trial, main = plan.trial(self._fallen), plan.main(self._fallen)
        # One assignment: a request that reads it meanwhile sees the old table or the new one.
        self._table = Positions(rollout.salt), plan.traffic, trial or main, main

    def _fall_back(self, alarm: Alarm) -> bool:
        """Act on an alarm; whether it is news. Holds the lock."""
        if alarm.version in self._fallen or (alarm.to is None and f"fall of {alarm.version}" in self._mentioned):
            return False
        if alarm.to is None:
            self._mentioned.add(f"fall of {alarm.version}")
        else:
            self._fallen[alarm.version] = self._plan.stands[alarm.version]
            self._follow()
        return True

    def _tell(self, alarm: Alarm) -> None:
        if alarm.to is None:
            logger.error("%s stays, for the registry names no fallback: %s", alarm.version, alarm.why)
            return
        logger.error("%s falls back to %s: %s", alarm.version, alarm.to, alarm.why)
        if self._write_events:
            try:
                self._aside.start(lambda: self._record(alarm))
            except RuntimeError as error:
                logger.error("the fallback of %s could not be recorded: %s", alarm.version, error)  # noqa: TRY400

    def _record(self, alarm: Alarm) -> None:
        try:
            # Many processes find out at once; one record says it all.
            if alarm.version not in plan_of(self._backend.read(), self._backend.location).recorded:
                why = f"falls back to {alarm.to}: {alarm.why}"
                self._backend.update(Change(FALLBACK, alarm.version, self._who, why))
        except Exception as error:  # noqa: BLE001 - whatever a backend raises, requests go on; nobody waits for this thread
            logger.error("the fallback of %s could not be recorded: %s", alarm.version, error)  # noqa: TRY400

    def _mention(self, about: str, problem: str) -> None:
        """Log a problem, once about each thing, and `MENTIONS` things at most, until the registry changes."""
        if about not in self._mentioned and len(self._mentioned) < MENTIONS:
            self._mentioned.add(about)
            logger.warning("%s", problem)
