"""`--batch` in a session: what it cannot be combined with, and its state on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_finetune.base.text import printable

if TYPE_CHECKING:
    from pytest_finetune.evaluation.targets import Target


def refuse_unusable_batch(config: pytest.Config) -> None:
    """
    Refuse options with which requests cannot be sent all at once.

    Raises:
        pytest.UsageError: One of them is set.
    """
    if not config.option.pytest_finetune_batch:
        return
    if config.getoption("dist", "no") != "no" or hasattr(config, "workerinput"):
        raise pytest.UsageError("--batch does not work with xdist: one process sends all requests\n  hint: remove -n")
    if config.option.pytest_finetune_stop_when_decided:
        reason = "all requests of a batch are paid for"
        raise pytest.UsageError(f"--batch does not work with --stop-when-decided: {reason}\n  hint: remove one of them")


def batched_if_asked(target: Target, config: pytest.Config) -> Target:
    """
    The target, with `--batch` sending batches: messages are lines, and a terminal has a line for the progress.

    Raises:
        TargetError: It has no batches.
    """
    if not config.option.pytest_finetune_batch:
        return target
    from pytest_finetune.lifecycle.batches.target import BatchReporting, batch_target

    def reporter() -> pytest.TerminalReporter | None:
        found: pytest.TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")
        return found

    def notify(message: str) -> None:
        if terminal := reporter():
            terminal.ensure_newline()
            terminal.write_line(printable(message))

    def progress(done: int, total: int) -> None:
        terminal = reporter()
        if terminal and terminal.isatty() and not config.option.pytest_finetune_no_progress:
            terminal.rewrite(f"batch: {done:,} of {total:,} answered", erase=True)

    return batch_target(target, BatchReporting(notify, progress))
