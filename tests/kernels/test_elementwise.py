from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from helpers import DTYPES, layouts, sample, size, special, worst

from tinygrad_loss import kernels


def softplus(x):
    return mp.log1p(mp.exp(x)) if x < 0 else x + mp.log1p(mp.exp(-x))


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


# name: truth in mpmath, where it is finite, largest error allowed in ULP of float64
UNARY = {
    "exp": (mp.exp, lambda x: abs(x) < 700, 1),
    "log": (mp.log, lambda x: x > 0, 1),
    "log1p": (mp.log1p, lambda x: x > -1, 1),
    "expm1": (mp.expm1, lambda x: x < 700, 1.5),
    "tanh": (mp.tanh, lambda x: x == x, 3),
    "sigmoid": (sigmoid, lambda x: abs(x) < 700, 2),
    "logsigmoid": (lambda x: -softplus(-x), lambda x: abs(x) < 700, 2),
    "softplus": (softplus, lambda x: abs(x) < 700, 2),
}
# the same as functions of float64 arrays, exact enough to judge float32; each with every special value right
NUMPY = {
    "exp": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "expm1": np.expm1,
    "tanh": np.tanh,
    "sigmoid": lambda x: np.where(x < 0, np.exp(-np.abs(x)), 1) / (1 + np.exp(-np.abs(x))),
    "logsigmoid": lambda x: np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "relu": lambda x: np.where(x < 0, 0, x),
    "elu": lambda x: np.where(x < 0, np.expm1(np.minimum(x, 0)), x),
}
FUNCTIONS = {name: getattr(kernels, name) for name in NUMPY} | {"elu": lambda x: kernels.elu(x, 1.0)}
# name: d(output)/d(saved) of a float64 array
GRADIENTS = {
    "sigmoid_grad": lambda y: y * (1 - y),
    "sigmoid_grad_x": lambda x: NUMPY["sigmoid"](x) * NUMPY["sigmoid"](-x),
    "tanh_grad": lambda y: (1 - y) * (1 + y),
    "logsigmoid_grad": lambda x: NUMPY["sigmoid"](-x),
    "softplus_grad": NUMPY["sigmoid"],
    "relu_grad": lambda y: np.where(y <= 0, 0.0, 1.0),
    "elu_grad": lambda x: np.where(x <= 0, np.exp(np.minimum(x, 0)), 1.0),
}
GRADIENT_FUNCTIONS = {name: getattr(kernels, name) for name in GRADIENTS} | {
    "elu_grad": lambda g, x: kernels.elu_grad(g, x, 1.0)
}


def errors(values, truth):
    """Errors in ULP of float32, infinite where NaN or infinity differ."""
    with np.errstate(all="ignore"):
        rounded = truth.astype(np.float32)
        ulp = np.maximum(np.ldexp(1.0, np.frexp(np.abs(truth))[1] - 24), 2.0**-149)
        error = np.abs(values.astype(np.float64) - truth) / ulp
    same = (values == rounded) | (np.isnan(values) & np.isnan(rounded))
    return np.where(same & ~np.isfinite(error), 0.0, np.where(np.isnan(error), np.inf, error))


@pytest.mark.parametrize("name", NUMPY)
def test_float32_is_within_one_ulp_and_right_at_special_values(name):
    x = np.concatenate([special(np.float32), sample(np.float32, size(20_000, 100))])
    with np.errstate(all="ignore"):
        truth = NUMPY[name](x.astype(np.float64))
    error = errors(FUNCTIONS[name](x), truth)
    assert error.max() <= 1, (x[error.argmax()], error.max())


@pytest.mark.parametrize("name", UNARY)
def test_float64_against_mpmath(name):
    function, finite, allowed = UNARY[name]
    x = sample(np.float64, size(250, 20), seed=1)
    x = x[[bool(finite(v)) for v in x]]
    error, where = worst(FUNCTIONS[name](x), x, function)
    assert error <= allowed, where


@pytest.mark.parametrize("name", NUMPY)
def test_float64_special_values(name):
    x = special(np.float64)
    with np.errstate(all="ignore"):
        truth = NUMPY[name](x)
    values = FUNCTIONS[name](x)
    np.testing.assert_allclose(values, truth, rtol=1e-15, atol=5e-324)
    if name != "sigmoid":
        np.testing.assert_array_equal(np.signbit(values[x == 0]), np.signbit(truth[x == 0]))


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_in_float32(name):
    saved = np.concatenate([special(np.float32), sample(np.float32, size(20_000, 100))])
    if name in ("sigmoid_grad", "tanh_grad"):
        saved = saved[np.abs(saved) <= 1]
    g = np.random.default_rng(0).normal(size=saved.shape).astype(np.float32)
    with np.errstate(all="ignore"):
        truth = g.astype(np.float64) * GRADIENTS[name](saved.astype(np.float64))
    if name == "relu_grad":
        truth = np.where(np.isnan(saved), g, truth)  # PyTorch's: NaN is not <= 0
    if name == "elu_grad":
        truth = np.where(np.isnan(saved), g, truth)
    error = errors(GRADIENT_FUNCTIONS[name](g, saved), truth)
    assert error.max() <= 1, (saved[error.argmax()], error.max())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NUMPY)
def test_every_layout_gives_the_same_fresh_array(name, dtype):
    matrix = np.random.default_rng(0).uniform(0.1, 3, (4, 5)).astype(dtype)
    for kind, x in layouts(matrix):
        before = x.copy()
        y = FUNCTIONS[name](x)
        assert type(y) is np.ndarray
        assert (y.dtype, y.shape) == (x.dtype, x.shape), kind
        assert y.flags.writeable
        assert y.flags.c_contiguous
        assert not np.shares_memory(x, y)
        np.testing.assert_array_equal(x, before)
        np.testing.assert_array_equal(y, FUNCTIONS[name](np.ascontiguousarray(before)), err_msg=kind)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NUMPY)
def test_scalars_and_empty_arrays(name, dtype):
    for x in (dtype(0.5), np.array(0.5, dtype), np.empty((0, 3), dtype), np.full((1, 1, 1, 1, 1, 1), 0.5, dtype)):
        y = FUNCTIONS[name](x)
        assert type(y) is np.ndarray
        assert (y.dtype, y.shape) == (x.dtype, x.shape)
        np.testing.assert_array_equal(y.ravel(), FUNCTIONS[name](np.full(y.size, 0.5, dtype)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_in_every_layout(name, dtype):
    rng = np.random.default_rng(0)
    saved, g = rng.uniform(-0.9, 0.9, (4, 5)).astype(dtype), rng.normal(size=(4, 5)).astype(dtype)
    for kind, x in layouts(saved):
        for other, incoming in layouts(g):
            y = GRADIENT_FUNCTIONS[name](incoming, x)
            assert type(y) is np.ndarray
            assert (y.dtype, y.shape) == (x.dtype, x.shape)
            with np.errstate(all="ignore"):
                truth = incoming * GRADIENTS[name](x.astype(np.float64))
            np.testing.assert_allclose(y, truth, rtol=1e-6, err_msg=f"{kind} {other}")
    one = GRADIENT_FUNCTIONS[name](dtype(2), dtype(0.25))
    assert (type(one), one.shape, one.dtype) == (np.ndarray, (), dtype)
    assert GRADIENT_FUNCTIONS[name](np.empty((0, 2), dtype), np.empty((0, 2), dtype)).shape == (0, 2)


@pytest.mark.parametrize("name", NUMPY)
def test_large_arrays_agree_with_small_ones_whatever_the_threads(name):
    x = sample(np.float32, size(40_000, 20), seed=2)
    expected = np.concatenate([FUNCTIONS[name](part) for part in np.array_split(x, 7)])
    before = kernels.get_num_threads()
    try:
        for count in (1, 2, 5):
            kernels.set_num_threads(count)
            np.testing.assert_array_equal(FUNCTIONS[name](x), expected)
            np.testing.assert_array_equal(FUNCTIONS[name](x[::-1])[::-1], expected)
    finally:
        kernels.set_num_threads(before)


def test_relu_keeps_nan_and_the_sign_of_zero():
    y = kernels.relu(np.array([np.nan, -0.0, 0.0, -1.0, 2.0], np.float32))
    np.testing.assert_array_equal(y, np.array([np.nan, -0.0, 0.0, 0.0, 2.0], np.float32))
    np.testing.assert_array_equal(np.signbit(y[1:3]), [True, False])


def test_softplus_beta_and_threshold():
    x = np.linspace(-30, 30, 61)
    np.testing.assert_allclose(
        kernels.softplus(x, 2.0, 5.0), np.where(2 * x > 5, x, np.logaddexp(0, 2 * x) / 2), rtol=1e-14
    )
    g = np.ones_like(x)
    np.testing.assert_allclose(
        kernels.softplus_grad(g, x, 2.0, 5.0), np.where(2 * x > 5, 1, 1 / (1 + np.exp(-2 * x))), rtol=1e-14
    )
    # PyTorch returns x here, 2e-9 too little: its default threshold is a guard that this formula does not need
    assert kernels.softplus(np.array([20.5]))[0] == 20.5 + np.log1p(np.exp(-20.5))


@pytest.mark.parametrize("dtype", DTYPES)
def test_logaddexp_and_its_gradient(dtype):
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(50, 4)) * 30).astype(dtype), (rng.normal(size=(50, 4)) * 30).astype(dtype)
    a[0], b[0] = [np.inf, -np.inf, 3.0, np.inf], [np.inf, -np.inf, 3.0, -np.inf]
    y = kernels.logaddexp(a, np.asfortranarray(b))
    np.testing.assert_allclose(y, np.logaddexp(a.astype(np.float64), b), rtol=2 * np.finfo(dtype).eps)
    g = rng.normal(size=a.shape).astype(dtype)
    ga, gb = kernels.logaddexp_grad(g, a, b)
    with np.errstate(all="ignore"):
        share = np.where(a == b, 0.5, NUMPY["sigmoid"](a.astype(np.float64) - b))
    np.testing.assert_allclose(ga, g * share, rtol=4 * np.finfo(dtype).eps, atol=np.finfo(dtype).smallest_subnormal)
    np.testing.assert_allclose(ga + gb, g, rtol=4 * np.finfo(dtype).eps)
    assert np.isnan(kernels.logaddexp(np.array([np.nan, 1.0]), np.array([1.0, np.nan]))).all()
