"""Slabs at given positions of a dimension, and elements under a mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..dtypes import Array
from ..kernels import indexing as kernels
from ..op import TensorBase, op, sample, wrap
from .arguments import array_of, axis, kept, numpy_names, tensor_of
from .broadcast import sum_row
from .elementwise import where_row
from .gathering import in_range, positions_of
from .shape import reshape

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["index_add", "index_select", "masked_fill", "masked_select"]

_MASK = np.array([True, False, True, True])
_PICK = np.array([2, 0, 2])

# --- whole slabs --------------------------------------------------------------------------------------------------


def _slabs_added(x: Array, source: Array, *, dim: int, index: Array) -> Any:
    out = np.array(x, order="C")
    if not x.ndim:
        return out + source.sum().astype(x.dtype)
    kernels.add_along(out, dim, index, source)
    return out


def _slabs_added_in_numpy(x, source, dim, index):  # type: ignore[no-untyped-def]
    out = np.array(x, order="C")
    if not x.ndim:
        return out + source.sum()
    np.add.at(np.moveaxis(out, dim, 0), index, np.moveaxis(source, dim, 0))
    return out


index_select_row: Any = op(
    "index_select",
    lambda x, *, dim, index: np.take(x, index, axis=dim) if x.ndim else x.copy(),
    vjp=lambda g, x_shape, dim, index: index_add_row(np.zeros(x_shape, array_of(g).dtype), g, dim=dim, index=index),
    numpy="np.take({x}, {index}, axis={dim})",
    domain=(-2, 2),
    samples=[sample((3, 4), dim=0, index=_PICK), sample((2, 3, 2), dim=1, index=_PICK)],
)
index_add_row: Any = op(
    "index_add",
    _slabs_added,
    vjp=(
        lambda g: g,
        lambda g, source_shape, dim, index: reshape(index_select_row(g, dim=dim, index=index), source_shape),
    ),
    numpy=_slabs_added_in_numpy,
    domain=(-2, 2),
    samples=[sample((3, 4), (3, 4), dim=0, index=_PICK), sample((2, 3, 2), (2, 3, 2), dim=1, index=_PICK)],
)

# --- masks --------------------------------------------------------------------------------------------------------


def _filled(x: Array, value: Any, *, mask: Array) -> Array:
    return np.where(mask, np.asarray(value).astype(x.dtype), x)


masked_fill_row = op(
    "masked_fill",
    _filled,
    vjp=(
        lambda g, mask: where_row(mask, 0.0, g),
        lambda g, mask: sum_row(where_row(mask, g, 0.0), dim=None, keepdim=False),
    ),
    numpy="np.where({mask}, {value}, {x})",
    domain=(-2, 2),
    samples=[sample((3, 4), (), mask=_MASK), sample((3, 4), 0.5, mask=_MASK)],
    grad_name=lambda arrays, params: f"MaskedFillBackward{int(isinstance(arrays[1], np.ndarray))}",
)


def _selected(x: Array, *, mask: Array) -> Array:
    x, mask = np.broadcast_arrays(x, mask)
    return x[mask]


def _spread_out(g: Array, *, shape: tuple[int, ...], mask: Array) -> Array:
    out = np.zeros(shape, g.dtype)
    out[np.broadcast_to(mask, shape)] = g
    return out


masked_select_row: Any = op(
    "masked_select",
    _selected,
    vjp=lambda g, x_shape, mask: masked_select_grad(g, shape=np.broadcast_shapes(x_shape, mask.shape), mask=mask),
    numpy=_selected,
    domain=(-2, 2),
    samples=[sample((3, 4), mask=_MASK), sample((3, 1), mask=_MASK)],
)
masked_select_grad: Any = op(
    "masked_select_grad",
    _spread_out,
    vjp=lambda g, mask: masked_select_row(g, mask=mask),
    numpy=_spread_out,
    domain=(-2, 2),
    samples=[sample((3,), shape=(4,), mask=_MASK)],
    grad_name="MaskedScatterBackward0",
)

# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def _vector(index: Any, name: str) -> Array:
    at = positions_of(index, name)
    if at.ndim > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector, but got shape {list(at.shape)}")
    return kept(at.reshape(-1))  # type: ignore[no-any-return]


@numpy_names
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """Return the slabs at these positions of a dimension, as a copy.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.index_select(tg.tensor([[1, 2], [3, 4]]), 0, tg.tensor([1, 1]))
    tensor([[3, 4],
            [3, 4]])
    """
    x, at = tensor_of(input, "index_select"), _vector(index, "index_select")
    d = axis(dim, x.ndim)
    if not x.ndim and at.size != 1:
        raise RuntimeError(f"index_select(): Index to scalar can have only 1 value, got {at.size} value(s)")
    in_range(at, d, x.shape[d] if x.ndim else 1, IndexError)
    return index_select_row(input, dim=d, index=at)  # type: ignore[no-any-return]


@numpy_names
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
    """Return the input with ``alpha`` times the slabs of ``source`` added at these positions; repeated ones add up.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.index_add(tg.zeros(3), 0, tg.tensor([0, 0, 2]), tg.tensor([1.0, 2.0, 3.0]))
    tensor([3., 0., 3.])
    """
    x, s, at = tensor_of(input, "index_add"), tensor_of(source, "index_add", "source"), _vector(index, "index_add")
    d = axis(dim, x.ndim)
    if x.dtype != s.dtype:
        raise RuntimeError(
            f"index_add_(): self ({dtypes.of(x)}) and source ({dtypes.of(s)}) must have the same scalar type; write "
            f"source.to(input.dtype)"
        )
    if at.size != (s.shape[d] if s.ndim else 1):
        raise RuntimeError(
            f"index_add_(): Number of indices ({at.size}) should be equal to source.size(dim): "
            f"({s.shape[d] if s.ndim else 1}), for dim: {d}"
        )
    if x.shape[:d] + x.shape[d + 1 :] != s.shape[:d] + s.shape[d + 1 :]:
        raise RuntimeError(
            f"source tensor shape must match self tensor shape, excluding the specified dimension. Got self.shape = "
            f"{list(x.shape)} source.shape = {list(s.shape)}"
        )
    in_range(at, d, x.shape[d] if x.ndim else 1, RuntimeError)
    return index_add_row(input, source if alpha == 1 else source * alpha, dim=d, index=at)  # type: ignore[no-any-return]


def _mask(mask: Any, name: str) -> Array:
    array = tensor_of(mask, name, "mask")
    if array.dtype.kind != "b":
        raise RuntimeError(
            f"{name}: only supports boolean masks, but got mask with dtype {dtypes.of(array)}; write mask.bool()"
        )
    return kept(array)  # type: ignore[no-any-return]


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """Return the input with ``value``, a number or 0-d tensor, where the mask is true.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.masked_fill(tg.tensor([1.0, 2.0]), tg.tensor([True, False]), -1)
    tensor([-1.,  2.])
    """
    x, where = tensor_of(input, "masked_fill"), _mask(mask, "masked_fill")
    given = value._array if isinstance(value, TensorBase) else np.asarray(value)
    if given.ndim:
        raise RuntimeError(
            f"masked_fill_ only supports a 0-dimensional value tensor, but got tensor with {given.ndim} dimension(s). "
            f"Write where(mask, value, input)."
        )
    if given.dtype.kind == "c" and x.dtype.kind != "c":
        raise RuntimeError(f"value cannot be converted to type {dtypes.of(x)} without overflow")
    return masked_fill_row(input, value, mask=where)  # type: ignore[no-any-return]


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """Return the elements where the mask is true, as a vector; the two broadcast.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.masked_select(tg.tensor([1, 2, 3]), tg.tensor([True, False, True]))
    tensor([1, 3])
    """
    tensor_of(input, "masked_select")
    return masked_select_row(input, mask=_mask(mask, "masked_select"))  # type: ignore[no-any-return]


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Return int64 rows that are 1 at the class number and 0 elsewhere; by default as many classes as occur.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.one_hot(tg.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    array = tensor_of(tensor, "one_hot", "tensor")
    if array.dtype != np.int64:
        raise RuntimeError(
            f"one_hot is only applicable to index tensor of type LongTensor, got {dtypes.of(array)}; write .long()"
        )
    if num_classes == -1:
        if not array.size:
            raise RuntimeError("Can not infer total number of classes from empty tensor: write one_hot(x, num_classes)")
        num_classes = int(array.max()) + 1
    if array.size and array.min() < 0:
        raise RuntimeError(f"Class values must be non-negative, got {array.min()}.")
    if array.size and array.max() >= num_classes:
        raise RuntimeError(
            f"Class values must be smaller than num_classes: got {array.max()} with num_classes={num_classes}."
        )
    return wrap((array[..., None] == np.arange(num_classes)).astype(np.int64))  # type: ignore[no-any-return]
