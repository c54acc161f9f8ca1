"""Access to the server, the shape of its errors, and how it starts, refuses to start, and ends."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import openai
import pytest
from click.testing import CliRunner
from server_process import ServerProcess, needs_server, upload, wait_for

from pytest_finetune.cli import main

pytestmark = needs_server


def ask(running, path, *, method="GET", headers=None, body=None):
    connection = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=20)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    status, shown = answer.status, json.loads(answer.read())
    connection.close()
    return status, shown


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/", 404),
        ("DELETE", "/v1/files", 405),
        ("GET", "/v1/chat/completions", 405),
    ],
)
def test_an_unknown_url_is_an_error_in_openais_shape(running, method, path, status):
    found, shown = ask(running, path, method=method)
    assert found == status
    assert set(shown["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/fine_tuning/jobs", "/v1/batches"])
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"\xff", b'{"model": "\\ud800"}', b"[" * 100_000]
)
def test_a_body_that_is_not_an_object_is_refused(running, path, body):
    status, shown = ask(running, path, method="POST", body=body)
    assert status == 400
    assert "JSON body" in shown["error"]["message"]


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example:80"}]
)
def test_a_request_from_a_page_of_another_site_is_refused(running, headers):
    status, shown = ask(running, "/v1/models", headers=headers)
    assert (status, shown["error"]["code"]) == (403, "foreign_origin")


@pytest.mark.parametrize("headers", [{"Origin": "http://localhost:3000"}, {"Host": "localhost"}, {"Host": "[::1]:80"}])
def test_a_request_from_a_page_of_this_machine_is_accepted(running, headers):
    assert ask(running, "/v1/models", headers=headers)[0] == 200


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "²", "9" * 5000])
def test_an_invalid_page_size_is_refused(running, limit):
    from urllib.parse import quote

    status, shown = ask(running, f"/v1/batches?limit={quote(limit)}")
    assert (status, shown["error"]["param"]) == (400, "limit")


def test_requests_without_the_key_are_refused_and_the_key_is_never_shown(tmp_path):
    key = "sk-local-a1b2c3d4e5"
    with ServerProcess(tmp_path, key=key) as server:
        assert server.client().models.list().data
        for wrong in ("none", "sk-wrong", key[:-1]):
            with pytest.raises(openai.AuthenticationError) as refused:
                server.client(api_key=wrong).models.list()
            assert refused.value.code == "invalid_api_key"
        assert ask(server, "/health") == (200, {"status": "ok"})
    everything = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in everything if key.encode() in path.read_bytes()]


def test_without_a_key_the_server_listens_on_this_machine_only(monkeypatch):
    monkeypatch.delenv("FINETUNE_SERVER_KEY", raising=False)
    refused = CliRunner().invoke(main, ["serve", "--host", "0.0.0.0"])
    assert refused.exit_code == 2
    assert "FINETUNE_SERVER_KEY" in refused.output


def test_a_state_folder_is_used_by_one_server_at_a_time(running):
    second = subprocess.run(
        [sys.executable, "-c", "from pytest_finetune.cli import main; main()", "serve", "--port", "0"],
        cwd=running.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 2
    assert "another server uses this folder" in second.stderr


def test_an_unreadable_state_is_reported(tmp_path):
    (tmp_path / "server.db").write_bytes(b"no database, but long enough to be looked at" * 100)
    refused = CliRunner().invoke(main, ["serve", "--port", "0", "--state", str(tmp_path), "--models", str(tmp_path)])
    assert refused.exit_code == 2
    assert "the state cannot be read: file is not a database" in refused.output
    (tmp_path / "file").write_bytes(b"")
    refused = CliRunner().invoke(main, ["serve", "--port", "0", "--state", str(tmp_path / "file" / "state")])
    assert refused.exit_code == 2
    assert "the folder cannot be used" in refused.output


def test_a_port_in_use_is_reported(running, tmp_path):
    port = str(urlsplit(running.url).port)
    refused = CliRunner().invoke(main, ["serve", "--port", port, "--state", str(tmp_path)])
    assert refused.exit_code == 2
    assert f"127.0.0.1:{port}: cannot listen" in refused.output


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_with_exit_code_0(tmp_path, how):
    with ServerProcess(tmp_path) as server:
        server.process.send_signal(how)
        assert server.process.wait(30) == 0
        assert "Traceback" not in server.errors.read_text("utf-8")


def test_a_broken_queue_ends_the_server_with_the_reason(tmp_path):
    with ServerProcess(tmp_path) as server:
        client = server.client()
        name = upload(
            client, b'{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{}}\n', purpose="batch"
        )
        (server.state / "batches").rmdir()
        client.batches.create(input_file_id=name, endpoint="/v1/chat/completions", completion_window="24h")
        assert server.process.wait(30) == 2
    assert "the server stopped" in server.errors.read_text("utf-8")
    with ServerProcess(tmp_path) as again:
        wait_for(lambda: again.client().batches.list().data[0].status, lambda status: status == "completed")
