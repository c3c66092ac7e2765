"""Functions that neither NumPy nor our scalar library has: the error function."""

import math

import numpy as np

from .jit import Array, jit
from .threads import parallel

__all__ = ["erf"]

CHUNK = 8192


@jit
def _erf(x: Array) -> None:
    for i in range(x.size):
        x[i] = math.erf(x[i])  # in float64, also for float32


def erf(x: Array) -> Array:
    """2 / sqrt(pi) times the integral of e**(-t**2) from 0 to x."""
    out = np.array(x, order="C")
    flat = out.ravel()
    parallel(lambda a, b: _erf(flat[a:b]), flat.size, CHUNK)
    return out
