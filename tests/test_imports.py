"""Imports: no cycles and no heavy libraries, beyond the contracts that import-linter checks."""

from __future__ import annotations

import os
import subprocess
import sys
from graphlib import TopologicalSorter

import grimp


def test_no_import_cycle_between_modules():
    """The contract on siblings does not cover a module that imports from its own package."""
    graph = grimp.build_graph("pytest_finetune", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 100
    TopologicalSorter(imports).prepare()


def test_a_session_without_a_model_loads_nothing_heavy(tmp_path):
    code = (
        "import sys, pytest; pytest.main(['-q', '--co', '-p', 'pytest_finetune.plugin']);"
        "heavy = {'openai', 'jsonschema', 'scipy', 'numpy', 'aiohttp', 'pydantic', 'genai_prices', 'regex', 'sqlglot'};"
        "ours = {name for name in sys.modules if name.startswith('pytest_finetune')};"
        "print('LOADED', sorted(heavy & set(sys.modules)), sorted(ours))"
    )
    # Other plugins may load more: pytest-randomly imports numpy.
    environ = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("LOADED"))
    assert line == (
        "LOADED [] ['pytest_finetune', 'pytest_finetune.base', 'pytest_finetune.base.eval_set_patterns', "
        "'pytest_finetune.plugin', 'pytest_finetune.plugin.hookspecs', 'pytest_finetune.plugin.names', "
        "'pytest_finetune.plugin.options']"
    )
