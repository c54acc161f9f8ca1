"""A gate written in Python, with the keys that `[[gates]]` has in a settings file."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from pytest_finetune.base.errors import EvalSetError
from pytest_finetune.verdicts.evalset.gate_settings import GateSettings
from pytest_finetune.verdicts.evalset.settings_errors import explained

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_GATE: TypeAdapter[GateSettings] = TypeAdapter(GateSettings)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """
    A gate. Exactly one of `min`, `max`, `max_drop`, `max_flips` and `must_pass` says what it demands.

    Args:
        metric: What is measured, such as `accuracy`, `macro_f1` or `latency_p95`.
        min: The lowest value that passes.
        max: The highest value that passes.
        max_drop: How much lower than the baseline the metric may be.
        max_flips: How many cases that pass in the baseline may miss.
        must_pass: Tags; every case with one of them has to pass.
        against: The baseline of `max_drop` and `max_flips`: `baseline`, `production` or `replay:RUN`.
        where: Only cases with this tag or metadata count: `{"tag": "critical"}`.
        per_case: A case passes if this many of its repeats do: `4 of 5`.
        confidence: Level of the two-sided interval that has to clear the bar, in (0.5, 1).
        risk: Share of models at the bar that may pass, in (0, 0.25); instead of `confidence`.
        sequential: Stop asking once it is decided: `obrien-fleming`, `pocock` or `e-process`; needs a level.
        family: Gates with `max_drop` and `confidence` that share one level: `holm` or `hierarchy`.
        coverage: Share of the cases that count, the most confident ones; for `accuracy_at_coverage`.
        field: JSON path of one field of the answers; for `field_accuracy`.
        label: The label of `recall`; `*` for the label with the lowest recall.
        scorer: Name of the scorer whose scores count; None for the one that decides whether an answer passed.
        max_errors: Samples without an answer that are tolerated; None takes it from the eval set.

    Raises:
        EvalSetError: The values do not make a gate.
    """

    metric: str = "accuracy"
    min: float | None = None
    max: float | None = None
    max_drop: float | None = None
    max_flips: int | None = None
    must_pass: Sequence[str] | None = None
    against: str | None = None
    where: Mapping[str, str | int | bool] = dataclasses.field(default_factory=dict)
    per_case: str | None = None
    confidence: float | None = None
    risk: float | None = None
    sequential: str | None = None
    family: str | None = None
    coverage: float | None = None
    field: str | None = None
    label: str | None = None
    scorer: str | None = None
    max_errors: int | None = None

    def __post_init__(self) -> None:
        try:
            _GATE.validate_python(self.to_dict())
        except ValidationError as error:
            details = error.errors(include_url=False)
            problem, hint = explained([one for one in details if one["loc"] == details[0]["loc"]])
            key = next((f"{name}: " for name in reversed(details[0]["loc"]) if name in self.__dataclass_fields__), "")
            raise EvalSetError(f"{key}{problem}", "Gate", hint) from None

    @property
    def name(self) -> str:
        """What tables and verdicts call it: `accuracy>=0.95,tag=critical`."""
        return _GATE.validate_python(self.to_dict()).rule().label

    def to_dict(self) -> dict[str, object]:
        """Its keys and values as `[[gates]]` has them, without those that were not given."""
        values = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        given = {key: value for key, value in values.items() if value is not None and (key, value) != ("where", {})}
        given |= {"where": dict(self.where)} if self.where else {}
        return given | ({"must_pass": list(self.must_pass)} if self.must_pass is not None else {})
