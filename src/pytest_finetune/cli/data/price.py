"""`pytest-finetune data price`: estimates the cost of training, evaluation and traffic in US dollars."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune.cli.data.progress import watched
from pytest_finetune.cli.data.source import Source, shape_option
from pytest_finetune.cli.eval_sets import eval_set_files
from pytest_finetune.cli.lazy_group import as_one, exit_codes
from pytest_finetune.cli.output import json_option, print_json, print_lines
from pytest_finetune.evaluation.configured_prices import project_prices
from pytest_finetune.lifecycle.data.chat_rows import chat_rows
from pytest_finetune.lifecycle.data.price import price_model
from pytest_finetune.lifecycle.data.raw_rows import LeftOuts, read_jsonl
from pytest_finetune.lifecycle.data.rows import refuse_pipe
from pytest_finetune.lifecycle.data.tokens import tokenizer_for
from pytest_finetune.lifecycle.data.traffic import count_training, evaluation_traffic, total_traffic, training_traffic
from pytest_finetune.lifecycle.registry.announcements import LAST_FINE_TUNING_DAY
from pytest_finetune.lifecycle.registry.sunset import announced
from pytest_finetune.reports.prepared import left_out_json, left_out_lines
from pytest_finetune.reports.price import is_priced, price_json, price_lines
from pytest_finetune.verdicts.loading import load_project_sets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_finetune.lifecycle.data.price import ModelPrice
    from pytest_finetune.lifecycle.data.tokens import Tokenizer
    from pytest_finetune.lifecycle.data.traffic import Traffic, TrainingTokens
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.shapes.row import ChatRow


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arguments:
    """The arguments and options of the command."""

    training: Path | None
    shape: str
    models: tuple[str, ...]
    evals: tuple[Path, ...]
    epochs: int | None
    monthly_calls: int | None
    as_json: bool


@exit_codes("0  every cost is known", "1  a price is unknown, or lines of TRAINING were skipped", "2  error")
@click.command("price")
@click.argument("training", required=False, type=Source())
@shape_option
@click.option("--model", "models", multiple=True, required=True, help="Base or fine-tuned model; repeat to compare.")
@click.option(
    "--eval",
    "evals",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Eval set, or folder of them; repeatable.",
)
@click.option(
    "--epochs", type=click.IntRange(min=1), help="Training epochs.  [default: 3, adjusted to the number of examples]"
)
@click.option(
    "--monthly-calls",
    type=click.IntRange(min=1),
    help="Calls per month, each as long as the average eval case.",
)
@json_option
@as_one(_Arguments)
def command(arguments: _Arguments) -> None:
    """Estimate the cost of training, evaluation and monthly traffic.

    Tokens are counted offline with the model's tokenizer, or with a substitute if it is unknown; the figures are then
    marked as estimates. Answers are assumed to be as long as the expected ones. A base model that can be fine-tuned
    is priced as its fine-tuned version. Without --eval, monthly calls resemble the rows of TRAINING.
    """
    if arguments.training is None and not arguments.evals:
        raise click.UsageError("name a training file, or --eval, or both")
    if not all(map(str.strip, arguments.models)):
        raise click.UsageError("--model is empty")
    if arguments.training and arguments.monthly_calls and not arguments.evals:
        refuse_pipe(arguments.training)
    now, left_out = datetime.now(UTC), LeftOuts()
    prices = _prices(arguments, now, left_out)
    ends = {model: found.date for model in arguments.models if (found := announced(model))}
    if arguments.as_json:
        costs = price_json(prices, ends, today=now.date(), last_training_day=LAST_FINE_TUNING_DAY)
        print_json({**costs, **left_out_json(left_out)})
    else:
        if arguments.training:
            print_lines(left_out_lines(arguments.training, left_out, what="line"))
        print_lines(price_lines(prices, ends, today=now.date(), last_training_day=LAST_FINE_TUNING_DAY))
    sys.exit(0 if all(map(is_priced, prices)) and not left_out.count else 1)


def _prices(arguments: _Arguments, now: datetime, left_out: LeftOuts) -> list[ModelPrice]:
    """The costs of each model; lines that are skipped are added to `left_out`."""
    tokenizers = {model: tokenizer_for(model) for model in arguments.models}
    kinds = list({tokenizer.name: tokenizer for tokenizer in tokenizers.values()}.values())
    counted = _count(arguments.training, arguments.shape, kinds, left_out) if arguments.training else {}
    sets, configured = _eval_sets(arguments.evals), project_prices(Path.cwd())
    prices = []
    for model, tokenizer in tokenizers.items():
        traffic = {each.name: evaluation_traffic(each, tokenizer) for each in sets}
        calls = arguments.monthly_calls
        month = _month(traffic.values(), arguments.training, arguments.shape, tokenizer, calls) if calls else None
        found = price_model(
            model,
            tokenizer,
            training=counted.get(tokenizer.name),
            epochs=arguments.epochs,
            evaluations=traffic,
            month=month,
            when=now,
            configured=configured,
        )
        prices.append(found)
    return prices


def _count(path: Path, shape: str, kinds: Sequence[Tokenizer], left_out: LeftOuts) -> dict[str, TrainingTokens]:
    counted = count_training(watched(_rows(path, shape, left_out), "counted"), kinds)
    if not counted[0].examples:
        raise left_out.nothing_left(path)
    return {kind.name: tokens for kind, tokens in zip(kinds, counted, strict=True)}


def _rows(path: Path, shape: str, left_out: LeftOuts) -> Iterator[ChatRow]:
    return (row for _, row in chat_rows(read_jsonl(path), left_out, shape=shape))


def _eval_sets(named: Sequence[Path]) -> list[EvalSet]:
    root = Path.cwd()
    files = {path: None for each in named for path in eval_set_files(each, root)}
    return load_project_sets(list(files), root=root)


def _month(
    evaluations: Iterable[Traffic], training: Path | None, shape: str, tokenizer: Tokenizer, calls: int
) -> Traffic:
    """Calls as long as those of the eval sets on average, or without eval sets, as the training rows."""
    usual = total_traffic(evaluations)
    if not usual.calls and training:
        usual = training_traffic(_rows(training, shape, LeftOuts()), tokenizer)
    return usual.scaled(calls)
