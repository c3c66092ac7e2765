"""Sums, variances and Euclidean norms over some axes: float64 inside, any layout in."""

import math
from typing import Any

import numpy as np

from .dense import corrected, exact_sum, two_sum
from .jit import Array, jit, reassociating
from .threads import parallel

__all__ = ["norm", "sum_over", "variance"]

BLOCK = 64  # rows added plainly before the compensated step
GRAIN = 65536  # elements a thread takes at a time
TINY, HUGE = 1e-280, 1e300  # sums of squares between them have neither lost small terms nor overflowed

Dims = tuple[int, ...]


@jit
def _sum_rows(x: Array, out: Array) -> None:
    for r in range(x.shape[0]):
        out[r] = exact_sum(x[r])


@jit
def _sum_middle(x: Array, out: Array) -> None:
    outer, n, inner = x.shape
    whole, lost, block = np.zeros(inner), np.zeros(inner), np.zeros(inner)
    for o in range(outer):
        whole[:] = 0.0
        lost[:] = 0.0
        for first in range(0, n, BLOCK):
            block[:] = 0.0
            for i in range(first, min(first + BLOCK, n)):
                for j in range(inner):
                    block[j] += x[o, i, j]
            for j in range(inner):
                s, e = two_sum(whole[j], block[j])
                whole[j] = s
                lost[j] += e
        for j in range(inner):
            out[o, j] = corrected(whole[j], lost[j])


@reassociating
def deviations(x: Array, mean: float) -> tuple[float, float]:
    """The sum of the squared deviations from a mean, and of the deviations, which is what the mean's rounding left."""
    squares, rest = 0.0, 0.0
    for i in range(x.size):
        d = x[i] - mean
        squares += d * d
        rest += d
    return squares, rest


@jit
def _variance_rows(x: Array, divisor: float, out: Array) -> None:
    n = x.shape[1]
    for r in range(x.shape[0]):
        squares, rest = deviations(x[r], exact_sum(x[r]) / n)
        out[r] = (squares - rest * rest / n) / divisor


@reassociating
def scaled_squares(x: Array, scale: float) -> float:
    """The sum of (x / scale)**2."""
    s = 0.0
    for i in range(x.size):
        v = x[i] * scale
        s += v * v
    return s


@jit
def _norm_rows(x: Array, out: Array) -> None:
    for r in range(x.shape[0]):
        s = scaled_squares(x[r], 1.0)
        if s < TINY or s > HUGE:
            top = 0.0
            for v in x[r]:
                top = abs(v) if abs(v) > top else top
            if top > 0.0 and top < np.inf and s == s:
                # Divided twice: the inverse of a subnormal number is infinite.
                half = math.sqrt(top)
                s = math.sqrt(_rescaled(x[r], half)) * half * half
            else:
                s = math.sqrt(s)
        else:
            s = math.sqrt(s)
        out[r] = s


@reassociating
def _rescaled(x: Array, half: float) -> float:
    s = 0.0
    for i in range(x.size):
        v = x[i] / half / half
        s += v * v
    return s


def _shape_after(shape: Dims, dims: Dims, keepdim: bool) -> Dims:
    if keepdim:
        return tuple(1 if d in dims else n for d, n in enumerate(shape))
    return tuple(n for d, n in enumerate(shape) if d not in dims)


def _as_rows(x: Array, dims: Dims) -> Array:
    """A matrix whose rows hold what is reduced."""
    kept = [d for d in range(x.ndim) if d not in dims]
    size = math.prod(x.shape[d] for d in dims)
    moved = x.transpose([*kept, *dims])
    return np.ascontiguousarray(moved).reshape(math.prod(x.shape[d] for d in kept), size)


def _over_rows(kernel: Any, x: Array, dims: Dims, keepdim: bool, *numbers: float) -> Array:
    rows = _as_rows(x, dims)
    out = np.empty(len(rows), x.dtype)
    grain = max(1, GRAIN // max(rows.shape[1], 1))
    parallel(lambda a, b: kernel(rows[a:b], *numbers, out[a:b]), len(rows), grain)
    return out.reshape(_shape_after(x.shape, dims, keepdim))


def sum_over(x: Array, dims: Dims, keepdim: bool) -> Array:
    """The sum over ascending axes, in float64 with the roundings of blocks put back."""
    first, last = dims[0], dims[-1]
    if last == x.ndim - 1 or last - first + 1 != len(dims):
        return _over_rows(_sum_rows, x, dims, keepdim)
    shape = x.shape
    cube = np.ascontiguousarray(x).reshape(
        math.prod(shape[:first]), math.prod(shape[first : last + 1]), math.prod(shape[last + 1 :])
    )
    out = np.empty((cube.shape[0], cube.shape[2]), x.dtype)
    _sum_middle(cube, out)
    return out.reshape(_shape_after(shape, dims, keepdim))


def variance(x: Array, dims: Dims, keepdim: bool, correction: float) -> Array:
    """The mean of the squared deviations from the mean, in two passes; the divisor is n - correction, at least 0."""
    n = math.prod(x.shape[d] for d in dims)
    return _over_rows(_variance_rows, x, dims, keepdim, max(n - correction, 0.0))


def norm(x: Array, dims: Dims, keepdim: bool) -> Array:
    """The square root of the sum of squares, scaled where squares would overflow or vanish."""
    return _over_rows(_norm_rows, x, dims, keepdim)
