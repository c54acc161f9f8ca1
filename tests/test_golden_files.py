"""Every golden file is used by a test."""

from __future__ import annotations

from pathlib import Path

import pytest

FILES = sorted(Path(__file__).parent.glob("*/golden/*"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_golden_file_is_used(path):
    tests = [test.read_text("utf-8") for test in path.parents[1].glob("test_*.py")]
    assert any(f'golden("{path.name}", ' in text for text in tests)
