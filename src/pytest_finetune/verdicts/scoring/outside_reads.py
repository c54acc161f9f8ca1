"""Finds code that reads files, the environment, other processes or the network, by the names that it uses."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from typing import TypeGuard

_ENVIRONMENT = frozenset(["environ", "getenv"])
# Functions and methods that read files, of pathlib, io, os, importlib.resources, pkgutil, numpy, pickle and their like.
_READS = frozenset(
    [
        "open",
        "fdopen",
        "read_text",
        "read_bytes",
        "read_binary",
        "open_text",
        "open_binary",
        "open_resource",
        "get_data",
        "as_file",
        "load",
        "loadtxt",
        "genfromtxt",
        "fromfile",
        "memmap",
        "load_workbook",
        "load_dataset",
        "getline",
        "iterdir",
        "listdir",
        "scandir",
        "glob",
        "rglob",
        "exec",
        "eval",
        "__import__",
        "import_module",
        "exec_module",
        "run_module",
        "spec_from_file_location",
        "run_path",
        *_ENVIRONMENT,
    ]
)
# Modules that are imported to read files.
_FILE_MODULES = frozenset(["sqlite3", "dbm", "shelve", "fileinput", "linecache", "mmap"])
# Modules that are imported to read what is in no file of the project: the network, database servers, other processes.
_BEYOND_FILES = frozenset(
    (
        *("subprocess", "socket", "urllib.request", "urllib3", "http.client", "requests", "httpx", "aiohttp"),
        *("openai", "anthropic", "boto3", "psycopg", "psycopg2", "pymysql", "sqlalchemy", "redis", "pymongo"),
    )
)


def parsed_source(source: bytes) -> ast.AST:
    """The syntax tree of a source; an empty one if it has a fault."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        # Importing it reports the fault.
        return ast.Module([], [])


def reading_lines(tree: ast.AST, *, beyond_files: bool) -> Iterator[int]:
    """
    Lines that read outside state.

    Args:
        tree: The code.
        beyond_files: Only what no list of files can cover: a network, another process, the environment.
    """
    modules, names = (_BEYOND_FILES, _ENVIRONMENT) if beyond_files else (_FILE_MODULES | _BEYOND_FILES, _READS)
    return (node.lineno for node in ast.walk(tree) if _reads(node, modules, names))


def _reads(node: ast.AST, modules: Container[str], functions: Container[str]) -> TypeGuard[ast.stmt | ast.expr]:
    def is_module(name: str) -> bool:
        return name in modules or name.partition(".")[0] in modules

    def is_function(name: str) -> bool:
        # `read_csv`, `read_parquet` and their like read files.
        return name in functions or (functions is _READS and name.startswith("read_"))

    match node:
        case ast.Import():
            return any(is_module(alias.name) for alias in node.names)
        case ast.ImportFrom():
            names = {alias.name for alias in node.names}
            full_names = (f"{node.module}.{name}" for name in names)
            return any(map(is_module, (str(node.module), *full_names))) or any(map(is_function, names))
        case ast.Attribute():
            return is_function(node.attr)
        case ast.Name(ctx=ast.Load()):
            return is_function(node.id)
    return False
