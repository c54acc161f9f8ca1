"""Self-test of gates: plants bad answers into a perfect run to measure what each gate catches. Calls no model."""

from pytest_finetune.verdicts.selftest.checking import GateCheck, SetCheck, check_gates
from pytest_finetune.verdicts.selftest.damage import Damage, DamageKind
from pytest_finetune.verdicts.selftest.gaps import Gap, gap_warnings
from pytest_finetune.verdicts.selftest.trial import Trip

__all__ = ["Damage", "DamageKind", "Gap", "GateCheck", "SetCheck", "Trip", "check_gates", "gap_warnings"]
