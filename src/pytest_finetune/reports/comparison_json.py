"""A comparison of two runs as JSON, with more than the text report; `a` is the earlier run, `b` the later one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.evaluation.runs import sample_to_dict
from pytest_finetune.reports.redaction import redacted_sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.base.records import Sample
    from pytest_finetune.evaluation.runs import Run
    from pytest_finetune.evaluation.runs.pairing import Pairing, Refusal, SetPair


def pairing_to_json(before: Run, after: Run, pairing: Pairing, *, redact: bool = False) -> dict[str, Any]:
    """
    The whole comparison, with all samples of every flipped case; a positive difference means that `b` is better.

    With `redact` the samples go through `redacted_sample`.
    """
    runs = {name: {"id": run.id, "spec": run.manifest.target.spec} for name, run in (("a", before), ("b", after))}
    return {
        **runs,
        "worse": pairing.worse,
        "eval_sets": [_pair(pair, redact=redact) for pair in pairing.pairs],
        "refused": [_refusal(refusal) for refusal in pairing.refusals],
        "only_in_a": pairing.only_before,
        "only_in_b": pairing.only_after,
    }


def _pair(pair: SetPair, *, redact: bool) -> dict[str, Any]:
    found = pair.comparison
    return {
        "eval_set": pair.eval_set,
        "cases": found.difference.n,
        "accuracy": _sides((float(found.before), float(found.after))),
        "difference": -float(found.difference.drop),
        "interval": {"low": -found.interval.high, "high": -found.interval.low, "confidence": found.confidence},
        "lost": len(found.lost),
        "won": len(found.won),
        "p_value": found.p_value,
        "test": found.test,
        "groups": found.groups,
        "independent_cases": found.difference.n if found.difference.worth is None else found.difference.worth,
        "worse": found.worse,
        "missing": _sides(pair.missing),
        "errors": _sides(pair.errors),
        "same_settings": pair.same_settings,
        "request_differences": list(pair.request_differences),
        "flips": [
            {
                "case": flip.case_id,
                "lost": flip.lost,
                **_sides((_samples(flip.before, redact=redact), _samples(flip.after, redact=redact))),
            }
            for flip in found.lost + found.won
        ],
    }


def _refusal(refusal: Refusal) -> dict[str, Any]:
    return {
        "eval_set": refusal.eval_set,
        "problem": refusal.problem,
        "hint": refusal.hint,
        "only_in_a": refusal.only_before,
        "only_in_b": refusal.only_after,
        "asked_otherwise": refusal.different_requests,
    }


def _sides(pair: tuple[Any, Any]) -> dict[str, Any]:
    return dict(zip("ab", pair, strict=True))


def _samples(samples: Sequence[Sample | None], *, redact: bool) -> list[dict[str, Any] | None]:
    return [
        None if sample is None else sample_to_dict(redacted_sample(sample) if redact else sample) for sample in samples
    ]
