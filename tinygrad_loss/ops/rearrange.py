"""Copies in another order: mirrored, rolled, repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..op import TensorBase, op, sample, wrap
from .arguments import axes, axis, numpy_names, sizes, tensor_of
from .broadcast import expand_row, sum_row
from .selection import index_select_row
from .shape import contiguous_row, reshape, unsqueeze_row

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "flip",
    "fliplr",
    "flipud",
    "repeat_interleave",
    "roll",
    "tile",
]

flip_row: Any = op(
    "flip",
    lambda x, *, dim: np.flip(x, dim).copy(),
    vjp=lambda g, dim: flip_row(g, dim=dim),
    numpy="np.flip({x}, {dim})",
    domain=(-2, 2),
    samples=[sample((3, 4), dim=(1,)), sample((2, 3, 2), dim=(0, 2))],
)
roll_row: Any = op(
    "roll",
    lambda x, *, shifts, dim: np.roll(x, shifts, dim),
    vjp=lambda g, shifts, dim: roll_row(g, shifts=tuple(-s for s in shifts), dim=dim),
    numpy="np.roll({x}, {shifts}, {dim})",
    domain=(-2, 2),
    samples=[sample((3, 4), shifts=(1,), dim=None), sample((2, 3), shifts=(1, -1), dim=(0, 1))],
)


def _folded(g: Any, shape: tuple[int, ...], reps: tuple[int, ...]) -> Any:
    """Sum over the repetitions."""
    full = (1,) * (len(reps) - len(shape)) + shape
    pairs = tuple(n for pair in zip(reps, full, strict=True) for n in pair)
    return reshape(sum_row(reshape(g, pairs), dim=tuple(range(0, len(pairs), 2)), keepdim=False), shape)


repeat_row = op(
    "repeat",
    lambda x, *, reps: np.tile(x, reps),
    vjp=lambda g, x_shape, reps: _folded(g, x_shape, reps) if reps else g,
    numpy="np.tile({x}, {reps})",
    domain=(-2, 2),
    samples=[sample((2, 3), reps=(2, 1, 3)), sample((), reps=(2,)), sample((3,), reps=(0,))],
)


# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def flip(input: Tensor, *dim: Any, dims: Any = None) -> Tensor:
    """Return the elements in the opposite order along some dimensions: a copy.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.flip(tg.tensor([[1, 2], [3, 4]]), (1,))
    tensor([[2, 1],
            [4, 3]])
    """
    array = tensor_of(input, "flip")
    if not dim and dims is None:
        raise TypeError("flip() missing 1 required positional argument: 'dims'; write flip(0)")
    chosen = sizes(dim, dims)
    return flip_row(input, dim=axes(chosen, array.ndim) if chosen else ())  # type: ignore[no-any-return]


def fliplr(input: Tensor) -> Tensor:
    """Return the columns (dimension 1) in the opposite order.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.fliplr(tg.tensor([[1, 2], [3, 4]]))
    tensor([[2, 1],
            [4, 3]])
    """
    return flip(input, 1)


def flipud(input: Tensor) -> Tensor:
    """Return the rows (dimension 0) in the opposite order.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.flipud(tg.tensor([[1, 2], [3, 4]]))
    tensor([[3, 4],
            [1, 2]])
    """
    return flip(input, 0)


@numpy_names
def roll(input: Tensor, shifts: Any, dims: Any = None, *, dim: Any = None) -> Tensor:
    """Return the elements moved by ``shifts`` places along ``dims``; what falls off one end comes in at the other.

    Without ``dims`` the tensor is rolled as if it were flat.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.roll(tg.tensor([1, 2, 3, 4]), 1)
    tensor([4, 1, 2, 3])
    """
    array = tensor_of(input, "roll")
    dims = dim if dims is None else dims
    moved = sizes((shifts,))
    if not moved:
        raise RuntimeError("`shifts` required: write roll(1, 0)")
    where = () if dims is None else tuple(dims) if isinstance(dims, (tuple, list)) else (dims,)
    if not where:
        if len(moved) != 1:
            raise RuntimeError(f"shifts and dimensions must align. shifts: {len(moved)}, dims:0")
        return roll_row(input, shifts=moved, dim=None)  # type: ignore[no-any-return]
    if len(moved) != len(where):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(moved)}, dims:{len(where)}")
    if not array.ndim:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    return roll_row(input, shifts=moved, dim=tuple(axis(d, array.ndim) for d in where))  # type: ignore[no-any-return]


def repeat(input: Tensor, *counts: Any, repeats: Any = None) -> Tensor:
    """Return the tensor laid side by side so many times along each dimension; more counts than dimensions lead.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    array, reps = tensor_of(input, "repeat"), sizes(counts, repeats)
    if len(reps) < array.ndim:
        raise RuntimeError(
            f"Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor: got "
            f"{list(reps)} for shape {list(array.shape)}; write tile()"
        )
    if min(reps, default=0) < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension: repeat{reps}")
    return repeat_row(input, reps=reps)  # type: ignore[no-any-return]


def tile(input: Tensor, *counts: Any, dims: Any = None) -> Tensor:
    """Return the tensor laid side by side; counts missing at the front are 1.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tile(tg.tensor([[1, 2]]), (2,))
    tensor([[1, 2, 1, 2]])
    """
    n, reps = tensor_of(input, "tile").ndim, sizes(counts, dims)
    return repeat(input, (1,) * (n - len(reps)) + reps)


@numpy_names
def repeat_interleave(input: Tensor, repeats: Any = None, dim: Any = None, *, output_size: Any = None) -> Tensor:
    """Return each element repeated, one number of times or each its own, along a dimension or of the flat tensor.

    With ``repeats`` alone, return the index of the element that each place comes from.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.repeat_interleave(tg.tensor([1, 2]), 2), tg.repeat_interleave(tg.tensor([1, 2]), tg.tensor([1, 3]))
    (tensor([1, 1, 2, 2]), tensor([1, 2, 2, 2]))
    """
    array = tensor_of(input, "repeat_interleave")
    if repeats is None:
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise RuntimeError(
                f"repeat_interleave only accepts a 1D vector of integers as repeats, got {list(array.shape)}"
            )
        return wrap(np.repeat(np.arange(len(array)), array))  # type: ignore[no-any-return]
    counts = repeats._array if isinstance(repeats, TensorBase) else np.asarray(repeats)
    if counts.dtype.kind not in "iu":
        raise RuntimeError(f"repeats has to be Long or Int tensor, got {dtypes.of(counts)}")
    if (counts < 0).any():
        raise RuntimeError(f"repeats can not be negative, got {counts.min()}")
    if dim is None:
        input, dim = reshape(input, (array.size,)), 0
    shape = input._array.shape
    d = axis(dim, len(shape))
    size = shape[d] if shape else 1
    if counts.size not in (1, size) or counts.ndim > 1:
        raise RuntimeError(
            f"repeats must have the same size as input along dim, but got repeats.size(0) = {counts.size} and "
            f"input.size({d}) = {size}"
        )
    total = int(counts.sum()) * (size if counts.size == 1 and size != 1 else 1)
    if output_size is not None and output_size != total:
        raise RuntimeError(
            f"repeat_interleave: output_size {output_size} does not match the repeats, which give {total}"
        )
    if counts.ndim == 0 and shape:
        n = int(counts)
        wide = expand_row(unsqueeze_row(input, dim=d + 1), shape=(*shape[: d + 1], n, *shape[d + 1 :]))
        return reshape(contiguous_row(wide), (*shape[:d], size * n, *shape[d + 1 :]))
    index = np.repeat(np.arange(size), counts)
    return index_select_row(input if shape else reshape(input, (1,)), dim=d, index=index)  # type: ignore[no-any-return]
