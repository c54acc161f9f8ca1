"""Answers chat requests, as a whole or streamed; refuses what the small model cannot do."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import did_you_mean
from pytest_finetune.base.strict_json import parse_json
from pytest_finetune.server.wire import ApiError
from pytest_finetune.verdicts.evalset.messages import read_message
from pytest_finetune.verdicts.evalset.reading import Faults

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from pytest_finetune.server.chat.pool import ModelPool

_UNSUPPORTED = {
    "tools": "This model cannot call tools: its prompt template does not support them.",
    "functions": "This model cannot call functions: its prompt template does not support them.",
    "audio": "This model reads and writes only text.",
}
_PARAMETERS = frozenset(
    {
        *("model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "stop", "seed"),
        *("temperature", "top_p", "frequency_penalty", "presence_penalty", "logit_bias", "logprobs", "top_logprobs"),
        *("response_format", "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call", "audio"),
        # Parameters of llama.cpp that OpenAI's API does not have.
        *("top_k", "min_p", "typical_p", "repeat_penalty", "repeat_last_n", "dynatemp_range", "dynatemp_exponent"),
        *("mirostat", "mirostat_tau", "mirostat_eta", "samplers", "grammar", "json_schema", "ignore_eos"),
        *("n_predict", "cache_prompt", "chat_template_kwargs"),
        # Parameters that do not affect the answer.
        *("user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "modalities"),
    }
)
_RESPONSE_FORMATS = ("text", "json_object", "json_schema")
_ENGINE_KEYS = frozenset({"timings", "__verbose"})
"""Keys that llama.cpp adds to answers, and OpenAI's API does not have."""


class Completions:
    """
    Chat completions from the models of a pool.

    Args:
        pool: The loaded models.
    """

    def __init__(self, pool: ModelPool) -> None:
        self._pool = pool

    async def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """
        Answer a request.

        Raises:
            ApiError: The request is refused.
        """
        check_chat(body)
        async with self._pool.relay(body["model"]) as relay:
            return _as_openai(await relay.answer({**body, "stream": False}), body["model"])

    async def stream(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """
        Stream the chunks of an answer.

        Raises:
            ApiError: The request is refused, before the first chunk.
        """
        check_chat(body)
        async with self._pool.relay(body["model"]) as relay, aclosing(relay.stream(body)) as chunks:
            async for chunk in chunks:
                yield _as_openai(parse_json(chunk.decode()), body["model"])


def check_chat(body: dict[str, Any]) -> None:
    """
    Refuse parameters that the engine would ignore or fail on.

    Raises:
        ApiError: The body has no model or messages, or asks for a feature that is not supported.
    """
    if type(body.get("model")) is not str or not body["model"]:
        raise ApiError("you must provide a model parameter", param="model")
    _check_messages(body.get("messages"))
    _check_parameters(body)


def _check_messages(messages: object) -> None:
    if type(messages) is not list or not messages:
        raise ApiError("'messages' is a list of at least one message.", param="messages", code="invalid_type")
    for index, message in enumerate(messages):
        faults = Faults("")
        if read_message(message, f"messages[{index}]", faults) is None:
            fault = faults.found[0]
            raise ApiError(f"{fault.problem}; {fault.hint}", param=f"messages[{index}]", code="invalid_value")
        content = message["content"] if type(message.get("content")) is list else ()
        if any(part["type"] != "text" for part in content):
            raise ApiError(_UNSUPPORTED["audio"], param=f"messages[{index}]", code="unsupported_value")


def _check_parameters(body: dict[str, Any]) -> None:
    for name, problem in _UNSUPPORTED.items():
        if body.get(name):
            raise ApiError(problem, param=name, code="unsupported_parameter")
    for name in body.keys() - _PARAMETERS:
        message = f"Unrecognized request argument supplied: {name}; {did_you_mean(name, _PARAMETERS)}"
        raise ApiError(message, param=name, code="unknown_parameter")
    response_format = body.get("response_format")
    if response_format is not None and (
        type(response_format) is not dict or response_format.get("type") not in _RESPONSE_FORMATS
    ):
        message = f"'response_format' is an object whose 'type' is one of {', '.join(_RESPONSE_FORMATS)}."
        raise ApiError(message, param="response_format", code="invalid_value")
    for name in ("max_tokens", "max_completion_tokens"):
        limit = body.get(name)
        if limit is not None and type(limit) is not int:
            raise ApiError(f"Invalid type for '{name}': expected an integer.", param=name, code="invalid_type")
        if limit is not None and limit < 1:
            message = f"Invalid '{name}': integer below minimum value. Expected a value >= 1, but got {limit} instead."
            raise ApiError(message, param=name, code="integer_below_min_value")
    if body.get("n") not in (None, 1):
        raise ApiError("This server returns one answer per request: omit 'n'.", param="n", code="unsupported_value")


def _as_openai(answer: dict[str, Any], model: str) -> dict[str, Any]:
    return {**{name: value for name, value in answer.items() if name not in _ENGINE_KEYS}, "model": model}
