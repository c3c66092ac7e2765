"""Sums, moments and batch normalization over the channels of (N, C, ...): everything but dimension 1 is one channel."""

import math
from collections.abc import Callable

import numpy as np

from .dense import plain_sum
from .jit import Array, jit, reassociating
from .threads import parallel

__all__ = ["batch_norm", "batch_norm_grad", "channel_sum", "moments"]

GRAIN = 262144  # elements in a chunk of channels; below, waking a thread costs more than it saves


@reassociating
def _products(a: Array, x: Array, mean: float) -> float:
    s = 0.0
    for i in range(a.size):
        s += a[i] * (x[i] - mean)
    return s


@reassociating
def _squares(x: Array, mean: float) -> float:
    s = 0.0
    for i in range(x.size):
        s += (x[i] - mean) * (x[i] - mean)
    return s


@jit
def _sums(x: Array, out: Array, first: int, last: int) -> None:
    for c in range(first, last):
        s = 0.0
        for n in range(x.shape[0]):
            s += plain_sum(x[n, c])
        out[c] = s


@jit
def _moments(x: Array, mean: Array, variance: Array, first: int, last: int) -> None:
    # Two passes: the mean of squares minus the square of the mean loses every digit where the mean is large.
    for c in range(first, last):
        s = 0.0
        for n in range(x.shape[0]):
            s += plain_sum(x[n, c])
        mean[c] = s / (x.shape[0] * x.shape[2])
        s = 0.0
        for n in range(x.shape[0]):
            s += _squares(x[n, c], mean[c])
        variance[c] = s / (x.shape[0] * x.shape[2])


@jit
def _scale(x: Array, mean: Array, scale: Array, shift: Array, out: Array, first: int, last: int) -> None:
    for n in range(x.shape[0]):
        for c in range(first, last):
            m, a, b = mean[c], scale[c], shift[c]
            row, result = x[n, c], out[n, c]
            for i in range(row.size):
                result[i] = (row[i] - m) * a + b


@jit
def _project(g: Array, x: Array, mean: Array, rstd: Array, scale: Array, out: Array, first: int, last: int) -> None:
    count = x.shape[0] * x.shape[2]
    for c in range(first, last):
        m, total, product = mean[c], 0.0, 0.0
        for n in range(x.shape[0]):
            total += plain_sum(g[n, c])
            product += _products(g[n, c], x[n, c], m)
        slope = product * rstd[c] * rstd[c] / count
        average, factor = total / count, rstd[c] * scale[c]
        for n in range(x.shape[0]):
            a, b, result = g[n, c], x[n, c], out[n, c]
            for i in range(a.size):
                result[i] = (a[i] - average - (b[i] - m) * slope) * factor


def _flat(x: Array) -> Array:
    """(N, C, ...) as (N, C, the rest), without holes."""
    return np.ascontiguousarray(x).reshape(*x.shape[:2], math.prod(x.shape[2:]))


def _over_channels(kernel: Callable[..., None], x: Array, *arrays: Array) -> None:
    grain = max(1, GRAIN * x.shape[1] // max(x.size, 1))
    parallel(lambda first, last: kernel(x, *arrays, first, last), x.shape[1], grain)


def channel_sum(x: Array) -> Array:
    """The sum of each channel, in float64 inside."""
    out = np.empty(x.shape[1], x.dtype)
    _over_channels(_sums, _flat(x), out)
    return out


def moments(x: Array) -> tuple[Array, Array]:
    """Mean and biased variance of each channel, in float64."""
    mean, variance = np.empty(x.shape[1]), np.empty(x.shape[1])
    if x.size:
        _over_channels(_moments, _flat(x), mean, variance)
    else:
        mean.fill(np.nan)
        variance.fill(np.nan)
    return mean, variance


def _wide(x: Array | None, size: int, default: float) -> Array:
    return np.full(size, default) if x is None else np.asarray(x, np.float64)


def batch_norm(x: Array, weight: Array | None, bias: Array | None, mean: Array, variance: Array, eps: float) -> Array:
    """(x - mean) / sqrt(variance + eps) * weight + bias."""
    size = x.shape[1]
    out = np.empty(x.shape, x.dtype)
    scale = _wide(weight, size, 1.0) / np.sqrt(_wide(variance, size, 1.0) + eps)
    _over_channels(_scale, _flat(x), _wide(mean, size, 0.0), scale, _wide(bias, size, 0.0), _flat(out))
    return out


def batch_norm_grad(g: Array, x: Array, weight: Array | None, eps: float) -> Array:
    """The gradient that reaches x through ``batch_norm`` with its own mean and variance."""
    size = x.shape[1]
    out = np.empty(x.shape, x.dtype)
    if not x.size:
        return out
    mean, variance = moments(x)
    rstd = 1 / np.sqrt(variance + eps)
    _over_channels(_project, _flat(g), _flat(x), mean, rstd, _wide(weight, size, 1.0), _flat(out))
    return out
