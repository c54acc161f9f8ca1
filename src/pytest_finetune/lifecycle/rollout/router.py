"""The router: chooses the model for a user, collects outcomes, and falls back when a version misbehaves."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from pytest_finetune.lifecycle.registry import open_registry
from pytest_finetune.lifecycle.rollout.background_threads import BackgroundThreads, reset_after_fork
from pytest_finetune.lifecycle.rollout.chat import Call
from pytest_finetune.lifecycle.rollout.monitor import Monitor
from pytest_finetune.lifecycle.rollout.registry_watcher import RegistryWatcher
from pytest_finetune.lifecycle.rollout.report_values import describe_value, read_latency, read_outcome
from pytest_finetune.lifecycle.rollout.router_log import RouterLog, logger
from pytest_finetune.lifecycle.rollout.routing import UserPositions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import openai

    from pytest_finetune.lifecycle.registry import Backend, Registry
    from pytest_finetune.lifecycle.rollout.monitor import Alarm, VersionHealth
    from pytest_finetune.lifecycle.rollout.routing import Route, TrafficPlan, VersionDecision


class RouterOptions(TypedDict, total=False):
    """The options of `ModelRouter`, which documents them."""

    false_alarm_rate: float
    max_latency: float | None
    poll: float
    write_events: bool
    who: str
    clock: Callable[[], float]


class ModelRouter:
    """
    Divides users between the production version and a canary, and falls back when one of them misbehaves.

    Safe in threads and in asyncio: no method on the request path waits for a file or a server, except `chat` for the
    model itself. A fallback holds until a person decides about the version (see docs/rollout.md) or until `reset`.
    Events are logged to `pytest_finetune.rollout`.

    Args:
        backend: The registry; see `from_registry`.
        false_alarm_rate: Probability, in (0, 1), that this router ever falls back from a canary that is no worse than
            production, or from a production that is within its error budget.
        max_latency: Seconds above which a call counts as failed, whatever its answer; None for no limit.
        poll: Seconds between two checks of the registry for changes.
        write_events: Record fallbacks in the registry, in the background, so that other routers fall back, too.
        who: Author of these records.
        clock: Monotonic seconds.

    Raises:
        RegistryError: The registry cannot be read, does not agree with its history, or has no production version.
        ValueError: A rate or a time is outside its range.
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
            raise ValueError(f"false_alarm_rate must be between 0 and 1, not {false_alarm_rate}")
        if poll < 0:
            raise ValueError(f"poll must be at least 0 seconds, not {poll}")
        self._backend, self._max_latency, self._clock = backend, max_latency, clock
        self._lock = threading.Lock()
        self._monitor = Monitor(false_alarm_rate)
        self._fallen: dict[str, VersionDecision] = {}
        # Fallbacks recorded up to this event were forgotten by `reset`.
        self._reset_at = 0
        self._threads = BackgroundThreads("finetune-rollout")
        self._log = RouterLog(backend, self._threads, who=who if write_events else None)
        self._watcher = RegistryWatcher(backend, self._adopt, threads=self._threads, poll=poll, clock=clock)
        self._watcher.read_or_raise()
        reset_after_fork(self)

    @classmethod
    def from_registry(cls, location: str | Path = "registry.json", **options: Unpack[RouterOptions]) -> ModelRouter:
        """
        A router for the registry at a path, or at `mlflow:URI`; the class documents the options.

        Raises:
            RegistryError: The registry cannot be read, or has no production version.
        """
        return cls(open_registry(location), **options)

    def model_for(self, user_id: object) -> str:
        """The model id for a user. It stays the same until the registry changes or a version falls back."""
        return self.route_for(user_id).model

    def route_for(self, user_id: object) -> Route:
        """Like `model_for`, with the version name and its server; 7 and "7" are the same user."""
        self._watcher.poll()
        positions, end, trial, main = self._table
        return trial if positions.of(user_id) < end else main

    def main_route(self) -> Route:
        """The route of all users but the canary's: production, or the fallback after production has fallen back."""
        return self._table[3]

    def report(self, model: str, *, ok: bool, latency: float | None = None) -> None:
        """
        Report the outcome of a call. Never raises.

        Args:
            model: The id that `model_for` returned; an unknown one is ignored.
            ok: Whether the answer was usable, by the caller's definition; the call is ignored if this is not a
                truth value.
            latency: Seconds; ignored if it is not a number of seconds.
        """
        route = self._monitor.route_of(model) if isinstance(model, str) else None
        if route is None:
            name = describe_value(model)
            self._log.once(f"model {name}", f"calls of {name} are ignored: the registry does not route to it")
        else:
            self.report_route(route, ok=ok, latency=latency)

    def report_route(self, route: Route, *, ok: bool, latency: float | None = None) -> None:
        """Like `report`, by the route that `route_for` returned; distinguishes versions that share a model id."""
        well, taken = read_outcome(ok), None if latency is None else read_latency(latency)
        if latency is not None and taken is None:
            self._log.once("latency", f"a latency of {describe_value(latency)} is ignored: it must be seconds")
        if well is None:
            self._log.once("ok", f"a call with ok={describe_value(ok)} is ignored: it must be True or False")
            return
        if taken is not None and self._max_latency is not None:
            well = well and taken <= self._max_latency
        with self._lock:
            alarms = self._monitor.report(route, self._clock(), ok=well, latency=taken)
            acted = [alarm for alarm in alarms if self._fall_back(alarm)]
        # Logging handlers may block, so they run without the lock.
        for alarm in acted:
            self._log.alarm(alarm)

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
        `client.chat.completions.create(**request)` with the user's model; the outcome is reported.

        Args:
            client: Used with the version's own server if the registry names one. The registry alone does not decide
                who receives the client's key: OpenAI over https, this machine, the client's own server,
                `OPENAI_BASE_URL` over https and the servers in `FINETUNE_KEY_SERVERS` may.
            user_id: The user.
            accept: Whether the answer is acceptable. One that is not is returned, but counts as failed, as does an
                exception raised here.
            retry_on_production: Repeat the request with production if the canary raises or is not accepted.
            request: The other arguments of `create`, except the model. With `stream=True` only the start of the
                stream is timed and reported.

        Returns:
            What `create` returned.

        Raises:
            TargetError: The version's server must not receive the client's key; reported as a failure.
            Exception: Whatever the client raised, after it was reported as a failure.
        """
        first, second = self._first_and_second(user_id, retry_on_production=retry_on_production)
        return Call(self.report_route, request, accept, self._clock).send(client, first, second)

    async def chat_async(
        self,
        client: openai.AsyncOpenAI,
        *,
        user_id: object,
        accept: Callable[[Any], bool] | None = None,
        retry_on_production: bool = False,
        **request: Any,
    ) -> Any:
        """Like `chat`, with an `AsyncOpenAI`; a cancelled call is not reported."""
        first, second = self._first_and_second(user_id, retry_on_production=retry_on_production)
        return await Call(self.report_route, request, accept, self._clock).send_async(client, first, second)

    def status(self) -> tuple[VersionHealth, ...]:
        """The health of each version within the window, for a status page."""
        with self._lock:
            return self._monitor.health(self._clock())

    def refresh(self) -> None:
        """
        Read the registry now, and wait for it.

        Raises:
            RegistryError: It cannot be used; the last good one stays in use.
        """
        self._watcher.read_or_raise()

    def reset(self) -> None:
        """
        Forget all fallbacks and reports, and start again with the current registry.

        Raises:
            RegistryError: The registry cannot be used now; fallbacks and reports are forgotten anyway.
        """
        self.flush()
        try:
            self.refresh()
        finally:
            with self._lock:
                self._reset_at = self._registry.seq
                self._fallen = {}
                self._monitor.forget(self._plan.decisions)
                self._follow()

    def flush(self, seconds: float = 10.0) -> bool:
        """Wait for background work, at most this many seconds; returns whether all of it is done."""
        return self._threads.wait(seconds)

    def after_fork(self) -> None:
        """In a forked worker: keep the state, but not the locks and threads of the parent."""
        self._lock = threading.Lock()
        self._threads.forget()
        self._watcher.after_fork()

    def _first_and_second(self, user_id: object, *, retry_on_production: bool) -> tuple[Route, Route | None]:
        first, main = self.route_for(user_id), self.main_route()
        return first, main if retry_on_production and first != main else None

    def _adopt(self, registry: Registry, plan: TrafficPlan) -> None:
        """Switch to a new registry. Fallbacks stay unless a person decided since; recorded ones are adopted."""
        with self._lock:
            held = {version: old for version, old in self._fallen.items() if plan.decisions.get(version) == old}
            self._monitor.forget(set(self._fallen) - set(held))
            recorded = [v for v, seq in plan.recorded.items() if seq > self._reset_at and v not in held]
            self._fallen = held | {version: plan.decisions[version] for version in recorded}
            self._registry, self._plan = registry, plan
            self._log.start_again()
            self._follow()
        for fault in plan.faults:
            logger.warning("%s: %s", self._backend.location, fault)
        for version in recorded:
            logger.warning("%s has fallen back, as recorded in the registry", version)

    def _follow(self) -> None:
        """Apply plan and fallbacks. The caller holds the lock."""
        plan, rollout = self._plan, self._registry.rollout
        self._monitor.follow(plan, rollout, self._fallen)
        trial, main = plan.trial(self._fallen), plan.main(self._fallen)
        # A single assignment, so that a request reads either the old table or the new one, without a lock.
        self._table = UserPositions(rollout.salt), plan.traffic, trial or main, main

    def _fall_back(self, alarm: Alarm) -> bool:
        """Act on an alarm; returns whether it is new. The caller holds the lock."""
        if alarm.version in self._fallen:
            return False
        if alarm.to is None:
            return self._log.is_first(f"fall of {alarm.version}")
        self._fallen[alarm.version] = self._plan.decisions[alarm.version]
        self._follow()
        return True
