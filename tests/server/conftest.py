"""One server for all tests of a module; each test uploads its own files and creates its own jobs."""

from __future__ import annotations

import pytest
from server_process import ServerProcess


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with ServerProcess(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def client(running):
    return running.client()
