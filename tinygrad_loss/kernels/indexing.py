"""Adding at positions that may repeat. Positions are trusted: callers have checked them, or made them themselves."""

import math
from typing import Any

import numpy as np

from .jit import Array, jit

__all__ = ["add_along", "add_at", "add_flat"]

Shape = tuple[int, ...]


@jit
def _add(out: Array, positions: Array, values: Array) -> None:
    for i in range(positions.size):
        out[positions[i]] += values[i]


@jit
def _add_slabs(out: Array, index: Array, source: Array) -> None:
    for o in range(source.shape[0]):
        for i in range(index.size):
            target = index[i]
            for j in range(source.shape[2]):
                out[o, target, j] += source[o, i, j]


def _flat(x: Array, dtype: "np.dtype[np.generic] | type") -> Array:
    return np.ascontiguousarray(x, dtype).reshape(-1)


def add_flat(out: Array, positions: Array, values: Array) -> None:
    """Add values to the flat positions of a contiguous array."""
    if out.dtype.kind not in "fiu":
        np.add.at(out.reshape(-1), positions.reshape(-1), np.broadcast_to(values, positions.shape).reshape(-1))
        return
    _add(out.reshape(-1), _flat(positions, np.int64), _flat(np.broadcast_to(values, positions.shape), out.dtype))


def add_at(shape: Shape, index: Any, values: Array) -> Array:
    """Zeros of that shape, with the values added where NumPy's ``out[index]`` is."""
    out = np.zeros(shape, values.dtype)
    # NumPy itself turns the index into flat positions, and checks it.
    positions = np.arange(out.size).reshape(shape)[index]
    add_flat(out, positions, values)
    return out


def add_along(out: Array, dim: int, index: Array, source: Array) -> None:
    """Add the i-th slab of the source to slab index[i] of a contiguous array, along a dimension."""
    shape = out.shape
    outer, inner = math.prod(shape[:dim]), math.prod(shape[dim + 1 :])
    if out.dtype.kind not in "fiu":
        where: Any = (slice(None),) * dim + (index,)
        np.add.at(out, where, source)
        return
    _add_slabs(
        out.reshape(outer, shape[dim], inner),
        _flat(index, np.int64),
        np.ascontiguousarray(source, out.dtype).reshape(outer, len(index), inner),
    )
