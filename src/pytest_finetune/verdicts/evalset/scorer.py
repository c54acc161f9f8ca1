"""The base class of scorers: everything that the rest of the program asks of one, with a default for most of it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from pytest_finetune.base.records import Completion
from pytest_finetune.base.text import shorten, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import Any, Self

    from pydantic import BaseModel

    from pytest_finetune.base.records import Case, Score
    from pytest_finetune.verdicts.evalset.settings import EvalSettings
    from pytest_finetune.verdicts.json_schema.validation import Schema

SCORER_METRICS = frozenset(
    {"macro_f1", "weighted_f1", "recall", "score", "win_rate", "field_accuracy", "valid_rate", "format_stability"}
)
"""Metrics that only some scorers can compute."""


class Scorer(ABC):
    """
    Judges the answers of one eval set.

    A scorer is a pure function of case and completion, and no answer can crash or hang it. To add one, derive from
    this class in a module of `verdicts/scoring/scorers/` that has the scorer's name, or in another package under the
    entry-point group `pytest_finetune.scorers`. Only `name` and `score` are required.
    """

    __slots__ = ()

    name: str
    """As the settings write it."""

    settings: ClassVar[frozenset[str]] = frozenset()
    """Those of `normalize`, `labels`, `schema`, `dialect` and `scorer_files` that it reads; any other is refused."""

    options: ClassVar[type[BaseModel] | None] = None
    """What it reads from the table `[scorer]` besides `type` and `settings`; any other key is refused."""

    metrics: ClassVar[frozenset[str]] = frozenset()
    """Those of `SCORER_METRICS` that its scores support."""

    blocking: ClassVar[bool] = False
    """Scoring may take long or wait, so that an event loop must run it in a thread."""

    fingerprinted: ClassVar[bool] = False
    """It has a `fingerprint`, which is part of the hash of the eval set's settings."""

    fence: ClassVar[str] = ""
    """Language tag of the Markdown fence that a model puts around such an answer: `json`, `sql`."""

    accepts: ClassVar[bool] = False
    """It reads the `accept` of a line: other right values by JSON path."""

    holds_json: ClassVar[bool] = False
    """Answers may be JSON values, so that a self-test can damage a key or a type."""

    form_decides: ClassVar[bool] = False
    """Any answer of the required form passes, so that a gate on `valid_rate` guards the quality."""

    explains_by_path: ClassVar[bool] = False
    """`explain` gives one line per JSON path, which says more than marking the words that differ."""

    @classmethod
    def make(cls, settings: EvalSettings, folder: Path) -> Self:  # noqa: ARG003 - for scorers that read settings
        """
        The scorer for an eval set with these settings.

        Args:
            settings: The settings of the eval set.
            folder: The eval set's folder; schema files are relative to it.

        Raises:
            ScorerError: The settings do not suit the scorer.
        """
        return cls()

    @classmethod
    def reports(cls, metric: str, settings: EvalSettings) -> bool:  # noqa: ARG003 - a function depends on its gates
        """Whether reports show one of `SCORER_METRICS` for an eval set with these settings."""
        return metric in cls.metrics

    @abstractmethod
    def score(self, case: Case, completion: Completion) -> Score:
        """
        Judge an answer to a case that `check` accepted.

        Raises:
            ScorerError: A user's scoring function broke; no answer makes any other scorer raise.
        """

    def check(self, case: Case) -> str | None:  # noqa: ARG002 - accepts every case
        """Why the case cannot be scored, reported when the eval set is loaded; None if it can."""
        return None

    def faults(self, cases: Sequence[Case]) -> Iterator[tuple[tuple[str | int, ...], str, str]]:  # noqa: ARG002
        """Keys of `[scorer]` that have no effect on any of the cases: the key's path, the problem and the remedy."""
        return iter(())

    def explain(self, case: Case, completion: Completion) -> list[str]:
        """The difference between a wrong answer and the expected one, in a few lines for a terminal."""
        from pytest_finetune.base.diff import WIDTH, text_diff

        if not case.expected:
            return [f"got {shorten(completion.text or '(nothing)', WIDTH)}"]
        expected = case.expected[0]
        return text_diff(expected if isinstance(expected, str) else shown(expected, 10_000), completion.text)

    def right_answers(self, case: Case) -> Iterator[Completion]:
        """Answers that should pass, for the self-test's perfect model; the first that does pass is taken."""
        if case.tool_calls:
            yield Completion("", "tool_calls", tool_calls=case.tool_calls)
        for expected in case.expected:
            yield Completion(expected if isinstance(expected, str) else json_text(expected))

    @property
    def labels(self) -> tuple[str, ...]:
        """The allowed answers, where answers are labels."""
        return ()

    @property
    def expected_label(self) -> Callable[[Case], str] | None:
        """Gives the label that a case expects, after normalizing; None where answers are not labels."""
        return None

    def normalized(self, text: str) -> str:
        """A text as it is compared."""
        return text

    @property
    def schema(self) -> Schema | None:
        """The JSON Schema that every answer must satisfy."""
        return None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What looks doubtful in the settings, such as an unknown keyword in the schema."""
        return ()

    @property
    def fingerprint(self) -> str:
        """Hash of code that is not part of this package; another fingerprint makes runs incomparable."""
        return ""


def json_text(value: Any) -> str:
    """A JSON value as a model would write it."""
    return json.dumps(value, ensure_ascii=False, default=dict)
