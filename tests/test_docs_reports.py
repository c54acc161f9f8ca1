"""Limits, columns, properties and the fingerprint in docs/reports.md are those of the code."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

from pytest_finetune.reports import html_row
from pytest_finetune.reports.redaction import hidden

TEXT = (Path(__file__).parents[1] / "docs" / "reports.md").read_text("utf-8")


def chapter(name):
    return TEXT.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def test_documented_limits_of_a_row():
    text = " ".join(chapter("pytest-html").split())
    assert f"cut at {html_row.LIMIT:,} characters, that of a case that passed at {html_row.PASSED_LIMIT};" in text


def test_documented_columns():
    *most, last = [name.capitalize() for name in html_row.COLUMNS]
    assert f"{', '.join(most)} and {last}" in " ".join(chapter("pytest-html").split())


def test_documented_properties_are_written():
    golden = ET.parse(Path(__file__).parent / "plugin/golden/junit.xml").getroot()
    written = {found.get("name").partition("[")[0] for found in golden.iter("property")}
    named = set(re.findall(r"`(finetune\.\w+)", chapter("JUnit")))
    # In the golden file the model has no price, and the gates are incomplete.
    figures = {f"finetune.{name}" for name in ("cost_usd", "value", "low", "high", "bar", "uncertain")}
    assert named - written <= figures


def test_documented_fingerprint():
    (shown,) = re.findall(r"`(sha256:[^`]+)`", chapter("Privacy"))
    assert shown == hidden("plain")
