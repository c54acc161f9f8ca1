"""The base class of scorers that ask another model about each answer, such as a judge."""

from __future__ import annotations

from abc import abstractmethod
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.json_text import canonical_json
from pytest_finetune.verdicts.evalset.scorer import Scorer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.base.records import Case, Completion, Request, Score


class AskedModel(NamedTuple):
    """A model that a scorer asks: its spec, as `--model` takes it, and its server; empty for that of other models."""

    spec: str
    base_url: str = ""


class AskingScorer(Scorer):
    """
    A scorer whose score needs the replies of another model.

    It stays a pure function: it returns the requests, and turns the replies into a score. An evaluation sends the
    requests, with the retries, deadline and budget of all others, and records the replies with the sample.
    """

    __slots__ = ()

    compares: ClassVar[bool] = False
    """It compares the answer with that of a baseline."""

    @property
    @abstractmethod
    def asks(self) -> AskedModel:
        """The model."""

    @abstractmethod
    def questions(
        self, case: Case, completion: Completion, model: str, baseline: Completion | None = None
    ) -> tuple[Request, ...]:
        """
        What to ask about an answer; nothing if its score is known without.

        Args:
            case: The case.
            completion: The answer.
            model: The id of the asked model in requests.
            baseline: The baseline's answer, for a scorer that `compares`.

        Raises:
            ScorerError: The baseline's answer is needed and not known.
        """

    def received(self, reply: Completion, model: str) -> Completion:  # noqa: ARG002 - for settings per model
        """A reply as it is recorded and scored."""
        return reply

    @abstractmethod
    def score_replies(self, case: Case, completion: Completion, replies: Sequence[Completion]) -> Score:
        """
        The score of an answer, given one reply to each question.

        Raises:
            ScorerError: A reply is not usable; the answer is neither right nor wrong then.
        """

    def score(self, case: Case, completion: Completion) -> Score:
        """
        The score of an answer that nothing is asked about.

        Raises:
            ScorerError: Something is.
        """
        if not self.questions(case, completion, self.asks.spec):
            return self.score_replies(case, completion, ())
        raise ScorerError(f"{self.name} asks {self.asks.spec}, which only an evaluation does")


def request_sha256(request: Request) -> str:
    """Hash of everything that is sent: a recorded reply stands for this request and no other."""
    # An answer may contain half of a surrogate pair, which no request can be sent with.
    return sha256(canonical_json([request.api, request.body()]).encode("utf-8", "surrogatepass")).hexdigest()
