"""A judge next to an eval set: which files it consists of, when it is another one, and what importing it means."""

from __future__ import annotations

import json
import os
import sys

import pytest

from pytest_finetune.verdicts.scoring.local_modules import LocalModules

PACKAGE = {
    "judges.py": "import rules.deep\nfrom rules import words as w\nGOOD = rules.deep.GOOD and w.GOOD",
    "rules/__init__.py": "",
    "rules/deep/__init__.py": "from ..only import GOOD",
    "rules/words.py": "from . import marks\nGOOD = marks.GOOD",
    "rules/marks.py": "GOOD = True",
    "rules/only.py": "GOOD = True",
    "unused.py": "",
}


@pytest.fixture
def local(tmp_path):
    """Local modules with these files, by path below a folder."""

    def write(files, name="judges", folder="set"):
        for path, source in files.items():
            (tmp_path / folder / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / path).write_text(source, "utf-8")
        return LocalModules(name, [tmp_path / folder])

    return write


def names(modules):
    """The files of some modules, relative to their folder and in their order."""
    (folder,) = {path for source in modules.sources for path in source.parents if path.name == "set"}
    return [path.relative_to(folder).as_posix() for path in modules.sources]


def test_a_judge_consists_of_all_the_local_files_that_it_imports(local):
    modules = local(PACKAGE)
    assert names(modules) == [
        "judges.py",
        "rules/__init__.py",
        "rules/deep/__init__.py",
        "rules/marks.py",
        "rules/only.py",
        "rules/words.py",
    ]
    assert modules.load().GOOD is True


def test_imports_in_functions_count_and_those_of_other_code_do_not(local):
    judge = "import json, a\ndef judge(case, completion):\n    import b.c\n    from nowhere import x"
    modules = local({"judges.py": judge, "a.py": "", "b/c.py": "", "c.py": "", "json.py": "", "nowhere.txt": ""})
    assert names(modules) == ["a.py", "b/c.py", "judges.py"]


def test_a_package_is_imported_with_the_packages_above_it(local):
    modules = local({"a/__init__.py": "X = 1", "a/b/__init__.py": "", "a/b/c/__init__.py": "Y = 2"}, "a.b.c")
    assert names(modules) == ["a/__init__.py", "a/b/__init__.py", "a/b/c/__init__.py"]
    assert modules.load().Y == 2


@pytest.mark.parametrize("name", ["missing", "json", "a-b", "rules.a-b", "rules..words", ""])
def test_what_is_not_a_local_module_has_no_files(local, name):
    files = {"json.py": "", "a-b.py": "", "rules/a-b.py": "", "rules/words.py": "", "__init__.py": ""}
    assert local(files, name).sources == {}


def test_the_first_folder_that_has_a_module_is_taken(local, tmp_path):
    local({"judges.py": "from helpers import X"})
    local({"judges.py": "X = 1", "helpers.py": "X = 2"}, folder="above")
    modules = LocalModules("judges", [tmp_path / "set", tmp_path / "above"])
    assert modules.load().X == 2
    assert [path.parent.name for path in modules.sources] == ["above", "set"]


def test_a_judge_is_another_one_if_any_of_its_files_changes_or_moves(local):
    files = {"judges.py": "import a, b", "a.py": "X = 1", "b.py": "X = 2"}
    first = local(files).fingerprint
    assert local(files, folder="elsewhere").fingerprint == first
    assert local({**files, "a.py": "X = 2", "b.py": "X = 1"}, folder="swapped").fingerprint != first
    assert local({**files, "judges.py": "import a, b  "}, folder="spaced").fingerprint != first
    moved = {"judges.py": "import a, b", "a/__init__.py": "X = 1", "b.py": "X = 2"}
    assert local(moved, folder="moved").fingerprint != first


def test_a_judge_is_executed_again_only_if_it_changed(local):
    files = {"judges.py": "from helpers import X", "helpers.py": "X = []"}
    first = local(files).load()
    assert local(files).load() is first
    assert local(files, folder="copy").load().X is not first.X
    assert local({"helpers.py": "X = [1]"}).load().X == [1]
    assert local(files).load() is first


def test_a_helper_written_within_the_resolution_of_the_clock_is_found(local, tmp_path):
    local({"judges.py": "X = 1"}).load()
    before = (tmp_path / "set").stat()
    changed = local({"judges.py": "from helpers import X", "helpers.py": "X = 2"})
    os.utime(tmp_path / "set", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert changed.load().X == 2


def test_names_are_imported_as_python_imports_them(local):
    modules = local(
        {
            "judges.py": "import rules.words\nfrom rules import mark, words as w\nH = __import__('rules')\n"
            "from json import dumps\n",
            "rules/__init__.py": "mark = 'of the package'",
            "rules/mark.py": "",
            "rules/words.py": "import json, os.path as p\nWORD = json.loads('1')",
        }
    )
    loaded = modules.load()
    assert (loaded.mark, loaded.w.WORD, loaded.w.p, loaded.dumps) == ("of the package", 1, os.path, json.dumps)
    assert loaded.rules.words is loaded.w
    assert loaded.H is loaded.rules


def test_a_judge_leaves_no_public_name_behind(local):
    before = (set(sys.modules), list(sys.path))
    local({"judges.py": "import helpers_of_this_judge", "helpers_of_this_judge.py": ""}).load()
    assert all(name.startswith("_finetune_judges_") for name in set(sys.modules) - before[0])
    assert sys.path == before[1]


def test_no_other_finder_gets_a_judge_to_change_it(local, monkeypatch):
    """As pytest's would, to rewrite its assertions; and tools that reset the list of finders take ours out."""
    asked = []

    class Other:
        @staticmethod
        def find_spec(name, path=None, target=None):
            asked.append(name)

    local({"judges.py": "X = 1"}, folder="earlier").load()
    others = [finder for finder in sys.meta_path if type(finder).__module__ != LocalModules.__module__]
    monkeypatch.setattr(sys, "meta_path", [Other, *others])
    assert local({"judges.py": "import helpers", "helpers.py": ""}).load()
    assert local({"judges.py": "import a", "a.py": ""}, folder="later").load()
    assert [name for name in asked if name.startswith("_finetune_judges_")] == []
    assert len(sys.meta_path) == len(others) + 2


@pytest.mark.parametrize(
    ("source", "error", "problem"),
    [
        ("from helpers import missing", ImportError, "cannot import name 'missing'"),
        ("import no_such_module_anywhere", ModuleNotFoundError, "no_such_module_anywhere"),
        ("def (", SyntaxError, "invalid syntax"),
        ("X = '\0'", (SyntaxError, ValueError), "null bytes"),
    ],
)
def test_a_judge_that_cannot_be_imported_raises_what_python_raises(local, source, error, problem):
    modules = local({"judges.py": source, "helpers.py": ""})
    assert modules.places_that_read() == []
    with pytest.raises(error, match=problem):
        modules.load()


def test_places_that_read_are_listed_by_file_and_line(local):
    modules = local(
        {
            "judges.py": "import json, sqlite3\n\nimport z\nimport a\n",
            "a.py": "from os import path, environ\nfrom . import b\n",
            "b.py": "from urllib.request import urlopen\nimport requests.sessions\nX = [].copy\nfrom os import path\n",
            "z.py": "def f(p):\n    return p.read_text()\n",
        }
    )
    assert modules.places_that_read() == ["a.py:1", "b.py:1", "b.py:2", "judges.py:1", "z.py:2"]
