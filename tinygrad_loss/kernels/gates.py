"""The error function, and activations that weigh their input by a function of it: GELU, SiLU, Mish.

float32 is computed in float64 with as many terms as 24 bits need, without a branch, so that it is vectorized; float64
by the C library's erf and erfc.
"""

import math

import numpy as np

from . import scalar
from .elementwise import _gradient, _unary
from .jit import Array, Single, by_dtype, fma, inline, jit

__all__ = ["erf", "gelu", "gelu_grad", "mish", "silu", "silu_grad"]

# Chebyshev fits with mpmath: erf(x) / x in x**2 on [0, 1] (relative error 8e-13), and erfc(z) e**(z**2) / t in
# 2 t - 1 for t = 1 / (1 + z / 2) on (0, 1] (2e-10); the highest power first.
NEAR = (
    1.058938064107502e-06, -1.3909340021874599e-05, 0.0001195656256820733, -0.0008542637997087229,
    0.005223783477189248, -0.026866133235095593, 0.11283791308604582, -0.3761263888963531, 1.1283791670946768,
)  # fmt: skip
FAR = (
    1.1562763326840017e-06, 2.5851262348797273e-06, -1.2554078565314834e-05, -9.728992850089116e-06,
    7.324707326631622e-05, -2.2449633699957507e-05, -0.00033188814950468507, 0.00042071907109662014,
    0.0015453724331298485, -0.003240017102150852, -0.010755336719970848, 0.01822115452474287, 0.13973604642869117,
    0.3435803411742941, 0.5107913526210115,
)  # fmt: skip
HALF_ROOT, HALF_ROOT_LOST = math.sqrt(0.5), -4.833646656726457e-17  # and what rounding took from it
DENSITY = 1.0 / math.sqrt(2.0 * math.pi)


@inline
def near(x: float) -> float:
    """erf(x) for |x| <= 1."""
    s = x * x
    p = NEAR[0]
    for c in NEAR[1:]:
        p = p * s + c
    return p * x


@inline
def erfc_short(z: float) -> float:
    """erfc(z) for z >= 0, to 28 bits."""
    t = 1.0 / (1.0 + 0.5 * z)
    u = 2.0 * t - 1.0
    p = FAR[0]
    for c in FAR[1:]:
        p = p * u + c
    return p * t * scalar.exp_coarse(-z * z)


@inline
def erf32(x: Single) -> float:
    """The error function, to 28 bits."""
    v = np.float64(x)
    z = abs(v)
    tail = 1.0 - erfc_short(z)
    return near(v) if z < 1.0 else (tail if v > 0.0 else -tail)


@inline
def erf64(x: float) -> float:
    """The error function."""
    return math.erf(x)


@inline
def normal32(x: Single) -> tuple[float, float]:
    """The normal distribution function and density, to 28 bits in both tails."""
    v = np.float64(x)
    low = 0.5 * erfc_short(abs(v) * HALF_ROOT)
    return low if v < 0.0 else 1.0 - low, DENSITY * scalar.exp_coarse(-0.5 * v * v)


@inline
def normal64(x: float) -> tuple[float, float]:
    """The normal distribution function, exact in both tails, and density."""
    # erfc(z) falls like e**(-z**2): in the tail what rounding takes from z counts 2 z**2 times.
    z = -x * HALF_ROOT
    lost = fma(-x, HALF_ROOT, -z) - x * HALF_ROOT_LOST
    lost = lost if abs(x) < 40.0 else 0.0  # farther out the density is 0, and infinity minus infinity NaN
    density = DENSITY * scalar.exp64(-0.5 * x * x)
    return 0.5 * math.erfc(z) - math.sqrt(2.0) * density * lost, density


erf_of = by_dtype(erf32, erf64)
normal = by_dtype(normal32, normal64)


@jit
def _erf(x: Array) -> None:
    for i in range(x.size):
        x[i] = erf_of(x[i])


@jit
def _gelu(x: Array) -> None:
    for i in range(x.size):
        x[i] = x[i] * normal(x[i])[0]


@jit
def _gelu_grad(g: Array, x: Array) -> None:
    for i in range(g.size):
        cdf, pdf = normal(x[i])
        g[i] = g[i] * (cdf + x[i] * pdf)


@jit
def _silu(x: Array) -> None:
    for i in range(x.size):
        e = scalar.exp_wide(-abs(x[i]))
        x[i] = x[i] * ((e if x[i] < 0 else 1.0) / (1.0 + e))


@jit
def _silu_grad(g: Array, x: Array) -> None:
    for i in range(g.size):
        e = scalar.exp_wide(-abs(x[i]))
        low, high = e / (1.0 + e), 1.0 / (1.0 + e)
        s = low if x[i] < 0 else high
        rest = high if x[i] < 0 else low
        g[i] = g[i] * (s * (1.0 + x[i] * rest))


@jit
def _mish(x: Array) -> None:
    for i in range(x.size):
        e = scalar.exp_wide(-abs(x[i]))
        n = e * (e + 2.0) if x[i] < 0 else 1.0 + 2.0 * e
        x[i] = x[i] * (n / (n + (2.0 if x[i] < 0 else 2.0 * e * e)))


erf = _unary(_erf, "erf", "2 / sqrt(pi) times the integral of e**-t**2 from 0 to x.")
gelu = _unary(_gelu, "gelu", "x times the normal distribution function of x.")
silu = _unary(_silu, "silu", "x sigmoid(x).")
mish = _unary(_mish, "mish", "x tanh(softplus(x)).")
gelu_grad = _gradient(_gelu_grad, "gelu_grad", "g times the slope of gelu at x.")
silu_grad = _gradient(_silu_grad, "silu_grad", "g times the slope of silu at x.")
