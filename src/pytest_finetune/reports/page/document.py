"""Render the run page: one self-contained document whose Content-Security-Policy blocks all network requests."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from pytest_finetune.reports.page.cases import run_value
from pytest_finetune.reports.page.sections import headline, run_view
from pytest_finetune.reports.page.strings import Strings, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Template

    from pytest_finetune.reports.reported import ReportedRun

_ASSETS = files("pytest_finetune.reports.page") / "assets"
_SCRIPTS = ("state.js", "diff.js", "filters.js", "list.js", "detail.js", "main.js")


def page_html(runs: Sequence[ReportedRun], *, redact: bool = False) -> str:
    """
    Render the page of one or more models over the same eval sets.

    Args:
        runs: At least one; judged models are shown before baselines.
        redact: Replace prompts, expected answers and answers with their hashes.
    """
    ordered = sorted(runs, key=lambda run: not run.judged)
    strings = Strings(redact=redact)
    values = [run_value(run, strings) for run in ordered]
    early, script = _asset("early.js"), "\n".join(_asset(name) for name in _SCRIPTS)
    style = _asset("page.css")
    html: str = _template().render(
        title=f"{visible(ordered[0].model)}: {headline(ordered[0])}",
        policy=_policy(style, early, script),
        version=version("pytest-finetune"),
        style=Markup(style),  # noqa: S704 - our own file
        early=Markup(early),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        runs=[run_view(run, number, redact=redact) for number, run in enumerate(ordered)],
        redacted=redact,
        data=_embedded({"redacted": redact, "models": values, "strings": strings.table}),
    )
    return html


def _policy(style: str, *scripts: str) -> str:
    """A policy that allows only our own style and scripts, by hash, and no network requests."""
    allowed = " ".join(map(_source, scripts))
    return f"default-src 'none'; script-src {allowed}; style-src {_source(style)}; base-uri 'none'; form-action 'none'"


def _source(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _embedded(value: object) -> Markup:
    """JSON that no text in it can break out of: `<`, `>`, `&` and the line separators of Unicode are escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - made safe above


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text("utf-8")


def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_asset("page.html"))
