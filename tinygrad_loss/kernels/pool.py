"""Pooling over windows, which are a range of positions per output and dimension: strided, dilated or adaptive alike.

The place of a maximum is found anew where it is needed: reading a window again costs no more than reading an index,
which would have to be stored. As in PyTorch the first of equal elements wins, and the last NaN wins over all.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .jit import Array, inline, jit
from .threads import parallel

__all__ = ["Windows", "average", "average_grad", "max_grad", "max_indices", "max_pick"]

Windows = tuple[tuple[range, ...], ...]
GRAIN = 32768  # elements in a chunk of planes


@inline
def _best(x: Array, r: Array, c: Array, i: int, j: int) -> int:
    """The position, in the plane, of the largest element of window i, j."""
    best: int = r[0, i] * x.shape[1] + c[0, j]
    most = x[r[0, i], c[0, j]]
    for a in range(r[1, i]):
        row = r[0, i] + a * r[2, i]
        for b in range(c[1, j]):
            column = c[0, j] + b * c[2, j]
            value = x[row, column]
            if value > most or value != value:
                most, best = value, row * x.shape[1] + column
    return best


@jit
def _max_pick(v: Array, x: Array, r: Array, c: Array, out: Array) -> None:
    for p in range(x.shape[0]):
        plane, values = x[p], v[p].ravel()
        for i in range(r.shape[1]):
            for j in range(c.shape[1]):
                out[p, i, j] = values[_best(plane, r, c, i, j)]


@jit
def _max_grad(g: Array, x: Array, r: Array, c: Array, out: Array) -> None:
    for p in range(x.shape[0]):
        plane, target = x[p], out[p].ravel()
        for i in range(r.shape[1]):
            for j in range(c.shape[1]):
                target[_best(plane, r, c, i, j)] += g[p, i, j]


@jit
def _max_indices(x: Array, r: Array, c: Array, out: Array) -> None:
    for p in range(x.shape[0]):
        for i in range(r.shape[1]):
            for j in range(c.shape[1]):
                out[p, i, j] = _best(x[p], r, c, i, j)


@jit
def _average(x: Array, r: Array, c: Array, rows: Array, columns: Array, out: Array) -> None:
    for p in range(x.shape[0]):
        for i in range(r.shape[1]):
            for j in range(c.shape[1]):
                s = 0.0
                for a in range(r[1, i]):
                    for b in range(c[1, j]):
                        s += x[p, r[0, i] + a * r[2, i], c[0, j] + b * c[2, j]]
                out[p, i, j] = s / (rows[i] * columns[j])


@jit
def _average_grad(g: Array, r: Array, c: Array, rows: Array, columns: Array, out: Array) -> None:
    for p in range(g.shape[0]):
        for i in range(r.shape[1]):
            for j in range(c.shape[1]):
                share = g[p, i, j] / (rows[i] * columns[j])
                for a in range(r[1, i]):
                    for b in range(c[1, j]):
                        out[p, r[0, i] + a * r[2, i], c[0, j] + b * c[2, j]] += share


@functools.lru_cache(256)
def _tables(windows: Windows) -> tuple[Array, Array]:
    """First position, count and step of the windows of rows and of columns."""
    if len(windows) == 1:
        windows = ((range(1),), *windows)
    rows, columns = (np.array([(w.start, len(w), w.step) for w in ws], np.int64).reshape(-1, 3) for ws in windows)
    return rows.T.copy(), columns.T.copy()


@functools.lru_cache(256)
def _divisors(divisors: tuple[tuple[float, ...], ...]) -> tuple[Array, Array]:
    rows, columns = ((1.0,), *divisors)[-2:]
    return np.array(rows, np.float64), np.array(columns, np.float64)


def _planes(x: Array) -> Array:
    """(N, C, [H,] W) as (N * C, H, W), without holes."""
    plane = x.shape[2:] if x.ndim == 4 else (1, x.shape[2])
    return np.ascontiguousarray(x).reshape(-1, *plane)


def _out(x: Array, windows: Windows, dtype: Any) -> Array:
    return np.empty((*x.shape[:2], *map(len, windows)), dtype)


def _each_plane(kernel: Callable[..., None], arrays: tuple[Array, ...], tables: tuple[Array, ...], out: Array) -> Array:
    """Call kernel(*planes of arrays, *tables, planes of out) for chunks of planes."""
    if out.size and arrays[0].size:
        planes, target = [_planes(a) for a in arrays], _planes(out)
        grain = max(1, GRAIN // max(planes[0][0].size, target[0].size))

        def run(first: int, last: int) -> None:
            kernel(*(p[first:last] for p in planes), *tables, target[first:last])

        parallel(run, len(target), grain)
    return out


def max_pick(v: Array, x: Array, windows: Windows) -> Array:
    """The element of v that lies where x has the largest of each window; of x itself, its maximum."""
    return _each_plane(_max_pick, (v, x), _tables(windows), _out(v, windows, v.dtype))


def max_grad(g: Array, x: Array, windows: Windows) -> Array:
    """The transpose of ``max_pick``: g added where x has the largest of each window."""
    return _each_plane(_max_grad, (g, x), _tables(windows), np.zeros(x.shape, g.dtype))


def max_indices(x: Array, windows: Windows) -> Array:
    """The position of each window's largest element, counted through the plane."""
    return _each_plane(_max_indices, (x,), _tables(windows), _out(x, windows, np.int64))


def average(x: Array, windows: Windows, divisors: tuple[tuple[float, ...], ...]) -> Array:
    """The sum over each window, divided by what its row and its column are to be divided by."""
    return _each_plane(_average, (x,), (*_tables(windows), *_divisors(divisors)), _out(x, windows, x.dtype))


def average_grad(g: Array, size: tuple[int, ...], windows: Windows, divisors: tuple[tuple[float, ...], ...]) -> Array:
    """The transpose of ``average``, for planes of this size."""
    out = np.zeros((*g.shape[:2], *size), g.dtype)
    return _each_plane(_average_grad, (g,), (*_tables(windows), *_divisors(divisors)), out)
