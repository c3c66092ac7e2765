"""One pass over a whole parameter group, in the order of arithmetic of PyTorch's single-tensor optimizers.

A group arrives as a table of addresses, one row for each parameter: Numba's lists are slow to pass, and a tuple of
arrays would compile anew for every model. Its columns are the number of elements, then the addresses of parameter and
gradient, then whether the state holds nothing yet, then the addresses of the state as each kernel names it, 0 for what
it will not read. The caller vouches for the arrays: alive, C-contiguous, of `like`'s dtype (steps: of `count`'s) and of
that size. fma() stands where PyTorch's vectorized kernels round once.
"""

import numpy as np

from .jit import Array, fma, inline, jit, view

__all__ = ["COLUMNS", "adam", "address", "sgd"]

COLUMNS = 4  # before those of the state


@jit
def address(array: Array) -> int:
    """Where the first element of an array lies."""
    return array.ctypes.data


@inline
def slope(p: float, g: float, decay: float, maximize: bool) -> float:
    """The direction to descend in: the gradient, or against it, with the pull of weight decay."""
    d = -g if maximize else g
    return fma(p, decay, d) if decay != 0.0 else d


@inline
def mean(m: float, d: float, c1: float, b1: float) -> float:
    """m * b1 + d * c1, as PyTorch's lerp computes it: from whichever end is nearer."""
    return fma(c1, d - m, m) if c1 < 0.5 else fma(-b1, d - m, d)


@inline
def mean_square(v: float, d: float, b2: float, c2: float) -> float:
    """v * b2 + d**2 * c2."""
    return fma(c2 * d, d, v * b2)


@jit
def sgd(
    like: Array,
    count: Array,
    table: Array,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
) -> None:
    """Stochastic gradient descent; state: momentum buffer (with momentum only)."""
    kind = like.dtype.type
    rate, mu, damp, decay = kind(-lr), kind(momentum), kind(1.0 - dampening), kind(weight_decay)
    for k in range(table.shape[0]):
        n, start = table[k, 0], table[k, 3] != 0
        p, g = view(table[k, 1], n, like), view(table[k, 2], n, like)
        b = view(table[k, 4], n if momentum != 0.0 else 0, like)
        for i in range(n):
            d = slope(p[i], g[i], decay, maximize)
            if momentum != 0.0:
                m = d if start else fma(d, damp, b[i] * mu)
                b[i] = m
                d = fma(m, mu, d) if nesterov else m
            p[i] = fma(d, rate, p[i])
        table[k, 3] = 0


@jit
def adam(
    like: Array,
    count: Array,
    table: Array,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    maximize: bool,
    decoupled: bool,
) -> None:
    """Adam, or AdamW where `decoupled`; state: step, both averages, largest second one (with amsgrad only)."""
    kind = like.dtype.type
    c1, b1, b2, c2 = kind(1.0 - beta1), kind(beta1), kind(beta2), kind(1.0 - beta2)
    epsilon, shrink = kind(eps), kind(1.0 - lr * weight_decay if decoupled else 1.0)
    decay = kind(0.0 if decoupled else weight_decay)
    for k in range(table.shape[0]):
        n = table[k, 0]
        steps = view(table[k, 4], 1, count)
        steps[0] += 1
        step = np.float64(steps[0])
        size = kind(-(lr / (1.0 - beta1**step)))
        root = kind(np.sqrt(1.0 - beta2**step))
        p, g = view(table[k, 1], n, like), view(table[k, 2], n, like)
        m, v = view(table[k, 5], n, like), view(table[k, 6], n, like)
        top = view(table[k, 7], n if amsgrad else 0, like)
        for i in range(n):
            d = slope(p[i], g[i], decay, maximize)
            a, s = mean(m[i], d, c1, b1), mean_square(v[i], d, b2, c2)
            m[i], v[i] = a, s
            if amsgrad:
                s = s if s > top[i] or s != s else top[i]
                top[i] = s
            p[i] = p[i] * shrink + size * a / (np.sqrt(s) / root + epsilon)
