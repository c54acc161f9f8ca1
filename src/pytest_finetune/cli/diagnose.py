"""`pytest-finetune diagnose`: is a model overfitted, underfitted or unstable in format?"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune.base.errors import FinetuneError, RunError
from pytest_finetune.cli.lazy_group import as_one, exit_codes
from pytest_finetune.cli.output import json_option, print_json, print_lines
from pytest_finetune.cli.request_options import concurrency_option, max_cost_option
from pytest_finetune.cli.runs.options import complete_runs, find_run, runs_dir
from pytest_finetune.cli.train.options import base_url_option, job_store, service
from pytest_finetune.evaluation.configured_prices import project_prices
from pytest_finetune.evaluation.engine import Limits
from pytest_finetune.evaluation.recorded import evaluate_target
from pytest_finetune.evaluation.runs.copies import FOLDER
from pytest_finetune.lifecycle.data.writing import new_files
from pytest_finetune.lifecycle.registry import open_registry
from pytest_finetune.lifecycle.target_specs import make_target
from pytest_finetune.lifecycle.training.checkpoints import models_of
from pytest_finetune.lifecycle.training.curves import job_curves
from pytest_finetune.lifecycle.training.diagnosis import diagnose
from pytest_finetune.lifecycle.training.evidence import DiagnosisEvidence
from pytest_finetune.lifecycle.training.recorded_evidence import answers_of, eval_set_plan, learning_curve
from pytest_finetune.lifecycle.training.training_sample import training_sample
from pytest_finetune.reports.diagnosis import diagnosis_json, diagnosis_lines
from pytest_finetune.reports.diagnosis_page import diagnosis_page
from pytest_finetune.reports.redaction import failure_words
from pytest_finetune.verdicts.loading import load_project_sets

if TYPE_CHECKING:
    from decimal import Decimal

    from pytest_finetune.evaluation.runs import EvalSetPlan, Run, RunStore, TargetInfo
    from pytest_finetune.lifecycle.training.recorded_evidence import RecordedAnswers
    from pytest_finetune.verdicts.evalset import EvalSet


@dataclass(frozen=True, slots=True)
class DiagnoseOptions:
    """The options of `diagnose`, named as click names them."""

    run: str
    eval_set: str
    training: Path | None
    sample: int
    seed: int
    train_run: str | None
    model: str
    job: str
    max_cost: Decimal | None
    concurrency: int
    fresh: bool
    output: Path | None
    force: bool
    store: RunStore
    as_json: bool
    base_url: str | None


@exit_codes("0  healthy", "1  a problem was found", "2  cannot tell, or error")
@click.command("diagnose")
@click.argument("run", shell_complete=complete_runs)
@click.option(
    "--eval-set", default="", metavar="NAME", help="Eval set to diagnose.  [default: the only one of the run]"
)
@click.option(
    "--training",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Training data; a sample of it is sent to the model.",
)
@click.option(
    "--sample", type=click.IntRange(min=1), default=100, show_default=True, help="Examples of --training to send."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Random seed for sampling --training.")
@click.option("--train-run", metavar="RUN", help="Recorded run over training data, instead of --training.")
@click.option("--model", default="", help="Model that --training is sent to.  [default: that of the run]")
@click.option(
    "--job", default="", help="Fine-tuning job of the model, for the losses.  [default: from the job records]"
)
@max_cost_option
@concurrency_option
@click.option("--fresh", is_flag=True, help="Send all requests again; do not reuse recorded answers.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Also write an HTML page.")
@click.option("--force", is_flag=True, help="Overwrite the page if it exists.")
@runs_dir
@json_option
@base_url_option
@as_one(DiagnoseOptions)
def command(options: DiagnoseOptions) -> None:
    """Find overfitting, underfitting and an unstable output format.

    RUN is a run of the fine-tuned model: its id, a unique prefix of it, a path, or `last`. For each of the three
    problems the answer is yes, no or "cannot tell", with the evidence and with remedies.

    The evidence is the accuracy on the eval set and on a sample of the training data (--training sends a sample,
    --train-run uses a recorded run), the losses and checkpoints of the job, and the format failures of the answers.
    """
    if options.training and options.train_run:
        raise click.UsageError("pass --training or --train-run, not both")
    run = find_run(options.store, options.run)
    plan = eval_set_plan(run, options.eval_set)
    evidence = _evidence(run, plan, options)
    diagnosis, name = diagnose(evidence), run.manifest.target.title
    if options.output:
        with new_files([options.output], force=options.force) as (file,):
            file.write(diagnosis_page(name, diagnosis, evidence).encode())
    if options.as_json:
        print_json({"run": run.id, "eval_set": plan.name, **diagnosis_json(name, diagnosis, evidence)})
    else:
        print_lines(diagnosis_lines(name, diagnosis, evidence))
    sys.exit(1 if diagnosis.found else 0 if diagnosis.is_healthy else 2)


def _evidence(run: Run, plan: EvalSetPlan, options: DiagnoseOptions) -> DiagnosisEvidence:
    answers = answers_of(run, plan)
    training = _training_answers(run, plan, options)
    evidence = DiagnosisEvidence(
        answers.accuracy,
        answers.invalid,
        answers.failures,
        training=training.accuracy if training else None,
        unstable=answers.unstable,
        missing=answers.missing + (training.missing if training else 0),
    )
    job_id = options.job or _known_job(run.manifest.target.model)
    return _with_job(evidence, job_id, plan, options) if job_id else evidence


def _training_answers(run: Run, plan: EvalSetPlan, options: DiagnoseOptions) -> RecordedAnswers | None:
    """The answers to training data: of a recorded run, or of a sample that is sent now; None without either."""
    if options.train_run:
        other = find_run(options.store, options.train_run)
        return answers_of(other, eval_set_plan(other))
    return _send_sample(options.training, run, plan, options) if options.training else None


def _send_sample(training: Path, run: Run, plan: EvalSetPlan, options: DiagnoseOptions) -> RecordedAnswers:
    """Send a sample of the training data to the model, recorded as a run of its own."""
    drawn = training_sample(training, _set_of(run, plan), size=options.sample, seed=options.seed)
    if drawn.unusable:
        click.echo(
            f"{drawn.unusable:,} of {drawn.examples:,} examples cannot be used ({drawn.first_problem})", err=True
        )
    target = make_target(
        options.model or _model_of(run.manifest.target),
        base_url=options.base_url or run.manifest.target.base_url or None,
        concurrency=options.concurrency,
        registry=open_registry("registry.json"),
        store=options.store,
        models=options.store.root.parent / "models",
    )
    click.echo(f"sending {len(drawn.eval_set.cases):,} training examples to {target.spec}", err=True)
    limits = Limits(concurrency=options.concurrency, max_cost=options.max_cost)
    recorded = evaluate_target(
        target,
        [drawn.eval_set],
        limits,
        prices=project_prices(Path.cwd()),
        store=options.store,
        root=Path.cwd(),
        fresh=options.fresh,
        keep_files=False,
    )
    if recorded.stopped:
        hint = "fix the cause and repeat the command; recorded answers are reused"
        problem = f"sending the training data stopped: {failure_words(recorded.stopped, redact=False)}"
        raise RunError(problem, recorded.evaluation.run.id if recorded.evaluation.run else target.spec, hint)
    return answers_of(recorded.run, eval_set_plan(recorded.run))


def _model_of(target: TargetInfo) -> str:
    """The spec that reaches the model of a run again: its id on the wire, or its spec if it has no server."""
    return target.model if target.base_url else target.spec


def _set_of(run: Run, plan: EvalSetPlan) -> EvalSet:
    """The eval set as it was, from the copy in the run; without a copy, as it is today."""
    copies = run.path / FOLDER
    root = copies if (copies / plan.name).is_file() else Path.cwd()
    return load_project_sets([root / plan.name], root=root)[0]


def _with_job(
    evidence: DiagnosisEvidence, job_id: str, plan: EvalSetPlan, options: DiagnoseOptions
) -> DiagnosisEvidence:
    """
    The evidence with the losses and checkpoints of a job.

    An unreachable job is an error only if --job named it; one found in the job records is left out with a message.
    """
    try:
        api = service(options.base_url, job_id)
        job = api.job(job_id)
        curves, learning = job_curves(api, job), learning_curve(models_of(api, job), options.store, plan)
    except FinetuneError as error:
        if options.job:
            raise
        click.echo(f"without the losses of {job_id}: {error.problem}", err=True)
        return evidence
    return replace(evidence, curves=curves, learning=learning)


def _known_job(model: str) -> str:
    """The id of the job whose record names this model or checkpoint; empty if there is none."""
    for record in job_store().records():
        if model == record.fine_tuned_model or any(model == checkpoint.model for checkpoint in record.checkpoints):
            return record.job_id
    return ""
