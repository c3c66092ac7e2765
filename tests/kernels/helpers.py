"""Inputs that a kernel must survive, and errors measured in units in the last place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import mpmath as mp
import numpy as np

from tinygrad_loss.kernels.jit import JIT_DISABLED

DTYPES = (np.float32, np.float64)


def size(compiled: int, interpreted: int) -> int:
    """How many inputs: an interpreted kernel is a thousand times slower."""
    return interpreted if JIT_DISABLED else compiled


def special(dtype: Any) -> np.ndarray:
    """Zeros, subnormals, infinities, NaN, neighbours of 0 and 1, both ends of every overflow."""
    info = np.finfo(dtype)
    positive = [
        0.0, info.smallest_subnormal, 3 * info.smallest_subnormal, info.smallest_normal, info.eps, info.eps / 2,
        1e-5, 0.1, 0.5, 1 - info.epsneg, 1.0, 1 + info.eps, 2.0, 16.6, 17.0, 20.0, 37.0, 87.3, 88.0, 88.72, 88.73,
        89.0, 103.0, 103.97, 104.0, 150.0, 708.3, 709.7, 709.79, 744.0, 745.1, 745.2, 1e4, info.max, np.inf,
    ]  # fmt: skip
    with np.errstate(over="ignore"):
        values = np.array(positive, dtype)
    return np.concatenate([values, -values, np.array([np.nan], dtype)])


def sample(dtype: Any, count: int, seed: int = 0) -> np.ndarray:
    """Values of every magnitude, dense where the functions bend."""
    rng = np.random.default_rng(seed)
    parts = [rng.normal(size=count) * scale for scale in (0.1, 1.0, 10.0, 80.0)]
    parts.append(rng.choice([-1, 1], count) * 10.0 ** rng.uniform(-40, 3, count))
    return np.concatenate(parts).astype(dtype)


def layouts(x: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """One matrix in every form in which an array may come."""
    yield "C", np.ascontiguousarray(x)
    yield "F", np.asfortranarray(x)
    yield "transposed", np.ascontiguousarray(x.T).T
    yield "strided", np.repeat(np.repeat(x, 2, axis=0), 3, axis=1)[::2, ::3]
    yield "reversed", np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1]
    frozen = x.copy()
    frozen.flags.writeable = False
    yield "read-only", frozen
    yield "broadcast", np.broadcast_to(x[:1], x.shape)


def ulps(value: Any, truth: Any, dtype: Any) -> float:
    """The error of one finite number in ULP of the true one (an mpf)."""
    bits, lowest = (24, -149) if dtype == np.float32 else (53, -1074)
    exponent = max(int(mp.frexp(truth)[1]) - bits, lowest) if truth else lowest
    return float(abs(mp.mpf(value if isinstance(value, mp.mpf) else float(value)) - truth) / mp.ldexp(1, exponent))


def worst(values: np.ndarray, inputs: np.ndarray, function: Callable[[Any], Any]) -> tuple[float, float]:
    """(largest error in ULP, its input) of values = function(inputs), in 40 digits."""
    found = (0.0, 0.0)
    with mp.workdps(40):
        for y, x in zip(values, inputs, strict=True):
            found = max(found, (ulps(y, function(mp.mpf(float(x))), values.dtype), float(x)))
    return found
