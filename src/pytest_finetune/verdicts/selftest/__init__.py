"""Bad answers planted into a perfect run, to see what each gate catches and how much it lets through. Asks no model."""

from pytest_finetune.verdicts.selftest.checking import GateCheck, SetCheck, Trip, check_gates
from pytest_finetune.verdicts.selftest.damage import Damage, Kind

__all__ = ["Damage", "GateCheck", "Kind", "SetCheck", "Trip", "check_gates"]
