"""Checks settings against cases before the first request: every gate must be able to pass and to fail."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from pytest_finetune.base.errors import did_you_mean
from pytest_finetune.verdicts.evalset.asking_scorer import AskingScorer
from pytest_finetune.verdicts.evalset.gate_metrics import MEAN_F1
from pytest_finetune.verdicts.evalset.scorer import SCORER_METRICS
from pytest_finetune.verdicts.field_paths import expected_fields
from pytest_finetune.verdicts.gates import impossible
from pytest_finetune.verdicts.label_cases import allowed_labels, cases_by_label
from pytest_finetune.verdicts.metrics.confidence import CONFIDENCE_METRICS
from pytest_finetune.verdicts.metrics.labels import LabelTable
from pytest_finetune.verdicts.metrics.parts import Part
from pytest_finetune.verdicts.metrics.summary import EVERY_LABEL
from pytest_finetune.verdicts.rule import in_slice
from pytest_finetune.verdicts.scoring import scorer_class, scorers_with

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_finetune.base.records import Case
    from pytest_finetune.verdicts.evalset.settings import EvalSettings, RequestSettings
    from pytest_finetune.verdicts.rule import Rule


_OF_ANY_SCORER = ("error_rate", "latency_p50", "latency_p95", "tokens_per_case", "cost_per_case")


class SettingsFault(NamedTuple):
    """A fault of the settings: the keys that lead to it, the problem and the remedy."""

    path: tuple[str | int, ...]
    problem: str
    hint: str


def has_meaning(metric: str, scorer: str) -> bool:
    """Whether a metric can be computed from the scores of a scorer, given by its name in the settings."""
    return metric not in SCORER_METRICS or metric in scorer_class(scorer).metrics


def reports_metric(settings: EvalSettings, metric: str) -> bool:
    """Whether reports show a metric for eval sets with these settings."""
    return metric not in SCORER_METRICS or scorer_class(settings.scorer).reports(metric, settings.only())


def settings_faults(
    settings: EvalSettings, cases: Sequence[Case], *, is_overridden: bool = False
) -> Iterator[SettingsFault]:
    """
    Settings that contradict each other or cannot work with these cases.

    Args:
        settings: The settings.
        cases: The cases.
        is_overridden: Whether the number of repeats is that of `--repeats`.
    """
    own = [(("models", name), each.request) for name, each in settings.models.items()]
    for at, request in [((), settings.request), *own]:
        if request.response_format is not None and request.response_schema is not None:
            problem = "response_schema and response_format both decide the format"
            yield SettingsFault((*at, "request", "response_schema"), problem, "keep one of them")
    for index, gate in enumerate(settings.rules):
        yield from _scorer_faults(gate, settings, index)
        yield from _logprobs_faults(gate, [settings.request, *(request for _, request in own)], index)
        yield from _repeats_faults(gate, settings.stability.repeats, index, is_overridden=is_overridden)
        yield from _slice_faults(gate, cases, index)
        yield from _field_faults(gate, cases, index)
        yield from _must_pass_faults(gate, cases, index)
        yield from _sequential_faults(gate, settings, cases, index)
        table = settings.others.get(gate.scorer)
        seen = list(map(Part(expected=table.expected).case, cases)) if table and table.expected else cases
        yield from _label_faults(gate, settings, seen, index)
        level = "confidence" if getattr(settings.gates[index], "risk", None) is None else "risk"
        yield from _impossible_faults(gate, _of_label(gate, settings, seen), index, level)


def settings_warnings(settings: EvalSettings, unsent: Iterable[str]) -> Iterator[str]:
    """
    What is valid but probably a mistake.

    Args:
        settings: The settings of a set without faults.
        unsent: Keys in its lines that are not sent with any request.
    """
    for key in sorted(set(unsent) - settings.request.model_fields_set):
        yield f"{key} in the lines is not sent; set it under [request]"
    for gate in settings.rules:
        if gate.metric in ("agreement", "pairwise_agreement", "format_stability") and settings.stability.repeats == 1:
            yield f"gate {gate.label}: each case has one request; set repeats under [stability]"
    # `must_pass` and slices need their own cases only, but in random order these come to an end late, too.
    whole = [gate.label for gate in settings.rules if not (gate.sequential or gate.where or gate.tags)]
    if whole and (early := [gate.label for gate in settings.rules if gate.sequential]):
        yield f"gate {early[0]} is sequential, but no case is saved: {whole[0]} needs all of them"


def _scorer_faults(gate: Rule, settings: EvalSettings, index: int) -> Iterator[SettingsFault]:
    path = ("gates", index, "scorer")
    if not gate.scorer:
        yield from _metric_faults(gate, settings.scorer, index)
    elif (table := settings.others.get(gate.scorer)) is None:
        names = [each.title for each in settings.scorers]
        hint = did_you_mean(gate.scorer, names) if names else "leave it out, or name several scorers: [[scorers]]"
        yield SettingsFault(path, f"the set has no scorer {gate.scorer!r}", hint)
    elif gate.metric in _OF_ANY_SCORER:
        yield SettingsFault(path, f"{gate.metric} is the same for every scorer", "leave scorer out")
    elif gate.field and table.expected:
        problem = f"a field of the expected answer, and {gate.scorer} compares with {table.expected!r}"
        yield SettingsFault(("gates", index, "field"), problem, "leave field out")
    else:
        yield from _metric_faults(gate, table.type, index)


def _metric_faults(gate: Rule, scorer: str, index: int) -> Iterator[SettingsFault]:
    if has_meaning(gate.metric, scorer):
        return
    scorers = scorers_with(gate.metric)
    problem = f"scorer {scorer} does not support {gate.metric}"
    yield SettingsFault(("gates", index, "metric"), problem, f"gate accuracy, or choose {_one_of(scorers)}")


def _logprobs_faults(gate: Rule, requests: Iterable[RequestSettings], index: int) -> Iterator[SettingsFault]:
    if gate.metric not in CONFIDENCE_METRICS:
        return
    if not any(request.logprobs is True or request.extra_body.get("logprobs") for request in requests):
        problem = f"{gate.metric} needs the probabilities of the answers"
        yield SettingsFault(("gates", index, "metric"), problem, "add logprobs = true under [request]")


def _repeats_faults(gate: Rule, repeats: int, index: int, *, is_overridden: bool) -> Iterator[SettingsFault]:
    if gate.repeats not in (None, repeats):
        attempts = "attempt" if repeats == 1 else "attempts"
        problem = f"per_case is {gate.per_case!r}, but every case has {repeats} {attempts}"
        hint = "make it match repeats under [stability]"
        if is_overridden:
            problem = f"per_case is {gate.per_case!r}, but with --repeats={repeats} every case has {repeats} {attempts}"
            hint = f"omit --repeats, or pass --repeats={gate.repeats}"
        yield SettingsFault(("gates", index, "per_case"), problem, hint)


def _slice_faults(gate: Rule, cases: Sequence[Case], index: int) -> Iterator[SettingsFault]:
    if not gate.where or any(in_slice(case, gate.where) for case in cases):
        return
    for key, value in gate.where.items():
        if not any(in_slice(case, {key: value}) for case in cases):
            problem = f"no case has the tag {value!r}" if key == "tag" else f"no case has {value!r} in its metadata"
            hint = _tag_hint(str(value), cases) if key == "tag" else _metadata_hint(key, cases)
            yield SettingsFault(("gates", index, "where", key), problem, hint)
            return
    yield SettingsFault(("gates", index, "where"), "no case matches all of it", "a gate over nothing proves nothing")


def _field_faults(gate: Rule, cases: Sequence[Case], index: int) -> Iterator[SettingsFault]:
    if not gate.field:
        return
    sliced = [case for case in cases if in_slice(case, gate.where)]
    if sliced and not any(map(gate.covers, sliced)):
        known = {path for case in sliced for path in expected_fields(case)}
        problem = f"no case expects the field {gate.field}"
        yield SettingsFault(("gates", index, "field"), problem, did_you_mean(gate.field, known))


def _label_faults(gate: Rule, settings: EvalSettings, cases: Sequence[Case], index: int) -> Iterator[SettingsFault]:
    if not gate.of_label or not (labels := allowed_labels(settings, gate.scorer)):
        return
    path = ("gates", index, "label")
    if gate.of_label not in (*labels, EVERY_LABEL):
        hint = did_you_mean(gate.of_label, labels)
        yield SettingsFault(path, f"{gate.of_label!r} is not one of the labels", hint)
        return
    found = cases_by_label(settings, gate.scorer, [case for case in cases if in_slice(case, gate.where)])
    # Of a slice, the labels that occur in it are meant.
    wanted = labels if gate.of_label == EVERY_LABEL and not gate.where else (gate.of_label,)
    absent = [label for label in wanted if label != EVERY_LABEL and label not in found]
    if absent and found:
        hint = "add cases: the recall of a label without cases is unknown"
        yield SettingsFault(path, f"no case expects the label {absent[0]!r}", hint)


def _of_label(gate: Rule, settings: EvalSettings, cases: Sequence[Case]) -> Sequence[Case]:
    """The cases that a gate on recall counts: of all labels, those of the rarest; all cases for other gates."""
    if not gate.of_label:
        return cases
    found = cases_by_label(settings, gate.scorer, [case for case in cases if in_slice(case, gate.where)])
    if gate.of_label == EVERY_LABEL:
        return min(found.values(), key=_independent, default=())
    return found.get(gate.of_label, ())


def _must_pass_faults(gate: Rule, cases: Sequence[Case], index: int) -> Iterator[SettingsFault]:
    sliced = [case for case in cases if in_slice(case, gate.where)] if gate.tags else []
    for tag in gate.tags:
        if sliced and not any(tag in case.tags for case in sliced):
            problem = f"no case has the tag {tag!r}"
            yield SettingsFault(("gates", index, "must_pass"), problem, _tag_hint(tag, cases))


def _sequential_faults(
    gate: Rule, settings: EvalSettings, cases: Sequence[Case], index: int
) -> Iterator[SettingsFault]:
    """What the boundaries of a sequential gate do not allow for."""
    path, table = ("gates", index, "sequential"), settings.others.get(gate.scorer)
    scorer = table.type if table else settings.scorer
    if not gate.sequential:
        return
    if any(case.group for case in cases if gate.covers(case)):
        problem = "sequential counts independent cases, and some cases here are in groups"
        yield SettingsFault(path, problem, "leave sequential out: the gate then counts with the groups")
    if issubclass(scorer_class(scorer), AskingScorer) and gate.metric == "accuracy":
        problem = f"sequential does not correct for the errors of {scorer}, which its calibration does"
        yield SettingsFault(path, problem, "leave sequential out, or let a rule score the answers")


def _impossible_faults(gate: Rule, cases: Sequence[Case], index: int, level: str) -> Iterator[SettingsFault]:
    ruled = cases if gate.covers_all else [case for case in cases if gate.covers(case)]
    unit = "groups of cases" if any(case.group for case in ruled) else "cases"
    if problem := impossible(gate, _independent(ruled), unit) or _f1_out_of_reach(gate, ruled):
        clause, _, hint = problem.partition("; ")
        path = ("gates", index) if gate.confidence is None else ("gates", index, level)
        yield SettingsFault(path, clause, hint or f"add cases, lower the bar, or leave {level} out")


def _independent(cases: Sequence[Case]) -> int:
    """The cases, those of a group counting as one: all that a run without a mistake is sure to be worth."""
    return len({case.group or (case.id,) for case in cases})


def _f1_out_of_reach(gate: Rule, cases: Sequence[Case]) -> str | None:
    """A run without a mistake has the best interval that these cases allow."""
    if gate.metric not in MEAN_F1 or gate.kind != "min" or gate.confidence is None or gate.bar is None:
        return None
    perfect = Counter((str(case.expected[0]), str(case.expected[0])) for case in cases if case.expected)
    best = LabelTable(perfect).f1_interval(gate.confidence, weighted=gate.metric == "weighted_f1")
    if best is None or best.low >= gate.bar:
        return None
    return f"{len(cases)} cases cannot show {gate.metric} >= {gate.bar:g} with confidence {gate.confidence:g}"


def _tag_hint(tag: str, cases: Sequence[Case]) -> str:
    known = {tag for case in cases for tag in case.tags}
    return did_you_mean(tag, known) if known else "give some cases tags"


def _metadata_hint(key: str, cases: Sequence[Case]) -> str:
    values = sorted({str(case.metadata[key]) for case in cases if key in case.metadata})
    if values:
        shown = 8
        return f"known: {', '.join(values[:shown])}{', …' if len(values) > shown else ''}"
    return did_you_mean(key, {"tag"}.union(*(case.metadata for case in cases)))


def _one_of(scorers: Sequence[str]) -> str:
    return " or ".join(f'scorer = "{name}"' for name in scorers)
