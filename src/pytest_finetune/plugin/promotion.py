"""The registry in a session: what production stands for, and `--promote` once every gate has passed."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version as installed
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import FinetuneError, RegistryError
from pytest_finetune.lifecycle.registry import (
    Change,
    current_who,
    is_before_first,
    production_of,
    version_for,
)
from pytest_finetune.lifecycle.registry.evidence import evidence_of
from pytest_finetune.lifecycle.registry.production import registry_of
from pytest_finetune.lifecycle.registry.promotion import cautions, history_faults, refusals
from pytest_finetune.plugin.late_tests import report_test
from pytest_finetune.verdicts.evalset.discovery import find_eval_sets
from pytest_finetune.verdicts.loading import load_eval_sets

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.registry import Entry, Registry
    from pytest_finetune.plugin.session import FinetuneSession, ModelUnderTest
    from pytest_finetune.verdicts.evalset import EvalSet


def refuse_unclear_promotion(session: FinetuneSession) -> None:
    """
    What `--promote` cannot mean is told before anything is asked.

    Raises:
        RegistryError: Several models, or one that the registry does not hold.
    """
    judged = [model for model in session.models if model.judged]
    if len(judged) != 1:
        raise RegistryError("promotes one model", "--promote", "name one --model")
    _version(session, judged[0])


def promote(session: FinetuneSession, failed: int, *, cut_short: bool) -> None:
    """
    Promote the version on the run that was just made, or say every reason why not; as a test of its own.

    Args:
        session: After its verdicts.
        failed: Tests of the whole session that failed, the user's own among them: what ends red changes nothing.
        cut_short: Tests were left that did not run, and nobody knows how they would have ended.
    """
    model = next(model for model in session.models if model.judged)
    others = [f"{failed} test{'' if failed == 1 else 's'} of this session failed"] if failed else []
    others += ["this session was cut short, and not all its tests ran"] if cut_short else []
    try:
        name, reasons = _promoted(session, model, others)
    except FinetuneError as error:
        name, reasons = model.spec, [str(error)]
    text = "not promoted:\n" + "\n".join(f"- {reason}" for reason in reasons) if reasons else ""
    location = session.config.option.finetune_registry
    report_test(session.config, location, f"promote[{name}]", failure=text, said={})


def _promoted(session: FinetuneSession, model: ModelUnderTest, others: list[str]) -> tuple[str, list[str]]:
    backend = registry_of(session.config.option.finetune_registry, session.root)
    registry = backend.read()
    name, entry = _version(session, model, registry)
    run, eval_sets = model.evaluation.run, _todays(session)
    if run is None:
        return name, ["there is no run to promote it on"]
    now = datetime.now(UTC)
    beside: dict[str, Any] = {"production": production_of(registry), "models": session.store.root.parent / "models"}
    reasons = [
        *others,
        *refusals(
            entry,
            run,
            eval_sets,
            now=now,
            plugin_version=installed("pytest-finetune"),
            first=is_before_first(registry),
            **beside,
        ),
        *history_faults(registry, name, run),
    ]
    told = cautions(entry, run, now=now, eval_sets=eval_sets, **beside)
    session.written += [f"warning: {name}: {caution}" for caution in told]
    if not reasons:
        why = f"every gate of run {run.id} passed"
        change = Change("promote", name, who=current_who(), why=why, evidence=evidence_of(run, eval_sets))
        backend.update(change, now=now, expected_seq=registry.seq)
    return name, reasons


def _todays(session: FinetuneSession) -> list[EvalSet]:
    """All eval sets of the project, as they are written: what was left out of this session is missing from its run."""
    found = find_eval_sets(
        [session.root, *session.eval_sets], root=session.root, patterns=session.config.getini("finetune_eval_sets")
    )
    return load_eval_sets(found, root=session.root)


def _version(session: FinetuneSession, model: ModelUnderTest, registry: Registry | None = None) -> tuple[str, Entry]:
    location = session.config.option.finetune_registry
    registry = registry or registry_of(location, session.root).read()
    kind, _, named = model.spec.partition(":")
    if kind == "registry":
        return version_for(registry, named)
    target = model.evaluation.target
    holders = [(v, e) for v, e in registry.entries.items() if e.model_id in (target.model, model.spec)]
    if len(holders) == 1:
        return holders[0]
    problem = f"{len(holders) or 'no'} version{'' if len(holders) == 1 else 's'} of {target.model} in {location}"
    hint = "name the version, --model=registry:VERSION, or add one, pytest-finetune registry add"
    raise RegistryError(problem, "--promote", hint)
