"""The identity of a scoring function covers all of its code and files, and only those."""

from __future__ import annotations

import pytest

from pytest_finetune.verdicts.scoring.local_modules import LocalModules

LAX = "def judge(case, completion):\n    return True\n"
STRICT = "def judge(case, completion):\n    return completion.text == case.expected[0]\n"
TOML = 'scorer = "judges:judge"\n'
GATED = TOML + "[[gates]]\nmin = 0.5\n"


@pytest.fixture
def judged(pytester):
    """Write an eval set whose only answer will be wrong, with a judge in a folder of its own."""

    def write(folder, judge, toml=TOML, **files):
        place = pytester.path / folder / "eval_sets"
        place.mkdir(parents=True)
        (place / "one.jsonl").write_text('{"id": "a", "input": "wrong", "expected": "right"}\n')
        (place / "one.toml").write_text(toml)
        (place / "judges.py").write_text(judge)
        for name, text in files.items():
            (place / f"{name}.py").write_text(text)
        return place

    return write


@pytest.mark.parametrize("first", [("lax", "strict"), ("strict", "lax")])
def test_each_folders_judge_judges_its_own_set(judged, evaluate, first):
    judges = {"lax": LAX, "strict": STRICT}
    for place, name in zip(("a", "b"), first, strict=True):
        judged(place, judges[name])
    result = evaluate("a/eval_sets/one.jsonl", "b/eval_sets/one.jsonl")
    result.assert_outcomes(passed=1, failed=1)


def test_helpers_of_a_judge_and_of_the_users_tests_do_not_meet(judged, evaluate, pytester):
    judged(
        "",
        "from helpers import same\n\ndef judge(case, completion):\n    return same()\n",
        helpers="def same(): return True\n",
    )
    pytester.makepyfile(
        helpers="ours = 1\n", test_own="import helpers\n\ndef test_own():\n    assert helpers.ours == 1\n"
    )
    result = evaluate("-p", "no:cacheprovider", "eval_sets", "test_own.py", subprocess=True)
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize(
    "judge",
    [
        "import helpers\n\ndef judge(case, completion):\n    return helpers.same()\n",
        "def judge(case, completion):\n    from helpers import same\n    return same()\n",
    ],
    ids=["at the top", "in the function"],
)
def test_a_changed_helper_is_another_scorer(judged, evaluate, pytester, judge):
    place = judged("", judge, GATED, helpers="def same(): return True\n")
    assert evaluate(model="m").ret == 0
    assert evaluate(model="replay:last").ret == 0
    (place / "helpers.py").write_text("def same(): return False\n")
    assert evaluate(model="replay:last").ret == pytest.ExitCode.TESTS_FAILED


def settings_hash(pytester):
    from pytest_finetune.verdicts.loading import load_eval_sets

    (eval_set,) = load_eval_sets([pytester.path / "eval_sets/one.jsonl"], root=pytester.path)
    return eval_set


READS = """
def judge(case, completion):
    return open('eval_sets/words.json').read() == '1'
"""


def test_an_undeclared_file_of_a_judge_is_a_warning(judged, pytester):
    judged("", READS)
    assert "scorer_files" in " ".join(settings_hash(pytester).warnings)


@pytest.mark.parametrize(
    "code",
    [
        "import json\nfrom pathlib import Path\nDATA = json.loads(Path(__file__).with_name('w.json').read_text())",
        "import json\nread = open\nDATA = json.load(read('w.json'))",
        "from io import open as o\nDATA = o('w.json')",
        "from importlib.resources import files\nDATA = lambda: files('words').joinpath('w.json').read_bytes()",
        "import pkgutil\nDATA = lambda: pkgutil.get_data('words', 'w.json')",
        "import sqlite3\nDATA = lambda: sqlite3.connect('w.db')",
        "from sqlite3 import connect\nDATA = lambda: connect('w.db')",
        "import csv\nDATA = lambda: list(csv.reader(open('w.csv')))",
        "import numpy as np\nDATA = lambda: np.load('w.npy')",
        "import pandas as pd\nDATA = lambda: pd.read_csv('w.csv')",
        "from pandas import read_parquet as words",
        "import urllib.request",
        "from urllib import request",
        "import subprocess",
        "import os\nDATA = os.environ.get('LAX')",
        "DATA = lambda: list(map(open, ['w.json']))",
        "DATA = lambda: __import__('words').DATA",
        "from runpy import run_module",
    ],
)
def test_a_judge_that_reads_outside_data_is_a_warning(tmp_path, code):
    (tmp_path / "judges.py").write_text(code, "utf-8")
    assert LocalModules("judges", [tmp_path]).places_that_read()


@pytest.mark.parametrize(
    "code",
    [
        "import json\nDATA = json.loads('1')",
        "import re\nDATA = re.compile('x').match",
        "from urllib.parse import quote",
    ],
)
def test_a_judge_without_files_is_no_warning(tmp_path, code):
    (tmp_path / "judges.py").write_text(code, "utf-8")
    assert LocalModules("judges", [tmp_path]).places_that_read() == []


def test_a_declared_file_is_part_of_the_settings_hash(judged, pytester):
    place = judged("", READS, 'scorer_files = ["words.json"]\n' + TOML)
    hashes = set()
    for text in ("1", "2"):
        (place / "words.json").write_text(text)
        eval_set = settings_hash(pytester)
        assert not eval_set.warnings
        hashes.add(eval_set.settings_sha256)
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("code", "place"),
    [
        ("import aiohttp", "judges.py:1"),
        ("import json\nfrom openai import OpenAI", "judges.py:2"),
        ("import os\nLAX = os.environ.get('LAX')", "judges.py:2"),
        ("from urllib import request", "judges.py:1"),
        ("import subprocess", "judges.py:1"),
        ("import sqlite3", ""),
        ("import json", ""),
    ],
)
def test_with_declared_files_what_no_file_covers_is_still_a_warning(judged, pytester, code, place):
    folder = judged("", f"{code}\n{READS}", 'scorer_files = ["words.json"]\n' + TOML)
    (folder / "words.json").write_text("1")
    warnings = " ".join(settings_hash(pytester).warnings)
    assert (f"({place})" in warnings) if place else not warnings


def test_a_declared_file_that_is_missing_is_an_error(judged, evaluate):
    judged("", LAX, 'scorer_files = ["words.json"]\n' + TOML)
    result = evaluate()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*words.json cannot be read*"])


MAIN = """
from . import words
import rules.deep
from rules import deep as d

def judge(case, completion):
    return rules.deep.GOOD and d.GOOD and words.GOOD
"""


def test_packages_and_relative_imports_next_to_a_set_work(judged, evaluate, pytester):
    judged("", LAX, 'scorer = "rules.main:judge"\n')
    package = pytester.path / "eval_sets/rules"
    (package / "deep").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "deep/__init__.py").write_text("from ..words import GOOD\n")
    (package / "words.py").write_text("import json\nGOOD = json.loads('true')\n")
    (package / "main.py").write_text(MAIN)
    evaluate().assert_outcomes(passed=1)
