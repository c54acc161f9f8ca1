"""Training on servers whose answers differ from OpenAI's in content or timing."""

from __future__ import annotations

import json

import pytest
from server_process import BASE, chat_lines, needs_server, tiny_job, upload

from pytest_finetune.lifecycle.training import polling
from pytest_finetune.lifecycle.training import upload as uploads

pytestmark = needs_server

JOBS = "/fine_tuning/jobs"


def start(train, *words, seed, code=0):
    return train("start", "train.jsonl", "--model", BASE, "--seed", str(seed), "--no-check", *words, code=code)


def jobs(server, seed):
    return [job for job in server.client().fine_tuning.jobs.list(limit=100) if job.seed == seed]


def records(folder):
    return [json.loads(path.read_text()) for path in (folder / ".finetune" / "jobs").glob("*.json")]


@pytest.fixture
def ended(server):
    """A job that failed the server's data check."""
    client = server.client()
    return tiny_job(client, training_file=upload(client, chat_lines(3)))


def test_a_file_that_is_processed_after_the_upload_is_waited_for(train, proxy, server):
    statuses = ["pending", "running", "running", "processed"]

    def azure(path, value):
        if "/files" in path and value.get("object") == "file":
            # A job on a file that is not ready would be refused.
            assert proxy.count("POST", JOBS) == 0
            return {**value, "status": statuses.pop(0)}
        return value

    proxy.rewrite(azure)
    result = start(train, seed=201)
    assert statuses == []
    assert "the server is processing train.jsonl" in result.stderr
    assert len(jobs(server, 201)) == 1


def test_a_file_that_the_server_rejects_after_the_upload_starts_nothing(train, proxy, server):
    def reject(path, value):
        if value.get("object") == "file":
            return {**value, "status": "pending" if path.endswith("/files") else "error", "status_details": "line 3"}
        return value

    proxy.rewrite(reject)
    assert "the server rejected the file: line 3" in start(train, seed=202, code=2).output
    assert (proxy.count("POST", JOBS), jobs(server, 202)) == (0, [])


def test_a_file_that_is_never_processed_is_given_up(train, proxy, server, monkeypatch):
    monkeypatch.setattr(uploads, "LONGEST_PROCESSING", 0.05)
    proxy.rewrite(lambda _, value: {**value, "status": "pending"} if value.get("object") == "file" else value)
    assert "the file is still pending" in start(train, seed=203, code=2).output
    assert jobs(server, 203) == []


def test_a_creation_refused_by_a_rate_limit_is_retried_without_a_search(train, proxy, server):
    proxy.fail("POST", JOBS, times=2, status=429)
    result = start(train, seed=204)
    assert result.stderr.count("the server limits the rate") == 2
    assert len(jobs(server, 204)) == 1
    assert [method for method, path in proxy.seen if path.endswith(JOBS)] == ["POST"] * 3


def test_a_rate_limit_that_lasts_ends_the_start_and_creates_no_job(train, proxy, server, tmp_path):
    proxy.fail("POST", JOBS, times=9, status=429)
    assert "HTTP 429" in start(train, seed=205, code=2).output
    assert jobs(server, 205) == []
    assert [record["status"] for record in records(tmp_path)] == ["refused"]


def test_a_refusal_after_an_attempt_without_an_answer_keeps_the_record_that_finds_the_job(
    train, proxy, server, tmp_path
):
    proxy.fail("POST", JOBS, late=True)
    proxy.fail("POST", JOBS, times=2, status=400)
    start(train, seed=206, code=2)
    assert [record["status"] for record in records(tmp_path)] == [""]
    start(train, seed=206)
    assert len(jobs(server, 206)) == 1


def test_an_upload_refused_by_a_rate_limit_is_sent_again(train, proxy, server):
    proxy.fail("POST", "/files", times=2, status=429)
    assert start(train, seed=207).stderr.count("retrying") == 2
    assert len(jobs(server, 207)) == 1


def nameless(proxy, job, times):
    """A succeeded job whose model has no id in the first `times` answers."""
    seen = []

    def late(path, value):
        if path.endswith(job.id):
            seen.append(path)
            return {**value, "status": "succeeded", "fine_tuned_model": None if len(seen) <= times else "ft:late"}
        return value

    proxy.rewrite(late)
    return seen


def test_a_job_that_has_succeeded_is_watched_until_its_model_has_an_id(train, proxy, ended, tmp_path):
    seen = nameless(proxy, ended, 3)
    result = train("watch", ended.id, "--interval", "0.05")
    assert len(seen) == 4
    assert "registry:" in result.stdout
    assert "ft:late" in (tmp_path / "registry.json").read_text()


def test_a_job_whose_model_never_gets_an_id_is_an_error_and_adds_nothing(train, proxy, ended, monkeypatch, tmp_path):
    monkeypatch.setattr(polling, "UNNAMED_LIMIT", 0.05)
    nameless(proxy, ended, 10**6)
    result = train("watch", ended.id, "--interval", "0.05", code=2)
    assert "has not sent the id of its model" in result.output
    assert not (tmp_path / "registry.json").exists()
