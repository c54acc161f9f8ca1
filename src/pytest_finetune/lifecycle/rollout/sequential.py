"""
Tests that may be looked at after every call, for ever, and still raise a false alarm no more often than they say.

Evidence is a product of bets at fair odds: where the null hypothesis is true it is expected to stay at most 1, so that
it reaches 1 / rate in at most that share of all lives, however long they are (Ville's inequality). Two things
are mixed: how bad the alternative is (`LIFTS`), and when it began, so that a model which was well for a month is found
out almost as fast as one that never was.

Sources: Ville (1939); Turner, Ly and Grünwald (2024), "Generic E-variables for exact sequential k-sample tests that
allow for optional stopping", J. Statistical Planning and Inference 230; Shafer et al. (2011), "Test martingales, Bayes
factors and p-values", Statistical Science 26.
"""

from __future__ import annotations

from math import exp, log, log2

LIFTS = (0.03, 0.1, 0.3, 0.9)
"""The alternatives that are bet on: which share of the calls that would have gone well fails in addition."""

LEAST_BUDGET = 0.001
"""A budget of nothing would be refuted by a single call; it is tested as one in a thousand."""

_CERTAIN = 1e100


class Evidence:
    """
    Accumulated evidence against a null hypothesis, at most 1 in expectation at any time while it is true.

    The mixture over beginnings leaves 1 / (1 + log2 j) of the weight to those from step j on: half goes to the very
    start, and a change for the worse after a million steps has to bring 19 nats more than one there, and no more.
    """

    def __init__(self) -> None:
        self._steps, self._left = 0, 1.0
        self._bets = [0.0] * len(LIFTS)
        self.value = 1.0

    def multiply(self, factors: list[float]) -> None:
        """Take in one step: the likelihood ratio of what was seen, for each of the `LIFTS`."""
        self._steps += 1
        left = 1 / (1 + log2(self._steps + 1))
        fresh, self._left = self._left - left, left
        # Beyond certainty only an overflow could be gained.
        self._bets = [min((bet + fresh) * factor, _CERTAIN) for bet, factor in zip(self._bets, factors, strict=True)]
        self.value = sum(self._bets) / len(LIFTS) + left


class WorseThanProduction:
    """
    Sequential test of "a canary's calls fail no more often than production's at the same time".

    Calls are taken in blocks, each closed as soon as it holds calls of both sides. Within a block the null
    hypothesis has one rate for both; from block to block the rate may change at will, so that an outage which hits
    both sides is no evidence. For any supposed rates a > b of canary and production, with m their mean weighed by the
    block's calls, the likelihood ratio of (a, b) against (m, m) has an expectation of at most 1 under the null: it is
    log-concave in the common rate with its top, 1, at m, and falls where the canary's rate falls below production's.

    Args:
        false_alarm_rate: How often, at most, a canary that is no worse is ever called worse, in (0, 1).
    """

    def __init__(self, false_alarm_rate: float) -> None:
        self._limit = 1 / false_alarm_rate
        self._evidence = Evidence()
        self._calls, self._failed = [0, 0], [0, 0]
        self._supposed = 0.0

    @property
    def evidence(self) -> float:
        """How many times better "worse" explains the calls than "no worse" does."""
        return self._evidence.value

    @property
    def alarmed(self) -> bool:
        """The canary is significantly worse."""
        return self._evidence.value >= self._limit

    def add(self, *, canary: bool, ok: bool, production_rate: float) -> None:
        """
        Take in the outcome of one call.

        Args:
            canary: The call was the canary's; else production's.
            ok: It went well.
            production_rate: Estimate in (0, 1) of production's error rate from calls before this one. A bad estimate
                costs power and no validity.
        """
        if not any(self._calls):
            # The bet on a block is made before anything of it is seen.
            self._supposed = production_rate
        self._calls[canary] += 1
        self._failed[canary] += not ok
        if all(self._calls):
            self._evidence.multiply([self._factor(lift) for lift in LIFTS])
            self._calls, self._failed = [0, 0], [0, 0]

    def _factor(self, lift: float) -> float:
        production = self._supposed
        canary = production + (1 - production) * lift
        common = (self._calls[0] * production + self._calls[1] * canary) / sum(self._calls)
        return exp(
            sum(
                failed * log(rate / common) + (calls - failed) * log((1 - rate) / (1 - common))
                for rate, calls, failed in zip((production, canary), self._calls, self._failed, strict=True)
            )
        )


class OverBudget:
    """
    Sequential test of "each call fails with a chance of at most the error budget".

    Args:
        budget: In [0, 1]; below `LEAST_BUDGET` it is tested as that, and 1 is never exceeded.
        false_alarm_rate: How often, at most, a model within its budget is ever called over it, in (0, 1).

    Source: Wald (1945), "Sequential tests of statistical hypotheses", mixed over alternatives and beginnings.
    """

    def __init__(self, budget: float, false_alarm_rate: float) -> None:
        self._limit = 1 / false_alarm_rate
        self._evidence = Evidence()
        budget = max(budget, LEAST_BUDGET)
        rates = [budget + (1 - budget) * lift for lift in LIFTS]
        self._after_failure = [rate / budget for rate in rates]
        self._after_success = [1 - lift for lift in LIFTS]

    @property
    def evidence(self) -> float:
        """How many times better "over budget" explains the calls than "within" does."""
        return self._evidence.value

    @property
    def alarmed(self) -> bool:
        """The error rate is significantly over the budget."""
        return self._evidence.value >= self._limit

    def add(self, *, ok: bool) -> None:
        """Take in the outcome of one call."""
        self._evidence.multiply(self._after_success if ok else self._after_failure)
