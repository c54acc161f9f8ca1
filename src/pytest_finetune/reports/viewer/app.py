"""The viewer's pages and what they may change: reviews of a run, and lines of the project's eval sets."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from pytest_finetune.base.errors import FinetuneError
from pytest_finetune.evaluation.runs.copies import recorded_set
from pytest_finetune.evaluation.runs.history_reading import set_history
from pytest_finetune.evaluation.runs.reviews import Review, add_review, reviews_of
from pytest_finetune.reports.history_values import history_page_view
from pytest_finetune.reports.page.document import Surroundings, page_html, rendered
from pytest_finetune.reports.page.strings import visible
from pytest_finetune.reports.sources import from_record
from pytest_finetune.reports.viewer.access import OnlyWithToken
from pytest_finetune.reports.viewer.adding import add_case, editable, project_sets
from pytest_finetune.reports.viewer.export import TYPES, exported
from pytest_finetune.reports.viewer.listing import all_runs, history_view, list_view

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from starlette.requests import Request

    from pytest_finetune.base.records import Case
    from pytest_finetune.evaluation.runs import Run, RunStore
    from pytest_finetune.reports.reported import ReportedRun

    Page = Callable[[Request], Response]

_LARGEST_BODY = 100_000

_KEPT = 4
"""Reports of closed runs that are kept in memory, so that a run of ten thousand cases is read once."""


def viewer_app(store: RunStore, root: Path, *, token: str) -> Starlette:
    """
    The application.

    Args:
        store: The recorded runs.
        root: The project, whose eval sets may get new lines.
        token: What a browser needs in its first address.
    """
    viewer = _Viewer(store, root)
    routes = [
        Route("/", _in_thread(viewer.list_page)),
        Route("/history", _in_thread(viewer.history_page)),
        Route("/compare", _in_thread(viewer.compare)),
        Route("/runs/{run}", _in_thread(viewer.run_page)),
        Route("/runs/{run}/export.{form}", _in_thread(viewer.export)),
        Route("/runs/{run}/reviews", viewer.review, methods=["POST"]),
        Route("/runs/{run}/cases", _in_thread(viewer.case), methods=["GET"]),
        Route("/runs/{run}/cases", viewer.add, methods=["POST"]),
    ]
    return Starlette(routes=routes, middleware=[Middleware(OnlyWithToken, token=token)])


class _Viewer:
    def __init__(self, store: RunStore, root: Path) -> None:
        self._store, self._root = store, root
        self._closed = lru_cache(_KEPT)(self._read)

    def list_page(self, request: Request) -> Response:
        view = list_view(all_runs(self._store), request.query_params)
        return HTMLResponse(rendered("viewer-list.html", title="Runs", view=view))

    def history_page(self, request: Request) -> Response:
        if name := request.query_params.get("set"):
            view = history_page_view(set_history(self._store, name))
            return HTMLResponse(rendered("set-history.html", title=f"History of {view['set']}", view=view))
        return HTMLResponse(rendered("viewer-history.html", title="History", gates=history_view(all_runs(self._store))))

    def compare(self, request: Request) -> Response:
        before, after = request.query_params.get("a", ""), request.query_params.get("b", "")
        if not before or not after:
            return RedirectResponse("/", 303)
        return RedirectResponse(f"/runs/{quote(after, safe='')}?against={quote(before, safe='')}", 303)

    def run_page(self, request: Request) -> Response:
        run = self._find(request)
        against = request.query_params.get("against", "")
        reported = self._reported(run, against)
        names = {one.name for one in reported.sets}
        others = [
            {"id": other.id, "name": f"{other.id}: {visible(other.manifest.target.title)}"}
            for other in all_runs(self._store)
            if other.id != run.id and not names.isdisjoint(plan.name for plan in other.manifest.eval_sets)
        ]
        found = reviews_of(run).values()
        reviews = [[visible(one.eval_set), one.case, one.verdict, visible(one.note)] for one in found]
        sets = [{"name": visible(one.name), "kind": one.kind, "labels": one.labels} for one in project_sets(self._root)]
        around = Surroundings(f"/runs/{quote(run.id, safe='')}", others, against, tuple(TYPES), reviews, sets)
        return HTMLResponse(page_html([reported], around=around))

    def export(self, request: Request) -> Response:
        form = request.path_params["form"]
        if form not in TYPES:
            return Response("unknown format\n", 404)
        run = self._find(request)
        data = exported(self._reported(run, ""), reviews_of(run), form)
        name = {"content-disposition": f'attachment; filename="{run.id}.{form}"'}
        return Response(data, media_type=TYPES[form], headers=name)

    def case(self, request: Request) -> Response:
        """The expected answer of a case and the model's, as a person edits them."""
        run = self._find(request)
        name, case = self._case(run, dict(request.query_params))
        rows = next(part.summary.rows for part in self._reported(run, "").sets if part.name == name)
        row = next(row for row in rows if row.case.id == case.id)
        expected, answer = editable(case, next(iter(row.completions), None))
        return JSONResponse({"expected": expected, "answer": answer})

    async def review(self, request: Request) -> Response:
        return await _changed(request, self._review)

    async def add(self, request: Request) -> Response:
        return await _changed(request, self._add)

    def _review(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        run = self._find(request)
        eval_set, case = self._case(run, body)
        note, verdict = str(body.get("note", "")), body.get("verdict", "")
        review = Review(eval_set=eval_set, case=case.id, verdict=verdict, note=note, at=datetime.now(UTC))
        add_review(run, review)
        return {"verdict": review.verdict, "note": review.note}

    def _add(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        _, case = self._case(self._find(request), body)
        names = [one.name for one in project_sets(self._root)]
        to = next((name for name in names if visible(name) == body.get("to")), str(body.get("to")))
        return {"id": add_case(self._root, to, case, str(body.get("answer", "")))}

    def _find(self, request: Request) -> Run:
        # Only an id: the store also takes paths, and an address must not name any file of this machine.
        name = request.path_params["run"]
        return self._store.find(_only_name(name))

    def _case(self, run: Run, body: dict[str, Any]) -> tuple[str, Case]:
        for plan in run.manifest.eval_sets:
            if visible(plan.name) == body.get("eval_set"):
                cases = recorded_set(run, plan, root=self._root).cases or ()
                for case in cases:
                    if case.id == body.get("case"):
                        return plan.name, case
        raise FinetuneError("the run has no such case, or no copy of it", str(body.get("case")), "reload the page")

    def _reported(self, run: Run, against: str) -> ReportedRun:
        other = self._store.find(_only_name(against)) if against else None
        is_final = run.manifest.closed and (other is None or other.manifest.closed)
        return self._closed(run.id, against) if is_final else self._read(run.id, against)

    def _read(self, name: str, against: str) -> ReportedRun:
        other = self._store.find(against) if against else None
        return from_record(self._store.find(name), root=self._root, against=other)


def _only_name(name: str) -> str:
    if "/" in name or "\\" in name or name.startswith("."):
        raise FinetuneError("that is no run", name, "choose one from the list")
    return name


def _in_thread(page: Page) -> Callable[[Request], Awaitable[Response]]:
    """Files are read and pages built in a thread; an error of the project becomes a page with its text."""

    async def answer(request: Request) -> Response:
        try:
            return await run_in_threadpool(page, request)
        except FinetuneError as error:
            return HTMLResponse(rendered("viewer-error.html", title="Error", text=visible(str(error))), 404)

    return answer


async def _changed(request: Request, change: Callable[[Request, dict[str, Any]], dict[str, Any]]) -> Response:
    """Do what the JSON body of a request asks for."""
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > _LARGEST_BODY:
            return JSONResponse({"error": "that is too long"}, 413)
    try:
        # Only an object has items.
        body = dict(json.loads(data).items())
        return JSONResponse(await run_in_threadpool(change, request, body))
    except ValidationError as error:
        return JSONResponse({"error": error.errors()[0]["msg"]}, 400)
    except (FinetuneError, AttributeError, ValueError) as error:
        return JSONResponse({"error": str(error)}, 400)
