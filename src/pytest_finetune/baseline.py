"""`--baseline`: what a new model is compared with, a recorded run or a model that is asked in the same session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.gates import Baseline

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_finetune.evalset import EvalSet
    from pytest_finetune.records import Sample
    from pytest_finetune.runs import Run

Baselines = dict[str, Baseline]
"""By the name of the eval set; a set that the baseline was not asked is not there."""


def recorded_baselines(name: str, run: Run, eval_sets: Sequence[EvalSet]) -> Baselines:
    """
    A recorded run as the baseline of each set that it was asked.

    Raises:
        RunError: The record is damaged.
    """
    plans = {plan.name: plan for plan in run.manifest.eval_sets}
    samples = list(run.samples().values())
    return {
        eval_set.name: Baseline(
            name=name,
            cases_sha256=plans[eval_set.name].cases_sha256,
            repeats=plans[eval_set.name].repeats,
            samples=[sample for sample in samples if sample.eval_set == eval_set.name],
            aliases=_aliases(eval_set),
        )
        for eval_set in eval_sets
        if eval_set.name in plans
    }


def asked_baselines(
    name: str, samples: Mapping[tuple[str, str, int], Sample], eval_sets: Sequence[EvalSet]
) -> Baselines:
    """A model of this session as the baseline of every set."""
    return {
        eval_set.name: Baseline(
            name=name,
            cases_sha256=eval_set.cases_sha256,
            repeats=eval_set.repeats,
            samples=[sample for sample in samples.values() if sample.eval_set == eval_set.name],
            aliases=_aliases(eval_set),
        )
        for eval_set in eval_sets
    }


def _aliases(eval_set: EvalSet) -> tuple[str, ...]:
    # Who names a baseline on the command line means it, whatever word the gates have for it.
    return tuple(gate.against for gate in eval_set.settings.gates if gate.against)
