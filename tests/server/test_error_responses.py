"""Whatever a request raises is answered in the format of OpenAI's API, without a traceback."""

from __future__ import annotations

import sqlite3

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.testclient import TestClient

from pytest_finetune.base.errors import RunError
from pytest_finetune.server.error_responses import EXCEPTION_HANDLERS
from pytest_finetune.server.wire import ApiError


@pytest.mark.parametrize(
    ("raised", "status", "message"),
    [
        (ApiError("too long", status=413), 413, "too long"),
        (RunError("no such run", "last", "list them"), 503, "no such run"),
        (HTTPException(405, "Method Not Allowed"), 405, "Method Not Allowed"),
        (HTTPException(404), 404, "Invalid URL (GET /any)"),
        (ClientDisconnect(), 400, "The request ended before its body was complete."),
        (OSError(28, "No space left on device"), 500, "cannot read or write its state: No space left on device"),
        (sqlite3.OperationalError("database is locked"), 500, "cannot read or write its state: database is locked"),
        (RuntimeError("a secret of ours"), 500, "The server had an error while processing your request."),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_an_exception_has_a_response(raised: Exception, status: int, message: str) -> None:
    def fail(_: object) -> None:
        raise raised

    app = Starlette(routes=[Route("/any", fail)], exception_handlers=dict(EXCEPTION_HANDLERS))
    answer = TestClient(app, raise_server_exceptions=False).get("/any")
    assert answer.status_code == status
    assert message in answer.json()["error"]["message"]
    assert "secret" not in answer.text
