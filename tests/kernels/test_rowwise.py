from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from helpers import DTYPES, layouts, size, ulps

from tinygrad_loss import kernels


def adversarial_rows(dtype, count):
    """Rows of every scale: confident, with sum of exponentials near 1, nearly equal, huge, with -inf."""
    rng = np.random.default_rng(0)
    for trial in range(count):
        row = rng.normal(size=int(rng.integers(1, 14))) * 10.0 ** rng.uniform(-3, 3)
        match trial % 6:
            case 1:
                row[rng.integers(row.size)] += 80
            case 2:
                row -= row.max() + np.log(np.exp(row - row.max()).sum())
            case 3:
                row = row[0] + rng.normal(size=row.size) * 1e-6
            case 4:
                row = row * 1e30
            case 5:
                row[1:][rng.random(row.size - 1) < 0.5] = -np.inf
        yield row.astype(dtype)


def exact(row):
    """(logsumexp, softmax, log_softmax) in 60 digits."""
    numbers = [mp.mpf(float(v)) for v in row]
    m = max(numbers)
    whole = mp.log(mp.fsum(mp.exp(v - m) for v in numbers))
    logs = []
    for i, v in enumerate(numbers):
        others = mp.fsum(mp.exp(w - v) for j, w in enumerate(numbers) if j != i) if v == m else None
        logs.append(-mp.log1p(others) if v == m else v - m - whole)
    return m + whole, [mp.exp(v) for v in logs], logs


@pytest.mark.parametrize("dtype", DTYPES)
def test_against_mpmath(dtype):
    with mp.workdps(60):
        for row in adversarial_rows(dtype, size(96, 12)):
            lse, soft, logs = exact(row)
            y = mp.mpf(float(kernels.logsumexp(row, 0)))
            if dtype is np.float32:
                assert ulps(y, lse, dtype) <= 2, row
            else:  # where the sum of exponentials is near 1, the inputs' own size is the measure
                largest = max([abs(lse)] + [abs(mp.mpf(float(v))) for v in row if np.isfinite(v)])
                assert abs(y - lse) <= 2 * mp.ldexp(1, int(mp.frexp(largest)[1]) - 53), row
            p, logp = kernels.softmax(row, 0), kernels.log_softmax(row, 0)
            for i in range(row.size):
                assert ulps(p[i], soft[i], dtype) <= (2 if dtype is np.float32 else 3), (row, i)
                if np.isfinite(row[i]):
                    assert ulps(logp[i], logs[i], dtype) <= 2, (row, i)
                else:
                    assert logp[i] == -np.inf


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_confident_row_keeps_its_last_digit(dtype):
    x = np.array([[80.0, 0.0], [0.0, 80.0]], dtype)
    np.testing.assert_allclose(kernels.log_softmax(x, 1)[0, 0], -np.exp(-80.0), rtol=1e-6)
    y = kernels.log_softmax(x, 1)
    g = np.array([[-1, 0], [-1, 0]], dtype)
    expected = [[-np.exp(-80.0), np.exp(-80.0)], [-1, 1]]
    np.testing.assert_allclose(kernels.log_softmax_grad(g, y, 1), expected, rtol=1e-5)


def reference(x, dim):
    """(logsumexp, softmax, log_softmax) in float64 by NumPy."""
    m = x.max(dim, keepdims=True).astype(np.float64)
    e = np.exp(x - m)
    s = e.sum(dim, keepdims=True)
    return (m + np.log(s)).squeeze(dim), e / s, x - m - np.log(s)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_every_axis_and_its_gradients(dim, dtype):
    rng = np.random.default_rng(0)
    x, g = rng.normal(size=(3, 4, 5)).astype(dtype), rng.normal(size=(3, 4, 5)).astype(dtype)
    tolerance = {"rtol": 20 * np.finfo(dtype).eps, "atol": 4 * np.finfo(dtype).eps}
    lse, soft, logs = reference(x, dim)
    reduced = g.sum(dim)
    cases = [
        (kernels.logsumexp(x, dim), lse),
        (kernels.softmax(x, dim), soft),
        (kernels.log_softmax(x, dim), logs),
        (kernels.logsumexp_grad(reduced, x, lse.astype(dtype), dim), np.expand_dims(reduced, dim) * soft),
        (kernels.softmax_grad(g, soft.astype(dtype), dim), soft * (g - (g * soft).sum(dim, keepdims=True))),
        (kernels.log_softmax_grad(g, logs.astype(dtype), dim), g - soft * g.sum(dim, keepdims=True, dtype=np.float64)),
    ]
    for value, truth in cases:
        assert type(value) is np.ndarray
        assert (value.dtype, value.shape) == (dtype, truth.shape)
        assert value.flags.c_contiguous
        np.testing.assert_allclose(value, truth, **tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_layout(dtype):
    matrix = np.random.default_rng(0).normal(size=(4, 5)).astype(dtype)
    for kind, x in layouts(matrix):
        plain = np.ascontiguousarray(x)
        for dim in (0, 1):
            for f in (kernels.logsumexp, kernels.softmax, kernels.log_softmax):
                y = f(x, dim)
                np.testing.assert_array_equal(y, f(plain.copy(), dim), err_msg=kind)
                assert not np.shares_memory(x, y)
            for other, g in layouts(matrix):
                for f in (kernels.softmax_grad, kernels.log_softmax_grad):
                    np.testing.assert_array_equal(f(g, x, dim), f(g.copy(), plain, dim), err_msg=f"{kind} {other}")


@pytest.mark.parametrize("dtype", DTYPES)
def test_scalars_and_empty_arrays(dtype):
    x = np.array(3.0, dtype)
    for value, expected in (
        (kernels.logsumexp(x, 0), 3.0),
        (kernels.softmax(x, 0), 1.0),
        (kernels.log_softmax(x, -1), 0.0),
        (kernels.logsumexp(dtype(3), 0), 3.0),
        (kernels.logsumexp_grad(x, x, x, 0), 3.0),
        (kernels.softmax_grad(x, np.array(1, dtype), 0), 0.0),
        (kernels.log_softmax_grad(x, np.array(0, dtype), 0), 0.0),
    ):
        assert type(value) is np.ndarray
        assert (value.shape, value.dtype) == ((), dtype)
        assert value == expected
    assert kernels.softmax(np.empty((0, 3), dtype), 1).shape == (0, 3)
    assert kernels.softmax(np.empty((3, 0), dtype), 1).shape == (3, 0)
    assert kernels.logsumexp(np.empty((0, 3), dtype), 1).shape == (0,)
    np.testing.assert_array_equal(kernels.logsumexp(np.empty((2, 0), dtype), 1), np.full(2, -np.inf, dtype))
    assert kernels.logsumexp_grad(np.empty(0, dtype), np.empty((0, 3), dtype), np.empty(0, dtype), 1).shape == (0, 3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinities_and_nan(dtype):
    inf, nan = np.inf, np.nan
    x = np.array([[-inf, -inf], [inf, 0], [inf, -inf], [inf, inf], [nan, 0], [0, nan], [nan, inf], [-inf, nan]], dtype)
    x = np.concatenate([x, -np.abs(x[4:5])])  # NaN with its sign bit set
    lse = kernels.logsumexp(x, 1)
    np.testing.assert_array_equal(lse, np.array([-inf, inf, inf, inf, nan, nan, nan, nan, nan], dtype))
    gradient = kernels.logsumexp_grad(np.ones(9, dtype), x, lse, 1)
    np.testing.assert_array_equal(gradient[0], [0, 0])  # PyTorch: NaN
    # infinity over infinity, as in PyTorch
    assert np.isnan(kernels.softmax(x, 1)).all()
    assert np.isnan(kernels.log_softmax(x, 1)).all()
    half = np.array([[-inf, 1, 1]], dtype)
    np.testing.assert_allclose(kernels.softmax(half, 1), [[0, 0.5, 0.5]])


@pytest.mark.parametrize("shape", [(3, 70_000), (400, 300), (100_000, 3)])
def test_large_inputs_whatever_the_threads(shape):
    if size(1, 0) == 0:
        shape = (3, 5)
    x = (np.random.default_rng(0).normal(size=shape) * 5).astype(np.float32)
    lse, soft, logs = reference(x, 1)
    before = kernels.get_num_threads()
    try:
        results = []
        for count in (1, 3):
            kernels.set_num_threads(count)
            y = kernels.log_softmax(x, 1)
            results.append([kernels.logsumexp(x, 1), kernels.softmax(x, 1), y, kernels.log_softmax_grad(x, y, 1)])
    finally:
        kernels.set_num_threads(before)
    for one, many in zip(*results, strict=True):
        np.testing.assert_array_equal(one, many)
    np.testing.assert_allclose(results[0][0], lse, rtol=1e-6)
    np.testing.assert_allclose(results[0][1], soft, rtol=1e-6)
    np.testing.assert_allclose(results[0][2], logs, rtol=1e-6, atol=1e-15)
