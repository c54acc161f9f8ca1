"""`pytest-finetune gates calibrate`: how well the judge of an eval set agrees with people."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pytest_finetune.base.errors import EvalSetError, did_you_mean
from pytest_finetune.base.files import write_file
from pytest_finetune.cli.lazy_group import as_one, exit_codes
from pytest_finetune.cli.output import ProgressLine, json_option, print_json
from pytest_finetune.cli.registry_option import DEFAULT
from pytest_finetune.cli.request_options import concurrency_option, deadline_option, max_cost_option
from pytest_finetune.evaluation.calibrating import ask_judge
from pytest_finetune.evaluation.configured_prices import project_prices
from pytest_finetune.evaluation.engine import Limits
from pytest_finetune.evaluation.runs import RunStore
from pytest_finetune.lifecycle.registry import open_registry
from pytest_finetune.lifecycle.target_specs import make_asked_target, make_target
from pytest_finetune.verdicts.calibration import labelled_path, read_calibration, read_labelled, record_path
from pytest_finetune.verdicts.loading import load_project_sets
from pytest_finetune.verdicts.scoring.scorers.judge import JudgeScorer
from pytest_finetune.verdicts.stats import wilson_interval
from pytest_finetune.verdicts.stats.imperfect import kappa

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from pytest_finetune.verdicts.calibration import CalibrationRecord, LabelledCase
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.metrics.calibration import Calibration


@dataclass(frozen=True, slots=True)
class CalibrateOptions:
    """The options of `gates calibrate`, named as click names them."""

    eval_set: Path
    scorer_name: str
    base_url: str | None
    concurrency: int
    deadline: float
    max_cost: Decimal | None
    registry: str
    as_json: bool


@exit_codes(
    "0  gates may use the judge",
    "1  they may not: too few labelled answers, or not better than chance",
    "2  error, or verdicts are missing; nothing was written",
)
@click.command("calibrate")
@click.argument("eval_set", type=click.Path(path_type=Path))
@click.option(
    "--scorer",
    "scorer_name",
    default="",
    metavar="NAME",
    help="The judge, if the set has several scorers.  [default: the one that decides]",
)
@click.option("--base-url", metavar="URL", help="Server of a judge that names none.  [default: OPENAI_BASE_URL]")
@concurrency_option
@deadline_option
@max_cost_option
@click.option("--registry", default=DEFAULT, metavar="PATH|mlflow:URI", show_default=True, help="Model registry.")
@json_option
@as_one(CalibrateOptions)
def command(options: CalibrateOptions) -> None:
    """Measure how well a judge agrees with people.

    NAME.calibration.jsonl next to EVAL_SET, NAME.jsonl, has the labelled answers: lines like those of the eval set,
    with "answer", the text to judge, and "human", a person's verdict. The judge is asked about each, and its verdicts
    are written to NAME.calibration.json. Gates on the judge's verdicts need that file, and correct for its errors.
    Of a judge that does not decide, named with --scorer, the files are NAME.SCORER.calibration.jsonl and .json.
    """
    root = Path.cwd()
    (eval_set,) = load_project_sets([options.eval_set], root=root)
    # The deciding scorer has a name, too, but its files have none.
    name = options.scorer_name if options.scorer_name in eval_set.others else ""
    scorer = _judge(eval_set, options.scorer_name)
    labelled = read_labelled(labelled_path(eval_set.path, name), scorer)
    record, unusable = _ask(options, eval_set, scorer, labelled, root)
    for line in unusable:
        click.echo(f"{labelled_path(eval_set.path, name).name}: {line}", err=True)
    if len(unusable) > eval_set.settings.max_errors:
        click.echo(f"no usable verdict on {len(unusable):,} answers: nothing was written", err=True)
        sys.exit(2)
    target = record_path(eval_set.path, name)
    write_file(target, record.model_dump_json(indent=1).encode() + b"\n")
    calibration = read_calibration(eval_set.path, scorer, eval_set.settings, name)
    figures = _figures(calibration)
    write_file(target, record.model_copy(update={"figures": figures}).model_dump_json(indent=1).encode() + b"\n")
    if options.as_json:
        print_json({"eval_set": eval_set.name, "judge": record.judge, "fault": calibration.fault, **figures})
    else:
        click.echo("\n".join(_lines(eval_set, record, calibration, figures, target.name)))
    sys.exit(1 if calibration.fault else 0)


def _judge(eval_set: EvalSet, name: str) -> JudgeScorer:
    """
    The judge that is called `name` in the settings; by default the scorer that decides.

    Raises:
        EvalSetError: There is none.
    """
    decider = eval_set.settings.decider
    names = [*eval_set.others, *([decider.title] if decider else [])]
    if name and name not in names:
        raise EvalSetError(f"no scorer is called {name!r}", eval_set.name, did_you_mean(name, names))
    scorer = eval_set.others[name].scorer if name in eval_set.others else eval_set.scorer
    if not isinstance(scorer, JudgeScorer):
        judges = [each for each, other in eval_set.others.items() if isinstance(other.scorer, JudgeScorer)]
        hint = f"name the judge: --scorer {judges[0]}" if judges else 'only type = "judge" is calibrated'
        raise EvalSetError(f"the scorer is {scorer.name}, not a judge", eval_set.name, hint)
    return scorer


def _ask(
    options: CalibrateOptions, eval_set: EvalSet, scorer: JudgeScorer, labelled: Sequence[LabelledCase], root: Path
) -> tuple[CalibrationRecord, list[str]]:
    make = partial(
        make_target,
        concurrency=options.concurrency,
        registry=open_registry(options.registry),
        store=RunStore(root / ".finetune" / "runs"),
        models=root / ".finetune" / "models",
    )
    target = make_asked_target(scorer.asks, eval_set.name, base_url=options.base_url, make=make)
    limits = Limits(options.concurrency, options.deadline, options.max_cost)
    line = ProgressLine(target.spec)
    try:
        return asyncio.run(ask_judge(target, scorer, labelled, limits, prices=project_prices(root), progress=line.show))
    finally:
        line.clear()


def _figures(calibration: Calibration) -> dict[str, Any]:
    """The figures with their 95 % intervals, by Wilson's for the two rates; None without answers of one kind."""
    right, wrong = calibration.right, calibration.wrong
    found: dict[str, Any] = {"right": list(right), "wrong": list(wrong)}
    for name, pair in (("sensitivity", right), ("specificity", wrong)):
        interval = wilson_interval(*pair) if pair[1] else None
        found[name] = None if interval is None else [pair[0] / pair[1], interval.low, interval.high]
    value, interval = kappa(right, wrong) if right[1] and wrong[1] else (None, None)
    found["kappa"] = None if interval is None else [value, interval.low, interval.high]
    return found


def _lines(
    eval_set: EvalSet, record: CalibrationRecord, calibration: Calibration, figures: dict[str, Any], written: str
) -> list[str]:
    right, wrong = calibration.right, calibration.wrong
    labelled = f"{right[1] + wrong[1]:,} labelled answers ({right[1]:,} right, {wrong[1]:,} wrong)"
    lines = [f"{eval_set.name}: judge {record.judge}, {labelled}"]
    counts = {"sensitivity": f"{right[0]:,g} of {right[1]:,}", "specificity": f"{wrong[0]:,g} of {wrong[1]:,}"}
    for name in ("sensitivity", "specificity", "kappa"):
        if figures[name] is not None:
            value, low, high = figures[name]
            lines.append(f"  {name:<11}  {value:6.3f}  [{low:.3f}, {high:.3f}]  {counts.get(name, '')}".rstrip())
    lines.append(f"wrote {written}")
    if calibration.fault:
        lines.append(f"no gate may use it: {calibration.fault}")
    return lines
