"""The command line. Every option has a long form, `--finetune-…`; the common ones have a short form, too."""

from __future__ import annotations

from argparse import ArgumentTypeError
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, TypeVar

from pytest_finetune.base.eval_set_patterns import EVAL_SET_PATTERNS
from pytest_finetune.plugin.names import OptionNames

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

N = TypeVar("N", int, float)

_ROLES = {"train": "training", "validation": "validation"}


def add_options(parser: pytest.Parser) -> OptionNames:
    """
    Declare options and ini values.

    Raises:
        pytest.UsageError: Other plugins define all names that an option could have.
    """
    names = OptionNames(parser)
    group = parser.getgroup("finetune", "fine-tuned models against eval sets")
    for add in (_add_models, _add_actions, _add_limits, _add_batches, _add_reports, _add_data):
        add(group, names.free)
    _add_ini(names)
    return names


def _add_ini(names: OptionNames) -> None:
    names.add_ini("finetune_api", "the default of --finetune-api", "string", default="")
    junit = "into the file of --junitxml"
    names.add_ini("finetune_junit_properties", f"write properties {junit}", "bool", default=True)
    names.add_ini("finetune_junit_texts", f"write prompts and answers of misses {junit}", "bool", default=False)
    patterns = "patterns of eval set files below a folder; a .jsonl file named on the command line always is one"
    names.add_ini("finetune_eval_sets", patterns, "args", default=EVAL_SET_PATTERNS)
    prices = "prices in US dollars per million tokens, one 'MODEL = PROMPT, COMPLETION[, CACHED]' per line"
    names.add_ini("finetune_prices", prices, "linelist", default=[])
    for role, what in _ROLES.items():
        names.add_ini(f"finetune_{role}", f"{what} files for --finetune-check", "paths", default=[])
    label = "key in JSON answers to use as the label in --finetune-check"
    names.add_ini("finetune_check_label_by", label, "string", default="")
    names.add_ini("finetune_check_ignore", "codes or groups that --finetune-check ignores", "args", default=[])


def _add_models(group: pytest.OptionGroup, names: Callable[[str], list[str]]) -> None:
    group.addoption(
        *names("--model"),
        dest="pytest_finetune_model",
        action="append",
        default=[],
        metavar="SPEC",
        help="model to evaluate: a model id (ft:…), registry:VERSION, local:NAME, local:PATH.gguf or replay:RUN; "
        "repeat to compare models",
    )
    group.addoption(
        # The first spelling of this option had its own prefix; both go on working.
        "--finetune-base-url",
        *names("--model-base-url"),
        dest="pytest_finetune_model_base_url",
        metavar="URL",
        help="OpenAI-compatible server (default: $OPENAI_BASE_URL, else OpenAI)",
    )
    group.addoption(
        *names("--finetune-api"),
        dest="pytest_finetune_api",
        choices=("chat", "responses"),
        help="API that all requests are sent to: chat completions or the Responses API (default: ini finetune_api, "
        "else as the eval set or the model needs it)",
    )
    group.addoption(
        *names("--finetune-no-cache"),
        dest="pytest_finetune_no_cache",
        action="store_true",
        help="bypass the response cache, as --promote always does",
    )


def _add_actions(group: pytest.OptionGroup, names: Callable[[str], list[str]]) -> None:
    group.addoption(
        *names("--repeats"),
        dest="pytest_finetune_repeats",
        type=_at_least(int, 1),
        metavar="K",
        help="request every case K times, overriding [stability] in the eval set",
    )
    group.addoption(
        *names("--finetune-limit"),
        dest="pytest_finetune_limit",
        type=_at_least(int, 1),
        metavar="N",
        help="a first look: request only N cases of each eval set, the same ones each time; gates stay open",
    )
    group.addoption(
        *names("--resume"),
        dest="pytest_finetune_resume",
        action="store_true",
        help="resume the latest unfinished run of this model; only missing samples are requested",
    )
    group.addoption(
        *names("--baseline"),
        dest="pytest_finetune_baseline",
        metavar="SPEC",
        help="compare with a recorded run (replay:RUN), or with another model evaluated in the same session",
    )
    group.addoption(
        *names("--promote"),
        dest="pytest_finetune_promote",
        action="store_true",
        help="promote the model's version in the registry if every gate passes and the session succeeds",
    )
    group.addoption(
        *names("--finetune-registry"),
        dest="pytest_finetune_registry",
        default="registry.json",
        metavar="PATH",
        help="registry file, or mlflow:URI (default: %(default)s)",
    )


def _add_limits(group: pytest.OptionGroup, names: Callable[[str], list[str]]) -> None:
    group.addoption(
        *names("--concurrency"),
        dest="pytest_finetune_concurrency",
        type=_at_least(int, 1),
        default=32,
        metavar="N",
        help="maximum concurrent requests in the session (default: %(default)s)",
    )
    group.addoption(
        *names("--max-cost"),
        dest="pytest_finetune_max_cost",
        type=_dollars,
        metavar="USD",
        help="stop sending requests once this much is spent",
    )
    group.addoption(
        *names("--finetune-deadline"),
        dest="pytest_finetune_deadline",
        type=_at_least(float, 0.001),
        default=120.0,
        metavar="SECONDS",
        help="time limit for one answer, retries included (default: %(default)g)",
    )
    group.addoption(
        *names("--stop-when-decided"),
        dest="pytest_finetune_stop_when_decided",
        action="store_true",
        help="stop early once no remaining answer can change a verdict; such a run cannot be promoted on",
    )


def _add_batches(group: pytest.OptionGroup, names: Callable[[str], list[str]]) -> None:
    group.addoption(
        *names("--batch"),
        dest="pytest_finetune_batch",
        action="store_true",
        help="send the requests as batches, at their price, and wait for the answers before the first test",
    )


def _add_reports(group: pytest.OptionGroup, names: Callable[[str], list[str]]) -> None:
    group.addoption(
        *names("--finetune-html"),
        dest="pytest_finetune_html",
        metavar="PATH",
        help="write the run page, a single HTML file; an existing file is replaced",
    )
    group.addoption(
        *names("--finetune-markdown"),
        dest="pytest_finetune_markdown",
        metavar="PATH",
        help="write a Markdown summary, e.g. for a pull request comment; an existing file is replaced",
    )
    group.addoption(
        *names("--finetune-redact"),
        dest="pytest_finetune_redact",
        action="store_true",
        help="omit prompts and answers from every report; the run record still has them",
    )
    group.addoption(
        *names("--finetune-no-progress"),
        dest="pytest_finetune_no_progress",
        action="store_true",
        help="disable the progress line",
    )


def _add_data(group: pytest.OptionGroup, names: Callable[[str], list[str]]) -> None:
    group.addoption(
        *names("--finetune-check"),
        dest="pytest_finetune_check",
        action="store_true",
        help="check the training data; one test per file and group of findings",
    )
    for role, what in _ROLES.items():
        group.addoption(
            *names(f"--finetune-{role}"),
            dest=f"pytest_finetune_{role}",
            action="append",
            default=[],
            metavar="PATH",
            help=f"{what} file for --finetune-check; repeatable (default: ini finetune_{role})",
        )
    group.addoption(
        *names("--finetune-check-fail-on"),
        dest="pytest_finetune_check_fail_on",
        choices=("error", "warning", "info"),
        default="error",
        help="lowest severity that fails a --finetune-check test (default: %(default)s)",
    )


def _at_least(number: Callable[[str], N], least: float) -> Callable[[str], N]:
    what = "whole number" if number is int else "number"

    def parse(text: str) -> N:
        with suppress(ValueError):
            if (value := number(text)) >= least:
                return value
        raise ArgumentTypeError(f"{text!r} is not a {what} of at least {least:g}")

    return parse


def _dollars(text: str) -> Decimal:
    with suppress(InvalidOperation):
        value = Decimal(text)
        if value.is_finite() and value > 0:
            return value
    raise ArgumentTypeError(f"{text!r} is not a positive amount of US dollars, such as 2.50")
