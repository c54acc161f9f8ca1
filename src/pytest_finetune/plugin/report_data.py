"""What is attached to a test report, samples or a gate: objects within a process, plain data outside it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.records import Failure
from pytest_finetune.evaluation.runs import sample_from_dict, sample_to_dict
from pytest_finetune.reports.reported import Gate

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_finetune.base.records import Sample


@dataclass(frozen=True, slots=True)
class CarriedSamples:
    """
    The samples of one case.

    Args:
        model: Spec of the model.
        samples: All but those that were not run.
        stopped: Why the evaluation of the model had stopped in the reporting process; None if it had not.
    """

    model: str
    samples: tuple[Sample, ...]
    stopped: Failure | None = None

    def to_data(self) -> dict[str, Any]:
        """As JSON values."""
        stopped = asdict(self.stopped) if self.stopped else None
        return {"model": self.model, "samples": [sample_to_dict(one) for one in self.samples], "stopped": stopped}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> CarriedSamples:
        """The reverse of `to_data`."""
        stopped = Failure(**data["stopped"]) if data["stopped"] else None
        return cls(data["model"], tuple(sample_from_dict(one) for one in data["samples"]), stopped)


class ReportData:
    """pytest's hooks for reports that leave the process: to an xdist controller, or into a report log."""

    @pytest.hookimpl(wrapper=True)
    def pytest_report_to_serializable(self) -> Generator[None, dict[str, Any] | None, dict[str, Any] | None]:
        """Turn samples and gates into data."""
        data = yield
        if data is not None and isinstance(carried := data.get("finetune"), CarriedSamples):
            data["finetune"] = carried.to_data()
        if data is not None and isinstance(gate := data.get("finetune_verdict"), Gate):
            data["finetune_verdict"] = gate.verdict.model_dump(mode="json")
        return data

    @pytest.hookimpl(wrapper=True)
    def pytest_report_from_serializable(self) -> Generator[None, Any, Any]:
        """Turn the data into samples again."""
        report = yield
        if isinstance(data := getattr(report, "finetune", None), dict):
            report.finetune = CarriedSamples.from_data(data)
        return report
