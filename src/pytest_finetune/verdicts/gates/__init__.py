"""Rules over a run, and their verdicts. Missing, stale or foreign evidence is never a pass."""

from pytest_finetune.verdicts.gates.decided import Decider
from pytest_finetune.verdicts.gates.judging import judge, table_of
from pytest_finetune.verdicts.gates.possible import impossible
from pytest_finetune.verdicts.gates.settled import LookDecider
from pytest_finetune.verdicts.gates.verdict import Baseline, Status, Verdict

__all__ = ["Baseline", "Decider", "LookDecider", "Status", "Verdict", "impossible", "judge", "table_of"]
