"""Whether a set with sequential gates may stop: known at the look at which the last of its gates is decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.verdicts.gates.judging import inputs_of, needs_no_more
from pytest_finetune.verdicts.gates.sequential import in_asking_order, looks_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.base.records import Sample
    from pytest_finetune.verdicts.gates.inputs import GateInputs
    from pytest_finetune.verdicts.gates.verdict import Baseline
    from pytest_finetune.verdicts.metrics import SampleTable
    from pytest_finetune.verdicts.rule import Rule

_Place = tuple[str, int]


class LookDecider:
    """
    Takes samples as they arrive, and looks at the evidence whenever the cases of a gate's next look are there.

    Whether a gate is decided is found by the function that judges the run in the end.

    Args:
        rules: What the set is judged by; at least one is sequential.
        table: The plan; the samples in it are not counted.
        baseline: What gates compare with; without it, a gate that compares is never decided.
    """

    def __init__(self, rules: Sequence[Rule], table: SampleTable, baseline: Baseline | None = None) -> None:
        self._rules, self._table, self._baseline = rules, table, baseline
        self._samples: dict[_Place, Sample] = {}
        self._hopeless = False
        self._open = {place: _Waiting(inputs) for place, inputs in enumerate(inputs_of(rules, table, baseline))}

    def add(self, sample: Sample) -> None:
        """Take one sample; one that was not run is still to come."""
        if sample.eval_set != self._table.eval_set or sample.state in (State.UNRUN, State.UNNEEDED):
            return
        place = sample.case_id, sample.attempt
        self._samples[place] = sample
        for waiting in self._open.values():
            waiting.places.discard(place)

    @property
    def is_decided(self) -> bool:
        """Whether no gate needs a sample that is not there."""
        while not self._hopeless and (ready := [number for number, each in self._open.items() if not each.places]):
            inputs = inputs_of(self._rules, self._table.with_samples(self._samples.values()), self._baseline)
            for number in ready:
                if needs_no_more(inputs[number]):
                    del self._open[number]
                else:
                    # A gate that is open after its last look lacks a baseline, and so it stays open.
                    self._hopeless |= not self._open[number].look_on(self._samples)
        return not self._open

    def next_look(self) -> set[_Place]:
        """The samples that some gate waits for; all others may turn out not to be needed."""
        return set().union(*(waiting.places for waiting in self._open.values()))


class _Waiting:
    """The samples that one gate needs before it can be looked at again."""

    def __init__(self, inputs: GateInputs) -> None:
        self._repeats = inputs.table.repeats
        looks = looks_of(inputs) if inputs.rule.sequential else None
        if looks is None:
            self._ids = [row.case.id for row in inputs.sliced.rows]
            self._sizes = [len(self._ids)]
        else:
            self._ids, self._sizes = in_asking_order(inputs), list(looks.sizes)
        self.places: set[_Place] = self._places(0, self._sizes.pop(0)) if self._ids else set()

    def look_on(self, there: dict[_Place, Sample]) -> bool:
        """Wait for the next look; False if there is none."""
        if not self._sizes:
            return False
        self.places = self._places(0, self._sizes.pop(0)) - there.keys()
        return True

    def _places(self, start: int, end: int) -> set[_Place]:
        return {(case_id, attempt) for case_id in self._ids[start:end] for attempt in range(self._repeats)}
