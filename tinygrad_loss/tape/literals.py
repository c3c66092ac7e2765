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
        inner = ", ".join(_bare(literal(v, hoist)) for v in value)
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
        return f"(lambda {row.operands[0]}, {', '.join(row.params)}: {row.numpy.format(**fields)})".replace(", :", ":")
    raise TypeError(f"there is no way to write {type(value).__name__} as Python: {value!r:.60}")


def _bare(text: str) -> str:
    """A number without the parentheses that only an operator needs."""
    return text[1:-1] if re.fullmatch(r"\(-[\w.+-]+\)", text) else text


def index_literal(index: tuple[Any, ...], hoist: Callable[[Array], str]) -> str:
    """An index as it stands between brackets: ``:, 1:3``."""

    def one(item: Any) -> str:
        if isinstance(item, slice):
            parts = ["" if v is None else _bare(literal(v, hoist)) for v in (item.start, item.stop, item.step)]
            return ":".join(parts if parts[2] else parts[:2])
        return _bare(literal(item, hoist))

    return ", ".join(map(one, index)) + ("," if len(index) == 1 and not isinstance(index[0], (int, slice)) else "") or "()"


def array_literal(array: Array) -> str:
    """An array to the last bit: as numbers where they are few, else as the bytes they are."""
    name = f"np.{array.dtype.name}"
    if array.size <= _READABLE and array.size:

        def numbers(value: Any) -> str:
            if isinstance(value, list):
                return f"[{', '.join(map(numbers, value))}]"
            return _bare(literal(value, repr))

        return f"np.array({numbers(array.tolist())}, dtype={name})"
    if not array.size:
        return f"np.empty({array.shape}, dtype={name})"
    text = "\n".join(textwrap.wrap(base64.b64encode(np.ascontiguousarray(array).tobytes()).decode(), 116))
    return f'np.frombuffer(base64.b64decode("""\n{text}\n"""), dtype={name}).reshape({array.shape})'


def functions_of(function: Any, found: dict[str, str]) -> str:
    """Add the source of a function, and first of the helpers that it calls, to ``found``; return its name."""
    name = str(function.__name__)
    if name in found:
        return name
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    if not isinstance(tree, ast.FunctionDef):
        raise TypeError(f"the NumPy definition {name} must be a `def`, whose source can be written out")
    if function.__closure__:
        raise TypeError(f"the NumPy definition {name} uses variables of the function around it, {function.__code__.co_freevars}")
    tree.decorator_list, tree.returns = [], None
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
    tree.body = [_without_annotation(node) for node in tree.body]
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for other in sorted(used & function.__globals__.keys()):
        value = function.__globals__[other]
        if value is np or other == name:
            continue
        if inspect.isfunction(value) and not hasattr(value, "row"):
            functions_of(value, found)
        elif isinstance(value, (int, float, str, tuple)) and not isinstance(value, type):
            found[other] = f"{other} = {literal(value, repr)}"
        elif inspect.ismodule(value) and value.__name__ == "math":
            found[other] = "import math"
        else:
            raise TypeError(f"the NumPy definition {name} uses {other}, which is not NumPy's")
    found[name] = ast.unparse(tree)
    return name


def _without_annotation(node: ast.stmt) -> ast.stmt:
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return ast.copy_location(ast.Assign([node.target], node.value, lineno=node.lineno), node)
    return node
