"""Indexing as PyTorch does it: basic parts first, as views, then arrays of positions and masks, as a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import Array
from ..op import TensorBase, op, sample
from .arguments import kept
from .shape import unsqueeze_row
from .slicing import select_row, slice_row

if TYPE_CHECKING:
    pass

_I = np.array([2, 0, 2])
_INDICES = [
    sample((3, 4), index=(_I,)),
    sample((3, 4), index=(slice(None), _I)),
    sample((3, 4), index=(_I, np.array([1, 1, 3]))),
    sample((3, 4), index=(np.array([True, False, True]),)),
]
index_row = op(
    "index",
    lambda x, *, index: x[index],
    vjp=lambda g, x_shape, index: index_grad(g, shape=x_shape, index=index),
    numpy="{x}[{index}]",
    domain=(-2, 2),
    samples=_INDICES,
)


def _scattered(g: Array, *, shape: tuple[int, ...], index: tuple[Any, ...]) -> Array:
    out = np.zeros(shape, g.dtype)
    np.add.at(out, index, g)  # out[index] += g would count a repeated position once
    return out


index_grad: Any = op(
    "index_grad",
    _scattered,
    vjp=lambda g, index: index_row(g, index=index),
    numpy=_scattered,
    domain=(-2, 2),
    samples=[sample((3, 4), shape=(3, 4), index=(_I,))],
    grad_name="IndexPutBackward0",
)


def getitem(x: Any, index: Any) -> Any:
    """``x[index]``: a view for ints, slices, None and Ellipsis; a copy where positions or a mask are given."""
    basic, advanced = split(index, x._array.shape)
    out = basic_view(x, basic) if basic else x
    return index_row(out, index=advanced) if advanced else out


def basic_view(x: Any, basic: tuple[Any, ...]) -> Any:
    """Apply the basic part; the name on the tape is that of its last step, as in PyTorch."""
    last = next((i for i in reversed(basic) if i is not Ellipsis and i != slice(None)), slice)
    if basic == (None,):
        return unsqueeze_row(x, dim=0)
    return (select_row if isinstance(last, int) else slice_row)(x, index=basic)


def split(index: Any, shape: tuple[int, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Check an index and take it apart: a basic index, and an advanced one for what the basic one leaves.

    An int is basic even beside arrays (NumPy would count it as an array and move dimensions).
    """
    if isinstance(index, int) and not isinstance(index, bool):
        return (_position(index, 0, shape),), ()
    items = list(index) if isinstance(index, tuple) else [index]
    items = [_plain(i) for i in items]
    used = sum(i.ndim if _is_mask(i) else 1 for i in items if i is not None and i is not Ellipsis)
    if used > len(shape):
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}: got {used}")
    if sum(i is Ellipsis for i in items) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    basic: list[Any] = []
    advanced: list[Any] = []
    dim = 0
    for item in items:
        if item is Ellipsis:
            skip = len(shape) - used
            basic += [slice(None)] * skip
            advanced += [slice(None)] * skip
            dim += skip
        elif item is None:
            basic.append(None)
            advanced.append(slice(None))
        elif isinstance(item, int):
            basic.append(_position(item, dim, shape))
            dim += 1
        elif isinstance(item, slice):
            basic.append(_checked_slice(item))
            advanced.append(slice(None))
            dim += 1
        elif _is_mask(item):
            if item.shape != shape[dim : dim + item.ndim]:
                raise IndexError(
                    f"The shape of the mask {list(item.shape)} at index {dim} does not match the shape of the indexed "
                    f"tensor {list(shape)} at dimension {dim}"
                )
            basic += [slice(None)] * item.ndim
            advanced.append(item)
            dim += item.ndim
        else:
            _check_positions(item, dim, shape)
            basic.append(slice(None))
            advanced.append(item)
            dim += 1
    if not any(isinstance(i, np.ndarray) for i in advanced):
        advanced = []
    elif all(isinstance(i, slice) and i == slice(None) for i in basic):
        basic = []
    return tuple(basic), tuple(advanced)


def _plain(item: Any) -> Any:
    """An index item as an int, a slice, None, Ellipsis, or an array of positions or a mask."""
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    if isinstance(item, TensorBase):
        item = item._array
    if isinstance(item, bool):
        return np.array(item)
    if isinstance(item, (int, np.integer)):
        return int(item)
    if isinstance(item, (list, range, tuple)):
        item = np.array([i._array if isinstance(i, TensorBase) else i for i in item])
        if item.size == 0:
            item = item.astype(np.int64)
    if not isinstance(item, (np.ndarray, np.bool_)) or item.dtype.kind not in "iub":
        kind = item.dtype if isinstance(item, np.ndarray) else type(item).__name__
        raise IndexError(
            f"tensors used as indices must be long, int, byte or bool tensors, got {kind}. Write x[i.long()]; only "
            f"integers, slices (`:`), ellipsis (`...`), None and long or bool Tensors are valid indices"
        )
    if item.dtype.kind != "b" and item.ndim == 0:
        return int(item)
    return kept(np.asarray(item))


def _is_mask(item: Any) -> bool:
    return isinstance(item, np.ndarray) and item.dtype.kind == "b"


def _position(i: int, dim: int, shape: tuple[int, ...]) -> int:
    if not shape:
        raise IndexError("invalid index of a 0-dim tensor. Use `tensor.item()` to convert it to a Python number")
    if not -shape[dim] <= i < shape[dim]:
        raise IndexError(f"index {i} is out of bounds for dimension {dim} with size {shape[dim]}")
    return i


def _checked_slice(item: slice) -> slice:
    parts = [v._array.item() if isinstance(v, TensorBase) else v for v in (item.start, item.stop, item.step)]
    if parts[2] is not None and parts[2] <= 0:
        raise ValueError(f"step must be greater than zero, got {parts[2]}; write .flip(dim) to reverse")
    return slice(*parts)


def _check_positions(item: Array, dim: int, shape: tuple[int, ...]) -> None:
    size = shape[dim]
    if item.size and (item.min() < -size or item.max() >= size):
        bad = item[(item < -size) | (item >= size)].flat[0]
        raise IndexError(f"index {bad} is out of bounds for dimension {dim} with size {size}")
