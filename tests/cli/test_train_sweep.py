"""`train sweep` and `diagnose` over real HTTP: checkpoints of a real job, scripted models with planted weaknesses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from faulty_proxy import FaultyProxy
from scripted_server import Reply, ScriptedServer
from server_process import ServerProcess, chat_lines, needs_training, tiny_job, upload, wait_for_job

from pytest_finetune.cli import main
from pytest_finetune.evaluation.engine import Limits
from pytest_finetune.evaluation.recorded import evaluate_target
from pytest_finetune.evaluation.runs import RunStore
from pytest_finetune.evaluation.targets import OpenAITarget
from pytest_finetune.lifecycle.registry import FileBackend
from pytest_finetune.lifecycle.training.job import FineTuningCheckpoint
from pytest_finetune.lifecycle.training.sweep import EvaluatedCheckpoint, best_checkpoint
from pytest_finetune.reports.training_sweep import sweep_json, sweep_lines
from pytest_finetune.verdicts.loading import load_eval_sets

CHAT = "/chat/completions"


def command(*words, code=0):
    result = CliRunner().invoke(main, [*words], prog_name="pytest-finetune")
    assert result.exit_code == code, result.output
    return result


def write_set(folder, name="items", *, cases=3, expected="fine", toml='[[gates]]\nmetric = "error_rate"\nmax = 0.0\n'):
    path = folder / "eval_sets" / f"{name}.jsonl"
    path.parent.mkdir(exist_ok=True)
    rows = ({"id": f"c{n}", "input": f"item {100 + n}", "expected": expected} for n in range(cases))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    path.with_suffix(".toml").write_text(f"{toml}")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A real job of two steps, each the end of an epoch."""
    with ServerProcess(tmp_path_factory.mktemp("server")) as server:
        client = server.client()
        valid = upload(client, chat_lines(4, start=50))
        job = tiny_job(client, epochs=2, validation_file=valid, training_file=upload(client, chat_lines(10)))
        assert wait_for_job(client, job.id).status == "succeeded"
        server.job = client.fine_tuning.jobs.retrieve(job.id)
        yield server


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@needs_training
@pytest.mark.slow
def test_every_checkpoint_is_evaluated_once_and_the_best_that_passes_is_named(trained, folder):
    write_set(folder, toml='[request]\nmax_completion_tokens = 2\n[[gates]]\nmetric = "error_rate"\nmax = 0.0\n')
    with FaultyProxy(trained.url) as proxy:
        words = ("train", "sweep", trained.job.id, "--base-url", proxy.url)
        text = command(*words).stdout
        assert proxy.count("POST", CHAT) == 6
        report = json.loads(command(*words, "--json", "--version", "chosen").stdout)
        assert proxy.count("POST", CHAT) == 6
        command(*words, "--fresh")
        assert proxy.count("POST", CHAT) == 12
    assert all(len(line) <= 80 for line in text.splitlines())
    first, last = report["checkpoints"]
    assert (first["step"], last["step"]) == (1, 2)
    assert last["model"] == trained.job.fine_tuned_model
    assert all(one["gates"] == {"passed": 1, "of": 1} and one["valid_loss"] > 0 for one in (first, last))
    assert report["best"] == max((first, last), key=lambda one: (one["accuracy"]["value"], -one["step"]))["model"]
    assert "the best of 2 checkpoints on the same cases" in report["caution"]
    entry = FileBackend(folder / "registry.json").read().entries["chosen"]
    assert (entry.model_id, entry.job_id) == (report["best"], trained.job.id)


@needs_training
def test_if_no_checkpoint_passes_none_is_named(trained, folder):
    write_set(folder, expected="a word that nobody says", toml="[request]\nmax_completion_tokens = 2\n")
    words = ("train", "sweep", trained.job.id, "--base-url", trained.url, "--eval-sets", "eval_sets/items.jsonl")
    result = command(*words, "--version", "chosen", code=1)
    assert "no checkpoint passed every gate" in result.stdout
    assert not (folder / "registry.json").exists()


@needs_training
def test_an_interrupted_sweep_is_resumed(trained, folder):
    write_set(folder, toml="max_errors = 0\n[request]\nmax_completion_tokens = 2\n")
    with FaultyProxy(trained.url) as proxy:
        words = ("train", "sweep", trained.job.id, "--base-url", proxy.url)
        proxy.rewrite(lambda path, value: value if len(proxy.seen) < 7 or CHAT not in path else {"odd": 1})
        command(*words, code=1)
        proxy.rewrites.clear()
        before = proxy.count("POST", CHAT)
        report = json.loads(command(*words, "--json", code=1).stdout)
        assert 0 < proxy.count("POST", CHAT) - before < 6
    assert {one["gates"]["of"] for one in report["checkpoints"]} == {1}


@needs_training
def test_a_bound_that_cannot_be_checked_stops_the_sweep_before_any_request(trained, folder):
    write_set(folder)
    with FaultyProxy(trained.url) as proxy:
        words = ("train", "sweep", trained.job.id, "--base-url", proxy.url, "--max-cost", "0.01")
        assert "the limit cannot be enforced" in command(*words, code=2).output
        assert proxy.count("POST", CHAT) == 0


@needs_training
def test_a_diagnosis_draws_the_losses_and_the_learning_curve_of_the_job(trained, folder):
    write_set(folder, toml='[request]\nmax_completion_tokens = 2\n[[gates]]\nmetric = "error_rate"\nmax = 0.0\n')
    command("train", "sweep", trained.job.id, "--base-url", trained.url)
    options = ("--job", trained.job.id, "--base-url", trained.url)
    report = json.loads(command("diagnose", "last", *options, "--json", code=1).stdout)
    assert [point["step"] for point in report["losses"]] == [1, 2]
    assert all(point["train"] > 0 for point in report["losses"])
    assert [point["step"] for point in report["checkpoints"]] == [1, 2]
    assert all(point["accuracy"]["cases"] == 3 for point in report["checkpoints"])
    text = command("diagnose", "last", *options, code=1).stdout
    assert "losses, steps 1 to 2" in text
    assert "a higher max_completion_tokens" in text


@pytest.fixture
def judged(folder):
    """A checkpoint that has been evaluated over three cases: `judged(answer)`."""

    def make(answer, step=1):
        (eval_set,) = load_eval_sets([write_set(folder)], root=folder)
        with ScriptedServer(answer) as server:
            target, store = OpenAITarget("ft:scripted", base_url=server.url), RunStore(folder / ".finetune/runs")
            recorded = evaluate_target(target, [eval_set], Limits(), store=store, root=folder)
        return EvaluatedCheckpoint(FineTuningCheckpoint(f"c{step}", "ft:scripted", step), recorded)

    return make


def test_a_single_checkpoint_is_the_best_without_a_caution(judged):
    only = judged(lambda body: "fine")
    lines = [text for text, _ in sweep_lines([only], only)]
    assert lines[-2:] == ["best: ft:scripted", f"  run {only.recorded.run.id}"]
    assert sweep_json([only], only)["caution"] is None


def test_a_checkpoint_whose_evaluation_stopped_early_has_the_reason(judged):
    stopped = judged(lambda body: Reply(status=401, body={"error": {"message": "no such key"}}))
    text = " ".join(text for text, _ in sweep_lines([stopped], best_checkpoint([stopped])))
    assert "ft:scripted: auth: HTTP 401: no such key" in text
    assert text.endswith("no checkpoint passed every gate")
    assert "no such key" in sweep_json([stopped], None)["checkpoints"][0]["stopped"]


@pytest.fixture
def model(folder):
    """A scripted model and a recorded run of it over thirty cases: `model(answer)` returns its server and the run."""
    servers = []

    def make(answer, *, cases=60, toml='scorer = "label"\nlabels = ["fine", "bad"]\n'):
        server = ScriptedServer(answer)
        servers.append(server)
        server.__enter__()
        (eval_set,) = load_eval_sets([write_set(folder, cases=cases, toml=toml)], root=folder)
        target, store = OpenAITarget("ft:scripted", base_url=server.url), RunStore(folder / ".finetune/runs")
        return server, evaluate_target(target, [eval_set], Limits(), store=store, root=folder).run

    (folder / "train.jsonl").write_bytes(chat_lines(80))
    yield make
    for server in servers:
        server.__exit__(None, None, None)


def number_in(body):
    return int(body["messages"][-1]["content"].split()[-1])


def test_a_model_that_knows_only_its_examples_is_overfitted(model, folder):
    server, run = model(lambda body: "fine" if number_in(body) < 100 or number_in(body) % 2 else "bad")
    words = ("diagnose", run.id, "--training", "train.jsonl", "--sample", "50")
    result = command(*words, "-o", "diagnosis.html", code=1)
    assert "ft:scripted: overfitting" in result.stdout
    assert "on training data 1.000 of 50 cases" in result.stdout
    assert "- try more varied data" in result.stdout
    sent = len(server.questions)
    assert sent == 60 + 50
    report = json.loads(command(*words, "--json", code=1).stdout)
    assert len(server.questions) == sent
    assert (report["verdict"], report["findings"][0]["answer"]) == ("overfitting", "yes")
    assert report["gap"]["low"] > 0.3
    page = (folder / "diagnosis.html").read_text()
    assert "ft:scripted: overfitting" in page
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert "exists already" in command(*words, "-o", "diagnosis.html", code=2).output
    command(*words, "-o", "diagnosis.html", "--force", code=1)


def test_a_model_that_knows_nothing_is_underfitted(model):
    _, run = model(lambda body: "bad")
    assert "ft:scripted: underfitting" in command("diagnose", run.id, "--training", "train.jsonl", code=1).stdout


def test_a_model_that_adds_prose_has_an_unstable_format(model):
    _, run = model(lambda body: "fine" if number_in(body) % 4 else "Sure! It is fine.")
    report = json.loads(command("diagnose", run.id, "--json", code=1).stdout)
    assert report["verdict"] == "unstable format"
    assert sum(report["format_failures"].values()) == 15
    assert any("validating answers" in remedy for remedy in report["findings"][2]["remedies"])


def test_a_model_that_is_right_on_both_sides_is_healthy(model):
    _, run = model(lambda body: "fine", cases=100)
    assert command("diagnose", "last", "--training", "train.jsonl").stdout.startswith("ft:scripted: healthy")
    assert command("diagnose", run.id, "--train-run", "last", code=0).stdout.startswith("ft:scripted: healthy")


def test_without_training_data_overfitting_is_unknown(model):
    _, run = model(lambda body: "fine")
    result = command("diagnose", run.id, code=2)
    assert "ft:scripted: cannot tell" in result.stdout
    assert "--training FILE" in result.stdout


def test_examples_that_cannot_be_scored_are_left_out_and_counted(model, folder):
    with (folder / "train.jsonl").open("ab") as file:
        file.write(chat_lines(5, answer="no such label", start=90) + b"{broken\n")
    _, run = model(lambda body: "fine", cases=100)
    result = command("diagnose", run.id, "--training", "train.jsonl", "--sample", "500")
    assert "5 of 85 examples cannot be used" in result.stderr
    assert "1.000 of 80 cases" in result.stdout


def test_a_sample_is_the_same_for_the_same_seed(model):
    server, run = model(lambda body: "fine")
    words = ("diagnose", run.id, "--training", "train.jsonl", "--sample", "10", "--fresh")
    drawn = []
    for seed in ("1", "1", "2"):
        before = len(server.questions)
        CliRunner().invoke(main, [*words, "--seed", seed])
        drawn.append(sorted(map(number_in, server.questions[before:])))
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == 10


def test_an_unanswered_sample_is_not_evidence(model):
    server, run = model(lambda body: "fine")
    server.answer = lambda body: Reply(status=404, body={"error": {"message": "gone", "code": "model_not_found"}})
    result = command("diagnose", run.id, "--training", "train.jsonl", code=2)
    assert "sending the training data stopped" in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--training", "none.jsonl"), "cannot be read"),
        (("--training", "train.jsonl", "--train-run", "last"), "not both"),
        (("--eval-set", "eval_sets/itms.jsonl"), "did you mean 'eval_sets/items.jsonl'"),
        (("--training", "eval_sets/items.toml"), "no example is usable"),
        (("--job", "ftjob-none", "--base-url", "http://127.0.0.1:9/v1"), "no connection"),
    ],
)
def test_an_impossible_diagnosis_is_an_error(model, words, message):
    _, run = model(lambda body: "fine")
    assert message in command("diagnose", run.id, *words, code=2).output


def test_a_job_that_cannot_be_reached_leaves_less_evidence(model, folder):
    from datetime import UTC, datetime

    from pytest_finetune.lifecycle.training.job_records import JobRecord, JobStore

    _, run = model(lambda body: "fine")
    facts = {"base_url": "http://127.0.0.1:9/v1", "job_id": "ftjob-1", "fine_tuned_model": "ft:scripted"}
    JobStore(Path(".finetune/jobs")).write(JobRecord(nonce="n", created_at=datetime.now(UTC), **facts))
    result = command("diagnose", run.id, code=2)
    assert "without the losses of ftjob-1" in result.stderr
