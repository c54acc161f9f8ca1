"""The result of `import` as terminal lines and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.base.text import shorten
from pytest_finetune.reports.prepared import SHOWN, left_out_json, left_out_lines
from pytest_finetune.reports.text import wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_finetune.lifecycle.importing.imported_records import Imported
    from pytest_finetune.lifecycle.importing.recording import RecordedRun
    from pytest_finetune.reports.text import Line


def imported_lines(imported: Imported, runs: Sequence[RecordedRun]) -> Iterator[Line]:
    """What was written, what was not carried over, and the recorded runs, followed by the next command."""
    cases = f"{imported.cases:,} case{'' if imported.cases == 1 else 's'} written"
    yield from wrapped(f"{imported.target}: {cases}", {"bold": True})
    yield from wrapped(f"{imported.settings_file}: scorer {_scorer(imported)}, no gates")
    yield from left_out_lines(imported.source, imported.skipped, what="row")
    if imported.findings.not_carried:
        yield "not carried over:", {"yellow": True}
        for text, count in imported.findings.not_carried.items():
            times = f" ({count:,} times)" if count > 1 else ""
            yield from wrapped(f"  {shorten(text, 200)}{times}")
    for text in imported.findings.notes:
        yield from wrapped(f"note: {text}")
    for one in runs:
        yield from _run_lines(one)
    baseline = f" --baseline=replay:{runs[0].run.id}" if runs else ""
    # A command is one line, however long, so that it can be copied.
    yield f"next: pytest --model=MODEL{baseline} {imported.target}", {}


def _run_lines(one: RecordedRun) -> Iterator[Line]:
    result = one.result
    summary = result.summary
    state = "" if one.run.manifest.closed else " (open: some answers are missing)"
    name = f" ({one.name})" if one.name else ""
    yield f"run {one.run.id}{name}", {}
    yield from wrapped(f"  accuracy {_shown(_accuracy(one))} of {summary.planned:,}{state}")
    if known := one.agreed + len(one.disagreed):
        agreed = f"  the scorer agrees with the file's own graders on {one.agreed:,} of {known:,} answers"
        listed = ", ".join(one.disagreed[:SHOWN])
        others = ", …" if len(one.disagreed) > SHOWN else ""
        yield from wrapped(agreed + (f"; not on {listed}{others}" if listed else ""), {"yellow": bool(listed)})


def imported_json(imported: Imported, runs: Sequence[RecordedRun]) -> dict[str, Any]:
    """The result as JSON."""
    return {
        "source": str(imported.source),
        "format": imported.format,
        "target": str(imported.target),
        "settings_file": str(imported.settings_file),
        "settings": imported.findings.settings,
        "cases": imported.cases,
        **left_out_json(imported.skipped),
        "not_carried": dict(imported.findings.not_carried),
        "notes": imported.findings.notes,
        "runs": [
            {
                "name": one.name,
                "run": one.run.id,
                "model": one.run.manifest.target.model,
                "closed": one.run.manifest.closed,
                "accuracy": _accuracy(one),
                "graders_agree": one.agreed,
                "graders_disagree": list(one.disagreed),
            }
            for one in runs
        ],
    }


def _scorer(imported: Imported) -> str:
    if several := imported.findings.settings.get("scorers"):
        return ", ".join(each["name"] for each in several)
    scorer = imported.findings.settings.get("scorer", "exact")
    return str(scorer["type"] if isinstance(scorer, dict) else scorer)


def _accuracy(one: RecordedRun) -> float | None:
    exact = one.result.summary.measured("accuracy").exact
    return None if exact is None else float(exact)


def _shown(accuracy: float | None) -> str:
    return "unknown" if accuracy is None else f"{accuracy:.3f}"
