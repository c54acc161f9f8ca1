"""The embeddings API: what is sent, which vectors are read, and that anything odd is a failure and no similarity."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from typing import Any

import pytest
from scripted_server import Reply, ScriptedServer

from pytest_finetune.base.records import Completion, Failure, Message, Request, Usage
from pytest_finetune.evaluation.targets import OpenAITarget
from pytest_finetune.evaluation.targets.answer_parts import Malformed
from pytest_finetune.evaluation.targets.embeddings import read_embeddings


def asked(*texts: str, **params: Any) -> Request:
    return Request("e", tuple(Message("user", text) for text in texts), params, api="embeddings")


def body(*vectors: Any, **others: Any) -> dict[str, Any]:
    data = [{"object": "embedding", "index": place, "embedding": vector} for place, vector in enumerate(vectors)]
    return {"object": "list", "data": data, "model": "e-1", "usage": {"prompt_tokens": 7, "total_tokens": 7}, **others}


def similarities(value: Any) -> list[float]:
    found: list[float] = json.loads(read_embeddings(value).text)
    return found


def ask(server: ScriptedServer, request: Request) -> Completion | Failure:
    async def run() -> Completion | Failure:
        target = OpenAITarget("e", base_url=server.url, environ={})
        await target.open()
        try:
            return await target.ask(request, 5.0)
        finally:
            await target.close()

    return asyncio.run(run())


def test_the_first_text_is_compared_with_each_of_the_others() -> None:
    with ScriptedServer(lambda _: Reply(body=body([3, 4], [4, 3], [-6, -8], [3, 4]))) as server:
        found = ask(server, asked("a", "b", "c", "d", dimensions=2))
    assert isinstance(found, Completion)
    assert (json.loads(found.text), found.model, found.usage) == ([0.96, -1.0, 1.0], "e-1", Usage(7))
    (request,) = server.requests
    assert request.path == "/v1/embeddings"
    assert request.json == {"input": list("abcd"), "model": "e", "encoding_format": "float", "dimensions": 2}


def test_the_order_is_that_of_the_index() -> None:
    value = body([1, 0], [1, 0], [0, 1])
    value["data"] = [value["data"][at] for at in (2, 0, 1)]
    assert similarities(value) == [1.0, 0.0]


def test_base64_and_a_missing_index_are_read() -> None:
    packed = base64.b64encode(struct.pack("<2f", 1, 1)).decode()
    value = body(packed, packed, [1, 0])
    for each in value["data"]:
        del each["index"]
    assert similarities(value) == [1.0, 0.707107]


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        body(),
        {"data": [1]},
        body([], []),
        body([0, 0], [1, 0]),
        body([1, 0], [1]),
        body(["1"], [1]),
        body([True], [1]),
        body([float("nan")], [1]),
        body([1e308, 1e308], [1, 1]),
        body("!!", "!!"),
        body("AAA=", "AAA="),
        {"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]},
        {"data": [{"index": 1, "embedding": [1]}, {"index": 2, "embedding": [1]}]},
    ],
)
def test_what_is_no_list_of_vectors_is_malformed(value: Any) -> None:
    with pytest.raises(Malformed):
        read_embeddings(value)


def test_an_error_of_the_server_is_a_failure() -> None:
    refused = Reply(status=404, body={"error": {"message": "no such model", "code": "model_not_found"}})
    with ScriptedServer(lambda _: refused) as server:
        found = ask(server, asked("a", "b"))
    assert isinstance(found, Failure)
    assert (found.kind, found.fatal) == ("not_found", True)
