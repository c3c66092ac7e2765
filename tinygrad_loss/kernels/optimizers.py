"""One pass over a whole parameter group, in the order of arithmetic of PyTorch's single-tensor optimizers.

A group arrives as a table of addresses, one column for each parameter: Numba's lists are slow to pass, and a tuple of
arrays would compile anew for every model. Its rows are the number of elements, the addresses of parameter and gradient,
flags, then the addresses of the state that each kernel names, 0 for what it will not read. The caller vouches for the
arrays: alive, C-contiguous, of that size and of `like`'s dtype; a step count has one element. Options come as a tuple,
which Numba takes in faster than as many arguments. fma() stands where PyTorch rounds once.
"""

from typing import Any

import numpy as np

from .jit import Array, fma, inline, jit, view

__all__ = [
    "FLAGS",
    "FRESH",
    "GRADIENT",
    "PARAMETER",
    "SIZE",
    "STATE",
    "WIDE",
    "WIDE_PRODUCT",
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "address",
    "nadam",
    "radam",
    "rmsprop",
    "sgd",
]

SIZE, PARAMETER, GRADIENT, FLAGS, STATE = range(5)
FRESH = 1  # the state holds nothing yet
WIDE = 2  # the step count has 64 bits,
WIDE_PRODUCT = 4  # or the product of NAdam's momenta
_SINGLE, _DOUBLE = np.empty(0, np.float32), np.empty(0, np.float64)


@jit
def address(array: Array) -> int:
    """Where the first element of an array lies."""
    return array.ctypes.data


@inline
def tick(place: int, flags: int) -> float:
    """The number of the step that begins: the count, raised by one."""
    if flags & WIDE:
        wide = view(place, 1, _DOUBLE)
        wide[0] += 1.0
        return wide[0]  # type: ignore[no-any-return]
    count = view(place, 1, _SINGLE)
    count[0] += np.float32(1.0)
    return np.float64(count[0])


@inline
def scale(place: int, flags: int, factor: float) -> float:
    """A product, multiplied in its place."""
    if flags & WIDE_PRODUCT:
        wide = view(place, 1, _DOUBLE)
        wide[0] *= factor
        return wide[0]  # type: ignore[no-any-return]
    number = view(place, 1, _SINGLE)
    number[0] *= np.float32(factor)
    return np.float64(number[0])


@inline
def slope(p: float, g: float, decay: float, maximize: bool) -> float:
    """The direction to descend in: the gradient, or against it, with the pull of weight decay."""
    d = -g if maximize else g
    return fma(p, decay, d) if decay != 0.0 else d


@inline
def mean(m: float, d: float, c1: float) -> float:
    """m * (1 - c1) + d * c1, as PyTorch's lerp computes it: from whichever end is nearer."""
    return fma(c1, d - m, m) if c1 < 0.5 else fma(c1 - 1, d - m, d)  # type: ignore[no-any-return]


@inline
def mean_square(v: float, d: float, b2: float, c2: float) -> float:
    """v * b2 + d**2 * c2."""
    return fma(c2 * d, d, v * b2)  # type: ignore[no-any-return]


@jit
def sgd(like: Array, table: Array, options: Any) -> None:
    """Stochastic gradient descent; state: momentum buffer (with momentum only)."""
    lr, momentum, dampening, weight_decay, nesterov, maximize = options
    kind = like.dtype.type
    rate, mu, damp, decay = kind(-lr), kind(momentum), kind(1.0 - dampening), kind(weight_decay)
    for k in range(table.shape[1]):
        n, fresh = table[SIZE, k], table[FLAGS, k] & FRESH != 0
        p, g = view(table[PARAMETER, k], n, like), view(table[GRADIENT, k], n, like)
        b = view(table[STATE, k], n if momentum != 0.0 else 0, like)
        for i in range(n):
            d = slope(p[i], g[i], decay, maximize)
            if momentum != 0.0:
                m = d if fresh else fma(d, damp, b[i] * mu)
                b[i] = m
                d = fma(m, mu, d) if nesterov else m
            p[i] = fma(d, rate, p[i])
        table[FLAGS, k] &= ~FRESH


@jit
def adam(like: Array, table: Array, options: Any) -> None:
    """Adam, or AdamW where `decoupled`; state: step, both means, largest second one (with amsgrad only)."""
    lr, beta1, beta2, eps, weight_decay, amsgrad, maximize, decoupled = options
    kind = like.dtype.type
    c1, b2, c2 = kind(1.0 - beta1), kind(beta2), kind(1.0 - beta2)
    epsilon, shrink = kind(eps), kind(1.0 - lr * weight_decay if decoupled else 1.0)
    decay = kind(0.0 if decoupled else weight_decay)
    for k in range(table.shape[1]):
        n = table[SIZE, k]
        step = tick(table[STATE, k], table[FLAGS, k])
        size = kind(-(lr / (1.0 - beta1**step)))
        root = kind(np.sqrt(1.0 - beta2**step))
        p, g = view(table[PARAMETER, k], n, like), view(table[GRADIENT, k], n, like)
        m, v = view(table[STATE + 1, k], n, like), view(table[STATE + 2, k], n, like)
        top = view(table[STATE + 3, k], n if amsgrad else 0, like)
        for i in range(n):
            d = slope(p[i], g[i], decay, maximize)
            a, s = mean(m[i], d, c1), mean_square(v[i], d, b2, c2)
            m[i], v[i] = a, s
            if amsgrad:
                s = s if s > top[i] or s != s else top[i]
                top[i] = s
            p[i] = p[i] * shrink + size * a / (np.sqrt(s) / root + epsilon)


@jit
def rmsprop(like: Array, table: Array, options: Any) -> None:
    """RMSprop; state: step, mean square, momentum buffer (with momentum), mean (where `centered`)."""
    lr, alpha, eps, weight_decay, momentum, centered, maximize = options
    kind = like.dtype.type
    rate, a1, c1, mu = kind(-lr), kind(alpha), kind(1.0 - alpha), kind(momentum)
    epsilon, decay = kind(eps), kind(weight_decay)
    for k in range(table.shape[1]):
        n = table[SIZE, k]
        tick(table[STATE, k], table[FLAGS, k])
        p, g = view(table[PARAMETER, k], n, like), view(table[GRADIENT, k], n, like)
        v, b = view(table[STATE + 1, k], n, like), view(table[STATE + 2, k], n if momentum > 0.0 else 0, like)
        m = view(table[STATE + 3, k], n if centered else 0, like)
        for i in range(n):
            d = slope(p[i], g[i], decay, maximize)
            s = mean_square(v[i], d, a1, c1)
            v[i] = s
            if centered:
                a = mean(m[i], d, c1)
                m[i] = a
                s = fma(-a, a, s)
            root = np.sqrt(s) + epsilon
            if momentum > 0.0:
                move = b[i] * mu + d / root
                b[i] = move
                p[i] = fma(move, rate, p[i])
            else:
                p[i] += rate * d / root


@jit
def adagrad(like: Array, table: Array, options: Any) -> None:
    """Adagrad; state: step, sum of squares."""
    lr, lr_decay, eps, weight_decay, maximize = options
    kind = like.dtype.type
    epsilon, decay = kind(eps), kind(weight_decay)
    for k in range(table.shape[1]):
        n = table[SIZE, k]
        step = tick(table[STATE, k], table[FLAGS, k])
        rate = kind(-(lr / (1.0 + (step - 1.0) * lr_decay)))
        p, g = view(table[PARAMETER, k], n, like), view(table[GRADIENT, k], n, like)
        total = view(table[STATE + 1, k], n, like)
        for i in range(n):
            d = slope(p[i], g[i], decay, maximize)
            s = fma(d, d, total[i])
            total[i] = s
            p[i] += rate * d / (np.sqrt(s) + epsilon)


@jit
def adadelta(like: Array, table: Array, options: Any) -> None:
    """Adadelta; state: step, mean squares of gradients and of changes."""
    lr, rho, eps, weight_decay, maximize = options
    kind = like.dtype.type
    rate, r, c, epsilon, decay = kind(-lr), kind(rho), kind(1.0 - rho), kind(eps), kind(weight_decay)
    for k in range(table.shape[1]):
        n = table[SIZE, k]
        tick(table[STATE, k], table[FLAGS, k])
        p, g = view(table[PARAMETER, k], n, like), view(table[GRADIENT, k], n, like)
        v, u = view(table[STATE + 1, k], n, like), view(table[STATE + 2, k], n, like)
        for i in range(n):
            d = slope(p[i], g[i], decay, maximize)
            s = mean_square(v[i], d, r, c)
            v[i] = s
            change = np.sqrt(u[i] + epsilon) / np.sqrt(s + epsilon) * d
            u[i] = mean_square(u[i], change, r, c)
            p[i] = fma(change, rate, p[i])


@jit
def adamax(like: Array, table: Array, options: Any) -> None:
    """Adamax; state: step, mean, decaying maximum."""
    lr, beta1, beta2, eps, weight_decay, maximize = options
    kind = like.dtype.type
    c1, b2, epsilon, decay = kind(1.0 - beta1), kind(beta2), kind(eps), kind(weight_decay)
    for k in range(table.shape[1]):
        n = table[SIZE, k]
        step = tick(table[STATE, k], table[FLAGS, k])
        size = kind(-(lr / (1.0 - beta1**step)))
        p, g = view(table[PARAMETER, k], n, like), view(table[GRADIENT, k], n, like)
        m, u = view(table[STATE + 1, k], n, like), view(table[STATE + 2, k], n, like)
        for i in range(n):
            d = slope(p[i], g[i], decay, maximize)
            a, past, now = mean(m[i], d, c1), u[i] * b2, abs(d) + epsilon
            top = past if past > now or past != past else now
            m[i], u[i] = a, top
            p[i] += size * a / top


@jit
def nadam(like: Array, table: Array, options: Any) -> None:
    """NAdam; state: step, product of the momenta, both means."""
    lr, beta1, beta2, eps, weight_decay, momentum_decay, maximize, decoupled = options
    kind = like.dtype.type
    c1, b2, c2 = kind(1.0 - beta1), kind(beta2), kind(1.0 - beta2)
    epsilon, shrink = kind(eps), kind(1.0 - lr * weight_decay if decoupled else 1.0)
    decay = kind(0.0 if decoupled else weight_decay)
    for k in range(table.shape[1]):
        n, flags = table[SIZE, k], table[FLAGS, k]
        step = tick(table[STATE, k], flags)
        now = beta1 * (1.0 - 0.5 * 0.96 ** (step * momentum_decay))
        after = beta1 * (1.0 - 0.5 * 0.96 ** ((step + 1.0) * momentum_decay))
        product = scale(table[STATE + 1, k], flags, now)
        rate, ahead = kind(-lr * (1.0 - now) / (1.0 - product)), kind(-lr * after / (1.0 - product * after))
        correction = kind(1.0 - beta2**step)
        p, g = view(table[PARAMETER, k], n, like), view(table[GRADIENT, k], n, like)
        m, v = view(table[STATE + 2, k], n, like), view(table[STATE + 3, k], n, like)
        for i in range(n):
            d = slope(p[i], g[i], decay, maximize)
            a, s = mean(m[i], d, c1), mean_square(v[i], d, b2, c2)
            m[i], v[i] = a, s
            root = np.sqrt(s / correction) + epsilon
            p[i] = p[i] * shrink + rate * d / root + ahead * a / root


@jit
def radam(like: Array, table: Array, options: Any) -> None:
    """RAdam; state: step, both means."""
    lr, beta1, beta2, eps, weight_decay, maximize, decoupled = options
    kind = like.dtype.type
    c1, b2, c2 = kind(1.0 - beta1), kind(beta2), kind(1.0 - beta2)
    epsilon, shrink = kind(eps), kind(1.0 - lr * weight_decay if decoupled else 1.0)
    rate, decay = kind(lr), kind(0.0 if decoupled else weight_decay)
    longest = 2.0 / (1.0 - beta2) - 1.0
    for k in range(table.shape[1]):
        n = table[SIZE, k]
        step = tick(table[STATE, k], table[FLAGS, k])
        bias1, bias2 = 1.0 - beta1**step, 1.0 - beta2**step
        # how many gradients the mean square amounts to: with few of them its root is no guide
        length = longest - 2.0 * step * beta2**step / bias2
        adaptive, rectify = length > 5.0, 1.0
        if adaptive:
            rectify = (length - 4.0) * (length - 2.0) * longest / ((longest - 4.0) * (longest - 2.0) * length)
        correction, root, rectifier = kind(bias1), kind(np.sqrt(bias2)), kind(np.sqrt(rectify))
        p, g = view(table[PARAMETER, k], n, like), view(table[GRADIENT, k], n, like)
        m, v = view(table[STATE + 1, k], n, like), view(table[STATE + 2, k], n, like)
        for i in range(n):
            d = slope(p[i], g[i], decay, maximize)
            a, s = mean(m[i], d, c1), mean_square(v[i], d, b2, c2)
            m[i], v[i] = a, s
            move = a / correction * rate
            if adaptive:
                move = move * (kind(1.0) / (np.sqrt(s) + epsilon) * root) * rectifier
            p[i] = p[i] * shrink - move
