"""
Sequential tests: checked after every call, without end, and still with a bounded probability of a false alarm.

Each test keeps an e-process, a non-negative process whose expectation is at most 1 at any stopping time while the null
hypothesis is true. By Ville's inequality it then ever reaches 1 / rate with a probability of at most `rate`, however
long the test runs. It is a mixture over two unknowns: how bad the alternative is (`LIFTS`), and when it began, so that
a model that turns bad after a month is detected almost as fast as one that was bad from the start.

Sources: Ville (1939); Turner, Ly and Grünwald (2024), "Generic E-variables for exact sequential k-sample tests that
allow for optional stopping", J. Statistical Planning and Inference 230; Shafer et al. (2011), "Test martingales, Bayes
factors and p-values", Statistical Science 26.
"""

from __future__ import annotations

from math import exp, log, log2

LIFTS = (0.03, 0.1, 0.3, 0.9)
"""The alternatives: the share of otherwise successful calls that fail in addition. Equal weight each."""

LEAST_BUDGET = 0.001
"""An error budget of 0 would be refuted by a single failure, so smaller ones are tested as this one."""

_CERTAIN = 1e100
"""Upper limit of the process, far beyond any alarm, so that it cannot overflow."""


class EProcess:
    """
    An e-process: evidence against a null hypothesis, whose expectation is at most 1 at any time while it is true.

    `value` starts at 1. The mixture over starting times gives the weight 1 / (1 + log2 j) to all starts from step j on:
    half of it goes to the first step. Small weights cost little: an alternative that starts at step j needs about
    ln(j) + 2 ln(log2 j) nats more evidence than one that starts at once, about 19 after a million steps.

    Invariant: the sum of `_bets` over one alternative's starts, plus `_left`, which is not yet bet, is a martingale or
    supermartingale under the null hypothesis, because each factor has an expectation of at most 1.
    """

    def __init__(self) -> None:
        self._steps, self._left = 0, 1.0
        self._bets = [0.0] * len(LIFTS)
        self.value = 1.0

    def multiply(self, factors: list[float]) -> None:
        """Process one step, given the likelihood ratio of its observation for each of the `LIFTS`."""
        self._steps += 1
        left = 1 / (1 + log2(self._steps + 1))
        fresh, self._left = self._left - left, left
        # Capping the process keeps it a supermartingale, so the bound on false alarms holds.
        self._bets = [min((bet + fresh) * factor, _CERTAIN) for bet, factor in zip(self._bets, factors, strict=True)]
        self.value = sum(self._bets) / len(LIFTS) + left


class SequentialTest:
    """
    A test that may be checked after every call.

    Args:
        false_alarm_rate: Upper bound, in (0, 1), on the probability of ever raising an alarm while the null hypothesis
            is true.
    """

    def __init__(self, false_alarm_rate: float) -> None:
        self._limit = 1 / false_alarm_rate
        self._evidence = EProcess()

    @property
    def evidence(self) -> float:
        """The e-value: how many times better the alternative explains the calls than the null hypothesis."""
        return self._evidence.value

    @property
    def alarmed(self) -> bool:
        """Whether the null hypothesis is refuted."""
        return self._evidence.value >= self._limit


class WorseThanProduction(SequentialTest):
    """
    Sequential test of the null hypothesis "the canary's calls fail no more often than production's at the same time".

    Calls are grouped into blocks; a block ends as soon as it has calls of both sides. Within a block the null
    hypothesis has one failure rate for both sides; between blocks the rate may change arbitrarily, so that an outage
    that hits both sides is no evidence. For assumed rates a > b of canary and production, with m their mean weighted by
    the block's calls, the likelihood ratio of (a, b) to (m, m) has an expectation of at most 1 under the null
    hypothesis: it is log-concave in the common rate, with its maximum, 1, at m, and smaller where the canary's rate is
    below production's.

    Args:
        false_alarm_rate: Upper bound, in (0, 1), on the probability of ever raising an alarm about a canary that is
            no worse.
    """

    def __init__(self, false_alarm_rate: float) -> None:
        super().__init__(false_alarm_rate)
        self._calls, self._failed = [0, 0], [0, 0]
        self._assumed = 0.0

    def add(self, *, canary: bool, ok: bool, production_rate: float) -> None:
        """
        Process the outcome of one call.

        Args:
            canary: Whether the canary answered it; otherwise production did.
            ok: Whether it succeeded.
            production_rate: Estimate, in (0, 1), of production's error rate, from earlier calls only. A bad estimate
                costs power, not validity.
        """
        if not any(self._calls):
            # Fixed before the block's first outcome is known; otherwise the likelihood ratio would not be valid.
            self._assumed = production_rate
        self._calls[canary] += 1
        self._failed[canary] += not ok
        if all(self._calls):
            self._evidence.multiply([self._factor(lift) for lift in LIFTS])
            self._calls, self._failed = [0, 0], [0, 0]

    def _factor(self, lift: float) -> float:
        production = self._assumed
        canary = production + (1 - production) * lift
        common = (self._calls[0] * production + self._calls[1] * canary) / sum(self._calls)
        return exp(
            sum(
                failed * log(rate / common) + (calls - failed) * log((1 - rate) / (1 - common))
                for rate, calls, failed in zip((production, canary), self._calls, self._failed, strict=True)
            )
        )


class OverBudget(SequentialTest):
    """
    Sequential test of the null hypothesis "each call fails with a probability of at most the error budget".

    Args:
        budget: In [0, 1]; tested as at least `LEAST_BUDGET`. A budget of 1 is never exceeded.
        false_alarm_rate: Upper bound, in (0, 1), on the probability of ever raising an alarm about a model within its
            budget.

    Source: Wald (1945), "Sequential tests of statistical hypotheses", mixed over alternatives and starting times.
    """

    def __init__(self, budget: float, false_alarm_rate: float) -> None:
        super().__init__(false_alarm_rate)
        budget = max(budget, LEAST_BUDGET)
        rates = [budget + (1 - budget) * lift for lift in LIFTS]
        self._after_failure = [rate / budget for rate in rates]
        self._after_success = [1 - lift for lift in LIFTS]

    def add(self, *, ok: bool) -> None:
        """Process the outcome of one call."""
        self._evidence.multiply(self._after_success if ok else self._after_failure)
