"""An eval set on disk and recorded runs of it, for tests of promotion."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from recorded_runs import TICKETS, Recorder

from pytest_finetune.evaluation.plan import set_plan
from pytest_finetune.evaluation.runs import Run, sample_to_dict
from pytest_finetune.evaluation.runs.samples import read_samples, sealed_line
from pytest_finetune.evaluation.runs.seal import sealed
from pytest_finetune.verdicts.loading import load_eval_sets

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_finetune.base.records import Sample
    from pytest_finetune.evaluation.runs import Manifest
    from pytest_finetune.verdicts.evalset import EvalSet

MODEL = "ft:gpt-x-2026-01-01:acme::9Kx2"
GATE = '[[gates]]\nmetric = "accuracy"\nmin = 0.6\n'
PASSED = (("accuracy>=0.6", "pass"),)
AGAINST = '[[gates]]\nagainst = "production"\nmax_flips = 0\n'


def write_set(folder: Path, name: str = TICKETS, *, cases: int = 5, toml: str = GATE) -> EvalSet:
    """A set whose cases are those of `Recorder`, each expecting `bug`."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    rows = [{"id": f"case-{n:02}", "input": f"text {n}", "expected": "bug"} for n in range(cases)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    path.with_suffix(".toml").write_text(toml, "utf-8")
    return load_eval_sets([path], root=folder)[0]


def rewritten(run: Run, **changes: Any) -> Run:
    """The run with another manifest, sealed again if it is closed."""
    manifest = run.manifest.model_copy(update=changes)
    manifest = sealed(manifest, run.path / "samples.jsonl") if manifest.closed else manifest
    return _written(run, manifest)


def edited(run: Run, **changes: Any) -> Run:
    """The run with a manifest edited by hand: the seal is broken."""
    return _written(run, run.manifest.model_copy(update=changes))


def replaced(run: Run, sample: Sample) -> None:
    """Replace the recorded sample with the same key, with a correct checksum."""
    path = run.path / "samples.jsonl"
    lines = [sealed_line(sample_to_dict(sample if one.key == sample.key else one)) for one in read_samples(path)]
    path.write_bytes(b"".join(lines))


def _written(run: Run, manifest: Manifest) -> Run:
    (run.path / "manifest.json").write_text(manifest.model_dump_json(), "utf-8")
    return Run.load(run.path)


def recorded(record: Recorder, eval_set: EvalSet, letters: Any = "ppppm", **facts: Any) -> Run:
    """A closed run of the set that passed its gate; the answering model is the requested one."""
    facts = {"spec": MODEL, "verdicts": PASSED, "plans": [set_plan(eval_set, MODEL)]} | facts
    own = ("answered_by", "totals", "versions", "target", "baselines", "compared_with")
    changes = {name: facts.pop(name) for name in own if name in facts}
    target = changes.get("target")
    models = changes.setdefault("answered_by", (target.model if target else facts["spec"],))
    return rewritten(record(letters, models=models, **facts), **changes)
