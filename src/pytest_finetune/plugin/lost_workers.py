"""On an xdist controller: the cases of a worker that dies run again and are reported once; none is lost silently."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Container, Generator

    from xdist.scheduler import LoadScopeScheduling, Scheduling
    from xdist.workermanage import WorkerController

    TestStatus = tuple[str, str, str | tuple[str, dict[str, bool]]]

_OUR_ATTRIBUTES = ("finetune", "finetune_key", "finetune_state", "finetune_reason", "wasxfail")


class LostWorkers:
    """
    Follows the cases of eval sets from collection to their last report; other tests are left to xdist.

    xdist reports the test that a worker was running when it died as failed. With some schedulers (loadscope, loadfile,
    loadgroup) it also runs that test again; with others it does not. Here a case runs again once, whatever the
    scheduler: the death of a worker says nothing about the model. A case that loses a second worker has failed.

    Args:
        eval_sets: Names of the eval sets.
    """

    def __init__(self, eval_sets: Container[str]) -> None:
        self._eval_sets = eval_sets
        self._collected: dict[str, None] = {}
        self._answered: set[str] = set()
        self._running: dict[object, str] = {}
        self._losses: Counter[str] = Counter()
        # The last report of each case, by the worker that it came from.
        self._closed_by: dict[str, object] = {}
        self._died = 0

    @pytest.hookimpl(optionalhook=True, wrapper=True)
    def pytest_xdist_make_scheduler(self) -> Generator[None, Any, Any]:
        """Keep the schedulers that send whole scopes from waiting forever after a worker has died."""
        sched = yield
        if hasattr(sched, "workqueue") and hasattr(sched, "_reschedule"):
            _reschedule_after_a_crash(sched)
        return sched

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodeready(self, node: WorkerController) -> None:
        """Track which test a worker runs, and ignore that sending to a dead one fails: another gets its work."""
        send, notify = node.sendcommand, node.notify_inproc

        def send_if_alive(name: str, **values: object) -> None:
            with suppress(OSError):
                send(name, **values)

        def track(event: str, **values: object) -> None:
            # The hooks for these events are not given the worker.
            if event in ("logstart", "logfinish"):
                self._running[node] = str(values["nodeid"]) if event == "logstart" else ""
            notify(event, **values)

        node.sendcommand, node.notify_inproc = send_if_alive, track

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Remember the cases; all workers collect the same ones."""
        self._collected.update((nodeid, None) for nodeid in ids if self._is_case(nodeid))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object, error: object) -> None:
        """Count the workers that died, and how often each case was running then."""
        if error:
            self._died += 1
            self._losses[self._running.get(node, "")] += 1

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport, sched: Scheduling) -> None:
        """Correct xdist's report of a crashed test: the case may be done, or may run again."""
        if not self._is_case(crashitem):
            return
        if crashitem in self._closed_by:
            withdraw(report)
        elif crashitem in self._answered:
            # Only the report of its teardown is missing.
            report.when, report.outcome, report.longrepr = "teardown", "passed", None
        elif self._losses[crashitem] > 1:
            self._closed_by[crashitem] = getattr(report, "node", None)
        else:
            # xdist may name another test than the one that was running: the first that it has not seen finished.
            vars(report).update(outcome="rerun")
            # Schedulers that send whole scopes have done so already.
            with suppress(NotImplementedError, AttributeError):
                sched.mark_test_pending(crashitem)

    def follow(self, report: pytest.TestReport) -> None:
        """Track the case of a report; withdraw the report if another worker has already reported the case."""
        nodeid, worker = report.nodeid, getattr(report, "node", None)
        if worker is None or not self._is_case(nodeid) or str(report.when) == "???":
            return
        if self._closed_by.get(nodeid, worker) is not worker:
            withdraw(report)
        elif report.when == "teardown":
            self._closed_by[nodeid] = worker
        elif report.when == "call" or not report.passed:
            self._answered.add(nodeid)

    @property
    def problem(self) -> str:
        """How many cases were not reported, and why; empty if every collected case was."""
        missing = sum(nodeid not in self._closed_by for nodeid in self._collected)
        if not missing:
            return ""
        died = f"{self._died} worker{'' if self._died == 1 else 's'} died"
        cause = died if self._died else "a plugin may run tests without reporting each phase"
        return f"{missing:,} of {len(self._collected):,} cases were not reported: {cause}"

    def _is_case(self, nodeid: str) -> bool:
        return nodeid.partition("::")[0] in self._eval_sets


def withdraw(report: pytest.TestReport) -> None:
    """Make other plugins ignore a report, because a hook cannot drop it."""
    vars(report).update(when="???", outcome="withdrawn", longrepr=None)
    for name in _OUR_ATTRIBUTES:
        vars(report).pop(name, None)


def status(report: pytest.TestReport) -> TestStatus | None:
    """What the terminal shows for a report that is not counted; None for every other."""
    outcome = str(report.outcome)
    if outcome == "withdrawn":
        return "", "", ""
    if outcome == "rerun" and str(report.when) == "???":
        return "rerun", "R", ("RERUN", {"yellow": True})
    return None


def _reschedule_after_a_crash(sched: LoadScopeScheduling) -> None:
    """
    Prevent live workers from waiting forever while there is work.

    When a worker dies, xdist's `LoadScopeScheduling` (3.6 to 3.8, at least) also puts back the scopes that it had
    finished. A worker that is given such a scope is sent no test, so it never asks for more. Nor does a new worker with
    a scope of one test: it runs a test only when it knows the next one. A worker that has not collected yet cannot be
    given any scope.
    """
    schedule, remove_node, reschedule = sched.schedule, sched.remove_node, sched._reschedule  # noqa: SLF001

    def reschedule_once_collected(node: object) -> None:
        if node in sched.registered_collections:
            reschedule(node)

    def schedule_all() -> None:
        schedule()
        if sched.collection:
            schedule()

    def remove(node: object) -> str | None:
        crashitem: str | None = remove_node(node)
        if crashitem is not None:
            for scope in [scope for scope, tests in sched.workqueue.items() if all(tests.values())]:
                del sched.workqueue[scope]
            schedule_all()
        return crashitem

    sched.schedule, sched.remove_node = schedule_all, remove
    sched._reschedule = reschedule_once_collected  # noqa: SLF001
