"""Reading and writing at positions along one dimension: gather, scatter, and their kin.

Every position is checked before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..dtypes import Array
from ..op import TensorBase, op, sample, wrap
from .arguments import axis
from .broadcast import expand_row
from .elementwise import where_row
from .index import index_row
from .shape import reshape, to
from .slicing import slice_row

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "gather", "index_add", "index_select", "masked_fill", "masked_select", "one_hot", "scatter", "scatter_add",
    "take_along_dim",
]  # fmt: skip

_I = np.array([[2, 0, 1, 1], [0, 0, 2, 1]])


def _picked(x: Array, index: Array, *, dim: int) -> Array:
    grid = np.ogrid[tuple(slice(0, n) for n in index.shape)]
    return x[tuple(index if d == dim else g for d, g in enumerate(grid))]


gather_row: Any = op(
    "gather",
    lambda x, index, *, dim: _picked(x, index, dim=dim) if x.ndim else np.broadcast_to(x, index.shape).copy(),
    vjp=(lambda g, x_shape, index, dim: gathered_back(g, index, shape=x_shape, dim=dim), None),
    numpy=_picked,
    domain=(-2, 2),
    samples=[sample((3, 4), _I, dim=0), sample((2, 3), np.array([[2, 2], [0, 1]]), dim=1)],
)


def _gathered_back(g: Array, index: Array, *, shape: tuple[int, ...], dim: int) -> Array:
    out = np.zeros(shape, g.dtype)
    if not shape:
        return np.asarray(g.sum(dtype=g.dtype))
    grid = np.ogrid[tuple(slice(0, n) for n in index.shape)]
    np.add.at(out, tuple(index if d == dim else v for d, v in enumerate(grid)), g)
    return out


gathered_back: Any = op(
    "gather_grad",
    _gathered_back,
    vjp=(lambda g, index, dim: gather_row(g, index, dim=dim), None),
    numpy=_gathered_back,
    domain=(-2, 2),
    samples=[sample((2, 4), _I, shape=(3, 4), dim=0)],
    grad_name="GatherBackwardBackward0",
)


def _scattered(x: Array, index: Array, source: Array, *, dim: int) -> Array:
    out = x.copy()
    grid = np.ogrid[tuple(slice(0, n) for n in index.shape)]
    at = tuple(index if d == dim else v for d, v in enumerate(grid))
    out[at] = source[tuple(slice(0, n) for n in index.shape)] if np.ndim(source) else source
    return out


def _scattered_sum(x: Array, index: Array, source: Array, *, dim: int) -> Array:
    out = x.copy()
    grid = np.ogrid[tuple(slice(0, n) for n in index.shape)]
    at = tuple(index if d == dim else v for d, v in enumerate(grid))
    np.add.at(out, at, source[tuple(slice(0, n) for n in index.shape)])
    return out


def _source_grad(g: Any, index: Any, shape: tuple[int, ...], dim: int) -> Any:
    """The gradient of a source of which only the part over the index was used."""
    picked = gather_row(g, index, dim=dim)
    if not shape:
        return picked.sum()
    size = index.shape
    if tuple(size) == shape:
        return picked
    corner = tuple(slice(0, n) for n in size)
    return _in_corner(picked, shape=shape, index=corner)


def _placed(x: Array, *, shape: tuple[int, ...], index: tuple[Any, ...]) -> Array:
    out = np.zeros(shape, x.dtype)
    out[index] = x
    return out


_in_corner = op(
    "in_corner",
    _placed,
    vjp=lambda g, index: slice_row(g, index=index),
    numpy=_placed,
    domain=(-2, 2),
    samples=[sample((2, 3), shape=(3, 4), index=(slice(0, 2), slice(0, 3)))],
    grad_name="SliceBackwardBackward0",
)
_J = np.array([[2, 0, 1, 0], [0, 1, 2, 1]])
scatter_row: Any = op(
    "scatter",
    _scattered,
    vjp=(
        lambda g, index, dim: scatter_row(g, index, 0.0, dim=dim),
        None,
        lambda g, index, source_shape, dim: _source_grad(g, index, source_shape, dim),
    ),
    numpy=_scattered,
    domain=(-2, 2),
    samples=[sample((3, 4), _J, (2, 4), dim=0), sample((3, 4), _J, 0.5, dim=0), sample((3, 4), _J, (3, 5), dim=0)],
)
scatter_add_row = op(
    "scatter_add",
    _scattered_sum,
    vjp=(lambda g: g, None, lambda g, index, source_shape, dim: _source_grad(g, index, source_shape, dim)),
    numpy=_scattered_sum,
    domain=(-2, 2),
    samples=[sample((3, 4), _I, (2, 4), dim=0), sample((3, 4), _I, (3, 5), dim=0)],
)

# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def _positions(index: Any, shape: tuple[int, ...], dim: int, name: str) -> Array:
    """The positions along ``dim``, checked."""
    if not isinstance(index, TensorBase):
        raise TypeError(
            f"{name}(): argument 'index' must be Tensor, not {type(index).__name__}; write tensor({index!r:.40})"
        )
    found = index._array
    if found.dtype.kind not in "iu" or found.dtype.itemsize < 4:
        raise RuntimeError(
            f"{name}(): Expected dtype int32/int64 for index, got {dtypes.of(found)}. Write index.long()."
        )
    size = shape[dim] if shape else 1
    bad = (found < 0) | (found >= size)
    if bad.any():
        place = tuple(int(k) for k in np.argwhere(bad)[0])
        raise RuntimeError(
            f"index {found[place]} at {list(place)} is out of bounds for dimension {dim} with size {size}"
        )
    return found


def _fits(index: Array, shape: tuple[int, ...], dim: int, name: str, what: str) -> None:
    if index.size and (
        (index.ndim != max(len(shape), 1) and len(shape) + index.ndim > 1)
        or any(n > m for d, (n, m) in enumerate(zip(index.shape, shape, strict=False)) if d != dim)
    ):
        raise RuntimeError(
            f"{name}(): Expected index {list(index.shape)} to be no larger than {what} {list(shape)} apart from dimension {dim}"
        )


def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """Return input[index[i, j], j] for dim 0, input[i, index[i, j]] for dim 1, and so on.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.gather(tg.tensor([[1, 2], [3, 4]]), 1, tg.tensor([[0, 0], [1, 0]]))
    tensor([[1, 1],
            [4, 3]])
    """
    shape = input._array.shape
    d = axis(dim, len(shape))
    _fits(_positions(index, shape, d, "gather"), shape, d, "gather", "self")
    return gather_row(input, index, dim=d)  # type: ignore[no-any-return]


def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Tensor:
    """Return a copy with ``src`` (a tensor or a number) written at the positions of ``index`` along ``dim``.

    Where a position is named several times, the last counts (and PyTorch leaves open which).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.scatter(tg.zeros(1, 3), 1, tg.tensor([[2]]), 1.0)
    tensor([[0., 0., 1.]])
    """
    shape = input._array.shape
    d = axis(dim, len(shape))
    found = _positions(index, shape, d, "scatter")
    source = src if src is not None else value
    if source is None:
        raise TypeError("scatter() needs src, a tensor or a number")
    _fits(found, shape, d, "scatter", "self")
    if isinstance(source, TensorBase):
        if source._array.dtype != input._array.dtype:
            raise RuntimeError(
                f"scatter(): Expected self.dtype to be equal to src.dtype, got {dtypes.of(input._array)} and "
                f"{dtypes.of(source._array)}"
            )
        if source._array.ndim:
            _fits(found, source._array.shape, -1, "scatter", "src")
    if reduce == "add" or reduce == "multiply":
        full = (
            source
            if isinstance(source, TensorBase) and source._array.ndim
            else wrap(np.full(found.shape, source, input._array.dtype))
        )
        if reduce == "add":
            return scatter_add_row(input, index, full, dim=d)  # type: ignore[no-any-return]
        raise NotImplementedError("scatter(reduce='multiply') is not here: multiply with gather and scatter by hand")
    if reduce is not None:
        raise RuntimeError(f"reduce argument must be either add or multiply, got {reduce!r}")
    if not found.size:
        return input.clone()
    return scatter_row(input, index, source, dim=d)  # type: ignore[no-any-return]


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """Return a copy with ``src`` added at the positions of ``index`` along ``dim``; repeated positions add up.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.scatter_add(tg.zeros(3), 0, tg.tensor([0, 0, 2]), tg.ones(3))
    tensor([2., 0., 1.])
    """
    shape = input._array.shape
    d = axis(dim, len(shape))
    found = _positions(index, shape, d, "scatter_add")
    _fits(found, shape, d, "scatter_add", "self")
    _fits(found, src._array.shape, -1, "scatter_add", "src")
    if src._array.dtype != input._array.dtype:
        raise RuntimeError(
            f"scatter(): Expected self.dtype to be equal to src.dtype, got {dtypes.of(input._array)} and {dtypes.of(src._array)}"
        )
    if not found.size:
        return input.clone()
    return scatter_add_row(input, index, src, dim=d)  # type: ignore[no-any-return]


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """Return the slices along ``dim`` that ``index`` names.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.index_select(tg.tensor([[1, 2], [3, 4]]), 1, tg.tensor([1, 1]))
    tensor([[2, 2],
            [4, 4]])
    """
    shape = input._array.shape
    d = axis(dim, len(shape))
    found = _positions(index, shape, d, "index_select")
    if found.ndim > 1:
        raise IndexError(f"index_select(): Index is supposed to be a vector, got shape {list(found.shape)}")
    if not shape:
        return input.clone()
    return index_row(input, index=(*(slice(None),) * d, found.reshape(-1)))  # type: ignore[no-any-return]


def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
    """Return a copy with the slices of ``source`` added where ``index`` says; repeated positions add up.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.index_add(tg.zeros(2, 2), 0, tg.tensor([1, 1]), tg.ones(2, 2))
    tensor([[0., 0.],
            [2., 2.]])
    """
    shape = input._array.shape
    d = axis(dim, len(shape))
    found = _positions(index, shape, d, "index_add").reshape(-1)
    given = source._array.shape
    expected = (*shape[:d], found.size, *shape[d + 1 :])
    if tuple(given) != expected and shape:
        raise RuntimeError(f"index_add(): source has shape {list(given)}, expected {list(expected)}")
    if source._array.dtype != input._array.dtype:
        raise RuntimeError(
            "index_add_(): self and source expected to have the same dtype: write source.to(input.dtype)"
        )
    if not shape:
        return input + alpha * source.sum()  # type: ignore[no-any-return]
    full = np.broadcast_to(found.reshape((-1,) + (1,) * (len(shape) - d - 1)), expected)
    return scatter_add_row(input, wrap(full.copy()), source if alpha == 1 else source * alpha, dim=d)  # type: ignore[no-any-return]


def _mask(mask: Any, name: str) -> Any:
    if not isinstance(mask, TensorBase) or mask._array.dtype.kind != "b":
        given = dtypes.of(mask._array) if isinstance(mask, TensorBase) else type(mask).__name__
        raise RuntimeError(f"{name} expected mask to be a boolean tensor, but got {given}; write mask.bool()")
    return mask


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """Return the input with ``value`` where the mask is true.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.masked_fill(tg.tensor([1.0, 2.0]), tg.tensor([True, False]), 0)
    tensor([0., 2.])
    """
    _mask(mask, "masked_fill")
    if isinstance(value, TensorBase):
        if value._array.ndim:
            raise RuntimeError(
                f"masked_fill only supports a 0-dimensional value tensor, but got tensor with {value._array.ndim} dimension(s)."
            )
        value = to(value, input._array.dtype)
    else:
        if isinstance(value, float) and input._array.dtype.kind in "iub":
            raise RuntimeError(f"value cannot be converted to type {dtypes.of(input._array)} without overflow")
        value = wrap(np.array(value, input._array.dtype))
    return where_row(mask, value, input)  # type: ignore[no-any-return]


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """Return the elements where the mask is true, as a vector.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.masked_select(tg.tensor([1, 2, 3]), tg.tensor([True, False, True]))
    tensor([1, 3])
    """
    _mask(mask, "masked_select")
    shape = np.broadcast_shapes(input._array.shape, mask._array.shape)
    chosen = np.broadcast_to(mask._array, shape)
    wide = expand_row(input, shape=shape) if input._array.shape != shape else input
    if not shape:
        wide, chosen = reshape(wide, (1,)), chosen.reshape(1)
    return index_row(wide, index=(chosen,))  # type: ignore[no-any-return]


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """Return ``gather`` with input and indices broadcast to each other; over the flattened input without ``dim``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([[3, 1], [2, 4]])
    >>> tg.take_along_dim(x, x.argsort(1), 1)
    tensor([[1, 3],
            [2, 4]])
    """
    if dim is None:
        return gather(reshape(input, (-1,)), 0, reshape(indices, (-1,)))
    shape = input._array.shape
    d = axis(dim, len(shape))
    if indices._array.ndim != len(shape):
        raise RuntimeError(
            f"torch.take_along_dim(): input and indices should have the same number of dimensions, but got {len(shape)} "
            f"dimensions for input, and {indices._array.ndim} dimensions for indices"
        )
    where = np.where(indices._array < 0, indices._array + shape[d], indices._array)  # negative ones count from the end
    common = np.broadcast_shapes(*((*s[:d], 1, *s[d + 1 :]) for s in (shape, where.shape)))
    full = (*common[:d], where.shape[d], *common[d + 1 :])
    wide = expand_row(input, shape=(*common[:d], shape[d], *common[d + 1 :]))
    return gather(wide, d, wrap(np.broadcast_to(where, full).copy()))


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Return class numbers as rows of zeros with a one in their place.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.one_hot(tg.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    classes = tensor._array
    if classes.dtype != np.int64:
        raise RuntimeError(
            f"one_hot is only applicable to index tensor of type LongTensor, got {dtypes.of(classes)}: write .long()"
        )
    if classes.size == 0 and num_classes <= 0:
        raise RuntimeError("Can not infer total number of classes from empty tensor.")
    if classes.min(initial=0) < 0:
        raise RuntimeError("Class values must be non-negative.")
    n = int(classes.max(initial=-1)) + 1 if num_classes == -1 else num_classes
    if n < 1:
        raise RuntimeError("num_classes should be positive")
    if classes.max(initial=0) >= n:
        raise RuntimeError(f"Class values must be smaller than num_classes: {int(classes.max())} with {n} classes")
    return wrap((classes[..., None] == np.arange(n)).astype(np.int64))  # type: ignore[no-any-return]
