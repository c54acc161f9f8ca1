"""Gates as tests of their own at the end, of three reports each: exit code, JUnit and HTML need no special case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.evaluation.evaluation import verdict_record
from pytest_finetune.plugin.late_tests import report_test
from pytest_finetune.verdicts.gates import Status

if TYPE_CHECKING:
    import pytest

    from pytest_finetune.evaluation.results import SetResult
    from pytest_finetune.plugin.session import FinetuneSession
    from pytest_finetune.verdicts.gates import Verdict


def report_gates(config: pytest.Config, session: FinetuneSession) -> None:
    """Send the verdicts of all sets that have gates through pytest's own reporting hooks."""
    for result in session.results:
        if result.eval_set.settings.gates and session.is_judged(result):
            for verdict in result.verdicts:
                _report(config, result, verdict, f"[{result.model}]" if session.columns else "")


def _report(config: pytest.Config, result: SetResult, verdict: Verdict, suffix: str) -> None:
    failure = "" if verdict.status is Status.PASS else f"{result.eval_set.name}: {verdict.message}"
    # Plain values, for a report may be written as JSON by others.
    told = {**verdict_record(verdict).model_dump(), "bar": verdict.rule.bar, "model": result.model}
    said = {"finetune_gate": verdict.status.value, "finetune_verdict": told}
    report_test(config, result.eval_set.name, f"gate[{verdict.gate}]{suffix}", failure=failure, said=said)
