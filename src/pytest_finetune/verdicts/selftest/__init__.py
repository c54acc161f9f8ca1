"""Self-test of gates: plants bad answers into a perfect run to measure what each gate catches. Calls no model."""

from pytest_finetune.verdicts.selftest.checking import GateCheck, SetCheck, Trip, check_gates
from pytest_finetune.verdicts.selftest.damage import Damage, Kind

__all__ = ["Damage", "GateCheck", "Kind", "SetCheck", "Trip", "check_gates"]
