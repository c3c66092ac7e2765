"""Binary cross-entropy, on probabilities and on logits: one pass for the value, one for the gradient.

Everything is computed in float64 and rounded once. A reduced loss is summed chunk by chunk (`dense._sum`), so that its
value does not depend on the number of threads. Each kernel works in place on a copy of its first argument.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from . import scalar
from .dense import sum_
from .jit import Array, inline, jit
from .threads import parallel

__all__ = ["bce", "bce_grad", "bce_logits", "bce_logits_grad"]

GRAIN = 16384


@inline
def clamped_log(x: np.float64) -> np.float64:
    """max(log(x), -100)."""
    y = scalar.log64(x)
    return -100.0 if y < -100.0 else y


@inline
def clamped_log1m(x: np.float64) -> np.float64:
    """max(log(1 - x), -100)."""
    y = scalar.log1p(-x)
    return -100.0 if y < -100.0 else y


@jit
def _bce(x: Array, t: Array, weight: Array, weighted: bool, out: Array) -> int:
    bad = -1
    for i in range(x.size):
        p, q = np.float64(x[i]), np.float64(t[i])
        inside = (p >= 0.0) & (p <= 1.0) & (q >= 0.0) & (q <= 1.0)  # false for NaN
        bad = i if (bad < 0) & (not inside) else bad
        loss = -(q * clamped_log(p) + (1.0 - q) * clamped_log1m(p))
        out[i] = loss * weight[i] if weighted else loss
    return bad


@jit
def _bce_grad(g: Array, step: int, scale: float, x: Array, t: Array, weight: Array, weighted: bool, out: Array) -> None:
    for i in range(x.size):
        p = np.float64(x[i])
        below = p * (1.0 - p)
        d = (p - t[i]) / (below if below > 1e-12 else 1e-12)
        d = d * g[i * step] * scale
        out[i] = d * weight[i] if weighted else d


@jit
def _bce_logits(
    x: Array, t: Array, weight: Array, weighted: bool, positive: Array, balanced: bool, out: Array
) -> int:
    for i in range(x.size):
        z, q = np.float64(x[i]), np.float64(t[i])
        small = scalar.log1p(scalar.exp64(-abs(z)))  # log(1 + e**-|z|)
        up = small + z if z > 0.0 else small  # softplus(z), the loss of t = 0
        down = small if z > 0.0 else small - z  # softplus(-z), the loss of t = 1
        own = q * positive[i] if balanced else q
        # a term of weight 0 counts 0, though its logit be infinite
        loss = (0.0 if own == 0.0 else own * down) + (0.0 if q == 1.0 else (1.0 - q) * up)
        out[i] = loss * weight[i] if weighted else loss
    return -1


@jit
def _bce_logits_grad(
    g: Array, step: int, scale: float, x: Array, t: Array, weight: Array, weighted: bool,
    positive: Array, balanced: bool, out: Array,
) -> None:  # fmt: skip
    for i in range(x.size):
        z, q = np.float64(x[i]), np.float64(t[i])
        e = scalar.exp64(-abs(z))
        small, large = e / (1.0 + e), 1.0 / (1.0 + e)
        up = large if z > 0.0 else small  # sigmoid(z)
        down = small if z > 0.0 else large  # sigmoid(-z)
        own = q * positive[i] if balanced else q
        d = ((1.0 - q) * up - own * down) * g[i * step] * scale
        out[i] = d * weight[i] if weighted else d


def _flat(x: Any) -> Array:
    return np.asarray(x).ravel()


def _value(kernel: Callable[..., int], x: Array, t: Array, extra: tuple[Array | None, ...], reduction: str) -> tuple[Array, int]:
    """The reduced loss and the flat index of the first bad element, or -1."""
    shape = np.shape(x)
    flat, target = _flat(x), _flat(t)
    size = flat.size
    others = [flat if w is None else _flat(w) for w in extra]
    given = [w is not None for w in extra]
    # a reduced loss keeps its terms in float64 until they are summed
    out = np.empty(size, flat.dtype if reduction == "none" else np.float64)
    bad: list[int] = []

    def run(a: int, b: int) -> None:
        flags = [v for w, f in zip(others, given) for v in (w[a:b], f)]
        index = kernel(flat[a:b], target[a:b], *flags, out[a:b])
        if index >= 0:
            bad.append(a + index)

    parallel(run, size, GRAIN)
    first = min(bad) if bad else -1
    if reduction == "none":
        return out.reshape(shape), first
    total = sum_(out)
    return (total / (size or np.nan) if reduction == "mean" else total).astype(flat.dtype, copy=False).reshape(()), first


def _gradient(
    kernel: Callable[..., None], g: Array, x: Array, t: Array, extra: tuple[Array | None, ...], reduction: str
) -> Array:
    """The gradient with respect to x, g of x's shape without a reduction and 0-d with one."""
    out = np.empty(np.shape(x), np.asarray(x).dtype)
    result, flat, target, incoming = out.ravel(), _flat(x), _flat(t), _flat(g)
    step = int(reduction == "none")
    scale = 1.0 / flat.size if reduction == "mean" and flat.size else 1.0
    others = [flat if w is None else _flat(w) for w in extra]
    given = [w is not None for w in extra]

    def run(a: int, b: int) -> None:
        flags = [v for w, f in zip(others, given) for v in (w[a:b], f)]
        kernel(incoming[a * step :], step, scale, flat[a:b], target[a:b], *flags, result[a:b])

    parallel(run, flat.size, GRAIN)
    return out


def bce(x: Array, t: Array, weight: Array | None, reduction: str) -> tuple[Array, int]:
    """Binary cross-entropy on probabilities, and the flat index of the first x or t outside [0, 1] or NaN (else -1)."""
    return _value(_bce, x, t, (weight,), reduction)


def bce_grad(g: Array, x: Array, t: Array, weight: Array | None, reduction: str) -> Array:
    """g (x - t) / max(x (1 - x), 1e-12)."""
    return _gradient(_bce_grad, g, x, t, (weight,), reduction)


def bce_logits(x: Array, t: Array, weight: Array | None, pos_weight: Array | None, reduction: str) -> Array:
    """Binary cross-entropy on logits: pos_weight t softplus(-x) + (1 - t) softplus(x)."""
    return _value(_bce_logits, x, t, (weight, pos_weight), reduction)[0]


def bce_logits_grad(
    g: Array, x: Array, t: Array, weight: Array | None, pos_weight: Array | None, reduction: str
) -> Array:
    """g ((1 - t) s(x) - pos_weight t s(-x)): both tails exact, no cancellation where t is 0 or 1."""
    return _gradient(_bce_logits_grad, g, x, t, (weight, pos_weight), reduction)
