"""Python values and functions as the text of a program that imports NumPy alone."""

from __future__ import annotations

import ast
import base64
import inspect
import math
import re
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import Array, dtype
from ..op import Row

_READABLE = 64  # elements that are written as numbers; more of them only as what they are


def literal(value: Any, hoist: Callable[[Array], str]) -> str:
    """A parameter or number as Python writes it; arrays get the name that ``hoist`` gives them."""
    if isinstance(value, np.ndarray):
        return hoist(value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (bool, str)) or value is None or value is Ellipsis:
        return "..." if value is Ellipsis else repr(value)
    if isinstance(value, int):
        return repr(value) if value >= 0 else f"({value})"
    if isinstance(value, float):
        if not math.isfinite(value):
            return "np.nan" if value != value else "np.inf" if value > 0 else "(-np.inf)"
        return repr(value) if math.copysign(1, value) > 0 else f"({value!r})"
    if isinstance(value, complex):
        return f"complex({literal(value.real, hoist)}, {literal(value.imag, hoist)})"
    if isinstance(value, slice):
        parts = ", ".join(literal(v, hoist) for v in (value.start, value.stop, value.step))
        return f"slice({parts})"
    if isinstance(value, (tuple, list)):
        inner = ", ".join(bare(literal(v, hoist)) for v in value)
        if isinstance(value, list):
            return f"[{inner}]"
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {literal(v, hoist)}" for k, v in value.items()) + "}"
    if isinstance(value, range):
        return repr(value)
    if isinstance(value, dtype):
        value = value.numpy
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return f"np.{np.dtype(value).name}"
    row = getattr(value, "row", None)
    if isinstance(row, Row) and isinstance(row.numpy, str):  # a view op on the way of a write through views
        fields = {name: name for name in (*row.operands, *row.params)}
        if "index" in fields:  # with an ellipsis even a single element is a view, into which one can write
            fields["index"] = "index if ... in index else (*index, ...)"
        return f"(lambda {row.operands[0]}, {', '.join(row.params)}: {row.numpy.format(**fields)})".replace(", :", ":")
    raise TypeError(f"there is no way to write {type(value).__name__} as Python: {value!r:.60}")


def bare(text: str) -> str:
    """A number without the parentheses that only an operator needs."""
    return text[1:-1] if re.fullmatch(r"\(-[\w.+-]+\)", text) else text


def index_literal(index: tuple[Any, ...], hoist: Callable[[Array], str]) -> str:
    """An index as it stands between brackets: ``:, 1:3``."""

    def one(item: Any) -> str:
        if isinstance(item, slice):
            parts = ["" if v is None else bare(literal(v, hoist)) for v in (item.start, item.stop, item.step)]
            return ":".join(parts if parts[2] else parts[:2])
        return bare(literal(item, hoist))

    return (
        ", ".join(map(one, index)) + ("," if len(index) == 1 and not isinstance(index[0], (int, slice)) else "") or "()"
    )


def array_literal(array: Array) -> str:
    """An array to the last bit: as numbers where they are few, else as the bytes they are."""
    name = f"np.{array.dtype.name}"
    if array.size <= _READABLE and array.size:

        def numbers(value: Any) -> str:
            if isinstance(value, list):
                return f"[{', '.join(map(numbers, value))}]"
            return bare(literal(value, repr))

        return f"np.array({numbers(array.tolist())}, dtype={name})"
    if not array.size:
        return f"np.empty({array.shape}, dtype={name})"
    text = "\n".join(textwrap.wrap(base64.b64encode(np.ascontiguousarray(array).tobytes()).decode(), 116))
    return f'np.frombuffer(base64.b64decode("""\n{text}\n"""), dtype={name}).reshape({array.shape})'


def functions_of(function: Any, found: dict[str, str], title: str = "") -> str:
    """Add the source of a function, and first of the helpers that it calls, to ``found``; return its name."""
    name = title if function.__name__ == "<lambda>" else str(function.__name__)
    if name in found:
        return name
    tree = definition(function, name)
    tree.decorator_list, tree.returns = [], None
    for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        value = ast.parse(_global(name, variable, cell.cell_contents, found), mode="eval").body
        tree = _Replaced(variable, value).visit(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
    tree.body = [_without_annotation(node) for node in tree.body]
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for other in sorted(used & function.__globals__.keys()):
        value = function.__globals__[other]
        if isinstance(value, (int, float, str, tuple)):
            found[other] = f"{other} = {literal(value, repr)}"
        elif value is not np and other != name:
            _global(name, other, value, found)
    found[name] = ast.unparse(ast.fix_missing_locations(tree))
    return name


def definition(function: Any, name: str) -> ast.FunctionDef:
    """The syntax tree of a function; that of a lambda as if it had been a ``def``."""
    if function.__name__ != "<lambda>":
        tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
        assert isinstance(tree, ast.FunctionDef)
        return tree
    made = ast.parse(f"def {name}(): return 0").body[0]
    assert isinstance(made, ast.FunctionDef)
    node, _ = lambda_of(function)
    made.args, made.body = node.args, [ast.Return(node.body)]
    return ast.fix_missing_locations(made)


def lambda_of(function: Any) -> tuple[ast.Lambda, str]:
    """The syntax tree of a lambda and its text: among those of its line, the one that compiles to the same code."""
    text, code = "".join(inspect.findsource(function)[0]), function.__code__
    found = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Lambda) and n.lineno == code.co_firstlineno]
    for node in found:
        compiled = compile(ast.Expression(node), "", "eval").co_consts[0]
        parts = ("co_names", "co_varnames", "co_code", "co_consts")
        if all(getattr(compiled, part) == getattr(code, part) for part in parts):
            return node, ast.get_source_segment(text, node) or ""
    alike = [
        n
        for n in found
        if [a.arg for a in ast.walk(n.args) if isinstance(a, ast.arg)] == [*inspect.signature(function).parameters]
    ]
    if not alike:
        raise TypeError(f"the source of the lambda at {code.co_filename}:{code.co_firstlineno} is not at hand")
    return alike[0], ast.get_source_segment(
        text, alike[0]
    ) or ""  # one that uses variables around it compiles otherwise


class _Replaced(ast.NodeTransformer):
    """Puts its value in the place of a variable."""

    def __init__(self, name: str, value: ast.expr) -> None:
        self.name, self.value = name, value

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.value if node.id == self.name else node


def _global(name: str, other: str, value: Any, found: dict[str, str]) -> str:
    """Make what a definition uses from around it part of the program; return how to write it."""
    if inspect.isfunction(value) and not hasattr(value, "row"):
        return functions_of(value, found, other)
    numpy_name = getattr(value, "__name__", "")
    if callable(value) and getattr(np, numpy_name, None) is value:
        return f"np.{numpy_name}"
    if inspect.ismodule(value) and value.__name__ == "math":
        found[other] = "import math"
        return other
    if isinstance(value, (int, float, str, tuple)) or value is None:
        return literal(value, repr)
    raise TypeError(f"the NumPy definition {name} uses {other}, which is not NumPy's")


def _without_annotation(node: ast.stmt) -> ast.stmt:
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return ast.copy_location(ast.Assign([node.target], node.value, lineno=node.lineno), node)
    return node


def unused_parameters(function: Any) -> set[str]:
    """The parameters of a function that it never reads."""
    tree = definition(function, "f")
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return set(inspect.signature(function).parameters) - read
