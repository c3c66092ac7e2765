"""Elementwise functions and their fused gradients: any layout in, a fresh C-contiguous array out.

Small arrays: one copy, which brings every layout, broadcast and read-only ones included, into one form, so that a
kernel is compiled once for each dtype; then one kernel that works in place. Large ones: the same chunk by chunk, so
that a chunk is still in the cache when the kernel comes to it, in several threads.
"""

from collections.abc import Callable

import numpy as np

from . import scalar
from .jit import Array, itemsize, jit
from .threads import parallel

__all__ = [
    "elu", "elu_grad", "exp", "expm1", "log", "log1p", "logaddexp", "logaddexp_grad", "logsigmoid", "logsigmoid_grad",
    "relu", "relu_grad", "sigmoid", "sigmoid_grad", "sigmoid_grad_x", "softplus", "softplus_grad", "softplus_limit", "tanh",
    "tanh_grad",
]  # fmt: skip

CHUNK = 65536  # elements; below, waking a thread costs more than it saves
LIGHT = 524288  # and that for what takes a fifth of a nanosecond an element
ndarray = np.ndarray


def _unary(kernel: Callable[[Array], None], name: str, doc: str, alone: int = 0) -> Callable[[Array], Array]:
    """x -> kernel applied in place to a fresh copy of x."""

    def apply(x: Array) -> Array:
        if type(x) is not ndarray:
            x = np.asarray(x)
        if x.size > CHUNK:
            return large(x)
        out = x.copy()
        kernel(out.ravel())
        return out

    def large(x: Array) -> Array:
        out = np.empty(x.shape, x.dtype)
        source, flat = x.ravel(), out.ravel()

        def run(start: int, stop: int) -> None:
            part = flat[start:stop]
            part[...] = source[start:stop]
            kernel(part)

        parallel(run, flat.size, CHUNK, alone)
        return out

    apply.__name__ = apply.__qualname__ = name
    apply.__doc__ = doc
    return apply


def _gradient(kernel: Callable[..., None], name: str, doc: str, alone: int = 0) -> Callable[..., Array]:
    """(g, saved, *numbers) -> kernel(copy of g, saved, *numbers) in place, g and saved of one shape."""

    def apply(g: Array, saved: Array, *numbers: float) -> Array:
        if type(g) is not ndarray:
            g = np.asarray(g)
        if type(saved) is not ndarray:
            saved = np.asarray(saved)
        if g.size > CHUNK:
            return large(g, saved, *numbers)
        out = g.copy()
        kernel(out.ravel(), saved.ravel(), *numbers)
        return out

    def large(g: Array, saved: Array, *numbers: float) -> Array:
        out = np.empty(g.shape, g.dtype)
        source, flat, second = g.ravel(), out.ravel(), saved.ravel()

        def run(start: int, stop: int) -> None:
            part = flat[start:stop]
            part[...] = source[start:stop]
            kernel(part, second[start:stop], *numbers)

        parallel(run, flat.size, CHUNK, alone)
        return out

    apply.__name__ = apply.__qualname__ = name
    apply.__doc__ = doc
    return apply


@jit
def _exp(x: Array) -> None:
    for i in range(x.size):
        x[i] = scalar.exp(x[i])


@jit
def _log(x: Array) -> None:
    for i in range(x.size):
        x[i] = scalar.log(x[i])


@jit
def _log1p(x: Array) -> None:
    for i in range(x.size):
        x[i] = scalar.log1p(x[i])


@jit
def _expm1(x: Array) -> None:
    for i in range(x.size):
        x[i] = scalar.expm1(x[i])


@jit
def _tanh(x: Array) -> None:
    for i in range(x.size):
        x[i] = scalar.tanh(x[i])


@jit
def _sigmoid(x: Array) -> None:
    for i in range(x.size):
        x[i] = scalar.sigmoid(x[i])


@jit
def _logsigmoid(x: Array) -> None:
    for i in range(x.size):
        y = scalar.tail(x[i])
        x[i] = x[i] - y if x[i] < 0 else -y


@jit
def _relu(x: Array) -> None:
    for i in range(x.size):
        x[i] = np.float32(0) if x[i] < 0 else x[i]


@jit
def _softplus(x: Array, beta: float, threshold: float) -> None:
    for i in range(x.size):
        z = np.float64(x[i]) * beta
        y = scalar.tail32(z) if itemsize(x) == 4 else scalar.tail64(z)
        x[i] = x[i] if z > threshold else (y + z if z > 0.0 else y) / beta


@jit
def _elu(x: Array, alpha: float) -> None:
    for i in range(x.size):
        y = alpha * scalar.expm1(x[i])
        x[i] = y if x[i] < 0 else x[i]


@jit
def _sigmoid_grad(g: Array, y: Array) -> None:
    for i in range(g.size):
        s = np.float64(y[i])
        g[i] = g[i] * (s * (1.0 - s))


@jit
def _sigmoid_grad_x(g: Array, x: Array) -> None:
    for i in range(g.size):
        e = scalar.exp_wide(-abs(x[i]))
        g[i] = g[i] * (e / ((1.0 + e) * (1.0 + e)))


@jit
def _tanh_grad(g: Array, y: Array) -> None:
    for i in range(g.size):
        t = np.float64(y[i])
        g[i] = g[i] * ((1.0 - t) * (1.0 + t))


@jit
def _logsigmoid_grad(g: Array, x: Array) -> None:
    for i in range(g.size):
        e = scalar.exp_wide(-abs(x[i]))
        g[i] = g[i] * ((e if x[i] > 0 else 1.0) / (1.0 + e))


@jit
def _softplus_grad(g: Array, x: Array, beta: float, threshold: float) -> None:
    for i in range(g.size):
        z = np.float64(x[i]) * beta
        d = g[i] * scalar.sigmoid64(z)
        g[i] = g[i] if z > threshold else d


@jit
def _relu_grad(g: Array, y: Array) -> None:
    for i in range(g.size):
        g[i] = np.float32(0) if y[i] <= 0 else g[i]


@jit
def _elu_grad(g: Array, x: Array, alpha: float) -> None:
    for i in range(g.size):
        d = g[i] * (alpha * scalar.exp_wide(x[i]))  # not used where x > 0
        g[i] = d if x[i] <= 0 else g[i]


@jit
def _logaddexp(a: Array, b: Array) -> None:
    for i in range(a.size):
        x, y = np.float64(a[i]), np.float64(b[i])
        high = y if y > x else x
        d = 0.0 if x == y else x - y  # inf - inf
        a[i] = high + scalar.tail64(d)


@jit
def _logaddexp_grad(g: Array, a: Array, b: Array, gb: Array) -> None:
    for i in range(g.size):
        x, y = np.float64(a[i]), np.float64(b[i])
        d = 0.0 if x == y else x - y
        e = scalar.exp64(-abs(d))
        small, large = e / (1.0 + e), 1.0 / (1.0 + e)
        gb[i] = g[i] * (small if d > 0.0 else large)
        g[i] = g[i] * (large if d > 0.0 else small)


exp = _unary(_exp, "exp", "e**x.")
log = _unary(_log, "log", "The natural logarithm.")
log1p = _unary(_log1p, "log1p", "log(1 + x).")
expm1 = _unary(_expm1, "expm1", "e**x - 1.")
tanh = _unary(_tanh, "tanh", "The hyperbolic tangent.")
sigmoid = _unary(_sigmoid, "sigmoid", "1 / (1 + e**-x).")
logsigmoid = _unary(_logsigmoid, "logsigmoid", "log(sigmoid(x)).")
relu = _unary(_relu, "relu", "0 where x < 0, else x: NaN stays NaN, -0 stays -0.", LIGHT)

sigmoid_grad = _gradient(_sigmoid_grad, "sigmoid_grad", "g y (1 - y), from the output y.")
sigmoid_grad_x = _gradient(_sigmoid_grad_x, "sigmoid_grad_x", "g s(x) s(-x), from the input: exact in both tails.")
tanh_grad = _gradient(_tanh_grad, "tanh_grad", "g (1 - y**2), from the output y.")
logsigmoid_grad = _gradient(_logsigmoid_grad, "logsigmoid_grad", "g s(-x), from the input.")
relu_grad = _gradient(_relu_grad, "relu_grad", "0 where y <= 0, else g: g passes where y is NaN.", LIGHT)
elu_grad = _gradient(_elu_grad, "elu_grad", "g alpha e**x where x <= 0, else g, from the input.")


def softplus(x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """log(1 + e**(beta x)) / beta; x itself where beta x > threshold."""
    out = np.array(x, order="C")
    flat, scale, limit = out.ravel(), float(beta), softplus_limit(threshold)
    parallel(lambda a, b: _softplus(flat[a:b], scale, limit), flat.size, CHUNK)
    return out


def softplus_grad(g: Array, x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """g s(beta x), or g where beta x > threshold."""
    out = np.array(g, order="C")
    flat, saved, scale, limit = out.ravel(), np.asarray(x).ravel(), float(beta), softplus_limit(threshold)
    parallel(lambda a, b: _softplus_grad(flat[a:b], saved[a:b], scale, limit), flat.size, CHUNK)
    return out


def softplus_limit(threshold: float) -> float:
    """PyTorch's default only guards against an overflow that cannot happen here, and would cost float64 7 digits."""
    return np.inf if threshold >= 20.0 else float(threshold)


def elu(x: Array, alpha: float = 1.0) -> Array:
    """x where x > 0, else alpha (e**x - 1)."""
    out = np.array(x, order="C")
    flat = out.ravel()
    parallel(lambda a, b: _elu(flat[a:b], float(alpha)), flat.size, CHUNK)
    return out


def logaddexp(a: Array, b: Array) -> Array:
    """log(e**a + e**b), a and b of one shape."""
    out = np.array(a, order="C")
    flat, second = out.ravel(), np.asarray(b).ravel()
    parallel(lambda i, j: _logaddexp(flat[i:j], second[i:j]), flat.size, CHUNK)
    return out


def logaddexp_grad(g: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """(g s(a - b), g s(b - a))."""
    ga = np.array(g, order="C")
    gb = np.empty_like(ga)
    flat_a, flat_b, first, second = ga.ravel(), gb.ravel(), np.asarray(a).ravel(), np.asarray(b).ravel()
    parallel(lambda i, j: _logaddexp_grad(flat_a[i:j], first[i:j], second[i:j], flat_b[i:j]), flat_a.size, CHUNK)
    return ga, gb
