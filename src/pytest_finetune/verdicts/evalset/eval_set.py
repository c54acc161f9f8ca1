"""An eval set that has been read without a fault, and the requests that its cases become."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.records import Request
from pytest_finetune.verdicts.metrics import lay_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pytest_finetune.base.records import Case, Sample
    from pytest_finetune.verdicts.evalset.scorer import Scorer
    from pytest_finetune.verdicts.evalset.settings import EvalSettings
    from pytest_finetune.verdicts.metrics import SampleTable

_FIXED = {"response_format", "response_schema", "extra_body"}


@dataclass(frozen=True, slots=True, eq=False)
class EvalSet:
    """
    One JSONL file with the settings beside it; equal only to itself, so that it can be a key.

    Args:
        name: Posix path of the file relative to the root; names the set in node ids and runs.
        path: The file.
        cases: In file order, ids unique.
        settings: How the cases are asked, scored and gated.
        scorer: Made from the settings; every case's expected answer has passed its check.
        cases_sha256: Hash of all that the cases say, in file order; line ends, blank lines, shapes and key order
            do not change it, ids, tags and metadata do.
        settings_sha256: Hash of the settings; comments and key order do not change it.
        schema_sha256: Hash of the bytes of the schema files that the settings name; empty when they name none.
        warnings: Probable mistakes that do not stop a run.
        params: The request parameters that all cases share.
        copies: By case id, how many earlier cases of the session send the same request; only those with at least one.
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
    copies: Mapping[str, int] = field(default_factory=dict, repr=False)

    @property
    def repeats(self) -> int:
        """How often each case is asked, at least 1."""
        return self.settings.stability.repeats

    def table(self, samples: Iterable[Sample]) -> SampleTable:
        """
        The plan of this set with the samples in their places; those of other sets are left out.

        Raises:
            ValueError: Two different samples claim one place.
        """
        return lay_out(
            self.cases,
            samples,
            repeats=self.repeats,
            eval_set=self.name,
            cases_sha256=self.cases_sha256,
            expected_label=self.scorer.expected_label,
        )

    def request(self, case: Case, model: str, attempt: int = 0) -> Request:
        """
        The question that a case asks a model.

        Args:
            case: One of this set's cases; its own tools take the place of those in the settings.
            model: The model id as the server knows it.
            attempt: 0-based repeat; it is added to the seed, where there is one, so that repeats differ.
        """
        own: dict[str, Any] = {}
        if case.tools:
            own["tools"] = list(case.tools)
        if attempt and self.settings.request.seed is not None:
            own["seed"] = self.settings.request.seed + attempt
        # Most cases have nothing of their own: then all requests share one mapping.
        params = {**self.params, **own} if own else self.params
        return Request(model, case.messages, params, attempt, self.name, case.id, self.copies.get(case.id, 0))


def request_params(settings: EvalSettings, response_schema: Any = None) -> dict[str, Any]:
    """
    Everything of the request body that the settings decide; what they leave out is not sent.

    Args:
        settings: Their `[stability]` temperature goes before the one of `[request]`; `extra_body` before all.
        response_schema: The JSON Schema that `response_schema` names, where it names one.
    """
    asked = settings.request.model_dump(exclude_none=True, exclude=_FIXED)
    if settings.stability.temperature is not None:
        asked["temperature"] = settings.stability.temperature
    chosen = settings.request.response_format
    if chosen is not None:
        asked["response_format"] = {"type": chosen} if isinstance(chosen, str) else chosen
    if settings.request.response_schema is not None:
        asked["response_format"] = _strict_format(settings.request.response_schema, response_schema)
    return {**asked, **settings.request.extra_body}


def _strict_format(file: str, schema: Any) -> dict[str, Any]:
    stem = file.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".json").removesuffix(".schema")
    # Servers take at most 64 of these characters.
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", stem)[:64] or "answer"
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}
