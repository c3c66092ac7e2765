"""Reductions: many elements to one, over all or some dimensions."""

from __future__ import annotations

import math
from collections import namedtuple
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..dtypes import Array
from ..op import TensorBase, op, sample
from .arguments import axes, axis, numpy_names
from .broadcast import DIMS, Dims, restored, spread, sum_row, total
from .elementwise import maximum, minimum, where_row
from .shape import to, unsqueeze_row

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "max",
    "mean",
    "min",
    "sum",
]

# --- rows ---------------------------------------------------------------------------------------------------------


def _count(shape: tuple[int, ...], dim: Dims) -> int:
    return math.prod(n for d, n in enumerate(shape) if dim is None or d in dim)


def _average(x: Array, *, dim: Dims, keepdim: bool) -> Any:
    s = total(x, dim=dim, keepdim=keepdim)
    return np.divide(s, _count(x.shape, dim), dtype=s.dtype)


mean_row = op(
    "mean",
    _average,
    vjp=lambda g, x_shape, dim, keepdim: spread(g / _count(x_shape, dim), x_shape, dim, keepdim),
    numpy="{x}.mean(axis={dim}, keepdims={keepdim})",
    domain=(-2, 2),
    samples=DIMS,
)


def _evenly(g: Any, x: Any, y: Any, dim: Dims, keepdim: bool) -> Any:
    """Share a gradient among all entries that equal the extremum."""
    shape = x.shape
    best = x == restored(y, shape, dim, keepdim)
    ties = sum_row(to(best, x.dtype if isinstance(x, np.ndarray) else x._array.dtype), dim=dim, keepdim=True)
    return where_row(best, restored(g, shape, dim, keepdim) / ties, 0.0)


amax_row = op(
    "amax",
    lambda x, *, dim, keepdim: np.max(x, axis=dim, keepdims=keepdim),
    vjp=lambda g, x, y, dim, keepdim: _evenly(g, x, y, dim, keepdim),
    numpy="{x}.max(axis={dim}, keepdims={keepdim})",
    domain=(-2, 2),
    samples=DIMS,
)
amin_row = op(
    "amin",
    lambda x, *, dim, keepdim: np.min(x, axis=dim, keepdims=keepdim),
    vjp=lambda g, x, y, dim, keepdim: _evenly(g, x, y, dim, keepdim),
    numpy="{x}.min(axis={dim}, keepdims={keepdim})",
    domain=(-2, 2),
    samples=DIMS,
)


def _at(x: Array, index: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
    kept = np.expand_dims(index, dim) if x.ndim else index
    values = np.take_along_axis(x, kept, dim) if x.ndim else x.copy()
    return (values, kept) if keepdim else (values.reshape(index.shape), index)


def _one_hot_grad(g: Any, x_shape: tuple[int, ...], indices: Array, dim: int, keepdim: bool) -> Any:
    if not x_shape:
        return g
    chosen = indices if keepdim else np.expand_dims(indices, dim)
    hot = np.arange(x_shape[dim]).reshape((-1,) + (1,) * (len(x_shape) - dim - 1)) == chosen
    return where_row(hot, g if keepdim else unsqueeze_row(g, dim=dim), 0.0)


_ONE_DIM = [
    sample((3, 4), dim=1, keepdim=False),
    sample((2, 3, 4), dim=0, keepdim=True),
    sample((), dim=0, keepdim=False),
]
max_row = op(
    "max",
    lambda x, *, dim, keepdim: _at(x, np.argmax(x, axis=dim if x.ndim else None), dim, keepdim),
    vjp=lambda g, x_shape, indices, dim, keepdim: _one_hot_grad(g, x_shape, indices, dim, keepdim),
    numpy="{x}.max(axis={dim}, keepdims={keepdim})",
    domain=(-2, 2),
    samples=_ONE_DIM[:2],
    outputs=("y", "indices"),
)
min_row = op(
    "min",
    lambda x, *, dim, keepdim: _at(x, np.argmin(x, axis=dim if x.ndim else None), dim, keepdim),
    vjp=lambda g, x_shape, indices, dim, keepdim: _one_hot_grad(g, x_shape, indices, dim, keepdim),
    numpy="{x}.min(axis={dim}, keepdims={keepdim})",
    domain=(-2, 2),
    samples=_ONE_DIM[:2],
    outputs=("y", "indices"),
)
argmax_row = op(
    "argmax",
    lambda x, *, dim, keepdim: np.asarray(np.argmax(x, axis=dim, keepdims=keepdim)),
    numpy="np.argmax({x}, axis={dim}, keepdims={keepdim})",
    domain=(-2, 2),
    samples=[sample((3, 4), dim=None, keepdim=False), sample((3, 4), dim=1, keepdim=True)],
)
argmin_row = op(
    "argmin",
    lambda x, *, dim, keepdim: np.asarray(np.argmin(x, axis=dim, keepdims=keepdim)),
    numpy="np.argmin({x}, axis={dim}, keepdims={keepdim})",
    domain=(-2, 2),
    samples=[sample((3, 4), dim=None, keepdim=False), sample((3, 4), dim=1, keepdim=True)],
)
all_row = op(
    "all",
    lambda x, *, dim, keepdim: np.all(x, axis=dim, keepdims=keepdim),
    numpy="np.all({x}, axis={dim}, keepdims={keepdim})",
    domain=(-2, 2),
    samples=DIMS,
)
any_row = op(
    "any",
    lambda x, *, dim, keepdim: np.any(x, axis=dim, keepdims=keepdim),
    numpy="np.any({x}, axis={dim}, keepdims={keepdim})",
    domain=(-2, 2),
    samples=DIMS,
)

# --- PyTorch's signatures -----------------------------------------------------------------------------------------


@numpy_names
def sum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:  # noqa: A001
    """Return the sum over all elements or some dimensions; integers and bools sum to int64.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]).sum(0)
    tensor([4., 6.])
    """
    array = input._array
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
    if dtype is not None:
        input = to(input, dtypes.as_numpy(dtype))
    if input._array.dtype.kind in "iub":
        raise RuntimeError(
            f"mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. "
            f"Got: {dtypes.of(input._array)}. Write .float().mean()."
        )
    return mean_row(input, dim=axes(dim, input._array.ndim), keepdim=keepdim)  # type: ignore[no-any-return]


def _return_type(name: str) -> Any:
    base = namedtuple(name, ["values", "indices"])  # type: ignore[misc] # noqa: PYI024 -- the fields are the interface

    def show(self: Any) -> str:
        return f"torch.return_types.{name}(\nvalues={self.values!r},\nindices={self.indices!r})"

    return type(
        name, (base,), {"__slots__": (), "__repr__": show, "__doc__": f"What ``{name}`` along a dimension returns."}
    )


MaxResult, MinResult = _return_type("max"), _return_type("min")


def _extremum(
    input: Tensor, dim: Any, keepdim: bool, name: str, whole: Any, along: Any, pairwise: Any, result: Any
) -> Any:
    if isinstance(dim, TensorBase):
        return pairwise(input, dim)
    array = input._array
    if array.size == 0 and (dim is None or array.shape[axis(dim, array.ndim)] == 0):
        raise (RuntimeError if dim is None else IndexError)(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0 with a non-zero size, got "
            f"shape {list(array.shape)}"
        )
    if dim is None:
        return whole(input, dim=None, keepdim=False)
    return result(*along(input, dim=axis(dim, array.ndim), keepdim=keepdim))


@numpy_names
def max(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:  # noqa: A001
    """Return the largest element, or (values, indices) along a dimension, or the larger of two tensors elementwise.

    Over all elements the gradient is shared among ties; along a dimension it goes to the one that was picked.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([[1.0, 5.0], [7.0, 2.0]]).max(1)
    torch.return_types.max(
    values=tensor([5., 7.]),
    indices=tensor([1, 0]))
    """
    return _extremum(input, dim, keepdim, "max", amax_row, max_row, maximum, MaxResult)


@numpy_names
def min(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:  # noqa: A001
    """Return the smallest element, or (values, indices) along a dimension, or the smaller of two tensors elementwise.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([3.0, 1.0, 2.0]).min()
    tensor(1.)
    """
    return _extremum(input, dim, keepdim, "min", amin_row, min_row, minimum, MinResult)


def _amax(row: Any, name: str, example: str) -> Any:
    @numpy_names
    def call(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
        array = input._array
        dims = axes(dim, array.ndim)
        if any_empty(array.shape, dims):
            raise IndexError(f"{name}(): Expected reduction dim to have non-zero size, got shape {list(array.shape)}")
        return row(input, dim=dims, keepdim=keepdim)  # type: ignore[no-any-return]

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"""Return the {"largest" if name == "amax" else "smallest"} elements over all or some dimensions; ties share the gradient.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([[1.0, 5.0], [7.0, 2.0]]).{name}(1)
    {example}
    """
    return call


def any_empty(shape: tuple[int, ...], dim: Dims) -> bool:
    """Tell whether a reduction over ``dim`` would reduce nothing."""
    return 0 in (shape if dim is None else [shape[d] for d in dim])


amax = _amax(amax_row, "amax", "tensor([5., 7.])")
amin = _amax(amin_row, "amin", "tensor([1., 2.])")


def _arg(input: Tensor, dim: Any, keepdim: bool, row: Any, name: str) -> Any:
    array = input._array
    if array.size == 0 and (dim is None or array.shape[axis(dim, array.ndim)] == 0):
        raise IndexError(f"{name}(): Expected a non-empty reduction, got shape {list(array.shape)}")
    return row(input, dim=None if dim is None or not array.ndim else axis(dim, array.ndim), keepdim=keepdim)


@numpy_names
def argmax(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Return where the largest element is, in the flattened tensor or along a dimension.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([[1.0, 5.0], [7.0, 2.0]]).argmax(dim=1)
    tensor([1, 0])
    """
    return _arg(input, dim, keepdim, argmax_row, "argmax")  # type: ignore[no-any-return]


@numpy_names
def argmin(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Return where the smallest element is, in the flattened tensor or along a dimension.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([3.0, 1.0, 2.0]).argmin()
    tensor(1)
    """
    return _arg(input, dim, keepdim, argmin_row, "argmin")  # type: ignore[no-any-return]


@numpy_names
def all(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:  # noqa: A001
    """Tell whether all elements are true (not zero).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([[True, False], [True, True]]).all(1)
    tensor([False,  True])
    """
    return all_row(input, dim=axes(dim, input._array.ndim), keepdim=keepdim)  # type: ignore[no-any-return]


@numpy_names
def any(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:  # noqa: A001
    """Tell whether some element is true (not zero).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([0, 0, 3]).any()
    tensor(True)
    """
    return any_row(input, dim=axes(dim, input._array.ndim), keepdim=keepdim)  # type: ignore[no-any-return]
