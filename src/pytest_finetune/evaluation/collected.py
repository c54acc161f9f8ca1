"""The samples that an evaluation has so far, which are missing, and whether they decide its verdicts already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.records import Sample, State
from pytest_finetune.evaluation.plan import plan
from pytest_finetune.verdicts.gates import Decider

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.evaluation.plan import Key, Planned
    from pytest_finetune.verdicts.evalset import EvalSet


class CollectedSamples:
    """
    The samples of one model over some eval sets.

    Args:
        eval_sets: The plan: all their cases, each `repeats` times.
        stop_when_decided: Skip the samples of an eval set once none of them can change one of its verdicts.

    Attributes:
        by_key: Samples of this process, of a resumed run, and reported by other processes.
    """

    def __init__(self, eval_sets: Sequence[EvalSet], *, stop_when_decided: bool) -> None:
        self.by_key: dict[Key, Sample] = {}
        self._eval_sets = eval_sets
        self._names = {eval_set.name for eval_set in eval_sets}
        self._deciders = (
            {each.name: Decider(each.settings.rules, each.table(())) for each in eval_sets} if stop_when_decided else {}
        )

    def add(self, sample: Sample) -> None:
        """Take a sample of this process, or of a resumed run."""
        self.by_key[sample.key] = sample
        if (decider := self._deciders.get(sample.eval_set)) is not None:
            decider.add(sample)

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
        """The sample in state `unneeded` if no remaining answer can change a verdict of its eval set, else None."""
        decider = self._deciders.get(planned.eval_set.name)
        if decider is None or decider.verdicts() is None:
            return None
        return self.by_key.setdefault(planned.key, Sample(*planned.key, State.UNNEEDED))

    def decider(self, eval_set: str) -> Decider | None:
        """What decides the verdicts of an eval set early; None without `stop_when_decided`."""
        return self._deciders.get(eval_set)
