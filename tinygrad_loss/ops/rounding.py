"""Rounding, and division with a rounded quotient or its remainder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import Array
from ..op import op, sample
from .arguments import FEW, documented, is_number, tensor_of, unsupported
from .arithmetic import div_row

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "ceil",
    "div",
    "divide",
    "fix",
    "floor",
    "floor_divide",
    "fmod",
    "frac",
    "remainder",
    "round",
    "true_divide",
    "trunc",
]

_OFF_ZERO = [sample((3, 1), (4,)), sample((2, 3), 0.7)]


def _rounded(name: str, ufunc: Any, doc: str) -> Any:
    def forward(x: Array) -> Any:
        if x.dtype.kind == "b":
            raise unsupported(name, x)
        return ufunc(x) if x.dtype.kind == "f" else x.copy()

    # Steps are flat: the gradient is zero wherever there is one.
    return op(
        name, forward, vjp=lambda g: g * 0.0, numpy=f"np.{name}({{x}})", domain=(0.55, 0.95), promote="same", doc=doc
    )


floor = _rounded(
    "floor",
    np.floor,
    documented("Return the largest integer not above.", "tg.floor(tg.tensor([-1.5, 1.5]))", "tensor([-2.,  1.])"),
)
ceil = _rounded(
    "ceil",
    np.ceil,
    documented("Return the smallest integer not below.", "tg.ceil(tg.tensor([-1.5, 1.5]))", "tensor([-1.,  2.])"),
)
trunc = _rounded(
    "trunc", np.trunc, documented("Return the integer part.", "tg.trunc(tg.tensor([-1.5, 1.5]))", "tensor([-1.,  1.])")
)


round_half_even = _rounded(
    "round",
    np.rint,
    documented("Return the nearest integers, halves to even.", "tg.tensor([0.5, 1.5]).round()", "tensor([0., 2.])"),
)


def _round(x: Array, *, decimals: int) -> Any:
    if x.dtype.kind != "f":
        raise unsupported("round", x)
    ten = x.dtype.type(10.0 ** np.abs(decimals))
    return np.rint(x * ten) / ten if decimals > 0 else np.rint(x / ten) * ten


round_row = op(
    "round_decimals",
    _round,
    vjp=lambda g: g * 0.0,
    numpy="np.round({x}, {decimals})",
    domain=(0.56, 0.64),
    samples=[sample((3, 4), decimals=0), sample((3, 4), decimals=1)],
    promote="same",
    grad_name="RoundBackward1",
)


def _fraction(x: Array) -> Array:
    if x.dtype.kind != "f":
        raise unsupported("frac", x)
    return x - np.trunc(x)


frac = op(
    "frac",
    _fraction,
    vjp=lambda g: g,
    numpy="{x} - np.trunc({x})",
    domain=(0.1, 0.9),
    promote="same",
    doc=documented(
        "Return the part after the point, with the sign.",
        "tg.frac(tg.tensor([-1.5, 2.25]))",
        "tensor([-0.5000,  0.2500])",
    ),
)


def _divisor(a: Any, b: Any) -> bool:
    """Whether the division is one of integers; by zero it is an error."""
    whole = bool((b if isinstance(b, np.ndarray) else a).dtype.kind in "iu")
    if whole and not np.all(b):
        raise RuntimeError("ZeroDivisionError: integer division or modulo by zero; write x.float() for inf and nan")
    return whole


def _floor_quotient(a: Any, b: Any) -> Any:
    _divisor(a, b)
    return np.floor_divide(a, b)


def _trunc_quotient(a: Any, b: Any) -> Any:
    if not _divisor(a, b):
        return np.trunc(np.true_divide(a, b))
    q = np.floor_divide(a, b)
    return q + ((np.remainder(a, b) != 0) & ((a < 0) != (b < 0)))


def _floor_remainder(a: Any, b: Any) -> Any:
    _divisor(a, b)
    return np.remainder(a, b)


def _trunc_remainder(a: Any, b: Any) -> Any:
    _divisor(a, b)
    return np.fmod(a, b)


_FLAT = (lambda g: g * 0.0, lambda g: g * 0.0)


def _quotient_name(arrays: list[Any], params: dict[str, Any]) -> str:
    return f"DivBackward{3 if is_number(arrays[1]) else 2}"


floor_quotient = op(
    "floor_divide",
    _floor_quotient,
    vjp=_FLAT,
    numpy="{a} // {b}",
    domain=(0.5, 2),
    samples=_OFF_ZERO,
    promote="same",
    grad_name=_quotient_name,
)
trunc_quotient = op(
    "trunc_divide",
    _trunc_quotient,
    vjp=_FLAT,
    numpy="np.trunc({a} / {b})",
    domain=(0.5, 2),
    samples=_OFF_ZERO,
    promote="same",
    grad_name=_quotient_name,
)
remainder_row = op(
    "remainder",
    _floor_remainder,
    vjp=(lambda g: g, lambda g, a, b: -g * floor_quotient(a, b)),
    numpy="np.remainder({a}, {b})",
    domain=(0.5, 2),
    samples=FEW,
    promote="same",
    grad_name=lambda arrays, params: f"RemainderBackward{int(not is_number(arrays[1]))}",
)
fmod_row = op(
    "fmod",
    _trunc_remainder,
    vjp=(lambda g: g, lambda g, a, b: -g * trunc_quotient(a, b)),
    numpy="np.fmod({a}, {b})",
    domain=(0.5, 2),
    samples=FEW,
    promote="same",
    tensors=1,
    grad_name=lambda arrays, params: f"FmodBackward{int(not is_number(arrays[1]))}",
)


# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def round(input: Tensor, *, decimals: int | None = None) -> Tensor:
    """Return the nearest integers, halves to even; or the nearest numbers of so many decimals.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.round(tg.tensor([0.5, 1.5, -1.2])), tg.round(tg.tensor([0.126]), decimals=2)
    (tensor([ 0.,  2., -1.]), tensor([0.1300]))
    """
    return round_half_even(input) if decimals is None else round_row(input, decimals=int(decimals))  # type: ignore[no-any-return]


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
        return floor_quotient(input, other)  # type: ignore[no-any-return]
    if rounding_mode == "trunc":
        return trunc_quotient(input, other)  # type: ignore[no-any-return]
    raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found {rounding_mode!r}")


def true_divide(input: Tensor, other: Any) -> Tensor:
    """Return ``input / other``, broadcast, never rounded.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.true_divide(tg.tensor([7, -7]), 2)
    tensor([ 3.5000, -3.5000])
    """
    return div_row(input, other)  # type: ignore[no-any-return]


def floor_divide(input: Tensor, other: Any) -> Tensor:
    """Return ``input // other``: the quotient rounded down.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.floor_divide(tg.tensor([7, -7]), 2)
    tensor([ 3, -4])
    """
    return floor_quotient(input, other)  # type: ignore[no-any-return]


def remainder(input: Any, other: Any) -> Tensor:
    """Return what the quotient rounded down leaves: it has the sign of ``other``, as Python's ``%``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.remainder(tg.tensor([-3.0, 5.0]), 2)
    tensor([1., 1.])
    """
    return remainder_row(input, other)  # type: ignore[no-any-return]


def fmod(input: Tensor, other: Any) -> Tensor:
    """Return what the quotient cut at the point leaves: it has the sign of ``input``, as C's ``fmod``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.fmod(tg.tensor([-3.0, 5.0]), 2)
    tensor([-1.,  1.])
    """
    tensor_of(input, "fmod")
    return fmod_row(input, other)  # type: ignore[no-any-return]


divide, fix = div, trunc
