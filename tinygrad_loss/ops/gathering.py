"""Elements taken from, put to and added at positions along a dimension, one position for each element."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..dtypes import Array
from ..kernels import indexing as kernels
from ..op import TensorBase, op, sample, wrap
from .arguments import array_of, axis, common_shape, kept, numpy_names, tensor_of
from .shape import reshape
from .slicing import slice_row

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "gather",
    "scatter",
    "scatter_add",
    "take_along_dim",
]

_I = np.array([[2, 0, 2], [1, 1, 0]])


def _room(shape: tuple[int, ...], dim: int, taken: tuple[int, ...]) -> tuple[slice, ...]:
    """The corner that an index of that shape reaches: everything along ``dim``, its own size elsewhere."""
    return tuple(slice(None) if d == dim else slice(n) for d, n in enumerate(taken)) if shape else ()


def _gathered(x: Array, *, dim: int, index: Array) -> Array:
    if not index.size:
        return np.empty(index.shape, x.dtype)
    if not x.ndim or not index.ndim:
        return np.broadcast_to(x.reshape(()), index.shape).copy()
    return np.take_along_axis(x[_room(x.shape, dim, index.shape)], index, dim)


def _added(x: Array, source: Array, *, dim: int, index: Array) -> Any:
    out = np.array(x, order="C")
    if not index.size:
        return out
    if not x.ndim or not index.ndim:
        return out + source.sum().astype(x.dtype)
    positions = np.arange(out.size).reshape(out.shape)[_room(out.shape, dim, index.shape)]
    kernels.add_flat(out, np.take_along_axis(positions, index, dim), source)
    return out


def _put(x: Array, source: Any, *, dim: int, index: Array) -> Array:
    out = x.copy()
    if not x.ndim or not index.ndim:
        out[...] = np.reshape(source, -1)[-1] if np.size(source) else out
    else:
        np.put_along_axis(out[_room(x.shape, dim, index.shape)], index, source, dim)
    return out


def _added_in_numpy(x, source, dim, index):  # type: ignore[no-untyped-def]
    out = np.array(x, order="C")
    if not x.ndim or not index.ndim:
        return out + np.sum(source)
    positions = np.arange(out.size).reshape(out.shape)[_room(out.shape, dim, index.shape)]
    np.add.at(out.reshape(-1), np.take_along_axis(positions, index, dim), source)
    return out


gather_row: Any = op(
    "gather",
    _gathered,
    vjp=lambda g, x_shape, dim, index: scatter_add_row(np.zeros(x_shape, array_of(g).dtype), g, dim=dim, index=index),
    numpy=_gathered,
    domain=(-2, 2),
    samples=[sample((3, 4), dim=0, index=_I), sample((2, 3), dim=1, index=_I)],
)
scatter_add_row: Any = op(
    "scatter_add",
    _added,
    vjp=(lambda g: g, lambda g, dim, index: gather_row(g, dim=dim, index=index)),
    numpy=_added_in_numpy,
    domain=(-2, 2),
    samples=[sample((3, 4), (2, 3), dim=0, index=_I), sample((2, 3), (2, 3), dim=1, index=_I)],
)
scatter_row: Any = op(
    "scatter",
    _put,
    vjp=(
        lambda g, dim, index: scatter_row(g, 0.0, dim=dim, index=index),
        lambda g, dim, index: gather_row(g, dim=dim, index=index),
    ),
    numpy=_put,
    domain=(-2, 2),
    samples=[
        sample((3, 4), (2, 3), dim=0, index=np.array([[2, 0, 2], [1, 1, 0]])),
        sample((2, 3), 0.5, dim=1, index=_I),
    ],
    grad_name=lambda arrays, params: f"ScatterBackward{int(not isinstance(arrays[1], np.ndarray))}",
)


# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def in_range(index: Array, dim: int, size: int, kind: type[Exception]) -> None:
    """Refuse a position that is not there: with its value, the dimension and its size."""
    if index.size and (index.min() < 0 or index.max() >= size):
        bad = index[(index < 0) | (index >= size)].flat[0]
        raise kind(f"index {bad} is out of bounds for dimension {dim} with size {size}")


def positions_of(index: Any, name: str) -> Array:
    array = tensor_of(index, name, "index")
    if array.dtype not in (np.int64, np.int32):
        raise RuntimeError(
            f"{name}(): Expected dtype int32/int64 for index, got {dtypes.of(array)}; write index.long()"
        )
    return array  # type: ignore[no-any-return]


def _checked(input: Tensor, dim: Any, index: Any, name: str, src: Any = None) -> tuple[int, Array]:
    """The dimension and the positions of ``gather`` and ``scatter``, once their shapes fit."""
    x, at = tensor_of(input, name), tensor_of(index, name, "index")
    d = axis(dim, x.ndim)
    if not at.size:
        return d, at.astype(np.int64)
    positions_of(index, name)
    if max(x.ndim, 1) != max(at.ndim, 1):
        raise RuntimeError(
            f"Index tensor must have the same number of dimensions as {'input' if name == 'gather' else 'self'} "
            f"tensor: {list(at.shape)} against {list(x.shape)}"
        )
    if src is not None:
        if max(src.ndim, 1) != max(at.ndim, 1):
            raise RuntimeError(
                f"Index tensor must have the same number of dimensions as src tensor: {list(at.shape)} against "
                f"{list(src.shape)}"
            )
        if any(n > m for n, m in zip(at.shape, src.shape, strict=False)):
            raise RuntimeError(f"Expected index {list(at.shape)} to be no larger than src {list(src.shape)}")
    for i, (n, m) in enumerate(zip(at.shape, x.shape, strict=False)):
        if i != d and n > m:
            raise RuntimeError(
                f"Size does not match at dimension {i} expected index {list(at.shape)} to be no larger than self "
                f"{list(x.shape)} apart from dimension {d}"
            )
    in_range(at, d, x.shape[d] if x.ndim else 1, RuntimeError)
    return d, kept(at)


@numpy_names
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """Return the elements at these positions along a dimension: ``out[i][j] = input[index[i][j]][j]`` for dim 0.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.gather(tg.tensor([[1, 2], [3, 4]]), 1, tg.tensor([[0, 0], [1, 0]]))
    tensor([[1, 1],
            [4, 3]])
    """
    d, at = _checked(input, dim, index, "gather")
    return gather_row(input, dim=d, index=at)  # type: ignore[no-any-return]


def _source(input: Tensor, src: Any, index: Any, name: str) -> Any:
    """The part of ``src`` that the index reaches."""
    x, s, at = tensor_of(input, name), tensor_of(src, name, "src"), tensor_of(index, name, "index")
    if s.dtype != x.dtype:
        raise RuntimeError(
            f"scatter(): Expected self.dtype to be equal to src.dtype, got {dtypes.of(x)} and {dtypes.of(s)}; write "
            f"src.to(input.dtype)"
        )
    return src if s.shape == at.shape or not at.ndim else slice_row(src, index=tuple(slice(n) for n in at.shape))


@numpy_names
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Tensor:
    """Return the input with elements of ``src``, or a number, put at these positions along a dimension.

    Of several elements for one position the last stays. ``reduce`` is "add" or "multiply": then each has its effect.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.scatter(tg.zeros(2, 3), 1, tg.tensor([[2], [0]]), 1.0)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    given = value if src is None else src
    if given is None:
        raise TypeError("scatter() needs src, a Tensor, or value, a number")
    if reduce not in (None, "add", "multiply"):
        raise RuntimeError(f"reduce argument must be either add or multiply, got {reduce!r}.")
    tensor = isinstance(given, TensorBase)
    d, at = _checked(input, dim, index, "scatter", given._array if tensor else None)
    x = input._array
    if not at.size:
        return input.clone()
    if tensor:
        given = _source(input, given, index, "scatter")
    else:
        given = np.asarray(given).astype(x.dtype).item()
    if reduce is None:
        return scatter_row(input, given, dim=d, index=at)  # type: ignore[no-any-return]
    source = given if tensor else wrap(np.full(at.shape, given, x.dtype))
    if reduce == "add":
        return scatter_add_row(input, source, dim=d, index=at)  # type: ignore[no-any-return]
    if input.requires_grad or source.requires_grad:
        raise RuntimeError("the derivative of scatter with reduce='multiply' is not implemented")
    out = x.copy()
    places = np.take_along_axis(np.arange(x.size).reshape(x.shape)[_room(x.shape, d, at.shape)], at, d)
    np.multiply.at(out.reshape(-1), places.reshape(-1), source._array.reshape(-1))
    return wrap(out)  # type: ignore[no-any-return]


@numpy_names
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """Return the input with elements of ``src`` added at these positions along a dimension; repeated ones add up.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.scatter_add(tg.zeros(3), 0, tg.tensor([0, 0, 2]), tg.tensor([1.0, 2.0, 3.0]))
    tensor([3., 0., 3.])
    """
    d, at = _checked(input, dim, index, "scatter_add", tensor_of(src, "scatter_add", "src"))
    source = _source(input, src, index, "scatter_add")
    return scatter_add_row(input, source, dim=d, index=at) if at.size else input.clone()


@numpy_names
def take_along_dim(input: Tensor, indices: Tensor, dim: Any = None) -> Tensor:
    """Return the elements at these positions along a dimension, or of the flat tensor; the two broadcast elsewhere.

    It undoes ``argmax(dim, keepdim=True)``, ``sort`` and ``topk``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([[3, 1, 2]])
    >>> tg.take_along_dim(x, tg.argsort(x), dim=1)
    tensor([[1, 2, 3]])
    """
    x, at = tensor_of(input, "take_along_dim"), tensor_of(indices, "take_along_dim", "indices")
    if at.dtype != np.int64:
        raise RuntimeError(
            f"torch.take_along_dim(): dtype of indices should be Long but got {dtypes.of(at)}; write .long()"
        )
    if dim is None:
        return take_along_dim(reshape(input, (x.size,)), reshape(indices, (at.size,)), 0)
    if x.ndim != at.ndim:
        raise RuntimeError(
            f"torch.take_along_dim(): input and indices should have the same number of dimensions, but got {x.ndim} "
            f"dimensions for input, and {at.ndim} dimensions for indices"
        )
    d = axis(dim, x.ndim)
    size = x.shape[d] if x.ndim else 1
    at = np.where(at < 0, at + size, at)
    in_range(at, d, size, RuntimeError)
    rest = common_shape(*((*a.shape[:d], 1, *a.shape[d + 1 :]) for a in (x, at))) if x.ndim else ()
    wide = input.expand(*rest[:d], size, *rest[d + 1 :]) if x.ndim else input
    full = np.broadcast_to(at, (*rest[:d], at.shape[d], *rest[d + 1 :])) if x.ndim else at
    return gather_row(wide, dim=d, index=full)  # type: ignore[no-any-return]
