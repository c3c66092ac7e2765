"""Orders and searches: sort, topk, unique, nonzero, bincount. Positions carry no gradient, values do, by gather."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..op import TensorBase, op, sample, wrap
from .arguments import axis
from .scatter import gather_row

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["argsort", "bincount", "nonzero", "sort", "topk", "unique"]

argsort_row = op(
    "argsort",
    lambda x, *, dim, descending: _order(x, dim, descending),
    numpy="np.argsort({x}, {dim}, kind='stable') if not {descending} else np.argsort(-{x}, {dim}, kind='stable')",
    domain=(-2, 2),
    samples=[sample((3, 4), dim=1, descending=False), sample((3, 4), dim=0, descending=True)],
)


def _order(x: Any, dim: int, descending: bool) -> Any:
    """A stable order; NaN counts as larger than anything, as in PyTorch."""
    if not x.ndim:
        return np.zeros((), np.int64)
    if not descending:
        return np.argsort(x, dim, kind="stable")
    # the stable descending order is the reversed stable ascending order of the reversed array
    back = np.flip(x, dim)
    return x.shape[dim] - 1 - np.flip(np.argsort(back, dim, kind="stable"), dim)


def _result(name: str) -> Any:
    base = namedtuple(name, ["values", "indices"])  # type: ignore[misc]

    def show(self: Any) -> str:
        return f"torch.return_types.{name}(\nvalues={self.values!r},\nindices={self.indices!r})"

    return type(name, (base,), {"__slots__": (), "__repr__": show, "__doc__": f"What ``{name}`` returns."})


SortResult, TopkResult = _result("sort"), _result("topk")


def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """Return the positions that sort along a dimension; equal elements stay in their order.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.argsort(tg.tensor([3, 1, 2]))
    tensor([1, 2, 0])
    """
    return argsort_row(input, dim=axis(dim, input._array.ndim), descending=bool(descending))  # type: ignore[no-any-return]


def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """Return the elements in order along a dimension, and where they were; equal elements stay in their order.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.sort(tg.tensor([3, 1, 2])).values
    tensor([1, 2, 3])
    """
    d = axis(dim, input._array.ndim)
    order = argsort_row(input, dim=d, descending=bool(descending))
    return SortResult(gather_row(input, order, dim=d), order)


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """Return the k largest (or smallest) elements along a dimension, and where they are.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.topk(tg.tensor([1.0, 4.0, 2.0]), 2)
    torch.return_types.topk(
    values=tensor([4., 2.]),
    indices=tensor([1, 2]))
    """
    d = axis(dim, input._array.ndim)
    n = input._array.shape[d] if input._array.ndim else 1
    if not 0 <= k <= n:
        raise RuntimeError(f"selected index k out of range: k={k} of {n} elements along dimension {d}")
    order = argsort_row(input, dim=d, descending=bool(largest))._array
    chosen = wrap(order[(*(slice(None),) * d, slice(0, k))] if order.ndim else order)
    return TopkResult(gather_row(input, chosen, dim=d), chosen)


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """Return the distinct elements (or slices along ``dim``) in order; also where each went and how many there are.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.unique(tg.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    array = input._array
    d = None if dim is None else axis(dim, array.ndim)
    values, inverse, counts = np.unique(array, return_inverse=True, return_counts=True, axis=d, equal_nan=False)
    shape = array.shape if d is None else (array.shape[d],)
    out = [wrap(values)]
    if return_inverse:
        out.append(wrap(np.asarray(inverse).reshape(shape)))
    if return_counts:
        out.append(wrap(np.asarray(counts)))
    return out[0] if len(out) == 1 else tuple(out)


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """Return the positions of the elements that are not zero, as rows; or as one vector for each dimension.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nonzero(tg.tensor([0, 7, 0, 5]))
    tensor([[1],
            [3]])
    """
    if as_tuple:
        return tuple(wrap(p) for p in np.nonzero(np.atleast_1d(input._array)))
    return wrap(np.argwhere(input._array))


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """Return how often each number from 0 on occurs, or the sum of the weights of its occurrences.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.bincount(tg.tensor([0, 2, 2]))
    tensor([1, 0, 2])
    """
    array = input._array
    if array.ndim != 1 or array.dtype.kind not in "iu" or array.min(initial=0) < 0:
        raise RuntimeError(
            f"bincount only supports 1-d non-negative integral inputs, got shape {list(array.shape)} of {dtypes.of(array)}"
        )
    if minlength < 0:
        raise RuntimeError(f"minlength should be >= 0, got {minlength}")
    w = weights._array if isinstance(weights, TensorBase) else None
    if w is not None and w.shape != array.shape:
        raise RuntimeError(f"weights should be 1-d and have the same length as input, got {list(w.shape)}")
    out = np.bincount(array.astype(np.int64), w, minlength)
    return wrap(out.astype(np.float32) if w is not None and w.dtype == np.float32 else out)  # type: ignore[no-any-return]
