"""The largest error of every float32 kernel of one argument, over all 2**32 inputs, in units in the last place.

python -m benchmarks.ulp [name ...]

The truth is the platform's float64 libm, whose own error of an ULP of float64 is 2e-9 of an ULP of float32.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from tinygrad_loss import kernels

CHUNK = 1 << 20
compiled = numba.njit(error_model="numpy", nogil=True)


@compiled
def _exp(x: float) -> float:
    return math.exp(x)


@compiled
def _log(x: float) -> float:
    return math.log(x) if x > 0 else (-np.inf if x == 0 else np.nan)


@compiled
def _log1p(x: float) -> float:
    return math.log1p(x) if x > -1 else (-np.inf if x == -1 else np.nan)


@compiled
def _expm1(x: float) -> float:
    return math.expm1(x)


@compiled
def _tanh(x: float) -> float:
    return math.tanh(x)


@compiled
def _sigmoid(x: float) -> float:
    e = math.exp(-abs(x))
    return (e if x < 0 else 1.0) / (1.0 + e)


@compiled
def _reversed_sigmoid(x: float) -> float:
    return _sigmoid(-x)


@compiled
def _sigmoid_slope(x: float) -> float:
    return _sigmoid(x) * _sigmoid(-x)


@compiled
def _softplus(x: float) -> float:
    return math.log1p(math.exp(-abs(x))) + (x if x > 0 else 0.0) if x == x else x


@compiled
def _logsigmoid(x: float) -> float:
    return -_softplus(-x)


@compiled
def _minus_reversed_sigmoid(x: float) -> float:
    return -_sigmoid(-x)


@compiled
def _reversed_softplus(x: float) -> float:
    return _softplus(-x)


@compiled
def _elu(x: float) -> float:
    return math.expm1(x) if x < 0 else x


@compiled
def _relu(x: float) -> float:
    return 0.0 if x < 0 else x


def _of_one(gradient: Callable[..., Any], *numbers: float) -> Callable[[Any], Any]:
    """A fused gradient as a function of the saved value alone: the incoming gradient is 1."""
    return lambda x: gradient(np.broadcast_to(np.float32(1), x.shape), x, *numbers)


def _of_label(t: float, gradient: bool) -> Callable[[Any], Any]:
    """Binary cross-entropy with logits, or its gradient, as a function of the logit alone."""

    def call(x: Any) -> Any:
        label = np.full_like(x, t)
        if gradient:
            return kernels.bce_logits_grad(np.ones((), x.dtype), x, label, None, None, "sum")
        return kernels.bce_logits(x, label, None, None, "none")

    return call


CASES: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "exp": (kernels.exp, _exp),
    "log": (kernels.log, _log),
    "log1p": (kernels.log1p, _log1p),
    "expm1": (kernels.expm1, _expm1),
    "tanh": (kernels.tanh, _tanh),
    "sigmoid": (kernels.sigmoid, _sigmoid),
    "sigmoid_grad_x": (_of_one(kernels.sigmoid_grad_x), _sigmoid_slope),
    "logsigmoid": (kernels.logsigmoid, _logsigmoid),
    "logsigmoid_grad": (_of_one(kernels.logsigmoid_grad), _reversed_sigmoid),
    "softplus": (kernels.softplus, _softplus),
    "softplus_grad": (_of_one(kernels.softplus_grad, 1.0, 20.0), _sigmoid),
    "bce_logits_0": (_of_label(0, False), _softplus),
    "bce_logits_0_grad": (_of_label(0, True), _sigmoid),
    "bce_logits_1": (_of_label(1, False), _reversed_softplus),
    "bce_logits_1_grad": (_of_label(1, True), _minus_reversed_sigmoid),
    "elu": (lambda x: kernels.elu(x, 1.0), _elu),
    "relu": (kernels.relu, _relu),
}


@compiled
def _reference(function: Any, x: Any, truth: Any) -> None:
    for i in range(x.size):
        truth[i] = function(np.float64(x[i]))


@compiled
def _worst(y: Any, truth: Any) -> tuple[float, int, int]:
    """(largest error in ULP of the true value, where, first index where NaN or infinity differ or -1)."""
    worst, where, wrong = 0.0, 0, -1
    for i in range(y.size):
        a, t = np.float64(y[i]), truth[i]
        rounded = np.float64(np.float32(t))
        if a == t:
            continue
        if t != t or a != a or abs(rounded) == np.inf or abs(a) == np.inf:
            # a value in the last half ULP below infinity may become either neighbour
            neighbour = abs(abs(t) - 3.4028235677973366e38) < 2.1e31
            if not (t != t and a != a) and a != rounded and not neighbour and wrong < 0:
                wrong = i
            continue
        ulp = math.ldexp(1.0, max(math.frexp(abs(t))[1] - 24, -149))
        error = abs(a - t) / ulp
        if error > worst:
            worst, where = error, i
    return worst, where, wrong


@dataclass
class Error:
    """The largest error found, at which input, and the first input whose NaN or infinity is not the true one."""

    ulp: float
    at: float
    wrong: float | None


def sweep(
    name: str, start: int = 0, stop: int = 1 << 32, step: int = 1, other: Callable[[Any], Any] | None = None
) -> Error:
    """Compare the kernel, or another function, with the truth on the float32 of bit patterns start, start + step, ..."""
    kernel, function = CASES[name]
    kernel = other or kernel
    result = Error(0.0, 0.0, None)
    truth = np.empty(CHUNK)
    for first in range(start, stop, CHUNK * step):
        patterns = np.arange(first, min(first + CHUNK * step, stop), step, dtype=np.uint32)
        x = patterns.view(np.float32)
        _reference(function, x, truth)
        worst, where, wrong = _worst(kernel(x), truth[: x.size])
        if worst > result.ulp:
            result.ulp, result.at = worst, float(x[where])
        if wrong >= 0 and result.wrong is None:
            result.wrong = float(x[wrong])
    return result


def line(name: str, error: Error) -> str:
    """One row of the table."""
    wrong = "" if error.wrong is None else f"   WRONG at {error.wrong!r}"
    return f"{name:<18}{error.ulp:8.4f} ULP at {error.at!r}{wrong}"


if __name__ == "__main__":
    for chosen in sys.argv[1:] or CASES:
        print(line(chosen, sweep(chosen)), flush=True)
