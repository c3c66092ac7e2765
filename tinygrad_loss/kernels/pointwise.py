"""Losses of one input and one target element: one pass for the value, one for the gradient, rounded once from float64."""

from collections.abc import Callable

import numpy as np

from .dense import plain_sum, two_sum
from .jit import Array, inline, jit
from .threads import parallel

__all__ = ["mse", "mse_grad"]

BLOCK = 512
GRAIN = 65536
ndarray = np.ndarray


@inline
def store(block: Array, out: Array) -> None:
    """out[...] = block."""
    for i in range(block.size):
        out[i] = block[i]


@jit
def _mse(x: Array, t: Array, out: Array, each: bool) -> float:
    buffer, whole, lost = np.empty(BLOCK), 0.0, 0.0
    for a in range(0, x.size, BLOCK):
        p, q = x[a : a + BLOCK], t[a : a + BLOCK]
        block = buffer[: p.size]
        for i in range(block.size):
            d = np.float64(p[i]) - q[i]
            block[i] = d * d
        if each:
            store(block, out[a : a + BLOCK])
        else:
            whole, e = two_sum(whole, plain_sum(block))
            lost += e
    return whole + lost if lost == lost else whole


@jit
def _mse_grad(g: Array, factor: float, each: bool, x: Array, t: Array, out: Array) -> None:
    for i in range(x.size):
        out[i] = 2.0 * factor * (np.float64(x[i]) - t[i]) * (g[i] if each else g[0])


def _flat(x: Array) -> Array:
    """x in one dimension; copied where a kernel would be compiled anew for its layout or for being read-only."""
    if type(x) is not ndarray:
        x = np.asarray(x)
    return x.ravel() if x.flags.carray else x.flatten()


def _value(kernel: Callable[..., float], x: Array, t: Array, reduction: str) -> Array:
    each, p, q = reduction == "none", _flat(x), _flat(t)
    out = np.empty(np.shape(x), p.dtype) if each else p
    flat = out.ravel()
    if p.size <= GRAIN:
        total = kernel(p, q, flat, each)
    else:
        totals = np.empty(-(-p.size // GRAIN))

        def run(a: int, b: int) -> None:
            totals[a // GRAIN] = kernel(p[a:b], q[a:b], flat[a:b], each)

        parallel(run, p.size, GRAIN)
        total = totals.sum()
    if each:
        return out
    if reduction == "mean":
        total = total / p.size if p.size else np.nan
    return np.array(total, p.dtype)


def _gradient(kernel: Callable[..., None], g: Array, x: Array, t: Array, reduction: str) -> Array:
    each, flat_g, p, q = reduction == "none", _flat(g), _flat(x), _flat(t)
    out = np.empty(np.shape(x), p.dtype)
    flat = out.ravel()
    factor = 1.0 / p.size if reduction == "mean" and p.size else 1.0
    if p.size <= GRAIN:
        kernel(flat_g, factor, each, p, q, flat)
        return out

    def run(a: int, b: int) -> None:
        kernel(flat_g[a:b] if each else flat_g, factor, each, p[a:b], q[a:b], flat[a:b])

    parallel(run, p.size, GRAIN)
    return out


def mse(x: Array, t: Array, reduction: str) -> Array:
    """(x - t)**2."""
    return _value(_mse, x, t, reduction)


def mse_grad(g: Array, x: Array, t: Array, reduction: str) -> Array:
    """2 g (x - t), divided by their number for the mean."""
    return _gradient(_mse_grad, g, x, t, reduction)
