"""One pass over a whole parameter group, in the order of arithmetic of PyTorch's single-tensor optimizers.

A group arrives as a table of addresses, one row for each parameter: Numba's lists are slow to pass, and a tuple of
arrays would compile anew for every model. The caller vouches for the arrays: alive, C-contiguous, of `like`'s dtype and
of the given size. fma() stands where PyTorch's vectorized kernels round once.
"""

import numpy as np

from .jit import Array, fma, jit, view

__all__ = ["adam", "address", "sgd"]


@jit
def address(array: Array) -> int:
    """Where the first element of an array lies."""
    return array.ctypes.data


@jit
def sgd(
    like: Array,
    table: Array,
    sizes: Array,
    first: Array,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
) -> None:
    """Stochastic gradient descent; table (n, 3) holds parameter, gradient, momentum buffer (0 without momentum).

    first[i] tells that the i-th buffer holds nothing yet; it is cleared here.
    """
    kind = like.dtype.type
    rate, mu, damp, decay = kind(-lr), kind(momentum), kind(1.0 - dampening), kind(weight_decay)
    for k in range(sizes.size):
        n = sizes[k]
        p, g = view(table[k, 0], n, like), view(table[k, 1], n, like)
        b = view(table[k, 2], n if momentum != 0.0 else 0, like)
        start = first[k]
        for i in range(n):
            d = -g[i] if maximize else g[i]
            if weight_decay != 0.0:
                d = fma(p[i], decay, d)
            if momentum != 0.0:
                m = d if start else fma(d, damp, b[i] * mu)
                b[i] = m
                d = fma(m, mu, d) if nesterov else m
            p[i] = fma(d, rate, p[i])
        first[k] = False


@jit
def adam(
    like: Array,
    table: Array,
    sizes: Array,
    steps: Array,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    maximize: bool,
    decoupled: bool,
) -> None:
    """Adam, or AdamW where `decoupled`; table (n, 5) holds parameter, gradient, both averages, largest second one.

    steps[i] counts the i-th parameter's steps and is raised here. The fifth column is read with amsgrad only.
    """
    kind = like.dtype.type
    b1, b2, c1, c2 = kind(1.0 - beta1), kind(beta2), kind(beta1), kind(1.0 - beta2)
    epsilon, decay, shrink = kind(eps), kind(weight_decay), kind(1.0 - lr * weight_decay)
    for k in range(sizes.size):
        n = sizes[k]
        steps[k] += 1
        step = np.float64(steps[k])
        size = kind(-(lr / (1.0 - beta1**step)))
        root = kind(np.sqrt(1.0 - beta2**step))
        p, g = view(table[k, 0], n, like), view(table[k, 1], n, like)
        m, v = view(table[k, 2], n, like), view(table[k, 3], n, like)
        top = view(table[k, 4], n if amsgrad else 0, like)
        for i in range(n):
            w = p[i]
            d = -g[i] if maximize else g[i]
            if weight_decay != 0.0:
                if decoupled:
                    w = w * shrink
                else:
                    d = fma(w, decay, d)
            # lerp: from whichever end is nearer
            a = fma(b1, d - m[i], m[i]) if b1 < 0.5 else fma(-c1, d - m[i], d)
            s = fma(c2 * d, d, v[i] * b2)
            m[i] = a
            v[i] = s
            if amsgrad:
                s = s if s > top[i] or s != s else top[i]
                top[i] = s
            p[i] = w + size * a / (np.sqrt(s) / root + epsilon)
