"""Chat over HTTP with the official client: complete, streamed, with a schema, and refused."""

from __future__ import annotations

import http.client
import json
import time
from urllib.parse import urlsplit

import openai
import pytest
from openai.types import Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from server_process import BASE, needs_server, wait_for

pytestmark = needs_server

SYSTEM = {"role": "system", "content": "You answer in few words."}
HI = [SYSTEM, {"role": "user", "content": "Say hello to Ada."}]


def ask(client, **options):
    options = {"model": BASE, "messages": HI, "temperature": 0, "max_completion_tokens": 8, **options}
    return client.chat.completions.create(**options)


def test_an_answer_has_the_client_s_type_and_is_reproducible(client):
    created = client.chat.completions.with_raw_response.create(
        model=BASE, messages=HI, temperature=0, max_completion_tokens=8
    )
    answer = ChatCompletion.model_validate(created.http_response.json())
    assert answer.choices[0].message.content
    assert answer.model == BASE
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 8
    other = ask(client, messages=[SYSTEM, {"role": "user", "content": "Name a colour."}])
    assert other.choices[0].message.content != answer.choices[0].message.content
    assert ask(client).choices[0].message.content == answer.choices[0].message.content


def test_a_stream_has_the_same_text_and_ends_with_the_usage(client):
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk.to_dict())
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == ask(client).choices[0].message.content
    assert chunks[-1].usage.completion_tokens == 8
    assert {chunk.model for chunk in chunks} == {BASE}


def test_an_abandoned_stream_does_not_delay_other_requests(client):
    with ask(client, stream=True, max_completion_tokens=2000) as stream:
        next(iter(stream))
    assert ask(client).choices[0].message.content


def leave_early(url, body):
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    connection.request("POST", "/v1/chat/completions", body)
    # Long enough for the answer to start; otherwise the test would check less.
    time.sleep(0.3)
    connection.close()


def test_an_abandoned_answer_is_not_computed_to_its_end(running, client):
    before = len(chat_lines_in_log(running))
    long = {"model": BASE, "messages": HI, "ignore_eos": True, "max_completion_tokens": 3900}
    for _ in range(3):
        leave_early(running.url, json.dumps(long).encode())
    assert ask(client).choices[0].message.content
    lines = wait_for(lambda: chat_lines_in_log(running)[before:], lambda lines: len(lines) == 4)
    assert sorted(line.split()[3] for line in lines) == ["200", "400", "400", "400"]


def chat_lines_in_log(running):
    """The lines that the server logged for chat requests."""
    return [line for line in running.errors.read_text("utf-8").splitlines() if "/v1/chat/completions" in line]


def test_an_answer_follows_the_schema_of_its_request(client):
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    shape = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema | {"additionalProperties": False}}}
    text = ask(client, response_format=shape, max_completion_tokens=40).choices[0].message.content
    assert text.replace(" ", "").replace("\n", "") in ('{"ok":true}', '{"ok":false}')


def test_a_seed_makes_a_sampled_answer_reproducible(client):
    first, second = (ask(client, temperature=1.0, seed=5).choices[0].message.content for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize(
    ("limit", "problem"), [(0, "below minimum"), (-1, "below minimum"), ("8", "an integer"), (True, "an integer")]
)
def test_a_limit_of_less_than_one_token_is_refused(client, name, limit, problem):
    body = {"model": BASE, "messages": HI, name: limit}
    with pytest.raises(openai.BadRequestError, match=problem):
        client.chat.completions.create(**body)


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0]"),
        ({"n": 2}, "n"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}, "tools"),
        ({"model": ""}, "model"),
        ({"extra_body": {"temprature": 0}}, "temprature"),
        ({"extra_body": {"lora": []}}, "lora"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "jsn"}}, "response_format"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages[0]",
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_unsupported_parameter_is_refused_by_name(client, options, param, stream):
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, stream=stream, **options)
    assert refused.value.param == param


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_of_the_engine_is_an_error_in_openais_shape(client, stream):
    with pytest.raises(openai.BadRequestError, match="temperature") as refused:
        ask(client, temperature="hot", stream=stream)
    assert refused.value.type == "invalid_request_error"


def test_a_prompt_that_is_too_long_has_openais_code(client):
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, messages=[{"role": "user", "content": "x " * 5000}])
    assert refused.value.code == "context_length_exceeded"


@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_model_is_not_found(client, stream):
    with pytest.raises(openai.NotFoundError) as refused:
        ask(client, model="ft:smollm2-135m:local:gone:12345678", stream=stream)
    assert refused.value.code == "model_not_found"


def test_the_base_model_is_listed_and_cannot_be_deleted(client):
    listed = client.models.list().data
    assert BASE in [Model.model_validate(model.to_dict()).id for model in listed]
    assert client.models.retrieve(BASE).id == BASE
    with pytest.raises(openai.PermissionDeniedError):
        client.models.delete(BASE)
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-9")
