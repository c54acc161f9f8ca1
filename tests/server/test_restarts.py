"""A restarted server resumes its jobs, and a killed server stops its training process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from server_process import BASE, ServerProcess, needs_training, tiny_job, upload, wait_for, wait_for_job

pytestmark = needs_training


def children(pid):
    """The child processes of a process, zombies included."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]


def is_alive(pid):
    try:
        status = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


linux_only = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for processes in /proc")


def steps(client, job):
    events = client.fine_tuning.jobs.list_events(job.id, limit=100)
    return [event.data["step"] for event in events if event.type == "metrics"]


@linux_only
def test_a_killed_server_stops_its_training_and_the_next_one_completes_it(tmp_path):
    with ServerProcess(tmp_path) as server:
        client = server.client()
        job = tiny_job(client, examples=40, batch_size=1, suffix="killed")
        wait_for(lambda: steps(client, job), lambda seen: len(seen) >= 3)
        (child,) = children(server.process.pid)
        server.kill()
        wait_for(lambda: is_alive(child), lambda alive: not alive, timeout=10)
    with ServerProcess(tmp_path) as server:
        client = server.client()
        ended = wait_for_job(client, job.id)
        assert ended.status == "succeeded", ended.error
        assert sorted(steps(client, job)) == list(range(1, 41))
        assert ended.fine_tuned_model in [model.id for model in client.models.list()]


@linux_only
def test_a_cancelled_training_stops_and_a_stopped_server_saves_the_running_one(tmp_path):
    with ServerProcess(tmp_path) as server:
        client = server.client()
        first = tiny_job(client, examples=40, epochs=50, batch_size=1)
        wait_for(lambda: children(server.process.pid), bool)
        (child,) = children(server.process.pid)
        client.fine_tuning.jobs.cancel(first.id)
        wait_for(lambda: is_alive(child), lambda alive: not alive, timeout=10)
        second = tiny_job(client, examples=40, epochs=50, batch_size=1)
        wait_for(lambda: steps(client, second), lambda seen: len(seen) >= 2)
        (child,) = children(server.process.pid)
    assert not is_alive(child)
    assert (server.state / "jobs" / second.id / "state.pt").is_file()
    with ServerProcess(tmp_path) as server:
        client = server.client()
        texts = wait_for(
            lambda: [event.message for event in client.fine_tuning.jobs.list_events(second.id, limit=100)],
            lambda texts: any("resumed after step" in text for text in texts),
        )
        assert "Step 1/2000" in texts[-5]
        client.fine_tuning.jobs.cancel(second.id)


def test_a_restarted_server_repeats_no_request_of_a_batch(tmp_path):
    rows = [
        {
            "custom_id": f"r-{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": BASE, "messages": [{"role": "user", "content": f"{number}?"}], "max_tokens": 12},
        }
        for number in range(30)
    ]
    with ServerProcess(tmp_path) as server:
        client = server.client()
        name = upload(client, "".join(json.dumps(row) + "\n" for row in rows).encode(), purpose="batch")
        batch = client.batches.create(input_file_id=name, endpoint="/v1/chat/completions", completion_window="24h")
        wait_for(lambda: client.batches.retrieve(batch.id).request_counts.completed, lambda count: count >= 3)
        server.kill()
    gathered = server.state / "batches" / batch.id / "output.jsonl"
    kept = [json.loads(line) for line in gathered.read_text("utf-8").splitlines()]
    with gathered.open("a", encoding="utf-8") as file:
        file.write('{"id": "half a li')
    with ServerProcess(tmp_path) as server:
        client = server.client()
        ended = wait_for(lambda: client.batches.retrieve(batch.id), lambda seen: seen.status == "completed")
        assert (ended.request_counts.total, ended.request_counts.completed) == (30, 30)
        lines = [json.loads(line) for line in client.files.content(ended.output_file_id).text.splitlines()]
    assert sorted(line["custom_id"] for line in lines) == sorted(row["custom_id"] for row in rows)
    assert lines[: len(kept)] == kept
