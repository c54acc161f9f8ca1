"""The viewer on a free port, in a thread of the test, and a client that keeps its cookie."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING, Any

import uvicorn

from pytest_finetune.evaluation.runs import RunStore
from pytest_finetune.reports.viewer.app import viewer_app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "a-random-token"


class Client:
    """A browser's requests without a browser: `get` and `post` return status, headers and body."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def enter(self) -> Client:
        """Get the cookie."""
        assert self.get(f"/?token={TOKEN}")[0] == 200
        return self

    def get(self, path: str, **headers: str) -> tuple[int, Any, bytes]:
        return self._ask(urllib.request.Request(self.url + path, headers=headers))

    def post(self, path: str, value: object, *, origin: str = "") -> tuple[int, Any, bytes]:
        headers = {"Content-Type": "application/json", "Origin": origin or self.url}
        return self._ask(urllib.request.Request(self.url + path, json.dumps(value).encode(), headers))

    def _ask(self, request: urllib.request.Request) -> tuple[int, Any, bytes]:
        try:
            with self._opener.open(request, timeout=60) as response:
                return response.status, response.headers, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()


@contextmanager
def viewer(root: Path) -> Iterator[Client]:
    """The viewer of a project's runs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app = viewer_app(RunStore(root / ".finetune" / "runs"), root, token=TOKEN)
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield Client(f"http://127.0.0.1:{listener.getsockname()[1]}")
        server.should_exit = True
        thread.join(30)
