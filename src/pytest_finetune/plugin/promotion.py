"""`--promote`: a test assesses the evidence; the registry is changed last, when nothing else can fail."""

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
    from pytest_finetune.evaluation.models_under_test import ModelsUnderTest, ModelUnderTest
    from pytest_finetune.lifecycle.registry import Assessment, Backend, Entry, Registry
    from pytest_finetune.plugin.session import FinetuneSession
    from pytest_finetune.plugin.session_inputs import SessionInputs


def refuse_unclear_promotion(inputs: SessionInputs, models: ModelsUnderTest) -> None:
    """
    Refuse a `--promote` that cannot succeed before any request is sent.

    Raises:
        RegistryError: There are several models, the registry does not have the model, or it was altered; or only some
            cases are requested.
    """
    if inputs.limit is not None:
        raise RegistryError(
            "--finetune-limit is a first look, which is no evidence", "--promote", "leave one of them out"
        )
    _version(inputs, _judged_model(models), read_checked(_backend(inputs)))


PROMOTION = pytest.StashKey["Promotion"]()


class Promotion:
    """
    One `--promote`, in two steps.

    `assess` reports a test while the session still can report some. `finish` runs after everything else: other plugins
    and conftest files may turn a session red as late as in `pytest_unconfigure`, or around `pytest_cmdline_main`.
    """

    def __init__(self, config: pytest.Config, session: FinetuneSession) -> None:
        self._config, self._lines = config, session.outcome.lines
        self._inputs, self._models = session.inputs, session.models
        self._assessment: Assessment | None = None
        self._refused = False

    def assess(self, pytest_session: pytest.Session, *, cut_short: bool) -> None:
        """
        Report whether the evidence allows the promotion, as the test `promote[VERSION]`.

        Args:
            pytest_session: The session, after its items and gates; any failed test prevents the promotion.
            cut_short: Whether the session ended before all tests had run.
        """
        name, reasons = _judged_model(self._models).spec, []
        try:
            assessment = self._assessed(_session_problems(pytest_session, cut_short=cut_short))
        except FinetuneError as error:
            reasons = [str(error)]
        else:
            name, reasons = assessment.version, list(assessment.refusals)
            self._lines += [f"warning: {name}: {caution}" for caution in assessment.cautions]
            self._assessment = None if reasons else assessment
        self._refused = bool(reasons)
        text = "not promoted:\n" + "\n".join(f"- {reason}" for reason in reasons) if reasons else ""
        properties = {"user_properties": self._junit_properties()}
        report_test(self._config, self._inputs.registry, f"promote[{name}]", failure=text, attributes=properties)

    def finish(self, status: int) -> int:
        """Promote if the session ends with exit status 0, and print the result; returns the new exit status."""
        if self._refused and not status:
            # Another plugin or a conftest.py may have turned the failed test into exit status 0.
            return pytest.ExitCode.TESTS_FAILED
        if self._assessment is None:
            return status
        if status:
            problem = f"the session ended with exit status {status}"
        else:
            problem = self._problem_of_update(self._assessment)
        self._report(self._assessment.version, problem)
        return status or (pytest.ExitCode.TESTS_FAILED if problem else pytest.ExitCode.OK)

    def refuse(self, error: BaseException) -> None:
        """Report that nothing was promoted because a hook raised an exception, which pytest does not catch."""
        if self._assessment is not None:
            self._report(self._assessment.version, f"the session ended with {type(error).__name__}: {error}")

    def _report(self, version: str, problem: str) -> None:
        config = self._config
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and problem:
            reporter.write_line(f"{version} was not promoted: {problem}", red=True)
        elif reporter is not None and config.option.verbose >= 0:
            reporter.write_line(f"{version} promoted to production in {self._inputs.registry}", green=True)

    def _junit_properties(self) -> list[tuple[str, str]]:
        """The result so far: the JUnit file is written before the registry changes."""
        state = "allowed if the session succeeds" if self._assessment else "refused"
        return [("finetune.promotion", state)] if self._config.getini("finetune_junit_properties") else []

    def _assessed(self, problems: list[str]) -> Assessment:
        inputs, model = self._inputs, _judged_model(self._models)
        backend, run = _backend(inputs), model.evaluation.run
        registry = backend.read()
        return assess(
            registry,
            _version(inputs, model, registry)[0],
            run,
            # Eval sets of this session that are not the project's are part of its run, so they are judged too.
            lambda: judged_sets(backend, start=inputs.root, also=inputs.eval_sets),
            now=datetime.now(UTC),
            plugin_version=installed("pytest-finetune"),
            models=inputs.store.root.parent / "models",
            known_problems=[*problems, *([] if run else ["there is no recorded run as evidence"])],
        )

    def _problem_of_update(self, assessment: Assessment) -> str:
        change = assessment.change(who=current_who(), reason="every gate passed")
        try:
            _backend(self._inputs).update(change, now=datetime.now(UTC), expected_seq=assessment.seq)
        except FinetuneError as error:
            return str(error)
        return ""


def _session_problems(pytest_session: pytest.Session, *, cut_short: bool) -> list[str]:
    failed = pytest_session.testsfailed
    found = [f"{failed} test{'' if failed == 1 else 's'} of this session failed"] if failed else []
    return found + (["this session ended before all its tests had run"] if cut_short else [])


def _backend(inputs: SessionInputs) -> Backend:
    return registry_of(inputs.registry, inputs.root)


def _judged_model(models: ModelsUnderTest) -> ModelUnderTest:
    judged = models.judged
    if len(judged) != 1:
        raise RegistryError("only one model can be promoted", "--promote", "pass exactly one --model")
    return judged[0]


def _version(inputs: SessionInputs, model: ModelUnderTest, registry: Registry) -> tuple[str, Entry]:
    kind, _, named = model.spec.partition(":")
    if kind == "registry":
        return version_for(registry, named)
    target = model.evaluation.target
    matches = [(v, e) for v, e in registry.entries.items() if e.model_id in (target.model, model.spec)]
    if len(matches) == 1:
        return matches[0]
    problem = f"{len(matches) or 'no'} version{'' if len(matches) == 1 else 's'} of {target.model} in {inputs.registry}"
    hint = "name a version with --model=registry:VERSION, or add one with `pytest-finetune registry add`"
    raise RegistryError(problem, "--promote", hint)
