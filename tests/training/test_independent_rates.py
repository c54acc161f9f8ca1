"""The interval of the difference of two independent rates, compared with its author's published values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.verdicts.stats import difference_interval


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((0, 10, 0, 10), -0.2775, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0),
        ((10, 10, 0, 10), 0.6075, 1.0),
    ],
)
def test_intervals_equal_published_values(counts, low, high):
    """Newcombe (1998), Statistics in Medicine 17, 873-890, table II, method 10."""
    found = difference_interval(*counts)
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def counts():
    return st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts(), counts())
def test_the_interval_contains_the_difference_and_is_antisymmetric(first, second):
    one, other = difference_interval(*first, *second), difference_interval(*second, *first)
    difference = first[0] / first[1] - second[0] / second[1]
    assert -1 - 1e-9 <= one.low <= difference + 1e-9
    assert difference - 1e-9 <= one.high <= 1 + 1e-9
    assert (one.low, one.high) == (pytest.approx(-other.high), pytest.approx(-other.low))


def test_without_cases_there_is_no_difference():
    with pytest.raises(ValueError, match="needs at least one planned case"):
        difference_interval(0, 0, 1, 2)
