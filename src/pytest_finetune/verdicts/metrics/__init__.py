"""From samples to numbers: every metric over the whole plan or a slice of it, with its interval where one exists."""

from pytest_finetune.verdicts.metrics.measure import Measure
from pytest_finetune.verdicts.metrics.summary import Summary
from pytest_finetune.verdicts.metrics.table import SampleTable, lay_out, summarize

__all__ = ["Measure", "SampleTable", "Summary", "lay_out", "summarize"]
