"""The scorer `sql` reads sqlglot's parser from its source, because the compiled one cannot be limited."""

from __future__ import annotations

import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, PathFinder
from types import ModuleType

import pytest

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.verdicts.scoring.sqlglot_source import _SourceFinder, import_from_source


@pytest.fixture
def compiled(tmp_path):
    """A folder with sqlglot's modules as sqlglotc installs them, next to their source."""
    for name in ("parser", "tokens"):
        (tmp_path / f"{name}.py").write_text("compiled = False\n")
        (tmp_path / f"{name}{EXTENSION_SUFFIXES[0]}").write_bytes(b"")
    return [str(tmp_path)]


def test_only_what_is_recursive_is_read_from_its_source(compiled):
    assert isinstance(PathFinder.find_spec("sqlglot.parser", compiled).loader, ExtensionFileLoader)
    assert _SourceFinder.find_spec("sqlglot.parser", compiled).origin.endswith("parser.py")
    assert _SourceFinder.find_spec("sqlglot.parsers.parser", compiled).origin.endswith("parser.py")
    assert _SourceFinder.find_spec("sqlglot.tokens", compiled) is None
    assert _SourceFinder.find_spec("sqlglot.parsers_of_mine", compiled) is None
    assert _SourceFinder.find_spec("parser", compiled) is None


def test_a_compiled_parser_that_is_in_use_is_refused_with_a_remedy(monkeypatch):
    module = ModuleType("sqlglot.parser")
    module.__loader__ = ExtensionFileLoader("sqlglot.parser", "parser.so")
    monkeypatch.setitem(sys.modules, "sqlglot.parser", module)
    with pytest.raises(ScorerError, match="no limit can stop") as caught:
        import_from_source()
    assert "pip uninstall sqlglotc" in caught.value.hint


def test_an_installed_sqlglot_is_imported_through_the_finder():
    program = (
        "import sys; from pathlib import Path; from pytest_finetune.verdicts.evalset.settings import EvalSettings; "
        "from pytest_finetune.verdicts.scoring import make_scorer; "
        "[make_scorer(EvalSettings(scorer='sql', dialect=d), Path()) for d in ('', 'duckdb')]; "
        "print(sum('_SourceFinder' in str(each) for each in sys.meta_path), sys.modules['sqlglot.parser'].__file__)"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output.startswith("1 ")
    assert output.strip().endswith("parser.py")
