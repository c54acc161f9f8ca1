"""Answers to chat requests: whole or streamed, and refusals of what the small model cannot do."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from pytest_finetune.evalset.messages import read_message
from pytest_finetune.evalset.reading import Faults
from pytest_finetune.server.wire import ApiError
from pytest_finetune.strict_json import parse_json

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from pytest_finetune.server.chat.pool import Pool

_UNSUPPORTED = {
    "tools": "This model cannot call tools: its prompt has no place for them.",
    "functions": "This model cannot call functions: its prompt has no place for them.",
    "audio": "This model reads and writes text alone.",
}
_OURS = frozenset({"timings", "__verbose"})
"""What llama.cpp adds to the answers that OpenAI's have not."""


class Completions:
    """
    Chat with the models of a pool.

    Args:
        pool: Where models are loaded.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """
        The whole answer to a request.

        Raises:
            ApiError: The request is refused.
        """
        check_chat(body)
        async with self._pool.relay(body["model"]) as relay:
            return _as_openai(await relay.answer({**body, "stream": False}), body["model"])

    async def stream(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """
        The chunks of an answer.

        Raises:
            ApiError: The request is refused, before the first chunk.
        """
        check_chat(body)
        async with self._pool.relay(body["model"]) as relay, aclosing(relay.stream(body)) as chunks:
            async for chunk in chunks:
                yield _as_openai(parse_json(chunk.decode()), body["model"])


def check_chat(body: dict[str, Any]) -> None:
    """
    Refuse what the engine would take without doing as told, or fail at.

    Raises:
        ApiError: The body has no model or messages, or asks for what there is not.
    """
    if type(body.get("model")) is not str or not body["model"]:
        raise ApiError("you must provide a model parameter", param="model")
    messages = body.get("messages")
    if type(messages) is not list or not messages:
        raise ApiError("'messages' is a list of at least one message.", param="messages", code="invalid_type")
    for index, message in enumerate(messages):
        faults = Faults("")
        if read_message(message, f"messages[{index}]", faults) is None:
            fault = faults.found[0]
            raise ApiError(f"{fault.problem}; {fault.hint}", param=f"messages[{index}]", code="invalid_value")
    for name, problem in _UNSUPPORTED.items():
        if body.get(name):
            raise ApiError(problem, param=name, code="unsupported_parameter")
    if body.get("n") not in (None, 1):
        raise ApiError("This server gives one answer a request: leave 'n' out.", param="n", code="unsupported_value")


def _as_openai(answer: dict[str, Any], model: str) -> dict[str, Any]:
    return {**{name: value for name, value in answer.items() if name not in _OURS}, "model": model}
