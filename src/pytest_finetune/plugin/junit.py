"""JUnit files of a session with a model: properties for programs, and failures without the model's text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_finetune.base.text import printable
from pytest_finetune.plugin import lost_workers
from pytest_finetune.reports.failure import ERROR, first_failed
from pytest_finetune.reports.junit import case_properties, gate_properties, suite_properties
from pytest_finetune.reports.redaction import failure_words, hidden

if TYPE_CHECKING:
    from collections.abc import Generator

    from _pytest.junitxml import LogXML

    from pytest_finetune.plugin.privacy import Privacy
    from pytest_finetune.plugin.session import ReportedCases, SessionOutcome


def begin(config: pytest.Config, cases: ReportedCases, outcome: SessionOutcome, privacy: Privacy) -> None:
    """Register the hooks if `--junitxml` was given."""
    manager = config.pluginmanager
    xml = next((plugin for plugin in manager.get_plugins() if hasattr(plugin, "add_global_property")), None)
    if xml is not None:
        manager.register(JUnitReport(config, xml, cases, outcome, privacy), "finetune-junit")


class JUnitReport:
    """Wraps pytest's own JUnit writer: adds the properties that it reads, and shortens the texts that it wrote."""

    def __init__(
        self, config: pytest.Config, xml: LogXML, cases: ReportedCases, outcome: SessionOutcome, privacy: Privacy
    ) -> None:
        self.xml, self.cases, self.outcome, self.privacy = xml, cases, outcome, privacy
        self.properties: bool = config.getini("finetune_junit_properties")
        self.texts: bool = config.getini("finetune_junit_texts")
        self._of_case: dict[str, list[tuple[str, str]]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None]:
        """Add properties to a case or a gate, and shorten the failure of a case."""
        self._mask_attributes(report)
        if report.when == "teardown":
            # The writer reads the properties of a case's last report.
            report.user_properties += self._of_case.pop(report.nodeid, [])
            if self.properties and hasattr(report, "finetune_verdict"):
                model = report.finetune_model
                report.user_properties += gate_properties(
                    self.cases.title(model), self.cases.run_id(model), report.finetune_verdict
                )
        yield
        if lost_workers.status(report):
            self._forget(report)
        if self.properties and hasattr(report, "finetune_key"):
            self._add_properties(report)
        if hasattr(report, "finetune_reason"):
            self._shorten(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Before the file is written, add the properties of the whole session, and mask what other tests recorded."""
        self._mask_properties()
        if self.properties and self.outcome.runs:
            for name, value in suite_properties(self.outcome.runs):
                self.xml.add_global_property(name, value)

    def _forget(self, report: pytest.TestReport) -> None:
        """Remove the testcase of a worker that died; the one of another worker stays."""
        lost = self.xml.node_reporter(report)
        self.xml.node_reporters_ordered.remove(lost)
        for key in [key for key, reporter in self.xml.node_reporters.items() if reporter is lost]:
            del self.xml.node_reporters[key]

    def _mask_attributes(self, report: pytest.TestReport) -> None:
        """Mask the attributes of `record_xml_attribute`; no report has them."""
        attributes = self.xml.node_reporter(report).attrs
        for name, value in attributes.items():
            pytests_own = name in ("classname", "name", "file", "line", "url")
            look = self.privacy.without_keys if pytests_own else self.privacy.mask_for(report.nodeid)
            attributes[name] = look(value)

    def _mask_properties(self) -> None:
        """Mask the properties of `record_testsuite_property`; it is not known which test recorded them."""
        look = hidden if self.privacy.redact else self.privacy.without_keys
        self.xml.global_properties[:] = [(name, look(value)) for name, value in self.xml.global_properties]

    def _add_properties(self, report: pytest.TestReport) -> None:
        model, eval_set, case_id = report.finetune_key
        _, case, samples = self.cases.find(model, eval_set, case_id)
        state = report.finetune_state
        found = case_properties(self.cases.title(model), self.cases.run_id(model), state, case, samples)
        # If the teardown fails too, the writer makes two testcases of one, and reads this report's properties as well.
        report.user_properties += found
        self._of_case[report.nodeid] = found

    def _shorten(self, report: pytest.TestReport) -> None:
        """Omit the failure text and the server's own message: both may quote the prompt."""
        reason = report.finetune_reason
        failure = first_failed(self.cases.find(*report.finetune_key)[2]).failure
        if failure is not None and not self.texts:
            reason = ERROR + failure_words(failure, redact=True)
        for node in self.xml.node_reporter(report).nodes:
            if node.tag in ("failure", "error", "skipped"):
                node.set("message", _valid(reason))
                node.text = _valid(str(report.longrepr)) if self.texts else None


def _valid(text: str) -> str:
    """XML allows no noncharacters; control codes are escaped already."""
    return "".join(char if ord(char) & 0xFFFE != 0xFFFE else "\ufffd" for char in printable(text))  # noqa: PLR2004
