"""A profile of training data as a self-contained HTML page without scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.data.codes import CODES
from pytest_finetune.lifecycle.data.labels import WHY_NO_LABELS
from pytest_finetune.reports.data_profile import HEADS, NAMES, length_figures, prompts_text, share, tokens_text
from pytest_finetune.reports.html_text import escape_html, plain_page

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_finetune.lifecycle.data.profile import Distribution, Profile

_LONGEST = 120
_HEIGHT = 60

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #667085; --line: #d9dee7; --bar: #3b6fb6; --paper: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ef; --soft: #98a2b3; --line: #313a48; --bar: #7aa7e6; --paper: #14181f; }
}
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.35rem; margin: 0 0 .25rem; }
h2 { font-size: 1rem; margin: 2rem 0 .5rem; }
p { color: var(--soft); margin: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line); font-weight: normal; }
th:first-child { text-align: left; }
thead th { color: var(--soft); font-size: .85rem; }
.wide { width: 45%; }
.shapes { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: 1rem; }
figure { margin: 0; }
figcaption { color: var(--soft); font-size: .85rem; }
svg { display: block; width: 100%; fill: var(--bar); }
figure svg { height: 5.5rem; border-bottom: 1px solid var(--line); }
td svg { height: .6rem; }
td { white-space: nowrap; overflow-wrap: normal; }
tbody th { min-width: 7rem; }
thead th { white-space: nowrap; overflow-wrap: normal; }
th.said { text-align: left; min-width: 12rem; color: var(--soft); }
.error { color: #b42318; } .warning { color: #b25e09; }
@media (prefers-color-scheme: dark) { .error { color: #ff8a80; } .warning { color: #f5b55c; } }
"""


def profile_page(profile: Profile, findings: Mapping[str, int] | None, source: Path) -> str:
    """The page; all text from the data is escaped."""
    name = escape_html(str(source), _LONGEST)
    body = "\n".join(
        (
            f"<h1>{name}</h1>",
            f"<p>{escape_html(_summary(profile))}</p>",
            _lengths(profile),
            _counts("Labels", profile.labels, f"none (answers are {WHY_NO_LABELS})"),
            _counts("Answers", profile.answers, "no rows"),
            _counts("Languages of the prompts", profile.languages, "no rows"),
            _counts("Scripts of the prompts", profile.scripts, "no rows"),
            _findings(findings),
        )
    )
    return plain_page(f"Profile of {source}", body, style=_STYLE)


def _summary(profile: Profile) -> str:
    return f"{profile.rows:,} rows; tokens per epoch: {tokens_text(profile)}; system prompts: {prompts_text(profile)}"


def _lengths(profile: Profile) -> str:
    heads = "".join(f'<th scope="col">{name}</th>' for name in HEADS)
    rows = "\n".join(
        f'<tr><th scope="row">{NAMES[name]}</th>{"".join(f"<td>{cell}</td>" for cell in length_figures(each))}</tr>'
        for name, each in profile.lengths.items()
    )
    drawn = "\n".join(
        f"<figure>{_histogram(each)}<figcaption>{NAMES[name]}: {each.least:,} to {each.most:,}</figcaption></figure>"
        for name, each in profile.lengths.items()
    )
    return (
        f'<h2>Lengths</h2>\n<div class="scroll"><table><thead><tr><th scope="col">per row</th>{heads}</tr></thead>\n'
        f'<tbody>{rows}</tbody></table></div>\n<h2>Distributions</h2>\n<div class="shapes">{drawn}</div>'
    )


def _histogram(each: Distribution) -> str:
    most = max((count for _, count in each.bins), default=1)
    bars = "".join(
        f'<rect x="{at}" y="{_HEIGHT - height:.1f}" width=".9" height="{height:.1f}"><title>from {start:,}: {count:,}'
        "</title></rect>"
        for at, (start, count) in enumerate(each.bins)
        if (height := _HEIGHT * count / most) > 0
    )
    size = f"0 0 {max(1, len(each.bins))} {_HEIGHT}"
    return f'<svg viewBox="{size}" preserveAspectRatio="none" role="img" aria-label="histogram">{bars}</svg>'


def _counts(title: str, counts: Mapping[str, int], empty: str) -> str:
    if not counts:
        return f"<h2>{title}</h2>\n<p>{empty}</p>"
    total, most = sum(counts.values()), max(counts.values())
    bar = (
        '<svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true"><rect width="{:.1f}" height="4"/></svg>'
    )
    rows = "\n".join(
        f'<tr><th scope="row">{escape_html(name, _LONGEST)}</th><td>{count:,}</td><td>{share(count, total)}</td>'
        f'<td class="wide">{bar.format(100 * count / most)}</td></tr>'
        for name, count in counts.items()
    )
    return f'<h2>{title}</h2>\n<div class="scroll"><table><tbody>{rows}</tbody></table></div>'


def _findings(findings: Mapping[str, int] | None) -> str:
    if not findings:
        return f"<h2>Findings</h2>\n<p>{'not checked' if findings is None else 'none'}</p>"
    rows = "\n".join(
        f'<tr><th scope="row" class="{CODES[code].severity.word}">{code}</th><td>{CODES[code].severity.word}</td>'
        f'<td>{count:,}</td><th class="said">{escape_html(CODES[code].meaning)}</th></tr>'
        for code, count in findings.items()
    )
    return f'<h2>Findings</h2>\n<div class="scroll"><table><tbody>{rows}</tbody></table></div>'
