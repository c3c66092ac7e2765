"""Distances of numbers and divergences of distributions, as scalar functions and kernels made of them."""

import numpy as np

from . import scalar
from .jit import Array, inline, jit
from .pointwise import constant, gradient, slopes, total, value

__all__ = [
    "huber_loss", "huber_loss_grad", "kl_div", "kl_div_grad", "mse", "mse_grad", "smooth_l1", "smooth_l1_grad",
]  # fmt: skip

ONE = np.ones(1)
NO_WEIGHT = np.empty(0)


# --- squared error ------------------------------------------------------------------------------------------------


@inline
def square(x: float, t: float, _: float) -> float:
    """(x - t)**2."""
    d = np.float64(x) - t
    return d * d


@inline
def square_slope(x: float, t: float, _: float) -> float:
    """2 (x - t)."""
    return 2.0 * (np.float64(x) - t)


@jit
def _mse(x: Array, t: Array, out: Array) -> float:
    return total(square, x, t, ONE, NO_WEIGHT, out)


@jit
def _mse_grad(g: Array, factor: float, x: Array, t: Array, out: Array) -> None:
    slopes(square_slope, g, factor, x, t, ONE, NO_WEIGHT, out)


def mse(x: Array, t: Array, reduction: str) -> Array:
    """(x - t)**2."""
    return value(_mse, x, t, reduction)[0]


def mse_grad(g: Array, x: Array, t: Array, reduction: str) -> Array:
    """2 g (x - t)."""
    return gradient(_mse_grad, g, x, t, reduction)


# --- distances that grow more slowly ------------------------------------------------------------------------------


@inline
def smooth(x: float, t: float, beta: float) -> float:
    """d**2 / (2 beta) for d = |x - t| < beta, else d - beta / 2; |x - t| for beta = 0."""
    d = abs(np.float64(x) - t)
    return 0.5 * d * d / beta if d < beta else d - 0.5 * beta


@inline
def smooth_slope(x: float, t: float, beta: float) -> float:
    """(x - t) / beta, at most 1 in size; 0 where x = t."""
    d = np.float64(x) - t
    # NaN stays NaN on the parabola; a sign alone has the slope 0 there, as PyTorch's
    sign = np.copysign(1.0, d) if abs(d) > 0.0 else d if beta > 0.0 else 0.0
    return d / beta if abs(d) < beta else sign


@inline
def huber(x: float, t: float, delta: float) -> float:
    """d**2 / 2 for d = |x - t| < delta, else delta (d - delta / 2)."""
    d = abs(np.float64(x) - t)
    return 0.5 * d * d if d < delta else delta * (d - 0.5 * delta)


@inline
def huber_slope(x: float, t: float, delta: float) -> float:
    """x - t, at most delta in size."""
    d = np.float64(x) - t
    return -delta if d < -delta else delta if d > delta else d


@jit
def _smooth(x: Array, t: Array, beta: Array, out: Array) -> float:
    return total(smooth, x, t, beta, NO_WEIGHT, out)


@jit
def _smooth_grad(g: Array, factor: float, x: Array, t: Array, beta: Array, out: Array) -> None:
    slopes(smooth_slope, g, factor, x, t, beta, NO_WEIGHT, out)


@jit
def _huber(x: Array, t: Array, delta: Array, out: Array) -> float:
    return total(huber, x, t, delta, NO_WEIGHT, out)


@jit
def _huber_grad(g: Array, factor: float, x: Array, t: Array, delta: Array, out: Array) -> None:
    slopes(huber_slope, g, factor, x, t, delta, NO_WEIGHT, out)


def smooth_l1(x: Array, t: Array, beta: float, reduction: str) -> Array:
    """|x - t|, rounded off to a parabola within beta."""
    return value(_smooth, x, t, reduction, constant(beta))[0]


def smooth_l1_grad(g: Array, x: Array, t: Array, beta: float, reduction: str) -> Array:
    """g (x - t) / beta, at most g in size."""
    return gradient(_smooth_grad, g, x, t, reduction, constant(beta))


def huber_loss(x: Array, t: Array, delta: float, reduction: str) -> Array:
    """(x - t)**2 / 2, continued as a line from delta on."""
    return value(_huber, x, t, reduction, constant(delta))[0]


def huber_loss_grad(g: Array, x: Array, t: Array, delta: float, reduction: str) -> Array:
    """g (x - t), at most g delta in size."""
    return gradient(_huber_grad, g, x, t, reduction, constant(delta))


# --- Kullback-Leibler divergence ----------------------------------------------------------------------------------


@inline
def kl(x: float, t: float, _: float) -> float:
    """t (log t - x), 0 where t is 0; the target is a probability, x a log-probability."""
    q = np.float64(t)
    d = q * scalar.log_over(q, np.float64(x))
    return 0.0 if q == 0.0 else d


@inline
def kl_slope(x: float, t: float, _: float) -> float:
    """-t."""
    return -np.float64(t)


@inline
def kl_log(x: float, t: float, _: float) -> float:
    """e**t (t - x), 0 where t is -inf; the target is a log-probability too."""
    q = np.float64(t)
    d = scalar.exp64(q) * (q - x)
    return 0.0 if q == -np.inf else d


@inline
def kl_log_slope(x: float, t: float, _: float) -> float:
    """-e**t."""
    return -scalar.exp64(np.float64(t))


@jit
def _kl(x: Array, t: Array, out: Array) -> float:
    return total(kl, x, t, ONE, NO_WEIGHT, out)


@jit
def _kl_grad(g: Array, factor: float, x: Array, t: Array, out: Array) -> None:
    slopes(kl_slope, g, factor, x, t, ONE, NO_WEIGHT, out)


@jit
def _kl_log(x: Array, t: Array, out: Array) -> float:
    return total(kl_log, x, t, ONE, NO_WEIGHT, out)


@jit
def _kl_log_grad(g: Array, factor: float, x: Array, t: Array, out: Array) -> None:
    slopes(kl_log_slope, g, factor, x, t, ONE, NO_WEIGHT, out)


def kl_div(x: Array, t: Array, log_target: bool, reduction: str) -> Array:
    """t (log t - x), or e**t (t - x) where the target is given as its logarithm."""
    return value(_kl_log if log_target else _kl, x, t, reduction)[0]


def kl_div_grad(g: Array, t: Array, log_target: bool, reduction: str) -> Array:
    """-g t, or -g e**t."""
    return gradient(_kl_log_grad if log_target else _kl_grad, g, t, t, reduction)
