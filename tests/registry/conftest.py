"""Runs and an eval set to judge versions by; one MLflow server for all tests of a process that ask for one."""

from __future__ import annotations

from uuid import uuid4

import mlflow_process
import pytest
from recorded_runs import Recorder
from registry_evidence import write_set


@pytest.fixture(scope="session")
def mlflow_address(tmp_path_factory):
    if not mlflow_process.installed():
        pytest.skip("needs MLflow with its server: pip install mlflow")
    with mlflow_process.mlflow_process(tmp_path_factory.mktemp("mlflow")) as address:
        yield address


@pytest.fixture
def mlflow_location(mlflow_address):
    """An unused location on the server."""
    return f"mlflow:{mlflow_address}#test-{uuid4().hex[:12]}"


@pytest.fixture
def record(tmp_path, monkeypatch):
    return Recorder(tmp_path, monkeypatch)


@pytest.fixture
def tickets(tmp_path):
    return write_set(tmp_path)
