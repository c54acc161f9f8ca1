"""An evaluation on an event loop of its own thread, so that all questions are in flight while one answer is read."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from pytest_finetune.base.records import Sample, State
from pytest_finetune.evaluation.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Coroutine, Iterable

    from pytest_finetune.evaluation.engine import Question
    from pytest_finetune.evaluation.evaluation import Evaluation, Key, Planned

WINDOW = 1024
"""Samples that may be asked ahead of the one being read: bounds memory, whatever the size of the set."""


TICK = 0.2
"""Seconds between two looks of one who wants to see how far it is."""


class LoopThread:
    """One event loop in one daemon thread, for all evaluations of a process."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="finetune-loop", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """The loop turns."""
        return self._thread.is_alive()

    def start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Begin `work` on the loop; the task is to be touched on the loop only."""

        async def begin() -> asyncio.Task[None]:
            return asyncio.create_task(work)

        return asyncio.run_coroutine_threadsafe(begin(), self.loop).result()

    def stop(self) -> None:
        """Cancel what runs, let it clean up, and end the thread."""
        asyncio.run_coroutine_threadsafe(_cancel_all(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Backlog:
    """
    Planned samples waiting to be asked, never more than `WINDOW` ahead of the reader. Lives on the loop.

    Args:
        model: The id on the wire.
        unneeded: Told of a sample whose turn has come; True leaves it unasked, being answered for otherwise.
        tally: Told of every question that goes out.
    """

    def __init__(self, model: str, unneeded: Callable[[Planned], bool], tally: Tally) -> None:
        self._model, self._unneeded, self._tally = model, unneeded, tally
        self._planned: list[Planned] = []
        self._asked = 0
        self._read = 0
        self._ended = False
        self._more = asyncio.Event()

    async def next(self) -> Question[Planned] | None:
        """The next question; waits while the reader is too far behind or more may come."""
        while not self._ended:
            if self._asked < min(len(self._planned), self._read + WINDOW):
                planned = self._planned[self._asked]
                self._asked += 1
                if self._unneeded(planned):
                    continue
                self._tally.ask()
                return planned.question(self._model)
            self._more.clear()
            await self._more.wait()
        return None

    def extend(self, planned: Iterable[Planned]) -> None:
        """Append samples to be asked, in this order."""
        self._planned.extend(planned)
        self._more.set()

    def read_up_to(self, position: int) -> None:
        """Tell that the reader has come to this position."""
        self._read = position
        self._more.set()

    def close(self) -> None:
        """Ask nothing more."""
        self._ended = True
        self._more.set()


class BackgroundEvaluation:
    """
    Asks ahead in the background; `take` hands each sample to the thread that reads.

    After a fatal answer, the end of the money, or `stop`, a sample that has no answer is handed out as `unrun`.

    Args:
        evaluation: What to run.
        thread: The loop to run it on.
        kept: Names of eval sets whose samples may be taken again, later than can be foreseen.
        tally: Where the samples are counted as they come.
    """

    def __init__(
        self, evaluation: Evaluation, thread: LoopThread, *, kept: Container[str] = (), tally: Tally | None = None
    ) -> None:
        self.evaluation = evaluation
        self._kept = kept
        self._thread = thread
        self._tally = tally or Tally(())
        self._backlog = Backlog(evaluation.target.model, self._is_unneeded, self._tally)
        self._ready: dict[Key, Sample] = {}
        self._takers: dict[Key, int] = {}
        self._position: dict[Key, int] = {}
        self._furthest = 0
        self._released = 0
        self._changed = threading.Condition()
        self._ended = False
        self._crash: BaseException | None = None
        self._task = thread.start(self._run())

    def ask(self, planned: Iterable[Planned]) -> None:
        """Queue samples in the order they will be read; one queued already is asked once and handed out twice."""
        new: list[Planned] = []
        for sample in planned:
            if sample.key in self._position:
                self._takers[sample.key] = self._takers.get(sample.key, 1) + 1
            else:
                self._position[sample.key] = len(self._position)
                new.append(sample)
        self._tally.plan(len(new))
        self._thread.loop.call_soon_threadsafe(self._backlog.extend, new)

    def give(self, samples: Iterable[Sample]) -> None:
        """Hand in samples that a resumed run has already; they are not asked."""
        with self._changed:
            for sample in samples:
                self._ready[sample.key] = sample
                self.evaluation.count(sample)
                self._tally.plan(1)
                self._tally.come(self.evaluation.target.spec, sample, earlier=True)

    def has(self, key: Key) -> bool:
        """The sample is there already."""
        return key in self._ready

    def expects(self, key: Key) -> bool:
        """The sample has been asked for, or is there."""
        return key in self._position or key in self._ready

    def take(self, key: Key, waiting: Callable[[], None] | None = None) -> Sample:
        """
        Wait for a sample.

        Args:
            key: Which one.
            waiting: Called at once where there is a wait, and every `TICK` seconds of it.

        Raises:
            LookupError: It was never asked for, or handed out before, so that no wait would end.
            BaseException: Whatever broke the evaluation, in the reader's thread.
        """
        if not self.expects(key) or self._takers.get(key) == 0:
            raise LookupError(f"no answer will come for {key}")
        self._advance(key)
        while not self._is_settled(key):
            if waiting is not None:
                waiting()
            with self._changed:
                # A wait without time-out cannot be interrupted by Ctrl-C on every platform.
                self._changed.wait_for(lambda: self._is_settled(key), 1.0 if waiting is None else TICK)
        with self._changed:
            if key in self._ready:
                return self._hand_out(key)
        if self._crash is not None:
            raise self._crash
        return Sample(*key, State.UNRUN)

    def stop(self) -> None:
        """Ask nothing more and cancel what is in flight."""
        if not self._ended:
            self._thread.loop.call_soon_threadsafe(self._task.cancel)
            with self._changed:
                self._changed.wait_for(lambda: self._ended)

    @property
    def stopped(self) -> str:
        """Why the evaluation gave up by itself; empty while it has not."""
        failure = self.evaluation.stopped
        return f"{failure.kind}: {failure.message}" if self._ended and failure else ""

    def _is_settled(self, key: Key) -> bool:
        return key in self._ready or self._ended or not self._thread.is_alive

    def _hand_out(self, key: Key) -> Sample:
        if key[0] in self._kept:
            return self._ready[key]
        left = self._takers[key] = self._takers.get(key, 1) - 1
        return self._ready[key] if left else self._ready.pop(key)

    def _advance(self, key: Key) -> None:
        self._furthest = max(self._furthest, self._position.get(key, 0) + 1)
        # Waking the loop for every sample would cost more than the window is worth.
        if self._furthest - self._released >= WINDOW // 4:
            self._released = self._furthest
            self._thread.loop.call_soon_threadsafe(self._backlog.read_up_to, self._furthest)

    def _is_unneeded(self, planned: Planned) -> bool:
        unneeded = self.evaluation.is_decided(planned.eval_set.name)
        if unneeded:
            self._put(Sample(*planned.key, State.UNNEEDED))
        return unneeded

    def _put(self, sample: Sample) -> None:
        self._tally.come(self.evaluation.target.spec, sample)
        with self._changed:
            self._ready[sample.key] = sample
            self._changed.notify()

    async def _run(self) -> None:
        try:
            async for sample in self.evaluation.samples(self._backlog):
                self._tally.land()
                self._put(sample)
        except BaseException as error:  # noqa: BLE001 - told to the reader, see below
            # A cancelled loop is how `stop` ends it; everything else belongs to the reader, not to this thread.
            if not isinstance(error, asyncio.CancelledError):
                self._crash = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()


async def _cancel_all() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
