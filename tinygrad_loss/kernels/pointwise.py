"""The frame of every loss that compares element with element: one pass for the value, one for the gradient.

A loss is a scalar function of x, t and a third number (a parameter, or one for each element); a kernel is that function
put into the frame. Everything is computed in float64, block by block, and rounded once. A sum adds blocks with
compensation and chunks in order, so its value does not depend on the number of threads.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .dense import corrected, plain_sum, two_sum
from .jit import Array, inline
from .threads import parallel

__all__ = ["NOTHING", "constant", "first_outside", "flat", "full", "gradient", "slopes", "total", "value"]

BLOCK = 512
GRAIN = 65536
NOTHING = {np.dtype(d): np.empty(0, d) for d in (np.float32, np.float64)}
ndarray = np.ndarray


# Loops over views rather than `block *= w[a:b]`, which takes Numba three times as long to compile, or w[a + i], which
# LLVM does not vectorize since the index might be negative.
@inline
def multiply(block: Array, w: Array) -> None:
    """block *= w."""
    for i in range(w.size):
        block[i] *= w[i]


@inline
def total(loss: Callable[..., float], x: Array, t: Array, q: Array, w: Array, out: Array) -> float:
    """The sum of loss(x, t, q) w, each term stored in `out`; q of one element is for all, empty w and out are none."""
    buffer, whole, lost = np.empty(BLOCK), 0.0, 0.0
    for a in range(0, x.size, BLOCK):
        xs, ts, qs, stored = x[a : a + BLOCK], t[a : a + BLOCK], q[a : a + BLOCK], out[a : a + BLOCK]
        block = buffer[: xs.size]
        for i in range(block.size):
            block[i] = loss(xs[i], ts[i], qs[i] if q.size > 1 else q[0])
        multiply(block, w[a : a + BLOCK])
        for i in range(stored.size):
            stored[i] = block[i]
        whole, e = two_sum(whole, plain_sum(block))
        lost += e
    return corrected(whole, lost)


@inline
def slopes(
    slope: Callable[..., float], g: Array, factor: float, x: Array, t: Array, q: Array, w: Array, out: Array
) -> None:
    """out = slope(x, t, q) w g factor; g of one element stands for all."""
    buffer = np.empty(BLOCK)
    if g.size == 1:
        factor = factor * np.float64(g[0])  # interpreted, a float32 would round the product
    for a in range(0, x.size, BLOCK):
        xs, ts, qs, stored = x[a : a + BLOCK], t[a : a + BLOCK], q[a : a + BLOCK], out[a : a + BLOCK]
        block = buffer[: xs.size]
        for i in range(block.size):
            block[i] = slope(xs[i], ts[i], qs[i] if q.size > 1 else q[0]) * factor
        if g.size > 1:
            multiply(block, g[a : a + BLOCK])
        multiply(block, w[a : a + BLOCK])
        for i in range(block.size):
            stored[i] = block[i]


def flat(x: Any) -> Array:
    """x in one dimension; copied where a kernel would be compiled anew for its layout or for being read-only."""
    if type(x) is not ndarray:
        x = np.asarray(x)
    if not x.flags.carray:
        return x.flatten()  # type: ignore[no-any-return]
    return x if x.ndim == 1 else x.ravel()  # type: ignore[no-any-return]


def full(weight: Array | None, x: Array) -> Array:
    """A weight for each element of x, or none."""
    return NOTHING[x.dtype] if weight is None else np.broadcast_to(weight, x.shape).flatten()


def constant(number: float) -> Array:
    """A number for all elements."""
    return np.full(1, number)


def _slice(array: Array, a: int, b: int) -> Array:
    return array[a:b] if array.size > 1 else array


def value(kernel: Callable[..., float], x: Array, t: Array, reduction: str, *extras: Array) -> tuple[Array, float]:
    """What kernel(x, t, *extras, out) gives, reduced; and its sum, which is NaN where a term is."""
    p, q = flat(x), flat(t)
    out = terms = NOTHING[p.dtype]
    if reduction == "none":
        out = np.empty(x.shape, p.dtype)
        terms = out.ravel()
    if p.size <= GRAIN:
        s = kernel(p, q, *extras, terms)
    else:
        totals = np.empty(-(-p.size // GRAIN))

        def run(a: int, b: int) -> None:
            parts = [_slice(e, a, b) for e in extras]
            totals[a // GRAIN] = kernel(p[a:b], q[a:b], *parts, _slice(terms, a, b))

        parallel(run, p.size, GRAIN)
        s = float(totals.sum())
    if reduction == "none":
        return out, s
    if reduction == "mean":
        s = s / p.size if p.size else np.nan
    return np.array(s, p.dtype), s


def gradient(kernel: Callable[..., None], g: Array, x: Array, t: Array, reduction: str, *extras: Array) -> Array:
    """What kernel(g, factor, x, t, *extras, out) gives, the factor being that of the reduction."""
    incoming, p, q = flat(g), flat(x), flat(t)
    out = np.empty(x.shape, p.dtype)
    slopes = out.ravel()
    factor = 1.0 / p.size if reduction == "mean" and p.size else 1.0
    if p.size <= GRAIN:
        kernel(incoming, factor, p, q, *extras, slopes)
        return out

    def run(a: int, b: int) -> None:
        parts = [_slice(e, a, b) for e in extras]
        kernel(_slice(incoming, a, b), factor, p[a:b], q[a:b], *parts, slopes[a:b])

    parallel(run, p.size, GRAIN)
    return out


def first_outside(x: Array, t: Array) -> int:
    """The first flat index where x or t is not within [0, 1], or -1."""
    inside = (x >= 0) & (x <= 1) & (t >= 0) & (t <= 1)  # so NaN is outside
    return -1 if inside.all() else int(np.argmin(inside))
