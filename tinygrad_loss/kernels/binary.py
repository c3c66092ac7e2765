"""Binary cross-entropy, on probabilities and on logits, as scalar functions and kernels made of them."""

import numpy as np

from . import scalar
from .dense import corrected, two_sum
from .jit import Array, inline, jit, reassociating
from .pointwise import BLOCK, first_outside, full, gradient, slopes, total, value

__all__ = ["bce", "bce_grad", "bce_logits", "bce_logits_grad"]

ONE = np.ones(1)


# --- binary cross-entropy on probabilities ------------------------------------------------------------------------


@inline
def clamped(log: float) -> float:
    """max(log, -100)."""
    return -100.0 if log < -100.0 else log


@inline
def bce_loss(x: float, t: float, _: float) -> float:
    """-(t log x + (1 - t) log(1 - x)), both logarithms clamped; NaN where x or t is not within [0, 1]."""
    share = np.float64(t)
    q = share if (share >= 0.0) & (share <= 1.0) else np.nan
    return (q - 1.0) * clamped(scalar.log1p(-x)) - q * clamped(scalar.log(x))


@inline
def bce_slope(x: float, t: float, _: float) -> float:
    """(x - t) / max(x (1 - x), 1e-12)."""
    y = np.float64(x)
    below = y * (1.0 - y)
    return (y - t) / (1e-12 if below < 1e-12 else below)


@jit
def _bce(x: Array, t: Array, w: Array, out: Array) -> float:
    return total(bce_loss, x, t, ONE, w, out)


@jit
def _bce_grad(g: Array, factor: float, x: Array, t: Array, w: Array, out: Array) -> None:
    slopes(bce_slope, g, factor, x, t, ONE, w, out)


def bce(x: Array, t: Array, weight: Array | None, reduction: str) -> tuple[Array, int]:
    """Binary cross-entropy on probabilities, and the flat index of the first x or t outside [0, 1] or NaN (else -1)."""
    out, s = value(_bce, x, t, reduction, full(weight, x))
    return out, first_outside(x, t) if s != s else -1


def bce_grad(g: Array, x: Array, t: Array, weight: Array | None, reduction: str) -> Array:
    """g (x - t) / max(x (1 - x), 1e-12); g is 0-d where the loss was reduced."""
    return gradient(_bce_grad, g, x, t, reduction, full(weight, x))


# --- binary cross-entropy on logits -------------------------------------------------------------------------------


@inline
def bce_logits_loss(x: float, t: float, positive: float) -> float:
    """positive t softplus(-x) + (1 - t) softplus(x)."""
    z, q, tail = np.float64(x), np.float64(t), scalar.tail(x)
    up = tail + max(z, 0.0) if z == z else np.nan
    down = tail - min(z, 0.0)
    yes, no = q * positive, 1.0 - q
    # a term of weight 0 counts 0, though its logit be infinite
    return (0.0 if yes == 0.0 else yes * down) + (0.0 if no == 0.0 else no * up)


@inline
def bce_logits_slope(x: float, t: float, positive: float) -> float:
    """(1 - t) s(x) - positive t s(-x): both tails exact, no cancellation where t is 0 or 1, or 1/2 and x near 0."""
    # not the coarse exponential: soft targets may cancel all but the last bits of a float32
    z, q = np.float64(x), np.float64(t)
    e, less = scalar.exp_and_expm1(-abs(z))
    yes, no = q * positive, 1.0 - q
    far = no - yes * e if z > 0.0 else no * e - yes
    near = (no - yes) + (-yes if z > 0.0 else no) * less
    return (near if e > 0.5 else far) / (1.0 + e)


# Labels, without weights, are what most training has: their own loops take half the time of the general ones.
@inline
def plain_labels(t: Array, positive: Array, w: Array) -> bool:
    """Whether every target is 0 or 1, and nothing is weighted."""
    others = 0
    for i in range(t.size):
        others += 0 if (t[i] == 0.0) | (t[i] == 1.0) else 1
    return others == 0 and w.size == 0 and positive.size == 1 and positive[0] == 1.0


@reassociating
def sum_of_labels(x: Array, t: Array) -> float:
    """The sum of softplus(-x) where t is 1, and of softplus(x) where it is 0."""
    s = 0.0
    for i in range(x.size):
        z = np.float64(x[i])
        s += scalar.tail(x[i]) + max(-z if t[i] == 1.0 else z, 0.0)
    return s


@inline
def slopes_of_labels(factor: float, x: Array, t: Array, out: Array) -> None:
    """-s(-x) or s(x): one term alone, so nothing cancels, and 28 bits of the exponential will do for a float32."""
    for i in range(x.size):
        one = t[i] == 1.0
        e = scalar.exp_wide(-abs(x[i]))
        out[i] = (-factor if one else factor) * (1.0 if (x[i] > 0.0) != one else e) / (1.0 + e)


@jit
def _bce_logits(x: Array, t: Array, positive: Array, w: Array, out: Array) -> float:
    if out.size > 0 or not plain_labels(t, positive, w):
        return total(bce_logits_loss, x, t, positive, w, out)
    whole, lost = 0.0, 0.0
    for a in range(0, x.size, BLOCK):
        whole, e = two_sum(whole, sum_of_labels(x[a : a + BLOCK], t[a : a + BLOCK]))
        lost += e
    return corrected(whole, lost)


@jit
def _bce_logits_grad(g: Array, factor: float, x: Array, t: Array, positive: Array, w: Array, out: Array) -> None:
    if g.size == 1 and plain_labels(t, positive, w):
        slopes_of_labels(factor * np.float64(g[0]), x, t, out)
    else:
        slopes(bce_logits_slope, g, factor, x, t, positive, w, out)


def _positive(pos_weight: Array | None, x: Array) -> Array:
    return full(pos_weight, x) if pos_weight is not None else ONE


def bce_logits(x: Array, t: Array, weight: Array | None, pos_weight: Array | None, reduction: str) -> Array:
    """Binary cross-entropy on logits: pos_weight t softplus(-x) + (1 - t) softplus(x), times weight."""
    return value(_bce_logits, x, t, reduction, _positive(pos_weight, x), full(weight, x))[0]


def bce_logits_grad(
    g: Array, x: Array, t: Array, weight: Array | None, pos_weight: Array | None, reduction: str
) -> Array:
    """g ((1 - t) s(x) - pos_weight t s(-x)), times weight."""
    return gradient(_bce_logits_grad, g, x, t, reduction, _positive(pos_weight, x), full(weight, x))
