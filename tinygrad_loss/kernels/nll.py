"""Negative log-likelihood of class numbers, from log-probabilities: the loss that follows a log_softmax."""

import numpy as np

from .classes import first_bad, layers, ready, reduced, share_in_mean, weight_of
from .dense import exact_sum
from .jit import Array, jit
from .pointwise import NOTHING, flat

__all__ = ["nll", "nll_grad"]


@jit
def _nll(x: Array, target: Array, w: Array, ignore: int, table: Array) -> tuple[float, float]:
    loss, norm = table
    n, c, length = x.shape
    for r in range(n * length):
        t = target[r]
        loss[r] = 0.0
        counts, norm[r] = share_in_mean(t, c, ignore, w)
        if counts and norm[r] != 0.0:
            loss[r] = -norm[r] * x[r // length, t, r % length]
    return exact_sum(loss), exact_sum(norm)


@jit
def _nll_grad(g: Array, scale: float, target: Array, w: Array, ignore: int, out: Array) -> None:
    length = out.shape[2]
    for r in range(target.size):
        t = target[r]
        if t != ignore and (t < 0 or t >= out.shape[1]):  # written there after the value's pass checked it
            out[r // length, :, r % length] = np.nan
        elif t != ignore:
            out[r // length, t, r % length] = -scale * weight_of(w, t) * g[r if g.size > 1 else 0]


def nll(x: Array, target: Array, weight: Array | None, ignore_index: int, reduction: str) -> tuple[Array, int, float]:
    """Value, flat index of the first target outside [0, C) (else -1), and the divisor that `nll_grad` needs."""
    x, t = layers(x), flat(target)
    table, w = np.empty((2, t.size)), NOTHING[x.dtype] if weight is None else ready(weight)
    sums = _nll(x, t, w, ignore_index, table)
    bad = first_bad(sums[1], t, x.shape[1], ignore_index)
    value, divisor = reduced(table, table.shape[1], *sums, x, target.shape, reduction)
    return value, bad, divisor


def nll_grad(
    g: Array, target: Array, weight: Array | None, ignore_index: int, divisor: float, shape: tuple[int, ...]
) -> Array:
    """The gradient with respect to x of this shape: -weight g / divisor at the targets, 0 elsewhere."""
    out = np.zeros(shape, g.dtype)
    w = NOTHING[g.dtype] if weight is None else ready(weight)
    _nll_grad(flat(g), 1.0 / divisor if divisor else np.nan, flat(target), w, ignore_index, layers(out))
    return out
