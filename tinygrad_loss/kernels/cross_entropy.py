"""Cross-entropy on logits and negative log-likelihood, for class-index targets.

Logits are (N, C, L), targets (N, L): L is 1 or the product of the spatial sizes. The value keeps, for every position,
the largest logit and the sum of the other exponentials; the gradient needs no more, so softmax is never stored.
"""

from typing import Any

import numpy as np

from . import scalar
from .dense import exact_sum, sum_
from .jit import Array, jit
from .rowwise import BLOCK, lost_in, row_pieces
from .threads import parallel

__all__ = ["cross_entropy", "cross_entropy_grad", "nll", "nll_grad"]

GRAIN = 65536


@jit
def _cross_entropy(
    x: Array, target: Array, weight: Array, weighted: bool, ignore: int, smoothing: float,
    loss: Array, norm: Array, high: Array, rest: Array,
) -> tuple[float, float, int]:  # fmt: skip
    rows, n = x.shape
    step = max(1, BLOCK // n)
    exps = np.empty(min(step, rows) * n)
    bad = -1
    for first in range(0, rows, step):
        last = min(first + step, rows)
        row_pieces(x, first, last, False, exps, high, rest)
        for r in range(first, last):
            t = target[r]
            loss[r] = 0.0
            norm[r] = 0.0
            if t == ignore:
                continue
            if t < 0 or t >= n:
                bad = r if bad < 0 else bad
                continue
            m, whole = high[r], scalar.log1p_64(rest[r])
            w = np.float64(weight[t]) if weighted else 1.0
            norm[r] = w
            value = 0.0 if w == 0.0 else w * (whole + (m - x[r, t]))
            if smoothing > 0.0:
                spread = 0.0
                for j in range(n):
                    v = np.float64(weight[j]) if weighted else 1.0
                    spread += 0.0 if v == 0.0 else v * (whole + (m - x[r, j]))
                value = (1.0 - smoothing) * value + smoothing / n * spread
            loss[r] = value
    return exact_sum(loss), exact_sum(norm), bad


@jit
def _cross_entropy_grad(
    g: Array, each: bool, scale: float, x: Array, target: Array, weight: Array, weighted: bool, ignore: int,
    smoothing: float, high: Array, rest: Array, out: Array,
) -> None:  # fmt: skip
    rows, n = x.shape
    sum_of_weights = float(n)
    if weighted:
        sum_of_weights = 0.0
        for j in range(n):
            sum_of_weights += weight[j]
    for r in range(rows):
        t = target[r]
        if t == ignore:
            out[r] = 0.0
            continue
        w = np.float64(weight[t]) if weighted else 1.0
        factor = np.float64(g[r if each else 0]) * scale
        own = (1.0 - smoothing) * w
        m, whole = high[r], 1.0 + rest[r]
        all_terms = (own + smoothing / n * sum_of_weights) / whole * factor
        if x.itemsize == 4:
            for j in range(n):
                out[r, j] = all_terms * scalar.exp_coarse(np.float64(x[r, j]) - m)
        else:
            for j in range(n):
                out[r, j] = all_terms * scalar.exp_sum(x[r, j] - m, lost_in(x[r, j], m))
        if smoothing > 0.0:
            for j in range(n):
                out[r, j] -= smoothing / n * factor * (np.float64(weight[j]) if weighted else 1.0)
            out[r, t] -= own * factor
        else:
            # p - 1 = -(what the other classes hold): no cancellation for a confident, right prediction
            d = np.float64(x[r, t]) - m
            others = rest[r] if d == 0.0 else 1.0 + (rest[r] - scalar.exp64(d))
            out[r, t] = -own * factor * (others / whole)


@jit
def _nll(
    x: Array, target: Array, weight: Array, weighted: bool, ignore: int, loss: Array, norm: Array
) -> tuple[float, float, int]:
    bad = -1
    for r in range(x.shape[0]):
        for i in range(x.shape[2]):
            t = target[r, i]
            loss[r, i] = 0.0
            norm[r, i] = 0.0
            if t == ignore:
                continue
            if t < 0 or t >= x.shape[1]:
                bad = r * x.shape[2] + i if bad < 0 else bad
                continue
            w = np.float64(weight[t]) if weighted else 1.0
            norm[r, i] = w
            loss[r, i] = 0.0 if w == 0.0 else -w * x[r, t, i]
    return exact_sum(loss.ravel()), exact_sum(norm.ravel()), bad


@jit
def _nll_grad(
    g: Array, each: bool, scale: float, target: Array, weight: Array, weighted: bool, ignore: int, out: Array
) -> None:
    for r in range(out.shape[0]):
        for i in range(out.shape[2]):
            t = target[r, i]
            if t != ignore:
                w = np.float64(weight[t]) if weighted else 1.0
                out[r, t, i] = -w * scale * g[r * out.shape[2] + i if each else 0]


def _rows(x: Array) -> Array:
    """(N, C, L) as contiguous rows (N L, C)."""
    n, c, length = x.shape
    rows = x.reshape(n, c) if length == 1 else x.transpose(0, 2, 1).reshape(n * length, c)
    return rows if rows.flags.carray else rows.copy()


def _weights(weight: Array | None, x: Array) -> Array:
    """The class weights as a kernel takes them; one that is not used must have the same type."""
    if weight is None:
        return np.empty(0, x.dtype)
    return weight if weight.flags.carray else weight.copy()


def _reduced(
    total: float, divisor: float, loss: Array, shape: tuple[int, ...], dtype: Any, reduction: str
) -> tuple[Array, float]:
    """The loss rounded once, and what it was divided by."""
    if reduction == "none":
        return loss.reshape(shape).astype(dtype), 1.0
    if reduction == "sum":
        return np.array(total, dtype), 1.0
    return np.array(total / divisor if divisor else np.nan, dtype), divisor


def cross_entropy(
    x: Array, target: Array, weight: Array | None, ignore_index: int, label_smoothing: float, reduction: str
) -> tuple[Array, int, tuple[Array, float]]:
    """Value, flat index of the first target outside [0, C) (else -1), and what `cross_entropy_grad` needs.

    x (N, C, L), target int64 (N, L), weight (C,) of x's dtype. Values: (N, L) for "none", else 0-d.
    """
    flat, t = _rows(x), target.ravel()
    rows, n = flat.shape
    # four numbers a row: loss, its weight in the mean, largest logit, sum of the other exponentials
    table = np.empty((4, rows))
    loss, norm, high, rest = table
    w, settings = _weights(weight, x), (weight is not None, ignore_index, float(label_smoothing))
    if rows * n <= GRAIN:
        total, divisor, bad = _cross_entropy(flat, t, w, *settings, loss, norm, high, rest)
    else:
        found: list[int] = []

        def run(a: int, b: int) -> None:
            pieces = loss[a:b], norm[a:b], high[a:b], rest[a:b]
            index = _cross_entropy(flat[a:b], t[a:b], w, *settings, *pieces)[2]
            if index >= 0:
                found.append(a + index)

        parallel(run, rows, -(-GRAIN // n))
        total, divisor, bad = float(sum_(loss)), float(sum_(norm)), min(found, default=-1)
    value, divisor = _reduced(total, divisor, loss, target.shape, flat.dtype, reduction)
    return value, bad, (table[2:], divisor)


def cross_entropy_grad(
    g: Array, x: Array, target: Array, weight: Array | None, ignore_index: int, label_smoothing: float, reduction: str,
    saved: tuple[Array | None, float],
) -> Array:  # fmt: skip
    """The gradient with respect to x (N, C, L); g is (N, L) for "none", else 0-d. Targets must be checked ones."""
    pieces, divisor = saved
    if pieces is None:
        pieces = cross_entropy(x, target, weight, ignore_index, label_smoothing, reduction)[2][0]
    high, rest = pieces
    flat, t, incoming = _rows(x), target.ravel(), g.ravel()
    rows, n = flat.shape
    out = np.empty(flat.shape, flat.dtype)
    each, scale = g.size > 1, 1.0 / divisor if divisor else np.nan
    w, settings = _weights(weight, x), (weight is not None, ignore_index, float(label_smoothing))

    def run(a: int, b: int) -> None:
        part = incoming[a:b] if each else incoming
        _cross_entropy_grad(part, each, scale, flat[a:b], t[a:b], w, *settings, high[a:b], rest[a:b], out[a:b])

    if rows * n <= GRAIN:
        _cross_entropy_grad(incoming, each, scale, flat, t, w, *settings, high, rest, out)
    else:
        parallel(run, rows, -(-GRAIN // n))
    size, c, length = x.shape
    return (
        out.reshape(x.shape) if length == 1 else np.ascontiguousarray(out.reshape(size, length, c).transpose(0, 2, 1))
    )


def nll(x: Array, target: Array, weight: Array | None, ignore_index: int, reduction: str) -> tuple[Array, int, float]:
    """Value, flat index of the first target outside [0, C) (else -1), and the divisor that `nll_grad` needs."""
    x, t = np.ascontiguousarray(x), np.ascontiguousarray(target)
    table = np.empty((2, *t.shape))
    w = _weights(weight, x)
    total, divisor, bad = _nll(x, t, w, weight is not None, ignore_index, table[0], table[1])
    value, divisor = _reduced(total, divisor, table[0], t.shape, x.dtype, reduction)
    return value, bad, divisor


def nll_grad(
    g: Array, x: Array, target: Array, weight: Array | None, ignore_index: int, reduction: str, divisor: float
) -> Array:
    """The gradient with respect to x (N, C, L): -weight g / divisor at the targets, 0 elsewhere."""
    out = np.zeros(x.shape, x.dtype)
    each, scale = g.size > 1, 1.0 / divisor if divisor else np.nan
    w = _weights(weight, x)
    t = np.ascontiguousarray(target)
    _nll_grad(g.ravel(), each, scale, t, w, weight is not None, ignore_index, out)
    return out
