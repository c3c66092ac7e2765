"""logsumexp, softmax and log_softmax along one axis, shifted by the maximum.

Each row gives two numbers: its largest entry m, and the sum of e**(x - m) over the entries other than that one. Keeping
the largest apart is what makes a confident row exact: log(1 + rest) by log1p is e**-80 where 1 + rest is 1.
Rows are taken in blocks that stay in the cache, so that short rows are vectorized as well as long ones.
"""

from typing import Any

import numpy as np

from . import scalar
from .dense import two_sum
from .jit import Array, bits, from_bits, inline, itemsize, jit, reassociating
from .threads import parallel

__all__ = ["log_softmax", "log_softmax_grad", "logsumexp", "logsumexp_grad", "softmax", "softmax_grad"]

SHORT = 64  # entries: exponentials of several shorter rows are taken together, to fill vectors
BLOCK = 2048  # float64 of scratch: 16 KiB, half of a common L1 cache
GRAIN = 65536  # elements a thread takes at a time
ndarray = np.ndarray


@inline
def largest(x: Array, r: int) -> float:
    """The maximum of row r; where the row holds NaN, a number or NaN.

    Compared as integers: LLVM vectorizes the maximum of integers, but not of floats that may be NaN.
    """
    best = scalar.flip(bits(x[r, 0]))
    for j in range(1, x.shape[1]):
        k = scalar.flip(bits(x[r, j]))
        best = k if k > best else best
    return np.float64(from_bits(scalar.flip(best)))


@reassociating
def sum_and_ties(exps: Array) -> tuple[float, float]:
    """The sum of the exponentials below 1, and the number of those that are 1."""
    s, ties = 0.0, 0.0
    for i in range(exps.size):
        one = exps[i] == 1.0
        s += 0.0 if one else exps[i]
        ties += 1.0 if one else 0.0
    return s, ties


@inline
def others(exps: Array, like: Array) -> float:
    """The sum of the exponentials without one that is 1; for float64 in short runs whose sum is compensated."""
    if itemsize(like) == 4:
        total, ties = sum_and_ties(exps)
        return total + (ties - 1.0)
    total, lost, ties = 0.0, 0.0, 0.0
    for start in range(0, exps.size, 64):
        s, ones = sum_and_ties(exps[start : start + 64])
        total, e = two_sum(total, s)
        lost, ties = lost + e, ties + ones
    return total + (lost + (ties - 1.0))


@reassociating
def sum_of_exponentials(x: Array, m: float) -> float:
    """The sum of e**(x - m) over a row, to 28 bits and without storing them."""
    s = 0.0
    for j in range(x.size):
        s += scalar.exp_coarse(np.float64(x[j]) - m)
    return s


@inline
def lost_in(x: float, m: float) -> float:
    """What x - m lost to rounding (TwoDiff, Knuth); 0 for infinities."""
    d = x - m
    back = d - x
    lost = (x - (d - back)) - (m + back)
    return lost if abs(lost) < 1.0 else 0.0


@inline
def exponentials(x: Array, first: int, last: int, exact: bool, high: Array, exps: Array) -> None:
    """e**(x - m) for rows first to last, one row after the other, so that short rows fill vectors too.

    For float32 they have 28 bits, unless `exact`.
    """
    n = x.shape[1]
    lost = np.empty(exps.size if itemsize(x) == 8 else 0)
    for r in range(first, last):
        # a view, since an index like r * n + j might be negative for all that Numba knows: LLVM would then gather
        row, m = exps[(r - first) * n : (r - first + 1) * n], high[r]
        for j in range(n):
            row[j] = np.float64(x[r, j]) - m
        if itemsize(x) == 8:
            less = lost[(r - first) * n : (r - first + 1) * n]
            for j in range(n):
                less[j] = lost_in(x[r, j], m)
    if itemsize(x) == 8:
        for i in range((last - first) * n):
            exps[i] = scalar.exp_sum(exps[i], lost[i])
    elif exact:
        for i in range((last - first) * n):
            exps[i] = scalar.exp64(exps[i])
    else:
        for i in range((last - first) * n):
            exps[i] = scalar.exp_coarse(exps[i])


@inline
def row_pieces(x: Array, first: int, last: int, exact: bool, exps: Array, high: Array, rest: Array) -> None:
    """For rows first to last: their exponentials, m, and the sum of these without one that is 1."""
    n = x.shape[1]
    for r in range(first, last):
        high[r] = largest(x, r)
    exponentials(x, first, last, exact, high, exps)
    for r in range(first, last):
        rest[r] = others(exps[(r - first) * n : (r - first + 1) * n], x)


@inline
def row_sums(x: Array, first: int, last: int, exact: bool, exps: Array, high: Array, rest: Array) -> None:
    """What `row_pieces` gives, where the exponentials themselves are not asked for."""
    n = x.shape[1]
    if exact or n < SHORT or itemsize(x) == 8:
        row_pieces(x, first, last, exact, exps, high, rest)
        return
    for r in range(first, last):
        high[r] = largest(x, r)
        rest[r] = sum_of_exponentials(x[r], high[r]) - 1.0
        if not rest[r] > 2.0**-24:  # a confident row: the 1 has taken digits from the others
            row_pieces(x, r, r + 1, exact, exps, high, rest)


@inline
def has_nan(x: Array, r: int) -> bool:
    """Whether row r holds NaN."""
    found = False
    for j in range(x.shape[1]):
        found |= x[r, j] != x[r, j]
    return found


@jit
def _logsumexp(x: Array, out: Array) -> None:
    rows, n = x.shape
    step = max(1, BLOCK // n)
    exps, high, rest = np.empty(min(step, rows) * n), np.empty(rows), np.empty(rows)
    for first in range(0, rows, step):
        last = min(first + step, rows)
        # m + log(1 + rest) may cancel down to the last bits of a float32
        row_pieces(x, first, last, True, exps, high, rest)
        for r in range(first, last):
            m = high[r]
            if abs(m) == np.inf:
                out[r] = np.nan if has_nan(x, r) else m
            else:
                out[r] = m + scalar.log1p_64(rest[r])


@jit
def _softmax(x: Array, out: Array) -> None:
    rows, n = x.shape
    step = max(1, BLOCK // n)
    exps, high, rest = np.empty(min(step, rows) * n), np.empty(rows), np.empty(rows)
    for first in range(0, rows, step):
        last = min(first + step, rows)
        row_pieces(x, first, last, False, exps, high, rest)
        for r in range(first, last):
            row = exps[(r - first) * n : (r - first + 1) * n]
            whole = 1.0 + rest[r]
            if itemsize(x) == 4:
                scale = 1.0 / whole
                for j in range(n):
                    out[r, j] = row[j] * scale
            else:
                for j in range(n):
                    out[r, j] = row[j] / whole


@jit
def _log_softmax(x: Array, out: Array) -> None:
    rows, n = x.shape
    step = max(1, BLOCK // n)
    exps, high, rest = np.empty(min(step, rows) * n), np.empty(rows), np.empty(rows)
    for first in range(0, rows, step):
        last = min(first + step, rows)
        row_sums(x, first, last, False, exps, high, rest)
        for r in range(first, last):
            whole = scalar.log1p_64(rest[r])
            if itemsize(x) == 4:
                for j in range(n):
                    out[r, j] = (np.float64(x[r, j]) - high[r]) - whole
            else:
                for j in range(n):
                    out[r, j] = (x[r, j] - high[r]) + (lost_in(x[r, j], high[r]) - whole)


@jit
def _logsumexp_grad(x: Array, g: Array, y: Array, out: Array) -> None:
    _softmax(x, out)
    for r in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[r, j] = np.float32(0) if y[r] == -np.inf else out[r, j] * g[r]


@reassociating
def product_total(g: Array, y: Array, r: int) -> float:
    """The inner product of row r of g and y."""
    s = 0.0
    for j in range(g.shape[1]):
        s += np.float64(g[r, j]) * np.float64(y[r, j])
    return s


@reassociating
def total(g: Array, r: int) -> float:
    """The sum of row r."""
    s = 0.0
    for j in range(g.shape[1]):
        s += np.float64(g[r, j])
    return s


@jit
def _softmax_grad(g: Array, y: Array, out: Array) -> None:
    for r in range(g.shape[0]):
        s = product_total(g, y, r)
        for j in range(g.shape[1]):
            out[r, j] = np.float64(y[r, j]) * (np.float64(g[r, j]) - s)


@jit
def _log_softmax_grad(g: Array, x: Array, out: Array) -> None:
    rows, n = x.shape
    step = max(1, BLOCK // n)
    exps, high, rest = np.empty(min(step, rows) * n), np.empty(rows), np.empty(rows)
    for first in range(0, rows, step):
        last = min(first + step, rows)
        # what comes in from soft targets may cancel p down to the last bits of a float32
        row_pieces(x, first, last, True, exps, high, rest)
        for r in range(first, last):
            row = exps[(r - first) * n : (r - first + 1) * n]
            s, whole = total(g, r), 1.0 + rest[r]
            for j in range(n):
                # g - p sum(g), with the entry's own g taken out of the sum: 1 - p is then free of cancellation
                own, e = np.float64(g[r, j]), row[j]
                missing = rest[r] if e == 1.0 else 1.0 + (rest[r] - e)
                out[r, j] = (own * missing - e * (s - own)) / whole


def _rows(x: Array, dim: int) -> tuple[Array, tuple[int, ...]]:
    """x as contiguous rows along `dim`, and the shape those rows have with `dim` last."""
    if type(x) is not ndarray:
        x = np.asarray(x)
    if x.ndim > 1 and dim != -1 and dim != x.ndim - 1:
        x = np.moveaxis(x, dim, -1)
    shape = x.shape or (1,)
    return x.reshape(x.size // shape[-1] if shape[-1] else 0, shape[-1]), shape


def _back(rows: Array, shape: tuple[int, ...], x: Array, dim: int) -> Array:
    """Rows along `dim` in x's shape again."""
    if x.ndim < 2 or dim == -1 or dim == x.ndim - 1:
        return rows.reshape(x.shape)
    return np.ascontiguousarray(np.moveaxis(rows.reshape(shape), -1, dim))


def _run(kernel: Any, *arrays: Array) -> None:
    """kernel(*arrays) over chunks of rows; a kernel reads contiguous arrays."""
    rows, n = arrays[0].shape
    if rows * n <= GRAIN:
        if rows:
            kernel(*arrays)
        return
    parallel(lambda a, b: kernel(*[v[a:b] for v in arrays]), rows, -(-GRAIN // n))


def _same_shape(kernel: Any, dim: int, *inputs: Array) -> Array:
    """Rows in, rows of the same length out."""
    x = inputs[0]
    if type(x) is ndarray and 0 < x.size <= GRAIN and x.ndim == 1:  # small: the steps below would take longer than it
        out = np.empty(x.size, x.dtype)
        kernel(*[_contiguous(np.asarray(v)).reshape(1, -1) for v in (*inputs, out)])
        return out
    rows = [_contiguous(_rows(v, dim)[0]) for v in inputs]
    shape = _rows(inputs[0], dim)[1]
    out = np.empty(rows[0].shape, rows[0].dtype)
    _run(kernel, *rows, out)
    return _back(out, shape, np.asarray(inputs[0]), dim)


def _contiguous(x: Array) -> Array:
    """x, or a copy where a kernel would be compiled anew for its layout or for being read-only."""
    return x if x.flags.carray else x.copy()


def logsumexp(x: Array, dim: int) -> Array:
    """log(sum(e**x)) along `dim`, which the result no longer has; -inf where there is nothing to sum."""
    rows, shape = _rows(x, dim)
    out = np.empty(shape[:-1] if np.ndim(x) else (), rows.dtype)
    if rows.shape[1]:
        _run(_logsumexp, _contiguous(rows), out.reshape(-1))
    else:
        out.fill(-np.inf)
    return out


def logsumexp_grad(g: Array, x: Array, y: Array, dim: int) -> Array:
    """g softmax(x) along `dim`, g and y = logsumexp(x) without that axis; 0 where y is -inf."""
    rows, shape = _rows(x, dim)
    out = np.empty(rows.shape, rows.dtype)
    _run(_logsumexp_grad, _contiguous(rows), np.asarray(g).ravel(), np.asarray(y).ravel(), out)
    return _back(out, shape, np.asarray(x), dim)


def softmax(x: Array, dim: int) -> Array:
    """e**x / sum(e**x) along `dim`."""
    return _same_shape(_softmax, dim, x)


def softmax_grad(g: Array, y: Array, dim: int) -> Array:
    """y (g - sum(g y)) along `dim`, from the output y."""
    return _same_shape(_softmax_grad, dim, g, y)


def log_softmax(x: Array, dim: int) -> Array:
    """x - logsumexp(x) along `dim`."""
    return _same_shape(_log_softmax, dim, x)


def log_softmax_grad(g: Array, x: Array, dim: int) -> Array:
    """g - softmax(x) sum(g) along `dim`, from the input: the output's rounding would be magnified by e**y."""
    return _same_shape(_log_softmax_grad, dim, g, x)
