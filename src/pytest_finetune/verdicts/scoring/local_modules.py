"""
The user's modules next to an eval set: imported by path under a private name, and hashed with all they import.

Two folders may each have a `judges.py`, and neither can take the place of the other or of a module that the user's
tests import: `sys.modules` gets private names only, and `sys.path` does not change.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import importlib.util
import sys
from functools import cached_property
from hashlib import sha256
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_finetune.verdicts.scoring.outside_reads import parsed_source, reading_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import CodeType, ModuleType

_PREFIX = "_finetune_judges_"
_NEVER_LOCAL = sys.stdlib_module_names | {"pytest_finetune"}


class LocalModules:
    """
    A module that is found in one of some folders, and the local modules that it imports.

    Args:
        name: Name of the module, `package.module`.
        folders: Searched for local modules in this order.
    """

    def __init__(self, name: str, folders: Sequence[Path]) -> None:
        self.name = name
        self._folders = [str(folder) for folder in folders]

    @cached_property
    def sources(self) -> Mapping[Path, bytes]:
        """Every file of the module and of the local modules that its code imports anywhere, in the order of paths."""
        found: dict[Path, bytes] = {}
        waiting = list(self._files(self.name))
        while waiting:
            path = waiting.pop()
            if path not in found:
                found[path] = path.read_bytes()
                waiting += self._imported_files(path, found[path])
        return dict(sorted(found.items()))

    @property
    def fingerprint(self) -> str:
        """Hash of all sources and of where they are relative to each other."""
        digest = sha256()
        for path, source in self.sources.items():
            folder = next(folder for folder in self._folders if path.is_relative_to(folder))
            digest.update(f"{path.relative_to(folder).as_posix()}\n{len(source)}\n".encode() + source)
        return digest.hexdigest()

    def places_that_read(self, *, beyond_files: bool = False) -> list[str]:
        """
        `FILE:LINE` of code that reads files or other outside state, which the fingerprint does not cover.

        Found by name, also where a function is renamed on import or passed on; code that hides a name is not.

        Args:
            beyond_files: Only what no list of files can cover: a network, another process, the environment.
        """
        return [
            f"{path.name}:{line}"
            for path, source in self.sources.items()
            for line in reading_lines(parsed_source(source), beyond_files=beyond_files)
        ]

    def load(self) -> ModuleType:
        """
        Import the module; it is executed again only if its sources have changed.

        Raises:
            BaseException: Whatever the user's code raises.
        """
        package = _PREFIX + sha256(repr((self._folders, self.fingerprint)).encode()).hexdigest()
        if package not in sys.modules:
            importlib.invalidate_caches()
            spec = ModuleSpec(package, None)
            spec.submodule_search_locations = self._folders
            sys.modules[package] = importlib.util.module_from_spec(spec)
            _finder.importers[package] = self._importer(package)
        return _import(f"{package}.{self.name}")

    def _importer(self, package: str) -> Callable[..., Any]:
        """`__import__` for the local modules: it finds other local ones in the private package."""

        def import_(
            name: str,
            globals: Mapping[str, object] | None = None,  # noqa: A002 - the names of `builtins.__import__`
            locals: Mapping[str, object] | None = None,  # noqa: A002
            fromlist: Sequence[str] = (),
            level: int = 0,
        ) -> Any:
            if level or not any(self._files(name)):
                return builtins.__import__(name, globals, locals, fromlist, level)
            leaf = _import(f"{package}.{name}")
            if not fromlist:
                return sys.modules[f"{package}.{name.partition('.')[0]}"]
            for each in fromlist:
                if not hasattr(leaf, each) and any(self._files(f"{name}.{each}")):
                    _import(f"{package}.{name}.{each}")
            return leaf

        return import_

    def _files(self, name: str) -> Iterator[Path]:
        """The source files that importing a name executes; none where it is not local."""
        parts = name.split(".")
        if parts[0] in _NEVER_LOCAL or not all(part.isidentifier() for part in parts):
            return
        for folder in map(Path, self._folders):
            module = folder.joinpath(*parts)
            leaf = next((f for f in (module.with_suffix(".py"), module / "__init__.py") if f.is_file()), None)
            if leaf is not None:
                packages = (folder.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts)))
                yield from (path for path in packages if path.is_file())
                yield leaf
                return

    def _imported_files(self, path: Path, source: bytes) -> Iterator[Path]:
        folder = next(Path(folder) for folder in self._folders if path.is_relative_to(folder))
        package = path.relative_to(folder).parent.parts
        for node in ast.walk(parsed_source(source)):
            for name in _imports(node, package):
                yield from self._files(name)


class _Loader(SourceFileLoader):
    """Compiles the source as it is now, without byte code that may be stale, and with an `__import__` of its own."""

    def __init__(self, name: str, path: str, importer: Callable[..., Any]) -> None:
        super().__init__(name, path)
        self._importer = importer

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": self._importer}
        super().exec_module(module)


class _Finder:
    """Finds the modules below private packages."""

    def __init__(self) -> None:
        self.importers: dict[str, Callable[..., Any]] = {}

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        importer = self.importers.get(name.partition(".")[0])
        spec = None if importer is None else PathFinder.find_spec(name, path, target)
        if importer is not None and spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(name, spec.loader.path, importer)
        return spec


_finder = _Finder()


def _import(name: str) -> ModuleType:
    if _finder not in sys.meta_path:
        # Before pytest's own finder, which would rewrite the asserts of a judge; some tools reset the list.
        sys.meta_path.insert(0, _finder)
    return importlib.import_module(name)


def _imports(node: ast.AST, package: Sequence[str]) -> Iterable[str]:
    """The absolute names that an import statement may import."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    above = package[: len(package) - node.level + 1] if node.level else ()
    base = ".".join([*above, *([node.module] if node.module else [])])
    return [name for name in (base, *(f"{base}.{alias.name}".lstrip(".") for alias in node.names)) if name]
