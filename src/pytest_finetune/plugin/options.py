"""The command line. Every option has a long form, `--finetune-…`; the common ones have a short form, too."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, TypeVar

from pytest_finetune.base.eval_set_patterns import EVAL_SET_PATTERNS
from pytest_finetune.plugin.short_forms import SHORT_FORMS, long_form, taken_names

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

N = TypeVar("N", int, float)


def add_options(parser: pytest.Parser) -> list[str]:
    """
    Declare options and ini values.

    Returns:
        The short forms that another plugin or a conftest.py has defined already.
    """
    taken = taken_names(parser)
    group = parser.getgroup("finetune", "fine-tuned models against eval sets")

    def names(short: str) -> list[str]:
        return [*([] if short in taken else [short]), long_form(short)]

    for add in (_add_models, _add_actions, _add_limits, _add_reports):
        add(group, names)
    _add_data(group, parser)
    parser.addini("finetune_api", "the default of --finetune-api", default="")
    junit = "into the file of --junitxml"
    parser.addini("finetune_junit_properties", f"write properties {junit}", type="bool", default=True)
    parser.addini("finetune_junit_texts", f"write prompts and answers of misses {junit}", type="bool", default=False)
    parser.addini(
        "finetune_eval_sets",
        "patterns of eval set files below a folder; a .jsonl file named on the command line always is one",
        type="args",
        default=EVAL_SET_PATTERNS,
    )
    parser.addini(
        "finetune_prices",
        "prices in US dollars per million tokens, one 'MODEL = PROMPT, COMPLETION[, CACHED]' per line",
        type="linelist",
        default=[],
    )
    return [short for short in SHORT_FORMS if short in taken]


def _add_models(group: pytest.OptionGroup, names: Callable[[str], list[str]]) -> None:
    group.addoption(
        *names("--model"),
        dest="finetune_model",
        action="append",
        default=[],
        metavar="SPEC",
        help="model to evaluate: a model id (ft:…), registry:VERSION, local:NAME, local:PATH.gguf or replay:RUN; "
        "repeat to compare models",
    )
    group.addoption(
        *names("--model-base-url"),
        dest="finetune_model_base_url",
        metavar="URL",
        help="OpenAI-compatible server (default: $OPENAI_BASE_URL, else OpenAI)",
    )
    group.addoption(
        "--finetune-api",
        choices=("chat", "responses"),
        help="API that all requests are sent to: chat completions or the Responses API (default: ini finetune_api, "
        "else as the eval set or the model needs it)",
    )
    group.addoption(
        "--finetune-no-cache",
        action="store_true",
        help="bypass the response cache, as --promote always does",
    )


def _add_actions(group: pytest.OptionGroup, names: Callable[[str], list[str]]) -> None:
    group.addoption(
        *names("--repeats"),
        dest="finetune_repeats",
        type=_at_least(int, 1),
        metavar="K",
        help="request every case K times, overriding [stability] in the eval set",
    )
    group.addoption(
        "--finetune-limit",
        type=_at_least(int, 1),
        metavar="N",
        help="a first look: request only N cases of each eval set, the same ones each time; gates stay open",
    )
    group.addoption(
        *names("--resume"),
        dest="finetune_resume",
        action="store_true",
        help="resume the latest unfinished run of this model; only missing samples are requested",
    )
    group.addoption(
        *names("--baseline"),
        dest="finetune_baseline",
        metavar="SPEC",
        help="compare with a recorded run (replay:RUN), or with another model evaluated in the same session",
    )
    group.addoption(
        *names("--promote"),
        dest="finetune_promote",
        action="store_true",
        help="promote the model's version in the registry if every gate passes and the session succeeds",
    )
    group.addoption(
        "--finetune-registry",
        default="registry.json",
        metavar="PATH",
        help="registry file, or mlflow:URI (default: %(default)s)",
    )


def _add_limits(group: pytest.OptionGroup, names: Callable[[str], list[str]]) -> None:
    group.addoption(
        *names("--concurrency"),
        dest="finetune_concurrency",
        type=_at_least(int, 1),
        default=32,
        metavar="N",
        help="maximum concurrent requests in the session (default: %(default)s)",
    )
    group.addoption(
        *names("--max-cost"),
        dest="finetune_max_cost",
        type=_dollars,
        metavar="USD",
        help="stop sending requests once this much is spent",
    )
    group.addoption(
        "--finetune-deadline",
        type=_at_least(float, 0.001),
        default=120.0,
        metavar="SECONDS",
        help="time limit for one answer, retries included (default: %(default)g)",
    )
    group.addoption(
        *names("--stop-when-decided"),
        dest="finetune_stop_when_decided",
        action="store_true",
        help="stop early once no remaining answer can change a verdict; such a run cannot be promoted on",
    )


def _add_reports(group: pytest.OptionGroup, _names: Callable[[str], list[str]]) -> None:
    group.addoption(
        "--finetune-html",
        metavar="PATH",
        help="write the run page, a single HTML file; an existing file is replaced",
    )
    group.addoption(
        "--finetune-markdown",
        metavar="PATH",
        help="write a Markdown summary, e.g. for a pull request comment; an existing file is replaced",
    )
    group.addoption(
        "--finetune-redact",
        action="store_true",
        help="omit prompts and answers from every report; the run record still has them",
    )
    group.addoption(
        "--finetune-no-progress",
        action="store_true",
        help="disable the progress line",
    )


def _add_data(group: pytest.OptionGroup, parser: pytest.Parser) -> None:
    group.addoption(
        "--finetune-check",
        action="store_true",
        help="check the training data; one test per file and group of findings",
    )
    for role, what in (("train", "training"), ("validation", "validation")):
        group.addoption(
            f"--finetune-{role}",
            action="append",
            default=[],
            metavar="PATH",
            help=f"{what} file for --finetune-check; repeatable (default: ini finetune_{role})",
        )
        parser.addini(f"finetune_{role}", f"{what} files for --finetune-check", type="paths", default=[])
    group.addoption(
        "--finetune-check-fail-on",
        choices=("error", "warning", "info"),
        default="error",
        help="lowest severity that fails a --finetune-check test (default: %(default)s)",
    )
    parser.addini("finetune_check_label_by", "key in JSON answers to use as the label in --finetune-check", default="")
    parser.addini("finetune_check_ignore", "codes or groups that --finetune-check ignores", type="args", default=[])


def _at_least(number: Callable[[str], N], least: float) -> Callable[[str], N]:
    def parse(text: str) -> N:
        value = number(text)
        if not value >= least:
            raise ValueError(text)
        return value

    parse.__name__ = f"number of at least {least:g}"
    return parse


def _dollars(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(text) from None
    if not (value.is_finite() and value > 0):
        raise ValueError(text)
    return value


_dollars.__name__ = "positive amount of US dollars"
