from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import pytest
import scipy_stats as reference
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.verdicts.stats import (
    Interval,
    can_ever_pass,
    cases_to_ever_pass,
    mcnemar,
    mean_interval,
    more_cases_for_rate,
    more_cases_needed,
    paired_interval,
    quantile_interval,
    rate_interval,
    wilson_interval,
)
from pytest_finetune.verdicts.stats.power import drop_chances

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIDENCES = st.sampled_from([0.8, 0.9, 0.95, 0.99, 0.999])


def rounded(interval: Interval, digits: int = 4) -> tuple[float, float]:
    return round(interval.low, digits), round(interval.high, digits)


# Newcombe (1998), Statistics in Medicine 17, 857-872, table I: methods 3 (score) and 5 (Clopper-Pearson).
@pytest.mark.parametrize(
    ("passed", "planned", "score", "exact"),
    [
        (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
        (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
        (0, 20, (0.0, 0.1611), (0.0, 0.1684)),
        (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
    ],
)
def test_intervals_of_a_rate_equal_the_published_ones(
    passed: int, planned: int, score: tuple[float, float], exact: tuple[float, float]
) -> None:
    assert rounded(wilson_interval(passed, planned)) == score
    assert rounded(rate_interval(passed, planned)) == exact


@given(st.data(), st.integers(1, 20_000), CONFIDENCES)
def test_the_interval_of_a_rate_equals_scipys(data: st.DataObject, planned: int, confidence: float) -> None:
    passed = data.draw(st.integers(0, planned))
    known = reference.binomtest(passed, planned).proportion_ci(confidence, method="exact")
    interval = rate_interval(passed, planned, confidence=confidence)
    assert interval.low == pytest.approx(known.low, abs=1e-9)
    assert interval.high == pytest.approx(known.high, abs=1e-9)


@given(st.data(), st.integers(1, 500), CONFIDENCES)
def test_the_interval_of_a_rate_holds_the_rate_and_mirrors(
    data: st.DataObject, planned: int, confidence: float
) -> None:
    passed = data.draw(st.floats(0, planned, allow_subnormal=False))
    interval = rate_interval(passed, planned, confidence=confidence)
    mirrored = rate_interval(planned - passed, planned, confidence=confidence)
    assert 0 <= interval.low <= passed / planned + 1e-9
    assert passed / planned - 1e-9 <= interval.high <= 1
    assert interval.low == pytest.approx(1 - mirrored.high, abs=1e-7)


@pytest.mark.parametrize("interval", [rate_interval, wilson_interval])
@pytest.mark.parametrize(("passed", "planned"), [(0, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(interval: Callable[..., Interval], passed: int, planned: int) -> None:
    with pytest.raises(ValueError, match=r"planned|cannot have passed"):
        interval(passed, planned)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_a_confidence_outside_zero_and_one_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        rate_interval(1, 2, confidence=confidence)


@pytest.mark.parametrize("planned", [1, 7, 20, 100, 500])
def test_the_promise_holds_at_every_bar_from_a_half_up(planned: int) -> None:
    """The worst cases are at the bounds themselves: passing needs one more pass, failing one fewer, at a higher bar."""
    intervals = [rate_interval(passed, planned) for passed in range(planned + 1)]
    for passed, interval in enumerate(intervals):
        if interval.low >= 0.5:
            assert reference.binom.sf(passed - 1, planned, interval.low) <= 0.025 + 1e-9
        if 0.5 <= interval.high < 1:
            assert reference.binom.cdf(passed, planned, interval.high) <= 0.025 + 1e-9


def test_wilsons_interval_would_break_the_promise() -> None:
    """With one miss in 20 and a bar just above its upper bound, a model right at the bar fails in 16 % of runs."""
    bar = wilson_interval(19, 20).high
    assert reference.binom.cdf(19, 20, bar) > 0.16
    small = wilson_interval(5, 5).low
    assert reference.binom.sf(4, 5, small) > 0.05


def test_how_many_cases_can_ever_show_a_bar() -> None:
    assert not can_ever_pass(200, 0.999, 0.95)
    assert not can_ever_pass(0, 0.5, 0.95)
    assert cases_to_ever_pass(1.0, 0.95) is None
    assert cases_to_ever_pass(0.0, 0.95) == 1
    assert cases_to_ever_pass(0.95, 0.95) == 72
    assert (can_ever_pass(72, 0.95, 0.95), can_ever_pass(71, 0.95, 0.95)) == (True, False)


# Airway reactivity (Bentur 2009), as worked by Fagerland, Lydersen and Laake (2014), Statistics in Medicine 33,
# 2850-2875; soft contact lenses, Tango's own example (1998).
@pytest.mark.parametrize(
    ("only_first", "only_second", "planned", "confidence", "published"),
    [(1, 7, 21, 0.95, (-0.517, -0.026)), (0, 1, 44, 0.90, (-0.096, 0.037))],
)
def test_the_paired_interval_equals_the_published_ones(
    only_first: int, only_second: int, planned: int, confidence: float, published: tuple[float, float]
) -> None:
    assert rounded(paired_interval(only_first, only_second, planned, confidence=confidence), 3) == published


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 300), CONFIDENCES)
def test_the_paired_interval_holds_the_difference_and_mirrors(
    first: int, second: int, agreeing: int, confidence: float
) -> None:
    planned = first + second + agreeing + 1
    interval = paired_interval(first, second, planned, confidence=confidence)
    mirrored = paired_interval(second, first, planned, confidence=confidence)
    assert -1 <= interval.low <= (first - second) / planned <= interval.high <= 1
    assert interval.low == pytest.approx(-mirrored.high, abs=1e-12)


@pytest.mark.parametrize(("first", "second", "planned"), [(0, 0, 0), (3, 3, 5), (-1, 0, 5)])
def test_impossible_paired_counts_are_refused(first: int, second: int, planned: int) -> None:
    with pytest.raises(ValueError, match="paired counts"):
        paired_interval(first, second, planned)


@pytest.mark.parametrize(
    ("planned", "margin", "gained"),
    [(20, 0.05, 0.15), (20, 0.1, 0.0), (100, 0.02, 0.04), (100, 0.05, 0.0), (100, 0.1, 0.08)],
)
def test_a_drop_at_the_margin_passes_at_most_five_in_a_hundred(planned: int, margin: float, gained: float) -> None:
    """Every possible pair of counts, weighted by its probability if the true drop equals the margin."""
    lost = gained + margin
    passes = 0.0
    for worse in range(planned + 1):
        chance = reference.binom.pmf(worse, planned, lost)
        if chance < 1e-7:
            continue
        given_worse = reference.binom.pmf(range(planned - worse + 1), planned - worse, gained / (1 - lost))
        for better, also in enumerate(given_worse):
            if also > 1e-7 and paired_interval(worse, better, planned).high <= margin:
                passes += chance * also
    assert passes <= 0.05


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_mcnemar_equals_the_binomial_test(first: int, second: int) -> None:
    known = reference.binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(known, rel=1e-6, abs=1e-12)


def test_mcnemar_of_the_published_example() -> None:
    assert mcnemar(1, 7) == 0.0703125


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=50), CONFIDENCES)
def test_the_interval_of_a_mean_equals_scipys(values: list[float], confidence: float) -> None:
    interval = mean_interval(values, confidence)
    known = reference.t.interval(confidence, len(values) - 1, *_centre_and_error(values))
    assert interval is not None
    assert interval.low == pytest.approx(known[0], rel=1e-6, abs=1e-6)
    assert interval.high == pytest.approx(known[1], rel=1e-6, abs=1e-6)


def _centre_and_error(values: list[float]) -> tuple[float, float]:
    centre = sum(values) / len(values)
    error = (sum((value - centre) ** 2 for value in values) / (len(values) - 1) / len(values)) ** 0.5
    return centre, max(error, 1e-12)


def test_one_value_has_no_interval() -> None:
    assert mean_interval([3.0]) is None


@pytest.mark.parametrize("count", [5, 20, 71, 72, 100, 500])
@pytest.mark.parametrize("quantile", [0.5, 0.95])
def test_a_percentiles_bounds_are_the_closest_ranks_that_keep_the_promise(count: int, quantile: float) -> None:
    interval = quantile_interval([float(rank) for rank in range(1, count + 1)], quantile)
    too_high = reference.binom.cdf(interval.low - 1, count, quantile)
    assert too_high <= 0.025 < reference.binom.cdf(interval.low, count, quantile)
    if interval.high == inf:
        assert reference.binom.sf(count - 1, count, quantile) > 0.025
    else:
        assert reference.binom.sf(interval.high - 1, count, quantile) <= 0.025
        assert reference.binom.sf(interval.high - 2, count, quantile) > 0.025


def test_repeats_of_a_case_do_not_narrow_a_percentiles_interval() -> None:
    once = [float(rank) for rank in range(1, 101)]
    five_times = sorted(once * 5)
    assert quantile_interval(five_times, 0.5, independent=100) == quantile_interval(once, 0.5)


@pytest.mark.parametrize(
    ("lost", "won", "planned", "margin"), [(8, 0, 200, 0.05), (3, 3, 100, 0.05), (10, 4, 100, 0.1)]
)
def test_the_suggested_number_of_pairs_settles_a_drop_with_about_the_stated_power(
    lost: int, won: int, planned: int, margin: float
) -> None:
    more = more_cases_needed(
        lambda times: paired_interval(lost * times, won * times, planned * times), planned, margin, confidence=0.95
    )
    assert more is not None
    drop, discordance = (lost - won) / planned, (lost + won) / planned
    chances = drop_chances(planned + more, margin, drop, discordance, confidence=0.95)
    assert 0.75 < chances.passes < 0.9


def test_no_number_of_cases_settles_a_rate_on_the_bar() -> None:
    assert more_cases_for_rate(0.95, 100, 0.95, confidence=0.95) is None
    assert more_cases_needed(lambda _: Interval(0.9, 0.97), 100, 0.95, confidence=0.95) is None
