"""Render the run page: one self-contained document whose Content-Security-Policy blocks all network requests."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from pytest_finetune.reports.page.cases import run_value
from pytest_finetune.reports.page.sections import headline, models_view, run_view
from pytest_finetune.reports.page.strings import Strings, visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_finetune.reports.reported import ReportedRun

_ASSETS = files("pytest_finetune.reports.page") / "assets"
_SCRIPTS = ("state.js", "review.js", "diff.js", "filters.js", "list.js", "detail.js", "main.js")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """
    What the viewer adds to the page of a run.

    Args:
        address: Path of the run, which reviews are sent to.
        others: Ids and names of runs that it can be compared with.
        against: Id of the run that it is compared with; empty if it is not.
        formats: Endings of its exports.
        reviews: Eval set, case, verdict and note of each review.
        sets: Name, kind of answers and labels of the eval sets that cases can be added to.
    """

    address: str
    others: Sequence[Mapping[str, str]]
    against: str
    formats: Sequence[str]
    reviews: Sequence[Sequence[str]]
    sets: Sequence[Mapping[str, object]]


def page_html(runs: Sequence[ReportedRun], *, redact: bool = False, around: Surroundings | None = None) -> str:
    """
    Render the page of one or more models over the same eval sets.

    Args:
        runs: At least one; judged models are shown before baselines.
        redact: Replace prompts, expected answers and answers with their hashes.
        around: What the viewer adds; None for a file, which makes no request.
    """
    ordered = sorted(runs, key=lambda run: not run.judged)
    strings = Strings(redact=redact)
    values = [run_value(run, strings) for run in ordered]
    data: dict[str, object] = {"redacted": redact, "models": values, "strings": strings.table}
    if around:
        data["viewer"] = {"address": around.address, "reviews": around.reviews, "sets": around.sets}
    return rendered(
        "page.html",
        scripts=_SCRIPTS,
        title=f"{visible(ordered[0].model)}: {headline(ordered[0])}",
        runs=[run_view(run, number, redact=redact) for number, run in enumerate(ordered)],
        side_by_side=models_view(ordered) if len({_sets(run) for run in ordered}) == 1 < len(ordered) else None,
        redacted=redact,
        data=_embedded(data),
        around=around,
        served=around is not None,
    )


def rendered(
    template: str,
    *,
    scripts: Sequence[str] = (),
    around: Surroundings | None = None,
    served: bool = True,
    **values: object,
) -> str:
    """
    A page from one of the templates, with our style.

    Args:
        template: Name of the template.
        scripts: Names of the scripts; none for a page without.
        around: What the viewer adds to the page of a run.
        served: Whether it is a page of the viewer; a file makes no request.
        values: For the template.
    """
    style, early = _asset("page.css"), _asset("early.js")
    script = "\n".join(_asset(name) for name in scripts)
    html: str = (
        _environment()
        .get_template(template)
        .render(
            policy=_policy(style, early, *([script] if script else []), is_file=not served),
            version=version("pytest-finetune"),
            style=Markup(style),  # noqa: S704 - our own file
            early=Markup(early),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
            around=around,
            served=served,
            **values,
        )
    )
    return html


def _sets(run: ReportedRun) -> tuple[str, ...]:
    return tuple(part.name for part in run.sets)


def _policy(style: str, *scripts: str, is_file: bool) -> str:
    """A policy that allows only our own style and scripts, by hash; a file makes no network requests."""
    allowed = " ".join(map(_source, scripts))
    ours = "form-action 'none'" if is_file else "form-action 'self'; connect-src 'self'; img-src data:"
    return f"default-src 'none'; script-src {allowed}; style-src {_source(style)}; base-uri 'none'; {ours}"


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


def _environment() -> Environment:
    return Environment(
        loader=FunctionLoader(_asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
