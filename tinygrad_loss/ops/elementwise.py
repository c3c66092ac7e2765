"""Exponentials, logarithms and roots, and choices between elements."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..dtypes import F32, Array
from ..kernels import elementwise as kernels
from ..op import TensorBase, op, sample, wrap
from .arguments import FEW, PAIRS, documented, tensor_of

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "clamp",
    "clamp_max",
    "clamp_min",
    "clip",
    "exp",
    "exp2",
    "expm1",
    "log",
    "log1p",
    "log2",
    "log10",
    "maximum",
    "minimum",
    "rsqrt",
    "sqrt",
    "where",
]

_CONDITION = np.array([[True, False, True, True]])


def wide(ufunc: Any) -> Any:
    """A NumPy function that is more than 1 ULP off in float32: computed in float64 and rounded."""

    def compute(x: Array) -> Array:
        return ufunc(x.astype(np.float64)).astype(F32) if x.dtype is F32 else ufunc(x)  # type: ignore[no-any-return]

    return compute


# --- functions ----------------------------------------------------------------------------------------------------

sqrt = op(
    "sqrt",
    np.sqrt,
    vjp=lambda g, y: g / (2 * y),
    numpy="np.sqrt({x})",
    domain=(0.1, 4),
    promote="float",
    doc=documented(
        "Return the square roots; NaN for negative elements.", "tg.sqrt(tg.tensor([4, 9]))", "tensor([2., 3.])"
    ),
)
rsqrt = op(
    "rsqrt",
    wide(lambda x: 1 / np.sqrt(x)),
    vjp=lambda g, y: g * (-0.5 * (y * y * y)),
    numpy="1 / np.sqrt({x})",
    domain=(0.1, 4),
    promote="float",
    doc=documented("Return ``1 / sqrt(input)``.", "tg.rsqrt(tg.tensor([4.0, 16.0]))", "tensor([0.5000, 0.2500])"),
)
exp = op(
    "exp",
    kernels.exp,
    vjp=lambda g, y: g * y,
    numpy="np.exp({x})",
    domain=(-2, 2),
    promote="float",
    doc=documented(
        "Return e to the power of each element, within 1 ULP.", "tg.exp(tg.tensor([0, 1]))", "tensor([1.0000, 2.7183])"
    ),
)
exp2 = op(
    "exp2",
    np.exp2,
    vjp=lambda g, y: g * (y * math.log(2)),
    numpy="np.exp2({x})",
    domain=(-2, 2),
    promote="float",
    doc=documented("Return 2 to the power of each element.", "tg.exp2(tg.tensor([0, 3]))", "tensor([1., 8.])"),
)
expm1 = op(
    "expm1",
    kernels.expm1,
    vjp=lambda g, y: g * (y + 1),
    numpy="np.expm1({x})",
    domain=(-2, 2),
    promote="float",
    doc=documented(
        "Return e**x - 1, exact near 0, within 1 ULP.", "tg.expm1(tg.tensor([1e-10]))", "tensor([1.0000e-10])"
    ),
)
log = op(
    "log",
    kernels.log,
    vjp=lambda g, x: g / x,
    numpy="np.log({x})",
    domain=(0.1, 4),
    promote="float",
    doc=documented(
        "Return the natural logarithm, within 1 ULP; -inf at 0.",
        "tg.log(tg.tensor([0, 1, 2]))",
        "tensor([  -inf, 0.0000, 0.6931])",
    ),
)
log1p = op(
    "log1p",
    kernels.log1p,
    vjp=lambda g, x: g / (x + 1),
    numpy="np.log1p({x})",
    domain=(-0.9, 3),
    promote="float",
    grad_name="Log1PBackward0",
    doc=documented(
        "Return log(1 + x), exact near 0, within 1 ULP.", "tg.log1p(tg.tensor([1e-10]))", "tensor([1.0000e-10])"
    ),
)
log2 = op(
    "log2",
    wide(np.log2),
    vjp=lambda g, x: g / (x * math.log(2)),
    numpy="np.log2({x})",
    domain=(0.1, 4),
    promote="float",
    doc=documented("Return the logarithm to the base 2.", "tg.log2(tg.tensor([1.0, 8.0]))", "tensor([0., 3.])"),
)
log10 = op(
    "log10",
    wide(np.log10),
    vjp=lambda g, x: g / (x * math.log(10)),
    numpy="np.log10({x})",
    domain=(0.1, 4),
    promote="float",
    doc=documented("Return the logarithm to the base 10.", "tg.log10(tg.tensor([1.0, 1000.0]))", "tensor([0., 3.])"),
)

# --- choice -------------------------------------------------------------------------------------------------------

where_row: Any = op(
    "where",
    lambda condition, a, b: np.where(condition, a, b),
    vjp=(None, lambda g, condition: where_row(condition, g, 0.0), lambda g, condition: where_row(condition, 0.0, g)),
    numpy="np.where({condition}, {a}, {b})",
    domain=(-2, 2),
    samples=[sample(_CONDITION, (3, 4), (3, 4)), sample(_CONDITION, (3, 1), (4,)), sample(_CONDITION, (3, 4), 0.5)],
)


def _won(g: Any, lost: Any, tied: Any) -> Any:
    """The gradient where this operand was not beaten; at a tie half of it, the subgradient that prefers neither."""
    return where_row(tied, g * 0.5, where_row(lost, 0.0, g))


maximum = op(
    "maximum",
    np.maximum,
    vjp=(lambda g, a, b: _won(g, a < b, a == b), lambda g, a, b: _won(g, b < a, a == b)),
    numpy="np.maximum({a}, {b})",
    domain=(-2, 2),
    samples=PAIRS[:4],
    promote="same",
    tensors=2,
    doc=documented(
        "Return the larger of two elements, NaN if one is; at a tie each gets half of the gradient.",
        "tg.maximum(tg.tensor([1.0, 5.0]), tg.tensor(3.0))",
        "tensor([3., 5.])",
    ),
)
minimum = op(
    "minimum",
    np.minimum,
    vjp=(lambda g, a, b: _won(g, a > b, a == b), lambda g, a, b: _won(g, b > a, a == b)),
    numpy="np.minimum({a}, {b})",
    domain=(-2, 2),
    samples=PAIRS[:4],
    promote="same",
    tensors=2,
    doc=documented(
        "Return the smaller of two elements, NaN if one is; at a tie each gets half of the gradient.",
        "tg.minimum(tg.tensor([1.0, 5.0]), tg.tensor(3.0))",
        "tensor([1., 3.])",
    ),
)


clamp_row = op(
    "clamp",
    lambda x, low, high: np.clip(x, low, high),
    # The ends belong to the inside: clamp(min=0) at 0 has slope 1.
    vjp=(
        lambda g, x, low, high: where_row(_inside(x, low, high), g, 0.0),
        lambda g, x, low, high: where_row((x < low) & _at_most(low, high), g, 0.0),
        lambda g, x, low, high: where_row((x > high) | _above(low, high), g, 0.0),
    ),
    numpy="np.clip({x}, {low}, {high})",
    domain=(-2, 2),
    samples=[
        sample((3, 4), -0.5, 0.7),
        sample((3, 4), None, 0.7),
        sample((3, 4), (4,), None),
        sample((3, 4), -1.0, (3, 1)),
    ],
    promote="same",
    grad_name=lambda arrays, params: f"ClampBackward{int(not any(isinstance(a, np.ndarray) for a in arrays[1:]))}",
)
clamp_min_row = op(
    "clamp_min",
    np.maximum,
    vjp=(lambda g, a, b: where_row(a >= b, g, 0.0), lambda g, a, b: where_row(a < b, g, 0.0)),
    numpy="np.maximum({a}, {b})",
    domain=(-2, 2),
    samples=FEW,
    promote="same",
    tensors=1,
    grad_name=lambda arrays, params: f"ClampMinBackward{int(isinstance(arrays[1], np.ndarray))}",
)
clamp_max_row = op(
    "clamp_max",
    np.minimum,
    vjp=(lambda g, a, b: where_row(a <= b, g, 0.0), lambda g, a, b: where_row(a > b, g, 0.0)),
    numpy="np.minimum({a}, {b})",
    domain=(-2, 2),
    samples=FEW,
    promote="same",
    tensors=1,
    grad_name=lambda arrays, params: f"ClampMaxBackward{int(isinstance(arrays[1], np.ndarray))}",
)


def _inside(x: Any, low: Any, high: Any) -> Any:
    if low is None:
        return x <= high
    return x >= low if high is None else (x >= low) & (x <= high)


def _at_most(low: Any, high: Any) -> Any:
    return True if high is None else low <= high


def _above(low: Any, high: Any) -> Any:
    return False if low is None else low > high


# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """Return ``input`` where the condition holds and ``other`` elsewhere; with the condition alone, its true positions.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([-1.0, 2.0])
    >>> tg.where(x > 0, x, 0.0)
    tensor([0., 2.])
    """
    mask = tensor_of(condition, "where", "condition")
    if input is None and other is None:
        return tuple(wrap(i) for i in np.nonzero(np.atleast_1d(mask)))
    if mask.dtype.kind != "b" and mask.dtype != np.uint8:
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got {dtypes.of(mask)}; write where(c != 0, a, b)"
        )
    target = dtypes.result_type(*(v._array if isinstance(v, TensorBase) else v for v in (input, other))).numpy
    return where_row(condition, _as(input, target), _as(other, target))


def _as(value: Any, target: np.dtype[Any]) -> Any:
    if isinstance(value, TensorBase):
        return value if value._array.dtype == target else value.to(dtypes.numpy_of(target))  # type: ignore[attr-defined]
    return wrap(np.array(value, dtype=target))


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Return the elements moved into [min, max]; at the ends the gradient passes.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([-1.0, 0.5, 2.0]).clamp(0, 1)
    tensor([0.0000, 0.5000, 1.0000])
    """
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    tensor_of(input, "clamp")
    return clamp_row(input, min, max)  # type: ignore[no-any-return]


def clamp_min(input: Tensor, min: Any) -> Tensor:
    """Return the elements, but none below ``min``, a number or tensor.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.clamp_min(tg.tensor([-1.0, 2.0]), 0)
    tensor([0., 2.])
    """
    return clamp_min_row(input, min)  # type: ignore[no-any-return]


def clamp_max(input: Tensor, max: Any) -> Tensor:
    """Return the elements, but none above ``max``, a number or tensor.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.clamp_max(tg.tensor([-1.0, 2.0]), 0)
    tensor([-1.,  0.])
    """
    return clamp_max_row(input, max)  # type: ignore[no-any-return]


clip = clamp
