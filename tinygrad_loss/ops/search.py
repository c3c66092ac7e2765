"""Order, and what is where: sorted elements, the largest k, distinct ones, counts, places that are not zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..dtypes import Array
from ..op import op, sample, wrap
from .arguments import array_of, axis, numpy_names, tensor_of
from .extrema import return_type
from .gathering import scatter_add_row

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["argsort", "bincount", "nonzero", "sort", "topk", "unique", "unique_consecutive"]

# --- rows ---------------------------------------------------------------------------------------------------------


def _order(x: Array, dim: int, descending: bool) -> Array:
    """Where each element of the sorted tensor comes from; equal ones keep their order, NaN counts as the largest."""
    if not x.ndim:
        return np.zeros((), np.int64)
    if not descending:
        return np.argsort(x, axis=dim, kind="stable")
    # Backwards twice: equal elements then keep their order although larger ones come first.
    back = np.argsort(np.flip(x, dim), axis=dim, kind="stable")
    return np.flip(x.shape[dim] - 1 - back, dim)


def _in_order(x: Array, index: Array, dim: int) -> Array:
    return np.take_along_axis(x, index, dim) if x.ndim else x.copy()


def _sorted(x: Array, *, dim: int, descending: bool, stable: bool) -> tuple[Array, Array]:
    index = _order(x, dim, descending).copy()
    return _in_order(x, index, dim), index


def _back(g: Any, x_shape: tuple[int, ...], indices: Any, dim: int) -> Any:
    return scatter_add_row(np.zeros(x_shape, array_of(g).dtype), g, dim=dim, index=array_of(indices))


def _largest(x: Array, *, k: int, dim: int, largest: bool) -> tuple[Array, Array]:
    index = _order(x, dim, largest)
    index = np.take(index, np.arange(k), axis=dim) if x.ndim else index
    return _in_order(x, index, dim), index


sort_row = op(
    "sort",
    _sorted,
    vjp=lambda g, x_shape, indices, dim: _back(g, x_shape, indices, dim),
    numpy=lambda x, dim, descending, stable: np.sort(x, dim) if not descending else -np.sort(-x, dim),
    domain=(-2, 2),
    samples=[
        sample((3, 4), dim=1, descending=False, stable=True),
        sample((3, 4), dim=0, descending=True, stable=False),
    ],
    outputs=("y", "indices"),
    grad_name=lambda arrays, params: f"SortBackward{int(params['stable'])}",
)
topk_row = op(
    "topk",
    _largest,
    vjp=lambda g, x_shape, indices, dim: _back(g, x_shape, indices, dim),
    numpy=lambda x, k, dim, largest: (
        -np.sort(-x, dim).take(range(k), dim) if largest else np.sort(x, dim).take(range(k), dim)
    ),
    domain=(-2, 2),
    samples=[sample((3, 5), k=2, dim=1, largest=True), sample((4, 2), k=3, dim=0, largest=False)],
    outputs=("y", "indices"),
)

# --- PyTorch's signatures -----------------------------------------------------------------------------------------

_Sort, _TopK = return_type("sort", "values", "indices"), return_type("topk", "values", "indices")


@numpy_names
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool | None = None) -> Any:
    """Return the elements in order along a dimension, and their indices; equal elements keep their order.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.sort(tg.tensor([3.0, 1.0, 2.0]))
    torch.return_types.sort(
    values=tensor([1., 2., 3.]),
    indices=tensor([1, 2, 0]))
    """
    d = axis(dim, tensor_of(input, "sort").ndim)
    return _Sort(*sort_row(input, dim=d, descending=bool(descending), stable=stable is not None))


@numpy_names
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """Return the indices that put the elements in order along a dimension; equal elements keep their order.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.argsort(tg.tensor([3.0, 1.0, 2.0]), descending=True)
    tensor([0, 2, 1])
    """
    array = tensor_of(input, "argsort")
    return wrap(_order(array, axis(dim, array.ndim), descending).copy())  # type: ignore[no-any-return]


@numpy_names
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """Return the k largest (or smallest) elements along a dimension, in order, and their indices; of equals the first.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.topk(tg.tensor([3.0, 1.0, 2.0]), 2)
    torch.return_types.topk(
    values=tensor([3., 2.]),
    indices=tensor([0, 2]))
    """
    array = tensor_of(input, "topk")
    d = axis(dim, array.ndim)
    size = array.shape[d] if array.ndim else 1
    if not 0 <= k <= size:
        raise RuntimeError(f"selected index k out of range: k={k} of {size} elements along dimension {d}")
    return _TopK(*topk_row(input, k=int(k), dim=d, largest=bool(largest)))


def _results(values: Array, inverse: Any, counts: Any, return_inverse: bool, return_counts: bool) -> Any:
    found = [values] + [inverse] * return_inverse + [counts] * return_counts
    out = tuple(wrap(a.copy()) for a in found)
    return out if len(out) > 1 else out[0]


@numpy_names
def unique(
    input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: Any = None
) -> Any:
    """Return the distinct elements in order, or the distinct slabs of a dimension; each NaN is one of its own.

    Parameters
    ----------
    return_inverse : bool
        Return also where in the result each element is.
    return_counts : bool
        Return also how often each element of the result occurs.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.unique(tg.tensor([3, 1, 1]), return_counts=True)
    (tensor([1, 3]), tensor([2, 1]))
    """
    array = tensor_of(input, "unique")
    d = None if dim is None else axis(dim, array.ndim)
    if d is not None and array.ndim:
        if not array.shape[d] and array.size == 0 and 0 in array.shape[:d] + array.shape[d + 1 :]:
            raise RuntimeError(
                "unique_dim: number of zero sized dimensions is more than one, so unique cannot be applied"
            )
    elif d is not None:
        d = None
    values, inverse, counts = np.unique(array, return_inverse=True, return_counts=True, axis=d, equal_nan=False)
    inverse = inverse.reshape(array.shape) if d is None else inverse.reshape(-1)
    return _results(values, inverse, counts, return_inverse, return_counts)


@numpy_names
def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: Any = None
) -> Any:
    """Return the elements, or slabs of a dimension, without those that repeat the one before.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.unique_consecutive(tg.tensor([1, 1, 2, 1]), return_counts=True)
    (tensor([1, 2, 1]), tensor([2, 1, 1]))
    """
    array = tensor_of(input, "unique_consecutive")
    d = 0 if dim is None else axis(dim, array.ndim)
    slabs = array.reshape(-1) if dim is None else np.moveaxis(array, d, 0)
    n = len(slabs)
    changed = (slabs[1:] != slabs[:-1]).reshape(max(n - 1, 0), -1).any(axis=1)
    first = np.concatenate([np.ones(min(n, 1), bool), changed])
    inverse = np.cumsum(first) - 1
    counts = np.diff(np.append(np.flatnonzero(first), n))
    return _results(
        np.moveaxis(slabs[first], 0, d) if dim is not None else slabs[first],
        inverse.reshape(array.shape) if dim is None else inverse,
        counts,
        return_inverse,
        return_counts,
    )


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """Return the indices of the elements that are not zero: a row for each, or a vector for each dimension.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nonzero(tg.tensor([[0, 5], [7, 0]]))
    tensor([[0, 1],
            [1, 0]])
    """
    array = tensor_of(input, "nonzero")
    if as_tuple:
        return tuple(wrap(i) for i in np.nonzero(np.atleast_1d(array)))
    if not array.ndim:
        return wrap(np.empty((int(array != 0), 0), np.int64))
    return wrap(np.argwhere(array))


def bincount(input: Tensor, weights: Any = None, minlength: int = 0) -> Tensor:
    """Return how often each number from 0 on occurs, or the sum of the weights of its occurrences.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.bincount(tg.tensor([0, 2, 2]))
    tensor([1, 0, 2])
    """
    array = tensor_of(input, "bincount")
    if array.dtype.kind not in "iu":
        raise NotImplementedError(f'"bincount_cpu" not implemented for {dtypes.of(array)}: write input.long()')
    if array.ndim != 1 or (array.size and array.min() < 0):
        raise RuntimeError(f"bincount only supports 1-d non-negative integral inputs, got shape {list(array.shape)}")
    if minlength < 0:
        raise RuntimeError(f"minlength should be >= 0, got {minlength}")
    w = None if weights is None else tensor_of(weights, "bincount", "weights")
    if w is None:
        return wrap(np.bincount(array, minlength=minlength).astype(np.int64))  # type: ignore[no-any-return]
    if w.shape != array.shape:
        raise RuntimeError(
            f"weights should be 1-d and have the same length as input, got {list(w.shape)} and {list(array.shape)}"
        )
    out = np.bincount(array, w, minlength)
    return wrap(out.astype(w.dtype) if w.dtype == np.float32 else out)  # type: ignore[no-any-return]
