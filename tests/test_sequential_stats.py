"""Sequential designs: exact against enumeration, against published constants, and against the fixed design."""

from itertools import product
from math import log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finetune.verdicts.stats.betting import gain_bets, log_capital, rate_bets
from pytest_finetune.verdicts.stats.normal_looks import median_unbiased_drift, normal_boundaries
from pytest_finetune.verdicts.stats.pair_looks import PairCounts, PairDesign
from pytest_finetune.verdicts.stats.power import rate_chances
from pytest_finetune.verdicts.stats.rate_looks import RateDesign, stagewise_estimate
from pytest_finetune.verdicts.stats.spending import Sequential, look_sizes, spent
from pytest_finetune.verdicts.stats.walk import Look, binomial_mass, course

METHODS: tuple[Sequential, ...] = ("obrien-fleming", "pocock", "e-process")
LOOKS = (Look(4, 5, 1), Look(7, 7, 3), Look(11, 10, 6))


def ends(looks, rate):
    """Every sequence of successes and misses: the look at which it stops, its successes there, and its probability."""
    for answers in product((0, 1), repeat=looks[-1].n):
        chance = rate ** sum(answers) * (1 - rate) ** (len(answers) - sum(answers))
        for place, look in enumerate(looks):
            successes = sum(answers[: look.n])
            if successes >= look.passes or successes <= look.fails or look is looks[-1]:
                yield place, successes, chance
                break


@pytest.mark.parametrize("rate", [0.3, 0.71, 0.9])
def test_the_course_of_a_design_is_that_of_every_sequence_of_answers(rate):
    passes, fails, cases = [0.0] * 3, [0.0] * 3, 0.0
    for place, successes, chance in ends(LOOKS, rate):
        passes[place] += chance * (successes >= LOOKS[place].passes)
        fails[place] += chance * (successes <= LOOKS[place].fails)
        cases += chance * LOOKS[place].n
    found = course(LOOKS, rate)
    assert found.passes == pytest.approx(passes, abs=1e-14)
    assert found.fails == pytest.approx(fails, abs=1e-14)
    assert found.expected_cases == pytest.approx(cases, abs=1e-12)


def order(place, successes):
    """The stage-wise order: an early pass above a late one, an early fail below a late one."""
    look = LOOKS[place]
    side = 1 if successes >= look.passes else -1 if successes <= look.fails else 0
    return side, -place * side, successes


@pytest.mark.parametrize("end", [(1, 7), (1, 2), (2, 8), (2, 10), (2, 5)])
def test_the_interval_after_stopping_inverts_the_ordered_ends(end):
    place, successes = end
    estimate, interval = stagewise_estimate(LOOKS[: place + 1], successes, 0.9)

    def as_high(rate):
        return sum(chance for where, count, chance in ends(LOOKS, rate) if order(where, count) >= order(*end))

    def as_low(rate):
        return sum(chance for where, count, chance in ends(LOOKS, rate) if order(where, count) <= order(*end))

    assert as_high(interval.low) == pytest.approx(0.05, abs=1e-6)
    assert interval.high == 1 if successes == LOOKS[place].n else as_low(interval.high) == pytest.approx(0.05, abs=1e-6)
    assert as_high(estimate) >= 0.5 - 0.1
    assert as_low(estimate) >= 0.5 - 0.1
    assert interval.low < estimate < interval.high


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.85, 0.95, 0.97])
@pytest.mark.parametrize("method", METHODS[:2])
def test_the_estimate_after_stopping_is_median_unbiased_and_its_interval_covers(method, rate):
    design = RateDesign(method, 60, 0.9, 0.95)
    below = above = missed_low = missed_high = 0.0
    walk_ends = _ends_by_walk(design, rate)
    for look, successes, chance in walk_ends:
        estimate, interval = design.estimate(look, successes), design.interval(look, successes)
        below += chance * (estimate <= rate)
        above += chance * (estimate >= rate)
        missed_low += chance * (interval.low > rate + 1e-9)
        missed_high += chance * (interval.high < rate - 1e-9)
    assert sum(chance for *_, chance in walk_ends) == pytest.approx(1)
    assert missed_low <= 0.025
    assert missed_high <= 0.025
    # The whole numbers of successes allow no finer median than the probability of one of them.
    widest = max(chance for *_, chance in walk_ends)
    assert below >= 0.5 - widest
    assert above >= 0.5 - widest


def _ends_by_walk(design, rate):
    from pytest_finetune.verdicts.stats.walk import Walk

    walk, found = Walk(rate), []
    for place, look in enumerate(design.looks):
        walk.advance(look.n)
        last = place == len(design.looks) - 1
        for successes, chance in enumerate(walk.mass, walk.low):
            if last or successes >= look.passes or successes <= look.fails:
                found.append((place, successes, chance))
        walk.stop(look)
    return found


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(METHODS),
    st.integers(1, 400),
    st.sampled_from([0.05, 0.5, 0.8, 0.9, 0.95, 0.99]),
    st.sampled_from([0.6, 0.9, 0.95, 0.99]),
)
def test_a_model_at_the_bar_passes_and_fails_at_most_as_often_as_promised(method, planned, bar, confidence):
    design = RateDesign(method, planned, bar, confidence)
    at_bar = course(design.looks, bar)
    assert sum(at_bar.passes) <= (1 - confidence) / 2 + 1e-12
    assert sum(at_bar.fails) <= (1 - confidence) / 2 + 1e-12
    assert sum(course(design.looks, bar * 0.97).passes) <= sum(at_bar.passes) + 1e-12
    assert design.sizes[-1] == planned


def _possible_ends(design, look):
    """The successes with which a run can end at a look: it has not stopped before, and stops here or has no more."""
    low = high = before = 0
    for bounds in design.looks[: look + 1]:
        high += bounds.n - before
        reached, before = range(low, high + 1), bounds.n
        low, high = max(low, bounds.fails + 1), min(high, bounds.passes - 1)
    if look == len(design.sizes) - 1:
        return list(reached)
    return [successes for successes in reached if not low <= successes <= high]


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(st.sampled_from(METHODS), st.integers(5, 120), st.sampled_from([0.5, 0.9, 0.95]), st.data())
def test_the_interval_lies_beyond_the_bar_exactly_if_the_rate_is_decided(method, planned, bar, data):
    design = RateDesign(method, planned, bar, 0.95)
    look = data.draw(st.integers(0, len(design.sizes) - 1))
    ends = _possible_ends(design, look)
    if not ends:
        return
    successes = data.draw(st.sampled_from(ends))
    interval = design.interval(look, successes)
    signal = design.signal(look, successes)
    assert (interval.low >= bar - 1e-9) == (signal == 1)
    assert (interval.high <= bar + 1e-9) == (signal == -1)


@pytest.mark.parametrize(
    ("method", "constants"),
    [("obrien-fleming", (4.877, 3.357, 2.680, 2.290, 2.031)), ("pocock", (2.438, 2.427, 2.410, 2.397, 2.386))],
)
def test_normal_boundaries_are_the_published_ones(method, constants):
    """For five looks and 2.5 % on a side, as by gsDesign and by ldbounds."""
    assert normal_boundaries(method, 500, 0.95) == pytest.approx(constants, abs=6e-4)


@pytest.mark.parametrize("method", METHODS[:2])
def test_the_exact_boundaries_approach_the_normal_ones(method):
    planned, bar = 50_000, 0.5
    design = RateDesign(method, planned, bar, 0.95)
    spread = [(look.passes - look.n * bar) / (look.n * bar * (1 - bar)) ** 0.5 for look in design.looks]
    assert spread == pytest.approx(normal_boundaries(method, planned, 0.95), abs=0.03)


def test_all_risk_is_spent_at_the_last_case_and_little_of_it_before_by_obrien_fleming():
    assert spent("obrien-fleming", 0.025, 1) == pytest.approx(0.025)
    assert spent("pocock", 0.025, 1) == pytest.approx(0.025)
    assert spent("obrien-fleming", 0.025, 0.2) < 1e-5 < spent("pocock", 0.025, 0.2)
    with pytest.raises(ValueError, match="spends no risk by look"):
        spent("e-process", 0.025, 1)


def test_looks_are_at_whole_cases_the_last_at_all_of_them():
    assert look_sizes("pocock", 500) == (100, 200, 300, 400, 500)
    assert look_sizes("obrien-fleming", 3) == (1, 2, 3)
    assert look_sizes("e-process", 7) == (1, 2, 3, 4, 5, 6, 7)


def test_binomial_probabilities_sum_to_one_far_out():
    for trials, rate in ((2000, 0.999), (100_000, 0.5), (5, 0.0), (5, 1.0)):
        first, mass = binomial_mass(trials, rate)
        assert sum(mass) == pytest.approx(1, abs=1e-9)
        assert 0 <= first <= first + len(mass) - 1 <= trials


@pytest.mark.slow
@settings(deadline=None)
@given(st.floats(0.02, 0.98), st.integers(1, 3000))
def test_the_expected_capital_after_one_case_is_one_at_the_bar(bar, planned):
    for bets, (low, high) in ((rate_bets(planned, bar), (0.0, 1.0)), (gain_bets(planned, -bar), (-1.0, 1.0))):
        mean = bar if low == 0 else -bar
        for side in bets:
            for bet in side:
                # Any distribution on the two ends with this mean.
                chance = (mean - low) / (high - low)
                factors = [1 + bet * (low - mean), 1 + bet * (high - mean)]
                assert min(factors) >= -1e-9
                assert (1 - chance) * factors[0] + chance * factors[1] == pytest.approx(1, abs=1e-9)


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 400), st.sampled_from([0.0, 0.02, 0.1]))
def test_a_smaller_drop_never_loses_a_pass(worse, better, alike, margin):
    n = worse + better + alike
    if not n:
        return
    for method in METHODS:
        design = PairDesign(method, max(n, 5), margin, 0.95)
        look = len(design.sizes) - 1
        signals = [
            design.signal(look, PairCounts(max(0, worse - less), better + min(less, worse), n)) for less in (0, 1, 5)
        ]
        assert signals == sorted(signals)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_the_interval_of_a_drop_lies_beyond_the_margin_exactly_if_it_is_decided(method):
    design = PairDesign(method, 500, 0.02, 0.95)
    signals = set()
    for look in (0, len(design.sizes) - 1):
        n = design.sizes[look]
        for worse, better in product((0, n // 50, n // 8), repeat=2):
            if worse + better > n:
                continue
            counts = PairCounts(worse, better, n)
            interval, signal = design.interval(look, counts), design.signal(look, counts)
            signals.add(signal)
            assert (interval.high <= 0.02 + 1e-9) == (signal == 1), (counts, interval)
            assert (interval.low >= 0.02 - 1e-9) == (signal == -1), (counts, interval)
            assert interval.low - 1e-9 <= design.estimate(look, counts) <= interval.high + 1e-9
    assert signals == {-1, 0, 1}


def test_the_means_that_bettors_rule_out_are_all_those_beyond_an_end():
    for counts in (PairCounts(3, 12, 300), PairCounts(30, 5, 300), PairCounts(0, 0, 300)):
        interval = PairDesign("e-process", 500, 0.0, 0.95).interval(59, counts)
        for drop in (interval.high + step / 50 for step in range(1, 40)):
            if drop < 1:
                assert log_capital(gain_bets(500, -drop)[0], counts.gains, -drop) >= log(40), (counts, drop)


def test_the_drop_is_corrected_towards_the_margin_after_an_early_stop():
    design = PairDesign("obrien-fleming", 500, 0.02, 0.95)
    early = PairCounts(2, 16, 200)
    assert design.signal(1, early) == 1
    assert early.drop < design.estimate(1, early) < 0.02
    assert median_unbiased_drift((0.2,), (4.9,), 2.0) == pytest.approx(2 / 0.2**0.5, abs=1e-3)


@pytest.mark.parametrize(("truth", "saved"), [(0.97, 0.09), (0.98, 0.25), (0.99, 0.41)])
def test_obrien_fleming_saves_calls_at_about_the_same_power(truth, saved):
    found = course(RateDesign("obrien-fleming", 500, 0.95, 0.95).looks, truth)
    assert 1 - found.expected_cases / 500 == pytest.approx(saved, abs=0.01)
    assert sum(found.passes) >= rate_chances(500, 0.95, truth, confidence=0.95).passes


def test_bars_at_the_ends_of_the_scale():
    perfect, anything = RateDesign("pocock", 50, 1.0, 0.95), RateDesign("pocock", 50, 0.0, 0.95)
    assert not perfect.can_pass
    assert anything.can_pass
    assert perfect.signal(0, 9) == -1
    assert perfect.signal(0, 10) == 0
    assert anything.signal(0, 0) == 1
