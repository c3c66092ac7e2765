"""Universal functions: ``np.exp(t)``, ``array * t``, ``np.add.reduce(t)``, ``out=``."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..op import TensorBase, edge_of
from .convert import common, no_op, number, only_defaults, tensor

# The methods of Tensor that do what the ufuncs of the same name do,
_SAME = """
    add positive exp exp2 expm1 log log2 log10 log1p sqrt square reciprocal sin cos tan sinh cosh tanh floor ceil trunc
    sign isnan isinf isfinite logaddexp maximum minimum matmul fmod floor_divide remainder logical_and logical_or
    logical_xor logical_not bitwise_and bitwise_or bitwise_xor
"""
# and those under another name.
_METHODS = {name: name for name in _SAME.split()} | {
    "subtract": "sub", "multiply": "mul", "divide": "div", "negative": "neg", "power": "pow", "float_power": "pow",
    "absolute": "abs", "fabs": "abs", "equal": "eq", "not_equal": "ne", "less": "lt", "less_equal": "le",
    "greater": "gt", "greater_equal": "ge", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2",
    "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh", "rint": "round", "invert": "bitwise_not",
    "left_shift": "bitwise_left_shift", "right_shift": "bitwise_right_shift",
}  # fmt: skip
# A second operand that is a Python number stays one: a power then knows that its exponent needs no gradient.
_TAKE_NUMBERS = {
    "add",
    "sub",
    "mul",
    "div",
    "pow",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "remainder",
    "floor_divide",
    "fmod",
}
_REDUCTIONS = {
    "add": "sum", "multiply": "prod", "maximum": "amax", "minimum": "amin", "logical_and": "all", "logical_or": "any",
}  # fmt: skip
_ACCUMULATIONS = {"add": "cumsum", "multiply": "cumprod"}


def array_ufunc(self: Any, ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call the op that a ufunc stands for."""
    name, kwargs = ufunc.__name__, dict(kwargs)
    out, *more = kwargs.pop("out", (None,))
    if more:
        only_defaults(name, {"out": more})
    if method == "__call__":
        only_defaults(name, kwargs)
        result = _called(name, inputs)
    elif method == "reduce" and name in _REDUCTIONS:
        result = _reduced(_REDUCTIONS[name], f"{name}.reduce", *inputs, **kwargs)
    elif method == "accumulate" and name in _ACCUMULATIONS:
        result = _accumulated(_ACCUMULATIONS[name], f"{name}.accumulate", *inputs, **kwargs)
    elif method == "outer" and len(inputs) == 2:
        a, b = (tensor(x, self) for x in inputs)
        only_defaults(f"{name}.outer", kwargs)
        result = _called(name, (a.reshape(*a.shape, *(1,) * b.ndim), b))
    else:
        raise no_op(f"{name}.{method}")
    return result if out is None else _into(out, result, f"{name}.{method}".removesuffix(".__call__"))


def _called(name: str, inputs: tuple[Any, ...]) -> Any:
    if name == "float_power":
        inputs = tuple(tensor(x).to(dtypes.float64) for x in inputs)
    if name == "divmod":
        return _called("floor_divide", inputs), _called("remainder", inputs)
    method = _METHODS.get(name)
    known = next(x for x in inputs if isinstance(x, TensorBase))
    if method is None or not hasattr(known, method):
        raise no_op(name)
    if method == "matmul":
        a, b = common(inputs)
        return a @ b
    first, *rest = (x if i and method in _TAKE_NUMBERS else tensor(x, known) for i, x in enumerate(map(number, inputs)))
    return getattr(first, method)(
        *(x if isinstance(x, (bool, int, float, complex)) else tensor(x, known) for x in rest)
    )


def _reduced(
    method: str, name: str, a: Any, axis: Any = 0, dtype: Any = None, keepdims: bool = False, **other: Any
) -> Any:
    only_defaults(name, other)
    a = a if dtype is None else a.to(dtypes.numpy_of(dtype))
    if axis is None:
        axis = tuple(range(a.ndim))
    return getattr(a, method)(dim=axis, keepdim=bool(keepdims)) if a.ndim else a.clone()


def _accumulated(method: str, name: str, a: Any, axis: int = 0, dtype: Any = None, **other: Any) -> Any:
    only_defaults(name, other)
    return getattr(a if dtype is None else a.to(dtypes.numpy_of(dtype)), method)(axis)


def _into(out: Any, result: Any, name: str) -> Any:
    """Write a result where ``out=``, or the left side of ``array += t``, says."""
    if tuple(result.shape) != out.shape:
        raise ValueError(f"numpy.{name}: out= has shape {list(out.shape)}, the result {list(result.shape)}")
    if isinstance(out, TensorBase):
        if not dtypes.can_cast(dtypes.of(result._array), dtypes.of(out._array)):
            raise TypeError(
                f"numpy.{name}: the result is {result.dtype}, which out= of {dtypes.of(out._array)} cannot hold"
            )
        return out.copy_(result)  # type: ignore[attr-defined]
    if edge_of(result) is not None:
        raise TypeError(
            f"numpy.{name} would write a Tensor that requires a gradient into an ndarray, off the tape. Write the "
            f"out-of-place form (array + t for array += t), or t.detach()."
        )
    np.copyto(out, result._array, casting="same_kind")
    return out
