"""An evaluation on an event loop in a background thread: requests are in flight while pytest runs its items."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from pytest_finetune.base.records import Failure, Sample, State
from pytest_finetune.base.text import described
from pytest_finetune.evaluation.backlog import WINDOW, Backlog
from pytest_finetune.evaluation.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from pytest_finetune.evaluation.evaluation import Evaluation
    from pytest_finetune.evaluation.plan import Key, Planned
    from pytest_finetune.evaluation.stop_notice import StopNotice

TICK = 0.2
"""Seconds between two updates of the live line."""


LONGEST_CLEANUP = 10.0
"""Seconds that cancelled tasks may take to end."""


class LoopThread:
    """An event loop in a daemon thread, shared by all evaluations of a process."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="finetune-loop", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the loop still runs."""
        return self._thread.is_alive()

    def start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Start a task on the loop; it may only be used on the loop."""

        async def begin() -> asyncio.Task[None]:
            return asyncio.create_task(work)

        return asyncio.run_coroutine_threadsafe(begin(), self.loop).result()

    def stop(self) -> None:
        """Cancel all tasks, wait for their cleanup, and end the thread."""
        asyncio.run_coroutine_threadsafe(_cancel_all(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class BackgroundEvaluation:
    """
    Requests samples ahead on the event loop's thread; `take` hands each one to the thread that reads.

    After a fatal failure, a spent budget or `stop`, `take` returns a sample in state `unrun` where there is none.

    Args:
        evaluation: The evaluation to run. The samples that it has already are not requested.
        thread: The event loop to run it on.
        tally: Counts samples as they arrive.
        notice: Where the processes of a session learn that one has stopped; None where there is one process.
    """

    def __init__(
        self,
        evaluation: Evaluation,
        thread: LoopThread,
        *,
        tally: Tally | None = None,
        notice: StopNotice | None = None,
    ) -> None:
        self.evaluation = evaluation
        self._notice = notice
        self._thread = thread
        self._tally = tally or Tally(())
        must_wait = evaluation.collected.must_wait
        self._backlog = Backlog(evaluation.target.model, self._skip, must_wait, self._is_over, self._tally)
        self._ready: dict[Key, Sample] = {}
        self._position: dict[Key, int] = {}
        self._furthest = 0
        self._announced = 0
        # Guards `_ready`, `_ended` and `_crash`, which the loop's thread sets, and `_awaited`, which the reader sets.
        self._changed = threading.Condition()
        self._awaited: Key | None = None
        self._ended = False
        self._crash: BaseException | None = None
        for sample in evaluation.samples.values():
            self._ready[sample.key] = sample
            self._tally.plan(1)
            self._tally.count_sample(evaluation.target.spec, sample, earlier=True)
        self._task = thread.start(self._run())

    def queue(self, planned: Iterable[Planned]) -> None:
        """Queue samples in the order in which they will be read; what is queued or ready already is left out."""
        new: list[Planned] = []
        for sample in planned:
            if not self.expects(sample.key):
                self._position[sample.key] = len(self._position)
                new.append(sample)
        # Each call wakes the event loop and all idle workers, and most calls bring nothing new.
        if new:
            self._tally.plan(len(new))
            self._thread.loop.call_soon_threadsafe(self._backlog.extend, new)

    def expects(self, key: Key) -> bool:
        """Whether the sample is queued, requested or ready."""
        return key in self._position or key in self._ready

    def take(self, key: Key, waiting: Callable[[], None] | None = None) -> Sample:
        """
        Wait for a sample.

        Args:
            key: Its key.
            waiting: Called at once if the sample is not ready, and then every `TICK` seconds until it is.

        Raises:
            LookupError: It was never queued, so the wait would not end.
            BaseException: Whatever ended the evaluation, raised once, in the reader's thread. Each raise would
                lengthen its traceback.
        """
        if not self.expects(key):
            raise LookupError(f"no answer will come for {key}")
        self._advance(key)
        while not self._is_settled(key):
            if waiting is not None:
                waiting()
            with self._changed:
                self._awaited = key
                # A wait without timeout cannot be interrupted by Ctrl-C on every platform.
                self._changed.wait_for(lambda: self._is_settled(key), 1.0 if waiting is None else TICK)
        if sample := self._ready.get(key):
            return sample
        if self._crash is not None:
            crash, self._crash = self._crash, None
            raise crash
        return Sample(*key, State.UNRUN)

    def stop(self) -> None:
        """Send no further request and cancel those in flight."""
        if not self._ended:
            self._thread.loop.call_soon_threadsafe(self._task.cancel)
            with self._changed:
                self._changed.wait_for(lambda: self._ended)

    @property
    def stopped(self) -> Failure | None:
        """Why the evaluation ended by itself; None while it has not."""
        return self.evaluation.stopped if self._ended else None

    def _is_settled(self, key: Key) -> bool:
        return key in self._ready or self._ended or not self._thread.is_alive

    def _advance(self, key: Key) -> None:
        self._furthest = max(self._furthest, self._position.get(key, 0) + 1)
        # Waking the event loop for each sample would cost more than a window that moves in steps.
        if self._furthest - self._announced >= WINDOW // 4:
            self._announced = self._furthest
            self._thread.loop.call_soon_threadsafe(self._backlog.read_up_to, self._furthest)

    def _skip(self, planned: Planned) -> bool:
        sample = self.evaluation.skip(planned)
        if sample is None:
            return False
        self._put(sample)
        return True

    def _is_over(self) -> bool:
        reason = self._notice.find() if self._notice else None
        if reason is not None:
            self.evaluation.collect_stop(reason)
        return reason is not None

    def _put(self, sample: Sample) -> None:
        key = sample.key
        self._tally.count_sample(self.evaluation.target.spec, sample)
        with self._changed:
            self._ready[key] = sample
            # Waking the reader for every sample would cost a thread switch each.
            if key == self._awaited:
                self._changed.notify()

    async def _run(self) -> None:
        try:
            async for sample in self.evaluation.request(self._backlog):
                self._tally.count_answered()
                self._put(sample)
        except BaseException as error:  # noqa: BLE001 - raised again in the reader's thread
            # `stop` cancels the task; any other exception belongs to the reader, not to this thread.
            if not isinstance(error, asyncio.CancelledError):
                self._crash = error
                reason = Failure("internal", described(error), fatal=True)
                self.evaluation.collect_stop(reason)
        finally:
            if self._notice is not None and self.evaluation.stopped is not None:
                self._notice.give(self.evaluation.stopped)
            with self._changed:
                self._ended = True
                self._changed.notify_all()


async def _cancel_all() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    # The user's code may ignore its cancellation.
    if tasks:
        await asyncio.wait(tasks, timeout=LONGEST_CLEANUP)
