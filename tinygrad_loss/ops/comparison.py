"""Comparisons, logic and bits: results that have no gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..dtypes import Array
from ..op import op, sample, wrap
from .arguments import FEW, documented, tensor_of

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "allclose",
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "eq",
    "equal",
    "ge",
    "greater",
    "greater_equal",
    "gt",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "le",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "lt",
    "ne",
    "not_equal",
]


def _compared(name: str, ufunc: Any, sign: str, meaning: str, shown: str) -> Any:
    return op(
        name,
        ufunc,
        numpy=f"{{a}} {sign} {{b}}",
        domain=(-2, 2),
        samples=FEW,
        promote="same",
        tensors=1,
        doc=documented(
            f"Return where ``input`` is {meaning} ``other``, broadcast.", f"tg.{name}(tg.tensor([1, 2, 3]), 2)", shown
        ),
    )


eq = _compared("eq", np.equal, "==", "equal to", "tensor([False,  True, False])")
ne = _compared("ne", np.not_equal, "!=", "not equal to", "tensor([ True, False,  True])")
lt = _compared("lt", np.less, "<", "less than", "tensor([ True, False, False])")
le = _compared("le", np.less_equal, "<=", "at most", "tensor([ True,  True, False])")
gt = _compared("gt", np.greater, ">", "greater than", "tensor([False, False,  True])")
ge = _compared("ge", np.greater_equal, ">=", "at least", "tensor([False,  True,  True])")
not_equal, less, less_equal, greater, greater_equal = ne, lt, le, gt, ge

# --- logic --------------------------------------------------------------------------------------------------------


def _logical(name: str, ufunc: Any, meaning: str, shown: str) -> Any:
    return op(
        name,
        ufunc,
        numpy=f"np.{name}({{a}}, {{b}})",
        domain=(-2, 2),
        samples=[sample((3, 1), (4,))],
        tensors=2,
        doc=documented(
            f"Return where {meaning} true (not zero), broadcast.",
            f"tg.{name}(tg.tensor([True, True, False]), tg.tensor([1, 0, 0]))",
            shown,
        ),
    )


logical_and = _logical("logical_and", np.logical_and, "both are", "tensor([ True, False, False])")
logical_or = _logical("logical_or", np.logical_or, "one or both are", "tensor([ True,  True, False])")
logical_xor = _logical("logical_xor", np.logical_xor, "exactly one is", "tensor([False,  True, False])")
logical_not = op(
    "logical_not",
    np.logical_not,
    numpy="np.logical_not({x})",
    domain=(-2, 2),
    doc=documented(
        "Return where the elements are false (zero).", "tg.logical_not(tg.tensor([0, 5]))", "tensor([ True, False])"
    ),
)
isnan = op(
    "isnan",
    np.isnan,
    numpy="np.isnan({x})",
    domain=(-2, 2),
    doc=documented(
        "Return where the elements are NaN.", 'tg.isnan(tg.tensor([1.0, float("nan")]))', "tensor([False,  True])"
    ),
)
isinf = op(
    "isinf",
    np.isinf,
    numpy="np.isinf({x})",
    domain=(-2, 2),
    doc=documented(
        "Return where the elements are infinite.", 'tg.isinf(tg.tensor([1.0, float("-inf")]))', "tensor([False,  True])"
    ),
)
isfinite = op(
    "isfinite",
    np.isfinite,
    numpy="np.isfinite({x})",
    domain=(-2, 2),
    doc=documented(
        "Return where the elements are finite.", 'tg.isfinite(tg.tensor([1.0, float("inf")]))', "tensor([ True, False])"
    ),
)

# --- bits ---------------------------------------------------------------------------------------------------------

_BITS = np.array([[5, 3, -1], [0, 7, 2]])


def _bitwise(name: str, ufunc: Any, sign: str, meaning: str, shown: str, b: Any = 6) -> Any:
    return op(
        name,
        ufunc,
        numpy=f"{{a}} {sign} {{b}}",
        domain=(0, 1),
        samples=[sample(_BITS, np.abs(_BITS[::-1])), sample(_BITS, b)],
        promote="same",
        doc=documented(
            f"Return {meaning}, broadcast; integers and bools alone.", f"tg.{name}(tg.tensor([5, 3]), 6)", shown
        ),
    )


bitwise_and = _bitwise("bitwise_and", np.bitwise_and, "&", "the bits that both have", "tensor([4, 2])")
bitwise_or = _bitwise("bitwise_or", np.bitwise_or, "|", "the bits that one or both have", "tensor([7, 7])")
bitwise_xor = _bitwise("bitwise_xor", np.bitwise_xor, "^", "the bits that exactly one has", "tensor([3, 5])")
bitwise_left_shift = _bitwise(
    "bitwise_left_shift", np.left_shift, "<<", "the bits moved up by ``other`` places", "tensor([320, 192])"
)
bitwise_right_shift = _bitwise(
    "bitwise_right_shift", np.right_shift, ">>", "the bits moved down by ``other`` places", "tensor([0, 0])"
)
bitwise_not = op(
    "bitwise_not",
    np.invert,
    numpy="~{x}",
    domain=(0, 1),
    samples=[sample(_BITS), sample(_BITS > 2)],
    doc=documented("Return the bits inverted; of bools, not.", "tg.bitwise_not(tg.tensor([0, 5]))", "tensor([-1, -6])"),
)

# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def _close(a: Array, b: Array, rtol: float, atol: float, equal_nan: bool, name: str) -> Any:
    if a.dtype != b.dtype:
        raise RuntimeError(f"{name}: {dtypes.of(a)} did not match {dtypes.of(b)}; write input.to(other.dtype)")
    if rtol < 0 or atol < 0:
        which, value = ("rtol", rtol) if rtol < 0 else ("atol", atol)
        raise RuntimeError(f"{name}: {which} must be greater than or equal to zero, but got {value}")
    with np.errstate(all="ignore"):
        close = a == b
        if equal_nan and a.dtype.kind == "f":
            close = close | (np.isnan(a) & np.isnan(b))
        if rtol == 0 and atol == 0:
            return close
        if a.dtype.kind not in "fc":
            a, b = a.astype(np.float64), b.astype(np.float64)
        error = np.abs(a - b)
        return close | (np.isfinite(error) & (error <= atol + np.abs(rtol * b)))


def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Return where ``|input - other| <= atol + rtol |other|``; infinities are close to themselves.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.isclose(tg.tensor([1.0, 2.0]), tg.tensor([1.000001, 2.1]))
    tensor([ True, False])
    """
    a, b = tensor_of(input, "isclose"), tensor_of(other, "isclose", "other")
    return wrap(_close(a, b, rtol, atol, equal_nan, "isclose"))  # type: ignore[no-any-return]


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Tell whether all elements are close; see ``isclose``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.allclose(tg.tensor([1.0, 2.0]), tg.tensor([1.000001, 2.0]))
    True
    """
    a, b = tensor_of(input, "allclose"), tensor_of(other, "allclose", "other")
    return bool(np.all(_close(a, b, rtol, atol, equal_nan, "allclose")))


def equal(input: Tensor, other: Tensor) -> bool:
    """Tell whether two tensors have the same shape and elements.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.equal(tg.tensor([1, 2]), tg.tensor([1, 2]))
    True
    """
    return np.array_equal(tensor_of(input, "equal"), tensor_of(other, "equal", "other"))
