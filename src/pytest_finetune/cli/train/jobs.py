"""`pytest-finetune train list, events, checkpoints, cancel, pause, resume`: inspect and control jobs."""

from __future__ import annotations

from itertools import islice

import click

from pytest_finetune.cli.output import json_option, print_json, print_lines
from pytest_finetune.cli.train.options import base_url_option, job_argument, job_store, service
from pytest_finetune.lifecycle.training.job import CANCELLED
from pytest_finetune.reports.training import (
    checkpoint_json,
    checkpoints_lines,
    event_json,
    event_line,
    job_json,
    jobs_lines,
)


@click.command("list")
@click.option("-n", "count", type=click.IntRange(min=1), default=20, show_default=True, help="Maximum number of jobs.")
@json_option
@base_url_option
def list_jobs(base_url: str | None, *, count: int, as_json: bool) -> None:
    """List the jobs of the server, newest first.

    \b
    Exit codes:
      0  listed
      2  the server could not be reached
    """  # noqa: D301 - click takes the backspace itself for "do not fold"
    api = service(base_url)
    found = list(islice(api.jobs(), count))
    if as_json:
        print_json([job_json(job, api.base_url) for job in found])
    elif found:
        print_lines(jobs_lines(found))
    else:
        click.echo(f"no jobs at {api.base_url}; start one: pytest-finetune train start FILE --model BASE")
    if pending := [record for record in job_store().records() if record.is_pending and record.base_url == api.base_url]:
        click.echo(
            f"{len(pending)} start{'' if len(pending) == 1 else 's'} from here got no answer, so a job may exist: "
            "repeat the same `train start`, which looks for it before creating another",
            err=True,
        )


@click.command("events")
@job_argument
@click.option("-n", "count", type=click.IntRange(min=1), help="Only the latest N events.  [default: all]")
@json_option
@base_url_option
def events(job: str, base_url: str | None, *, count: int | None, as_json: bool) -> None:
    """Show the events of JOB, oldest first.

    \b
    Exit codes:
      0  shown
      2  could not be done
    """  # noqa: D301 - click takes the backspace itself for "do not fold"
    found = list(islice(service(base_url, job).events(job), count))[::-1]
    if as_json:
        print_json([event_json(event) for event in found])
    else:
        print_lines(map(event_line, found))


@click.command("checkpoints")
@job_argument
@json_option
@base_url_option
def checkpoints(job: str, base_url: str | None, *, as_json: bool) -> None:
    """List the checkpoint models of JOB.

    `train sweep` evaluates them all.

    \b
    Exit codes:
      0  listed
      2  could not be done
    """  # noqa: D301 - click takes the backspace itself for "do not fold"
    found = service(base_url, job).checkpoints(job)
    if as_json:
        print_json([checkpoint_json(checkpoint) for checkpoint in found])
    elif found:
        print_lines(checkpoints_lines(found))
    else:
        click.echo("no checkpoints yet; most servers save one after each epoch")


def _act(job: str, base_url: str | None, action: str, *, as_json: bool, after: str = "") -> None:
    api = service(base_url, job)
    changed = api.act(job, action)
    if changed.status == CANCELLED and (record := job_store().of_job(job, api.base_url)):
        job_store().update(record, status=CANCELLED)
    if as_json:
        print_json(job_json(changed, api.base_url))
        return
    print_lines(jobs_lines([changed]))
    if after:
        click.echo(after.format(job=job))


@click.command("cancel")
@job_argument
@json_option
@base_url_option
def cancel(job: str, base_url: str | None, *, as_json: bool) -> None:
    """Cancel JOB; its checkpoints are kept.

    \b
    Exit codes:
      0  cancelled
      2  could not be done, for example because JOB has ended
    """  # noqa: D301 - click takes the backspace itself for "do not fold"
    _act(job, base_url, "cancel", as_json=as_json)


@click.command("pause")
@job_argument
@json_option
@base_url_option
def pause(job: str, base_url: str | None, *, as_json: bool) -> None:
    """Pause JOB after its current step.

    \b
    Exit codes:
      0  paused
      2  could not be done
    """  # noqa: D301 - click takes the backspace itself for "do not fold"
    _act(job, base_url, "pause", as_json=as_json, after="to resume: pytest-finetune train resume {job}")


@click.command("resume")
@job_argument
@json_option
@base_url_option
def resume(job: str, base_url: str | None, *, as_json: bool) -> None:
    """Resume a paused JOB.

    \b
    Exit codes:
      0  resumed
      2  could not be done
    """  # noqa: D301 - click takes the backspace itself for "do not fold"
    _act(job, base_url, "resume", as_json=as_json, after="to follow it: pytest-finetune train watch {job}")
