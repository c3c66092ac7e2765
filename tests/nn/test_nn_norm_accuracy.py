"""Normalization of rows whose elements are large and close together, against exact rational arithmetic."""

import math
from fractions import Fraction

import numpy as np
import pytest

import tinygrad_loss as tg
from tinygrad_loss.nn import functional as F


def exact(row, g, eps, center):
    """Value and gradient in rationals; the one square root to 40 digits."""
    n = len(row)
    xs, gs = [Fraction(float(v)) for v in row], [Fraction(float(v)) for v in g]
    mean = sum(xs) / n if center else Fraction(0)
    c = [x - mean for x in xs]
    variance = sum(v * v for v in c) / n + Fraction(eps)
    scale = 1 / Fraction(math.isqrt(int(variance * 10**80)), 10**40)
    slope = sum(a * b for a, b in zip(gs, c, strict=True)) * scale * scale / n
    gm = sum(gs) / n if center else Fraction(0)
    return [float(v * scale) for v in c], [float((a - gm - b * slope) * scale) for a, b in zip(gs, c, strict=True)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 1.0, 1e4, 1e6])
@pytest.mark.parametrize("center", [True, False])
def test_rows_far_from_zero(dtype, offset, center, rng):
    spread = float(np.spacing(dtype(max(offset, 1)))) * 100  # 100 steps of the dtype
    x = (offset + spread * rng.standard_normal((4, 33))).astype(dtype)
    g = rng.standard_normal(x.shape).astype(dtype)
    eps = 0.01 * spread**2 if center else 0.0
    t = tg.from_numpy(x).requires_grad_()
    y = F.layer_norm(t, (33,), eps=eps) if center else F.rms_norm(t, (33,), eps=eps)
    y.backward(tg.from_numpy(g))
    for r in range(len(x)):
        value, gradient = exact(x[r], g[r], eps, center)
        np.testing.assert_allclose(y._array[r], value, rtol=4 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)
        # the gradient is a difference of terms as large as g / standard deviation
        largest = np.abs(g[r]).max() / (spread if center else max(offset, spread))
        np.testing.assert_allclose(t.grad._array[r], gradient, rtol=0, atol=16 * np.finfo(dtype).eps * largest)
