"""A diagnosis as a self-contained HTML page: verdict, evidence, remedies, a chart of the losses, the checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.reports.diagnosis import accuracy_cell, height, is_steep
from pytest_finetune.reports.html_text import escape_html, plain_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.lifecycle.training.curves import Curves
    from pytest_finetune.lifecycle.training.diagnosis import Diagnosis, DiagnosisFinding
    from pytest_finetune.lifecycle.training.evidence import DiagnosisEvidence, LearningPoint

_WIDTH, _HEIGHT = 600, 200
_LONGEST = 200
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #667085; --line: #d9dee7; --paper: #fff; }
:root { --first: #3b6fb6; --second: #b25e09; --good: #1a7f37; --bad: #b42318; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ef; --soft: #98a2b3; --line: #313a48; --paper: #14181f; }
  :root { --first: #7aa7e6; --second: #f5b55c; --good: #6fcf97; --bad: #ff8a80; }
}
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.35rem; margin: 0 0 .25rem; }
h2 { font-size: 1rem; margin: 2rem 0 .5rem; }
p, ul { margin: .25rem 0; }
figure { margin: 0; }
figcaption, .soft { color: var(--soft); font-size: .85rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line); font-weight: normal; }
th:last-child, td:last-child { text-align: left; }
thead th { color: var(--soft); font-size: .85rem; white-space: nowrap; }
svg { display: block; width: 100%; height: 14rem; border-bottom: 1px solid var(--line); }
svg path { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; }
.first { stroke: var(--first); color: var(--first); } .second { stroke: var(--second); color: var(--second); }
.yes { color: var(--bad); } .no { color: var(--good); } .unknown { color: var(--second); }
"""

_CLASSES = {"yes": "yes", "no": "no", "cannot tell": "unknown"}


def diagnosis_page(name: str, diagnosis: Diagnosis, evidence: DiagnosisEvidence) -> str:
    """The page; names and messages are escaped."""
    body = "\n".join(
        (
            f"<h1>{escape_html(name, _LONGEST)}: {escape_html(diagnosis.verdict)}</h1>",
            *map(_finding, diagnosis.findings),
            _losses(evidence.curves),
            _checkpoints(evidence.learning),
        )
    )
    return plain_page(f"Diagnosis of {name}", body, style=_STYLE)


def _finding(finding: DiagnosisFinding) -> str:
    kind = _CLASSES[finding.answer.value]
    facts = "".join(f"<p>{escape_html(text)}</p>" for text in finding.evidence)
    items = "".join(f"<li>{escape_html(text)}</li>" for text in finding.remedies)
    remedies = f"<p>Remedies:</p><ul>{items}</ul>" if items else ""
    return f'<h2>{finding.kind}: <span class="{kind}">{finding.answer}</span></h2>\n{facts}{remedies}'


def _losses(curves: Curves) -> str:
    named = [("training", "first", curves.train), ("validation", "second", curves.valid)]
    named = [each for each in named if each[2]]
    if not named:
        return "<h2>Losses</h2>\n<p>unknown: no job with losses was given</p>"
    losses = [loss for _, _, points in named for _, loss in points]
    steps = [step for _, _, points in named for step, _ in points]
    steep = is_steep(losses)
    paths = "".join(
        f'<path class="{kind}" d="{_path(points, min(steps), max(steps), min(losses), max(losses), steep=steep)}">'
        f"<title>{name} loss</title></path>"
        for name, kind, points in named
    )
    ranges = "; ".join(
        f'<span class="{kind}">{name} {points[0][1]:.4g} to {points[-1][1]:.4g}</span>' for name, kind, points in named
    )
    scale = ", log scale" if steep else ""
    return (
        f'<h2>Losses</h2>\n<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="losses by step">{paths}</svg>'
        f"<figcaption>steps {min(steps):,} to {max(steps):,}{scale}: {ranges}</figcaption></figure>"
    )


def _path(points: Sequence[tuple[int, float]], first: int, last: int, low: float, high: float, *, steep: bool) -> str:
    span = max(1, last - first)
    points_text = (
        f"{_WIDTH * (step - first) / span:.1f} {(_HEIGHT - 4) * (1 - height(loss, low, high, steep=steep)) + 2:.1f}"
        for step, loss in points
    )
    return "M" + "L".join(points_text)


def _checkpoints(learning: Sequence[LearningPoint]) -> str:
    if not learning:
        return ""
    rows = "\n".join(
        f"<tr><td>{point.step:,}</td><td>{'-' if point.valid_loss is None else f'{point.valid_loss:.4g}'}</td>"
        f"<td>{accuracy_cell(point.accuracy)}</td><td>{escape_html(point.model, _LONGEST)}</td></tr>"
        for point in learning
    )
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("step", "valid loss", "accuracy (95 %)", "model"))
    return (
        f'<h2>Checkpoints</h2>\n<div class="scroll"><table><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>{rows}</tbody></table></div>"
    )
