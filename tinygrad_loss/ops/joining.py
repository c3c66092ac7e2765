"""Several tensors as one, or on one grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import dtypes
from ..op import TensorBase
from .arguments import axis
from .broadcast import expand_row
from .shape import cat_row, reshape, stack_row, to

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "atleast_1d",
    "atleast_2d",
    "cat",
    "column_stack",
    "concat",
    "concatenate",
    "hstack",
    "meshgrid",
    "row_stack",
    "stack",
    "vstack",
]


def _joined(tensors: Any, name: str) -> tuple[Any, ...]:
    if isinstance(tensors, TensorBase) or not isinstance(tensors, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'tensors' must be tuple of Tensors, not {type(tensors).__name__}; write {name}([a, b])"
        )
    if not tensors:
        raise RuntimeError(f"{name}(): expected a non-empty list of Tensors")
    alike = True
    for i, x in enumerate(tensors):
        if not isinstance(x, TensorBase):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(x).__name__}")
        alike = alike and x._array.dtype is tensors[0]._array.dtype
    if alike:
        return tuple(tensors)
    common = dtypes.result_type(*(x._array for x in tensors)).numpy
    return tuple(to(x, common) for x in tensors)


def cat(tensors: Any, dim: int = 0) -> Tensor:
    """Join tensors along a dimension that they have; the others must agree.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.cat([tg.tensor([1, 2]), tg.tensor([3])])
    tensor([1, 2, 3])
    """
    if not isinstance(tensors, TensorBase) and not tensors:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    xs = _joined(tensors, "cat")
    # PyTorch lets an empty 1-D tensor stand beside anything, for loops that start from one.
    kept = tuple([x for x in xs if x._array.shape != (0,)]) or xs
    first = kept[0]._array.shape
    d = axis(dim, len(first))
    if not first:
        raise RuntimeError("zero-dimensional tensor (at position 0) cannot be concatenated; write stack()")
    for i, x in enumerate(kept):
        shape = x._array.shape
        if shape == first:
            continue
        if len(shape) != len(first):
            raise RuntimeError(f"Tensors must have same number of dimensions: got {len(first)} and {len(shape)}")
        if shape[:d] + shape[d + 1 :] != first[:d] + first[d + 1 :]:
            raise RuntimeError(
                f"Sizes of tensors must match except in dimension {d}. Expected {list(first)} but got {list(shape)} "
                f"for tensor number {i} in the list."
            )
    return cat_row(*kept, dim=d)  # type: ignore[no-any-return]


def stack(tensors: Any, dim: int = 0) -> Tensor:
    """Join tensors of one shape along a new dimension.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.stack([tg.tensor([1, 2]), tg.tensor([3, 4])], dim=1)
    tensor([[1, 3],
            [2, 4]])
    """
    xs = _joined(tensors, "stack")
    for i, x in enumerate(xs):
        if x._array.shape != xs[0]._array.shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(xs[0]._array.shape)} at entry 0 and "
                f"{list(x._array.shape)} at entry {i}"
            )
    return stack_row(*xs, dim=axis(dim, xs[0]._array.ndim + 1))  # type: ignore[no-any-return]


def _raised(input: Any, ndim: int) -> Any:
    """Vectors become rows of as many dimensions."""
    shape = input._array.shape
    return input if len(shape) >= ndim else reshape(input, (1,) * (ndim - len(shape)) + shape)


def atleast_1d(*tensors: Any) -> Any:
    """Return the tensor with at least one dimension; of several, a tuple.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.atleast_1d(tg.tensor(3))
    tensor([3])
    """
    given = tensors[0] if len(tensors) == 1 else tensors
    return tuple(_raised(x, 1) for x in given) if isinstance(given, (tuple, list)) else _raised(given, 1)


def atleast_2d(*tensors: Any) -> Any:
    """Return the tensor with at least two dimensions; of several, a tuple.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.atleast_2d(tg.tensor([3, 4]))
    tensor([[3, 4]])
    """
    given = tensors[0] if len(tensors) == 1 else tensors
    return tuple(_raised(x, 2) for x in given) if isinstance(given, (tuple, list)) else _raised(given, 2)


def hstack(tensors: Any) -> Tensor:
    """Join tensors side by side: vectors end to end, others along dimension 1.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.hstack([tg.tensor([[1], [2]]), tg.tensor([[3], [4]])])
    tensor([[1, 3],
            [2, 4]])
    """
    xs = [_raised(x, 1) for x in _joined(tensors, "hstack")]
    return cat(xs, 0 if xs[0]._array.ndim == 1 else 1)


def vstack(tensors: Any) -> Tensor:
    """Join tensors one below the other; a vector is a row.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.vstack([tg.tensor([1, 2]), tg.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return cat([_raised(x, 2) for x in _joined(tensors, "vstack")], 0)


def column_stack(tensors: Any) -> Tensor:
    """Join tensors side by side; a vector is a column.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.column_stack([tg.tensor([1, 2]), tg.tensor([3, 4])])
    tensor([[1, 3],
            [2, 4]])
    """
    xs = _joined(tensors, "column_stack")
    return cat([reshape(x, (-1, 1)) if x._array.ndim < 2 else x for x in xs], 1)


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Return the coordinates of a grid, as expanded views: the i-th varies along dimension i.

    Parameters
    ----------
    tensors : Tensor...
        Vectors of one dtype, or one list of them.
    indexing : "ij" or "xy"
        With "xy" the first two dimensions are swapped.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.meshgrid(tg.tensor([1, 2]), tg.tensor([3, 4]), indexing="ij")
    (tensor([[1, 1],
            [2, 2]]), tensor([[3, 4],
            [3, 4]]))
    """
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    if not given:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    for x in given:
        if not isinstance(x, TensorBase):
            raise TypeError(f"meshgrid(): expected Tensors, got {type(x).__name__}; write tensor({x!r:.40})")
        if x._array.ndim > 1:
            raise RuntimeError(
                f"meshgrid: Expected 0D or 1D tensor in the tensor list but got shape {list(x._array.shape)}"
            )
    if len({x._array.dtype for x in given}) > 1:
        raise RuntimeError("meshgrid expects all tensors to have the same dtype")
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    places = list(range(len(given)))
    if indexing == "xy" and len(given) > 1:
        places[:2] = [1, 0]
    shape = [0] * len(given)
    for x, place in zip(given, places, strict=True):
        shape[place] = x._array.size
    grids = []
    for x, place in zip(given, places, strict=True):
        line = [1] * len(given)
        line[place] = x._array.size
        grids.append(expand_row(reshape(x, tuple(line)), shape=tuple(shape)))
    return tuple(grids)


concat = concatenate = cat
row_stack = vstack
