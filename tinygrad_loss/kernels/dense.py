"""Dense layers and sums: a matrix product with its bias, its bias gradient, and sums that keep their digits."""

import numpy as np

from .jit import Array, inline, itemsize, jit, reassociating
from .threads import parallel

__all__ = ["column_sum", "linear", "sum_"]

BLOCK = 512  # elements summed plainly before the compensated step
GRAIN = 65536


@jit
def _add_bias(out: Array, bias: Array) -> None:
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] += bias[j]


@inline
def two_sum(a: float, b: float) -> tuple[float, float]:
    """a + b rounded, and what the rounding lost (Knuth, TAOCP 2, 4.2.2)."""
    s = a + b
    back = s - a
    return s, (a - (s - back)) + (b - back)


@inline
def corrected(whole: float, lost: float) -> float:
    """A sum with what its roundings lost; infinity needs no correction: inf - inf inside two_sum is NaN."""
    return whole + lost if lost == lost else whole


@jit
def _column_sum(g: Array, out: Array) -> None:
    rows, columns = g.shape
    whole, lost, block = np.zeros(columns), np.zeros(columns), np.zeros(columns)
    for first in range(0, rows, 64):
        block[:] = 0.0
        for i in range(first, min(first + 64, rows)):
            for j in range(columns):
                block[j] += g[i, j]
        for j in range(columns):
            s, e = two_sum(whole[j], block[j])
            whole[j] = s
            lost[j] += e
    for j in range(columns):
        out[j] = corrected(whole[j], lost[j])


@reassociating
def plain_sum(x: Array) -> float:
    """The sum of a block, in vector lanes."""
    s = 0.0
    for i in range(x.size):
        s += np.float64(x[i])
    return s


@inline
def exact_sum(x: Array) -> float:
    """The sum in float64: blocks summed plainly, their sum compensated (Neumaier, 1974)."""
    whole, lost = 0.0, 0.0
    block = BLOCK if itemsize(x) == 4 else 64
    for start in range(0, x.size, block):
        whole, e = two_sum(whole, plain_sum(x[start : start + block]))
        lost += e
    return corrected(whole, lost)


@jit
def _sum(x: Array, out: Array) -> None:
    out[0] = exact_sum(x)


def linear(x: Array, weight: Array, bias: Array | None) -> Array:
    """x @ weight.T + bias for x (N, in), weight (out, in), bias (out,)."""
    out: Array = np.dot(x, weight.T)
    if bias is not None:
        _add_bias(out, bias)
    return out


def column_sum(g: Array) -> Array:
    """The sum over axis 0 of a matrix, in float64 with the roundings of blocks put back."""
    out = np.empty(g.shape[1], g.dtype)
    _column_sum(np.ascontiguousarray(g), out)
    return out


def sum_(x: Array) -> Array:
    """The sum of all elements as a 0-d array, in float64 with the roundings of blocks put back."""
    if type(x) is not np.ndarray:
        x = np.asarray(x)
    out = np.empty((), x.dtype)
    flat = x.ravel()
    if flat.size <= GRAIN:
        _sum(flat, out.reshape(1))
        return out
    parts = np.empty(-(-flat.size // GRAIN))
    parallel(lambda a, b: _sum(flat[a:b], parts[a // GRAIN : a // GRAIN + 1]), flat.size, GRAIN)
    _sum(parts, out.reshape(1))
    return out
