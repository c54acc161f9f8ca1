from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from pytest_finetune import ModelRouter
from pytest_finetune.base.errors import RegistryError
from pytest_finetune.lifecycle.registry import Change, FileBackend, verify
from pytest_finetune.lifecycle.rollout.router_log import _MOST_LOGGED

USERS = [f"user-{number}" for number in range(2000)]


def deal(router):
    return {user: router.model_for(user) for user in USERS}


def look_again(router, clock):
    """The first request after the refresh interval starts the reading; the next one sees its result."""
    clock.now += 1.0
    router.model_for("anybody")
    assert router.flush()


def break_canary(router, calls=60):
    """Report one canary call in four, all of them failed."""
    for number in range(calls):
        router.report("ft:v2", ok=True, latency=0.2)
        if number % 4 == 0:
            router.report("ft:v3", ok=False, latency=0.2)


def break_production(router, calls=60):
    for _ in range(calls):
        router.report("ft:v2", ok=False)


def messages(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "pytest_finetune.rollout"]


def test_a_canary_serves_its_share_and_production_the_rest(router):
    models = list(deal(router).values())
    assert set(models) == {"ft:v2", "ft:v3"}
    assert models.count("ft:v3") / len(models) == pytest.approx(0.1, abs=0.03)


def test_two_routers_assign_users_alike(router, make_router):
    assert deal(router) == deal(make_router())


def test_a_larger_canary_keeps_its_users(router, registry, clock):
    before = deal(router)
    registry.step("canary", "v3", traffic=0.2)
    look_again(router, clock)
    after = deal(router)
    assert list(after.values()).count("ft:v3") > 1.5 * list(before.values()).count("ft:v3")
    assert all(after[user] == "ft:v3" for user, model in before.items() if model == "ft:v3")


def test_without_a_canary_production_serves_everybody(registry, make_router):
    registry.step("reject", "v3")
    assert set(deal(make_router()).values()) == {"ft:v2"}


def test_a_route_names_version_and_server(empty_registry, clock):
    empty_registry.add("v1", base_url="http://127.0.0.1:9/v1")
    empty_registry.step("promote", "v1")
    route = ModelRouter.from_registry(empty_registry.path).route_for("anybody")
    assert (route.version, route.model, route.base_url) == ("v1", "ft:v1", "http://127.0.0.1:9/v1")


def test_a_registry_without_production_is_refused(empty_registry):
    empty_registry.add("v1")
    with pytest.raises(RegistryError, match="no version is in production"):
        ModelRouter.from_registry(empty_registry.path)


def test_a_production_that_is_taken_out_of_use_is_left_for_the_fallback(router, registry, clock, other_user):
    registry.step("retire", "v2", why="broken", forced=True)
    registry.step("reject", "v2", why="broken")
    look_again(router, clock)
    assert router.model_for(other_user) == "ft:v1"


@pytest.mark.parametrize("options", [{"false_alarm_rate": 0}, {"false_alarm_rate": 1.0}, {"poll": -1}])
def test_an_option_out_of_range_is_refused(make_router, options):
    with pytest.raises(ValueError, match=r"false_alarm_rate must|poll must"):
        make_router(**options)


def test_a_promotion_is_picked_up_without_a_restart(router, registry, clock):
    registry.step("promote", "v3")
    assert "ft:v2" in deal(router).values()
    look_again(router, clock)
    assert set(deal(router).values()) == {"ft:v3"}


def test_the_file_is_checked_no_more_often_than_configured(router, registry, clock, monkeypatch):
    looks = []
    stat = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **how: looks.append(path) or stat(path, **how))
    for _ in range(100):
        clock.now += 0.1
        router.model_for("anybody")
    assert 8 <= looks.count(registry.path) <= 10


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"format": 1, "sequence": 3}', b'{"format": 99}', b"[]"])
def test_a_broken_registry_is_logged_once_and_the_last_good_one_stays_in_use(router, registry, clock, caplog, content):
    before, good = deal(router), registry.path.read_bytes()
    registry.path.write_bytes(content)
    for _ in range(3):
        look_again(router, clock)
    assert deal(router) == before
    assert len(messages(caplog)) == 1
    assert "using the last good registry" in messages(caplog)[0]
    registry.path.write_bytes(good)
    registry.step("promote", "v3")
    look_again(router, clock)
    assert set(deal(router).values()) == {"ft:v3"}


def changed_by_hand(registry):
    text = registry.path.read_text("utf-8")
    registry.path.write_text(text.replace('"traffic": 0.1', '"traffic": 0.9'), "utf-8")


def test_a_registry_that_disagrees_with_its_history_is_logged_once_and_not_used(router, registry, clock, caplog):
    before, whole = deal(router), registry.path.read_bytes()
    changed_by_hand(registry)
    look_again(router, clock)
    look_again(router, clock)
    assert deal(router) == before
    (message,) = messages(caplog)
    assert "does not agree with its history: entries.v3: was changed outside the history" in message
    registry.path.write_bytes(whole)
    registry.step("canary", "v3", traffic=0.2)
    look_again(router, clock)
    assert deal(router) != before


def test_a_router_does_not_start_with_a_registry_that_disagrees_with_its_history(registry):
    changed_by_hand(registry)
    with pytest.raises(RegistryError, match="does not agree with its history"):
        ModelRouter.from_registry(registry.path)


def test_a_registry_that_is_gone_for_a_while_leaves_the_last_good_one_in_use(router, registry, clock, caplog):
    before, good = deal(router), registry.path.read_bytes()
    registry.path.unlink()
    look_again(router, clock)
    assert deal(router) == before
    assert "no version is in production" in messages(caplog)[0]
    registry.path.write_bytes(good)
    look_again(router, clock)
    assert deal(router) == before


class Flaky(FileBackend):
    """A registry that sometimes cannot be read although its file does not change."""

    failing = False

    def read(self):
        if self.failing:
            raise RegistryError("cannot be read: Input/output error", self.location)
        return super().read()


def test_an_unreadable_registry_is_read_again(registry, clock):
    backend = Flaky(registry.path)
    router = ModelRouter(backend, clock=clock, poll=1.0)
    registry.step("promote", "v3")
    backend.failing = True
    look_again(router, clock)
    assert "ft:v2" in deal(router).values()
    backend.failing = False
    look_again(router, clock)
    assert set(deal(router).values()) == {"ft:v3"}


class Remote:
    """A backend that is not a file and raises its own exception."""

    location = "remote:registry"

    def __init__(self, backend):
        self.backend, self.reads, self.failing = backend, 0, False

    def read(self):
        self.reads += 1
        if self.failing:
            raise ConnectionResetError("reset by peer")
        return self.backend.read()


def test_a_registry_that_is_not_a_file_is_read_at_every_check(registry, clock, caplog):
    remote = Remote(registry)
    router = ModelRouter(remote, clock=clock, poll=1.0)
    deal(router)
    assert remote.reads == 1
    remote.failing = True
    look_again(router, clock)
    assert messages(caplog) == ["remote:registry: using the last good registry: ConnectionResetError: reset by peer"]
    remote.failing = False
    registry.step("promote", "v3")
    look_again(router, clock)
    assert set(deal(router).values()) == {"ft:v3"}


def test_a_bad_canary_gives_all_its_users_to_production(router, caplog):
    break_canary(router)
    assert set(deal(router).values()) == {"ft:v2"}
    (message,) = messages(caplog)
    assert message.startswith("v3 falls back to v2: ")
    assert "significantly worse, at a false-alarm rate of 0.01" in message
    assert caplog.records[0].levelno == logging.ERROR


def test_a_canary_that_fails_no_more_than_production_stays(router):
    """Both fail half of the time, as in an outage: the canary is not to blame, nor is production's budget used up."""
    for number in range(400):
        router.report("ft:v3" if number % 10 == 0 else "ft:v2", ok=number % 20 > 9)
    assert not next(standing for standing in router.status() if standing.role == "canary").fallen


def test_one_failed_call_causes_no_fallback(router):
    before = deal(router)
    router.report("ft:v3", ok=False)
    router.report("ft:v2", ok=False)
    assert deal(router) == before


def test_production_over_its_budget_falls_back_to_the_named_version(router, caplog):
    break_production(router)
    assert set(deal(router).values()) == {"ft:v1", "ft:v3"}
    (message,) = messages(caplog)
    assert message.startswith("v2 falls back to v1: ")
    assert "over the error budget of 0.1" in message


def test_after_both_fall_back_the_fallback_serves_everybody(router):
    break_canary(router)
    break_production(router)
    assert set(deal(router).values()) == {"ft:v1"}


def test_after_production_falls_back_the_canary_is_compared_with_the_fallback(router):
    break_production(router)
    for number in range(60):
        router.report("ft:v1" if number % 4 else "ft:v3", ok=bool(number % 4))
    assert set(deal(router).values()) == {"ft:v1"}


def test_without_a_fallback_production_keeps_serving_and_one_warning_is_logged(registry, make_router, caplog):
    registry.rollout(fallback="")
    router = make_router()
    break_production(router)
    assert "ft:v2" in deal(router).values()
    (message,) = messages(caplog)
    assert message.startswith("v2 keeps serving, because the registry names no fallback: ")


def test_an_old_burst_of_errors_does_not_count_any_more(router, clock):
    for _ in range(2):
        router.report("ft:v2", ok=False)
    clock.now += 61
    for _ in range(40):
        router.report("ft:v2", ok=True)
    assert "ft:v2" in deal(router).values()
    production = router.status()[0]
    assert (production.calls, production.failed) == (40, 0)


def calls_until_left(router, clock, *, a_second, healthy, least=1):
    """Failing calls of production, after this many good ones, until it is replaced."""
    for number in range(healthy + 10_000):
        clock.now += 1 / a_second
        router.report("ft:v2", ok=number < healthy)
        if router.main_route().version == "v1":
            return number + 1 - healthy
    return None


@pytest.mark.parametrize(("healthy", "at_most"), [(0, 5), (2_000, 10), (200_000, 12)])
@pytest.mark.slow
def test_a_dead_production_is_replaced_after_a_dozen_calls_whatever_its_history(router, clock, healthy, at_most):
    """At 20 calls per second: within 0.6 s, whatever the window."""
    assert calls_until_left(router, clock, a_second=20, healthy=healthy) <= at_most


def test_a_short_interruption_of_busy_traffic_causes_no_fallback_and_an_outage_does(make_router, clock):
    """1,000 calls per second: 90 ms of failures are significant, but less than a tenth of the last second."""
    router = make_router()
    for number in range(3_000):
        clock.now += 0.001
        router.report("ft:v2", ok=not 2_000 <= number < 2_090)
        if number == 2_089:
            assert router.status()[0].evidence > 100
    assert router.main_route().version == "v2"
    assert 100 <= calls_until_left(router, clock, a_second=1_000, healthy=2_000) <= 103


def test_failures_in_the_past_cause_no_fallback(router, clock):
    """There is enough evidence, but the last second has no failures; one failure in a hundred is within the budget."""
    for number in range(2_000):
        clock.now += 0.001
        router.report("ft:v2", ok=not 1_000 <= number < 1_095)
    clock.now += 2
    for number in range(100):
        clock.now += 0.001
        router.report("ft:v2", ok=number < 99)
    assert router.main_route().version == "v2"


def test_a_call_slower_than_the_limit_is_a_failed_one(make_router):
    router = make_router(max_latency=2.0)
    router.report("ft:v2", ok=True, latency=2.0)
    router.report("ft:v2", ok=True, latency=2.1)
    assert (router.status()[0].calls, router.status()[0].failed) == (2, 1)


class Hostile:
    """An object that cannot be compared, hashed or converted."""

    __hash__ = None

    def _refuse(self, *_):
        raise RuntimeError("no")

    __eq__ = __bool__ = __float__ = __str__ = __repr__ = _refuse


@pytest.mark.parametrize("latency", ["x", "0.4", -0.1, float("nan"), float("inf"), 10**400, True, [], Hostile()])
def test_an_invalid_latency_is_ignored_and_logged_once(make_router, caplog, latency):
    router = make_router(max_latency=2.0)
    for _ in range(3):
        router.report("ft:v2", ok=True, latency=latency)
    production = router.status()[0]
    assert (production.calls, production.failed, production.latency) == (3, 0, None)
    (message,) = messages(caplog)
    assert message.endswith("is ignored: it must be seconds")


@pytest.mark.parametrize("ok", [None, "yes", 2, [], Hostile()])
def test_an_invalid_outcome_is_ignored_and_logged_once(router, caplog, ok):
    for _ in range(3):
        router.report("ft:v2", ok=ok)
    assert router.status()[0].calls == 0
    (message,) = messages(caplog)
    assert message.endswith("is ignored: it must be True or False")


@pytest.mark.parametrize("model", [None, ["ft:v2"], Hostile(), 7])
def test_a_model_that_is_not_text_is_logged_once(router, caplog, model):
    for _ in range(3):
        router.report(model, ok=True)
    assert len(messages(caplog)) == 1


def test_numbers_of_other_libraries_are_taken(router):
    numpy = pytest.importorskip("numpy")
    router.report("ft:v2", ok=numpy.bool_(0), latency=numpy.float32(0.5))
    production = router.status()[0]
    assert (production.calls, production.failed, production.latency) == (1, 1, 0.5)


def test_a_model_that_the_registry_does_not_route_to_is_logged_once(router, caplog):
    for _ in range(3):
        router.report("ft:v9", ok=False)
    assert len(messages(caplog)) == 1
    assert "ft:v9" in messages(caplog)[0]


def test_a_fallback_holds_while_others_write_to_the_registry(router, registry, clock):
    break_canary(router)
    registry.add("v4")
    look_again(router, clock)
    assert set(deal(router).values()) == {"ft:v2"}


def test_a_new_decision_about_the_canary_ends_its_fallback(router, registry, clock):
    break_canary(router)
    registry.step("canary", "v3", traffic=0.1)
    look_again(router, clock)
    assert "ft:v3" in deal(router).values()
    router.report("ft:v3", ok=False)
    router.report("ft:v2", ok=True)
    assert "ft:v3" in deal(router).values()


def test_setting_the_rollout_ends_the_fallback_of_production(router, registry, clock):
    break_production(router)
    registry.rollout(fallback="v1", error_budget=0.3, window=60.0)
    look_again(router, clock)
    assert "ft:v2" in deal(router).values()


def test_reset_forgets_fallbacks_and_reports(router):
    before = deal(router)
    break_canary(router)
    break_production(router)
    router.reset()
    assert deal(router) == before
    assert [standing.calls for standing in router.status()] == [0, 0, 0]


def test_status_reports_the_calls_of_each_version(router):
    router.report("ft:v2", ok=True, latency=0.2)
    router.report("ft:v2", ok=False, latency=0.4)
    production, canary, fallback = router.status()
    assert (production.version, production.role, production.calls, production.failed) == ("v2", "production", 2, 1)
    assert production.latency == pytest.approx(0.3)
    assert (canary.version, canary.role, canary.latency) == ("v3", "canary", None)
    assert (fallback.version, fallback.role, fallback.evidence) == ("v1", "fallback", None)


def test_a_fallback_is_recorded_once_and_holds_in_every_router_that_reads_it(make_router, registry, clock):
    first, second = make_router(write_events=True, who="web-1"), make_router(write_events=True)
    break_canary(first)
    assert first.flush()
    look_again(second, clock)
    assert set(deal(second).values()) == {"ft:v2"}
    assert set(deal(make_router()).values()) == {"ft:v2"}
    recorded = registry.read()
    falls = [event for event in recorded.history if event.action == "fallback"]
    assert [(event.version, event.who) for event in falls] == [("v3", "web-1")]
    assert falls[0].why.startswith("falls back to v2: ")
    assert verify(recorded) == []


def test_recording_a_fallback_does_not_end_it(make_router, clock):
    router = make_router(write_events=True)
    break_production(router)
    assert router.flush()
    look_again(router, clock)
    assert "ft:v2" not in deal(router).values()


def test_reset_forgets_a_recorded_fallback_too(make_router, clock):
    router = make_router(write_events=True)
    break_canary(router)
    router.reset()
    look_again(router, clock)
    assert "ft:v3" in deal(router).values()


def test_nothing_is_written_by_default(router, registry):
    before = registry.path.read_bytes()
    break_canary(router)
    assert router.flush()
    assert registry.path.read_bytes() == before


class Refusing(FileBackend):
    """A registry that cannot be written, as on a read-only disk."""

    def update(self, change: Change, **_):
        raise RegistryError("cannot be written: Read-only file system", self.location)


def test_a_fallback_that_cannot_be_recorded_is_logged_and_holds(registry, clock, caplog):
    router = ModelRouter(Refusing(registry.path), write_events=True, clock=clock)
    break_canary(router)
    assert router.flush()
    assert set(deal(router).values()) == {"ft:v2"}
    assert "could not be recorded" in messages(caplog)[1]


class Hanging(Refusing):
    """A registry whose lock is held by another process until `released`."""

    released: threading.Event

    def update(self, change: Change, **_):
        self.released.wait(10)
        raise RegistryError("the lock was held too long", self.location)


def test_a_hanging_write_delays_no_request(registry, clock):
    backend = Hanging(registry.path)
    backend.released = threading.Event()
    router = ModelRouter(backend, write_events=True, clock=clock)
    break_canary(router)
    assert set(deal(router).values()) == {"ft:v2"}
    assert not router.flush(0.0)
    backend.released.set()
    assert router.flush()


def test_a_fallback_holds_though_no_thread_can_record_it(registry, clock, monkeypatch):
    """As at a system limit, or while the interpreter exits."""

    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    router = ModelRouter(registry, write_events=True, clock=clock)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    break_canary(router)
    clock.now += 1.0
    assert set(deal(router).values()) == {"ft:v2"}
    assert router.flush(0.0)


def test_an_unusable_fallback_is_logged_and_not_used(registry, make_router, caplog):
    registry.step("reject", "v1")
    router = make_router()
    assert messages(caplog) == [f"{registry.path}: the fallback 'v1' is rejected"]
    break_production(router)
    assert "ft:v2" in deal(router).values()


@pytest.mark.slow
def test_threads_see_whole_tables_and_lose_no_report(make_router, registry, clock):
    """Eight threads route and report while the registry flips between two canary shares."""
    router, done, wrong = make_router(poll=0.0), threading.Event(), []
    inside = [user for user, model in deal(router).items() if model == "ft:v3"]

    def serve():
        for number in range(2000):
            user = inside[number % len(inside)]
            if router.model_for(user) != "ft:v3":
                wrong.append(user)
            router.report("ft:v2", ok=True)

    def flip():
        while not done.is_set():
            for share in (0.3, 0.1):
                registry.step("canary", "v3", traffic=share)

    flipping = threading.Thread(target=flip)
    serving = [threading.Thread(target=serve) for _ in range(8)]
    for thread in (flipping, *serving):
        thread.start()
    for thread in serving:
        thread.join()
    done.set()
    flipping.join()
    assert router.flush()
    assert wrong == []
    assert router.status()[0].calls == 16_000


def test_tasks_of_one_loop_share_a_router(router):
    async def serve(user):
        model = router.model_for(user)
        await asyncio.sleep(0)
        router.report(model, ok=True)
        return model

    async def main():
        return await asyncio.gather(*(serve(user) for user in USERS))

    models = asyncio.run(main())
    assert models == list(deal(router).values())
    assert sum(standing.calls for standing in router.status()) == len(USERS)


def test_a_canary_that_serves_everybody_is_held_to_the_error_budget(make_router, registry, clock, caplog):
    """There is no production traffic to compare it with."""
    registry.step("canary", "v3", traffic=1.0)
    router = make_router()
    assert set(deal(router).values()) == {"ft:v3"}
    for _ in range(20):
        clock.now += 0.1
        router.report("ft:v3", ok=False)
    assert set(deal(router).values()) == {"ft:v2"}
    assert "v3 falls back to v2" in "".join(messages(caplog))


def test_a_canary_that_serves_everybody_within_the_budget_stays(make_router, registry, clock):
    registry.step("canary", "v3", traffic=1.0)
    router = make_router()
    for turn in range(2000):
        clock.now += 0.1
        router.report("ft:v3", ok=turn % 20 != 0)
    assert router.model_for("anybody") == "ft:v3"


def test_a_clock_set_back_does_not_stop_the_checks(router, registry, clock):
    clock.now -= 3600
    registry.step("promote", "v3")
    router.model_for("user")
    router.flush()
    assert router.model_for("user") == "ft:v3"


def test_unknown_names_fill_neither_memory_nor_log(router, caplog):
    for number in range(500):
        router.report(f"made-up-{number}", ok=True)
    assert len(messages(caplog)) == _MOST_LOGGED


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.slow
def test_a_forked_worker_does_not_wait_for_threads_of_its_parent(registry):
    """At the fork, one thread reports and one reads the registry; the child has neither thread."""
    code = """
        import os, sys, threading
        from pytest_finetune import ModelRouter
        router = ModelRouter.from_registry(sys.argv[1], poll=0.0)
        router._lock.acquire(), router._watcher._reading.acquire()
        child = os.fork()
        if child:
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        router.report(router.model_for("user"), ok=True)
        router.refresh()
        os._exit(0 if router.flush(5) and sum(one.calls for one in router.status()) == 1 else 1)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(registry.path)], timeout=60, check=False)
    assert done.returncode == 0
