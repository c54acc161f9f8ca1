"""The live line in a real terminal: shown during waits, and never part of the final screen."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from scripted_server import Reply
from terminal_screen import Terminal, watch

from pytest_finetune.base.records import Completion, Sample, Score, State
from pytest_finetune.evaluation.tally import Tally
from pytest_finetune.plugin import live
from pytest_finetune.plugin.live_line import GRACE, LiveLine

LIVE = re.compile(r"[0-9]+/[0-9]+ done.*")


@pytest.fixture
def slow(suite, server, pytester):
    """Six cases, the last two answered late; returns the options to evaluate them."""
    suite(6, inputs=["wrong", *(f"word-{n}" for n in range(1, 6))], toml="[[gates]]\nmin = 0.5\n")
    late = {"word-3": 0.3, "word-4": 0.9, "word-5": 1.0}

    def answer(body):
        question = body["messages"][-1]["content"]
        return Reply(question, latency=late.get(question, 0))

    server.answer = answer
    return ["--model=ft:test", f"--model-base-url={server.url}", "--finetune-no-cache", "-p", "no:randomly"]


def seen_and_kept(screens):
    """The live lines with the row above each, and the final screen."""
    seen, last = [], []
    for rows in screens:
        last = rows
        seen += [(rows[n - 1], row) for n, row in enumerate(rows) if LIVE.fullmatch(row)]
    return seen, last


def test_the_line_is_below_the_dots_and_leaves_nothing_behind(slow, pytester):
    seen, kept = seen_and_kept(watch(pytester.path, *slow))
    assert ("eval_sets/tickets.jsonl m...", "4/6 done  2 in flight  0 errors  accuracy 0.750") in seen
    assert any(row.startswith("eval_sets/tickets.jsonl m.....") and row.endswith("[100%]") for row in kept), kept
    assert not [row for row in kept if " done" in row]


def test_with_verbose_output_the_line_is_below_the_awaited_case(slow, pytester):
    seen, kept = seen_and_kept(watch(pytester.path, *slow, "-v"))
    assert "eval_sets/tickets.jsonl::case-4" in {above for above, _ in seen}
    words = ["MISSED", *["PASSED"] * 5]
    assert all(any(f"case-{n} {word}" in row for row in kept) for n, word in enumerate(words))
    assert not [row for row in kept if " done" in row]


def test_at_the_foot_of_a_small_narrow_screen_it_moves_nothing(slow, pytester):
    seen, kept = seen_and_kept(watch(pytester.path, *slow, rows=6, columns=44))
    assert seen
    assert all(len(row) < 44 for _, row in seen)
    assert not [row for row in kept if " done" in row]


def test_under_xdist_the_controller_shows_what_the_reports_tell(slow, pytester):
    seen, kept = seen_and_kept(watch(pytester.path, *slow, "-n1"))
    assert seen
    assert all("in flight" not in line for _, line in seen)
    assert not [row for row in kept if " done" in row]
    assert any("5 passed" in row or "6 passed" in row for row in kept)


@pytest.mark.parametrize("off", ["--finetune-no-progress", "-qq"])
def test_it_can_be_switched_off(slow, pytester, off):
    seen, _ = seen_and_kept(watch(pytester.path, *slow, off))
    assert seen == []


@pytest.mark.parametrize(
    ("environ", "facts"),
    [
        ({"CI": "true"}, {}),
        ({"TERM": "dumb"}, {}),
        ({}, {"isatty": False}),
        ({}, {"log_cli": True}),
        ({}, {"of_another_class": True}),
    ],
)
def test_no_line_without_a_terminal_or_if_other_plugins_draw(monkeypatch, environ, facts):
    class Reporter:
        isatty = facts.get("isatty", True)

    for name in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(pytest, "TerminalReporter", Reporter)
    config = SimpleNamespace(
        option=SimpleNamespace(pytest_finetune_no_progress=False, verbose=0),
        getini=lambda name: facts.get(name, False),
        getoption=lambda name, default: default,
    )
    reporter = type("Other", (Reporter,), {})() if "of_another_class" in facts else Reporter()
    assert facts or live._may_show(config, reporter)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert not live._may_show(config, reporter)


class Clock:
    """A clock that advances on demand."""

    now = 100.0

    def __call__(self):
        return self.now


class WriterOfPytest8:
    """A terminal writer that counts the columns that it writes."""

    _current_line = "three .."

    def __init__(self, terminal):
        self._terminal = terminal

    def write(self, text, *, flush):
        self._current_line += text
        self._terminal.write(text)


@pytest.fixture(params=["pytest 8", "pytest 9"])
def drawn(monkeypatch, request):
    """A live line in a full terminal of three rows, and its clock."""
    terminal, clock = Terminal(3, 60), Clock()
    monkeypatch.setenv("COLUMNS", "60")
    writer = WriterOfPytest8(terminal)
    if request.param == "pytest 9":
        writer = SimpleNamespace(write_raw=lambda text, flush: terminal.write(text), _current_line="three ..")
    config = SimpleNamespace(
        pluginmanager=SimpleNamespace(get_plugin=lambda name: None), get_terminal_writer=lambda: writer
    )
    reporter = SimpleNamespace(config=config)
    tally = Tally(["m"], clock=clock)
    tally.plan(40)
    terminal.write("one\r\ntwo\r\nthree ..")
    yield SimpleNamespace(line=LiveLine(reporter, tally, clock), clock=clock, terminal=terminal, tally=tally)
    # pytest fills the row of its percentage from here.
    assert writer._current_line == "three .."


def test_a_short_wait_shows_nothing(drawn):
    with drawn.line.waiting() as tick:
        drawn.clock.now += GRACE / 2
        tick()
        assert drawn.terminal.rows == ["one", "two", "three .."]


def test_a_long_wait_shows_it_and_the_next_one_at_once(drawn):
    with drawn.line.waiting() as tick:
        drawn.clock.now += GRACE
        tick()
        tick()
        assert drawn.terminal.rows == ["two", "three ..", "0/40 done  0 in flight"]
    assert drawn.terminal.rows == ["two", "three ..", ""]
    drawn.terminal.write(".")
    with drawn.line.waiting() as tick:
        tick()
        assert drawn.terminal.rows == ["two", "three ...", "0/40 done  0 in flight"]


def test_it_is_gone_when_the_wait_is_interrupted(drawn):
    def interrupted():
        with drawn.line.waiting() as tick:
            drawn.clock.now += GRACE
            tick()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert drawn.terminal.rows == ["two", "three ..", ""]


def test_the_time_left_follows_the_pace_once_the_first_wave_is_back(drawn):
    for _ in range(20):
        drawn.tally.count_sent()
    for number in range(20):
        assert number >= 10 or drawn.tally.progress().left is None
        drawn.clock.now += 1
        drawn.tally.count_answered()
        drawn.tally.count_sample("m", Sample("s", f"c{number}", 0, State.PASSED, Completion("x"), Score(passed=True)))
    assert drawn.tally.progress().left == pytest.approx(20)
