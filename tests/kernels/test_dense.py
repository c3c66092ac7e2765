from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import DTYPES, layouts, size

from tinygrad_loss import kernels


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", [False, True])
def test_linear(bias, dtype):
    rng = np.random.default_rng(0)
    matrix, weight = rng.normal(size=(4, 5)).astype(dtype), rng.normal(size=(3, 5)).astype(dtype)
    b = rng.normal(size=3).astype(dtype) if bias else None
    truth = matrix.astype(np.float64) @ weight.T.astype(np.float64) + (0 if b is None else b)
    for kind, w in layouts(weight):
        if kind == "broadcast":
            continue
        y = kernels.linear(matrix, w, b)
        assert (type(y), y.dtype, y.flags.c_contiguous) == (np.ndarray, dtype, True)
        np.testing.assert_allclose(y, truth, rtol=1e-5, err_msg=kind)
        np.testing.assert_allclose(kernels.linear(np.asfortranarray(matrix)[::-1], w, b), truth[::-1], rtol=1e-5)
    assert kernels.linear(matrix[:0], weight, b).shape == (0, 3)
    np.testing.assert_array_equal(
        kernels.linear(matrix[:, :0], weight[:, :0], b), np.tile(0 if b is None else b, (4, 1)) * np.ones((4, 3))
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_column_sum(dtype):
    matrix = np.random.default_rng(0).normal(size=(300, 7)).astype(dtype)
    for kind, g in layouts(matrix):
        y = kernels.column_sum(g)
        truth = [math.fsum(map(float, column)) for column in g.T]
        np.testing.assert_allclose(
            y, truth, rtol=(1 if dtype is np.float32 else 16) * np.finfo(dtype).eps, atol=1e-13, err_msg=kind
        )
        assert (y.dtype, y.shape) == (dtype, (7,))
    np.testing.assert_array_equal(kernels.column_sum(np.empty((0, 3), dtype)), np.zeros(3, dtype))
    np.testing.assert_array_equal(kernels.column_sum(np.array([[np.inf, np.nan], [1, 1]], dtype)), [np.inf, np.nan])


@pytest.mark.parametrize("dtype", DTYPES)
def test_sum_of_every_layout(dtype):
    matrix = np.random.default_rng(0).normal(size=(30, 40)).astype(dtype)
    for kind, x in layouts(matrix):
        y = kernels.sum_(x)
        assert (type(y), y.shape, y.dtype) == (np.ndarray, (), dtype)
        truth = math.fsum(map(float, x.ravel()))
        np.testing.assert_allclose(y, truth, rtol=2 * np.finfo(dtype).eps, err_msg=kind)
    assert kernels.sum_(dtype(3)) == 3
    assert kernels.sum_(np.empty(0, dtype)) == 0
    assert kernels.sum_(np.array([np.inf, 1], dtype)) == np.inf
    assert np.isnan(kernels.sum_(np.array([np.inf, -np.inf], dtype)))


def test_the_mean_of_equal_losses_is_that_loss():
    count = size(10**7, 1000)
    for value in (np.float32(0.1), np.float32(0.7361)):
        x = np.full(count, value, np.float32)
        assert abs(kernels.sum_(x) / np.float32(count) - value) <= np.spacing(value)
    np.testing.assert_allclose(kernels.sum_(np.full(count, 0.1)) / count, 0.1, rtol=1e-14)


def test_a_sum_does_not_depend_on_the_threads():
    x = np.random.default_rng(0).normal(size=size(500_001, 101)).astype(np.float32)
    before = kernels.get_num_threads()
    try:
        sums = set()
        for count in (1, 2, 4):
            kernels.set_num_threads(count)
            sums.add(float(kernels.sum_(x)))
    finally:
        kernels.set_num_threads(before)
    assert len(sums) == 1
