"""
Simulates judges with a known sensitivity and specificity, and counts how often the corrected interval misses the truth.

`python benchmarks/judges_simulation.py --runs 10000 --seed 1`; exit code 1 if the interval covers the truth in less
than 94 % of the runs of any point.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from itertools import product

import numpy as np
from intervals import CONFIDENCE, Misses

from pytest_finetune.verdicts.stats import Interval, rate_interval
from pytest_finetune.verdicts.stats.imperfect import corrected_interval, informedness_interval

LEAST = 0.94
"""Coverage that a point must have: the method is approximate, and the figures are simulated."""

JUDGES = ((0.95, 0.9), (0.9, 0.9), (0.8, 0.8), (0.98, 0.7))
TRUTHS = (0.5, 0.8, 0.9, 0.95, 0.99)
CASES = (50, 200, 1000)
LABELLED = (20, 50, 200)


@dataclass(frozen=True)
class Point:
    """A judge, a truth, and how many cases and labelled answers of each kind there are."""

    sensitivity: float
    specificity: float
    truth: float
    cases: int
    labelled: int

    def simulate(self, rng: np.random.Generator, runs: int) -> tuple[Misses, Misses]:
        """How often the corrected and the uncorrected interval miss; without calibrations that no gate may use."""
        passing = self.truth * self.sensitivity + (1 - self.truth) * (1 - self.specificity)
        passed = rng.binomial(self.cases, passing, runs).tolist()
        right = rng.binomial(self.labelled, self.sensitivity, runs).tolist()
        wrong = rng.binomial(self.labelled, self.specificity, runs).tolist()
        corrected: list[Interval] = []
        raw: list[Interval] = []
        for count, a, b in zip(passed, right, wrong, strict=True):
            labels = (a, self.labelled), (b, self.labelled)
            if informedness_interval(*labels).low > 0:
                corrected.append(corrected_interval(count, self.cases, *labels, confidence=CONFIDENCE))
                raw.append(rate_interval(count, self.cases, confidence=CONFIDENCE))
        return Misses.of(corrected, self.truth), Misses.of(raw, self.truth)


def points() -> list[Point]:
    """All points of the simulation."""
    return [Point(*judge, truth, n, labels) for judge, truth, n, labels in product(JUDGES, TRUTHS, CASES, LABELLED)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    print("| sensitivity | specificity | truth | cases | labelled | corrected: covered (above / below) | uncorrected |")
    print("|---|---|---|---|---|---|---|")
    broken = False
    for point in points():
        corrected, raw = point.simulate(rng, options.runs)
        covered = 1 - corrected.above - corrected.below
        broken = broken or covered < LEAST
        first = f"{point.sensitivity} | {point.specificity} | {point.truth} | {point.cases} | {point.labelled}"
        print(f"| {first} | {corrected.cell} | {raw.cell} |")
    sys.exit(broken)


if __name__ == "__main__":
    main()
