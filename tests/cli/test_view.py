"""`pytest-finetune view`: the address that it prints, and what it needs."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest
import uvicorn
from click.testing import CliRunner

from pytest_finetune.cli import main, view


@pytest.fixture
def sockets(monkeypatch):
    """The addresses that a viewer would serve at, without serving."""
    found = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda _, sockets: found.append(sockets[0].getsockname()))
    return found


def address(*options):
    result = CliRunner().invoke(main, ["view", "--json", *options])
    assert result.exit_code == 0, result.output
    return urlsplit(json.loads(result.output)["url"])


def test_only_this_machine_can_connect_and_each_viewer_has_a_token_of_its_own(sockets, tmp_path):
    urls = [address("--runs-dir", str(tmp_path)) for _ in range(2)]
    assert [(url.hostname, url.port) for url in urls] == sockets
    assert {host for host, _ in sockets} == {"127.0.0.1"}
    tokens = {parse_qs(url.query)["token"][0] for url in urls}
    assert len(tokens) == 2
    assert min(map(len, tokens)) >= 32


def test_a_missing_requirement_is_named_with_its_extra(sockets, monkeypatch):
    monkeypatch.setattr(view, "find_spec", lambda name: None if name == "starlette" else object())
    result = CliRunner().invoke(main, ["view"])
    assert result.exit_code == 2
    assert "starlette is not installed" in result.output
    assert "pip install 'pytest-finetune[serve]'" in result.output
    assert sockets == []


def test_a_port_in_use_is_an_error(sockets):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = CliRunner().invoke(main, ["view", f"--port={taken.getsockname()[1]}"])
    assert result.exit_code == 2
    assert "cannot listen" in result.output
