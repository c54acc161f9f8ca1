"""The house stands: imports point down, only plugin/ imports pytest, and no model means next to no cost."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_finetune

SOURCE = Path(pytest_finetune.__file__).parent

FLOORS = (
    {"errors"},
    {"records", "strict_json", "daemon_thread"},
    {"evalset", "scoring", "stats", "metrics", "comparison", "gates", "pricing", "data"},
    {"targets", "runs", "registry", "training"},
    {"engine", "rollout"},
    {"evaluation", "background", "tally", "reports", "selftest", "baseline", "recorded", "sweep"},
    {"plugin", "cli", "server"},
)


def floor_of(room: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def modules() -> list[Path]:
    return [path for path in sorted(SOURCE.rglob("*.py")) if path != SOURCE / "__init__.py"]


def imported_names(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update({node.module} | {f"{node.module}.{alias.name}" for alias in node.names})
    return names


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_down(path):
    floor = floor_of(room_of(path))
    rooms = {name.split(".")[1] for name in imported_names(path) if name.startswith("pytest_finetune.")}
    assert {room for room in rooms if room != "__version__" and floor_of(room) > floor} == set()


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_only_the_plugin_imports_pytest(path):
    if room_of(path) != "plugin":
        assert not {name for name in imported_names(path) if name.split(".")[0] in {"pytest", "_pytest"}}


def test_a_session_without_a_model_loads_nothing_heavy(tmp_path):
    code = (
        "import sys, pytest; pytest.main(['-q', '--co', '-p', 'pytest_finetune.plugin']);"
        "heavy = {'openai', 'jsonschema', 'scipy', 'numpy', 'aiohttp', 'pydantic', 'genai_prices', 'regex', 'sqlglot'};"
        "ours = {name for name in sys.modules if name.startswith('pytest_finetune')};"
        "print('LOADED', sorted(heavy & set(sys.modules)), sorted(ours))"
    )
    # Other plugins load what they like: pytest-randomly brings numpy.
    environ = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("LOADED"))
    assert line == (
        "LOADED [] ['pytest_finetune', 'pytest_finetune.plugin', 'pytest_finetune.plugin.hookspecs', "
        "'pytest_finetune.plugin.options']"
    )
