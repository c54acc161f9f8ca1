"""Intervals and paired tests that gates decide by, each with its source; pure functions of counts."""

from pytest_finetune.verdicts.stats.independent import difference_interval
from pytest_finetune.verdicts.stats.interval import Interval
from pytest_finetune.verdicts.stats.paired import group_mcnemar, mcnemar, paired_interval, paired_p_value
from pytest_finetune.verdicts.stats.rates import can_ever_pass, cases_to_ever_pass, rate_interval, wilson_interval
from pytest_finetune.verdicts.stats.samples import mean_interval, quantile_interval
from pytest_finetune.verdicts.stats.sizes import more_cases_for_rate, more_cases_needed

__all__ = [
    "Interval",
    "can_ever_pass",
    "cases_to_ever_pass",
    "difference_interval",
    "group_mcnemar",
    "mcnemar",
    "mean_interval",
    "more_cases_for_rate",
    "more_cases_needed",
    "paired_interval",
    "paired_p_value",
    "quantile_interval",
    "rate_interval",
    "wilson_interval",
]
