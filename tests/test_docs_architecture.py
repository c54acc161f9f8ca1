"""Everything named in ARCHITECTURE.md exists, every package is described, and its picture shows the checked layers."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src/pytest_finetune"
TEXT = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
PATHS = set(re.findall(r"`([\w.-]+(?:/[\w.-]*)+|\w+\.(?:py|toml|md))`", TEXT))


def exists(path):
    found = [root / path for root in (SOURCE, ROOT) if (root / path).exists()]
    return any(one.is_dir() == path.endswith("/") for one in found)


def test_the_architecture_is_one_page():
    assert len(TEXT.splitlines()) <= 60


def test_every_path_exists():
    assert len(PATHS) > 20
    assert {path for path in PATHS if not exists(path)} == set()


def test_every_package_is_named():
    packages = {f"{path.parent.relative_to(SOURCE)}/" for path in SOURCE.rglob("__init__.py") if path.parent != SOURCE}
    assert packages - PATHS <= {"lifecycle/"}  # by its four packages


def test_every_name_in_a_module_exists():
    named = re.findall(r"`(\w+)`\s+in\s+`([\w/]+\.py)`", TEXT)
    assert len(named) > 5
    for name, path in named:
        assert re.search(rf"^(class |def |){name}\b", (SOURCE / path).read_text("utf-8"), re.MULTILINE), (name, path)


def test_the_picture_shows_the_contracts(capsys):
    runpy.run_path(str(ROOT / "docs/layers_picture.py"), run_name="__main__")
    shown = capsys.readouterr().out
    assert shown == (ROOT / "docs/layers.svg").read_text("utf-8"), "python docs/layers_picture.py > docs/layers.svg"
