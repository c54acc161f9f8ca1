"""Hooks that a conftest.py or another plugin may implement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

    from pytest_finetune.evaluation.targets import Target


@pytest.hookspec(firstresult=True)
def pytest_finetune_target(spec: str, config: pytest.Config) -> Target | OpenAI | AsyncOpenAI | None:
    """Make the target that `--model=SPEC` names: a Target, or a client object of the openai package; None to pass."""
