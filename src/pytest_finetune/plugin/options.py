"""The command line: every option has a long form with our prefix, and the common ones a short form too."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.eval_set_patterns import EVAL_SET_PATTERNS

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def add_options(parser: pytest.Parser) -> None:
    """Declare options and ini values."""
    group = parser.getgroup("finetune", "fine-tuned models against eval sets")

    def add(short: str | None, long: str, **how: Any) -> None:
        how["dest"] = "finetune_" + long.removeprefix("--finetune-").replace("-", "_")
        # If another plugin owns the short name, ours keeps only the long one.
        names = [long] if short is None or short in _taken(parser) else [short, long]
        group.addoption(*names, **how)

    _add_models(add)
    _add_actions(add)
    _add_limits(add)
    _add_reports(add)
    _add_data(add, parser)
    junit = "into the file of --junitxml"
    parser.addini("finetune_junit_properties", f"write properties {junit}", type="bool", default=True)
    parser.addini("finetune_junit_texts", f"write prompts and answers of misses {junit}", type="bool", default=False)
    parser.addini(
        "finetune_eval_sets",
        "patterns of eval set files below a folder; a .jsonl file named on the command line always is one",
        type="args",
        default=EVAL_SET_PATTERNS,
    )


def _add_models(add: Callable[..., None]) -> None:
    add(
        "--model",
        "--finetune-model",
        action="append",
        default=[],
        metavar="SPEC",
        help="model to evaluate: a model id (ft:…), registry:VERSION, local:NAME, local:PATH.gguf or replay:RUN; "
        "repeat to compare models",
    )
    add(
        "--model-base-url",
        "--finetune-model-base-url",
        metavar="URL",
        help="OpenAI-compatible server (default: $OPENAI_BASE_URL, else OpenAI)",
    )
    add(
        None,
        "--finetune-no-cache",
        action="store_true",
        help="bypass the response cache, as --promote always does",
    )


def _add_actions(add: Callable[..., None]) -> None:
    add(
        "--repeats",
        "--finetune-repeats",
        type=_at_least(int, 1),
        metavar="K",
        help="request every case K times, overriding [stability] in the eval set",
    )
    add(
        "--resume",
        "--finetune-resume",
        action="store_true",
        help="resume the latest unfinished run of this model; only missing samples are requested",
    )
    add(
        "--baseline",
        "--finetune-baseline",
        metavar="SPEC",
        help="compare with a recorded run (replay:RUN), or with another model evaluated in the same session",
    )
    add(
        "--promote",
        "--finetune-promote",
        action="store_true",
        help="promote the model's version in the registry if every gate passes and the session succeeds",
    )
    add(
        None,
        "--finetune-registry",
        default="registry.json",
        metavar="PATH",
        help="registry file, or mlflow:URI (default: %(default)s)",
    )


def _add_limits(add: Callable[..., None]) -> None:
    add(
        "--concurrency",
        "--finetune-concurrency",
        type=_at_least(int, 1),
        default=32,
        metavar="N",
        help="maximum concurrent requests in the session (default: %(default)s)",
    )
    add(
        "--max-cost",
        "--finetune-max-cost",
        type=_dollars,
        metavar="USD",
        help="stop sending requests once this much is spent",
    )
    add(
        None,
        "--finetune-deadline",
        type=_at_least(float, 0.001),
        default=120.0,
        metavar="SECONDS",
        help="time limit for one answer, retries included (default: %(default)g)",
    )
    add(
        "--stop-when-decided",
        "--finetune-stop-when-decided",
        action="store_true",
        help="stop early once no remaining answer can change a verdict; such a run cannot be promoted on",
    )


def _add_data(add: Callable[..., None], parser: pytest.Parser) -> None:
    add(
        None,
        "--finetune-check",
        action="store_true",
        help="check the training data; one test per file and group of findings",
    )
    for role, what in (("train", "training"), ("validation", "validation")):
        add(
            None,
            f"--finetune-{role}",
            action="append",
            default=[],
            metavar="PATH",
            help=f"{what} file for --finetune-check; repeatable (default: ini finetune_{role})",
        )
        parser.addini(f"finetune_{role}", f"{what} files for --finetune-check", type="paths", default=[])
    add(
        None,
        "--finetune-check-fail-on",
        choices=("error", "warning", "info"),
        default="error",
        help="lowest severity that fails a --finetune-check test (default: %(default)s)",
    )
    parser.addini("finetune_check_label_by", "key in JSON answers to use as the label in --finetune-check", default="")
    parser.addini("finetune_check_ignore", "codes or groups that --finetune-check ignores", type="args", default=[])


def _add_reports(add: Callable[..., None]) -> None:
    add(
        None,
        "--finetune-html",
        metavar="PATH",
        help="write the run page, a single HTML file; an existing file is replaced",
    )
    add(
        None,
        "--finetune-markdown",
        metavar="PATH",
        help="write a Markdown summary, e.g. for a pull request comment; an existing file is replaced",
    )
    add(
        None,
        "--finetune-redact",
        action="store_true",
        help="omit prompts and answers from every report; the run record still has them",
    )
    add(
        None,
        "--finetune-no-progress",
        action="store_true",
        help="disable the progress line",
    )


def _taken(parser: pytest.Parser) -> set[str]:
    # pytest reports a clash only when it is too late to give way, so its groups are searched beforehand.
    groups = {id(group): group for group in [parser._anonymous, *parser._groups]}.values()  # noqa: SLF001
    return {name for group in groups for option in group.options for name in option.names()}


def _at_least(number: Callable[[str], Any], least: float) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
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
