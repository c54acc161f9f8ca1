"""Self-test of gates: plants bad answers into a perfect run to measure what each gate catches. Calls no model."""

from pytest_finetune.verdicts.selftest.checking import Gap, GateCheck, SetCheck, Trip, check_gates, find_gaps
from pytest_finetune.verdicts.selftest.damage import Damage, Kind

__all__ = ["Damage", "Gap", "GateCheck", "Kind", "SetCheck", "Trip", "check_gates", "find_gaps"]
