"""JUnit's file of a session with a model: properties for machines, and failures without what a model wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.text import printable
from pytest_finetune.plugin.reported_cases import ReportedCases
from pytest_finetune.reports.failure import ERROR
from pytest_finetune.reports.junit import case_properties, gate_properties, suite_properties
from pytest_finetune.reports.redaction import hidden, stop_words

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_finetune.plugin.privacy import Privacy
    from pytest_finetune.plugin.session import FinetuneSession


def begin(session: FinetuneSession, privacy: Privacy) -> None:
    """Take part where `--junitxml` was given."""
    manager = session.config.pluginmanager
    xml = next((plugin for plugin in manager.get_plugins() if hasattr(plugin, "add_global_property")), None)
    if xml is not None:
        manager.register(JUnitReport(session, xml, privacy), "finetune-junit")


class JUnitReport:
    """Stands around pytest's own JUnit writer: what it reads is made before, what it wrote is shortened after."""

    def __init__(self, session: FinetuneSession, xml: Any, privacy: Privacy) -> None:
        self.session, self.xml, self.cases = session, xml, ReportedCases(session)
        self.privacy = privacy
        self.properties: bool = session.config.getini("finetune_junit_properties")
        self.texts: bool = session.config.getini("finetune_junit_texts")
        self._of_case: dict[str, list[tuple[str, str]]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None]:
        """Add properties to a case, and make its failure a short one."""
        self._guard_attributes(report)
        if report.when == "teardown":
            # The writer reads the properties of a case's last report.
            report.user_properties += self._of_case.pop(report.nodeid, [])
            if self.properties and hasattr(report, "finetune_verdict"):
                run = self.cases.run_id(report.finetune_verdict["model"])
                report.user_properties += gate_properties(run, report.finetune_verdict)
        yield
        if self.properties and hasattr(report, "finetune_key"):
            self._add_properties(report)
        if hasattr(report, "finetune_told"):
            self._tell(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Add what holds for the whole session, and go through what came past the reports, before it is written."""
        self._guard_properties()
        if self.properties and self.session.results:
            for name, value in suite_properties(self.session.evaluations, self.session.results):
                self.xml.add_global_property(name, value)

    def _guard_attributes(self, report: pytest.TestReport) -> None:
        """Those of `record_xml_attribute` are in no report."""
        attributes = self.xml.node_reporter(report).attrs
        for name, value in attributes.items():
            pytests_own = name in ("classname", "name", "file", "line", "url")
            look = self.privacy.without_keys if pytests_own else self.privacy.said_by(report.nodeid)
            attributes[name] = look(value)

    def _guard_properties(self) -> None:
        """Nobody knows which test has recorded those of `record_testsuite_property`."""
        look = hidden if self.privacy.redact else self.privacy.without_keys
        self.xml.global_properties[:] = [(name, look(value)) for name, value in self.xml.global_properties]

    def _add_properties(self, report: pytest.TestReport) -> None:
        model, eval_set, case_id = report.finetune_key
        _, case, samples = self.cases.find(model, eval_set, case_id)
        state = report.finetune_state
        found = case_properties(model, self.cases.run_id(model), state, case, samples)
        # Those of this report count where the teardown fails as well, which makes two testcases of one.
        report.user_properties += found
        self._of_case[report.nodeid] = found

    def _tell(self, report: pytest.TestReport) -> None:
        """A server's own words may quote the prompt, and so does the failure text."""
        reason = report.finetune_told
        if not self.texts and reason.startswith(ERROR):
            reason = ERROR + stop_words(reason.removeprefix(ERROR), redact=True)
        for node in self.xml.node_reporter(report).nodes:
            if node.tag in ("failure", "error", "skipped"):
                node.set("message", _valid(reason))
                node.text = _valid(str(report.longrepr)) if self.texts else None


def _valid(text: str) -> str:
    """XML knows no noncharacters; control codes are escapes already."""
    return "".join(char if ord(char) & 0xFFFE != 0xFFFE else "\ufffd" for char in printable(text))  # noqa: PLR2004
