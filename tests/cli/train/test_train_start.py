"""`train start` over HTTP against the real server, through a proxy that simulates network failures."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import subprocess
import sys
import termios
import time
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from server_process import BASE, chat_lines, needs_server

from pytest_finetune.cli import main
from pytest_finetune.lifecycle.training import job_search, service

pytestmark = needs_server

JOBS = "/fine_tuning/jobs"
MAIN = "from pytest_finetune.cli import main; main(prog_name='pytest-finetune')"


def start(train, *words, seed, code=0, **how):
    """Run `train start`; each seed is a different request."""
    options = ("--model", BASE, "--seed", str(seed), "--no-check", *words)
    return train("start", "train.jsonl", *options, code=code, **how)


def jobs(server, seed):
    """The jobs that the server lists for this seed."""
    return [job for job in server.client().fine_tuning.jobs.list(limit=100) if job.seed == seed]


def records(folder):
    return [json.loads(path.read_text()) for path in (folder / ".finetune" / "jobs").glob("*.json")]


def test_start_creates_the_requested_job(train, server, tmp_path):
    (tmp_path / "valid.jsonl").write_bytes(chat_lines(3, start=50))
    words = ("--validation", "valid.jsonl", "--suffix", "neat", "--epochs", "1", "--batch-size", "auto", "--json")
    started = json.loads(start(train, *words, seed=100).stdout)
    (job,) = jobs(server, 100)
    (record,) = records(tmp_path)
    assert (started["how"], started["job"]["id"], started["nonce"]) == ("created", job.id, record["nonce"])
    assert (job.model, job.user_provided_suffix) == (BASE, "neat")
    assert job.method.supervised.hyperparameters.n_epochs == 1
    assert job.metadata["finetune_nonce"] == record["nonce"]
    assert job.metadata["training_sha256"] == record["wanted"]["training"]["sha256"]
    assert job.metadata["validation_sha256"] == record["wanted"]["validation"]["sha256"]
    assert (record["job_id"], record["wanted"]["training"]["file_id"]) == (job.id, job.training_file)
    content = server.client().files.content(job.training_file).read()
    assert content == (tmp_path / "train.jsonl").read_bytes()


def test_the_record_is_written_before_the_first_request(train, proxy, tmp_path):
    seen = []
    proxy.rewrite(lambda path, value: (seen.append(records(tmp_path)) if path.endswith("/files") else None) or value)
    start(train, seed=101)
    ((record,),) = seen
    assert (record["job_id"], record["status"]) == ("", "")


def test_a_500_after_the_job_was_created_creates_no_second_one(train, proxy, server, tmp_path):
    proxy.fail("POST", JOBS, carried_out=True)
    result = start(train, seed=102)
    assert "searching for the job before retrying" in result.stderr
    assert "an earlier attempt had already created this job" in result.stdout
    (job,) = jobs(server, 102)
    assert [record["job_id"] for record in records(tmp_path)] == [job.id]
    assert proxy.count("POST", JOBS) == 1


def test_a_500_without_a_job_is_retried_after_a_search(train, proxy, server):
    proxy.fail("POST", JOBS, times=2)
    start(train, seed=103)
    assert len(jobs(server, 103)) == 1
    methods = [method for method, path in proxy.seen if path.endswith(JOBS)]
    assert methods == ["POST", "GET", "GET", "POST", "GET", "GET", "POST", "GET"]


def test_a_server_that_never_creates_the_job_is_given_up(train, proxy, server):
    proxy.fail("POST", JOBS, times=9)
    assert "did not create the job in 3 attempts" in start(train, seed=104, code=2).output
    assert (proxy.count("POST", JOBS), jobs(server, 104)) == (3, [])


def test_a_timeout_creates_no_second_job(train, proxy, server, monkeypatch):
    monkeypatch.setattr(service, "CREATE_TIMEOUT", 0.3)
    proxy.silence("POST", JOBS)
    monkeypatch.setattr(job_search, "SEARCH_DELAYS", (0.0, 5.0))
    result = start(train, seed=105)
    assert "timed out" in result.stderr
    assert len(jobs(server, 105)) == 1


def test_if_the_search_fails_too_the_next_start_finds_the_job(train, proxy, server):
    proxy.fail("POST", JOBS, carried_out=True)
    proxy.fail("GET", JOBS, times=9)
    result = start(train, seed=106, code=2)
    assert "cannot tell whether the job was created" in result.output
    assert proxy.count("POST", JOBS) == 1
    proxy._faults.clear()
    assert "an earlier attempt had already created this job" in start(train, seed=106).stdout
    assert (len(jobs(server, 106)), proxy.count("POST", JOBS)) == (1, 1)


@pytest.mark.slow
def test_a_killed_start_is_completed_by_the_next(train, proxy, server, tmp_path):
    proxy.silence("POST", JOBS)
    command = [
        sys.executable,
        "-c",
        MAIN,
        "train",
        "start",
        "train.jsonl",
        "--model",
        BASE,
        "--seed",
        "107",
        "--no-check",
    ]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        proxy.wait_for("POST", JOBS)
        deadline = time.monotonic() + 30
        while not jobs(server, 107) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    assert "an earlier attempt had already created this job" in start(train, seed=107).stdout
    (job,) = jobs(server, 107)
    assert [record["job_id"] for record in records(tmp_path)] == [job.id]


def test_if_the_first_creation_is_late_the_second_job_is_cancelled(train, proxy, server, tmp_path):
    """The first creation is processed after both searches, just before the second; both have the same nonce."""
    (tmp_path / "train.jsonl").write_bytes(chat_lines(10))
    proxy.fail("POST", JOBS, late=True)
    started = json.loads(start(train, "--json", seed=108).stdout)
    train("cancel", started["job"]["id"])
    first, second = sorted(jobs(server, 108), key=lambda job: (job.created_at, job.id))
    assert first.metadata == second.metadata
    kept = {started["job"]["id"], records(tmp_path)[0]["job_id"]}
    assert kept == {first.id}
    assert started["cancelled"] == [second.id]


def test_a_second_job_that_has_already_ended_is_reported(train, proxy, server):
    proxy.fail("POST", JOBS, late=True)
    result = start(train, seed=119)
    assert "is a duplicate of the job and could not be cancelled" in result.stderr
    assert result.stdout.startswith("9 examples")


def test_without_metadata_the_creation_is_not_repeated(train, proxy, server):
    def forget(path, value):
        for job in value.get("data", []) if path.endswith(JOBS) else []:
            job["metadata"] = None
        return value

    proxy.rewrite(forget)
    proxy.fail("POST", JOBS, carried_out=True)
    assert "its metadata has no nonce" in start(train, seed=109, code=2).output
    assert (len(jobs(server, 109)), proxy.count("POST", JOBS)) == (1, 1)


def test_an_upload_that_is_reset_is_sent_again(train, proxy, server, tmp_path):
    proxy.reset("POST", "/files", times=2)
    result = start(train, seed=110)
    assert result.stderr.count("retrying") == 2
    (job,) = jobs(server, 110)
    assert server.client().files.content(job.training_file).read() == (tmp_path / "train.jsonl").read_bytes()


def test_an_upload_that_always_fails_creates_no_job(train, proxy, server):
    proxy.reset("POST", "/files", times=9)
    assert "no connection" in start(train, seed=111, code=2).output
    assert (proxy.count("POST", JOBS), jobs(server, 111)) == (0, [])


def test_an_uploaded_file_is_reused(train, proxy, tmp_path):
    start(train, seed=112)
    result = start(train, seed=113)
    assert "is already on the server" in result.stderr
    assert proxy.count("POST", "/files") == 1
    (tmp_path / "train.jsonl").write_bytes(chat_lines(9, answer="fine, thanks"))
    start(train, seed=113)
    assert proxy.count("POST", "/files") == 2


def test_a_file_that_changes_while_it_is_sent_starts_nothing(train, proxy, server, tmp_path):
    def meddle(path, value):
        if path.endswith("/files"):
            (tmp_path / "train.jsonl").write_bytes(chat_lines(8))
        return value

    proxy.rewrite(meddle)
    assert "changed during the upload" in start(train, seed=114, code=2).output
    assert jobs(server, 114) == []


def test_a_refusal_is_reported_with_advice(train, proxy, tmp_path):
    result = train("start", "train.jsonl", "--model", "gpt-9", "--seed", "115", "--no-check", "--yes", code=2)
    assert "HTTP 4" in result.output
    assert "use a base model that this server can fine-tune" in " ".join(result.output.split())
    (record,) = records(tmp_path)
    assert (record["status"], record["job_id"]) == ("refused", "")
    assert proxy.count("GET", JOBS) == 0


def test_a_job_that_failed_may_be_started_again(train, server):
    start(train, "--watch", "--interval", "0.05", seed=116, code=1)
    start(train, seed=116)
    assert len(jobs(server, 116)) == 2


def test_data_with_errors_are_refused_with_the_location(train, server):
    result = train("start", "train.jsonl", "--model", BASE, "--seed", "117", code=1)
    assert "not started: fix the data" in result.stderr
    assert jobs(server, 117) == []


def test_the_command_of_a_refusal_lists_the_same_errors(train, tmp_path):
    rows = [json.loads(line) for line in chat_lines(12).splitlines()]
    rows[7]["messages"][0]["content"] = "word " * 3000
    (tmp_path / "my rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    refused = train("start", "my rows.jsonl", "--model", BASE, code=1).stderr
    assert "my rows.jsonl:8: too_many_tokens" in refused
    shown = " ".join(refused.split()).partition("details: pytest-finetune ")[2]
    command = shlex.split(shown.partition(" not started")[0])
    listed = CliRunner().invoke(main, command)
    assert (listed.exit_code, "too_many_tokens" in listed.output) == (1, True), listed.output


def test_an_eval_case_among_the_examples_stops_the_start(train, tmp_path):
    """The eval sets may be named by their folder."""
    (tmp_path / "eval_sets").mkdir()
    (tmp_path / "eval_sets" / "mine.jsonl").write_bytes(chat_lines(1))
    options = ("--model", BASE, "--eval", "eval_sets")
    result = train("start", "train.jsonl", *options, code=1)
    assert "eval_in_training" in result.stderr
    assert "eval_sets/mine.jsonl" in result.stderr
    nothing = train("start", "train.jsonl", "--model", BASE, "--eval", "nowhere", code=2)
    assert "nowhere: no eval set there" in nothing.stderr


def test_without_a_terminal_nothing_is_spent_unless_confirmed(train, proxy, tmp_path):
    (tmp_path / "train.jsonl").write_bytes(chat_lines(10))
    words = ("start", "train.jsonl", "--model", "gpt-4.1-mini-2025-04-14", "--no-check")
    assert "stdin is not a terminal" in train(*words, code=2).output
    assert "more than $0.00" in train(*words, "--max-cost", "0.0001", "--yes", code=2).output
    assert proxy.count("POST", "/files") == 0


def answered(process, terminal, typed):
    """
    The exit code; a key that comes just before Python's reader listens is not seen, and is pressed again.

    Not too soon: a second Ctrl-C would kill a process that is about to exit.
    """
    for _ in range(12):
        os.write(terminal, typed)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(5)
    return None


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("typed", "code", "message"), [("n", 2, "not started"), ("\x03", 130, "interrupted")])
@pytest.mark.slow
def test_at_a_terminal_the_cost_has_to_be_confirmed(train, proxy, tmp_path, typed, code, message):
    import pty

    (tmp_path / "train.jsonl").write_bytes(chat_lines(10))
    words = ["train", "start", "train.jsonl", "--model", "gpt-4.1-mini-2025-04-14", "--no-check"]
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", MAIN, *words]
    # A session of its own, so that Ctrl-C at its terminal reaches this process alone.
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - one call, of no lock
    )
    os.close(theirs)
    screen = b""
    try:
        while b"[y/N]" not in screen:
            screen += os.read(ours, 4096)
        assert answered(process, ours, typed.encode() + (b"" if typed == "\x03" else b"\n")) == code
        screen += os.read(ours, 4096)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert b"spend about $0.00" in screen
    assert message.encode() in screen
    assert proxy.count("POST", "/files") == 0


def test_an_unknown_price_cannot_be_bounded(train):
    words = ("start", "train.jsonl", "--model", "gpt-9", "--base-url", "https://models.example/v1", "--no-check")
    assert "so it cannot be limited" in train(*words, "--max-cost", "5", "--yes", code=2).output


def test_a_configured_price_can_be_bounded(train, tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\nfinetune_prices = gpt-9 training = 1000000\n", "utf-8")
    words = ("start", "train.jsonl", "--model", "gpt-9", "--base-url", "https://models.example/v1", "--no-check")
    assert "more than $5.00" in train(*words, "--max-cost", "5", "--yes", code=2).output


def test_a_wrong_configured_price_stops_before_anything_is_sent(train, tmp_path, proxy):
    (tmp_path / "pytest.ini").write_text("[pytest]\nfinetune_prices = gpt-9 training = cheap\n", "utf-8")
    assert "'cheap' is not an amount" in train("start", "train.jsonl", "--model", "gpt-9", "--no-check", code=2).output
    assert proxy.count("POST", "/files") == 0


def test_a_cost_that_leaves_out_pictures_cannot_be_bounded(train, tmp_path, proxy):
    chart = {"type": "image_url", "image_url": {"url": "https://example.com/chart.png"}}
    messages = [{"role": "user", "content": [chart]}, {"role": "assistant", "content": "sales in May"}]
    (tmp_path / "train.jsonl").write_text((json.dumps({"messages": messages}) + "\n") * 12, "utf-8")
    words = ("start", "train.jsonl", "--model", "gpt-4.1-2025-04-14", "--no-check", "--max-cost", "50", "--yes")
    output = train(*words, code=2).output
    assert "so it cannot be limited" in output
    assert "12 images are not counted" in output
    assert proxy.count("POST", "/files") == 0


def test_openai_itself_needs_a_key(train):
    words = ("start", "train.jsonl", "--model", "gpt-4.1-mini", "--base-url", "https://api.openai.com/v1", "--no-check")
    assert "no API key" in train(*words, code=2).output


@pytest.mark.parametrize("name", ["", " ", "a/b", "\x1b[2J"])
def test_arguments_that_name_no_job_are_refused(train, proxy, name):
    assert "is not a job id" in train("watch", name, code=2).output
    assert proxy.seen == []


def test_a_key_that_a_server_repeats_is_masked(train, proxy):
    failing_key = "sk-planted-0123456789abcdef"
    proxy.rewrite(lambda path, value: {**value, "status": f"odd {failing_key}"} if path.endswith(JOBS) else value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", failing_key)
        result = start(train, seed=120)
    assert failing_key not in result.output
    assert "odd [API key]" in result.output


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--epochs", "0"),
        ("--epochs", "many"),
        ("--batch-size", "1.5"),
        ("--learning-rate-multiplier", "0"),
        ("--learning-rate-multiplier", "nan"),
        ("--learning-rate-multiplier", "inf"),
        ("--max-cost", "-1"),
        ("--max-cost", "cheap"),
    ],
)
def test_an_invalid_value_is_refused(train, option, value):
    assert option in train("start", "train.jsonl", "--model", BASE, option, value, code=2).output


@pytest.mark.slow
def test_a_refused_organisation_gets_advice(train, monkeypatch, tmp_path):
    import httpx2
    import openai

    def refuse(*_, **__):
        request = httpx2.Request("POST", "http://x/v1/fine_tuning/jobs")
        body = {"message": "New jobs are not allowed for this organisation", "code": None, "param": None}
        raise openai.PermissionDeniedError("no", response=httpx2.Response(403, request=request), body=body)

    fake = SimpleNamespace(with_raw_response=SimpleNamespace(create=refuse))
    monkeypatch.setattr("openai.resources.fine_tuning.jobs.Jobs.with_raw_response", fake.with_raw_response)
    result = start(train, seed=118, code=2)
    output = " ".join(result.output.split())
    assert "2027-01-06" in output
    assert "pytest-finetune serve" in output
