"""Rows shifted and scaled to mean 0 and variance 1, or only scaled to mean square 1; computed in float64."""

import numpy as np

from .jit import Array, inline, jit, reassociating
from .rowwise import total
from .threads import parallel

__all__ = ["standardize", "standardize_grad"]

GRAIN = 65536  # elements a thread takes at a time


@reassociating
def moments(x: Array, r: int, m: float) -> tuple[float, float]:
    """The sums of x - m and of its square over row r."""
    s, squares = 0.0, 0.0
    for j in range(x.shape[1]):
        c = np.float64(x[r, j]) - m
        s += c
        squares += c * c
    return s, squares


@reassociating
def products(g: Array, x: Array, r: int, m: float, rest: float) -> float:
    """The sum of g (x - m - rest) over row r."""
    s = 0.0
    for j in range(x.shape[1]):
        s += np.float64(g[r, j]) * ((np.float64(x[r, j]) - m) - rest)
    return s


@inline
def shift_and_scale(x: Array, r: int, eps: float, center: bool) -> tuple[float, float, float]:
    """What to subtract from row r, in two parts, and what to multiply by."""
    n = x.shape[1]
    m = total(x, r) / n if center else 0.0
    s, squares = moments(x, r, m)
    # s would be 0 but for the rounding of m: the second pass puts both right (Chan, Golub and LeVeque 1983). s / n stays
    # apart, for where the elements are large and close together, m + s / n would be m.
    rest = s / n if center else 0.0
    return m, rest, 1.0 / np.sqrt((squares - rest * s) / n + eps)


@jit
def _standardize(x: Array, eps: float, center: bool, weight: Array, bias: Array, out: Array) -> None:
    for r in range(x.shape[0]):
        m, rest, scale = shift_and_scale(x, r, eps, center)
        for j in range(x.shape[1]):
            y = ((np.float64(x[r, j]) - m) - rest) * scale
            y *= weight[j] if weight.size else 1.0
            y += bias[j] if bias.size else 0.0
            out[r, j] = y


@jit
def _standardize_grad(g: Array, x: Array, eps: float, center: bool, out: Array) -> None:
    n = x.shape[1]
    for r in range(x.shape[0]):
        m, rest, scale = shift_and_scale(x, r, eps, center)
        slope = products(g, x, r, m, rest) * scale * scale / n
        mean = total(g, r) / n if center else 0.0
        for j in range(n):
            out[r, j] = (np.float64(g[r, j]) - mean - ((np.float64(x[r, j]) - m) - rest) * slope) * scale


def _rows(x: Array, n: int) -> Array:
    return np.ascontiguousarray(x).reshape(x.size // n if n else 0, n)


def standardize(
    x: Array, n: int, eps: float, center: bool, weight: Array | None = None, bias: Array | None = None
) -> Array:
    """(x - mean) / sqrt(variance + eps) of every n elements in a row; x / sqrt(mean of x^2 + eps) without `center`.

    Then times `weight` plus `bias`, of n elements each.
    """
    rows = _rows(x, n)
    out = np.empty(x.shape, x.dtype)
    flat = out.reshape(rows.shape)
    w, b = (np.empty(0, x.dtype) if v is None else np.ascontiguousarray(v).reshape(-1) for v in (weight, bias))
    if x.size <= GRAIN:
        _standardize(rows, eps, center, w, b, flat)
    else:
        parallel(lambda i, j: _standardize(rows[i:j], eps, center, w, b, flat[i:j]), len(rows), -(-GRAIN // n))
    return out


def standardize_grad(g: Array, x: Array, n: int, eps: float, center: bool) -> Array:
    """The gradient of `standardize` at x, for the gradient g of its result."""
    rows, given = _rows(x, n), _rows(g, n)
    out = np.empty(x.shape, x.dtype)
    flat = out.reshape(rows.shape)
    if x.size <= GRAIN:
        _standardize_grad(given, rows, eps, center, flat)
    else:
        parallel(
            lambda a, b: _standardize_grad(given[a:b], rows[a:b], eps, center, flat[a:b]), len(rows), -(-GRAIN // n)
        )
    return out
