"""Lists of fine-tuning APIs whose pages, order or end differ from OpenAI's."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest

from pytest_finetune.lifecycle.training.polling import Cursor, new_events
from pytest_finetune.lifecycle.training.service import FineTuning


def listed(count, *, times=lambda number: number):
    """Events, oldest first."""
    return [
        {"object": "fine_tuning.job.event", "id": f"e{n}", "created_at": 1000 + times(n), "message": f"m{n}"}
        for n in range(count)
    ]


@contextmanager
def server(rows, *, size=30, has_more=None, ignores_after=False):
    """Serve the rows in this order, in pages of `size`; `has_more` makes the value of that key."""
    requested = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            after = parse_qs(urlsplit(self.path).query).get("after", [None])[0]
            requested.append(after)
            ids = [row["id"] for row in rows]
            at = 0 if after is None or ignores_after else ids.index(after) + 1
            page = {"object": "list", "data": rows[at : at + size]}
            if has_more is not None:
                page["has_more"] = has_more(at + size < len(rows))
            body = json.dumps(page).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        with FineTuning(f"http://127.0.0.1:{http.server_address[1]}/v1", environ={}) as service:
            yield service, requested
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


@pytest.mark.parametrize("has_more", [None, bool, lambda _: None], ids=["absent", "true or false", "null"])
@pytest.mark.parametrize("oldest_first", [False, True])
def test_every_event_is_read_newest_first(has_more, oldest_first):
    rows = listed(250, times=lambda number: number // 3)
    with server(rows if oldest_first else rows[::-1], has_more=has_more) as (service, _):
        assert [event.message for event in service.events("j")] == [f"m{n}" for n in reversed(range(250))]


def test_a_server_that_ignores_the_cursor_ends_the_list_after_one_more_request():
    with server(listed(20)[::-1], ignores_after=True) as (service, requested):
        assert len(list(service.events("j"))) == 20
        assert requested == [None, "e0"]


@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize("seen", [0, 1, 57, 98, 99])
def test_the_events_after_the_last_one_seen_are_new_in_either_order(seen, oldest_first):
    rows = listed(100)
    with server(rows if oldest_first else rows[::-1], size=10) as (service, _):
        last = next(event for event in service.events("j") if event.id == f"e{seen}")
        new = new_events(service, "j", Cursor().after(last))
    assert [event.id for event in new] == [f"e{n}" for n in range(seen + 1, 100)]


def test_only_the_pages_with_new_events_are_requested():
    with server(listed(100)[::-1], size=10, has_more=bool) as (service, requested):
        new_events(service, "j", Cursor("e85"))
        assert requested == [None, "e90"]


def test_events_of_one_second_keep_the_order_of_the_server():
    with server(listed(40, times=lambda _: 0)[::-1], size=15) as (service, _):
        assert [event.id for event in service.events("j")] == [f"e{n}" for n in reversed(range(40))]


def test_a_job_is_found_in_a_list_in_ascending_order():
    jobs = [{"id": f"j{n}", "status": "running", "created_at": 1000 + n} for n in range(70)]
    with server(jobs) as (service, _):
        assert next(service.jobs()).id == "j69"
        assert len(list(service.jobs())) == 70
