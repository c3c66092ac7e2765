"""Arithmetic: sums, products, powers, signs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..dtypes import Array
from ..op import TensorBase, op, sample
from .arguments import FEW, PAIRS, documented, is_number, tensor_of, unsupported
from .elementwise import log, where_row

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "abs",
    "absolute",
    "add",
    "mul",
    "multiply",
    "neg",
    "negative",
    "positive",
    "pow",
    "reciprocal",
    "rsub",
    "sign",
    "square",
    "sub",
    "subtract",
]

add_row = op(
    "add", np.add, vjp=(lambda g: g, lambda g: g), numpy="{a} + {b}", domain=(-2, 2), samples=PAIRS, promote="same"
)
sub_row = op(
    "sub",
    np.subtract,
    vjp=(lambda g: g, lambda g: -g),
    numpy="{a} - {b}",
    domain=(-2, 2),
    samples=PAIRS,
    promote="same",
)
rsub_row = op(
    "rsub",
    lambda a, b: np.subtract(b, a),
    vjp=(lambda g: -g, lambda g: g),
    numpy="{b} - {a}",
    domain=(-2, 2),
    samples=FEW,
    promote="same",
    grad_name=lambda arrays, params: f"RsubBackward{int(is_number(arrays[1]))}",
)
mul = op(
    "mul",
    np.multiply,
    vjp=(lambda g, b: g * b, lambda g, a: g * a),
    numpy="{a} * {b}",
    domain=(-2, 2),
    samples=PAIRS,
    promote="same",
    doc=documented("Return ``input * other``, broadcast.", "tg.mul(tg.tensor([1.0, 2.0]), 10)", "tensor([10., 20.])"),
)
div_row = op(
    "div",
    np.true_divide,
    vjp=(lambda g, b: g / b, lambda g, a, b: -g * ((a / b) / b)),
    numpy="{a} / {b}",
    domain=(0.5, 2),
    samples=PAIRS,
    promote="float",
)


def _negated(x: Array) -> Array:
    if x.dtype.kind == "b":
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use the "
            "`~` or `logical_not()` operator instead."
        )
    return np.negative(x)


neg = op(
    "neg",
    _negated,
    vjp=lambda g: -g,
    numpy="-{x}",
    domain=(-2, 2),
    promote="same",
    doc=documented("Return ``-input``.", "tg.neg(tg.tensor([1.0, -2.0]))", "tensor([-1.,  2.])"),
)


def _slope(a: Any, b: Any) -> Any:
    """The derivative of a ** b by a; at b == 0 it is 0 even for a == 0, where b * a ** (b - 1) is 0 * inf."""
    if is_number(b):
        return b * a ** (b - 1) if b else a * 0.0
    return where_row(b == 0, 0.0, b * a ** (b - 1))


def _log_of(a: Any) -> Any:
    return (math.log(a) if a > 0 else -math.inf if a == 0 else math.nan) if is_number(a) else log(a)


def _power(a: Any, b: Any) -> Any:
    if isinstance(b, np.ndarray) and b.dtype.kind == "i" and (b < 0).any():
        # NumPy refuses; 1 / a ** -b, cut to an integer, is 0 unless a is 1 or -1.
        inverse = np.where(a == 1, 1, np.where(a == -1, np.where(b % 2 == 0, 1, -1), 0))
        return np.where(b < 0, inverse, a ** np.maximum(b, 0)).astype(b.dtype)
    return a**b  # the operator knows squares and square roots, np.power does not


pow_row = op(
    "pow",
    _power,
    vjp=(
        lambda g, a, b: g * _slope(a, b),
        # 0 ** b is flat in b >= 0, where log(0) would make it NaN.
        lambda g, a, b, y: g * where_row((a == 0) & (b >= 0), 0.0, y * _log_of(a)),
    ),
    numpy="{a} ** {b}",
    domain=(0.5, 2),
    samples=[*PAIRS, sample((2, 3), 3), sample((2, 3), 0), sample(2.0, (3,))],
    promote="same",
    grad_name=lambda arrays, params: f"PowBackward{int(not is_number(arrays[1]))}",
)
square = op(
    "square",
    lambda x: x * x if x.dtype.kind != "b" else x.astype(np.int64),
    vjp=lambda g, x: g * (2 * x),
    numpy="{x} ** 2",
    domain=(-2, 2),
    promote="same",
    grad_name="PowBackward0",
    doc=documented("Return the square of each element.", "tg.square(tg.tensor([-3, 2]))", "tensor([9, 4])"),
)


def _absolute(x: Array) -> Array:
    if x.dtype.kind == "b":
        raise unsupported("abs", x)
    return np.absolute(x)


def _sign(x: Array) -> Array:
    if x.dtype.kind == "b":
        return x.copy()
    y = np.sign(x)
    return np.where(x == x, y, 0) if x.dtype.kind == "f" else y  # the sign of NaN is 0


abs = op(
    "abs",
    _absolute,
    vjp=lambda g, x: g * sign(x),
    numpy="np.abs({x})",
    domain=(-2, 2),
    promote="same",
    doc=documented(
        "Return the absolute values; the gradient at 0 is 0.",
        "tg.abs(tg.tensor([-1.5, 2.0]))",
        "tensor([1.5000, 2.0000])",
    ),
)
sign: Any = op(
    "sign",
    _sign,
    vjp=lambda g: g * 0.0,
    numpy="np.sign({x})",
    domain=(-2, 2),
    promote="same",
    doc=documented("Return -1, 0 or 1; 0 for NaN.", "tg.sign(tg.tensor([-3, 0, 2]))", "tensor([-1,  0,  1])"),
)

reciprocal = op(
    "reciprocal",
    lambda x: 1 / x,
    vjp=lambda g, y: -g * (y * y),
    numpy="1 / {x}",
    domain=(0.5, 2),
    promote="float",
    doc=documented("Return ``1 / input``.", "tg.reciprocal(tg.tensor([4, 8]))", "tensor([0.2500, 0.1250])"),
)

# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def _times(input: Any, other: Any, alpha: float) -> Any:
    """``alpha * other``, where PyTorch allows this alpha."""
    if alpha.__class__ is int and alpha == 1:
        return other
    kinds = [x._array.dtype.kind if isinstance(x, TensorBase) else dtypes.scalar(x).numpy.kind for x in (input, other)]
    if "f" not in kinds and "c" not in kinds:
        if isinstance(alpha, float):
            raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
        if kinds == ["b", "b"]:
            return mul(other, bool(alpha)) if isinstance(other, TensorBase) else other and bool(alpha)
    elif isinstance(alpha, bool):
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    return mul(other, alpha) if isinstance(other, TensorBase) else other * alpha


def add(input: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """Return ``input + alpha * other``, broadcast.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.add(tg.tensor([1.0, 2.0]), 10, alpha=2)
    tensor([21., 22.])
    """
    return add_row(input, _times(input, other, alpha))  # type: ignore[no-any-return]


def sub(input: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """Return ``input - alpha * other``, broadcast.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.sub(tg.tensor([1.0, 2.0]), 1)
    tensor([0., 1.])
    """
    _no_bools(input, other)
    return sub_row(input, _times(input, other, alpha))  # type: ignore[no-any-return]


def rsub(input: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """Return ``other - alpha * input``, broadcast.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.rsub(tg.tensor([1.0, 2.0]), 1)
    tensor([ 0., -1.])
    """
    _no_bools(input, other)
    return rsub_row(_times(other, input, alpha), other)  # type: ignore[no-any-return]


def _no_bools(*operands: Any) -> None:
    found = [isinstance(x, TensorBase) and x._array.dtype.kind == "b" for x in operands]
    if found[0] and found[1]:
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` "
            "operator instead."
        )
    if found[0] or found[1]:
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, use "
            "the `~` or `logical_not()` operator instead."
        )


def pow(input: Any, exponent: Any) -> Tensor:
    """Return ``input ** exponent``, broadcast; one of the two may be a number.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.pow(tg.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    """
    if (
        exponent.__class__ is int
        and exponent < 0
        and isinstance(input, TensorBase)
        and input._array.dtype.kind in "iub"
    ):
        raise RuntimeError(
            "Integers to negative integer powers are not allowed. Write x.float() ** exponent, or 1 / x ** -exponent."
        )
    return pow_row(input, exponent)  # type: ignore[no-any-return]


def positive(input: Tensor) -> Tensor:
    """Return the tensor itself.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.positive(tg.tensor([1.0, -2.0]))
    tensor([ 1., -2.])
    """
    if tensor_of(input, "positive").dtype.kind == "b":
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


absolute, multiply, negative, subtract = abs, mul, neg, sub
