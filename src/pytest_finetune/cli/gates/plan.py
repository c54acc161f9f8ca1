"""`pytest-finetune gates plan`: what each gate will probably say, and how many cases it takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune.base.errors import did_you_mean
from pytest_finetune.cli.eval_sets import eval_set_files, warn_of_copies
from pytest_finetune.cli.lazy_group import as_one, exit_codes
from pytest_finetune.cli.output import json_option, print_json, print_lines
from pytest_finetune.cli.runs.options import find_run, run_store
from pytest_finetune.evaluation.runs.pairing import pair_runs
from pytest_finetune.reports.gate_plan import plan_lines, plan_values
from pytest_finetune.verdicts.evalset.gate_metrics import RATES
from pytest_finetune.verdicts.gates.forecast import DISCORDANCE, LIKENESS, Assumptions, forecast_set
from pytest_finetune.verdicts.loading import load_project_sets

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """The options of `gates plan`, named as click names them."""

    eval_sets: tuple[Path, ...]
    expect: tuple[str, ...]
    drop: float
    discordance: float | None
    runs: tuple[str, str] | None
    likeness: float
    power: float
    as_json: bool


_power = click.FloatRange(0.5, 1, min_open=True, max_open=True)


@exit_codes("0  success", "2  error")
@click.command("plan")
@click.argument("eval_sets", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--expect",
    multiple=True,
    metavar="[METRIC=]VALUE",
    help="True quality that is assumed; with METRIC, of that metric only.  [default: half-way from the bar to perfect]",
)
@click.option("--drop", type=click.FloatRange(-1, 1), default=0.0, show_default=True, help="True drop that is assumed.")
@click.option(
    "--discordance",
    type=click.FloatRange(0, 1),
    help=f"Share of the cases that only one of model and baseline passes.  [default: {DISCORDANCE:g}]",
)
@click.option("--runs", nargs=2, metavar="A B", help="Take the discordance of each set from two recorded runs.")
@click.option(
    "--likeness",
    type=click.FloatRange(0, 1),
    default=LIKENESS,
    show_default=True,
    help="Correlation of the results of cases in one group.",
)
@click.option("--power", type=_power, default=0.8, show_default=True, help="Chance of a verdict to count cases for.")
@json_option
@as_one(PlanOptions)
def command(options: PlanOptions) -> None:
    """Show what each gate will probably say, and how many cases it takes.

    EVAL_SETS are .jsonl files or folders of them (default: eval_sets). No model is called: for each gate, the chances
    that it passes, fails and stays undecided are computed from its cases and the assumed quality. Below it are the
    cases with which it would pass with a probability of --power, and the lowest quality that the present cases show
    with that probability.
    """
    root = Path.cwd()
    if options.runs and options.discordance is not None:
        raise click.UsageError("--discordance and --runs exclude each other")
    expected = _expected(options.expect)
    recorded = _discordances(options.runs) if options.runs else {}
    files = {path: None for named in options.eval_sets or (Path("eval_sets"),) for path in eval_set_files(named, root)}
    plans = []
    for eval_set in load_project_sets(list(files), root=root):
        if options.runs and eval_set.name not in recorded:
            raise click.UsageError(f"the two runs cannot be compared over {eval_set.name}")
        discordance = DISCORDANCE if options.discordance is None else options.discordance
        discordance = recorded.get(eval_set.name, discordance)
        discordance = max(discordance, abs(options.drop))
        assumed = Assumptions(expected, options.drop, discordance, options.likeness, options.power)
        plans.append((eval_set, forecast_set(eval_set, assumed), assumed))
    if options.as_json:
        print_json({"eval_sets": [plan_values(*plan) for plan in plans]})
        return
    for number, plan in enumerate(plans):
        if number:
            click.echo()
        print_lines(plan_lines(*plan))
    warn_of_copies([eval_set for eval_set, *_ in plans])


def _expected(texts: tuple[str, ...]) -> Mapping[str, float]:
    """The assumed values by metric; "" for those without one."""
    found: dict[str, float] = {}
    for text in texts:
        metric, separator, value = text.rpartition("=")
        if separator and metric not in RATES:
            raise click.BadParameter(f"{metric!r} is not a rate; {did_you_mean(metric, RATES)}", param_hint="--expect")
        try:
            found[metric] = float(value)
        except ValueError:
            raise click.BadParameter(f"{value!r} is not a number", param_hint="--expect") from None
        if not 0 <= found[metric] <= 1:
            raise click.BadParameter(f"{value} is not in [0, 1]", param_hint="--expect")
    return found


def _discordances(runs: tuple[str, str]) -> dict[str, float]:
    """Share of the cases of each set that only one of two recorded runs passed."""
    store = run_store()
    before, after = (find_run(store, name) for name in runs)
    drops = {pair.eval_set: pair.comparison.difference for pair in pair_runs(before, after).pairs}
    return {name: float(drop.better + drop.worse) / drop.n for name, drop in drops.items()}
