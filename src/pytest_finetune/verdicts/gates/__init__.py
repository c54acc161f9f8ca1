"""Rules over a run, and their verdicts. Nothing planned, missing, unknown, stale or from another model is a pass."""

from pytest_finetune.verdicts.gates.decided import Decider, decided
from pytest_finetune.verdicts.gates.judging import judge
from pytest_finetune.verdicts.gates.possible import impossible
from pytest_finetune.verdicts.gates.verdict import Baseline, Status, Verdict

__all__ = ["Baseline", "Decider", "Status", "Verdict", "decided", "impossible", "judge"]
