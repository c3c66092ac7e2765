"""Sums, means and products, and what is true of all elements or of some."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..dtypes import F32, F64, Array
from ..op import op, sample
from .arguments import array_of, axes, axis, numpy_names, tensor_of
from .broadcast import DIMS, Dims, restored, spread, sum_row, total
from .scan import product_of_others
from .shape import reshape, to

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["all", "any", "count_nonzero", "mean", "prod", "sum"]

# --- rows ---------------------------------------------------------------------------------------------------------


def count(shape: tuple[int, ...], dim: Dims) -> int:
    """How many elements are reduced to one."""
    if dim is None:
        return math.prod(shape)
    return math.prod(n for d, n in enumerate(shape) if d in dim)


def _average(x: Array, *, dim: Dims, keepdim: bool) -> Any:
    s = total(x, dim=dim, keepdim=keepdim)
    return np.divide(s, count(x.shape, dim), dtype=s.dtype)


mean_row = op(
    "mean",
    _average,
    vjp=lambda g, x_shape, dim, keepdim: spread(g / count(x_shape, dim), x_shape, dim, keepdim),
    numpy="{x}.mean(axis={dim}, keepdims={keepdim})",
    domain=(-2, 2),
    samples=DIMS,
    grad_name=lambda arrays, params: f"MeanBackward{int(params['dim'] is not None)}",
)


def _product(x: Array, *, dim: int | None, keepdim: bool) -> Any:
    inside = np.float64 if x.dtype is F32 else x.dtype
    out: Any = np.prod(x, axis=dim if x.ndim else None, keepdims=keepdim, dtype=inside)
    return out.astype(x.dtype)


def _product_grad(g: Any, x: Any, y: Any, dim: int | None, keepdim: bool) -> Any:
    shape, dims = x.shape, None if dim is None else (dim,)
    g = restored(g, shape, dims, keepdim)
    if np.all(array_of(x)):
        return g * restored(y, shape, dims, keepdim) / x
    if not shape:
        return g
    if dim is None:
        return g * reshape(product_of_others(reshape(x, (-1,)), 0), shape)
    return g * product_of_others(x, dim)


prod_row = op(
    "prod",
    _product,
    vjp=lambda g, x, y, dim, keepdim: _product_grad(g, x, y, dim, keepdim),
    numpy="{x}.prod(axis={dim}, keepdims={keepdim})",
    domain=(0.5, 2),
    samples=[
        sample((3, 4), dim=None, keepdim=False),
        sample((3, 4), dim=1, keepdim=True),
        sample((), dim=None, keepdim=False),
        sample(np.array([[2.0, 0.0, 3.0], [0.0, 4.0, 0.0]]), dim=1, keepdim=False),
        sample(np.array([[2.0, 0.0], [3.0, 4.0]]), dim=None, keepdim=False),
    ],
    grad_name=lambda arrays, params: f"ProdBackward{int(params['dim'] is not None)}",
)


def _truth(name: str) -> Any:
    find = getattr(np, name)
    return op(
        name,
        # Of bytes it is a byte, as in PyTorch.
        lambda x, *, dim, keepdim: np.asarray(find(x, axis=dim, keepdims=keepdim)).astype(
            np.uint8 if x.dtype == np.uint8 else np.bool_, copy=False
        ),
        numpy=f"np.{name}({{x}}, axis={{dim}}, keepdims={{keepdim}})",
        domain=(-2, 2),
        samples=DIMS,
    )


all_row = _truth("all")
any_row = _truth("any")
count_nonzero_row = op(
    "count_nonzero",
    lambda x, *, dim: np.count_nonzero(x, axis=dim),
    numpy="np.count_nonzero({x}, axis={dim})",
    domain=(-2, 2),
    samples=[sample((3, 4), dim=None), sample((3, 4), dim=(1,))],
)

# --- PyTorch's signatures -----------------------------------------------------------------------------------------


@numpy_names
def sum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return the sum over all elements or some dimensions, float64 inside; integers and bools sum to int64.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]).sum(0)
    tensor([4., 6.])
    """
    array = tensor_of(input, "sum")
    if dtype is not None:
        input = to(input, dtypes.as_numpy(dtype))
    elif array.dtype.kind in "iub":
        input = to(input, dtypes.I64)
    return sum_row(input, dim=axes(dim, array.ndim), keepdim=keepdim)  # type: ignore[no-any-return]


@numpy_names
def mean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return the mean over all elements or some dimensions; of nothing it is NaN.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]).mean(dim=1)
    tensor([1.5000, 3.5000])
    """
    array = tensor_of(input, "mean")
    if dtype is None and (array.dtype is F32 or array.dtype is F64):
        return mean_row(input, dim=axes(dim, array.ndim), keepdim=keepdim)  # type: ignore[no-any-return]
    found, what = (dtypes.of(array), "Input") if dtype is None else (dtypes.as_dtype(dtype), "Optional")
    if not (found.is_floating_point or found.is_complex):
        raise RuntimeError(
            f"mean(): could not infer output dtype. {what} dtype must be either a floating point or complex dtype. "
            f"Got: {found}. Write .float().mean()."
        )
    return mean_row(to(input, found.numpy), dim=axes(dim, array.ndim), keepdim=keepdim)  # type: ignore[no-any-return]


@numpy_names
def prod(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return the product of all elements, or along a dimension; the gradient is exact where elements are 0.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]).prod(1)
    tensor([ 2., 12.])
    """
    array = tensor_of(input, "prod")
    if dtype is not None:
        input = to(input, dtypes.as_numpy(dtype))
    elif array.dtype.kind in "iub":
        input = to(input, dtypes.I64)
    d = None if dim is None else axis(dim, array.ndim)
    return prod_row(input, dim=d, keepdim=keepdim)  # type: ignore[no-any-return]


@numpy_names
def all(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Tell whether all elements are true (not zero).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([[True, False], [True, True]]).all(1)
    tensor([False,  True])
    """
    return all_row(input, dim=axes(dim, tensor_of(input, "all").ndim), keepdim=keepdim)  # type: ignore[no-any-return]


@numpy_names
def any(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Tell whether some element is true (not zero).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([0, 0, 3]).any()
    tensor(True)
    """
    return any_row(input, dim=axes(dim, tensor_of(input, "any").ndim), keepdim=keepdim)  # type: ignore[no-any-return]


@numpy_names
def count_nonzero(input: Tensor, dim: Any = None) -> Tensor:
    """Return how many elements are not zero, over all or some dimensions.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.count_nonzero(tg.tensor([[0, 1], [2, 3]]), dim=1)
    tensor([1, 2])
    """
    return count_nonzero_row(input, dim=axes(dim, tensor_of(input, "count_nonzero").ndim))  # type: ignore[no-any-return]
