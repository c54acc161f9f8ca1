"""`--promote`: a test assesses the evidence, and the registry changes once nothing can fail any more."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version as installed
from typing import TYPE_CHECKING

import pytest

from pytest_finetune.base.errors import FinetuneError, RegistryError
from pytest_finetune.lifecycle.registry import assess, current_who, judged_sets, read_checked, version_for
from pytest_finetune.lifecycle.registry.production import registry_of
from pytest_finetune.plugin.late_tests import report_test

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.registry import Assessment, Backend, Entry, Registry
    from pytest_finetune.plugin.session import FinetuneSession, ModelUnderTest


def refuse_unclear_promotion(session: FinetuneSession) -> None:
    """
    Refuse a `--promote` that cannot succeed before any request is sent.

    Raises:
        RegistryError: Several models, one that the registry does not hold, or a registry that was altered.
    """
    _version(session, _judged_model(session), read_checked(_backend(session)))


class Promotion:
    """
    One `--promote`, in two steps.

    `assess` reports a test while the session still can report some. `finish` runs after everything else: other plugins
    and conftest files may turn a session red as late as in `pytest_sessionfinish` and `pytest_unconfigure`.
    """

    def __init__(self, session: FinetuneSession) -> None:
        self._session, self._location = session, session.config.option.finetune_registry
        self._assessment: Assessment | None = None
        self._pytest_session: pytest.Session | None = None

    def assess(self, pytest_session: pytest.Session, *, cut_short: bool) -> None:
        """
        Report whether the evidence allows the promotion, as the test `promote[VERSION]`.

        Args:
            pytest_session: After its items and gates; a failed test of any kind is a reason against the promotion.
            cut_short: Tests were left that did not run.
        """
        self._pytest_session = pytest_session
        name, reasons = _judged_model(self._session).spec, []
        try:
            assessment = self._assessed(_session_problems(pytest_session, cut_short=cut_short))
        except FinetuneError as error:
            reasons = [str(error)]
        else:
            name, reasons = assessment.version, list(assessment.refusals)
            self._session.written += [f"warning: {name}: {caution}" for caution in assessment.cautions]
            self._assessment = None if reasons else assessment
        text = "not promoted:\n" + "\n".join(f"- {reason}" for reason in reasons) if reasons else ""
        report_test(self._session.config, self._location, f"promote[{name}]", failure=text)

    def finish(self) -> None:
        """Promote if the session ends with exit status 0, and say so; a promotion that fails makes it 1."""
        if self._assessment is None or self._pytest_session is None:
            return
        status = int(self._pytest_session.exitstatus)
        version, config = self._assessment.version, self._session.config
        problem = (
            f"the session ended with exit status {status}" if status else self._problem_of_update(self._assessment)
        )
        if problem and not status:
            self._pytest_session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and problem:
            reporter.write_line(f"{version} was not promoted: {problem}", red=True)
        elif reporter is not None and config.option.verbose >= 0:
            reporter.write_line(f"{version} promoted to production in {self._location}", green=True)

    def _assessed(self, problems: list[str]) -> Assessment:
        session, model = self._session, _judged_model(self._session)
        backend, run = _backend(session), model.evaluation.run
        registry = backend.read()
        return assess(
            registry,
            _version(session, model, registry)[0],
            run,
            # What the session covers beyond the project's eval sets is part of its run, and so of the judgement.
            lambda: judged_sets(backend, start=session.root, also=session.eval_sets),
            now=datetime.now(UTC),
            plugin_version=installed("pytest-finetune"),
            models=session.store.root.parent / "models",
            known_problems=[*problems, *([] if run else ["there is no run to promote it on"])],
        )

    def _problem_of_update(self, assessment: Assessment) -> str:
        change = assessment.change(who=current_who(), reason="every gate passed")
        try:
            _backend(self._session).update(change, now=datetime.now(UTC), expected_seq=assessment.seq)
        except FinetuneError as error:
            return str(error)
        return ""


def _session_problems(pytest_session: pytest.Session, *, cut_short: bool) -> list[str]:
    failed = pytest_session.testsfailed
    found = [f"{failed} test{'' if failed == 1 else 's'} of this session failed"] if failed else []
    return found + (["this session was cut short, and not all its tests ran"] if cut_short else [])


def _backend(session: FinetuneSession) -> Backend:
    return registry_of(session.config.option.finetune_registry, session.root)


def _judged_model(session: FinetuneSession) -> ModelUnderTest:
    judged = [model for model in session.models if model.judged]
    if len(judged) != 1:
        raise RegistryError("promotes one model", "--promote", "name one --model")
    return judged[0]


def _version(session: FinetuneSession, model: ModelUnderTest, registry: Registry) -> tuple[str, Entry]:
    kind, _, named = model.spec.partition(":")
    if kind == "registry":
        return version_for(registry, named)
    target = model.evaluation.target
    holders = [(v, e) for v, e in registry.entries.items() if e.model_id in (target.model, model.spec)]
    if len(holders) == 1:
        return holders[0]
    location = session.config.option.finetune_registry
    problem = f"{len(holders) or 'no'} version{'' if len(holders) == 1 else 's'} of {target.model} in {location}"
    hint = "name the version, --model=registry:VERSION, or add one, pytest-finetune registry add"
    raise RegistryError(problem, "--promote", hint)
