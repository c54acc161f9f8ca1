"""`train watch`, `list` and `events` over HTTP against the real server, also killed, restarted, or with odd answers."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading

import pytest
from click.testing import CliRunner
from server_process import BASE, ServerProcess, chat_lines, needs_server, needs_training, tiny_job, upload, wait_for_job

from pytest_finetune.cli import main
from pytest_finetune.lifecycle.registry import FileBackend

MAIN = "from pytest_finetune.cli import main; main(prog_name='pytest-finetune')"
QUICK = ("--interval", "0.05")
JOB_OPTIONS = ("--model", BASE, "--epochs", "2", "--batch-size", "6", "--no-check")


@pytest.fixture
def train(tmp_path, monkeypatch, proxy):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_BASE_URL", proxy.url)
    return command


def command(*words, code=0):
    result = CliRunner().invoke(main, ["train", *words], prog_name="pytest-finetune")
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def failing(server):
    """A job that fails the server's data check: too few examples."""
    client = server.client()
    return tiny_job(client, training_file=upload(client, chat_lines(3)))


@pytest.fixture
def held(server):
    """A job that is paused before it trains, and cancelled after the tests."""
    client = server.client()
    job = tiny_job(client)
    client.fine_tuning.jobs.pause(job.id)
    yield job
    if client.fine_tuning.jobs.retrieve(job.id).status == "paused":
        client.fine_tuning.jobs.cancel(job.id)


@needs_server
def test_a_failed_job_is_reported_with_its_reason_and_advice(train, failing, tmp_path):
    result = train("watch", failing.id, *QUICK, code=1)
    output = " ".join(result.stdout.split())
    assert f"{failing.id} failed" in output
    assert "invalid_n_examples: Training file has 3 example(s)" in output
    assert "advice add examples: at least 10 are required" in output
    assert not (tmp_path / "registry.json").exists()


@needs_server
def test_events_are_shown_once_over_several_watches(train, failing):
    first, second = (train("watch", failing.id, *QUICK, code=1).stdout for _ in range(2))
    assert "Validating training file" in first
    assert "Validating training file" not in second
    assert f"{failing.id} failed" in second


@needs_server
def test_an_unknown_status_is_reported_once_and_is_not_final(train, proxy, failing):
    seen = []

    def defrost(path, value):
        if path.endswith(failing.id) and len(seen) < 4:
            seen.append(path)
            return {**value, "status": "defrosting"}
        return value

    proxy.rewrite(defrost)
    result = train("watch", failing.id, *QUICK, code=1)
    assert len(seen) == 4
    assert result.stderr.count("status defrosting: treated as still running") == 1
    assert f"{failing.id} failed" in result.stdout


@needs_server
def test_a_success_without_a_known_status_adds_nothing(train, server, proxy, held, tmp_path):
    """A server that sends `Succeeded` instead of `succeeded`: the watch continues until the job is cancelled."""
    seen = threading.Event()

    def capitalized(path, value):
        if path.endswith(held.id) and value["status"] == "paused":
            seen.set()
            return {**value, "status": "Succeeded"}
        return value

    def cancel_once_seen():
        assert seen.wait(60)
        server.client().fine_tuning.jobs.cancel(held.id)

    proxy.rewrite(capitalized)
    cancelling = threading.Thread(target=cancel_once_seen)
    cancelling.start()
    result = train("watch", held.id, *QUICK, code=1)
    cancelling.join()
    assert "treated as still running" in result.stderr
    assert not (tmp_path / "registry.json").exists()


@needs_server
def test_json_lines_contain_everything(train, failing):
    lines = [json.loads(line) for line in train("watch", failing.id, *QUICK, "--json", code=1).stdout.splitlines()]
    kinds = [line["type"] for line in lines]
    assert kinds[-1] == "end"
    assert {"event", "status"} <= set(kinds)
    assert (lines[-1]["job"]["status"], lines[-1]["candidate"]) == ("failed", None)
    assert lines[-1]["job"]["advice"]


@needs_server
def test_a_lost_connection_is_waited_out(train, proxy, failing):
    proxy.fail("GET", failing.id, times=12)
    result = train("watch", failing.id, *QUICK, code=2)
    assert "HTTP 500" in result.output
    proxy._faults.clear()
    train("watch", failing.id, *QUICK, code=1)
    proxy.fail("GET", f"{failing.id}/events", times=3)
    result = train("watch", failing.id, *QUICK, code=1)
    assert "retrying" in result.stderr
    assert "the server is back" in result.stderr


@needs_server
def test_an_unknown_job_cannot_be_watched(train, tmp_path):
    assert "HTTP 404" in train("watch", "ftjob-none", code=2).output
    assert not list((tmp_path / ".finetune").glob("jobs/*.json"))


@needs_server
def test_a_job_is_found_at_the_server_in_its_record(train, server, failing, monkeypatch):
    train("watch", failing.id, *QUICK, code=1)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    train("watch", failing.id, *QUICK, code=1)
    train("events", failing.id)


@needs_server
def test_jobs_are_listed_newest_first_within_80_columns(train, server, failing, held):
    result = train("list", "-n", "2")
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    assert result.stdout.index(held.id) < result.stdout.index(failing.id)
    listed = json.loads(train("list", "--json").stdout)
    assert {"id", "status", "model", "fine_tuned_model", "error", "advice"} <= listed[0].keys()
    assert [job["id"] for job in listed][:2] == [held.id, failing.id]


@needs_server
def test_the_list_marks_a_start_without_an_answer(train, proxy, tmp_path):
    (tmp_path / "train.jsonl").write_bytes(chat_lines(3))
    proxy.fail("POST", "/fine_tuning/jobs", times=9)
    proxy.fail("GET", "/fine_tuning/jobs", times=9)
    train("start", "train.jsonl", "--model", BASE, "--no-check", code=2)
    proxy._faults.clear()
    assert "1 start from here got no answer" in train("list").stderr


@needs_server
def test_a_job_is_paused_resumed_and_cancelled(train, server):
    job = tiny_job(server.client())
    assert "train resume" in train("pause", job.id).stdout
    assert json.loads(train("list", "-n", "1", "--json").stdout)[0]["status"] == "paused"
    assert "train watch" in train("resume", job.id).stdout
    assert "cancelled" in train("cancel", job.id).stdout
    assert "HTTP 400" in train("cancel", job.id, code=2).output
    assert train("watch", job.id, *QUICK, code=1).stdout.count("cancelled") >= 1


@needs_server
def test_events_are_listed_oldest_first(train, failing):
    train("watch", failing.id, *QUICK, code=1)
    events = json.loads(train("events", failing.id, "--json").stdout)
    assert [event["created_at"] for event in events] == sorted(event["created_at"] for event in events)
    assert "Created fine-tuning job" in events[0]["message"]
    last = train("events", failing.id, "-n", "1").stdout
    assert "The job failed" in last
    assert len(last.splitlines()) == 1


@needs_server
def test_no_checkpoints_are_reported_as_such(train, failing):
    assert "no checkpoints yet" in train("checkpoints", failing.id).stdout
    assert json.loads(train("checkpoints", failing.id, "--json").stdout) == []
    assert "has no checkpoint or model yet" in train("sweep", failing.id, code=2).output


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Watcher:
    """A watcher in a process of its own, read line by line."""

    def __init__(self, job, folder, url):
        words = [sys.executable, "-c", MAIN, "train", "watch", job, "--base-url", url, "--json", *QUICK]
        self.process = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.events, self.other = [], []

    def read_until(self, done):
        for text in self.process.stdout:
            line = json.loads(text)
            (self.events if line["type"] == "event" else self.other).append(line)
            if done(line):
                return
        raise AssertionError(f"the watcher ended first: {self.other[-1:]}")

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@needs_training
def test_neither_a_killed_watcher_nor_a_killed_server_loses_or_repeats_an_event(tmp_path):
    """On one port: kill -9 the watcher, kill -9 the server, restart it; the job still becomes a candidate."""
    port = free_port()
    (tmp_path / "train.jsonl").write_bytes(chat_lines(12))
    (tmp_path / "valid.jsonl").write_bytes(chat_lines(4, start=50))
    watchers = []
    with ServerProcess(tmp_path, "--port", str(port)) as server, pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        options = ("--version", "v3", "--base-url", server.url, "--json")
        started = command("start", "train.jsonl", "--validation", "valid.jsonl", *JOB_OPTIONS, *options)
        job, url = json.loads(started.stdout)["job"]["id"], server.url
        try:
            watchers.append(Watcher(job, tmp_path, url))
            watchers[0].read_until(lambda line: "job started" in line.get("message", ""))
            watchers[0].kill()
            watchers.append(Watcher(job, tmp_path, url))
            watchers[1].read_until(lambda line: line["type"] == "status")
            server.kill()
            watchers[1].read_until(lambda line: line["type"] == "lost")
            with ServerProcess(tmp_path, "--port", str(port)):
                watchers[1].read_until(lambda line: line["type"] == "end")
                assert watchers[1].process.wait(30) == 0
                _check_the_candidate(tmp_path, job, url, watchers)
        finally:
            for watcher in watchers:
                watcher.kill()


def _check_the_candidate(folder, job, url, watchers):
    shown = [event["id"] for watcher in watchers for event in watcher.events]
    there = [event["id"] for event in json.loads(command("events", job, "--json").stdout)]
    assert shown == there
    end = watchers[1].other[-1]
    assert (end["job"]["status"], end["candidate"]) == (
        "succeeded",
        {"registry": "registry.json", "version": "v3", "is_new": True},
    )
    entry = FileBackend(folder / "registry.json").read().entries["v3"]
    assert (entry.status, entry.job_id, entry.base_url, entry.base_model) == ("candidate", job, url, BASE)
    assert entry.model_id == end["job"]["fine_tuned_model"]
    assert entry.hyperparameters["n_epochs"] == 2
    assert entry.trained_tokens == end["job"]["trained_tokens"] > 0
    assert entry.training_cost == 0
    assert (entry.training_file.path, entry.validation_file.path) == ("train.jsonl", "valid.jsonl")
    assert entry.metrics["valid_loss"] > 0
    again = command("watch", job)
    assert "v3: already in the registry" in again.stdout
    assert FileBackend(folder / "registry.json").read().seq == 1
    (record,) = [json.loads(path.read_text()) for path in (folder / ".finetune/jobs").glob("*.json")]
    assert [one["step"] for one in record["checkpoints"]] == [2, 4]
    started = command("start", "train.jsonl", "--validation", "valid.jsonl", *JOB_OPTIONS, "--base-url", url)
    assert "no new job was created" in started.stdout
    assert [one["id"] for one in json.loads(command("list", "--json", "--base-url", url).stdout)] == [job]


@needs_training
def test_ctrl_c_ends_the_watch_and_not_the_job(tmp_path, server, held):
    import signal

    watcher = Watcher(held.id, tmp_path, server.url)
    try:
        watcher.read_until(lambda line: line["type"] == "status")
        watcher.process.send_signal(signal.SIGINT)
        assert watcher.process.wait(30) == 130
    finally:
        watcher.kill()
    assert wait_for_job(server.client(), held.id, "paused").status == "paused"
