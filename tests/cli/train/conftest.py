"""A real server for training, a proxy in front of it, and the `train` commands in a folder of their own."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from faulty_proxy import FaultyProxy
from server_process import ServerProcess, chat_lines

from pytest_finetune.cli import main
from pytest_finetune.lifecycle.training import job_search, job_start, upload


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ServerProcess(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def proxy(server):
    with FaultyProxy(server.url) as proxy:
        yield proxy


@pytest.fixture
def train(tmp_path, monkeypatch, proxy):
    """Run a command in a folder with nine examples, without waits: too few, so the server's check ends each job."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_BASE_URL", proxy.url)
    monkeypatch.setattr(job_search, "SEARCH_DELAYS", (0.0, 0.05))
    monkeypatch.setattr(job_start, "RATE_WAITS", (0.0, 0.0))
    monkeypatch.setattr(upload, "WAITS", (0.0, 0.0, 0.0))
    monkeypatch.setattr(upload, "POLL", 0.01)
    (tmp_path / "train.jsonl").write_bytes(chat_lines(9))

    def run(*words, code=0, **how):
        result = CliRunner().invoke(main, ["train", *words], prog_name="pytest-finetune", **how)
        assert result.exit_code == code, result.output
        return result

    return run
