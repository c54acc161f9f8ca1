"""The author of a change: git's user, or the account. Never fails."""

from __future__ import annotations

import getpass
import subprocess


def current_who() -> str:
    """The `user.email` of git, else the operating system's user, else `unknown`."""
    return _git_email() or _account() or "unknown"


def _git_email() -> str:
    command = ["git", "config", "user.email"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=5, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace").strip()


def _account() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        # A container may run under a user id without a name; which exception that raises depends on the Python version.
        return ""
