"""Files over HTTP with the official client, interrupted and invalid uploads included."""

from __future__ import annotations

import http.client
import socket
from urllib.parse import urlsplit

import openai
import pytest
from openai.types import FileDeleted, FileObject
from server_process import chat_lines, needs_server, upload, wait_for

from pytest_finetune.server.files import FileRecord, Files
from pytest_finetune.server.store import Store
from pytest_finetune.server.wire import ApiError

pytestmark = needs_server


def raw(answer):
    return answer.http_response.json()


def test_a_file_is_returned_byte_for_byte_in_the_client_s_type(client):
    data = chat_lines(3)
    created = client.files.with_raw_response.create(file=("a b/дом.jsonl", data), purpose="fine-tune")
    file = FileObject.model_validate(raw(created))
    assert (file.bytes, file.filename, file.purpose, file.status) == (
        len(data),
        "дом.jsonl",
        "fine-tune",
        "processed",
    )
    assert client.files.retrieve(file.id) == file
    assert client.files.content(file.id).read() == data


def test_files_are_listed_by_purpose_and_page(client):
    mine = [upload(client, chat_lines(1), purpose="batch") for _ in range(3)]
    upload(client, chat_lines(1))
    listed = [file.id for file in client.files.list(purpose="batch", limit=2)]
    assert [name for name in listed if name in mine] == mine[::-1]
    assert all(file.purpose == "batch" for file in client.files.list(purpose="batch"))
    oldest = client.files.list(purpose="batch", order="asc").data
    assert [file.id for file in oldest if file.id in mine] == mine


def test_a_deleted_file_is_gone(client, running):
    name = upload(client, chat_lines(1))
    FileDeleted.model_validate(raw(client.files.with_raw_response.delete(name)))
    for look in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError, match="No such File object"):
            look(name)
    assert not (running.state / "files" / name).exists()


@pytest.mark.parametrize(
    ("data", "name", "purpose", "problem"),
    [
        (b"", "train.jsonl", "fine-tune", "File is empty"),
        (b"{}", "train.csv", "fine-tune", "Must be .jsonl"),
        (b"{}", "train.jsonl", "vision", "'vision' is not one of"),
    ],
)
def test_an_invalid_upload_is_refused(client, data, name, purpose, problem):
    with pytest.raises(openai.BadRequestError, match=problem):
        upload(client, data, name=name, purpose=purpose)


def test_a_file_may_expire(client, running):
    file = client.files.create(
        file=("a.jsonl", chat_lines(1)), purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert file.expires_at == file.created_at + 3600
    assert client.files.retrieve(file.id).expires_at == file.expires_at
    assert client.files.create(file=("b.jsonl", chat_lines(1)), purpose="batch").expires_at is None


@pytest.mark.parametrize(
    "expiry",
    [
        {"anchor": "created_at", "seconds": 60},
        {"anchor": "created_at", "seconds": 2592001},
        {"anchor": "created_at"},
        {"anchor": "last_active_at", "seconds": 3600},
    ],
)
def test_an_expiry_that_openai_refuses_is_refused(client, expiry):
    with pytest.raises(openai.BadRequestError, match="expires_after"):
        client.files.create(file=("a.jsonl", chat_lines(1)), purpose="batch", expires_after=expiry)


def test_an_expired_file_is_gone(tmp_path, monkeypatch):
    (tmp_path / "files").mkdir()
    files = Files(tmp_path / "files", Store(tmp_path / "server.db"))
    old, kept = files.write("a.jsonl", "batch", [b"{}"], seconds=3600), files.write("b.jsonl", "batch", [b"{}"])
    listed = files.write("c.jsonl", "batch", [b"{}"], seconds=3600)
    assert files.get(old.id) == old
    monkeypatch.setattr("pytest_finetune.server.files.now", lambda: old.created_at + 3601)
    with pytest.raises(ApiError):
        files.get(old.id)
    files.remove_expired()
    assert [path.name for path in (tmp_path / "files").iterdir()] == [files.get(kept.id).id]
    assert files.store.find(FileRecord, listed.id) is None


@pytest.mark.parametrize("path", ["/v1/files/..%2f..%2fserver.db/content", "/v1/files/../server.db", "/v1/files/%00"])
def test_no_file_name_leads_out_of_the_folder(running, path):
    connection = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=20)
    connection.request("GET", path)
    assert connection.getresponse().status == 404
    connection.close()


def test_an_interrupted_upload_leaves_no_file(client, running):
    before = sorted((running.state / "files").iterdir())
    address = urlsplit(running.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(
            b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\nhalf of'
        )
    wait_for(
        lambda: running.errors.read_text("utf-8"), lambda text: "POST /v1/files 400" in text or "disconnected" in text
    )
    assert sorted((running.state / "files").iterdir()) == before
    assert upload(client, chat_lines(1))


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "application/json"}, b"{}"),
        ({"Content-Type": "multipart/form-data"}, b"x"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"rubbish"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x--\r\n"),
    ],
)
def test_an_invalid_form_is_an_error_in_openais_shape(running, headers, body):
    connection = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=20)
    connection.request("POST", "/v1/files", body, headers)
    answer = connection.getresponse()
    assert answer.status == 400
    assert answer.read().startswith(b'{"error":{"message":"')
    connection.close()
