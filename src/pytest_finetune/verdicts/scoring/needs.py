"""Libraries that only some scorers need, each behind an extra."""

from __future__ import annotations

from importlib.util import find_spec

from pytest_finetune.base.errors import ScorerError


def need(package: str, extra: str, what: str) -> None:
    """
    Check that a package is there, without importing it; `what` needs it.

    Raises:
        ScorerError: It is not installed; the hint installs the extra that has it.
    """
    if find_spec(package) is None:
        hint = f"pip install 'pytest-finetune[{extra}]'"
        raise ScorerError(f"{what} needs {package}, which is not installed", hint=hint)
