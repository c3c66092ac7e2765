"""Arithmetic, comparisons and functions of single elements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..kernels import elementwise as kernels
from ..op import TensorBase, op, sample, wrap

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "abs",
    "add",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "bitwise_not",
    "clamp",
    "div",
    "eq",
    "exp",
    "expm1",
    "floor_divide",
    "ge",
    "gt",
    "le",
    "log",
    "log1p",
    "lt",
    "maximum",
    "minimum",
    "mul",
    "ne",
    "neg",
    "pow",
    "sign",
    "sqrt",
    "sub",
    "where",
]

PAIRS = [sample((3, 4), (3, 4)), sample((3, 1), (4,)), sample((), (2, 3)), sample((0, 3), (3,)), sample((2, 3), 0.7)]
_CONDITION = np.array([[True, False, True, True]])

# --- arithmetic ---------------------------------------------------------------------------------------------------

add_row = op(
    "add", np.add, vjp=(lambda g: g, lambda g: g), numpy="{a} + {b}", domain=(-2, 2), samples=PAIRS, promote="same"
)
sub_row = op(
    "sub", np.subtract, vjp=(lambda g: g, lambda g: -g), numpy="{a} - {b}", domain=(-2, 2), samples=PAIRS, promote="same"
)
mul = op(
    "mul",
    np.multiply,
    vjp=(lambda g, b: g * b, lambda g, a: g * a),
    numpy="{a} * {b}",
    domain=(-2, 2),
    samples=PAIRS,
    promote="same",
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
# Steps are flat: the gradient is zero wherever there is one.
_FLAT = (lambda g: g * 0.0, lambda g: g * 0.0)
floor_divide = op(
    "floor_divide",
    np.floor_divide,
    vjp=_FLAT,
    numpy="{a} // {b}",
    domain=(0.5, 2),
    samples=PAIRS,
    promote="same",
    grad_name="DivBackward1",
)
trunc_divide = op(
    "trunc_divide",
    lambda a, b: np.trunc(np.true_divide(a, b)).astype(np.result_type(a, b)),
    vjp=_FLAT,
    numpy="np.trunc({a} / {b})",
    domain=(0.5, 2),
    samples=PAIRS,
    promote="same",
    grad_name="DivBackward1",
)
neg = op("neg", np.negative, vjp=lambda g: -g, numpy="-{x}", domain=(-2, 2), promote="same")


def _array(a: Any) -> Any:
    return np.asarray(a) if isinstance(a, (int, float)) else a


pow = op(  # noqa: A001
    "pow",
    np.power,
    vjp=(
        # At b == 0 the slope is 0 even for a == 0, where b * a ** (b - 1) is 0 * inf.
        lambda g, a, b: g * where_row(b == 0, 0.0, b * a ** (b - 1)),
        # 0 ** b is flat in b >= 0, where log(0) would make it NaN.
        lambda g, a, b, y: g * where_row((a == 0) & (b >= 0), 0.0, y * log(_array(a))),
    ),
    numpy="{a} ** {b}",
    domain=(0.5, 2),
    samples=[*PAIRS, sample((2, 3), 3), sample((2, 3), 0), sample(2.0, (3,))],
    promote="same",
)

# --- functions ----------------------------------------------------------------------------------------------------

exp = op("exp", kernels.exp, vjp=lambda g, y: g * y, numpy="np.exp({x})", domain=(-2, 2), promote="float")
log = op("log", kernels.log, vjp=lambda g, x: g / x, numpy="np.log({x})", domain=(0.1, 4), promote="float")
log1p = op("log1p", kernels.log1p, vjp=lambda g, x: g / (x + 1), numpy="np.log1p({x})", domain=(-0.9, 3), promote="float")
expm1 = op("expm1", kernels.expm1, vjp=lambda g, y: g * (y + 1), numpy="np.expm1({x})", domain=(-2, 2), promote="float")
sqrt = op("sqrt", np.sqrt, vjp=lambda g, y: g / (2 * y), numpy="np.sqrt({x})", domain=(0.1, 4), promote="float")
abs = op("abs", np.abs, vjp=lambda g, x: g * sign(x), numpy="np.abs({x})", domain=(-2, 2), promote="same")  # noqa: A001
sign = op("sign", np.sign, vjp=lambda g: g * 0.0, numpy="np.sign({x})", domain=(-2, 2), promote="same")

# --- choice -------------------------------------------------------------------------------------------------------

where_row = op(
    "where",
    lambda condition, a, b: np.where(condition, a, b),
    vjp=(None, lambda g, condition: where_row(condition, g, 0.0), lambda g, condition: where_row(condition, 0.0, g)),
    numpy="np.where({condition}, {a}, {b})",
    domain=(-2, 2),
    samples=[sample(_CONDITION, (3, 4), (3, 4)), sample(_CONDITION, (3, 1), (4,)), sample(_CONDITION, (3, 4), 0.5)],
)


def _won(g: Any, won: Any, tied: Any) -> Any:
    """The gradient where this operand was chosen; at a tie half of it, the subgradient that prefers neither."""
    return where_row(tied, g * 0.5, where_row(won, g, 0.0))


maximum = op(
    "maximum",
    np.maximum,
    vjp=(lambda g, a, b: _won(g, a > b, a == b), lambda g, a, b: _won(g, b > a, a == b)),
    numpy="np.maximum({a}, {b})",
    domain=(-2, 2),
    samples=PAIRS[:4],
    promote="same",
)
minimum = op(
    "minimum",
    np.minimum,
    vjp=(lambda g, a, b: _won(g, a < b, a == b), lambda g, a, b: _won(g, b < a, a == b)),
    numpy="np.minimum({a}, {b})",
    domain=(-2, 2),
    samples=PAIRS[:4],
    promote="same",
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
    samples=[sample((3, 4), -0.5, 0.7), sample((3, 4), None, 0.7), sample((3, 4), (4,), None), sample((3, 4), -1.0, (3, 1))],
    promote="same",
)


def _inside(x: Any, low: Any, high: Any) -> Any:
    if low is None:
        return x <= high
    return x >= low if high is None else (x >= low) & (x <= high)


def _at_most(low: Any, high: Any) -> Any:
    return True if high is None else low <= high


def _above(low: Any, high: Any) -> Any:
    return False if low is None else low > high


# --- comparisons: no gradient -------------------------------------------------------------------------------------

eq = op("eq", np.equal, numpy="{a} == {b}", domain=(-2, 2), samples=PAIRS, promote="same")
ne = op("ne", np.not_equal, numpy="{a} != {b}", domain=(-2, 2), samples=PAIRS, promote="same")
lt = op("lt", np.less, numpy="{a} < {b}", domain=(-2, 2), samples=PAIRS, promote="same")
le = op("le", np.less_equal, numpy="{a} <= {b}", domain=(-2, 2), samples=PAIRS, promote="same")
gt = op("gt", np.greater, numpy="{a} > {b}", domain=(-2, 2), samples=PAIRS, promote="same")
ge = op("ge", np.greater_equal, numpy="{a} >= {b}", domain=(-2, 2), samples=PAIRS, promote="same")

_BITS = np.array([[5, 3, -1], [0, 7, 2]])
_BIT_PAIRS = [sample(_BITS, _BITS[::-1]), sample(_BITS, 6), sample(_BITS > 2, _BITS < 4)]
bitwise_and = op("bitwise_and", np.bitwise_and, numpy="{a} & {b}", domain=(0, 1), samples=_BIT_PAIRS, promote="same")
bitwise_or = op("bitwise_or", np.bitwise_or, numpy="{a} | {b}", domain=(0, 1), samples=_BIT_PAIRS, promote="same")
bitwise_xor = op("bitwise_xor", np.bitwise_xor, numpy="{a} ^ {b}", domain=(0, 1), samples=_BIT_PAIRS, promote="same")
bitwise_not = op("bitwise_not", np.invert, numpy="~{x}", domain=(0, 1), samples=[sample(_BITS), sample(_BITS > 2)])


# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def add(input: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """Return ``input + alpha * other``, broadcast.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.add(tg.tensor([1.0, 2.0]), 10, alpha=2)
    tensor([21., 22.])
    """
    return add_row(input, other if alpha == 1 else mul(other, alpha))  # type: ignore[no-any-return]


def sub(input: Tensor, other: Any, *, alpha: float = 1) -> Tensor:
    """Return ``input - alpha * other``, broadcast.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.sub(tg.tensor([1.0, 2.0]), 1)
    tensor([0., 1.])
    """
    return sub_row(input, other if alpha == 1 else mul(other, alpha))  # type: ignore[no-any-return]


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """Return ``input`` where the condition holds and ``other`` elsewhere; with the condition alone, its true positions.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([-1.0, 2.0])
    >>> tg.where(x > 0, x, 0.0)
    tensor([0., 2.])
    """
    if input is None and other is None:
        return tuple(wrap(i) for i in np.nonzero(condition._array))
    if not isinstance(condition, TensorBase) or condition._array.dtype.kind != "b":
        given = dtypes.of(condition._array) if isinstance(condition, TensorBase) else type(condition).__name__
        raise RuntimeError(f"where expected condition to be a boolean tensor, but got {given}; write where(c != 0, a, b)")
    target = dtypes.result_type(*(v._array if isinstance(v, TensorBase) else v for v in (input, other))).numpy
    sides = [_as(v, target) for v in (input, other)]
    return where_row(condition, *sides)


def _as(value: Any, target: np.dtype[Any]) -> Any:
    if isinstance(value, TensorBase):
        return value if value._array.dtype == target else value.to(dtypes.numpy_of(target))  # type: ignore[attr-defined]
    return wrap(np.array(value, dtype=target))


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:  # noqa: A002
    """Return the elements moved into [min, max]; at the ends the gradient passes.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([-1.0, 0.5, 2.0]).clamp(0, 1)
    tensor([0.0000, 0.5000, 1.0000])
    """
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    return clamp_row(input, min, max)  # type: ignore[no-any-return]


def div(input: Tensor, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """Return ``input / other``, broadcast; rounded to "trunc" or "floor" on request.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.div(tg.tensor([7, -7]), 2), tg.div(tg.tensor([7, -7]), 2, rounding_mode="floor")
    (tensor([ 3.5000, -3.5000]), tensor([ 3, -4]))
    """
    if rounding_mode is None:
        return div_row(input, other)  # type: ignore[no-any-return]
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode == "trunc":
        return trunc_divide(input, other)
    raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found {rounding_mode!r}")
