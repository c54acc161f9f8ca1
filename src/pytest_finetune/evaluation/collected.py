"""The samples that an evaluation has so far, which are missing, and whether they decide its verdicts already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.records import Sample, State
from pytest_finetune.evaluation.plan import plan
from pytest_finetune.verdicts.gates import Decider, LookDecider

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_finetune.evaluation.plan import Key, Planned
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.gates import Baseline


class CollectedSamples:
    """
    The samples of one model over some eval sets.

    Args:
        eval_sets: The plan: all their cases, each `repeats` times.
        stop_when_decided: Skip the samples of an eval set once none of them can change one of its verdicts.
        to_the_end: Skip no sample because of sequential gates, as for a baseline, which others are compared with.

    Attributes:
        by_key: Samples of this process, of a resumed run, and reported by other processes.
    """

    def __init__(self, eval_sets: Sequence[EvalSet], *, stop_when_decided: bool, to_the_end: bool = False) -> None:
        self.by_key: dict[Key, Sample] = {}
        self._eval_sets = eval_sets
        self._names = {eval_set.name for eval_set in eval_sets}
        self._deciders = (
            {each.name: Decider(each.settings.rules, each.table(())) for each in eval_sets} if stop_when_decided else {}
        )
        self._looks = {each.name: _look_decider(each) for each in eval_sets if each.is_sequential and not to_the_end}
        self._in_flight: dict[str, set[Key]] = {name: set() for name in self._looks}

    def compare_with(self, baselines: Mapping[str, Baseline]) -> None:
        """Give sequential gates what they compare with, before the first sample."""
        for eval_set in self._eval_sets:
            if eval_set.name in self._looks:
                self._looks[eval_set.name] = _look_decider(eval_set, baselines.get(eval_set.name))

    def add(self, sample: Sample) -> None:
        """Take a sample of this process, or of a resumed run."""
        self.by_key[sample.key] = sample
        self.count(sample)

    def count(self, sample: Sample) -> None:
        """Let a sample count for whether the verdicts are decided: also one that another process requested."""
        for decider in (self._deciders.get(sample.eval_set), self._looks.get(sample.eval_set)):
            if decider is not None:
                decider.add(sample)
        if sample.eval_set in self._in_flight:
            self._in_flight[sample.eval_set].discard(sample.key)

    def collect(self, sample: Sample) -> bool:
        """Take a sample that another process reports; False if there is one with its key already, which is kept."""
        return self.by_key.setdefault(sample.key, sample) is sample

    def is_planned(self, sample: Sample) -> bool:
        """Whether the sample is one of the eval sets; a case of a marked test of the user's is not."""
        return sample.eval_set in self._names

    def of(self, eval_set: str) -> list[Sample]:
        """The samples of one eval set."""
        return [sample for sample in self.by_key.values() if sample.eval_set == eval_set]

    def missing(self) -> list[Planned]:
        """Planned samples that are not there yet."""
        return [planned for planned in plan(self._eval_sets) if planned.key not in self.by_key]

    @property
    def is_whole(self) -> bool:
        """Whether no planned sample is missing."""
        return len(self.by_key) >= sum(len(eval_set.cases) * eval_set.repeats for eval_set in self._eval_sets)

    def skip(self, planned: Planned) -> Sample | None:
        """The sample in state `unneeded` if the verdicts of its eval set are decided without it, else None."""
        name = planned.eval_set.name
        decider, looks = self._deciders.get(name), self._looks.get(name)
        if (decider is None or decider.verdicts() is None) and (looks is None or not looks.is_decided):
            if looks is not None:
                self._in_flight[name].add(planned.key)
            return None
        return self.by_key.setdefault(planned.key, Sample(*planned.key, State.UNNEEDED))

    def must_wait(self, planned: Planned) -> bool:
        """Whether a look at answers that are on their way may decide that this sample is not needed."""
        name = planned.eval_set.name
        looks, in_flight = self._looks.get(name), self._in_flight.get(name)
        if looks is None or not in_flight or looks.is_decided:
            return False
        awaited = looks.next_look()
        _, case_id, attempt = planned.key
        # Only what is on its way is waited for: other tests may have been asked for first, or in another process.
        return (case_id, attempt) not in awaited and any(key[1:] in awaited for key in in_flight)

    def decider(self, eval_set: str) -> Decider | None:
        """What decides the verdicts of an eval set early; None without `stop_when_decided`."""
        return self._deciders.get(eval_set)


def _look_decider(eval_set: EvalSet, baseline: Baseline | None = None) -> LookDecider:
    return LookDecider(eval_set.settings.rules, eval_set.table(()), baseline)
