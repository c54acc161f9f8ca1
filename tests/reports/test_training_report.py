"""Jobs and diagnoses in the terminal and as a page: lines fit, and text from a server is made printable."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_finetune.base.records import FormatFailure
from pytest_finetune.lifecycle.training.curves import Curves, LossPoint, Pace
from pytest_finetune.lifecycle.training.diagnosis import diagnose
from pytest_finetune.lifecycle.training.evidence import DiagnosisEvidence, LearningPoint, Rate
from pytest_finetune.lifecycle.training.job import FineTuningCheckpoint, FineTuningEvent, FineTuningJob, JobFailure
from pytest_finetune.lifecycle.training.money import TrainingPrices
from pytest_finetune.reports.diagnosis import curve_lines, diagnosis_lines, sparkline
from pytest_finetune.reports.diagnosis_page import diagnosis_page
from pytest_finetune.reports.training import bar_line, checkpoints_lines, event_line, job_lines, jobs_lines

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOSTILE = "\x1b[2J\u202e<script>alert(1)</script>\n\x07"


def step(number, **data):
    return FineTuningEvent(f"e{number}", START + timedelta(seconds=number), "info", "", {"step": number, **data})


@pytest.fixture
def pace():
    pace = Pace()
    for number in range(1, 38):
        pace.add(
            step(number, total_steps=94, train_loss=1 / number, **({"valid_loss": 0.5} if number % 10 == 0 else {}))
        )
    return pace


def test_the_bar_shows_step_losses_and_time_left(pace):
    line = bar_line(pace, None, START + timedelta(seconds=37), 80)
    assert line == "[########------------]  step 37/94  loss 0.02703  valid 0.5  0:57 left"


@given(st.integers(1, 100))
def test_the_bar_fits_any_width(width):
    pace = Pace()
    pace.add(step(1, total_steps=9, train_loss=0.5, valid_loss=0.25))
    assert 0 < len(bar_line(pace, FineTuningJob("j", "running"), START, width)) <= width


def test_the_least_important_parts_of_the_bar_are_dropped_first(pace):
    line = bar_line(pace, None, START + timedelta(seconds=37), 24)
    assert line == "step 37/94  0:57 left"


def test_before_the_first_step_the_bar_is_the_status():
    assert bar_line(Pace(), FineTuningJob("j", "validating_files"), START, 80) == "validating_files"


def test_without_a_total_of_steps_no_bar_is_drawn():
    pace = Pace()
    pace.add(step(3, train_loss=0.5))
    assert bar_line(pace, None, START, 80) == "step 3  loss 0.5"


def test_text_of_a_server_is_made_printable():
    job = FineTuningJob(HOSTILE, HOSTILE, model=HOSTILE, fine_tuned_model=HOSTILE, fault=JobFailure(HOSTILE, HOSTILE))
    checkpoint = FineTuningCheckpoint("c", HOSTILE, 1)
    lines = [
        *job_lines(job, TrainingPrices("http://127.0.0.1:1/v1")),
        *jobs_lines([job]),
        *checkpoints_lines([checkpoint]),
        event_line(FineTuningEvent("e", START, "info", HOSTILE)),
    ]
    assert all(text.isprintable() for text, _ in lines)


def test_tables_fit_80_columns():
    model = "ft:gpt-4.1-mini-2025-04-14:a-rather-long-organisation:suffix-of-some-length:9Kx2AbCd:ckpt-step-2000"
    checkpoint = FineTuningCheckpoint("c", model, 123_456, metrics={"train_loss": 1.23456789, "full_valid_loss": 0.5})
    assert all(len(text) <= 80 for text, _ in checkpoints_lines([checkpoint]))
    assert all(
        len(text) <= 80 for text, _ in jobs_lines([FineTuningJob("ftjob-" + "x" * 24, "validating_files", model=model)])
    )


def test_a_sparkline_falls_with_its_values():
    assert sparkline([7, 6, 5, 4, 3, 2, 1, 0], 0, 7) == "█▇▆▅▄▃▂▁"
    assert len(sparkline(list(range(1000)), 0, 999)) == 42
    assert sparkline([5, 5], 5, 5) == "▁▁"


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200))
@example([17_606.0, *[1.234e-05] * 99])
def test_sparklines_of_any_losses_fit_80_columns(losses):
    curves = Curves(tuple(LossPoint(n, loss, loss / 2) for n, loss in enumerate(losses, 1)))
    lines = [text for text, _ in curve_lines(curves)]
    assert len(lines) == 3
    assert all(len(line) <= 80 for line in lines)


@pytest.fixture
def evidence():
    points = tuple(LossPoint(n, 10 * 0.8**n, 5 * 0.9**n if n % 5 == 0 else None) for n in range(1, 31))
    return DiagnosisEvidence(
        Rate(300, 450),
        Rate(20, 450),
        {FormatFailure.FENCED: 20},
        training=Rate(99, 100),
        curves=Curves(points),
        learning=(LearningPoint(10, HOSTILE, 0.5, Rate(310, 450)), LearningPoint(20, "ft:b", None, None)),
    )


def test_a_diagnosis_fits_80_columns_and_is_printable(evidence):
    lines = list(diagnosis_lines("ft:a", diagnose(evidence), evidence))
    assert all(len(text) <= 80 and text.isprintable() for text, _ in lines)
    assert lines[0][0] == "ft:a: overfitting, unstable format"


def test_the_page_escapes_hostile_names_and_links_to_nothing(evidence):
    page = diagnosis_page(HOSTILE, diagnose(evidence), evidence)
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert "\x1b" not in page
    assert "http" not in page.replace('http-equiv="Content-Security-Policy"', "")


def test_both_losses_are_drawn_inside_the_chart(evidence):
    page = diagnosis_page("ft:a", diagnose(evidence), evidence)
    svg = ET.fromstring(page[page.index("<svg") : page.index("</svg>") + 6])
    paths = svg.findall("path")
    assert [path.get("class") for path in paths] == ["first", "second"]
    for path in paths:
        for place in path.get("d").removeprefix("M").split("L"):
            x, y = map(float, place.split())
            assert 0 <= x <= 600
            assert 0 <= y <= 200
