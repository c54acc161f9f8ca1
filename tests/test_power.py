"""The chances of verdicts, against scipy's binomial distribution, evalsig's normal formula and simulated runs."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
import scipy_stats as reference

from pytest_finetune.verdicts.gates.f1_forecast import cases_to_show_f1, f1_chances
from pytest_finetune.verdicts.rule import Rule
from pytest_finetune.verdicts.stats import more_cases_for_rate, paired_interval, rate_interval
from pytest_finetune.verdicts.stats.power import (
    binomial_cdf,
    cases_to_show_drop,
    cases_to_show_rate,
    drop_chances,
    rate_chances,
    smallest_visible_drop,
    smallest_visible_rate,
)


@pytest.mark.parametrize(("trials", "rate"), [(1, 0.5), (20, 0.95), (500, 0.99), (3000, 0.1)])
def test_the_binomial_distribution_is_scipys(trials: int, rate: float) -> None:
    for successes in {-1, 0, 1, int(trials * rate), trials - 1, trials}:
        assert binomial_cdf(successes, trials, rate) == pytest.approx(
            float(reference.binom.cdf(successes, trials, rate)), abs=1e-12
        )


def power(planned: int, bar: float, truth: float, confidence: float = 0.95) -> float:
    """By scipy: the chance of at least as many passes as a model at the bar reaches with 2.5 % at most."""
    enough = int(reference.binom.isf((1 - confidence) / 2, planned, bar)) + 1
    return float(reference.binom.sf(enough - 1, planned, truth))


@pytest.mark.parametrize("planned", [36, 100, 200, 470, 851])
@pytest.mark.parametrize(("bar", "truth"), [(0.9, 0.95), (0.95, 0.97), (0.95, 0.99), (0.8, 0.7)])
def test_the_chance_to_pass_is_the_exact_one(planned: int, bar: float, truth: float) -> None:
    chances = rate_chances(planned, bar, truth, confidence=0.95)
    assert chances.passes == pytest.approx(power(planned, bar, truth), abs=1e-10)
    assert chances.fails == pytest.approx(power(planned, 1 - bar, 1 - truth), abs=1e-10)
    assert chances.passes + chances.fails + chances.undecided == pytest.approx(1)


def test_the_estimate_of_more_cases_had_a_power_of_56_percent() -> None:
    """The interval of 0.97 from 100 cases clears 0.95 with 370 more cases on average, but not in most runs."""
    assert rate_interval(0.97 * 470, 470).low == pytest.approx(0.95, abs=2e-3)
    assert rate_chances(470, 0.95, 0.97, confidence=0.95).passes == pytest.approx(0.56, abs=5e-3)
    assert more_cases_for_rate(0.97, 100, 0.95, confidence=0.95) == 760


@pytest.mark.parametrize(
    ("bar", "truth", "confidence", "cases"), [(0.95, 0.97, 0.95, 851), (0.95, 0.97, 0.9, 694), (0.9, 0.85, 0.95, 362)]
)
def test_the_cases_needed_are_those_from_which_on_the_power_is_reached(
    bar: float, truth: float, confidence: float, cases: int
) -> None:
    assert cases_to_show_rate(bar, truth, confidence=confidence) == cases
    good = truth > bar
    reach, quality = (bar, truth) if good else (1 - bar, 1 - truth)
    powers = [power(planned, reach, quality, confidence) for planned in range(cases - 1, 2 * cases)]
    assert powers[0] < 0.8 <= min(powers[1:])


def test_cases_that_never_miss_need_as_many_as_the_bar_can_be_shown_with() -> None:
    assert cases_to_show_rate(0.95, 1.0, confidence=0.95) == 72
    assert cases_to_show_rate(1.0, 0.99, confidence=0.95) is None
    assert cases_to_show_rate(0.95, 0.95001, confidence=0.95) is None


def test_the_smallest_visible_rate_has_the_stated_power_and_a_lower_one_has_not() -> None:
    visible = smallest_visible_rate(200, 0.95, confidence=0.95)
    assert visible is not None
    assert power(200, 0.95, visible) == pytest.approx(0.8, abs=1e-6)
    assert power(200, 0.95, visible - 0.002) < 0.8
    assert smallest_visible_rate(71, 0.95, confidence=0.95) is None


def test_without_a_confidence_the_value_alone_decides() -> None:
    chances = rate_chances(20, 0.95, 0.85, confidence=None)
    assert chances.passes == pytest.approx(float(reference.binom.sf(18, 20, 0.85)))
    assert chances.undecided == 0
    assert drop_chances(30, 0.05, 0.0, 0.1, confidence=None).undecided == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("planned", "margin", "drop", "discordance"), [(60, 0.05, 0.0, 0.1), (150, 0.1, 0.02, 0.06)])
def test_the_chances_of_a_drop_are_those_of_simulated_pairs(
    planned: int, margin: float, drop: float, discordance: float
) -> None:
    rng, ends, runs = Random(1), Counter[str](), 4000
    weights = (discordance + drop) / 2, (discordance - drop) / 2, 1 - discordance
    for _ in range(runs):
        drawn = Counter(rng.choices("lws", weights, k=planned))
        interval = paired_interval(drawn["l"], drawn["w"], planned)
        ends["pass" if interval.high <= margin else "fail" if interval.low > margin else "open"] += 1
    chances = drop_chances(planned, margin, drop, discordance, confidence=0.95)
    assert chances.passes == pytest.approx(ends["pass"] / runs, abs=0.03)
    assert chances.fails == pytest.approx(ends["fail"] / runs, abs=0.03)


def test_the_chances_of_a_drop_need_enough_cases_that_differ() -> None:
    with pytest.raises(ValueError, match=r"a drop of 0\.2 needs a discordance between 0\.2 and 1"):
        drop_chances(100, 0.05, 0.2, 0.1, confidence=0.95)


@pytest.mark.parametrize(
    ("margin", "drop", "discordance", "normal"), [(0.02, 0.0, 0.05, 982), (0.05, 0.0, 0.1, 314), (0.1, 0.02, 0.2, 245)]
)
def test_the_pairs_needed_are_near_those_of_evalsig(
    margin: float, drop: float, discordance: float, normal: int
) -> None:
    """evalsig 0.1.2: `required_n(margin - drop, sqrt(discordance - drop**2))`, by the normal approximation."""
    needed = cases_to_show_drop(margin, drop, discordance, confidence=0.95)
    assert needed is not None
    assert normal * 0.95 < needed < normal * 1.15
    assert drop_chances(needed, margin, drop, discordance, confidence=0.95).passes >= 0.8
    assert drop_chances(round(needed * 0.9), margin, drop, discordance, confidence=0.95).passes < 0.8


def test_pairs_that_never_differ_need_as_many_as_the_margin_can_be_shown_with() -> None:
    assert cases_to_show_drop(0.02, 0.0, 0.0, confidence=0.95) == 189
    assert cases_to_show_drop(0.02, 0.02, 0.1, confidence=0.95) is None


def test_a_drop_beyond_the_margin_needs_cases_to_fail() -> None:
    needed = cases_to_show_drop(0.02, 0.06, 0.1, confidence=0.95)
    assert needed is not None
    assert drop_chances(needed, 0.02, 0.06, 0.1, confidence=0.95).fails >= 0.8


def test_the_smallest_visible_drop_has_the_stated_power() -> None:
    drop = smallest_visible_drop(500, 0.05, 0.1, confidence=0.95)
    assert drop is not None
    assert drop_chances(500, 0.05, drop, 0.1, confidence=0.95).passes == pytest.approx(0.8, abs=1e-3)
    assert smallest_visible_drop(10, 0.02, 0.1, confidence=0.95) is None


def test_the_cases_that_show_an_f1_have_the_power_and_half_of_them_have_not() -> None:
    rule, supports = Rule("min", "macro_f1", 0.8, confidence=0.95), {"bug": 20, "feature": 20}
    found = cases_to_show_f1(rule, supports, 0.9, runs=40, power=0.8)
    assert found is not None
    assert found > 40
    enough, half = (f1_chances(rule, supports, 0.9, runs=200, times=found / 40 / part).passes for part in (1, 2))
    assert half < 0.7 < enough


@pytest.mark.parametrize(("truth", "confidence"), [(0.8, 0.95), (0.9, None)])
def test_no_number_of_cases_shows_an_f1_at_the_bar_or_without_an_interval(
    truth: float, confidence: float | None
) -> None:
    rule = Rule("min", "macro_f1", 0.8, confidence=confidence)
    assert cases_to_show_f1(rule, {"bug": 20, "feature": 20}, truth, runs=40, power=0.8) is None


@pytest.mark.parametrize(("planned", "margin", "discordance"), [(1000, 0.05, 0.1), (2000, 0.02, 0.05), (300, 0.1, 0.2)])
def test_the_smallest_visible_drop_is_near_that_of_evalsig(planned: int, margin: float, discordance: float) -> None:
    """Its `mde`: (z + z of the power) x standard deviation of the differences / root of their number."""
    visible = smallest_visible_drop(planned, margin, discordance, confidence=0.95)
    assert visible is not None
    normal = (1.959964 + 0.841621) * (discordance / planned) ** 0.5
    assert margin - visible == pytest.approx(normal, rel=0.04)
