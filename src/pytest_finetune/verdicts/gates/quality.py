"""Whether the gates of an eval set demand good answers at all: a fast server that is always wrong has no errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.verdicts.metrics.summary import EVERY_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_finetune.base.records import Case
    from pytest_finetune.verdicts.rule import Rule

# `agreement` is not among them: a model can agree with itself and be wrong.
_QUALITY = ("accuracy", "macro_f1", "weighted_f1", "score", "win_rate", "field_accuracy")
_FORM = ("valid_rate", "format_stability")

# A larger drop, or as many flips, would let a baseline that is right in half of its cases be replaced by nonsense.
_HALF = 0.5


def guards_quality(rule: Rule, covered: int, planned: int, *, form_decides: bool = False) -> bool:
    """
    Whether a gate covers every case of its set and demands good answers to them.

    Args:
        rule: What the gate demands.
        covered: Cases that the gate covers.
        planned: Cases of the set.
        form_decides: The scorer passes any answer of the required form, as `schema` does. With every other scorer a
            gate on the form alone lets wrong answers ship.
    """
    quality = (*_QUALITY, *_FORM) if form_decides else _QUALITY
    # The result of another scorer does not make an answer right.
    if rule.scorer or covered < planned or (rule.bar == 0 and rule.kind == "min"):
        return False
    limits = {
        "min": rule.metric in quality or (rule.metric == "recall" and rule.of_label == EVERY_LABEL),
        "must_pass": True,
        "max_drop": rule.metric in quality and (rule.bar or 0) < _HALF,
        "max_flips": (rule.bar or 0) < planned * _HALF,
    }
    return limits.get(rule.kind, False)


def quality_is_guarded(rules: Iterable[Rule], cases: Sequence[Case], *, form_decides: bool = False) -> bool:
    """Whether any of the rules guards the quality of a set with these cases."""
    covered = ((rule, sum(map(rule.covers, cases))) for rule in rules)
    return any(guards_quality(rule, count, len(cases), form_decides=form_decides) for rule, count in covered)
