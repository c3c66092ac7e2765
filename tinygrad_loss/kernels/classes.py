"""Cross-entropy on logits: one class of many, or a distribution over them.

Logits are (N, C, L), class numbers (N, L), distributions (N, C, L): L is 1 or the product of the spatial sizes. With q
what each class counts for (its weight times its share of the target), the loss of a row is sum(q (logsumexp(x) - x)).
A pass takes rows in blocks that stay in the cache, gathered into tiles where the classes do not lie side by side. The
value keeps the largest logit of every row and the sum of the other exponentials: the gradient needs no more, so neither
softmax nor a one-hot matrix is ever stored.
"""

import math
from collections.abc import Callable

import numpy as np

from . import scalar
from .dense import corrected, exact_sum, sum_, two_sum
from .jit import Array, by_dtype, fma, inline, itemsize, jit, reassociating
from .pointwise import NOTHING, flat
from .rowwise import BLOCK, SHORT, exponentials, lost_in, row_pieces, row_sums
from .threads import parallel

__all__ = ["cross_entropy", "cross_entropy_grad", "soft_cross_entropy", "soft_cross_entropy_grad"]

GRAIN = 65536
TILE = 16  # rows at least: what is gathered comes in lines of memory that hold as many neighbours


@inline
def block_rows(x: Array) -> int:
    """How many rows a block has."""
    rows: int = max(1, BLOCK // x.shape[1])
    return rows if x.shape[2] == 1 else max(rows, TILE)


@inline
def new_tile(x: Array, step: int) -> Array:
    """Room for the rows of a block, where they must be gathered."""
    return np.empty((0 if x.shape[2] == 1 else step, x.shape[1]), x.dtype)


@inline
def gathered(x: Array, first: int, last: int, tile: Array) -> Array:
    """Rows first to last of x (N, C, L), the classes side by side; x itself where they lie so."""
    n, c, length = x.shape
    if length == 1:
        return x.reshape(n, c)[first:last]
    for r in range(first, last):
        i, k = r // length, r % length
        for j in range(c):
            tile[r - first, j] = x[i, j, k]
    return tile[: last - first]


@inline
def rows_of(out: Array, first: int, last: int, tile: Array) -> Array:
    """Where to write rows first to last: into `out` itself, or into a tile to be scattered."""
    if out.shape[2] == 1:
        return out.reshape(out.shape[0], out.shape[1])[first:last]
    return tile[: last - first]


@inline
def scatter(tile: Array, out: Array, first: int, last: int) -> None:
    """Bring the rows of a tile to their places."""
    c, length = out.shape[1], out.shape[2]
    if length > 1:
        for r in range(first, last):
            i, k = r // length, r % length
            for j in range(c):
                out[i, j, k] = tile[r - first, j]


@inline
def minus_logp(x: float, high: float, whole: float) -> float:
    """Log(sum of exponentials) - x, from the largest logit and log(1 + the others)."""
    return (high - x) - (lost_in(x, high) - whole)


@inline
def weight_of(w: Array, j: int) -> float:
    """The weight of class j, in float64."""
    return np.float64(w[j]) if w.size else 1.0


@inline
def share_in_mean(t: int, classes: int, ignore: int, w: Array) -> tuple[bool, float]:
    """Whether a target is a class that counts, and its weight in the mean; NaN tells of one that is no class."""
    if t == ignore:
        return False, 0.0
    if t < 0 or t >= classes:
        return False, np.nan
    return True, weight_of(w, t)


@inline
def hard_share(q: Array, t: int, w: Array, smoothing: float) -> None:
    """q for a class number: its own weight, and a little of all."""
    for j in range(q.size):
        q[j] = smoothing / q.size * weight_of(w, j)
    q[t] += (1.0 - smoothing) * weight_of(w, t)


@inline
def soft_share(q: Array, t: Array, w: Array, smoothing: float) -> None:
    """q for a distribution."""
    for j in range(q.size):
        q[j] = (np.float64(t[j]) * (1.0 - smoothing) + smoothing / q.size) * weight_of(w, j)


@reassociating
def excess(t: Array) -> float:
    """What a distribution sums to beyond 1, if it is more than a rounding: more than 1%."""
    s = -1.0
    for j in range(t.size):
        s += np.float64(t[j])
    return 0.0 if abs(s) <= 0.01 or s == -1.0 else s  # a row of zeros does not count, and is meant not to


@inline
def soft_loss_32(x: Array, q: Array, high: float, rest: float, terms: Array) -> float:
    """`soft_loss` for float32, which float64 rounds well enough."""
    whole = scalar.log1p_64(rest)
    for j in range(q.size):
        terms[j] = 0.0 if q[j] == 0.0 else q[j] * minus_logp(np.float64(x[j]), high, whole)
    return exact_sum(terms)


@inline
def soft_sum(x: Array, q: Array, high: float, whole: float) -> tuple[float, float]:
    """`soft_loss` in twice the digits (Ogita, Rump and Oishi, "Accurate Sum and Dot Product", 2005)."""
    total, lost, share, more = 0.0, 0.0, 0.0, 0.0
    for j in range(q.size):
        if q[j] != 0.0:
            d = high - x[j]
            term = q[j] * d
            total, e = two_sum(total, term)
            lost += e + (fma(q[j], d, -term) - q[j] * lost_in(x[j], high))
            share, e = two_sum(share, q[j])
            more += e
    term = share * whole
    total, e = two_sum(total, term)
    return total, lost + (e + (fma(share, whole, -term) + more * whole))


@inline
def soft_loss_64(x: Array, q: Array, high: float, rest: float, terms: Array) -> float:
    """`soft_loss` for float64."""
    total, lost = soft_sum(x, q, high, scalar.log1p_64(rest))
    return corrected(total, lost)


# Sum of q (logsumexp(x) - x); a class of share 0 counts 0, though its logit be -inf.
soft_loss = by_dtype(soft_loss_32, soft_loss_64)


@inline
def smooth_loss_32(
    x: Array, t: int, w: Array, smoothing: float, high: float, rest: float, q: Array, terms: Array
) -> float:
    """`smooth_loss` for float32."""
    hard_share(q, t, w, smoothing)
    return soft_loss(x, q, high, rest, terms)


@inline
def smooth_loss_64(
    x: Array, t: int, w: Array, smoothing: float, high: float, rest: float, q: Array, terms: Array
) -> float:
    """`smooth_loss` for float64: the shares themselves would be rounded, so their factors come last."""
    for j in range(q.size):
        q[j] = weight_of(w, j)
    whole = scalar.log1p_64(rest)
    every, more = soft_sum(x, q, high, whole)
    own, less = soft_sum(x[t : t + 1], q[t : t + 1], high, whole)
    size, spread, kept = np.float64(q.size), smoothing / q.size, 1.0 - smoothing
    total = spread * every
    lost = fma(spread, every, -total) + (spread * more + fma(-spread, size, smoothing) / size * every)
    if kept > 0.0:
        term = kept * own
        total, e = two_sum(total, term)
        lost += e + (fma(kept, own, -term) + (kept * less + ((1.0 - kept) - smoothing) * own))
    return corrected(total, lost)


# The same for a class number t under smoothing.
smooth_loss = by_dtype(smooth_loss_32, smooth_loss_64)


@inline
def others_32(x: Array, q: Array, top: int) -> float:
    """Sum of q without q[top]."""
    others = 0.0
    for j in range(q.size):
        others += 0.0 if j == top else q[j]
    return others


@inline
def others_64(x: Array, q: Array, top: int) -> float:
    """Sum of q without q[top], to the last bit of float64."""
    others, lost = 0.0, 0.0
    for j in range(q.size):
        others, e = two_sum(others, 0.0 if j == top else q[j])
        lost += e
    return others + lost


sum_of_others = by_dtype(others_32, others_64)


@inline
def soft_slopes(x: Array, q: Array, high: float, rest: float, factor: float, out: Array) -> None:
    """out = factor (sum(q) p - q) with p = softmax(x), as (sum of the other q) p - q (1 - p): that does not cancel."""
    top = 0
    for j in range(1, q.size):
        top = j if abs(q[j]) > abs(q[top]) else top
    others = sum_of_others(x, q, top)
    whole = 1.0 + rest
    for j in range(q.size):
        d = np.float64(x[j]) - high
        e = scalar.exp_sum(d, lost_in(np.float64(x[j]), high)) if itemsize(x) == 8 else scalar.exp64(d)
        missing = rest if d == 0.0 else 1.0 + (rest - e)
        more = others if j == top else q[top] + (others - q[j])
        out[j] = factor * ((more * e - q[j] * missing) / whole)


@jit
def _hard(
    x: Array, target: Array, w: Array, ignore: int, smoothing: float, table: Array, a: int, b: int
) -> tuple[float, float]:
    loss, norm, high, rest = table[0], table[1], table[2], table[3]  # unpacked, rows would count as strided
    n, step = x.shape[1], min(block_rows(x), b - a)
    exps, logs, q, tile = np.empty(step * n), np.empty(step), np.empty(n), new_tile(x, step)
    for first in range(a, b, step):
        last = min(first + step, b)
        rows = gathered(x, first, last, tile)
        # several classes that count may cancel down to the last bits of a float32
        row_sums(rows, 0, last - first, smoothing > 0.0, exps, high[first:last], rest[first:last])
        others = rest[first:last]  # a view: LLVM does not vectorize with r - first for an index
        for i in range(others.size):
            logs[i] = scalar.log1p_64(others[i])
        for r in range(first, last):
            t = target[r]
            loss[r] = 0.0
            counts, norm[r] = share_in_mean(t, n, ignore, w)
            if not counts:
                continue
            if smoothing > 0.0:
                loss[r] = smooth_loss(rows[r - first], t, w, smoothing, high[r], rest[r], q, exps[:n])
            elif norm[r] != 0.0:
                loss[r] = norm[r] * minus_logp(np.float64(rows[r - first, t]), high[r], logs[r - first])
    return exact_sum(loss[a:b]), exact_sum(norm[a:b])


@jit
def _hard_grad(
    g: Array, scale: float, x: Array, target: Array, w: Array, ignore: int, smoothing: float, pieces: Array, a: int,
    b: int, out: Array,
) -> None:  # fmt: skip
    high, rest = pieces[0], pieces[1]
    n, step = x.shape[1], min(block_rows(x), b - a)
    exps, q, tile, out_tile = np.empty(step * n), np.empty(n), new_tile(x, step), new_tile(x, step)
    for first in range(a, b, step):
        last = min(first + step, b)
        rows, outs = gathered(x, first, last, tile), rows_of(out, first, last, out_tile)
        if smoothing == 0.0 and n < SHORT:
            exponentials(rows, 0, last - first, False, high[first:last], exps)
        for r in range(first, last):
            t, i = target[r], r - first
            if t == ignore or t < 0 or t >= n:
                # the value's pass checked it, but who shares the target's memory may have written there since
                outs[i, :] = 0 if t == ignore else np.nan
                continue
            factor = np.float64(g[r if g.size > 1 else 0]) * scale
            if smoothing > 0.0:
                hard_share(q, t, w, smoothing)
                soft_slopes(rows[i], q, high[r], rest[r], factor, outs[i])
                continue
            share, m = factor * weight_of(w, t) / (1.0 + rest[r]), high[r]
            if n < SHORT:  # without views of single rows, which take longer to make than these few entries
                own = exps[i * n + t]
                for j in range(n):
                    outs[i, j] = share * exps[i * n + j]
            else:
                row, result = rows[i], outs[i]
                if itemsize(x) == 4:
                    own = scalar.exp_coarse(np.float64(row[t]) - m)
                    for j in range(n):
                        result[j] = share * scalar.exp_coarse(np.float64(row[j]) - m)
                else:
                    own = scalar.exp_sum(row[t] - m, lost_in(row[t], m))
                    for j in range(n):
                        result[j] = share * scalar.exp_sum(row[j] - m, lost_in(row[j], m))
            # p - 1 = -(what the other classes hold): no cancellation for a confident, right prediction
            outs[i, t] = -share * (rest[r] if own == 1.0 else 1.0 + (rest[r] - own))
        scatter(outs, out, first, last)


@jit
def _soft(x: Array, target: Array, w: Array, smoothing: float, table: Array, a: int, b: int) -> float:
    loss, high, rest, over = table[0], table[1], table[2], table[3]
    n, step = x.shape[1], block_rows(x)
    exps, q, tile, other = np.empty(step * n), np.empty(n), new_tile(x, step), new_tile(target, step)
    for first in range(a, b, step):
        last = min(first + step, b)
        rows, targets = gathered(x, first, last, tile), gathered(target, first, last, other)
        row_pieces(rows, 0, last - first, True, exps, high[first:last], rest[first:last])
        for r in range(first, last):
            soft_share(q, targets[r - first], w, smoothing)
            over[r] = excess(targets[r - first])
            loss[r] = soft_loss(rows[r - first], q, high[r], rest[r], exps[:n])
    return exact_sum(loss[a:b])


@jit
def _soft_grad(
    g: Array, scale: float, x: Array, target: Array, w: Array, smoothing: float, pieces: Array, a: int, b: int,
    out: Array,
) -> None:  # fmt: skip
    high, rest = pieces[0], pieces[1]
    n, step = x.shape[1], block_rows(x)
    q, tile, other, out_tile = np.empty(n), new_tile(x, step), new_tile(target, step), new_tile(x, step)
    for first in range(a, b, step):
        last = min(first + step, b)
        rows, targets = gathered(x, first, last, tile), gathered(target, first, last, other)
        outs = rows_of(out, first, last, out_tile)
        for r in range(first, last):
            soft_share(q, targets[r - first], w, smoothing)
            factor = np.float64(g[r if g.size > 1 else 0]) * scale
            soft_slopes(rows[r - first], q, high[r], rest[r], factor, outs[r - first])
        scatter(outs, out, first, last)


def layers(x: Array) -> Array:
    """Logits of any shape as (N, C, L), contiguous."""
    shape = x.shape
    if len(shape) == 2:
        found = x[:, :, None]
    elif len(shape) == 1:
        found = x.reshape(1, shape[0], 1)
    else:
        found = x.reshape(shape[0], shape[1], math.prod(shape[2:]))
    return found if found.flags.carray else found.copy()


def ready(x: Array) -> Array:
    """x itself, or a copy where a kernel would be compiled anew for its layout or for being read-only."""
    return x if x.flags.carray else x.copy()


def _over_rows(run: Callable[[int, int], object], x: Array) -> None:
    """run(a, b) for chunks of the N L rows of x, where there is anything to do."""
    rows, n = x.shape[0] * x.shape[2], x.shape[1]
    if rows * n > GRAIN:
        parallel(run, rows, -(-GRAIN // n))
    elif rows * n:
        run(0, rows)


def reduced(
    table: Array, rows: int, total: float, divisor: float, like: Array, shape: tuple[int, ...], reduction: str
) -> tuple[Array, float]:
    """The loss, which the table has for each row, reduced and rounded once; and what it was divided by."""
    if reduction == "none":
        return table[0, :rows].reshape(shape).astype(like.dtype), 1.0
    if reduction == "sum":
        return np.array(total, like.dtype), 1.0
    return np.array(total / divisor if divisor else np.nan, like.dtype), divisor


def first_bad(divisor: float, target: Array, classes: int, ignore: int) -> int:
    """The first flat index of a target that is neither a class number nor ignored, or -1; NaN in the sum tells."""
    if divisor == divisor:
        return -1
    bad = ((target < 0) | (target >= classes)) & (target != ignore)
    return int(np.argmax(bad)) if bad.any() else -1


def cross_entropy(
    x: Array, target: Array, weight: Array | None, ignore_index: int, label_smoothing: float, reduction: str
) -> tuple[Array, int, Array]:
    """Value, flat index of the first target outside [0, C) (else -1), and what `cross_entropy_grad` needs.

    x (C,), (N, C) or (N, C, ...), target int64 without C, weight (C,) of x's dtype. Values: as target for "none", else 0-d.
    """
    x, t = layers(x), flat(target)
    w, smoothing = NOTHING[x.dtype] if weight is None else ready(weight), float(label_smoothing)
    # for each row: its loss, its weight in the mean, largest logit, other exponentials; behind all rows: the divisor
    table = np.empty((4, t.size + 1))
    if not x.shape[1]:
        table[:] = 0.0
        table[1] = np.nan
    if 0 < x.size <= GRAIN:
        known = _hard(x, t, w, ignore_index, smoothing, table, 0, t.size)
    else:
        _over_rows(lambda a, b: _hard(x, t, w, ignore_index, smoothing, table, a, b), x)
        known = float(sum_(table[0, :-1])), float(sum_(table[1, :-1]))
    bad = first_bad(known[1], t, x.shape[1], ignore_index)
    value, table[2, -1] = reduced(table, t.size, *known, x, target.shape, reduction)
    return value, bad, table[2:]


def cross_entropy_grad(
    g: Array, x: Array, target: Array, weight: Array | None, ignore_index: int, label_smoothing: float,
    reduction: str, pieces: Array | None,
) -> Array:  # fmt: skip
    """The gradient with respect to x; g is as target for "none", else 0-d. Targets must be checked ones."""
    if pieces is None:
        pieces = cross_entropy(x, target, weight, ignore_index, label_smoothing, reduction)[2]
    out = np.empty(x.shape, x.dtype)
    x, t, incoming, slopes = layers(x), flat(target), flat(g), layers(out)
    w, smoothing = NOTHING[x.dtype] if weight is None else ready(weight), float(label_smoothing)
    divisor = float(pieces[0, -1])
    scale = 1.0 / divisor if divisor else np.nan
    if 0 < x.size <= GRAIN:
        _hard_grad(incoming, scale, x, t, w, ignore_index, smoothing, pieces, 0, t.size, slopes)
    else:
        _over_rows(lambda a, b: _hard_grad(incoming, scale, x, t, w, ignore_index, smoothing, pieces, a, b, slopes), x)
    return out


def soft_cross_entropy(
    x: Array, target: Array, weight: Array | None, label_smoothing: float, reduction: str
) -> tuple[Array, Array]:
    """Value for distributions target of x's shape and dtype, the mean being over rows; and what the gradient needs.

    The third row of that tells what each distribution sums to beyond 1.
    """
    shape = x.shape[:1] + x.shape[2:] if x.ndim > 1 else ()
    x, t = layers(x), layers(target)
    w, smoothing = NOTHING[x.dtype] if weight is None else ready(weight), float(label_smoothing)
    table = np.zeros((4, x.shape[0] * x.shape[2]))
    sums: list[float] = []
    _over_rows(lambda a, b: sums.append(_soft(x, t, w, smoothing, table, a, b)), x)
    total = sums[0] if len(sums) == 1 else float(sum_(table[0]))
    divisor = table.shape[1] if x.shape[1] else np.nan
    return reduced(table, table.shape[1], total, divisor, x, shape, reduction)[0], table[1:]


def soft_cross_entropy_grad(
    g: Array, x: Array, target: Array, weight: Array | None, label_smoothing: float, reduction: str,
    pieces: Array | None,
) -> Array:  # fmt: skip
    """The gradient with respect to x; g has no C for "none", else it is 0-d."""
    if pieces is None:
        pieces = soft_cross_entropy(x, target, weight, label_smoothing, "sum")[1]
    out = np.empty(x.shape, x.dtype)
    x, t, incoming, slopes = layers(x), layers(target), flat(g), layers(out)
    w, smoothing = NOTHING[x.dtype] if weight is None else ready(weight), float(label_smoothing)
    rows = x.shape[0] * x.shape[2]
    scale = 1.0 / rows if reduction == "mean" and rows else 1.0
    _over_rows(lambda a, b: _soft_grad(incoming, scale, x, t, w, smoothing, pieces, a, b, slopes), x)
    return out
