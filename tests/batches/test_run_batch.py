"""`run --batch`: the same samples, verdicts and record as one by one, at the price of batches, whatever fails."""

from __future__ import annotations

import asyncio
import json
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import openai
import pytest
from batch_server import LOST, expired
from click.testing import CliRunner
from scripted_server import Reply, error
from server_process import wait_for

from pytest_finetune import FinetuneError, RunStore, evaluate
from pytest_finetune.api import evaluating
from pytest_finetune.cli import main
from pytest_finetune.evaluation.targets import ClientTarget
from pytest_finetune.lifecycle.batches import request_files, service, target

PRICES = "[tool.pytest.ini_options]\nfinetune_prices = ['m = 10, 10', 'm batch = 5, 5']\n"


def test_the_samples_are_those_of_requests_one_by_one(server, run, write_set, last, outcomes):
    write_set(wrong="b")
    run(batch=False)
    one_by_one, plan = outcomes(), last().manifest.plan_sha256
    asked = len(server.questions)

    result = run()

    assert outcomes() == one_by_one == {"c0": ("passed", "a"), "c1": ("missed", "b"), "c2": ("passed", "c")}
    assert "m ships: 1 of 1 gates passed" in result.stdout
    assert "sending 3 requests" in result.stderr
    run_now = last()
    assert (run_now.manifest.closed, run_now.seal_fault, run_now.manifest.plan_sha256) == (True, "", plan)
    assert [batch.collected for batch in run_now.manifest.batches] == [True]
    assert len(server.questions) == asked + 2, "an upload and a creation, and no question"


def test_requests_are_sent_in_the_form_of_the_api(server, run, write_set):
    write_set("a")
    run()

    (line,) = server.files["file-0"].splitlines()
    row = json.loads(line)
    assert (row["method"], row["url"]) == ("POST", "/v1/chat/completions")
    assert (row["body"]["model"], row["body"]["messages"][-1]["content"]) == ("m", "say a")
    (batch,) = server.batches.values()
    assert row["custom_id"].startswith(batch.metadata["pytest_finetune_nonce"])


def test_each_repeat_is_a_request_of_its_own(server, run, write_set, last):
    write_set()
    run("--repeats=3")

    assert len(server.files["file-0"].splitlines()) == 9
    assert len(last().samples()) == 9


def test_the_order_of_the_output_does_not_matter(server, run, write_set, outcomes):
    write_set(*"abcdefg")
    server.edit = lambda rows: rows[::-1]
    run()

    assert {case: answer for case, (_, answer) in outcomes().items()} == {f"c{n}": w for n, w in enumerate("abcdefg")}


def test_the_files_of_together_are_smaller(server, run, write_set, monkeypatch):
    monkeypatch.setattr(service, "_TOGETHER", ("127.0.0.1",))
    monkeypatch.setattr(service, "_TOGETHER_BYTES", 300)
    server.is_together = True
    write_set()
    run()

    assert len(server.batches) > 1


@pytest.mark.parametrize("limit", [("MOST_REQUESTS", 3), ("MOST_BYTES", 700)])
def test_large_plans_are_split_and_every_request_is_in_one_file(server, run, write_set, monkeypatch, outcomes, limit):
    monkeypatch.setattr(request_files, *limit)
    write_set(*"abcdefgh")
    run()

    assert len(server.batches) == len({batch.input for batch in server.batches.values()}) > 2
    uploads = [content for name, content in server.files.items() if name.startswith("file-")]
    assert sum(len(content.splitlines()) for content in uploads) == 8
    if limit[0] == "MOST_BYTES":
        assert all(len(content) <= limit[1] for content in uploads)
    assert {state for state, _ in outcomes().values()} == {"passed"}


def test_the_record_of_a_batch_is_private(server, run, write_set, last):
    write_set()
    server.fail("GET /batches/", error(401, "no"))
    run(code=2)

    private = [path for path in last().path.iterdir() if path.is_file()]
    assert {path.name.partition("-")[0] for path in private} >= {"manifest.json", "batch"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in private if path.suffix != ".lock"} == {0o600}


# What may go wrong, step by step.


def test_an_upload_that_is_cut_is_repeated(server, run, write_set):
    write_set()
    server.fail("POST /files", LOST, error(503, "busy"))

    assert "the upload of the requests failed" in run().stderr
    assert (server.count("POST /files"), len(server.batches)) == (3, 1)


def test_an_upload_that_is_refused_is_an_error_and_the_run_stays_open(server, run, write_set, last):
    write_set()
    server.fail("POST /files", error(400, "invalid file"))

    assert "invalid file" in run(code=2).stderr
    assert not last().manifest.closed
    run("--resume")
    assert len(server.batches) == 1


@pytest.mark.parametrize("fault", [LOST, error(504, "gateway time-out"), Reply(body=b"<html>")])
@pytest.mark.parametrize("keeps_metadata", [True, False])
def test_a_creation_without_an_answer_is_looked_up_before_it_is_retried(server, run, write_set, fault, keeps_metadata):
    write_set()
    server.keeps_metadata = keeps_metadata
    server.fail("POST /batches", fault, done=True)

    assert "looking for it" in run().stderr
    assert (server.count("POST /batches"), len(server.batches)) == (1, 1)


def test_a_creation_that_did_not_happen_is_retried_after_looking(server, run, write_set):
    write_set()
    server.fail("POST /batches", error(504, "gateway time-out"))
    run()

    assert (server.count("POST /batches"), len(server.batches)) == (2, 1)
    assert server.count("GET /batches") >= 1


def test_a_batch_that_is_listed_late_is_found_and_the_second_one_cancelled(server, run, write_set, outcomes):
    write_set()
    server.fail("POST /batches", LOST, done=True)
    empty = Reply(body={"object": "list", "data": [], "has_more": False})
    server.fail("GET /batches", empty, empty)

    assert "cancelled batch_1, a duplicate of batch_0" in run().stderr
    assert server.cancelled == ["batch_1"]
    assert {state for state, _ in outcomes().values()} == {"passed"}


def test_if_batches_cannot_be_listed_nothing_is_sent_until_they_can(server, run, write_set):
    write_set()
    server.fail("POST /batches", LOST, done=True)
    server.fail("GET /batches", error(403, "no list"))

    assert "cannot tell whether the batch was created" in run(code=2).stderr
    run("--resume")
    assert len(server.batches) == 1


def test_a_creation_that_a_rate_limit_refuses_is_retried(server, run, write_set):
    write_set()
    server.fail("POST /batches", error(429, "slow down"), error(429, "slow down"))
    run()

    assert len(server.batches) == 1


@pytest.mark.parametrize("step", ["POST /files", "POST /batches"])
def test_a_server_without_batches_is_one_clear_error(server, run, write_set, step):
    write_set()
    server.fail(step, error(404, "Not Found"))

    text = run(code=2).stderr
    assert "has no batch API" in text
    assert "hint: run without --batch" in text


def test_polls_that_fail_for_a_while_change_nothing(server, run, write_set):
    write_set()
    server.fail("GET /batches/", *[error(502, "bad gateway")] * 4, LOST)
    run()

    assert len(server.batches) == 1


def test_a_server_that_stays_silent_ends_the_wait_and_the_batch_can_be_collected(server, run, write_set, monkeypatch):
    write_set()
    monkeypatch.setattr(target, "GIVE_UP", -1.0)
    server.fail("GET /batches/", error(502, "bad gateway"))
    assert "collect it later, with --resume" in run(code=2).stderr

    run("--resume")
    assert len(server.batches) == 1


def test_a_failed_batch_gives_errors_with_its_reason_which_are_sent_again(server, run, write_set, outcomes, last):
    write_set()
    server.ends = "failed"
    result = run(code=1)

    assert outcomes() == {f"c{n}": ("error", "the batch failed: line 3: the file is not valid") for n in range(3)}
    assert "batch_0 failed: line 3: the file is not valid" in last().manifest.warnings
    assert "ships:" not in result.stdout
    server.ends = "completed"
    run("--resume")
    assert len(server.batches) == 2
    assert {state for state, _ in outcomes().values()} == {"passed"}


@pytest.mark.parametrize("status", ["expired", "cancelled", "canceled"])
def test_what_a_batch_did_not_come_to_is_an_error_and_sent_again(server, run, write_set, outcomes, last, status):
    write_set()
    server.ends, server.edit = status, lambda rows: rows[:1]
    run(code=1)

    assert outcomes()["c0"] == ("passed", "a")
    assert all(
        state == "error" and status.replace("canceled", "cancelled") in text
        for case, (state, text) in outcomes().items()
        if case != "c0"
    )
    assert not last().manifest.closed
    server.ends, server.edit = "completed", list
    run("--resume")
    again = [name for name in server.files if name.startswith("file-")][-1]
    assert len(server.files[again].splitlines()) == 2
    assert {state for state, _ in outcomes().values()} == {"passed"}
    assert last().manifest.closed


def test_expired_lines_of_the_error_file_are_errors_with_their_reason(server, run, write_set, outcomes):
    write_set()
    server.edit = lambda rows: [*rows[:2], *expired(rows[2:])]
    run(code=1)

    assert outcomes()["c2"] == ("error", "batch_expired: This request could not be executed in time.")


def test_refused_requests_of_the_error_file_do_not_stop_the_others(server, run, write_set, outcomes, last):
    """One by one, ten equal refusals in a row stop an evaluation; here the answers after them are paid for."""
    write_set(*[f"bad{n}" for n in range(12)], "good")
    answer = server.answer
    server.answer = lambda body: error(400, "no such thing") if "bad" in str(body["messages"]) else answer(body)
    run(code=1)

    states = [state for state, _ in outcomes().values()]
    assert (states.count("error"), states.count("passed")) == (12, 1)
    assert last().manifest.stopped == ""


def test_a_refused_key_in_a_line_is_an_error_of_that_case_only(server, run, write_set, outcomes):
    write_set()
    answer = server.answer
    wrong = error(401, "wrong key", code="invalid_api_key")
    server.answer = lambda body: wrong if body["messages"][-1]["content"].split()[-1] == "a" else answer(body)
    run(code=1)

    assert sorted(state for state, _ in outcomes().values()) == ["error", "passed", "passed"]


def of_another_batch(custom_id):
    """The id with another first digit of the nonce."""
    return f"{'f' if custom_id[0] == '0' else '0'}{custom_id[1:]}"


EDITS = {
    "unknown": (lambda rows: [*rows, {**rows[0], "custom_id": "other"}], 0, "answers no request that was sent (other)"),
    "repeated": (lambda rows: [*rows, rows[0]], 1, "repeats a request (c0)"),
    "missing": (lambda rows: rows[1:], 1, "1 of 3 requests have no line (c0)"),
    "torn": (lambda rows: [*rows[1:], json.dumps(rows[0])[:40]], 1, "is not JSON"),
    "no object": (lambda rows: ["[]\n", *rows], 0, "is not JSON"),
    "another batch": (
        lambda rows: [{**row, "custom_id": of_another_batch(row["custom_id"])} for row in rows],
        3,
        "answers no request that was sent",
    ),
    "no response": (lambda rows: [{**rows[0], "response": None}, *rows[1:]], 1, ""),
    "no body": (lambda rows: [{**rows[0], "response": {"status_code": 200, "body": None}}, *rows[1:]], 1, ""),
    "no status": (lambda rows: [{**rows[0], "response": {"status_code": "x", "body": {}}}, *rows[1:]], 1, ""),
    "with error": (lambda rows: [{**rows[0], "error": {"message": "broken"}}, *rows[1:]], 1, ""),
    "nothing": (lambda _: [], 3, "3 of 3 requests have no line"),
}


@pytest.mark.parametrize("kind", EDITS)
def test_a_wrong_output_is_named_and_never_a_pass(server, run, write_set, outcomes, last, kind):
    edit, errors, named = EDITS[kind]
    write_set()
    server.edit = edit
    run(code=1 if errors else 0)

    states = [state for state, _ in outcomes().values()]
    assert (states.count("error"), states.count("passed")) == (errors, 3 - errors)
    warnings = [text for text in last().manifest.warnings if text.startswith("batch_0")]
    assert any(named in text for text in warnings) if named else not warnings


def test_an_output_that_cannot_be_downloaded_is_collected_later(server, run, write_set, last):
    write_set()
    server.fail("GET /files//content", *[Reply(body=b"x" * 100, cut_after=10)] * 4)
    run(code=2)
    assert not last().manifest.closed

    run("--resume")
    assert (len(server.batches), last().manifest.closed) == (1, True)


# Servers that differ from OpenAI's.


@pytest.mark.parametrize("lost", [False, True])
def test_together_has_its_own_upload_and_no_metadata(server, run, write_set, monkeypatch, outcomes, lost):
    monkeypatch.setattr(service, "_TOGETHER", ("127.0.0.1",))
    write_set()
    server.is_together = True
    if lost:
        server.fail("POST /batches", LOST, done=True)
    run()

    assert (server.count("POST /files/upload"), server.count("POST /files"), len(server.batches)) == (1, 0, 1)
    for field in (b'name="purpose"\r\n\r\nbatch-api', b'name="file_type"\r\n\r\njsonl', b'name="file_name"'):
        assert field in server.forms[0]
    assert {state for state, _ in outcomes().values()} == {"passed"}


def test_the_paths_of_azure_have_no_version(server, run, write_set, monkeypatch):
    monkeypatch.setattr(service, "is_azure", lambda _: True)
    write_set()
    run()

    (batch,) = server.batches.values()
    urls = {json.loads(line)["url"] for line in server.files[batch.input].splitlines()}
    assert {batch.endpoint, *urls} == {"/chat/completions"}


def test_the_responses_api_has_batches_of_its_own(server, run, write_set):
    write_set()
    run("--api=responses", code=1)

    (batch,) = server.batches.values()
    line = json.loads(server.files[batch.input].splitlines()[0])
    assert (batch.endpoint, line["url"]) == ("/v1/responses", "/v1/responses")
    assert "input" in line["body"]


# Interrupted, and collected another day.


def patch_sleep(monkeypatch, sleep):
    """Only the wait between two polls."""
    fake = SimpleNamespace(**vars(asyncio))
    fake.sleep = sleep
    monkeypatch.setattr(target, "asyncio", fake)


def interrupt_the_wait(monkeypatch, after=2):
    left = [after]

    async def sleep(_):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    patch_sleep(monkeypatch, sleep)


def test_an_interrupted_wait_leaves_the_batch_running_and_resume_collects_it(
    server, run, write_set, monkeypatch, last, outcomes
):
    write_set()
    server.hold = True
    with monkeypatch.context() as patched:
        interrupt_the_wait(patched)
        text = run(code=130).stderr
    assert f"batch_0 goes on at {server.url}. Resume the run (--resume) to collect" in text
    (batch,) = last().manifest.batches
    assert (batch.batch_id, batch.collected, batch.requests) == ("batch_0", False, 3)

    server.hold = False
    run("--resume")
    assert len(server.batches) == 1
    assert {state for state, _ in outcomes().values()} == {"passed"}


def test_resuming_one_by_one_would_pay_twice_so_it_is_refused(server, run, write_set, monkeypatch):
    write_set()
    server.hold = True
    with monkeypatch.context() as patched:
        interrupt_the_wait(patched)
        run(code=130)

    assert "add --batch to collect it" in run("--resume", code=2, batch=False).stderr
    assert server.count("POST /chat/completions") == 0


@pytest.mark.parametrize("step", ["POST /files", "POST /batches", "GET /batches/"])
@pytest.mark.parametrize("done", [True, False])
def test_a_session_that_is_killed_at_any_step_is_resumed_without_a_second_batch(
    server, run, write_set, monkeypatch, step, done
):
    """The server's answer never arrives: as far as the record goes, the process ended there."""
    write_set()
    names = {"POST /files": "upload", "POST /batches": "create", "GET /batches/": "batch"}
    method = getattr(target.BatchService, names[step])

    def killed(*args, **options):
        if done:
            method(*args, **options)
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(target.BatchService, names[step], killed)
        run(code=1)
    run("--resume")

    assert len(server.batches) == 1


def test_a_session_that_is_killed_while_it_scores_collects_the_rest_without_asking(
    server, run, write_set, monkeypatch, outcomes
):
    write_set(*"abcdef")
    from pytest_finetune.evaluation import evaluation

    left = [3]
    score = evaluation.score_response

    async def killed(*args):
        left[0] -= 1
        if left[0] < 0:
            raise SystemExit(9)
        return await score(*args)

    with monkeypatch.context() as patched:
        patched.setattr(evaluation, "score_response", killed)
        run("--concurrency=1", code=9)
    assert len(outcomes()) < 6
    run("--resume")

    assert len(server.batches) == 1
    assert len(outcomes()) == 6


def test_a_new_run_next_to_a_batch_that_was_not_collected_is_reported(server, run, write_set, monkeypatch, last):
    write_set()
    server.hold = True
    with monkeypatch.context() as patched:
        interrupt_the_wait(patched)
        run(code=130)
    earlier = last().id
    server.hold = False

    assert f"run {earlier} has a batch that was not collected: --resume would collect it" in run().stderr


def test_a_second_session_cannot_resume_a_run_that_one_is_waiting_for(server, run, write_set, monkeypatch):
    write_set()
    server.hold = True
    seen = []

    async def sleep(_):
        if not seen:
            with ThreadPoolExecutor() as other:
                seen.append(other.submit(run, "--resume", code=2).result().output)
            server.hold = False

    patch_sleep(monkeypatch, sleep)
    run()

    assert "another session is writing this run" in seen[0]
    assert len(server.batches) == 1


def test_a_batch_that_the_server_has_forgotten_is_an_error_that_says_how_to_go_on(server, run, write_set, monkeypatch):
    write_set()
    server.hold = True
    with monkeypatch.context() as patched:
        interrupt_the_wait(patched)
        run(code=130)
    server.batches.clear()

    assert "run without --resume to send the requests again" in run("--resume", code=2).stderr


# Prices.


def test_costs_are_those_of_batches_before_and_after(server, run, write_set, last):
    Path("pyproject.toml").write_text(PRICES, "utf-8")
    write_set()
    text = run("--max-cost=1").stderr

    usages = [sample.completion.usage for sample in last().samples().values()]
    tokens = sum(usage.prompt + usage.completion for usage in usages)
    assert last().manifest.totals.cost == Decimal(tokens) * 5 / 1_000_000
    assert "at the batch price" in text


def test_a_batch_that_would_cost_too_much_is_not_sent(server, run, write_set):
    Path("pyproject.toml").write_text(PRICES, "utf-8")
    write_set()

    text = run("--max-cost=0.0001", code=2).stderr
    assert "the batch costs about $" in text
    assert not server.files
    assert not RunStore(Path(".finetune", "runs")).newest_first()


def test_a_limit_needs_the_price_of_batches(server, run, write_set):
    Path("pyproject.toml").write_text("[tool.pytest.ini_options]\nfinetune_prices = ['m = 10, 10']\n", "utf-8")
    write_set()

    text = run("--max-cost=1", code=2).stderr
    assert "the batch price of m" in text
    assert "m batch = PROMPT, COMPLETION" in text
    assert "at an unknown price" in run().stderr


# What a batch does not measure.


@pytest.mark.parametrize(("metric", "why"), [("latency_p95", "is not measured"), ("cost_per_case", "price of batches")])
def test_a_gate_on_what_a_batch_does_not_measure_stays_open(server, run, write_set, last, metric, why):
    Path("pyproject.toml").write_text(PRICES, "utf-8")
    write_set(toml=f'[[gates]]\nmetric = "{metric}"\nmax = 1000.0\n')
    run(code=1)

    (verdict,) = last().manifest.verdicts
    assert verdict.status == "incomplete"
    assert why in verdict.message
    run(batch=False)


def test_a_replay_of_a_batch_measures_no_latency_either(server, run, write_set, last):
    write_set(toml='[[gates]]\nmetric = "latency_p95"\nmax = 1000.0\n')
    run(code=1)

    again = evaluate(model=f"replay:{last().id}")
    assert "came in a batch" in again.sets[0].verdicts[0].message


# Which targets have batches.


@pytest.mark.parametrize("client", [object(), openai.AsyncOpenAI(api_key="x", base_url="http://127.0.0.1:1/v1")])
def test_a_target_without_batches_is_refused(client):
    made = ClientTarget("m", client) if hasattr(client, "post") else SimpleNamespace(spec="local:x")
    with pytest.raises(FinetuneError, match=r"has no batch API|cannot send batches"):
        target.batch_target(made, target.BatchReporting())


def test_a_client_of_the_user_sends_batches_too(server, write_set, monkeypatch):
    write_set()
    client = openai.OpenAI(api_key="of-the-client", base_url=server.url)
    monkeypatch.setattr(evaluating, "make_target", lambda spec, **_: ClientTarget(spec, client))

    assert evaluate(model="m", batch=True).passed
    client.close()
    assert server.requests[0].headers["authorization"] == "Bearer of-the-client"


def test_a_migration_records_by_batch_and_the_same_command_collects(server, write_set, monkeypatch, outcomes):
    write_set(toml="")
    server.hold = True
    words = ["migrate", "record", "m", f"--base-url={server.url}", "--batch", "--repeats=2"]
    with monkeypatch.context() as patched:
        interrupt_the_wait(patched)
        assert CliRunner().invoke(main, words).exit_code == 130
    server.hold = False
    result = CliRunner().invoke(main, words)

    assert "6 answers to eval_sets/words.jsonl" in result.stdout
    assert len(server.batches) == 1
    assert len(server.files["file-0"].splitlines()) == 6


def test_recorded_answers_need_no_batch(server, run, write_set, last):
    write_set()
    run()

    assert evaluate(model=f"replay:{last().id}", batch=True).passed


def test_the_key_is_not_in_the_record_nor_in_messages(server, run, write_set, monkeypatch, last):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-0123456789abcdef")
    write_set()
    server.answer = lambda _: error(400, "bad key sk-very-secret-0123456789abcdef")
    output = run(code=1).output

    held = output + "".join(path.read_text("utf-8") for path in last().path.iterdir() if path.is_file())
    assert "very-secret" not in held
    assert server.requests[0].headers["authorization"] == "Bearer sk-very-secret-0123456789abcdef"


def test_ctrl_c_at_a_terminal_leaves_the_batch_running(server, write_set, last):
    write_set()
    server.hold = True
    command = [
        sys.executable,
        "-c",
        "from pytest_finetune.cli import main; main()",
        "run",
        "--model=m",
        f"--base-url={server.url}",
        "--batch",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        wait_for(lambda: server.count("GET /batches/"), bool, timeout=60)
        process.send_signal(signal.SIGINT)
        text = process.communicate(timeout=60)[1]

    assert process.returncode == 130, text
    assert f"batch_0 goes on at {server.url}." in text
    assert "Traceback" not in text
    (batch,) = last().manifest.batches
    assert (batch.batch_id, batch.collected) == ("batch_0", False)
