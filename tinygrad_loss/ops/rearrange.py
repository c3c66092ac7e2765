"""The same elements in other places: repeated, split, turned round, or picked off a diagonal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import Array
from ..op import TensorBase, op, sample
from .arguments import axes, axis, sizes
from .broadcast import expand, expand_row
from .index import index_row
from .shape import cat, permute, reshape, transpose, view
from .slicing import select_row, slice_row, split_row, unbind_row

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "broadcast_to", "chunk", "diag", "diagonal", "expand_as", "flip", "hstack", "meshgrid", "movedim", "narrow", "repeat",
    "repeat_interleave", "reshape_as", "roll", "select", "split", "swapaxes", "tile", "trace", "tril", "triu", "unbind",
    "unflatten", "view_as", "vstack",
]  # fmt: skip

# --- rows ---------------------------------------------------------------------------------------------------------

flip_row: Any = op(
    "flip",
    lambda x, *, dims: np.flip(x, dims).copy(),
    vjp=lambda g, dims: flip_row(g, dims=dims),
    numpy="np.flip({x}, {dims})",
    domain=(-2, 2),
    samples=[sample((3, 4), dims=(1,)), sample((2, 3, 4), dims=(0, 2))],
)
roll_row: Any = op(
    "roll",
    lambda x, *, shifts, dims: np.roll(x, shifts, dims),
    vjp=lambda g, shifts, dims: roll_row(g, shifts=tuple(-s for s in shifts), dims=dims),
    numpy="np.roll({x}, {shifts}, {dims})",
    domain=(-2, 2),
    samples=[sample((3, 4), shifts=(1,), dims=(1,)), sample((3, 4), shifts=(2, -1), dims=(0, 1))],
)
tril_row: Any = op(
    "tril",
    lambda x, *, diagonal: np.tril(x, diagonal),
    vjp=lambda g, diagonal: tril_row(g, diagonal=diagonal),
    numpy="np.tril({x}, {diagonal})",
    domain=(-2, 2),
    samples=[sample((3, 4), diagonal=0), sample((2, 3, 3), diagonal=-1)],
)
triu_row: Any = op(
    "triu",
    lambda x, *, diagonal: np.triu(x, diagonal),
    vjp=lambda g, diagonal: triu_row(g, diagonal=diagonal),
    numpy="np.triu({x}, {diagonal})",
    domain=(-2, 2),
    samples=[sample((3, 4), diagonal=0), sample((2, 3, 3), diagonal=1)],
)
diagonal_row: Any = op(
    "diagonal",
    lambda x, *, offset, dim1, dim2: x.diagonal(offset, dim1, dim2).copy(),
    vjp=lambda g, x_shape, offset, dim1, dim2: on_diagonal(g, shape=x_shape, offset=offset, dim1=dim1, dim2=dim2),
    numpy="np.diagonal({x}, {offset}, {dim1}, {dim2})",
    domain=(-2, 2),
    samples=[sample((3, 4), offset=1, dim1=0, dim2=1), sample((2, 3, 4), offset=-1, dim1=2, dim2=0)],
)


def _on_diagonal(g: Array, *, shape: tuple[int, ...], offset: int, dim1: int, dim2: int) -> Array:
    out = np.zeros(shape, g.dtype)
    n = g.shape[-1]
    # the two axes last, so that one pair of positions addresses the diagonal
    moved = np.moveaxis(out, (dim1, dim2), (-2, -1))
    moved[..., np.arange(n) + max(-offset, 0), np.arange(n) + max(offset, 0)] = g
    return out


on_diagonal: Any = op(
    "on_diagonal",
    _on_diagonal,
    vjp=lambda g, offset, dim1, dim2: diagonal_row(g, offset=offset, dim1=dim1, dim2=dim2),
    numpy=_on_diagonal,
    domain=(-2, 2),
    samples=[sample((3,), shape=(3, 4), offset=1, dim1=0, dim2=1)],
    grad_name="DiagonalBackwardBackward0",
)

# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def flip(input: Tensor, *dims: Any) -> Tensor:
    """Return a copy with the order reversed along some dimensions.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.flip(tg.tensor([1, 2, 3]), (0,))
    tensor([3, 2, 1])
    """
    return flip_row(input, dims=axes(sizes(dims), input._array.ndim) or ())  # type: ignore[no-any-return]


def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Return a copy moved along some dimensions, what leaves at one end entering at the other.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.roll(tg.tensor([1, 2, 3]), 1)
    tensor([3, 1, 2])
    """
    by = tuple(shifts) if isinstance(shifts, (tuple, list)) else (shifts,)
    if dims is None or dims == ():
        if len(by) != 1:
            raise RuntimeError(f"shifts and dimensions must align. shifts: {len(by)}, dims:0")
        return roll_row(input.reshape(-1), shifts=by, dims=(0,)).reshape(input._array.shape)  # type: ignore[no-any-return]
    along = tuple(dims) if isinstance(dims, (tuple, list)) else (dims,)
    if len(by) != len(along):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(by)}, dims:{len(along)}")
    return roll_row(input, shifts=by, dims=tuple(axis(d, input._array.ndim) for d in along))  # type: ignore[no-any-return]


def _matrix(input: Tensor, name: str) -> Tensor:
    if input._array.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions, got {input._array.ndim}")
    return input


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """Return the lower triangle of matrices, zeros above.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tril(tg.ones(2, 2))
    tensor([[1., 0.],
            [1., 1.]])
    """
    return tril_row(_matrix(input, "tril"), diagonal=diagonal)  # type: ignore[no-any-return]


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """Return the upper triangle of matrices, zeros below.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.triu(tg.ones(2, 2))
    tensor([[1., 1.],
            [0., 1.]])
    """
    return triu_row(_matrix(input, "triu"), diagonal=diagonal)  # type: ignore[no-any-return]


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """Return the diagonal of two dimensions as the last dimension (a copy).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.diagonal(tg.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    n = input._array.ndim
    a, b = axis(dim1, n), axis(dim2, n)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return diagonal_row(input, offset=offset, dim1=a, dim2=b)  # type: ignore[no-any-return]


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """Return the matrix that has a vector on its diagonal, or the diagonal of a matrix.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.diag(tg.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    if input._array.ndim == 2:
        return diagonal_row(input, offset=diagonal, dim1=0, dim2=1)  # type: ignore[no-any-return]
    if input._array.ndim != 1:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input._array.ndim}D")
    n = len(input._array) + abs(diagonal)
    return on_diagonal(input, shape=(n, n), offset=diagonal, dim1=0, dim2=1)  # type: ignore[no-any-return]


def trace(input: Tensor) -> Tensor:
    """Return the sum of the diagonal of a matrix.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.trace(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(5.)
    """
    if input._array.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got a tensor with {input._array.ndim} dimensions")
    return diagonal_row(input, offset=0, dim1=0, dim2=1).sum()  # type: ignore[no-any-return]


def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """Return a view with two dimensions swapped; another name of ``transpose``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.swapaxes(tg.zeros(2, 3), 0, 1).shape
    torch.Size([3, 2])
    """
    return transpose(input, axis0, axis1)


def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Return a view with dimensions moved to other places, the rest in their order.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.movedim(tg.zeros(2, 3, 4), 0, -1).shape
    torch.Size([3, 4, 2])
    """
    n = input._array.ndim
    one = isinstance(source, int)
    start = [axis(d, n) for d in ((source,) if one else source)]
    end = [axis(d, n) for d in ((destination,) if isinstance(destination, int) else destination)]
    if len(start) != len(end) or len(set(start)) < len(start) or len(set(end)) < len(end):
        raise RuntimeError(f"movedim: repeated or unequal dimensions, source {start} and destination {end}")
    order = [d for d in range(n) if d not in start]
    for place, d in sorted(zip(end, start, strict=True)):
        order.insert(place, d)
    return permute(input, *order)


def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """Return the same elements in the shape of another tensor.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.arange(4).reshape_as(tg.zeros(2, 2)).shape
    torch.Size([2, 2])
    """
    return reshape(input, other._array.shape)


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """Return a view in the shape of another tensor.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.arange(4).view_as(tg.zeros(2, 2)).shape
    torch.Size([2, 2])
    """
    return view(input, *other._array.shape)


def unflatten(input: Tensor, dim: int, sizes: Any) -> Tensor:
    """Return a view in which one dimension is split into several; one size may be -1.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.unflatten(tg.zeros(2, 6), 1, (2, -1)).shape
    torch.Size([2, 2, 3])
    """
    shape = input._array.shape
    d, parts = axis(dim, len(shape)), list(sizes)
    if not parts:
        raise RuntimeError("unflatten: sizes must be non-empty")
    known = int(np.prod([n for n in parts if n != -1]))
    if parts.count(-1) > 1 or (known != shape[d] and (-1 not in parts or known == 0 or shape[d] % known)):
        raise RuntimeError(
            f"unflatten: Provided sizes {parts} don't multiply up to the size of dim {dim} ({shape[d]}) in the input tensor"
        )
    return reshape(input, (*shape[:d], *(shape[d] // known if n == -1 else n for n in parts), *shape[d + 1 :]))


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """Return a view broadcast to the shape of another tensor.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([1, 2]).expand_as(tg.zeros(3, 2)).shape
    torch.Size([3, 2])
    """
    return expand(input, *other._array.shape)


def broadcast_to(input: Tensor, shape: Any) -> Tensor:
    """Return a view broadcast to a shape.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.broadcast_to(tg.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return expand(input, *shape)


def repeat(input: Tensor, *repeats: Any) -> Tensor:
    """Return copies side by side along each dimension; more repeats than dimensions add dimensions in front.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    times, shape = sizes(repeats), input._array.shape
    if len(times) < len(shape):
        raise RuntimeError(
            f"Number of dimensions of repeat dims ({len(times)}) can not be smaller than number of dimensions of tensor "
            f"({len(shape)})"
        )
    if min(times, default=1) < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension: repeats {list(times)}")
    full = (1,) * (len(times) - len(shape)) + tuple(shape)
    # (1, n) for each n, broadcast to (times, n), and the two merged
    pairs = reshape(input, tuple(v for n in full for v in (1, n)))
    wide = expand_row(pairs, shape=tuple(v for t, n in zip(times, full, strict=True) for v in (t, n)))
    return reshape(wide, tuple(t * n for t, n in zip(times, full, strict=True)))


def tile(input: Tensor, *dims: Any) -> Tensor:
    """Return ``repeat`` with missing repeats in front taken as 1.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tile(tg.tensor([[1, 2]]), (2,))
    tensor([[1, 2, 1, 2]])
    """
    times = sizes(dims)
    return repeat(input, *(1,) * (input._array.ndim - len(times)), *times)


def repeat_interleave(input: Tensor, repeats: Any, dim: int | None = None, *, output_size: int | None = None) -> Tensor:
    """Return each element (or slice along ``dim``) repeated, one number for all or one for each.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.repeat_interleave(tg.tensor([1, 2]), tg.tensor([2, 1]))
    tensor([1, 1, 2])
    """
    if dim is None:
        input, dim = reshape(input, (-1,) if input._array.size else (0,)), 0
    d = axis(dim, input._array.ndim)
    counts = np.asarray(repeats._array if isinstance(repeats, TensorBase) else repeats)
    n = input._array.shape[d]
    if counts.dtype.kind not in "iu" or counts.min(initial=0) < 0:
        raise RuntimeError(f"repeats has to be non-negative integers, got {counts.tolist()}")
    if counts.size not in (1, n):
        raise RuntimeError(f"repeats must have the same size as input along dim, but got {counts.size} and {n}")
    places = np.repeat(np.arange(n), counts.reshape(-1) if counts.size > 1 or n == 1 else counts.item())
    return index_row(input, index=(*(slice(None),) * d, places))  # type: ignore[no-any-return]


def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Return views of pieces of one size (the last may be smaller), or of the given sizes.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.split(tg.arange(5), 2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    shape = tensor._array.shape
    if not shape:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    d = axis(dim, len(shape))
    n = shape[d]
    if isinstance(split_size_or_sections, (tuple, list)):
        parts = list(split_size_or_sections)
        if sum(parts) != n or min(parts, default=0) < 0:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at dimension {d}), but got "
                f"split_sizes={parts}"
            )
    else:
        size = int(split_size_or_sections)
        if size < 0 or (size == 0 and n):
            raise RuntimeError(f"split expects split_size be positive, but got split_size={size}")
        parts = [min(size, n - i) for i in range(0, n, size)] if n else [0]
    ends = np.cumsum(parts).tolist()
    before = (slice(None),) * d
    return tuple(
        split_row(tensor, index=(*before, slice(end - part, end))) for end, part in zip(ends, parts, strict=True)
    )


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """Return views of at most so many pieces of equal size (the last may be smaller).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.chunk(tg.arange(5), 3)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    n = input._array.shape[axis(dim, input._array.ndim)] if input._array.ndim else 1
    return split(input, max(-(-n // chunks), 1), dim) if n else split(input, [0] * chunks, dim)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """Return views of all slices along a dimension.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.unbind(tg.tensor([[1, 2], [3, 4]]))
    (tensor([1, 2]), tensor([3, 4]))
    """
    if not input._array.ndim:
        raise RuntimeError("Dimension specified as 0 but tensor has no dimensions")
    d = axis(dim, input._array.ndim)
    return tuple(unbind_row(input, index=(*(slice(None),) * d, i)) for i in range(input._array.shape[d]))


def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """Return a view of ``length`` slices from ``start`` on.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.narrow(tg.arange(5), 0, 1, 2)
    tensor([1, 2])
    """
    if not input._array.ndim:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    d = axis(dim, input._array.ndim)
    n, first = input._array.shape[d], int(start)
    first += n if first < 0 else 0
    if length < 0 or not 0 <= first <= n or first + length > n:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return slice_row(input, index=(*(slice(None),) * d, slice(first, first + length)))  # type: ignore[no-any-return]


def select(input: Tensor, dim: int, index: Any) -> Tensor:
    """Return a view of one slice along a dimension, which the result no longer has.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.select(tg.tensor([[1, 2], [3, 4]]), 1, 0)
    tensor([1, 3])
    """
    if not input._array.ndim:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    d = axis(dim, input._array.ndim)
    n, i = input._array.shape[d], int(index)
    if not -n <= i < n:
        raise IndexError(
            f"select(): index {i} out of range for tensor of size {list(input._array.shape)} at dimension {d}"
        )
    return select_row(input, index=(*(slice(None),) * d, i))  # type: ignore[no-any-return]


def hstack(tensors: Any) -> Tensor:
    """Join side by side: along dimension 1, or 0 for vectors.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.hstack([tg.tensor([1]), tg.tensor([2])])
    tensor([1, 2])
    """
    parts = [reshape(x, (1,)) if not x._array.ndim else x for x in tensors]
    return cat(parts, 0 if not parts or parts[0]._array.ndim == 1 else 1)


def vstack(tensors: Any) -> Tensor:
    """Join one above the other: along dimension 0, vectors as rows.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.vstack([tg.tensor([1, 2]), tg.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return cat(
        [x if x._array.ndim > 1 else reshape(x, (1, -1)) if x._array.ndim else reshape(x, (1, 1)) for x in tensors], 0
    )


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Return the coordinates of a grid, one tensor for each dimension ("ij"), or with the first two swapped ("xy").

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.meshgrid(tg.tensor([1, 2]), tg.tensor([3, 4, 5]), indexing="ij")[0].shape
    torch.Size([2, 3])
    """
    given = tuple(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(f"meshgrid: indexing must be one of 'xy' or 'ij', but received: {indexing}")
    if not given:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    flat = [reshape(x, (-1,)) if x._array.ndim != 1 else x for x in given]
    if any(x._array.ndim > 1 for x in given):
        raise RuntimeError("torch.meshgrid: Expected 0D or 1D tensor in the tensor list")
    swap = indexing == "xy" and len(flat) > 1
    if swap:
        flat[0], flat[1] = flat[1], flat[0]
    shape = tuple(len(x._array) for x in flat)
    grids = [
        expand_row(reshape(x, (1,) * d + (-1,) + (1,) * (len(flat) - d - 1)), shape=shape) for d, x in enumerate(flat)
    ]
    if swap:
        grids = [transpose(g, 0, 1) for g in grids]
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)
