"""`pytest-finetune train list, events, checkpoints, cancel, pause, resume`: inspect and control jobs."""

from __future__ import annotations

from itertools import islice

import click

from pytest_finetune.cli.lazy_group import exit_codes
from pytest_finetune.cli.output import json_option, print_json, print_lines
from pytest_finetune.cli.train.options import base_url_option, job_argument, job_store, service, training_prices
from pytest_finetune.lifecycle.training.job import CANCELLED
from pytest_finetune.reports.training import (
    checkpoint_json,
    checkpoints_lines,
    event_json,
    event_line,
    job_json,
    jobs_lines,
)


@exit_codes("0  success", "2  error, for example if the server does not answer")
@click.command("list")
@click.option("-n", "count", type=click.IntRange(min=1), default=20, show_default=True, help="Maximum number of jobs.")
@json_option
@base_url_option
def list_jobs(base_url: str | None, *, count: int, as_json: bool) -> None:
    """List the jobs of the server, newest first."""
    api = service(base_url)
    found = list(islice(api.jobs(), count))
    if as_json:
        prices = training_prices(api.base_url)
        print_json([job_json(job, prices) for job in found])
    elif found:
        print_lines(jobs_lines(found))
    else:
        click.echo(f"no jobs at {api.base_url}; start one: pytest-finetune train start FILE --model BASE")
    if pending := [record for record in job_store().records() if record.is_pending and record.base_url == api.base_url]:
        click.echo(
            f"{len(pending)} start{'' if len(pending) == 1 else 's'} from here got no answer, so a job may exist. "
            "Repeat the same `train start`: it looks for that job before creating one",
            err=True,
        )


@exit_codes("0  success", "2  error")
@click.command("events")
@job_argument
@click.option("-n", "count", type=click.IntRange(min=1), help="Only the latest N events.  [default: all]")
@json_option
@base_url_option
def events(job: str, base_url: str | None, *, count: int | None, as_json: bool) -> None:
    """Show the events of JOB, oldest first."""
    found = list(islice(service(base_url, job).events(job), count))[::-1]
    if as_json:
        print_json([event_json(event) for event in found])
    else:
        print_lines(map(event_line, found))


@exit_codes("0  success", "2  error")
@click.command("checkpoints")
@job_argument
@json_option
@base_url_option
def checkpoints(job: str, base_url: str | None, *, as_json: bool) -> None:
    """List the checkpoint models of JOB.

    `train sweep` evaluates them all.
    """
    found = service(base_url, job).checkpoints(job)
    if as_json:
        print_json([checkpoint_json(checkpoint) for checkpoint in found])
    elif found:
        print_lines(checkpoints_lines(found))
    else:
        click.echo("no checkpoints yet; most servers save one after each epoch")


def _change_job(job: str, base_url: str | None, action: str, *, as_json: bool, after: str = "") -> None:
    api = service(base_url, job)
    changed = api.act(job, action)
    if changed.status == CANCELLED and (record := job_store().of_job(job, api.base_url)):
        job_store().update(record, status=CANCELLED)
    if as_json:
        print_json(job_json(changed, training_prices(api.base_url)))
        return
    print_lines(jobs_lines([changed]))
    if after:
        click.echo(after.format(job=job))


@exit_codes("0  cancelled", "2  error, for example if JOB has already ended")
@click.command("cancel")
@job_argument
@json_option
@base_url_option
def cancel(job: str, base_url: str | None, *, as_json: bool) -> None:
    """Cancel JOB; its checkpoints are kept."""
    _change_job(job, base_url, "cancel", as_json=as_json)


@exit_codes("0  paused", "2  error")
@click.command("pause")
@job_argument
@json_option
@base_url_option
def pause(job: str, base_url: str | None, *, as_json: bool) -> None:
    """Pause JOB after its current step."""
    _change_job(job, base_url, "pause", as_json=as_json, after="to resume: pytest-finetune train resume {job}")


@exit_codes("0  resumed", "2  error")
@click.command("resume")
@job_argument
@json_option
@base_url_option
def resume(job: str, base_url: str | None, *, as_json: bool) -> None:
    """Resume a paused JOB."""
    _change_job(job, base_url, "resume", as_json=as_json, after="to follow it: pytest-finetune train watch {job}")
