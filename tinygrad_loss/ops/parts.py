"""Views of parts: one index, a range, pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..op import TensorBase
from .arguments import axis, numpy_names, sizes, tensor_of
from .slicing import select_row, slice_row, split_row, split_sizes_row, unbind_row

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["chunk", "narrow", "select", "split", "unbind"]

Tensors = tuple["Tensor", ...]


@numpy_names
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """Return a view of what stands at one index of a dimension.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.select(tg.tensor([[1, 2], [3, 4]]), 1, 0)
    tensor([1, 3])
    """
    shape = tensor_of(input, "select").shape
    if not shape:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    d, i = axis(dim, len(shape)), int(index)
    if not -shape[d] <= i < shape[d]:
        raise IndexError(f"select(): index {i} out of range for tensor of size {list(shape)} at dimension {d}")
    return select_row(input, index=(slice(None),) * d + (i,))  # type: ignore[no-any-return]


@numpy_names
def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """Return a view of ``length`` elements along a dimension, from ``start`` on.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.narrow(tg.tensor([1, 2, 3, 4]), 0, 1, 2)
    tensor([2, 3])
    """
    shape = tensor_of(input, "narrow").shape
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if isinstance(start, TensorBase):
        if start._array.ndim or start._array.dtype.kind not in "iu":
            raise RuntimeError("start must be an 0-dim integral Tensor.")
        start = start._array.item()
    if length < 0:
        raise RuntimeError(f"narrow(): length must be non-negative, got {length}.")
    d = axis(dim, len(shape))
    size = shape[d]
    if not -size <= start <= size:
        raise IndexError(f"start out of range (expected to be in range of [{-size}, {size}], but got {start})")
    first = start + size if start < 0 else start
    if first + length > size:
        raise RuntimeError(f"start ({first}) + length ({length}) exceeds dimension size ({size}).")
    return slice_row(input, index=(slice(None),) * d + (slice(first, first + length),))  # type: ignore[no-any-return]


def _pieces(row: Any, input: Tensor, d: int, lengths: Any) -> Tensors:
    ends = np.cumsum(lengths).tolist()
    before = (slice(None),) * d
    return tuple(row(input, index=(*before, slice(e - n, e))) for e, n in zip(ends, lengths, strict=True))


@numpy_names
def split(input: Tensor, split_size: Any, dim: int = 0) -> Tensors:
    """Return views of parts along a dimension: of one size, the last may be smaller, or of the sizes given.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.split(tg.arange(5), 2), tg.split(tg.arange(5), [1, 4])
    ((tensor([0, 1]), tensor([2, 3]), tensor([4])), (tensor([0]), tensor([1, 2, 3, 4])))
    """
    shape = tensor_of(input, "split").shape
    if not shape:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    d = axis(dim, len(shape))
    size = shape[d]
    if isinstance(split_size, (tuple, list)):
        lengths = sizes((split_size,))
        if sum(lengths) != size or min(lengths, default=0) < 0:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {size} (input tensor's size at dimension {d}), "
                f"but got split_sizes={list(lengths)}"
            )
        return _pieces(split_sizes_row, input, d, lengths)
    n = int(split_size)
    if n < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={n}")
    if n == 0 and size:
        raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {size}")
    lengths = tuple(min(n, size - start) for start in range(0, size, n or 1)) or (0,)
    return _pieces(split_row, input, d, lengths)


@numpy_names
def chunk(input: Tensor, chunks: int, dim: int = 0) -> Tensors:
    """Return views of at most so many parts of one size along a dimension; the last may be smaller.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.chunk(tg.arange(5), 3)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    shape = tensor_of(input, "chunk").shape
    if not shape:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    d = axis(dim, len(shape))
    size = -(-shape[d] // chunks)
    return split(input, size, d) if size else split(input, [0] * chunks, d)


@numpy_names
def unbind(input: Tensor, dim: int = 0) -> Tensors:
    """Return views of what stands at each index of a dimension.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.unbind(tg.tensor([[1, 2], [3, 4]]))
    (tensor([1, 2]), tensor([3, 4]))
    """
    shape = tensor_of(input, "unbind").shape
    if not shape:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    d = axis(dim, len(shape))
    return tuple(unbind_row(input, index=(slice(None),) * d + (i,)) for i in range(shape[d]))
