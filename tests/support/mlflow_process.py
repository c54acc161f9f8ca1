"""A real MLflow server on loopback, with its store in a folder, for as long as a test session needs it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from importlib.util import find_spec
from urllib.error import URLError
from urllib.request import urlopen

START_TIMEOUT = 120
STOP_TIMEOUT = 20

QUIET = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "PYTHONWARNINGS": "ignore",
}
"""Nothing leaves the machine, and no worker processes are started for unused jobs."""


def installed():
    """Whether MLflow's server is installed: the client alone comes without a database."""
    return all(find_spec(name) for name in ("mlflow", "alembic", "flask"))


@contextmanager
def mlflow_process(folder):
    """Start a server and return its address once it answers; stop it and all its children at the end."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with (folder / "server.log").open("wb") as log:
        process = start(folder, port, log)
        try:
            wait(process, f"{address}/health", folder / "server.log")
            yield address
        finally:
            stop(process)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(folder, port, log):
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination", str(folder)]
    return subprocess.Popen(
        command, cwd=folder, env=os.environ | QUIET, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )


def wait(process, address, log):
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urlopen(address, timeout=5).close()
        except (URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"mlflow server did not start:\n{log.read_text('utf-8', 'replace')[-3000:]}")


def stop(process):
    """Stop the process group: the server is a child of the started process."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, how)
        except ProcessLookupError:
            break
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            continue
