"""From a response to a sample: its answer is scored, and whatever goes wrong is an errored sample."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pytest_finetune.base.daemon_thread import in_daemon_thread
from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.records import Failure, Sample, State
from pytest_finetune.base.text import described
from pytest_finetune.evaluation.runs import prompt_sha256

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pytest_finetune.base.records import Completion, Reply, Score
    from pytest_finetune.evaluation.engine import Response
    from pytest_finetune.evaluation.plan import Planned
    from pytest_finetune.verdicts.evalset.scorer import Scorer

LONG_ANSWER = 20_000
"""Characters of an answer that are scored in a thread, whatever the scorer: parsing and comparing take long."""


async def score_response(
    response: Response[Planned],
    deadline: float,
    ask: Callable[[Planned, Completion], Awaitable[tuple[Reply, ...]]] | None = None,
) -> Sample:
    """
    The sample of a response.

    Args:
        response: A completion or a failure.
        deadline: Seconds that scoring may take.
        ask: Gets the replies that a scorer asks for.
    """
    planned, outcome = response.to.key, response.outcome
    sent = prompt_sha256(response.to.request)
    if isinstance(outcome, Failure):
        return Sample(*planned.key, State.ERROR, None, None, outcome, response.cost, sent)
    completion = planned.eval_set.form(response.to.request.model).answer(outcome)
    replies = () if ask is None else await ask(planned, completion)
    score = await _score(planned, completion, deadline, replies)
    if isinstance(score, Failure):
        return Sample(*planned.key, State.ERROR, completion, None, score, response.cost, sent, replies)
    state = State.PASSED if score.passed else State.MISSED
    return Sample(*planned.key, state, completion, score, None, response.cost, sent, replies)


async def _score(
    planned: Planned, completion: Completion, deadline: float, replies: tuple[Reply, ...]
) -> Score | Failure:
    """The score of an answer, or why its scorer gave none."""
    scorer, eval_set = planned.eval_set.scorer, planned.eval_set
    about: dict[str, list[Completion]] = {}
    try:
        for reply in replies:
            if reply.failure is not None:
                asking = eval_set.asking[reply.scorer]
                name = reply.scorer or asking.name
                return Failure("scorer", f"{name} {asking.asks.spec}: {reply.failure.message}", reply.failure.status)
            if reply.completion is not None:
                about.setdefault(reply.scorer, []).append(reply.completion)
        if not any(_may_be_slow(each, completion) for each in eval_set.scorers):
            return eval_set.score(planned.case, completion, about)
        async with asyncio.timeout(deadline):
            score: Score = await in_daemon_thread(lambda: eval_set.score(planned.case, completion, about))
            return score
    except TimeoutError:
        names = ", ".join((scorer.name, *eval_set.others))
        return Failure("scorer", f"{names} took longer than {deadline:g} s")
    except ScorerError as error:
        return Failure("scorer", str(error))
    except BaseException as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        # An answer that breaks a scorer is one errored sample, not the end.
        return Failure("scorer", f"{scorer.name} broke on this answer: {described(error)}")


def _may_be_slow(scorer: Scorer, completion: Completion) -> bool:
    """Whether scoring could hold up the event loop, which would count as latency of the other requests."""
    schema = scorer.schema
    return scorer.blocking or len(completion.text) > LONG_ANSWER or (schema is not None and schema.may_be_slow)
