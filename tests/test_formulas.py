"""Every formula of a verdict has its source in its docstring, and an example on the page that is right."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import scipy_stats as reference
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.verdicts import stats
from pytest_finetune.verdicts.metrics.labels import LabelTable
from pytest_finetune.verdicts.stats import Interval
from pytest_finetune.verdicts.stats.beta import beta_cdf, beta_quantile
from pytest_finetune.verdicts.stats.interval import normal_deviate
from pytest_finetune.verdicts.stats.samples import t_deviate

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = (Path(__file__).parents[1] / "docs" / "verdicts.md").read_text("utf-8")
SECTION = PAGE.partition("## Formulas\n")[2].partition("\n## ")[0]
ROWS = re.findall(r"^\| `([^`]+)` = (.+?) \|", SECTION, re.MULTILINE)

# What combines or searches formulas that have their own source.
HELPERS = {
    "can_ever_pass",
    "cases_to_ever_pass",
    "binomial_mass",
    "rate_bets",
    "gain_bets",
    "look_sizes",
    "cases_to_pass_sequentially",
}


def formulas() -> dict[str, Callable[..., Any]]:
    """The public functions of `verdicts.stats` by name."""
    found: dict[str, Callable[..., Any]] = {}
    for module in pkgutil.iter_modules(stats.__path__):
        name = f"{stats.__name__}.{module.name}"
        members = vars(importlib.import_module(name)).items()
        own = {each: one for each, one in members if getattr(inspect.unwrap(one), "__module__", "") == name}
        found |= {each: one for each, one in own.items() if inspect.isfunction(inspect.unwrap(one)) and each[0] != "_"}
    return found


FORMULAS = formulas()


def value(expression: str) -> str:
    """An example as the page shows its result."""
    names = {**FORMULAS, "Fraction": Fraction, "Interval": Interval, "LabelTable": LabelTable}
    return _shown(eval(expression, names))


def _shown(found: object) -> str:
    if isinstance(found, Interval):
        return f"{found.low:.4f} to {found.high:.4f}"
    if isinstance(found, tuple):
        return ", ".join(map(_shown, found))
    if isinstance(found, list):
        return ", ".join("yes" if one else "no" for one in found)
    return f"{found:,}" if isinstance(found, int) else f"{float(found):.4f}"  # type: ignore[arg-type]


@pytest.mark.parametrize(("expression", "shown"), ROWS, ids=[row[0].partition("(")[0] for row in ROWS])
def test_the_example_of_a_formula_is_right(expression: str, shown: str) -> None:
    assert value(expression) == shown


@pytest.mark.parametrize("name", sorted(FORMULAS.keys() - HELPERS))
def test_a_formula_has_a_source_and_an_example(name: str) -> None:
    assert "Source" in (inspect.getdoc(FORMULAS[name]) or "")
    assert any(f"{name}(" in expression for expression, _ in ROWS)


@given(st.floats(0.001, 0.999), st.floats(0.5, 500), st.floats(0.5, 500))
def test_the_beta_distribution_is_scipys(x: float, a: float, b: float) -> None:
    assert beta_cdf(x, a, b) == pytest.approx(reference.beta.cdf(x, a, b), abs=1e-11)
    assert beta_cdf(beta_quantile(x, a, b, start=0.5), a, b) == pytest.approx(x, abs=1e-9)


@given(st.floats(0.01, 0.9999), st.integers(1, 500))
def test_deviates_are_scipys(confidence: float, freedom: int) -> None:
    tail = (1 - confidence) / 2
    assert normal_deviate(confidence) == pytest.approx(reference.norm.isf(tail), rel=1e-9)
    assert t_deviate(freedom, confidence) == pytest.approx(reference.t.isf(tail, freedom), rel=1e-6)
