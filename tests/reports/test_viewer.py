"""The viewer over HTTP: who may use it, what it shows, and what it changes."""

from __future__ import annotations

import csv
import io
import json
from contextlib import closing
from html import unescape
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import pytest
from page_runs import recorded, write_set
from viewer_process import TOKEN, Client, viewer

from pytest_finetune.evaluation.runs import Run, RunStore
from pytest_finetune.evaluation.runs.reviews import reviews_of
from pytest_finetune.verdicts.calibration import read_labelled
from pytest_finetune.verdicts.evalset.settings import EvalSettings
from pytest_finetune.verdicts.loading import load_eval_sets
from pytest_finetune.verdicts.scoring import make_scorer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SET = "eval_sets/tickets.jsonl"
HOSTILE = "=1+1</script><b>x</b>"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two closed runs over one eval set; the newer one misses a case."""
    root: Path = tmp_path_factory.mktemp("viewer")
    rows = [{"id": f"c{n}", "input": f"question {n}", "expected": "yes", "tags": ["en"]} for n in range(4)]
    tickets = write_set(root, "tickets", rows, "[[gates]]\nmin = 0.5\n")
    write_set(root, "others", [{"id": "o1", "input": "other", "expected": "no"}])
    recorded(root, [tickets], lambda *_: "yes", spec="ft:old")
    recorded(root, [tickets], lambda case, _: HOSTILE if case.id == "c1" else "yes", spec="ft:new")
    return root


@pytest.fixture(scope="module")
def running(project: Path) -> Iterator[Client]:
    with viewer(project) as client:
        yield client


@pytest.fixture
def client(running: Client) -> Client:
    return Client(running.url).enter()


def runs(project: Path) -> tuple[Run, Run]:
    new, old = map(Run.load, RunStore(project / ".finetune/runs").newest_first())
    return new, old


def text(answer: tuple[int, Any, bytes]) -> str:
    assert answer[0] == 200, answer[2]
    return answer[2].decode()


@pytest.mark.parametrize("path", ["/", "/history", "/runs/last", "/?token=", "/?token=wrong", "/runs/x/export.csv"])
def test_without_the_token_nothing_is_shown(running, path):
    status, headers, body = Client(running.url).get(path)
    assert (status, headers["Set-Cookie"]) == (403, None)
    assert b"ft:" not in body


def test_the_token_leaves_the_address_and_the_cookie_is_for_this_site_only(running):
    connection = HTTPConnection(running.url.removeprefix("http://"))
    with closing(connection):
        connection.request("GET", f"/history?token={TOKEN}&x=1")
        response = connection.getresponse()
    assert (response.status, response.headers["Location"]) == (303, "/history?x=1")
    cookie = response.headers["Set-Cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "evil.example:127"])
def test_another_host_name_is_refused(client, host):
    assert client.get("/", Host=host)[0] == 421


def test_another_site_changes_nothing(client, project):
    new, _ = runs(project)
    before = reviews_of(new)
    value = {"eval_set": SET, "case": "c0", "verdict": "wrong", "note": "theirs"}
    assert client.post(f"/runs/{new.id}/reviews", value, origin="http://evil.example")[0] == 403
    assert reviews_of(new) == before


def test_the_list_shows_every_run_and_is_filtered_by_the_address(client):
    every = text(client.get("/"))
    assert every.index("ft:new") < every.index("ft:old")
    assert "2 of 2" in every
    some = text(client.get("/?q=OLD&status=pass"))
    assert "1 of 2" in some
    assert "ft:new" not in some
    assert "No run matches" in text(client.get("/?set=nothing"))


def test_the_history_has_each_gate_in_every_run(client):
    page = text(client.get("/history"))
    assert page.count('href="/runs/') == 2
    assert page.index("0.750") < page.index("1.000")


def test_the_history_of_a_set_names_what_was_lost_and_by_which_model(client):
    link = "/history?set=eval_sets/tickets.jsonl"
    assert f'href="{link}"' in text(client.get("/history"))
    page = text(client.get(link))
    assert page.count('href="/runs/') == 2
    assert page.index("1.000 of 4") < page.index("0.750 of 4")
    assert all(words in page for words in ("c1", "by ft:new, last passed"))
    assert client.get("/history?set=none.jsonl")[0] == 404


def test_any_two_runs_are_compared(client, project):
    new, old = runs(project)
    page = text(client.get(f"/compare?a={old.id}&b={new.id}"))
    assert "Flips against the baseline" in page
    assert "1.000 → 0.750" in page


@pytest.mark.parametrize("name", ["..%2F..%2Fetc", "%2Fetc%2Fpasswd", "nothing", ".hidden"])
def test_an_address_names_only_runs(client, name):
    assert client.get(f"/runs/{name}")[0] == 404


def test_a_page_sends_requests_only_to_the_viewer(client, project):
    page = unescape(text(client.get(f"/runs/{runs(project)[0].id}")).partition("<title>")[0])
    assert "default-src 'none'" in page
    assert "connect-src 'self'" in page


def test_no_text_of_a_model_becomes_an_element(client, project):
    assert "</script><b>" not in text(client.get(f"/runs/{runs(project)[0].id}"))


def test_a_review_is_kept_with_the_run_and_leaves_its_seal_intact(client, project):
    new, _ = runs(project)
    for note in ("first", "second\nline"):
        value = {"eval_set": SET, "case": "c1", "verdict": "right", "note": note}
        assert client.post(f"/runs/{new.id}/reviews", value)[0] == 200
    (review,) = (one for one in reviews_of(new).values() if one.case == "c1")
    assert (review.verdict, review.note) == ("right", "second\nline")
    assert Run.load(new.path).seal_fault == ""
    assert '["eval_sets/tickets.jsonl","c1","right","second\\nline"]' in text(client.get(f"/runs/{new.id}"))


def test_an_emptied_review_is_gone(client, project):
    _, old = runs(project)
    value = {"eval_set": SET, "case": "c2", "verdict": "unclear"}
    client.post(f"/runs/{old.id}/reviews", value)
    assert len(reviews_of(old)) == 1
    client.post(f"/runs/{old.id}/reviews", {**value, "verdict": ""})
    assert reviews_of(old) == {}


def test_a_torn_review_loses_no_other(client, project):
    _, old = runs(project)
    path = old.path / "reviews.jsonl"
    path.write_bytes(b'{"eval_set": "torn')
    client.post(f"/runs/{old.id}/reviews", {"eval_set": SET, "case": "c3", "note": "kept"})
    assert [one.note for one in reviews_of(old).values()] == ["kept"]
    path.unlink()


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"eval_set": SET, "case": "none"}, "no such case"),
        ({"eval_set": SET, "case": "c0", "verdict": "maybe"}, "Input should be"),
        ({"eval_set": SET, "case": "c0", "note": "x" * 20_000}, "at most"),
        ([], ""),
        ("x" * 200_000, "too long"),
    ],
)
def test_a_review_that_makes_no_sense_is_refused(client, project, value, problem):
    new, _ = runs(project)
    status, _, body = client.post(f"/runs/{new.id}/reviews", value)
    assert status in (400, 413)
    assert problem in json.loads(body)["error"]


def test_a_case_becomes_a_line_of_another_set(client, project):
    new, _ = runs(project)
    others = project / "eval_sets" / "others.jsonl"
    value = {"eval_set": SET, "case": "c1", "to": "eval_sets/others.jsonl", "answer": "no"}
    assert json.loads(text(client.post(f"/runs/{new.id}/cases", value))) == {"id": "c1"}
    added = json.loads(others.read_text("utf-8").splitlines()[-1])
    assert added == {
        "id": "c1",
        "messages": [{"role": "user", "content": "question 1"}, {"role": "assistant", "content": "no"}],
        "tags": ["en"],
    }
    before = others.read_bytes()
    status, _, body = client.post(f"/runs/{new.id}/cases", value)
    assert status == 400
    assert "has a case 'c1' already" in json.loads(body)["error"]
    assert others.read_bytes() == before


@pytest.mark.parametrize("name", ["../secrets.jsonl", "/etc/passwd", "eval_sets/none.jsonl"])
def test_only_eval_sets_of_the_project_get_lines(client, project, name):
    new, _ = runs(project)
    value = {"eval_set": SET, "case": "c2", "to": name, "answer": "no"}
    assert client.post(f"/runs/{new.id}/cases", value)[0] == 400


def test_a_line_that_the_set_refuses_is_taken_back(client, project):
    new, _ = runs(project)
    labelled = write_set(
        project, "labelled", [{"id": "l", "input": "i", "expected": "a"}], 'scorer = "label"\nlabels = ["a", "b"]\n'
    )
    before = labelled.path.read_bytes()
    value = {"eval_set": SET, "case": "c2", "to": "eval_sets/labelled.jsonl", "answer": "neither"}
    assert client.post(f"/runs/{new.id}/cases", value)[0] == 400
    assert labelled.path.read_bytes() == before


def test_exports_have_a_row_per_sample_with_reviews_and_no_formulas(client, project):
    new, _ = runs(project)
    client.post(f"/runs/{new.id}/reviews", {"eval_set": SET, "case": "c1", "verdict": "wrong", "note": "n"})
    lines = text(client.get(f"/runs/{new.id}/export.jsonl")).splitlines()
    rows = {row["case"]: row for row in map(json.loads, lines)}
    assert [row["state"] for row in rows.values()] == ["passed", "missed", "passed", "passed"]
    assert (rows["c1"]["answer"], rows["c1"]["person"], rows["c1"]["note"]) == (HOSTILE, "wrong", "n")
    table = list(csv.DictReader(io.StringIO(text(client.get(f"/runs/{new.id}/export.csv")).lstrip("\ufeff"))))
    assert [row["answer"] for row in table] == ["yes", f"'{HOSTILE}", "yes", "yes"]
    assert client.get(f"/runs/{new.id}/export.exe")[0] == 404


def test_parquet_has_the_same_rows(client, project):
    parquet = pytest.importorskip("pyarrow.parquet")
    new, _ = runs(project)
    data = client.get(f"/runs/{new.id}/export.parquet")[2]
    lines = text(client.get(f"/runs/{new.id}/export.jsonl")).splitlines()
    assert parquet.read_table(io.BytesIO(data)).to_pylist() == [json.loads(line) for line in lines]


def test_reviews_are_labels_that_calibrate_a_judge(client, project):
    new, _ = runs(project)
    for case, verdict in (("c0", "right"), ("c1", "wrong"), ("c2", "unclear"), ("c3", "")):
        client.post(f"/runs/{new.id}/reviews", {"eval_set": SET, "case": case, "verdict": verdict, "note": "n"})
    path = project / "replies.calibration.jsonl"
    path.write_bytes(client.get(f"/runs/{new.id}/export.labels.jsonl")[2])
    options = {"model": "judge", "rubric": "is it right?", "passes": ["good"]}
    settings = EvalSettings(scorer="judge", scorer_options=options, labels=["good", "bad"])
    found = read_labelled(path, make_scorer(settings, project))
    labels = [(one.case.id, one.answer.text, one.passes) for one in found]
    assert labels == [("c0", "yes", True), ("c1", HOSTILE, False)]
    assert [one.case.expected for one in found] == [("yes",), ("yes",)]


WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
KINDS = {
    "json": ('scorer = "json"\n', {"expected": {"n": 1}}, '{"n": 2}', '{\n "n": 1\n}', '{"n": 3}'),
    "lists": ('scorer = "json"\n', {"expected": [[1, 2]]}, "[1]", "[\n 1,\n 2\n]", "[3]"),
    "labels": ('scorer = "label"\nlabels = ["a", "b"]\n', {"expected": "a"}, "b", "a", "b"),
    "calls": (
        'scorer = "tool_call"\n',
        {"tool_calls": [CALL]},
        "none",
        '[\n {\n  "name": "weather",\n  "arguments": {\n   "city": "Oslo"\n  }\n }\n]',
        '[{"name": "weather", "arguments": {"city": "Rome"}}]',
    ),
}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Path, Run]]:
    """A run over a set of each kind, with an empty twin of each that may get its case."""
    root: Path = tmp_path_factory.mktemp("kinds")
    sets = []
    for name, (toml, right, _, _, _) in KINDS.items():
        row = {"id": name, "group": "g", "metadata": {"n": 1}}
        if "tool_calls" in right:
            asked = {"role": "user", "content": [{"type": "text", "text": "ask"}]}
            row |= {"messages": [asked, {"role": "assistant", **right}], "tools": [WEATHER]}
        else:
            row |= {"input": "ask", **right}
        sets.append(write_set(root, name, [row], toml))
        write_set(root, f"{name}-twin", [{**row, "id": "other"}], toml)
    run = recorded(root, sets, lambda case, _: KINDS[case.id][2])
    with viewer(root) as client:
        yield client.enter(), root, run


@pytest.mark.parametrize("name", KINDS)
def test_a_case_of_any_kind_is_added_with_all_that_belongs_to_it(kinds, name):
    client, root, run = kinds
    _, _, answer, expected, corrected = KINDS[name]
    place = f"/runs/{run.id}/cases"

    known = json.loads(text(client.get(f"{place}?eval_set=eval_sets/{name}.jsonl&case={name}")))
    assert known == {"expected": expected, "answer": answer}

    twin = f"eval_sets/{name}-twin.jsonl"
    value = {"eval_set": f"eval_sets/{name}.jsonl", "case": name, "to": twin, "answer": corrected}
    assert json.loads(text(client.post(place, value))) == {"id": name}
    old, new = load_eval_sets([root / twin], root=root)[0].cases
    assert (new.messages, new.tools, new.group, new.metadata) == (old.messages, old.tools, "g", {"n": 1})
    assert (new.expected or new.tool_calls) != (old.expected or old.tool_calls)


@pytest.mark.parametrize(
    ("name", "answer", "problem"),
    [
        ("calls", "[1]", "not a list of calls"),
        ("calls", "[{", "not JSON"),
        ("json", "{n: 1}", "JSON"),
        ("labels", "c", "'c'"),
    ],
)
def test_an_answer_of_the_wrong_kind_is_refused(kinds, name, answer, problem):
    client, root, run = kinds
    twin = root / f"eval_sets/{name}-twin.jsonl"
    before = twin.read_bytes()
    case = {"calls": "json", "json": "labels", "labels": "calls"}[name]
    value = {"eval_set": f"eval_sets/{case}.jsonl", "case": case, "to": f"eval_sets/{twin.name}", "answer": answer}

    status, _, body = client.post(f"/runs/{run.id}/cases", value)

    assert status == 400
    assert problem in json.loads(body)["error"]
    assert twin.read_bytes() == before


def test_what_is_asked_of_a_case_that_does_not_exist_is_an_error(kinds):
    client, _, run = kinds
    assert client.get(f"/runs/{run.id}/cases?eval_set=eval_sets/json.jsonl&case=none")[0] == 404
