"""logsumexp, softmax and log_softmax along one axis, shifted by the maximum.

Each row gives two numbers: its largest entry m, and the sum of e**(x - m) over the entries other than that one. Keeping
the largest apart is what makes a confident row exact: log(1 + rest) by log1p is e**-80 where 1 + rest is 1.
Rows are taken in blocks that stay in the cache, so that short rows are vectorized as well as long ones.
"""

import numpy as np

from . import scalar
from .jit import Array, inline, jit, reassociating
from .threads import parallel

__all__ = ["log_softmax", "log_softmax_grad", "logsumexp", "logsumexp_grad", "softmax", "softmax_grad"]

BLOCK = 2048  # float64 of scratch: 16 KiB, half of a common L1 cache
GRAIN = 16384  # elements a thread takes at a time


@reassociating
def total(x: Array, start: int, stop: int) -> np.float64:
    """The sum of x[start:stop]."""
    s = 0.0
    for i in range(start, stop):
        s += x[i]
    return s


@reassociating
def rest_and_ties(shifted: Array, exps: Array, start: int, stop: int) -> tuple[np.float64, np.float64]:
    """The sum of the exponentials below the maximum, and how many entries equal it."""
    s, ties = 0.0, 0.0
    for i in range(start, stop):
        s += 0.0 if shifted[i] == 0.0 else exps[i]
        ties += 1.0 if shifted[i] == 0.0 else 0.0
    return s, ties


@inline
def row_pieces(x: Array, first: int, last: int, shifted: Array, exps: Array, high: Array, rest: Array) -> None:
    """For rows first to last: x - m, e**(x - m), m, and the sum of e**(x - m) without one entry that equals m."""
    n = x.shape[1]
    for r in range(first, last):
        m = x[r, 0]
        for j in range(1, n):
            m = x[r, j] if x[r, j] > m else m
        high[r] = m
        base = (r - first) * n
        for j in range(n):
            shifted[base + j] = np.float64(x[r, j]) - np.float64(m)
    for i in range((last - first) * n):
        exps[i] = scalar.exp64(shifted[i])
    if x.itemsize == 8:
        # x - m was rounded, and e**(x - m) magnifies that by |x - m|: put the lost part back (TwoDiff, Knuth)
        for r in range(first, last):
            base = (r - first) * n
            for j in range(n):
                d = shifted[base + j]
                back = d - x[r, j]
                lost = (x[r, j] - (d - back)) - (high[r] + back)
                exps[base + j] += exps[base + j] * lost if abs(lost) < 1.0 else 0.0
    for r in range(first, last):
        base = (r - first) * n
        s, ties = rest_and_ties(shifted, exps, base, base + n)
        rest[r] = s + (ties - 1.0) if abs(high[r]) < np.inf else s + (high[r] - high[r])


@jit
def _logsumexp(x: Array, out: Array) -> None:
    rows, n = x.shape
    step = max(1, BLOCK // n)
    shifted, exps = np.empty(min(step, rows) * n), np.empty(min(step, rows) * n)
    rest = np.empty(rows)
    for first in range(0, rows, step):
        last = min(first + step, rows)
        row_pieces(x, first, last, shifted, exps, out, rest)
        for r in range(first, last):
            m = np.float64(out[r])
            if abs(m) == np.inf:
                hidden = False
                for j in range(n):
                    hidden |= x[r, j] != x[r, j]
                out[r] = np.nan if hidden else m
            else:
                out[r] = m + scalar.log1p(rest[r])


@jit
def _logsumexp_grad(g: Array, x: Array, y: Array, out: Array) -> None:
    rows, n = x.shape
    step = max(1, BLOCK // n)
    shifted, exps = np.empty(min(step, rows) * n), np.empty(min(step, rows) * n)
    high, rest = np.empty(rows, x.dtype), np.empty(rows)
    for first in range(0, rows, step):
        last = min(first + step, rows)
        row_pieces(x, first, last, shifted, exps, high, rest)
        for r in range(first, last):
            base = (r - first) * n
            scale = np.float64(g[r]) / (1.0 + rest[r])
            for j in range(n):
                out[r, j] = 0.0 if y[r] == -np.inf else exps[base + j] * scale


@jit
def _softmax(x: Array, out: Array) -> None:
    rows, n = x.shape
    step = max(1, BLOCK // n)
    shifted, exps = np.empty(min(step, rows) * n), np.empty(min(step, rows) * n)
    high, rest = np.empty(rows, x.dtype), np.empty(rows)
    for first in range(0, rows, step):
        last = min(first + step, rows)
        row_pieces(x, first, last, shifted, exps, high, rest)
        for r in range(first, last):
            base = (r - first) * n
            whole = 1.0 + rest[r]
            for j in range(n):
                out[r, j] = exps[base + j] / whole


@jit
def _log_softmax(x: Array, out: Array) -> None:
    rows, n = x.shape
    step = max(1, BLOCK // n)
    shifted, exps = np.empty(min(step, rows) * n), np.empty(min(step, rows) * n)
    high, rest = np.empty(rows, x.dtype), np.empty(rows)
    for first in range(0, rows, step):
        last = min(first + step, rows)
        row_pieces(x, first, last, shifted, exps, high, rest)
        for r in range(first, last):
            base = (r - first) * n
            whole = scalar.log1p(rest[r])
            for j in range(n):
                out[r, j] = shifted[base + j] - whole


@reassociating
def dot(a: Array, b: Array, r: int) -> np.float64:
    """The inner product of row r of a and b."""
    s = 0.0
    for j in range(a.shape[1]):
        s += np.float64(a[r, j]) * np.float64(b[r, j])
    return s


@reassociating
def row_total(a: Array, r: int) -> np.float64:
    """The sum of row r."""
    s = 0.0
    for j in range(a.shape[1]):
        s += np.float64(a[r, j])
    return s


@jit
def _softmax_grad(g: Array, y: Array, out: Array) -> None:
    for r in range(g.shape[0]):
        s = dot(g, y, r)
        for j in range(g.shape[1]):
            out[r, j] = np.float64(y[r, j]) * (np.float64(g[r, j]) - s)


@jit
def _log_softmax_grad(g: Array, y: Array, out: Array) -> None:
    for r in range(g.shape[0]):
        s = row_total(g, r)
        for j in range(g.shape[1]):
            # g - e**y sum(g), with the entry's own g taken out of the sum: 1 - e**y is then free of cancellation
            own = np.float64(g[r, j])
            e, m = scalar.exp_and_expm1(y[r, j])
            out[r, j] = -own * m - e * (s - own)


def _rows(x: Array, dim: int) -> Array:
    """x with axis `dim` last, contiguous."""
    return np.ascontiguousarray(np.moveaxis(x, dim, -1) if x.ndim > 1 else x.reshape(-1))


def _run(kernel: object, arrays: tuple[Array, ...], rows: int, n: int) -> None:
    """kernel(*arrays) over chunks of rows."""
    if rows * n == 0:
        return
    if rows * n <= GRAIN or rows == 1:
        kernel(*arrays)  # type: ignore[operator]
        return
    parallel(lambda a, b: kernel(*[v[a:b] for v in arrays]), rows, max(1, GRAIN // n))  # type: ignore[operator]


def _along(kernel: object, inputs: tuple[Array, ...], dim: int) -> Array:
    """Rows of each input in, rows of the same shape out."""
    inputs = tuple(_rows(np.asarray(v), dim) for v in inputs)
    moved = inputs[-1]
    n = moved.shape[-1]
    rows = moved.size // n if n else 0
    out = np.empty(moved.shape, moved.dtype)
    _run(kernel, (*(v.reshape(rows, n) if n else v for v in inputs), out.reshape(rows, n) if n else out), rows, n)
    return out


def _back(out: Array, x: Array, dim: int) -> Array:
    """`out`, whose last axis is x's axis `dim`, in x's shape."""
    return np.ascontiguousarray(np.moveaxis(out, -1, dim)) if x.ndim > 1 else out.reshape(x.shape)


def logsumexp(x: Array, dim: int) -> Array:
    """log(sum(e**x)) along `dim`, which the result no longer has; -inf where there is nothing to sum."""
    x = np.asarray(x)
    moved = _rows(x, dim)
    n = moved.shape[-1]
    out = np.full(moved.shape[:-1], -np.inf, moved.dtype)
    rows = out.size
    if n:
        _run(_logsumexp, (moved.reshape(rows, n), out.reshape(rows)), rows, n)
    return out


def logsumexp_grad(g: Array, x: Array, y: Array, dim: int) -> Array:
    """g softmax(x) along `dim`, g and y = logsumexp(x) without that axis; 0 where y is -inf."""
    x = np.asarray(x)
    moved = _rows(x, dim)
    n = moved.shape[-1]
    rows = moved.size // n if n else 0
    out = np.empty(moved.shape, moved.dtype)
    if rows:
        flat = (np.asarray(g).ravel(), moved.reshape(rows, n), np.asarray(y).ravel(), out.reshape(rows, n))
        _run(_logsumexp_grad, flat, rows, n)
    return _back(out, x, dim)


def softmax(x: Array, dim: int) -> Array:
    """e**x / sum(e**x) along `dim`."""
    x = np.asarray(x)
    return _back(_along(_softmax, (x,), dim), x, dim)


def softmax_grad(g: Array, y: Array, dim: int) -> Array:
    """y (g - sum(g y)) along `dim`, from the output y."""
    y = np.asarray(y)
    return _back(_along(_softmax_grad, (g, y), dim), y, dim)


def log_softmax(x: Array, dim: int) -> Array:
    """x - logsumexp(x) along `dim`."""
    x = np.asarray(x)
    return _back(_along(_log_softmax, (x,), dim), x, dim)


def log_softmax_grad(g: Array, y: Array, dim: int) -> Array:
    """g - e**y sum(g) along `dim`, from the output y."""
    y = np.asarray(y)
    return _back(_along(_log_softmax_grad, (g, y), dim), y, dim)
