"""`pytest-finetune diagnose`: why a fine-tuned model is not better, from its runs, its job and its training data."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pytest_finetune.base.errors import FinetuneError, RunError
from pytest_finetune.cli.output import json_option, print_json, print_lines
from pytest_finetune.cli.runs.options import find_run, runs_dir
from pytest_finetune.cli.train.options import base_url_option, job_store, read_dollars, service
from pytest_finetune.evaluation.engine import Limits
from pytest_finetune.evaluation.recorded import evaluate
from pytest_finetune.evaluation.runs.copies import FOLDER
from pytest_finetune.lifecycle.data.writing import new_files
from pytest_finetune.lifecycle.registry import open_registry
from pytest_finetune.lifecycle.target_specs import make_target
from pytest_finetune.lifecycle.training.checkpoints import models_of
from pytest_finetune.lifecycle.training.curves import job_curves
from pytest_finetune.lifecycle.training.diagnosis import diagnose
from pytest_finetune.lifecycle.training.evidence import Evidence
from pytest_finetune.lifecycle.training.recorded_evidence import answers_of, learning_curve, plan_of
from pytest_finetune.lifecycle.training.sample import training_sample
from pytest_finetune.reports.diagnosis import diagnosis_json, diagnosis_lines
from pytest_finetune.reports.diagnosis_page import diagnosis_page
from pytest_finetune.verdicts.loading import load_eval_sets

if TYPE_CHECKING:
    from pytest_finetune.evaluation.runs import EvalSetPlan, Run, RunStore, TargetInfo
    from pytest_finetune.lifecycle.training.recorded_evidence import Answers
    from pytest_finetune.verdicts.evalset import EvalSet


@dataclass(frozen=True, slots=True)
class Asking:
    """
    How training data are asked.

    Args:
        training: The file.
        sample: Examples at most.
        seed: Of the draw.
        model: What to ask in place of the run's own model; empty for that one.
        base_url: Its server; None for that of the run.
        limits: What asking may use.
        fresh: Ask again what is on record already.
    """

    training: Path
    sample: int
    seed: int
    model: str
    base_url: str | None
    limits: Limits
    fresh: bool


@click.command("diagnose")
@click.argument("run")
@click.option("--eval-set", default="", metavar="NAME", help="The one of the run's eval sets that is meant.")
@click.option("--training", type=click.Path(dir_okay=False, path_type=Path), help="Training data: a sample is asked.")
@click.option(
    "--sample", type=click.IntRange(min=1), default=100, show_default=True, help="Examples of --training to ask."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draw.")
@click.option("--train-run", metavar="RUN", help="A recorded run over training data, in place of --training.")
@click.option("--model", default="", help="Asked for --training.  [default: the run's own]")
@click.option("--job", default="", help="Its fine-tuning job, for the losses.  [default: the one that is known here]")
@click.option("--max-cost", metavar="USD", callback=read_dollars, help="For asking the sample.")
@click.option("--concurrency", type=click.IntRange(min=1), default=32, show_default=True, help="Requests in flight.")
@click.option("--fresh", is_flag=True, help="Ask the sample again, though it is on record.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write a page too.")
@click.option("--force", is_flag=True, help="Replace the page if it is there.")
@runs_dir
@json_option
@base_url_option
def command(store: RunStore, run: str, *, base_url: str | None, as_json: bool, **how: Any) -> None:
    """Find out why a fine-tuned model is not better.

    RUN is a run's id, the beginning of it, a path, or `last`. Its accuracy on the eval set is held against that on a
    sample of the training data (--training, which is asked now and recorded, or --train-run), the losses of its job and
    its checkpoints are read, and what its answers do wrong in form is counted. Each answer comes with its evidence and,
    where something is wrong, what to try. Where the evidence is too thin, that is the answer.

    \b
    Exit codes:
      0  healthy
      1  something is wrong
      2  cannot tell, or could not be done
    """  # noqa: D301 - click takes the backspace itself for "do not fold"
    if how["training"] and how["train_run"]:
        raise click.UsageError("name --training or --train-run, not both")
    found = find_run(store, run)
    plan = plan_of(found, how["eval_set"])
    evidence = _evidence(found, plan, store, base_url, how)
    diagnosis, name = diagnose(evidence), found.manifest.target.spec
    if how["output"]:
        with new_files([how["output"]], force=how["force"]) as (file,):
            file.write(diagnosis_page(name, diagnosis, evidence).encode())
    if as_json:
        print_json({"run": found.id, "eval_set": plan.name, **diagnosis_json(name, diagnosis, evidence)})
    else:
        print_lines(diagnosis_lines(name, diagnosis, evidence))
    sys.exit(1 if diagnosis.found else 0 if diagnosis.is_healthy else 2)


def _evidence(run: Run, plan: EvalSetPlan, store: RunStore, base_url: str | None, how: dict[str, Any]) -> Evidence:
    answers = answers_of(run, plan)
    training = _training(run, plan, store, base_url, how)
    evidence = Evidence(
        answers.accuracy,
        answers.invalid,
        answers.failures,
        training=training.accuracy if training else None,
        unstable=answers.unstable,
        missing=answers.missing + (training.missing if training else 0),
    )
    job_id = how["job"] or _known_job(run.manifest.target.model)
    return _with_job(evidence, job_id, plan, store, base_url, is_named=bool(how["job"])) if job_id else evidence


def _training(
    run: Run, plan: EvalSetPlan, store: RunStore, base_url: str | None, how: dict[str, Any]
) -> Answers | None:
    if how["train_run"]:
        other = find_run(store, how["train_run"])
        return answers_of(other, plan_of(other))
    if not how["training"]:
        return None
    limits = Limits(concurrency=how["concurrency"], max_cost=how["max_cost"])
    asking = Asking(how["training"], how["sample"], how["seed"], how["model"], base_url, limits, how["fresh"])
    return _asked(asking, run, plan, store)


def _asked(asking: Asking, run: Run, plan: EvalSetPlan, store: RunStore) -> Answers:
    """What the model answers to a sample of its training data, recorded as a run of its own."""
    drawn = training_sample(asking.training, _set_of(run, plan), size=asking.sample, seed=asking.seed)
    if drawn.unusable:
        click.echo(
            f"{drawn.unusable:,} of {drawn.examples:,} examples cannot be asked ({drawn.first_problem})", err=True
        )
    target = make_target(
        asking.model or _model_of(run.manifest.target),
        base_url=asking.base_url or run.manifest.target.base_url or None,
        concurrency=asking.limits.concurrency,
        registry=open_registry("registry.json"),
        store=store,
        models=store.root.parent / "models",
    )
    click.echo(f"asking {len(drawn.eval_set.cases):,} training examples of {target.spec}", err=True)
    recorded = evaluate(
        target,
        [drawn.eval_set],
        asking.limits,
        store=store,
        root=Path.cwd(),
        fresh=asking.fresh,
        keep_files=False,
    )
    if recorded.stopped:
        raise RunError(f"asking the training data stopped: {recorded.stopped}", recorded.run.id, "mend it, and repeat")
    return answers_of(recorded.run, plan_of(recorded.run))


def _model_of(target: TargetInfo) -> str:
    """What to ask for the model of a run: the id on the wire, or the spec of one that has no server."""
    return target.model if target.base_url else target.spec


def _set_of(run: Run, plan: EvalSetPlan) -> EvalSet:
    """The eval set as the run asked it, from its own copy; where there is none, as it is today."""
    copies = run.path / FOLDER
    root = copies if (copies / plan.name).is_file() else Path.cwd()
    return load_eval_sets([root / plan.name], root=root)[0]


def _with_job(
    evidence: Evidence, job_id: str, plan: EvalSetPlan, store: RunStore, base_url: str | None, *, is_named: bool
) -> Evidence:
    """The evidence with the losses and checkpoints of a job; one that nobody named and nobody tells leaves less."""
    try:
        api = service(base_url, job_id)
        job = api.job(job_id)
        curves, learning = job_curves(api, job), learning_curve(models_of(api, job), store, plan)
    except FinetuneError as error:
        if is_named:
            raise
        click.echo(f"without the losses of {job_id}: {error.problem}", err=True)
        return evidence
    return replace(evidence, curves=curves, learning=learning)


def _known_job(model: str) -> str:
    for record in job_store().records():
        if model == record.fine_tuned_model or any(model == checkpoint.model for checkpoint in record.checkpoints):
            return record.job_id
    return ""
