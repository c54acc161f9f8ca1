"""Fine-tuning jobs over HTTP, each answer parsed into the official client's types."""

from __future__ import annotations

import base64
import json
import re
from typing import get_args

import openai
import pytest
from click.testing import CliRunner
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint
from server_process import BASE, chat_lines, needs_training, tiny_job, upload, wait_for, wait_for_job

from pytest_finetune.cli import main
from pytest_finetune.lifecycle.training.advice import advice_for

pytestmark = needs_training


@pytest.fixture(scope="module")
def done(client):
    """A finished job with a validation file: two epochs of two steps."""
    job = tiny_job(
        client,
        epochs=2,
        batch_size=5,
        suffix="tiny",
        seed=7,
        metadata={"team": "red", "nonce": "n-1"},
        validation_file=upload(client, chat_lines(4, start=90)),
    )
    return wait_for_job(client, job.id)


def messages(client, job):
    return [event.message for event in client.fine_tuning.jobs.list_events(job.id, limit=100)][::-1]


def test_a_finished_job_has_all_fields_of_openai_s(client, done):
    raw = client.fine_tuning.jobs.with_raw_response.retrieve(done.id).http_response.json()
    job = FineTuningJob.model_validate(raw)
    assert job.status == "succeeded", job.error
    assert job.error is None
    assert job.fine_tuned_model == f"ft:{BASE}:local:tiny:{job.id[-8:]}"
    assert job.method.supervised.hyperparameters.n_epochs == 2
    assert (job.hyperparameters.n_epochs, job.hyperparameters.batch_size) == (2, 5)
    assert job.hyperparameters.learning_rate_multiplier == 1.0
    assert (job.seed, job.metadata) == (7, {"team": "red", "nonce": "n-1"})
    assert job.trained_tokens > 0
    assert job.trained_tokens % 2 == 0
    assert job.created_at <= job.finished_at
    assert job.estimated_finish is None
    assert set(FineTuningJob.model_fields) - {"object"} <= set(raw) | {"object"}


def test_its_events_report_each_step_once(client, done):
    texts = messages(client, done)
    assert texts[:4] == [
        f"Created fine-tuning job: {done.id}",
        f"Validating training file: {done.training_file}",
        "Files validated, moving job to queued state",
        "Fine-tuning job started",
    ]
    assert texts[-2:] == [
        f"New fine-tuned model created: {done.fine_tuned_model}",
        "The job has successfully completed",
    ]
    assert [text.split(":")[0] for text in texts if text.startswith("Step ")] == [f"Step {n}/4" for n in range(1, 5)]
    assert len(set(texts)) == len(texts)


def test_its_metrics_are_in_the_events_and_in_the_result_file(client, done):
    events = client.fine_tuning.jobs.with_raw_response.list_events(done.id, limit=100).http_response.json()["data"]
    parsed = [FineTuningJobEvent.model_validate(event) for event in events]
    metrics = [event.data for event in parsed if event.type == "metrics"][::-1]
    assert [data["step"] for data in metrics] == [1, 2, 3, 4]
    assert metrics[-1]["train_loss"] < metrics[0]["train_loss"]
    assert {"valid_loss", "valid_mean_token_accuracy"} <= set(metrics[0])
    table = base64.b64decode(client.files.content(done.result_files[0]).read()).decode().splitlines()
    assert table[0] == "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"
    assert [line.split(",")[:2] for line in table[1:]] == [[str(d["step"]), str(d["train_loss"])] for d in metrics]
    assert client.files.retrieve(done.result_files[0]).purpose == "fine-tune-results"


def test_each_epoch_leaves_a_checkpoint_that_answers(client, done):
    raw = client.fine_tuning.jobs.checkpoints.with_raw_response.list(done.id).http_response.json()
    first, second = [FineTuningJobCheckpoint.model_validate(one) for one in raw["data"]][::-1]
    assert (first.step_number, second.step_number) == (2, 4)
    assert second.metrics.full_valid_loss < first.metrics.full_valid_loss
    for model in (first.fine_tuned_model_checkpoint, second.fine_tuned_model_checkpoint, done.fine_tuned_model):
        request = [{"role": "user", "content": "item 3"}]
        answer = client.chat.completions.create(model=model, messages=request, max_completion_tokens=4, temperature=0)
        assert answer.model == model
        assert answer.choices[0].finish_reason in {"stop", "length"}


def test_its_adapter_can_be_used_as_a_local_model(running, done):
    from pytest_finetune.evaluation.targets.weights import find_weights

    name = done.fine_tuned_model.replace(":", "-")
    weights = find_weights(f"local:{name}", running.models)
    assert weights.adapter == running.models / f"{name}.gguf"


def test_pages_of_events_have_no_gap_and_no_overlap(client, done):
    all_of_them = [event.id for event in client.fine_tuning.jobs.list_events(done.id, limit=100).data]
    paged = [event.id for event in client.fine_tuning.jobs.list_events(done.id, limit=3)]
    assert paged == all_of_them


def test_jobs_are_found_by_their_metadata(client, done):
    assert [job.id for job in client.fine_tuning.jobs.list(metadata={"nonce": "n-1", "team": "red"})] == [done.id]
    assert client.fine_tuning.jobs.list(metadata={"nonce": "n-2"}).data == []


def test_a_job_keeps_its_deleted_file_and_a_deleted_model_stops_answering(client):
    name = upload(client, chat_lines(10))
    job = tiny_job(client, training_file=name)
    wait_for_job(client, job.id, "queued", "running")
    client.files.delete(name)
    job = wait_for_job(client, job.id)
    assert job.status == "succeeded", job.error
    assert client.models.delete(job.fine_tuned_model).deleted
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model=job.fine_tuned_model, messages=[{"role": "user", "content": "x"}])
    assert job.fine_tuned_model not in [model.id for model in client.models.list()]


def test_a_running_job_can_be_paused_resumed_and_cancelled(client):
    job = tiny_job(client, examples=40, epochs=50, batch_size=1)

    def steps():
        return [text for text in messages(client, job) if text.startswith("Step ")]

    wait_for(steps, lambda texts: len(texts) >= 2)
    assert client.fine_tuning.jobs.pause(job.id).status == "paused"
    with pytest.raises(openai.BadRequestError, match="paused"):
        client.fine_tuning.jobs.pause(job.id)
    assert client.fine_tuning.jobs.resume(job.id).status in ("queued", "running")
    resumed = wait_for(lambda: messages(client, job), lambda texts: any("resumed after step" in text for text in texts))
    assert len(set(resumed)) == len(resumed)
    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    for change in ("cancel", "pause", "resume"):
        with pytest.raises(openai.BadRequestError, match="has already ended and is cancelled"):
            getattr(client.fine_tuning.jobs, change)(job.id)
    assert client.fine_tuning.jobs.retrieve(job.id).finished_at is not None


def test_jobs_run_one_at_a_time_and_a_queued_one_can_be_cancelled(client):
    first = tiny_job(client, examples=40, epochs=50, batch_size=1)
    second = tiny_job(client)
    wait_for_job(client, first.id, "running")
    assert wait_for_job(client, second.id, "queued").status == "queued"
    assert client.fine_tuning.jobs.cancel(second.id).status == "cancelled"
    assert client.fine_tuning.jobs.cancel(first.id).status == "cancelled"


@pytest.mark.parametrize(
    ("data", "code", "message"),
    [
        (chat_lines(9), "invalid_n_examples", "9 example.* at least 10"),
        (chat_lines(10) + b'{"messages": []}\n', "invalid_training_file", r"train\.jsonl:11: .*no list of messages"),
        (b"\xff\xfe", "invalid_training_file", "UTF-16"),
    ],
)
def test_an_unusable_file_fails_the_job_with_the_reason(client, data, code, message):
    job = wait_for_job(client, tiny_job(client, training_file=upload(client, data)).id)
    assert (job.status, job.error.code, job.error.param) == ("failed", code, "training_file")
    assert re.search(message, job.error.message)
    last = next(iter(client.fine_tuning.jobs.list_events(job.id)))
    assert last.level == "error"
    assert job.error.message in last.message


def test_job_check_and_start_name_the_line_of_an_example_that_is_too_long(client, tmp_path, monkeypatch):
    """The advice of the failed job is followed: data check names the same line, and train start uploads nothing."""
    long = {"messages": [{"role": "user", "content": "late parcel " * 1300}, {"role": "assistant", "content": "y"}]}
    data = chat_lines(11) + json.dumps(long).encode() + b"\n"
    job = wait_for_job(client, tiny_job(client, training_file=upload(client, data, name="mine.jsonl")).id)
    assert job.status == "failed"
    assert re.fullmatch(r"mine\.jsonl:12: the example is 2,\d+ tokens long; at most 2,048", job.error.message)
    assert "data check FILE --model BASE" in advice_for(job.error.code, job.error.message)
    (tmp_path / "mine.jsonl").write_bytes(data)
    monkeypatch.chdir(tmp_path)
    checked = CliRunner().invoke(main, ["data", "check", "mine.jsonl", "--model", BASE])
    assert re.search(r"mine\.jsonl:12 \$\.messages: 2,\d+ tokens, \d+ over", checked.output)
    monkeypatch.setenv("OPENAI_BASE_URL", str(client.base_url))
    started = CliRunner().invoke(main, ["train", "start", "mine.jsonl", "--model", BASE, "--yes"])
    assert started.exit_code == 1
    assert "mine.jsonl:12" in started.output


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "gpt-4.1-nano"}, "model"),
        ({"training_file": "file-nothing"}, "training_file"),
        ({"validation_file": "file-nothing"}, "validation_file"),
        ({"suffix": "no spaces"}, "suffix"),
        ({"suffix": "../../x"}, "suffix"),
        ({"seed": -1}, "seed"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"method": {"type": "dpo"}}, "method.type"),
        ({"hyperparameters": {"n_epochs": 0}}, "hyperparameters.n_epochs"),
        ({"hyperparameters": {"n_epochs": "3"}}, "hyperparameters.n_epochs"),
        ({"hyperparameters": {"epochs": 3}}, "hyperparameters.epochs"),
        ({"integrations": [{"type": "wandb", "wandb": {"project": "x"}}]}, "integrations"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_an_unsupported_request_is_refused_by_name(client, body, param):
    request = {"model": BASE, "training_file": upload(client, chat_lines(10)), **body}
    with pytest.raises(openai.APIStatusError) as refused:
        client.post("/fine_tuning/jobs", body=request, cast_to=object)
    assert refused.value.status_code in (400, 404)
    assert refused.value.param.startswith(param)


def test_the_error_for_a_number_out_of_range_names_the_range(client):
    with pytest.raises(openai.BadRequestError, match="less than or equal to 50") as refused:
        tiny_job(client, epochs=51)
    assert refused.value.param == "method.supervised.hyperparameters.n_epochs"


def test_deprecated_hyperparameters_are_accepted(client):
    name = upload(client, chat_lines(10))
    job = client.fine_tuning.jobs.create(model=BASE, training_file=name, hyperparameters={"n_epochs": 1})
    assert job.hyperparameters.n_epochs == 1
    client.fine_tuning.jobs.cancel(job.id)


def test_an_unknown_job_is_not_found(client):
    jobs = client.fine_tuning.jobs
    for look in (jobs.retrieve, jobs.cancel, jobs.pause, jobs.resume, jobs.list_events, jobs.checkpoints.list):
        with pytest.raises(openai.NotFoundError, match="No such fine-tuning job"):
            look("ftjob-nothing")


def test_every_status_but_paused_is_in_the_client_s_types():
    from pytest_finetune.server.jobs.records import JobStatus

    known = get_args(FineTuningJob.model_fields["status"].annotation)
    assert set(get_args(JobStatus)) - set(known) == {"paused"}
