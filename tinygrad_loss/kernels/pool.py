"""Pooling over windows, which are a range of positions per output and dimension: strided, dilated or adaptive alike.

The place of a maximum is found anew where it is needed: reading a window again costs no more than reading an index,
which would have to be stored. As in PyTorch the first of equal elements wins, and the last NaN wins over all.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .jit import Array, inline, jit
from .threads import parallel

__all__ = ["Windows", "average", "average_grad", "max_grad", "max_indices", "max_pick", "maximum"]

GRAIN = 262144  # elements in a chunk of planes; below, waking a thread costs more than it saves


class Windows(tuple[tuple[range, ...], ...]):
    """For each dimension, for each output: the range of positions that it looks at.

    Its tables are looked up at every call: to hash all ranges each time would take longer than to pool a small plane.
    """

    @functools.cached_property
    def whole(self) -> bool:
        """Whether every window has a position to look at."""
        return all(map(all, self))  # a range without positions is false

    @functools.cached_property
    def shape(self) -> tuple[int, ...]:
        """How many there are in each dimension."""
        return tuple(map(len, self))

    @functools.cached_property
    def pairs(self) -> bool:
        """Whether they are the squares of two by two, side by side, of most networks."""
        return len(self) == 2 and all(w == range(2 * i, 2 * i + 2) for ws in self for i, w in enumerate(ws))

    @functools.cached_property
    def _hash(self) -> int:
        return tuple.__hash__(self)

    def __hash__(self) -> int:
        return self._hash


@inline
def _take(plane: Array, at: Array, out: Array) -> None:
    for o in range(out.size):
        out[o] = plane[at[o]]


@inline
def _beats(value: float, best: float) -> bool:
    """Whether a later element is the maximum: the first of equal ones, the last NaN."""
    return (value > best) | (value != value)


@inline
def _keep(value: Array, k: Any, best: Array, which: Array) -> None:
    for o in range(best.size):
        won = _beats(value[o], best[o])
        best[o] = value[o] if won else best[o]
        which[o] = k if won else which[o]


@inline
def _scan(plane: Array, at: Array, value: Array, best: Array, which: Array) -> None:
    """The largest element of each window, and the which-th of the window it is.

    Tap by tap for all windows, in two loops: the second one is vectorized, where a loop over windows would branch on
    data and go wrong half of the time (9 times slower).
    """
    _take(plane, at[0], best)
    which[:] = 0
    # a NaN that comes first is overtaken by no number: both comparisons with it are false
    for k in range(1, at.shape[0]):
        _take(plane, at[k], value)
        _keep(value, np.int32(k), best, which)


@jit
def _max(x: Array, at: Array, out: Array) -> None:
    value, which = np.empty(at.shape[1], x.dtype), np.empty(at.shape[1], np.int32)
    for p in range(x.shape[0]):
        _scan(x[p], at, value, out[p], which)


@jit
def _max_of_pairs(x: Array, out: Array) -> None:
    """`_max` for squares of two by two: without a table, three times as fast."""
    source, target = x.ravel(), out.ravel()
    one, two, width, places = np.uint64(1), np.uint64(2), np.uint64(x.shape[2]), np.uint64(out.shape[2])
    for p in range(out.shape[0]):
        for i in range(out.shape[1]):
            start = np.uint64((p * x.shape[1] + 2 * i) * x.shape[2])  # unsigned, as the table is
            end = np.uint64((p * out.shape[1] + i) * out.shape[2])
            for j in range(places):
                at = start + two * j
                best = source[at]
                for value in (source[at + one], source[at + width], source[at + width + one]):
                    best = value if _beats(value, best) else best
                target[end + j] = best


@jit
def _max_pick(v: Array, x: Array, at: Array, out: Array) -> None:
    value, which = np.empty(at.shape[1], x.dtype), np.empty(at.shape[1], np.int32)
    best = np.empty(at.shape[1], x.dtype)
    for p in range(x.shape[0]):
        _scan(x[p], at, value, best, which)
        for o in range(best.size):
            out[p, o] = v[p, at[which[o], o]]


@jit
def _max_grad(g: Array, x: Array, at: Array, out: Array) -> None:
    value, which = np.empty(at.shape[1], x.dtype), np.empty(at.shape[1], np.int32)
    best = np.empty(at.shape[1], x.dtype)
    for p in range(x.shape[0]):
        _scan(x[p], at, value, best, which)
        for o in range(best.size):
            out[p, at[which[o], o]] += g[p, o]


@jit
def _max_indices(x: Array, at: Array, out: Array) -> None:
    value, which = np.empty(at.shape[1], x.dtype), np.empty(at.shape[1], np.int32)
    best = np.empty(at.shape[1], x.dtype)
    for p in range(x.shape[0]):
        _scan(x[p], at, value, best, which)
        for o in range(best.size):
            out[p, o] = at[which[o], o]


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
    both = ((range(1),), *windows)[-2:]
    rows, columns = (np.array([(w.start, len(w), w.step) for w in ws], np.int64).reshape(-1, 3) for ws in both)
    return rows.T.copy(), columns.T.copy()


@functools.lru_cache(32)  # up to some hundred kilobytes each
def _positions(windows: Windows, width: int) -> Array:
    """For each element of a window, where it lies in the plane, for all windows.

    A window that is shorter than others has its last element several times: that changes no maximum. Positions are
    unsigned, or Numba would ask of each whether it counts from the end.
    """
    at: Array = np.zeros((1, 1), np.int64)
    for table, distance in zip(_tables(windows), (width, 1), strict=True):
        first, count, step = table
        elements = np.minimum(np.arange(count.max(initial=0))[:, None], count - 1)
        along = (first + elements * step) * distance
        at = at[:, None, :, None] + along[None, :, None, :]
        at = at.reshape(at.shape[0] * at.shape[1], at.shape[2] * at.shape[3])
    return at.astype(np.uint64)


@functools.lru_cache(256)
def _divisors(divisors: tuple[tuple[float, ...], ...]) -> tuple[Array, Array]:
    rows, columns = ((1.0,), *divisors)[-2:]
    return np.array(rows, np.float64), np.array(columns, np.float64)


def _planes(x: Array) -> Array:
    """(N, C, [H,] W) as (N * C, H, W), without holes."""
    n, c, *plane = x.shape
    return np.ascontiguousarray(x).reshape(n * c, *((1, 1, *plane)[-2:]))


def _flat(x: Array) -> Array:
    """(N, C, [H,] W) as (N * C, H * W), without holes."""
    n, c, *plane = x.shape
    return np.ascontiguousarray(x).reshape(n * c, math.prod(plane))


def _out(x: Array, windows: Windows, dtype: Any) -> Array:
    return np.empty(x.shape[:2] + windows.shape, dtype)


def _each_plane(kernel: Callable[..., None], arrays: tuple[Array, ...], tables: tuple[Array, ...], out: Array) -> None:
    """Call kernel(*arrays, *tables, out) for chunks of planes."""
    size = max(arrays[0].size, out.size)
    if not out.size or not arrays[0].size:
        return
    grain = max(1, GRAIN * len(out) // size)
    if len(out) <= grain:
        kernel(*arrays, *tables, out)
        return

    def run(first: int, last: int) -> None:
        kernel(*(a[first:last] for a in arrays), *tables, out[first:last])

    parallel(run, len(out), grain)


def _maximum(kernel: Callable[..., None], arrays: tuple[Array, ...], x: Array, windows: Windows, out: Array) -> Array:
    at = _positions(windows, x.shape[-1])
    if len(at):  # else all windows lie in the padding
        _each_plane(kernel, tuple(_flat(a) for a in arrays), (at,), _flat(out))
    return out


def maximum(x: Array, windows: Windows) -> Array:
    """The largest element of each window."""
    out = _out(x, windows, x.dtype)
    if windows.pairs:
        _each_plane(_max_of_pairs, (_planes(x),), (), _planes(out))
        return out
    if not windows.whole:
        out.fill(-np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min)
    return _maximum(_max, (x,), x, windows, out)


def max_pick(v: Array, x: Array, windows: Windows) -> Array:
    """The element of v that lies where x has the largest of each window."""
    return _maximum(_max_pick, (v, x), x, windows, np.zeros(x.shape[:2] + windows.shape, v.dtype))


def max_grad(g: Array, x: Array, windows: Windows) -> Array:
    """The transpose of ``max_pick``: g added where x has the largest of each window."""
    return _maximum(_max_grad, (g, x), x, windows, np.zeros(x.shape, g.dtype))


def max_indices(x: Array, windows: Windows) -> Array:
    """The position of each window's largest element, counted through the plane."""
    return _maximum(_max_indices, (x,), x, windows, _out(x, windows, np.int64))


def average(x: Array, windows: Windows, divisors: tuple[tuple[float, ...], ...]) -> Array:
    """The sum over each window, divided by what its row and its column are to be divided by."""
    out = _out(x, windows, x.dtype)
    _each_plane(_average, (_planes(x),), (*_tables(windows), *_divisors(divisors)), _planes(out))
    return out


def average_grad(g: Array, size: tuple[int, ...], windows: Windows, divisors: tuple[tuple[float, ...], ...]) -> Array:
    """The transpose of ``average``, for planes of this size."""
    out = np.zeros((*g.shape[:2], *size), g.dtype)
    _each_plane(_average_grad, (_planes(g),), (*_tables(windows), *_divisors(divisors)), _planes(out))
    return out
