"""Batches over HTTP: answered, partly refused, cancelled, or refused as a whole with the line at fault."""

from __future__ import annotations

import json

import openai
import pytest
from openai.types import Batch
from server_process import BASE, chat_lines, needs_server, upload, wait_for

from pytest_finetune import evaluate

pytestmark = needs_server

ENDPOINT = "/v1/chat/completions"
ENDED = ("completed", "failed", "cancelled")


def row(number, **body):
    body = {"model": BASE, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3, "temperature": 0, **body}
    return {"custom_id": f"r-{number}", "method": "POST", "url": ENDPOINT, "body": body}


def start(client, rows, **options):
    data = rows if type(rows) is bytes else "".join(json.dumps(row) + "\n" for row in rows).encode()
    name = upload(client, data, purpose="batch", name="batch.jsonl")
    return client.batches.create(input_file_id=name, endpoint=ENDPOINT, completion_window="24h", **options)


def ended(client, batch):
    return wait_for(lambda: client.batches.retrieve(batch.id), lambda seen: seen.status in ENDED)


def lines(client, name):
    return {line["custom_id"]: line for line in map(json.loads, client.files.content(name).text.splitlines())}


def test_answers_and_errors_go_to_separate_files_and_are_counted(client):
    batch = ended(client, start(client, [row(1), row(2, model="gone"), row(3)], metadata={"a": "b"}))
    raw = client.batches.with_raw_response.retrieve(batch.id).http_response.json()
    Batch.model_validate(raw)
    assert (batch.status, batch.metadata) == ("completed", {"a": "b"})
    counts = batch.request_counts
    assert (counts.total, counts.completed, counts.failed) == (3, 2, 1)
    good, bad = lines(client, batch.output_file_id), lines(client, batch.error_file_id)
    assert set(good) == {"r-1", "r-3"}
    assert good["r-1"]["response"]["body"]["choices"][0]["message"]["content"]
    assert good["r-1"]["error"] is None
    assert bad["r-2"]["response"]["status_code"] == 404
    assert bad["r-2"]["response"]["body"]["error"]["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row(1), row(1)], "'r-1' is repeated"),
        ([row(1), {**row(2), "url": "/v1/embeddings"}], "another endpoint"),
        ([row(1), {**row(2), "method": "GET"}], "another endpoint"),
        ([row(1), {**row(2), "custom_id": 2}], "no custom_id"),
        ([row(1), {**row(2), "body": []}], "no body"),
        ([row(1), {**row(2), "boody": {}}], "unknown key 'boody'; did you mean 'body'"),
        (json.dumps(row(1)).encode() + b"\n{", "not strict JSON"),
    ],
)
def test_a_bad_line_fails_the_whole_batch_and_is_named(client, rows, message):
    batch = ended(client, start(client, rows))
    assert batch.status == "failed"
    (error,) = batch.errors.data
    assert error.line == 2
    assert message in error.message


def test_a_cancelled_batch_keeps_the_answers_so_far(client):
    batch = start(client, [row(number, max_tokens=20) for number in range(200)])
    wait_for(lambda: client.batches.retrieve(batch.id).request_counts.completed, lambda count: count >= 1)
    assert client.batches.cancel(batch.id).status == "cancelling"
    batch = ended(client, batch)
    assert batch.status == "cancelled"
    assert 1 <= batch.request_counts.completed < 200
    assert len(lines(client, batch.output_file_id)) == batch.request_counts.completed
    with pytest.raises(openai.BadRequestError, match="cancelled"):
        client.batches.cancel(batch.id)


def test_batches_are_listed_newest_first(client):
    created = [start(client, [row(1)]).id for _ in range(3)]
    listed = [batch.id for batch in client.batches.list(limit=2)]
    assert [name for name in listed if name in created] == created[::-1]


def test_an_invalid_batch_is_refused(client):
    name = upload(client, chat_lines(1))
    with pytest.raises(openai.BadRequestError, match="purpose"):
        client.batches.create(input_file_id=name, endpoint=ENDPOINT, completion_window="24h")
    with pytest.raises(openai.BadRequestError, match="endpoint"):
        client.batches.create(input_file_id=name, endpoint="/v1/embeddings", completion_window="24h")
    with pytest.raises(openai.NotFoundError):
        client.batches.create(input_file_id="file-no", endpoint=ENDPOINT, completion_window="24h")
    with pytest.raises(openai.NotFoundError):
        client.batches.retrieve("batch_no")


def test_an_evaluation_by_batch_has_the_answers_of_requests_one_by_one(running, tmp_path):
    """Greedy answers of the real model, over the real socket."""
    cases = [{"id": f"c{number}", "input": f"Say {number}.", "expected": "x"} for number in range(5)]
    path = tmp_path / "eval_sets" / "words.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps(case) + "\n" for case in cases), "utf-8")
    path.with_suffix(".toml").write_text("[request]\nmax_tokens = 5\n[[gates]]\nmin = 0.1\n", "utf-8")
    evaluated = [
        evaluate(path, model=BASE, base_url=running.url, folder=tmp_path, batch=batch) for batch in (True, False)
    ]

    by_batch, one_by_one = ({row["case"]: row["answer"] for row in each.to_dicts()} for each in evaluated)
    assert by_batch == one_by_one
    assert all(by_batch.values())
    assert [len(each.run.manifest.batches) for each in evaluated] == [1, 0]
    assert evaluated[0].run.manifest.closed
