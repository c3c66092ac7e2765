"""Running sums and products along a dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..dtypes import F32, Array
from ..op import op, sample
from .arguments import array_of, axis, numpy_names, tensor_of
from .broadcast import sum_row
from .elementwise import where_row
from .shape import cat_row, to, unsqueeze_row
from .slicing import slice_row

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["cumprod", "cumsum"]

_ALONG = [sample((3, 4), dim=1), sample((2, 3, 2), dim=0)]


def _at(dim: int, part: slice) -> tuple[Any, ...]:
    return (slice(None),) * dim + (part,)


def backwards(x: Any, dim: int) -> Any:
    """The elements in the opposite order."""
    return slice_row(x, index=_at(dim, slice(None, None, -1)))


def _running(ufunc: Any) -> Any:
    def forward(x: Array, *, dim: int) -> Array:
        if not x.ndim:
            return x.copy()
        if x.dtype is F32:
            return ufunc.accumulate(x, axis=dim, dtype=np.float64).astype(F32)  # type: ignore[no-any-return]
        return ufunc.accumulate(x, axis=dim, dtype=x.dtype)  # type: ignore[no-any-return]

    return forward


cumsum_row: Any = op(
    "cumsum",
    _running(np.add),
    vjp=lambda g, dim: backwards(cumsum_row(backwards(g, dim), dim=dim), dim) if g.ndim else g,
    numpy="np.cumsum({x}, axis={dim})",
    domain=(-2, 2),
    samples=_ALONG,
)


def _cumprod_grad(g: Any, x: Any, y: Any, dim: int) -> Any:
    if not g.ndim:
        return g
    if np.all(array_of(x)):
        return backwards(cumsum_row(backwards(g * y, dim), dim=dim), dim) / x
    # An element k that is 0 cannot be divided out. Row k of a square holds the running products with x_k replaced by 1:
    # n**2 numbers, but right at any number of zeros and for any order of derivative.
    n = x.shape[dim]
    square = (n, n) + (1,) * (x.ndim - dim - 1)
    without = cumprod_row(where_row(np.eye(n, dtype=bool).reshape(square), 1.0, unsqueeze_row(x, dim=dim)), dim=dim + 1)
    from_k_on = np.triu(np.ones((n, n), bool)).reshape(square)
    return sum_row(where_row(from_k_on, unsqueeze_row(g, dim=dim) * without, 0.0), dim=(dim + 1,), keepdim=False)


cumprod_row: Any = op(
    "cumprod",
    _running(np.multiply),
    vjp=lambda g, x, y, dim: _cumprod_grad(g, x, y, dim),
    numpy="np.cumprod({x}, axis={dim})",
    domain=(0.5, 2),
    samples=[*_ALONG, sample(np.array([[2.0, 0.0, 3.0, 0.5], [0.0, 4.0, 0.0, 1.0]]), dim=1)],
)


def product_of_others(x: Any, dim: int) -> Any:
    """At each element the product of all others along a dimension: what stands before it times what stands behind."""
    if not x.shape[dim]:
        return x
    one = np.ones((*x.shape[:dim], 1, *x.shape[dim + 1 :]), array_of(x).dtype)
    rest = _at(dim, slice(None, -1))
    before = cumprod_row(cat_row(one, slice_row(x, index=rest), dim=dim), dim=dim)
    behind = cumprod_row(cat_row(one, slice_row(backwards(x, dim), index=rest), dim=dim), dim=dim)
    return before * backwards(behind, dim)


# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def _prepared(input: Tensor, dim: Any, dtype: Any, name: str) -> tuple[Any, int]:
    array = tensor_of(input, name)
    if dtype is not None:
        input = to(input, dtypes.as_numpy(dtype))
    elif array.dtype.kind in "iub":
        input = to(input, dtypes.I64)
    return input, axis(dim, array.ndim)


@numpy_names
def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Return the sums of the elements up to each one, along a dimension, float64 inside.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.cumsum(tg.tensor([1, 2, 3]), 0)
    tensor([1, 3, 6])
    """
    x, d = _prepared(input, dim, dtype, "cumsum")
    return cumsum_row(x, dim=d)  # type: ignore[no-any-return]


@numpy_names
def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Return the products of the elements up to each one, along a dimension; the gradient is exact at zeros.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.cumprod(tg.tensor([1, 2, 3, 4]), 0)
    tensor([ 1,  2,  6, 24])
    """
    x, d = _prepared(input, dim, dtype, "cumprod")
    return cumprod_row(x, dim=d)  # type: ignore[no-any-return]
