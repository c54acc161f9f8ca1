"""What gates will probably say, as a table with a chart for terminals, as one line per gate, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.base.text import printable
from pytest_finetune.reports.text import Line, wrapped
from pytest_finetune.verdicts.gates.forecast_figures import family_of
from pytest_finetune.verdicts.gates.wording import error_text
from pytest_finetune.verdicts.metrics.summary import EVERY_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.gates.forecast import Assumptions
    from pytest_finetune.verdicts.gates.forecast_figures import Forecast

CHART = 20
"""Columns of a chart: `=` passes, `.` undecided, `x` fails."""

_HEAD = f"{'if truly':>8}  {'pass':>6}  {'undecided':>9}  {'fail':>6}  {'= pass  . open  x fail':<{CHART}}"


def plan_lines(eval_set: EvalSet, forecasts: Sequence[Forecast], assumed: Assumptions) -> Iterator[Line]:
    """The table of one set: for each gate its chances, drawn as well, and below them what they take."""
    cases, repeats = len(eval_set.cases), eval_set.repeats
    yield f"{printable(eval_set.name)}: {cases:,} cases{f' x {repeats}' if repeats > 1 else ''}", {"bold": True}
    yield f"  {_HEAD}", {"bold": True}
    for forecast in forecasts:
        yield from wrapped(printable(f"  {forecast.rule.label}, n={_size(forecast)}"), indent=6)
        yield from _figures(forecast)
        for text in _explained(forecast, assumed):
            yield from wrapped(f"    {text}", indent=6)
    if family := family_of(forecasts):
        text = f"all {family.gates} gates together: pass in {_percent(family.all_pass)} if they are independent"
        text += f" (from {_percent(family.least)} to {_percent(family.most)} if they are not);"
        text += f" some gate fails in {_percent(family.some_fails)}"
        yield from wrapped(f"  {text}", indent=6)


def plan_line(eval_set: str, forecast: Forecast, assumed: Assumptions) -> str:
    """One gate on one line, for the forecast of a session."""
    head = f"{printable(eval_set)}: {printable(forecast.rule.label)}"
    if forecast.chances is None or forecast.truth is None:
        return f"{head}: no forecast, because {forecast.unplanned}"
    chances = forecast.chances
    text = f"{head}: passes in {_percent(chances.passes)}, fails in {_percent(chances.fails)}{_if_truly(forecast)}"
    if forecast.asked is not None:
        text += f"; stops after {forecast.asked:,.0f} of {forecast.worth:,} cases on average"
    if forecast.rule.confidence is not None and forecast.needed is not None and forecast.needed > forecast.n:
        text += f"; a power of {_percent(assumed.power)} takes {forecast.needed:,} cases"
    return text


def plan_values(eval_set: EvalSet, forecasts: Sequence[Forecast], assumed: Assumptions) -> dict[str, Any]:
    """The forecasts of one set as JSON; shares in [0, 1]."""
    family = family_of(forecasts)
    return {
        "eval_set": eval_set.name,
        "cases": len(eval_set.cases),
        "power": assumed.power,
        "discordance": assumed.discordance,
        "gates": [_values(forecast) for forecast in forecasts],
        "together": family
        and {
            "gates": family.gates,
            "all_pass": family.all_pass,
            "all_pass_at_least": family.least,
            "all_pass_at_most": family.most,
            "some_fails": family.some_fails,
        },
    }


def _values(forecast: Forecast) -> dict[str, Any]:
    chances = forecast.chances
    return {
        "gate": forecast.rule.label,
        "confidence": forecast.rule.confidence,
        "n": forecast.n,
        "independent": forecast.worth,
        "truth": forecast.truth,
        "passes": chances and chances.passes,
        "undecided": chances and chances.undecided,
        "fails": chances and chances.fails,
        "cases_needed": forecast.needed,
        "smallest_seen": forecast.visible,
        "sequential": forecast.rule.sequential,
        "expected_cases": forecast.asked,
        "passes_if_all_are_asked": forecast.fixed and forecast.fixed.passes,
        "fails_if_all_are_asked": forecast.fixed and forecast.fixed.fails,
        "unplanned": forecast.unplanned,
    }


def _figures(forecast: Forecast) -> Iterator[Line]:
    chances = forecast.chances
    if chances is None or forecast.truth is None:
        yield from wrapped(f"    no forecast: {forecast.unplanned}", indent=6)
        return
    cells = f"{forecast.truth:>8.3f}  {_percent(chances.passes):>6}  {_percent(chances.undecided):>9}"
    yield f"  {cells}  {_percent(chances.fails):>6}  {_chart(chances.passes, chances.fails)}", {}


def _chart(passes: float, fails: float) -> str:
    right, wrong = round(passes * CHART), round(fails * CHART)
    return "=" * right + "." * max(0, CHART - right - wrong) + "x" * min(wrong, CHART - right)


def _explained(forecast: Forecast, assumed: Assumptions) -> Iterator[str]:
    rule, power = forecast.rule, _percent(assumed.power)
    if forecast.chances is None:
        return
    if rule.confidence is None:
        if rule.bar is not None and rule.kind != "max_flips":
            yield "the value alone decides, without an interval: nothing limits how often a worse model passes"
        return
    yield error_text(rule)
    yield from _stops(forecast)
    if forecast.shares:
        yield f"{len(forecast.shares)} gates share this level (Holm); the cases are those of the first step"
    if not (rule.compares and rule.sequential == "e-process"):
        yield from _sizes(forecast, power)


def _stops(forecast: Forecast) -> Iterator[str]:
    """When a sequential gate stops, beside the same gate over all cases."""
    if forecast.fixed and forecast.asked is not None:
        share = _percent(1 - forecast.asked / forecast.worth)
        fixed = (
            f"if all are asked: passes in {_percent(forecast.fixed.passes)}, fails in {_percent(forecast.fixed.fails)}"
        )
        yield f"stops after {forecast.asked:,.0f} of {forecast.worth:,} cases on average, {share} fewer; {fixed}"
        if forecast.rule.compares and forecast.rule.sequential == "e-process":
            yield "by simulated runs; the cases for a power are not planned for a drop by an e-process"


def _sizes(forecast: Forecast, power: str) -> Iterator[str]:
    rule = forecast.rule
    if forecast.needed is None:
        yield "too close to the bar for any practical number of cases"
    elif forecast.truth is not None:
        what = "to fail" if _misses(forecast) else "to pass"
        yield f"{forecast.needed:,} cases {what} with a power of {power}: {forecast.n:,} are planned"
    if forecast.visible is not None:
        yield f"with {forecast.n:,} cases, {_seen(forecast)} passes with a power of {power}"
    elif rule.metric not in ("macro_f1", "weighted_f1") and rule.of_label != EVERY_LABEL:
        yield f"with {forecast.n:,} cases, nothing passes with a power of {power}"


def _size(forecast: Forecast) -> str:
    if forecast.worth == forecast.n:
        return f"{forecast.n:,}"
    return f"{forecast.n:,} in groups, counting as {forecast.worth:,}"


def _misses(forecast: Forecast) -> bool:
    bar, truth = forecast.rule.bar or 0.0, forecast.truth or 0.0
    return truth < bar if forecast.rule.upward else truth > bar


def _seen(forecast: Forecast) -> str:
    rule, visible = forecast.rule, forecast.visible or 0.0
    if not rule.compares:
        return f"a model with {rule.metric} {visible:.3f} or {'more' if rule.upward else 'less'}"
    return f"a true drop of {visible:.3f} or less" if visible >= 0 else f"a true rise of {-visible:.3f} or more"


def _if_truly(forecast: Forecast) -> str:
    truth = forecast.truth or 0.0
    if forecast.rule.kind in ("max_drop", "max_flips"):
        return " if nothing truly changed" if truth == 0 else f" if the drop is truly {truth:.3f}"
    return f" if truly {truth:.3f}"


def _percent(share: float) -> str:
    """Whole percent, but never 0 or 100 for what is possible or not certain."""
    if 0 < share < 0.005:  # noqa: PLR2004 - what rounds to 0
        return "< 1 %"
    if 0.995 < share < 1 - 1e-12:  # noqa: PLR2004 - what rounds to 100
        return "> 99 %"
    return f"{share * 100:.0f} %"
