"""Largest, smallest and middle elements, and where they are."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import Array
from ..op import TensorBase, op, sample
from .arguments import array_of, axes, axis, numpy_names, tensor_of
from .broadcast import DIMS, Dims, restored, sum_row
from .elementwise import maximum, minimum, where_row
from .shape import to, unsqueeze_row

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["amax", "amin", "argmax", "argmin", "max", "median", "min"]

# --- rows ---------------------------------------------------------------------------------------------------------


def evenly(g: Any, x: Any, y: Any, dim: Dims, keepdim: bool) -> Any:
    """Share a gradient among all entries that equal the result; among the NaN, if it is NaN."""
    shape = x.shape
    if dim is None and x.__class__ is np.ndarray:
        chosen = x == y if y == y else x != x
        return np.where(chosen, g / np.count_nonzero(chosen), 0.0)
    y = restored(y, shape, dim, keepdim)
    best = (x == y) | ((x != x) & (y != y))
    ties = sum_row(to(best, array_of(x).dtype), dim=dim, keepdim=True)
    return where_row(best, restored(g, shape, dim, keepdim) / ties, 0.0)


def _whole(name: str, ufunc: Any, numpy: str, grad_name: str) -> Any:
    return op(
        name,
        lambda x, *, dim, keepdim: ufunc.reduce(x, axis=dim, keepdims=keepdim),
        vjp=lambda g, x, y, dim, keepdim: evenly(g, x, y, dim, keepdim),
        numpy=f"{{x}}.{numpy}(axis={{dim}}, keepdims={{keepdim}})",
        domain=(-2, 2),
        samples=DIMS,
        grad_name=grad_name,
    )


amax_row = _whole("amax", np.maximum, "max", "AmaxBackward0")
amin_row = _whole("amin", np.minimum, "min", "AminBackward0")
max_all = _whole("max_all", np.maximum, "max", "MaxBackward1")
min_all = _whole("min_all", np.minimum, "min", "MinBackward1")


def _at(x: Array, index: Any, dim: int, keepdim: bool) -> tuple[Array, Array]:
    """The elements at these places along a dimension, and the places."""
    index = np.asarray(index)
    kept = np.expand_dims(index, dim) if x.ndim else index
    values = np.take_along_axis(x, kept, dim) if x.ndim else x.copy()
    return (values, kept) if keepdim else (values.reshape(index.shape), index)


def _middle(x: Array, *, dim: int, keepdim: bool) -> tuple[Array, Array]:
    if not x.ndim:
        return x.copy(), np.asarray(0)
    order = np.argsort(x, axis=dim, kind="stable")
    index = np.take(order, (x.shape[dim] - 1) // 2, axis=dim)
    if x.dtype.kind == "f":
        nan = np.isnan(x)
        index = np.where(nan.any(axis=dim), nan.argmax(axis=dim), index)
    return _at(x, index, dim, keepdim)


def _one_hot_grad(g: Any, x_shape: tuple[int, ...], indices: Any, dim: int, keepdim: bool) -> Any:
    if not x_shape:
        return g
    chosen = array_of(indices) if keepdim else np.expand_dims(array_of(indices), dim)
    hot = np.arange(x_shape[dim]).reshape((-1,) + (1,) * (len(x_shape) - dim - 1)) == chosen
    return where_row(hot, g if keepdim else unsqueeze_row(g, dim=dim), 0.0)


_ONE_DIM = [sample((3, 5), dim=1, keepdim=False), sample((3, 2, 4), dim=0, keepdim=True)]


def _along(name: str, forward: Any, numpy: Any, grad_name: str) -> Any:
    return op(
        name,
        forward,
        vjp=lambda g, x_shape, indices, dim, keepdim: _one_hot_grad(g, x_shape, indices, dim, keepdim),
        numpy=numpy,
        domain=(-2, 2),
        samples=_ONE_DIM,
        outputs=("y", "indices"),
        grad_name=grad_name,
    )


max_row = _along(
    "max",
    lambda x, *, dim, keepdim: _at(x, np.argmax(x, axis=dim if x.ndim else None), dim, keepdim),
    "{x}.max(axis={dim}, keepdims={keepdim})",
    "MaxBackward0",
)
min_row = _along(
    "min",
    lambda x, *, dim, keepdim: _at(x, np.argmin(x, axis=dim if x.ndim else None), dim, keepdim),
    "{x}.min(axis={dim}, keepdims={keepdim})",
    "MinBackward0",
)
median_row = _along(
    "median",
    _middle,
    lambda x, dim, keepdim: np.quantile(x, 0.5, axis=dim, keepdims=keepdim, method="inverted_cdf"),
    "MedianBackward1",
)


def _middle_of_all(x: Array) -> Array:
    if not x.size:
        return np.asarray(np.nan, x.dtype)
    return _middle(x.reshape(-1), dim=0, keepdim=False)[0]


median_all = op(
    "median_all",
    _middle_of_all,
    vjp=lambda g, x, y: evenly(g, x, y, None, False),
    numpy=lambda x: np.quantile(x, 0.5, method="inverted_cdf"),
    domain=(-2, 2),
    samples=[sample((3, 5)), sample((2, 2))],
    grad_name="MedianBackward0",
)


def _place(name: str) -> Any:
    find = getattr(np, name)
    return op(
        name,
        lambda x, *, dim, keepdim: find(x, axis=dim, keepdims=keepdim),
        numpy=f"np.{name}({{x}}, axis={{dim}}, keepdims={{keepdim}})",
        domain=(-2, 2),
        samples=[sample((3, 4), dim=None, keepdim=False), sample((3, 4), dim=1, keepdim=True)],
    )


argmax_row = _place("argmax")
argmin_row = _place("argmin")

# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def return_type(name: str, *fields: str) -> Any:
    """A named tuple that prints itself as PyTorch's of that name."""
    base = namedtuple(name, fields)  # type: ignore[misc]

    def show(self: Any) -> str:
        parts = ",\n".join(f"{field}={value!r}" for field, value in zip(fields, self, strict=True))
        return f"torch.return_types.{name}(\n{parts})"

    return type(name, (base,), {"__slots__": (), "__repr__": show, "__doc__": f"What ``{name}`` returns."})


_Max, _Min, _Median = (return_type(name, "values", "indices") for name in ("max", "min", "median"))


def checked_axis(array: Array, dim: Any, name: str) -> int:
    """A dimension to reduce to one of its elements: it must have some."""
    d = axis(dim, array.ndim)
    if array.ndim and not array.shape[d]:
        raise IndexError(f"{name}(): Expected reduction dim {d} to have non-zero size, got shape {list(array.shape)}")
    return d


def _of_nothing(name: str, array: Array) -> str:
    return (
        f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
        f"'dim' argument: the shape is {list(array.shape)}"
    )


@numpy_names
def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
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
    array = tensor_of(input, "max")
    if other is not None or isinstance(dim, TensorBase):
        return maximum(input, dim if other is None else other)
    if dim is not None:
        return _Max(*max_row(input, dim=checked_axis(array, dim, "max"), keepdim=keepdim))
    if not array.size:
        raise RuntimeError(_of_nothing("max", array))
    return max_all(input, dim=None, keepdim=False)


@numpy_names
def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """Return the smallest element, or (values, indices) along a dimension, or the smaller of two tensors elementwise.

    Over all elements the gradient is shared among ties; along a dimension it goes to the one that was picked.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([3.0, 1.0, 2.0]).min()
    tensor(1.)
    """
    array = tensor_of(input, "min")
    if other is not None or isinstance(dim, TensorBase):
        return minimum(input, dim if other is None else other)
    if dim is not None:
        return _Min(*min_row(input, dim=checked_axis(array, dim, "min"), keepdim=keepdim))
    if not array.size:
        raise RuntimeError(_of_nothing("min", array))
    return min_all(input, dim=None, keepdim=False)


@numpy_names
def median(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """Return the middle element, the lower of two; or (values, indices) along a dimension. NaN if there is one.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.median(tg.tensor([4.0, 1.0, 3.0, 2.0]))
    tensor(2.)
    """
    array = tensor_of(input, "median")
    if dim is None:
        return median_all(input)
    return _Median(*median_row(input, dim=checked_axis(array, dim, "median"), keepdim=keepdim))


def _dims(array: Array, dim: Any, name: str) -> Dims:
    dims = axes(dim, array.ndim)
    if dim is None or dim == ():
        if not array.size:
            raise RuntimeError(_of_nothing(name, array))
    elif dims is not None and not all(array.shape[d] for d in dims):
        raise IndexError(f"{name}(): Expected reduction dim to have non-zero size, got shape {list(array.shape)}")
    return dims


@numpy_names
def amax(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """Return the largest elements over all or some dimensions; ties share the gradient.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([[1.0, 5.0], [7.0, 2.0]]).amax(1)
    tensor([5., 7.])
    """
    return amax_row(input, dim=_dims(tensor_of(input, "amax"), dim, "amax"), keepdim=keepdim)  # type: ignore[no-any-return]


@numpy_names
def amin(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """Return the smallest elements over all or some dimensions; ties share the gradient.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([[1.0, 5.0], [7.0, 2.0]]).amin(1)
    tensor([1., 2.])
    """
    return amin_row(input, dim=_dims(tensor_of(input, "amin"), dim, "amin"), keepdim=keepdim)  # type: ignore[no-any-return]


def _arg(input: Tensor, dim: Any, keepdim: bool, row: Any, name: str) -> Any:
    array = tensor_of(input, name)
    if dim is None:
        if not array.size:
            raise IndexError(_of_nothing(name, array))
        return row(input, dim=None, keepdim=keepdim)
    d = checked_axis(array, dim, name)
    return row(input, dim=d if array.ndim else None, keepdim=keepdim)


@numpy_names
def argmax(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Return where the largest element is, in the flattened tensor or along a dimension; of several, the first.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([[1.0, 5.0], [7.0, 2.0]]).argmax(dim=1)
    tensor([1, 0])
    """
    return _arg(input, dim, keepdim, argmax_row, "argmax")  # type: ignore[no-any-return]


@numpy_names
def argmin(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Return where the smallest element is, in the flattened tensor or along a dimension; of several, the first.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([3.0, 1.0, 2.0]).argmin()
    tensor(1)
    """
    return _arg(input, dim, keepdim, argmin_row, "argmin")  # type: ignore[no-any-return]
