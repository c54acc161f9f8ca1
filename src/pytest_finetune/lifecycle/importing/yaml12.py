"""YAML as the tools that write it read it: YAML 1.2, where `no` and `1:30` are text. PyYAML reads YAML 1.1."""

from __future__ import annotations

import re
from typing import Any

import yaml

# A few lines of aliases to aliases stand for more values than a machine can hold.
_MOST_VALUES = 1_000_000


class _Loader(yaml.SafeLoader):
    """The core schema of YAML 1.2. All keys are text, none is repeated, and dates stay as they are written."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - as PyYAML has it

    def read(self) -> Any:  # noqa: ANN401 - any YAML value
        """The value of the one document."""
        node = self.get_single_node()
        if node is None:
            return None
        if _size(node, {}) > _MOST_VALUES:
            raise _fault(f"its aliases stand for more than {_MOST_VALUES:,} values", node)
        return self.construct_document(node)


def load_yaml(text: str) -> Any:  # noqa: ANN401 - any YAML value
    """
    The value of a document.

    Raises:
        yaml.YAMLError: It is not YAML, repeats a key, contains itself, or has values that JSON does not have.
        RecursionError: It is nested too deeply.
    """
    loader = _Loader(text)
    try:
        return loader.read()
    finally:
        loader.dispose()


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """The number of values that a node stands for, with each alias counted as what it stands for."""
    if id(node) in known:
        if not known[id(node)]:
            raise _fault("an alias refers to a node that contains it", node)
        return known[id(node)]
    known[id(node)] = 0
    parts = node.value if isinstance(node, yaml.CollectionNode) else []
    each = [part for pair in parts for part in (pair if isinstance(pair, tuple) else (pair,))]
    known[id(node)] = 1 + sum(_size(part, known) for part in each)
    return known[id(node)]


def _fault(problem: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    own: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key.value, str):
            raise _fault("a key is not text", key)
        if key.value in own:
            raise _fault(f"the key {key.value!r} is repeated", key)
        own.add(key.value)
    # Merged keys come first, so that the mapping's own ones win.
    loader.flatten_mapping(node)
    return {key.value: loader.construct_object(value, deep=True) for key, value in node.value}


def _list(loader: _Loader, node: yaml.SequenceNode) -> list[Any]:
    return [loader.construct_object(each, deep=True) for each in node.value]


def _integer(_: _Loader, node: yaml.ScalarNode) -> int:
    text = str(node.value)
    try:
        return int(text, {"0x": 16, "0o": 8}.get(text[:2], 10))
    except ValueError:
        # Python limits how many digits it converts, as the time grows with their square.
        raise _fault("a number has too many digits", node) from None


def _unknown(_: _Loader, node: yaml.Node) -> Any:  # noqa: ANN401 - never returns
    raise _fault(f"JSON has no value for the tag {node.tag}", node)


_TAG = "tag:yaml.org,2002:"
for _name, _pattern, _first in (
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", "[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("null", "~|null|Null|NULL|", "~nN\0"),
    ("merge", "<<", "<"),
):
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(f"(?:{_pattern})\\Z"), [*_first.replace("\0", ""), ""])
_Loader.yaml_constructors = {
    **{_TAG + name: yaml.SafeLoader.yaml_constructors[_TAG + name] for name in ("null", "bool", "float", "str")},
    _TAG + "int": _integer,
    _TAG + "seq": _list,
    _TAG + "map": _mapping,
    None: _unknown,
}
