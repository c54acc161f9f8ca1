"""What the package index and the source distribution show and contain."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PAGES = "https://github.com/pytest-finetune/pytest-finetune/blob/main/"
FILES = "https://raw.githubusercontent.com/pytest-finetune/pytest-finetune/main/"


def shown_readme() -> str:
    """README.md as the build makes it for the index."""
    text = (ROOT / "README.md").read_text("utf-8")
    for each in PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(each["pattern"], each["replacement"], text)
    return text


def test_on_the_index_every_link_and_picture_is_absolute_and_has_a_target() -> None:
    text = re.sub(r"^```.*?^```$", "", shown_readme(), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)]+)\)", text) + re.findall(r'(?:src|srcset)="([^"]+)"', text)
    assert len(links) > 20
    assert [link for link in links if "://" not in link and not link.startswith("#")] == []
    own = [
        link.removeprefix(PAGES).removeprefix(FILES).partition("#")[0] for link in links if "pytest-finetune/" in link
    ]
    assert [path for path in own if not (ROOT / path).exists()] == []
    pictures = [link for link in links if link.endswith((".png", ".svg"))]
    assert pictures
    assert all(link.startswith(FILES) for link in pictures)


def test_the_extra_all_has_every_other_extra() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    named = re.fullmatch(r"pytest-finetune\[(.*)\]", everything)
    assert named is not None
    assert set(named[1].split(",")) == extras.keys() - {"all"}


@pytest.mark.slow
def test_the_demo_without_its_models_says_how_to_train_them(tmp_path: Path) -> None:
    script = tmp_path / "story.sh"
    script.write_text((ROOT / "demo" / "story.sh").read_text("utf-8"), "utf-8")
    ran = subprocess.run(["bash", str(script)], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "make demo-train" in ran.stderr


def required_by(names: list[str], found: set[str]) -> set[str]:
    """The names of packages and of all that they require, as they are installed here."""
    for text in names:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        if name not in found and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            found.add(name)
            required_by(distribution(name).requires or [], found)
    return found


def test_a_plain_install_is_small() -> None:
    """At most 40 packages and 75 MB, without the byte code that pip compiles."""
    packages = required_by(PROJECT["project"]["dependencies"], set())
    assert {"pytest", "openai", "anyio"} <= packages
    assert len(packages) + 1 <= 40
    own = sum(path.stat().st_size for path in (ROOT / "src").rglob("*") if path.is_file() and path.suffix != ".pyc")
    files = [path for name in packages for path in distribution(name).files or () if path.suffix != ".pyc"]
    assert own + sum(path.size or 0 for path in files) < 75_000_000
