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
        # Where another plugin has the short name, ours goes on under the long one.
        names = [long] if short is None or short in _taken(parser) else [short, long]
        group.addoption(*names, **how)

    _add_whom_to_ask(add)
    _add_what_to_do(add)
    _add_bounds(add)
    _add_what_to_show(add)
    _add_data(add, parser)
    junit = "into the file of --junitxml"
    parser.addini("finetune_junit_properties", f"write properties {junit}", type="bool", default=True)
    parser.addini("finetune_junit_texts", f"write prompts and answers of misses {junit}", type="bool", default=False)
    parser.addini(
        "finetune_eval_sets",
        "which files below a folder are eval sets; a .jsonl file named on the command line always is",
        type="args",
        default=EVAL_SET_PATTERNS,
    )


def _add_whom_to_ask(add: Callable[..., None]) -> None:
    add(
        "--model",
        "--finetune-model",
        action="append",
        default=[],
        metavar="SPEC",
        help="evaluate this model: a model id (ft:…), registry:VERSION, local:NAME, local:PATH.gguf or replay:RUN; "
        "repeat to compare",
    )
    add(
        "--model-base-url",
        "--finetune-model-base-url",
        metavar="URL",
        help="an OpenAI-compatible server (default: $OPENAI_BASE_URL, else OpenAI)",
    )
    add(
        None,
        "--finetune-no-cache",
        action="store_true",
        help="ask the server even where a model with an immutable id has answered before",
    )


def _add_what_to_do(add: Callable[..., None]) -> None:
    add(
        "--repeats",
        "--finetune-repeats",
        type=_at_least(int, 1),
        metavar="K",
        help="ask every case K times, whatever [stability] says",
    )
    add(
        "--resume",
        "--finetune-resume",
        action="store_true",
        help="go on with the newest open run of this model over these eval sets, asking only what is missing",
    )
    add(
        "--baseline",
        "--finetune-baseline",
        metavar="SPEC",
        help="compare with replay:RUN, or with a model that is asked in this session too",
    )
    add(
        "--promote",
        "--finetune-promote",
        action="store_true",
        help="promote the model's version in the registry when every gate has passed",
    )
    add(
        None,
        "--finetune-registry",
        default="registry.json",
        metavar="PATH",
        help="the registry: a file, or mlflow:URI (default: %(default)s)",
    )


def _add_bounds(add: Callable[..., None]) -> None:
    add(
        "--concurrency",
        "--finetune-concurrency",
        type=_at_least(int, 1),
        default=32,
        metavar="N",
        help="requests in flight over the whole session (default: %(default)s)",
    )
    add(
        "--max-cost",
        "--finetune-max-cost",
        type=_dollars,
        metavar="USD",
        help="ask nothing more once this much is spent",
    )
    add(
        None,
        "--finetune-deadline",
        type=_at_least(float, 0.001),
        default=120.0,
        metavar="SECONDS",
        help="time for one answer, all tries together (default: %(default)g)",
    )
    add(
        "--stop-when-decided",
        "--finetune-stop-when-decided",
        action="store_true",
        help="ask no more once no answer can change any verdict; such a run is no evidence for a promotion",
    )


def _add_data(add: Callable[..., None], parser: pytest.Parser) -> None:
    add(
        None,
        "--finetune-check",
        action="store_true",
        help="check the training data, as tests: one for each file and group of findings",
    )
    for role, what in (("train", "training"), ("validation", "validation")):
        add(
            None,
            f"--finetune-{role}",
            action="append",
            default=[],
            metavar="PATH",
            help=f"a {what} file that --finetune-check looks at; repeatable (default: ini finetune_{role})",
        )
        parser.addini(f"finetune_{role}", f"{what} files that --finetune-check looks at", type="paths", default=[])
    add(
        None,
        "--finetune-check-fail-on",
        choices=("error", "warning", "info"),
        default="error",
        help="the least severity that fails a test of --finetune-check (default: %(default)s)",
    )
    parser.addini("finetune_check_label_by", "key of JSON answers that is their label for --finetune-check", default="")
    parser.addini("finetune_check_ignore", "codes or groups that --finetune-check leaves out", type="args", default=[])


def _add_what_to_show(add: Callable[..., None]) -> None:
    add(
        None,
        "--finetune-html",
        metavar="PATH",
        help="write the run page, one HTML file to review the run on; a file of that name is replaced",
    )
    add(
        None,
        "--finetune-markdown",
        metavar="PATH",
        help="write the outcome as Markdown, for a comment on a pull request; a file of that name is replaced",
    )
    add(
        None,
        "--finetune-redact",
        action="store_true",
        help="leave prompts and answers out of every report: hashes and verdicts stay; the run record holds them",
    )
    add(
        None,
        "--finetune-no-progress",
        action="store_true",
        help="no live line while waiting at a terminal",
    )


def _taken(parser: pytest.Parser) -> set[str]:
    # pytest tells of a clash only when it is too late to give way, so that its groups have to be looked through.
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
