"""Binary cross-entropy, on probabilities and on logits: one pass for the value, one for the gradient.

Everything is computed in float64, block by block, and rounded once. A sum adds blocks with compensation and chunks in
order, so its value does not depend on the number of threads.
"""

from typing import Any

import numpy as np

from . import scalar
from .dense import plain_sum, two_sum
from .jit import Array, inline, jit
from .threads import parallel

__all__ = ["bce", "bce_grad", "bce_logits", "bce_logits_grad"]

BLOCK = 512
GRAIN = 65536
ndarray = np.ndarray


@inline
def clamped(log: float) -> float:
    """max(log, -100)."""
    return -100.0 if log < -100.0 else log


@inline
def weigh(block: Array, weight: Array) -> None:
    """block *= weight."""
    for i in range(block.size):
        block[i] *= weight[i]


@inline
def store(block: Array, out: Array) -> None:
    """out[...] = block."""
    for i in range(block.size):
        out[i] = block[i]


@inline
def outside(x: Array, t: Array) -> int:
    """The first index where x or t is not within [0, 1], or -1."""
    bad = False
    for i in range(x.size):
        bad |= not ((x[i] >= 0) & (x[i] <= 1) & (t[i] >= 0) & (t[i] <= 1))  # so NaN counts too
    if bad:
        for i in range(x.size):
            if not ((x[i] >= 0) & (x[i] <= 1) & (t[i] >= 0) & (t[i] <= 1)):
                return i
    return -1


@jit
def _bce(x: Array, t: Array, w: Array, weighted: bool, out: Array, each: bool) -> tuple[float, int]:
    buffer, whole, lost, bad = np.empty(BLOCK), 0.0, 0.0, -1
    for a in range(0, x.size, BLOCK):
        p, q = x[a : a + BLOCK], t[a : a + BLOCK]
        block = buffer[: p.size]
        if bad < 0:
            first = outside(p, q)
            bad = a + first if first >= 0 else bad
        for i in range(block.size):
            block[i] = np.float64(q[i]) * clamped(scalar.log(p[i]))
        for i in range(block.size):
            block[i] = (np.float64(q[i]) - 1.0) * clamped(scalar.log1p(-p[i])) - block[i]
        if weighted:
            weigh(block, w[a : a + BLOCK])
        if each:
            store(block, out[a : a + BLOCK])
        else:
            whole, e = two_sum(whole, plain_sum(block))
            lost += e
    return (whole + lost if lost == lost else whole), bad


@jit
def _bce_grad(g: Array, factor: float, each: bool, x: Array, t: Array, w: Array, weighted: bool, out: Array) -> None:
    buffer = np.empty(BLOCK)
    factor = factor if each else factor * g[0]
    for a in range(0, x.size, BLOCK):
        p, q = x[a : a + BLOCK], t[a : a + BLOCK]
        block = buffer[: p.size]
        for i in range(block.size):
            y = np.float64(p[i])
            below = y * (1.0 - y)
            block[i] = (y - q[i]) / (1e-12 if below < 1e-12 else below) * factor
        if each:
            weigh(block, g[a : a + BLOCK])
        if weighted:
            weigh(block, w[a : a + BLOCK])
        store(block, out[a : a + BLOCK])


@jit
def _bce_logits(
    x: Array, t: Array, w: Array, weighted: bool, positive: Array, balanced: bool, out: Array, each: bool
) -> float:
    buffer, ones, whole, lost = np.empty(BLOCK), np.ones(BLOCK, x.dtype), 0.0, 0.0
    for a in range(0, x.size, BLOCK):
        z, q = x[a : a + BLOCK], t[a : a + BLOCK]
        block = buffer[: z.size]
        pw = positive[a : a + BLOCK] if balanced else ones[: z.size]
        for i in range(block.size):
            tail = scalar.tail(z[i])
            up = tail + max(z[i], 0) if z[i] == z[i] else np.nan  # softplus(z), the loss of t = 0
            down = tail - min(z[i], 0)  # softplus(-z), the loss of t = 1
            yes, no = np.float64(q[i]) * pw[i], 1.0 - q[i]
            # a term of weight 0 counts 0, though its logit be infinite
            block[i] = (0.0 if yes == 0.0 else yes * down) + (0.0 if no == 0.0 else no * up)
        if weighted:
            weigh(block, w[a : a + BLOCK])
        if each:
            store(block, out[a : a + BLOCK])
        else:
            whole, e = two_sum(whole, plain_sum(block))
            lost += e
    return whole + lost if lost == lost else whole


@jit
def _bce_logits_grad(
    g: Array, factor: float, each: bool, x: Array, t: Array, w: Array, weighted: bool, positive: Array, balanced: bool,
    out: Array,
) -> None:  # fmt: skip
    buffer, ones = np.empty(BLOCK), np.ones(BLOCK, x.dtype)
    factor = factor if each else factor * g[0]
    for a in range(0, x.size, BLOCK):
        z, q = x[a : a + BLOCK], t[a : a + BLOCK]
        block = buffer[: z.size]
        pw = positive[a : a + BLOCK] if balanced else ones[: z.size]
        for i in range(block.size):
            # not the coarse exponential: soft targets may cancel all but the last bits of a float32
            e = scalar.exp64(-abs(np.float64(z[i])))
            large = 1.0 / (1.0 + e)
            small = e * large
            up, down = (large, small) if z[i] > 0 else (small, large)  # sigmoid(z), sigmoid(-z)
            block[i] = ((1.0 - q[i]) * up - np.float64(q[i]) * pw[i] * down) * factor
        if each:
            weigh(block, g[a : a + BLOCK])
        if weighted:
            weigh(block, w[a : a + BLOCK])
        store(block, out[a : a + BLOCK])


def _flat(x: Any) -> Array:
    """x in one dimension; copied where a kernel would be compiled anew for its layout or for being read-only."""
    if type(x) is not ndarray:
        x = np.asarray(x)
    return x.ravel() if x.flags.carray else x.flatten()  # type: ignore[no-any-return]


def bce(x: Array, t: Array, weight: Array | None, reduction: str) -> tuple[Array, int]:
    """Binary cross-entropy on probabilities, and the flat index of the first x or t outside [0, 1] or NaN (else -1)."""
    each, p, q = reduction == "none", _flat(x), _flat(t)
    w = p if weight is None else _flat(weight)
    weighted = weight is not None
    out = np.empty(np.shape(x), p.dtype) if each else p
    if p.size <= GRAIN:
        total, bad = _bce(p, q, w, weighted, out.ravel(), each)
        return (out if each else _reduced(total, p, reduction)), bad
    flat, totals, found = out.ravel(), np.empty(-(-p.size // GRAIN)), []

    def run(a: int, b: int) -> None:
        totals[a // GRAIN], index = _bce(p[a:b], q[a:b], w[a:b], weighted, flat[a:b], each)
        if index >= 0:
            found.append(a + index)

    parallel(run, p.size, GRAIN)
    return (out if each else _reduced(totals.sum(), p, reduction)), min(found, default=-1)


def bce_grad(g: Array, x: Array, t: Array, weight: Array | None, reduction: str) -> Array:
    """g (x - t) / max(x (1 - x), 1e-12); g is 0-d where the loss was reduced."""
    each, flat_g, p, q = reduction == "none", _flat(g), _flat(x), _flat(t)
    w = p if weight is None else _flat(weight)
    weighted = weight is not None
    out = np.empty(np.shape(x), p.dtype)
    flat = out.ravel()
    factor = 1.0 / p.size if reduction == "mean" and p.size else 1.0
    if p.size <= GRAIN:
        _bce_grad(flat_g, factor, each, p, q, w, weighted, flat)
        return out

    def run(a: int, b: int) -> None:
        incoming = flat_g[a:b] if each else flat_g
        _bce_grad(incoming, factor, each, p[a:b], q[a:b], w[a:b], weighted, flat[a:b])

    parallel(run, p.size, GRAIN)
    return out


def bce_logits(x: Array, t: Array, weight: Array | None, pos_weight: Array | None, reduction: str) -> Array:
    """Binary cross-entropy on logits: pos_weight t softplus(-x) + (1 - t) softplus(x), times weight."""
    each, z, q = reduction == "none", _flat(x), _flat(t)
    w = z if weight is None else _flat(weight)
    pw = z if pos_weight is None else _flat(pos_weight)
    weighted, balanced = weight is not None, pos_weight is not None
    out = np.empty(np.shape(x), z.dtype) if each else z
    if z.size <= GRAIN:
        total = _bce_logits(z, q, w, weighted, pw, balanced, out.ravel(), each)
        return out if each else _reduced(total, z, reduction)
    flat, totals = out.ravel(), np.empty(-(-z.size // GRAIN))

    def run(a: int, b: int) -> None:
        totals[a // GRAIN] = _bce_logits(z[a:b], q[a:b], w[a:b], weighted, pw[a:b], balanced, flat[a:b], each)

    parallel(run, z.size, GRAIN)
    return out if each else _reduced(totals.sum(), z, reduction)


def bce_logits_grad(
    g: Array, x: Array, t: Array, weight: Array | None, pos_weight: Array | None, reduction: str
) -> Array:
    """g ((1 - t) s(x) - pos_weight t s(-x)): both tails exact, no cancellation where t is 0 or 1."""
    each, flat_g, z, q = reduction == "none", _flat(g), _flat(x), _flat(t)
    w = z if weight is None else _flat(weight)
    pw = z if pos_weight is None else _flat(pos_weight)
    weighted, balanced = weight is not None, pos_weight is not None
    out = np.empty(np.shape(x), z.dtype)
    flat = out.ravel()
    factor = 1.0 / z.size if reduction == "mean" and z.size else 1.0
    if z.size <= GRAIN:
        _bce_logits_grad(flat_g, factor, each, z, q, w, weighted, pw, balanced, flat)
        return out

    def run(a: int, b: int) -> None:
        incoming = flat_g[a:b] if each else flat_g
        _bce_logits_grad(incoming, factor, each, z[a:b], q[a:b], w[a:b], weighted, pw[a:b], balanced, flat[a:b])

    parallel(run, z.size, GRAIN)
    return out


def _reduced(total: float, x: Array, reduction: str) -> Array:
    """A float64 sum, or the mean over x's elements (NaN over none), rounded once to x's dtype."""
    if reduction == "mean":
        total = total / x.size if x.size else np.nan
    return np.array(total, x.dtype)
