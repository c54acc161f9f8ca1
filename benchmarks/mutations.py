"""
Small faults to plant in a module, one at a time, for `mutants.py`.

A fault changes what a line computes: a comparison, a condition, a constant, a statement that is left out. Annotations,
docstrings, imports, decorators of classes and the texts of messages stay as they are.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
_CALLS = {"any": "all", "all": "any", "min": "max", "max": "min", "bisect_left": "bisect_right"}
_CALLS |= {"bisect_right": "bisect_left", "sorted": "list"}
_UNTOUCHED = (ast.Import, ast.ImportFrom, ast.Raise, ast.JoinedStr, ast.Assert, ast.Global, ast.Nonlocal)


@dataclass(frozen=True, slots=True)
class Mutation:
    """
    One fault.

    Args:
        line: Where it is in the file, from 1.
        function: First line of the outermost function that holds it; 0 if it takes effect at import.
        before: The expression or statement as it is.
        after: What takes its place.
        parent: The node whose `field` is changed, at `index` if it is a list.
    """

    line: int
    function: int
    before: ast.AST
    after: ast.AST
    parent: ast.AST
    field: str
    index: int | None

    def __str__(self) -> str:
        before, after = _one_line(self.before), _one_line(self.after)
        same = next((place for place, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), 0)
        start = max(0, same - 40)
        return f"{before[start : start + 80]}  ->  {after[start : start + 80]}"


class MutatedModule:
    """The faults that can be planted in one module, in the order of its lines."""

    def __init__(self, source: str, filename: str) -> None:
        self._tree = ast.parse(source, filename)
        self._filename = filename
        self.mutations = sorted(_mutations(self._tree, 0), key=lambda one: one.line)
        spans = [(_first_line(node), node.end_lineno or 0) for node in _functions(self._tree)]
        self._owners = {line: first for first, last in spans for line in range(first, last + 1)}

    def function_at(self, line: int) -> int:
        """First line of the outermost function around a line; 0 if there is none."""
        return self._owners.get(line, 0)

    def compiled(self, mutation: Mutation) -> CodeType:
        """The module's code with one fault in it."""
        _replace(mutation, mutation.after)
        try:
            return compile(self._tree, self._filename, "exec", dont_inherit=True)
        finally:
            _replace(mutation, mutation.before)


def _replace(mutation: Mutation, node: ast.AST) -> None:
    if mutation.index is None:
        setattr(mutation.parent, mutation.field, node)
    else:
        getattr(mutation.parent, mutation.field)[mutation.index] = node


def _mutations(node: ast.AST, function: int) -> Iterator[Mutation]:
    for field, index, child in _children(node):
        inside = function
        if not function and _is_function(node) and field == "body":
            inside = _first_line(node)
        for after in _alternatives(child):
            line = getattr(child, "lineno", getattr(node, "lineno", 0))
            ast.fix_missing_locations(ast.copy_location(after, child if hasattr(child, "lineno") else node))
            yield Mutation(line, inside, child, after, node, field, index)
        yield from _mutations(child, inside)


def _children(node: ast.AST) -> Iterator[tuple[str, int | None, ast.AST]]:
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST) and not _is_untouched(node, child):
                yield field, index, child


def _is_untouched(node: ast.AST, child: ast.AST) -> bool:
    if isinstance(child, _UNTOUCHED):
        return not isinstance(child, (ast.Raise, ast.JoinedStr)) or isinstance(node, ast.Raise)
    if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
        return True
    if isinstance(child, ast.ClassDef) and any(ast.unparse(base) == "Protocol" for base in child.bases):
        return True
    if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
        return True  # a docstring, or `...`
    if isinstance(child, (ast.Assign, ast.AnnAssign)):
        return _is_about_types(child)
    return isinstance(node, ast.Raise) or (isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant))


def _is_about_types(node: ast.Assign | ast.AnnAssign) -> bool:
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    value = ast.unparse(node.value) if node.value else ""
    return ast.unparse(target).startswith("__") or value.startswith(("Literal[", "TypeVar(", "Callable["))


def _alternatives(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(left, ops, right):
            for place, op in enumerate(ops):
                changed = [*ops[:place], _COMPARISONS[type(op)](), *ops[place + 1 :]]
                yield ast.Compare(left, changed, right)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield operand
        case ast.BinOp(left, op, right) if type(op) in _OPERATORS:
            yield ast.BinOp(left, _OPERATORS[type(op)](), right)
        case ast.Constant(value):
            yield from _other_constants(value)
        case ast.Call():
            yield from _other_calls(node)
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(_negated(test), body, orelse)
        case ast.comprehension(target, iterable, [test], is_async):
            yield ast.comprehension(target, iterable, [_negated(test)], is_async)
        case _:
            yield from _other_statements(node)


def _other_constants(value: object) -> Iterator[ast.AST]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, (int, float)):
        yield ast.Constant(value + 1)
    elif isinstance(value, str):
        yield ast.Constant(f"XX{value}")


def _other_calls(node: ast.Call) -> Iterator[ast.AST]:
    if isinstance(node.func, ast.Name) and node.func.id in _CALLS:
        yield ast.Call(ast.Name(_CALLS[node.func.id], ast.Load()), node.args, node.keywords)
    for place, keyword in enumerate(node.keywords):
        if keyword.arg is not None:
            yield ast.Call(node.func, node.args, node.keywords[:place] + node.keywords[place + 1 :])


def _other_statements(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.If(test, body, orelse):
            yield ast.If(_negated(test), body, orelse)
        case ast.Return(value) if value is not None and ast.unparse(value) not in ("None", "''", "False", "()", "[]"):
            yield ast.Return(_none_instead_of(value))
        case ast.AugAssign(target, op, value) if type(op) in _OPERATORS:
            yield ast.AugAssign(target, _OPERATORS[type(op)](), value)
        case ast.Expr(ast.Call(ast.Attribute(ast.Call(ast.Name("super"))))):
            # The name keeps the function's closure, without which no other code can take the place of its own.
            yield ast.Expr(ast.Name("__class__", ast.Load()))
        case ast.Expr(ast.Call()) | ast.Raise() | ast.Delete():
            yield ast.Pass()
        case ast.Continue():
            yield ast.Break()
        case ast.Break():
            yield ast.Continue()


def _none_instead_of(value: ast.expr) -> ast.expr:
    # Without `super`, the name keeps the function's closure, as above.
    uses_super = any(isinstance(node, ast.Name) and node.id == "super" for node in ast.walk(value))
    nothing = ast.Constant(None)
    return ast.BoolOp(ast.And(), [ast.Name("__class__", ast.Load()), nothing]) if uses_super else nothing


def _negated(test: ast.expr) -> ast.expr:
    return (
        test.operand if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) else ast.UnaryOp(ast.Not(), test)
    )


def _functions(node: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda]:
    """The outermost functions, methods and lambdas."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield child
        else:
            yield from _functions(child)


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))


def _first_line(node: ast.AST) -> int:
    """As in the function's code object, which begins with its decorators."""
    decorators = getattr(node, "decorator_list", [])
    return int(getattr(decorators[0] if decorators else node, "lineno", 0))


def _one_line(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split()) or type(node).__name__
