"""`pytest --batch`: the answers are there before the first test; the rest of the session is as ever."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from batch_server import BatchServer
from scripted_server import error

from pytest_finetune import RunStore
from pytest_finetune.evaluation import backlog
from pytest_finetune.lifecycle.batches import target
from pytest_finetune.lifecycle.registry import Change, Entry, FileBackend

PLAIN = ("-p", "no:randomly", "-p", "no:hypothesispytest")
GATE = "[[gates]]\nmin = 0.5\n"
PRICES = "[pytest]\nfinetune_prices =\n    ft:* = 10, 10\n    ft:* batch = 5, 5\n"


@pytest.fixture
def folder(pytester, monkeypatch):
    """The project is pytester's."""
    monkeypatch.setattr(target, "FIRST_WAIT", 0.01)


@pytest.fixture
def server():
    with BatchServer() as server:
        yield server


@pytest.fixture
def session(evaluate):
    """A session with the response cache, as users have it."""
    return lambda *options, **more: evaluate("--batch", *options, cache=True, **more)


def runs(pytester):
    return RunStore(pytester.path / ".finetune" / "runs")


def test_the_tests_are_those_of_requests_one_by_one(suite, session, server, pytester):
    suite(["a", "b", "c"], inputs=["a", "b", "wrong"], toml=GATE)

    result = session()

    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["sending 3 requests to *, at an unknown price"])
    run = runs(pytester).find("last")
    assert (run.manifest.closed, run.seal_fault, len(run.manifest.batches)) == (True, "", 1)
    assert server.count("POST /chat/completions") == 0


def test_the_answers_of_a_batch_are_neither_cached_nor_from_the_cache(suite, session, server):
    suite(2)
    session(model="ft:gpt-4o-mini-2024-07-18:a::1")
    session(model="ft:gpt-4o-mini-2024-07-18:a::1")

    assert len(server.batches) == 2


def test_only_the_selected_cases_are_sent_and_resume_sends_the_rest(suite, session, server, pytester):
    suite(4, toml=GATE)
    session("-k", "case-1 or case-2")
    assert len(server.files["file-0"].splitlines()) == 2

    session("--resume").assert_outcomes(passed=5)
    (sent,) = [content for name, content in server.files.items() if name.startswith("file-") and name != "file-0"]
    assert len(sent.splitlines()) == 2
    assert runs(pytester).find("last").manifest.closed


def test_every_model_gets_a_batch_of_its_own(suite, session, server):
    suite(2)
    session("--model=ft:other").assert_outcomes(passed=4)

    assert len(server.batches) == 2


def test_functions_of_the_user_get_the_answers_of_the_batch(suite, session, server, pytester):
    suite(2)
    pytester.makepyfile(
        "import pytest\n@pytest.mark.eval_set('eval_sets/tickets.jsonl')\n"
        "def test_it(eval_case, eval_completion):\n    assert eval_completion.batched\n"
    )
    session().assert_outcomes(passed=4)
    assert len(server.files["file-0"].splitlines()) == 2


def test_a_promotion_takes_a_batch_as_evidence_and_not_with_a_gate_on_what_it_does_not_measure(
    suite, session, server, pytester
):
    registry = FileBackend(pytester.path / "registry.json")
    now = datetime(2026, 11, 1, tzinfo=UTC)
    registry.update(Change("add", "v1", who="test", entry=Entry(model_id="new", created_at=now)), now=now)
    suite(12, toml=f'{GATE}[[gates]]\nmetric = "latency_p95"\nmax = 60.0\n')
    assert session("--promote", model="new").ret == pytest.ExitCode.TESTS_FAILED
    assert registry.read().entries["v1"].status == "candidate"

    suite(12, toml=GATE)
    assert session("--promote", model="new").ret == 0
    assert registry.read().entries["v1"].status == "production"


def test_an_interrupted_session_keeps_its_batch(suite, session, server, pytester, monkeypatch):
    suite(2, toml=GATE)

    async def interrupted(self, *_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(target.BatchTarget, "_wait", interrupted)
        options = ("--model=ft:test", f"--model-base-url={server.url}", *PLAIN, "--batch")
        result = pytester.runpytest_inprocess(*options, no_reraise_ctrlc=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["interrupted; batch_0 goes on at *(--resume) to collect the answers."])

    session("--resume").assert_outcomes(passed=3)
    assert len(server.batches) == 1


def test_a_session_that_stops_at_the_first_miss_wastes_no_answer_of_the_batch(
    suite, session, server, pytester, monkeypatch
):
    suite(["x", "one", "two"], inputs=["wrong", "one", "two"])
    with monkeypatch.context() as patched:
        patched.setattr(backlog, "WINDOW", 1)
        session("-x")
    assert not runs(pytester).find("last").manifest.closed
    session("--resume")

    assert len(server.batches) == 1
    assert runs(pytester).find("last").manifest.closed


def test_a_server_without_batches_is_a_usage_error(suite, session, server):
    suite(2)
    server.fail("POST /files", error(404, "Not Found"))

    result = session()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*has no batch API*"])


@pytest.mark.parametrize("other", ["-n2", "--stop-when-decided"])
def test_what_cannot_be_combined_is_refused(suite, session, other):
    suite(2, toml=GATE)
    result = session(other)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--batch does not work with *"])


def test_the_forecast_is_at_the_price_of_batches(suite, session, evaluate, pytester):
    suite(2, toml="[request]\nmax_completion_tokens = 100000\n")
    pytester.path.joinpath("pytest.ini").write_text(PRICES, "utf-8")

    session("--collect-only").stdout.fnmatch_lines(["*$1.0*"])
    evaluate("--collect-only").stdout.fnmatch_lines(["*$2.0*"])


def test_a_limit_is_kept_before_anything_is_sent(suite, session, server, pytester):
    suite(2, toml="[request]\nmax_completion_tokens = 100000\n")
    pytester.path.joinpath("pytest.ini").write_text(PRICES, "utf-8")

    session("--max-cost=0.5").stderr.fnmatch_lines(["*the batch costs about $1.*"])
    assert not server.files
    assert not runs(pytester).newest_first()
