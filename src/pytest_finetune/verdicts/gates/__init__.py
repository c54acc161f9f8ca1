"""Rules over a run, and their verdicts. Nothing planned, missing, unknown, stale or from another model is a pass."""

from pytest_finetune.verdicts.gates.decided import Decider
from pytest_finetune.verdicts.gates.judging import judge, table_of
from pytest_finetune.verdicts.gates.possible import impossible
from pytest_finetune.verdicts.gates.verdict import Baseline, Status, Verdict

__all__ = ["Baseline", "Decider", "Status", "Verdict", "impossible", "judge", "table_of"]
