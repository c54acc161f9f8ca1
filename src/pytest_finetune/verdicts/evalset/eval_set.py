"""An eval set that has been read without a fault, and the requests that its cases become."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.records import Request
from pytest_finetune.base.text import described
from pytest_finetune.verdicts.asking_order import asking_order
from pytest_finetune.verdicts.evalset.asking_scorer import AskingScorer
from pytest_finetune.verdicts.evalset.request_form import Api, RequestForm, request_form
from pytest_finetune.verdicts.metrics import lay_out
from pytest_finetune.verdicts.metrics.confidence import CONFIDENCE_METRICS
from pytest_finetune.verdicts.metrics.parts import Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from pytest_finetune.base.records import Case, Completion, Sample, Score
    from pytest_finetune.verdicts.evalset.scorer import Scorer
    from pytest_finetune.verdicts.evalset.settings import EvalSettings
    from pytest_finetune.verdicts.metrics import SampleTable
    from pytest_finetune.verdicts.metrics.calibration import Calibration

    Replies = Mapping[str, Sequence[Completion]]

_NOTHING: Replies = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class OtherScorer:
    """
    A scorer of a set that does not decide whether an answer passed.

    Args:
        scorer: Made from its table of `[[scorers]]`.
        expected: Key in a case's metadata of what it compares answers with; empty for the expected answer.
        judge: The calibration, with its fault if it has one; None if the scorer is not a judge.
    """

    scorer: Scorer
    expected: str = ""
    judge: Calibration | None = None

    @property
    def part(self) -> Part:
        """What its figures depend on."""
        return Part(self.scorer.expected_label, self.expected, self.judge)

    def check(self, case: Case) -> str | None:
        """Why the case cannot be scored; None if it can."""
        if self.expected and self.expected not in case.metadata:
            return f"the metadata has no {self.expected!r}, which is what the answer is compared with"
        return self.scorer.check(self.part.case(case))

    def score(self, case: Case, completion: Completion, name: str, replies: Sequence[Completion] = ()) -> Score:
        """
        Judge an answer.

        Raises:
            ScorerError: The scorer, which is called `name` in the settings, gave no score.
        """
        try:
            return _score(self.scorer, self.part.case(case), completion, replies)
        except ScorerError:
            raise
        except Exception as error:
            raise ScorerError(f"scorer {name!r} broke on this answer: {described(error)}") from error


def _score(scorer: Scorer, case: Case, completion: Completion, replies: Sequence[Completion]) -> Score:
    if isinstance(scorer, AskingScorer) and replies:
        return scorer.score_replies(case, completion, replies)
    return scorer.score(case, completion)


def joint_fingerprint(scorer: Scorer, others: Mapping[str, OtherScorer]) -> str:
    """Hash of the code of all scorers of a set; that of a single one is its own."""
    codes = {name: other.scorer.fingerprint for name, other in others.items() if other.scorer.fingerprint}
    text = "".join(f"{name}\0{code}\0" for name, code in sorted(codes.items()))
    return sha256((scorer.fingerprint + text).encode()).hexdigest() if codes else scorer.fingerprint


@dataclass(frozen=True, slots=True, eq=False)
class EvalSet:
    """
    One JSONL file with its settings; equal only to itself, so that it can be a key.

    Args:
        name: Posix path of the file relative to the root; names the set in node ids and runs.
        path: The file.
        cases: In file order, ids unique.
        settings: How the cases are requested, scored and gated.
        scorer: Made from the settings; every case's expected answer has passed its check. With several scorers, the one
            that decides whether an answer passed.
        cases_sha256: Hash of all that the cases say, in file order; line ends, blank lines, shapes and key order
            do not change it, ids, tags and metadata do.
        settings_sha256: Hash of the settings; comments and key order do not change it.
        schema_sha256: Hash of the bytes of the schema files that the settings name; empty when they name none.
        warnings: Probable mistakes that do not stop a run.
        params: The request parameters that all cases share, before those of a model.
        own_params: Those of `[models]`, by pattern; None leaves a parameter out.
        api: The API that the command line demands for all requests; None leaves it to the settings.
        others: The scorers that do not decide, by name; every case has passed their check, too.
        copies: By case id, how many earlier cases of the session send the same request; only those with at least one.
        judge: The calibration of the deciding judge, with its fault if it has one; None if the scorer is not a judge.
        settings_text: The settings as TOML, if they are not those of the file next to the cases; else None.
    """

    name: str
    path: Path
    cases: tuple[Case, ...]
    settings: EvalSettings
    scorer: Scorer
    cases_sha256: str
    settings_sha256: str
    schema_sha256: str = ""
    warnings: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    own_params: Sequence[tuple[str, Mapping[str, Any]]] = ()
    api: Api | None = None
    others: Mapping[str, OtherScorer] = field(default_factory=dict)
    copies: Mapping[str, int] = field(default_factory=dict, repr=False)
    judge: Calibration | None = None
    settings_text: bytes | None = field(default=None, repr=False)
    _forms: dict[str, RequestForm] = field(default_factory=dict, repr=False, init=False)

    @property
    def is_sequential(self) -> bool:
        """Whether a gate may be decided before all cases are asked."""
        return any(rule.sequential for rule in self.settings.rules)

    @property
    def in_asking_order(self) -> tuple[Case, ...]:
        """The cases in the order in which they are asked: that of the file, or a random one with a sequential gate."""
        return tuple(asking_order(self.cases, self.cases_sha256)) if self.is_sequential else self.cases

    @property
    def repeats(self) -> int:
        """How often each case is asked, at least 1."""
        return self.settings.stability.repeats

    @property
    def scorers(self) -> tuple[Scorer, ...]:
        """All scorers of the set, the deciding one first."""
        return (self.scorer, *(other.scorer for other in self.others.values()))

    @property
    def fingerprint(self) -> str:
        """Hash of the scorers' code that is not part of this package."""
        return joint_fingerprint(self.scorer, self.others)

    def check(self, case: Case) -> str | None:
        """Why any of the scorers cannot score a case; None if all can."""
        faults = (fault for other in self.others.values() if (fault := other.check(case)))
        return self.scorer.check(case) or next(faults, None)

    @property
    def asking(self) -> dict[str, AskingScorer]:
        """The scorers that ask a model, by name; that of the deciding one is empty."""
        named = {"": self.scorer, **{name: other.scorer for name, other in self.others.items()}}
        return {name: scorer for name, scorer in named.items() if isinstance(scorer, AskingScorer)}

    def score(self, case: Case, completion: Completion, replies: Replies = _NOTHING) -> Score:
        """
        Judge an answer by all scorers of the set.

        Args:
            case: The case.
            completion: The answer.
            replies: Replies of the models that the scorers ask, by name; that of the deciding one is empty.

        Raises:
            ScorerError: One of them gave no score, so that the answer has none.
        """
        score = _score(self.scorer, case, completion, replies.get("", ()))
        if not self.others:
            return score
        each = {name: other.score(case, completion, name, replies.get(name, ())) for name, other in self.others.items()}
        return replace(score, parts=each)

    @property
    def judges(self) -> dict[str, Calibration]:
        """The calibrations of the scorers that are judges, by name; that of the deciding one is empty."""
        each = {"": self.judge, **{name: other.judge for name, other in self.others.items()}}
        return {name: judge for name, judge in each.items() if judge is not None}

    def table(self, samples: Iterable[Sample]) -> SampleTable:
        """
        The plan of this set with the samples in their places; those of other sets are left out.

        Raises:
            ValueError: Two different samples claim one place.
        """
        table = lay_out(
            self.cases,
            samples,
            repeats=self.repeats,
            eval_set=self.name,
            cases_sha256=self.cases_sha256,
            expected_label=self.scorer.expected_label,
            parts={name: other.part for name, other in self.others.items()},
        )
        return table if self.judge is None else replace(table, judge=self.judge)

    def form(self, model: str) -> RequestForm:
        """What all requests to a model have in common."""
        if model not in self._forms:
            has_tools = "tools" in self.params or any(case.tools for case in self.cases)
            form = request_form(self.params, self.own_params, model, has_tools=has_tools, api=self.api)
            self._forms[model] = replace(form, notes=(*form.notes, *self._undecidable(form)))
        return self._forms[model]

    def _undecidable(self, form: RequestForm) -> list[str]:
        """What is known to be missing for a gate before the first request is paid for."""
        gates = [rule.label for rule in self.settings.rules if rule.metric in CONFIDENCE_METRICS]
        known = form.params.get("logprobs")
        return [] if known else [f"gate {gate} will be incomplete: no logprobs are requested" for gate in gates]

    def request(self, case: Case, model: str, attempt: int = 0) -> Request:
        """
        The request that a case sends to a model.

        Args:
            case: One of this set's cases; its own tools take the place of those in the settings.
            model: The model id as the server knows it.
            attempt: 0-based repeat; it is added to the seed, where there is one, so that repeats differ.
        """
        form = self.form(model)
        own: dict[str, Any] = {}
        if case.tools:
            own["tools"] = list(case.tools)
        if attempt and isinstance(seed := form.params.get("seed"), int):
            own["seed"] = seed + attempt
        # Most cases have nothing of their own: then all requests share one mapping.
        params = {**form.params, **own} if own else form.params
        messages = form.messages(case.messages)
        copy = self.copies.get(case.id, 0)
        return Request(model, messages, params, attempt, self.name, case.id, copy, form.api)
