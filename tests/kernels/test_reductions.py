"""Sums, variances and norms over axes: the last block, what blocks lose, what squares would lose, every kind of axis."""

import math

import numpy as np
import pytest

from tinygrad_loss.kernels import reductions

AXES = [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)]
SHAPE = (2, 129, 3)  # two blocks of 64 rows, and one row more


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dims", AXES)
def test_axes(rng, dims, keepdim):
    for x in (rng.normal(size=SHAPE), rng.normal(size=SHAPE[::-1]).T, rng.normal(size=(4, 129, 3))[::2]):
        np.testing.assert_allclose(reductions.sum_over(x, dims, keepdim), x.sum(dims, keepdims=keepdim), rtol=1e-12)
        length = np.sqrt((x * x).sum(dims, keepdims=keepdim))
        np.testing.assert_allclose(reductions.norm(x, dims, keepdim), length, rtol=1e-13)
        for correction in (0.0, 1.0, 0.5):
            n = math.prod(x.shape[d] for d in dims)
            spread = x.var(dims, keepdims=keepdim) * n / (n - correction)
            np.testing.assert_allclose(reductions.variance(x, dims, keepdim, correction), spread, rtol=1e-12)


@pytest.mark.parametrize("dims", [(0, 2), (1, 3), (0, 1, 3)])
def test_axes_that_do_not_lie_side_by_side(rng, dims):
    x = rng.normal(size=(2, 3, 4, 5))
    np.testing.assert_allclose(reductions.sum_over(x, dims, False), x.sum(dims), rtol=1e-12)


def test_a_sum_keeps_what_its_blocks_lose():
    x = np.ones((3, 640, 2))
    x[:, 0], x[:, 639] = 2.0**60, -(2.0**60)
    x[:, 1:64] = x[:, 576:639] = 0.0
    x[1] *= 2.0  # nothing of one sum may reach the next
    for cube, dims in ((x, (1,)), (np.ascontiguousarray(x.transpose(0, 2, 1)), (2,))):
        np.testing.assert_array_equal(reductions.sum_over(cube, dims, False).T, [[512.0, 1024.0, 512.0]] * 2)
    for value in (math.inf, -math.inf):
        x[0, 5] = value
        assert (reductions.sum_over(x, (1,), False)[0] == value).all()


def test_a_variance_loses_nothing_to_its_mean():
    x = np.array([[1e8 + 1, 1e8 + 2, 1e8 + 4], [0.1, 0.1, 0.1]])
    np.testing.assert_allclose(reductions.variance(x, (1,), False, 1.0)[0], 7 / 3, rtol=1e-14)
    assert reductions.variance(x, (1,), False, 1.0)[1] < 1e-33
    far = np.array([1e16, 1e16 + 2, 1e16 + 6])  # no float64 is their mean
    np.testing.assert_allclose(reductions.variance(far, (0,), False, 1.0), 28 / 3, rtol=1e-14)
    with np.errstate(all="ignore"):
        assert np.isnan(reductions.variance(x[:, :1], (1,), False, 2.0)).all()  # 0 / 0
        assert np.isposinf(reductions.variance(x, (1,), False, 4.0)[0])  # the divisor is at least 0


@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1e-160, 1e152, 1e200, 3e307])
def test_a_norm_neither_overflows_nor_vanishes(scale):
    x = np.array([[3.0, -4.0], [-4.0, -3.0], [0.0, -5.0]]) * scale
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(
            reductions.norm(x, (1,), False), [5 * scale] * 3, rtol=1e-15 if scale > 1e-300 else 1e-3
        )
        assert reductions.norm(np.array([[math.inf, 1.0], [1.0, math.nan], [0.0, 0.0]]), (1,), False)[0] == math.inf
        assert math.isnan(reductions.norm(np.array([1.0, math.nan]), (0,), False))
