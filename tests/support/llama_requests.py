"""A llama.cpp process from outside: requests, as another program or a web page would send them, and whether it runs."""

from __future__ import annotations

import http.client
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def send(process, method, path, body=None, headers=None):
    """Status, headers and body of the response."""
    if process.socket_path:
        connection = _UnixConnection(process.socket_path)
    else:
        connection = http.client.HTTPConnection(urlsplit(process.address).netloc, timeout=60)
    try:
        connection.request(method, path, body, {"Connection": "close", **(headers or {})})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def is_running(pid):
    """Whether a process exists and has not ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def child_pids(pid):
    """The processes that a process has started."""
    folders = Path("/proc", str(pid), "task").iterdir()
    return {int(child) for folder in folders for child in (folder / "children").read_text().split()}
