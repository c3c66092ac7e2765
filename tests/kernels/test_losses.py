from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from helpers import DTYPES, layouts, sample, size, ulps

from tinygrad_loss import kernels

REDUCTIONS = ("none", "mean", "sum")


def reduced(loss, reduction, divisor=None):
    """A float64 array of terms as the kernel should return it."""
    if reduction == "none":
        return loss
    return loss.sum() / (1 if reduction == "sum" else loss.size if divisor is None else divisor)


def incoming(shape, reduction, dtype):
    """A random gradient of the loss's shape."""
    return np.random.default_rng(9).normal(size=shape if reduction == "none" else ()).astype(dtype)


def close(value, truth, dtype, scale=8):
    assert type(value) is np.ndarray
    assert (value.dtype, value.shape) == (dtype, np.shape(truth))
    np.testing.assert_allclose(value, truth, rtol=scale * np.finfo(dtype).eps, atol=1e-300)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_bce(weighted, reduction, dtype):
    rng = np.random.default_rng(0)
    shape = (7, 100) if size(1, 0) else (3, 4)
    x, t = rng.random(shape).astype(dtype), rng.random(shape).astype(dtype)
    x[0, :2], t[0, :2] = [0, 1], [1, 0]
    w = rng.random(shape).astype(dtype) if weighted else None
    p, q = x.astype(np.float64), t.astype(np.float64)
    with np.errstate(divide="ignore"):
        logs = np.maximum(np.log(p), -100), np.maximum(np.log1p(-p), -100)
    terms = -(q * logs[0] + (1 - q) * logs[1]) * (1 if w is None else w)
    value, bad = kernels.bce(x, t, w, reduction)
    assert bad == -1
    close(value, reduced(terms, reduction), dtype)
    g = incoming(shape, reduction, dtype)
    slope = (p - q) / np.maximum(p * (1 - p), 1e-12) * (1 if w is None else w)
    close(kernels.bce_grad(g, x, t, w, reduction), slope * g / (x.size if reduction == "mean" else 1), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("wrong", [-1e-6, 1.0001, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 5, 700, 69_999])
def test_bce_finds_the_first_value_outside_its_range(place, wrong, dtype):
    x, t = np.full(size(70_000, 20), 0.5, dtype), np.full(size(70_000, 20), 0.5, dtype)
    place = min(place, x.size - 1)
    for array in (x, t):
        array[place] = wrong
        for reduction in REDUCTIONS:
            assert kernels.bce(x, t, None, reduction)[1] == place
        array[-1] = wrong
        assert kernels.bce(x, t, None, "mean")[1] == place
        array[[place, -1]] = 0.5


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("balanced", [False, True])
def test_bce_with_logits(balanced, weighted, reduction, dtype):
    rng = np.random.default_rng(0)
    shape = (7, 100) if size(1, 0) else (3, 4)
    x, t = (rng.normal(size=shape) * 5).astype(dtype), rng.integers(0, 2, shape).astype(dtype)
    w, pw = (rng.random(shape).astype(dtype) if given else None for given in (weighted, balanced))
    z, q = x.astype(np.float64), t.astype(np.float64)
    own, weight = q * (1 if pw is None else pw), 1 if w is None else w
    tail = np.log1p(np.exp(-np.abs(z)))
    terms = (own * (tail + np.maximum(-z, 0)) + (1 - q) * (tail + np.maximum(z, 0))) * weight
    close(kernels.bce_logits(x, t, w, pw, reduction), reduced(terms, reduction), dtype)
    g = incoming(shape, reduction, dtype)
    slope = ((1 - q) / (1 + np.exp(-z)) - own / (1 + np.exp(z))) * weight
    expected = slope * g / (x.size if reduction == "mean" else 1)
    close(kernels.bce_logits_grad(g, x, t, w, pw, reduction), expected, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_bce_with_logits_is_exact_in_both_tails(dtype):
    x = np.concatenate([sample(dtype, size(60, 6)), np.array([-100, -17, -10, 0, 10, 17, 100], dtype)])
    x = x[np.abs(x) < (87 if dtype is np.float32 else 700)]
    one = np.ones_like(x)
    with mp.workdps(40):
        for t in (0, 1):
            values = kernels.bce_logits(x, one * t, None, None, "none")
            slopes = kernels.bce_logits_grad(one, x, one * t, None, None, "none")
            # a sum of labels has loops of its own: here the sum of one, and the gradient of the sum of all
            alone = [kernels.bce_logits(x[i : i + 1], one[:1] * t, None, None, "sum") for i in range(x.size)]
            together = kernels.bce_logits_grad(one[:1].reshape(()), x, one * t, None, None, "sum")
            cases = [*zip(values, slopes, x, strict=True), *zip(alone, together, x, strict=True)]
            for v, s, z in cases:
                z = -mp.mpf(float(z)) if t else mp.mpf(float(z))
                assert ulps(v, mp.log1p(mp.exp(z)), dtype) <= (1 if dtype is np.float32 else 2), (z, t)
                assert ulps(s, (-1 if t else 1) / (1 + mp.exp(-z)), dtype) <= (1 if dtype is np.float32 else 2), (z, t)


def test_bce_with_logits_at_infinity():
    inf, nan = np.inf, np.nan
    x, t = np.array([inf, -inf, inf, -inf, nan, 0.0]), np.array([1.0, 0.0, 0.0, 1.0, 1.0, nan])
    np.testing.assert_array_equal(kernels.bce_logits(x, t, None, None, "none"), [0, 0, inf, inf, nan, nan])
    gradient = kernels.bce_logits_grad(np.ones(6), x, t, None, None, "none")
    np.testing.assert_array_equal(gradient, [0, 0, 1, -1, nan, nan])
    for z, y, value, slope in zip(x[:5, None], t[:5, None], [0, 0, inf, inf, nan], [0, 0, 1, -1, nan], strict=True):
        np.testing.assert_array_equal(kernels.bce_logits(z, y, None, None, "sum"), value)
        np.testing.assert_array_equal(kernels.bce_logits_grad(np.ones(()), z, y, None, None, "sum"), [slope])


def test_bce_with_logits_of_one_element_is_weighted_too():
    x, t, w = np.array([[2.0]]), np.array([[1.0]]), np.array([3.0])
    np.testing.assert_allclose(kernels.bce_logits(x, t, None, w, "mean"), 3 * np.log1p(np.exp(-2)))
    np.testing.assert_allclose(kernels.bce_logits_grad(np.ones(()), x, t, None, w, "mean"), [[-3 / (1 + np.exp(2))]])


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("shape", [(7, 5, 1), (3, 5, 4)])
def test_cross_entropy(shape, smoothing, weighted, reduction, dtype):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=shape) * 3).astype(dtype)
    n, c, length = shape
    target = rng.integers(0, c, (n, length))
    target[0, 0] = target[-1, -1] = -7
    w = rng.random(c).astype(dtype) if weighted else None
    weight = np.ones(c) if w is None else w.astype(np.float64)
    kept = target != -7
    index = np.where(kept, target, 0)
    p = softmax(x.astype(np.float64))
    hot = np.zeros(shape)
    np.put_along_axis(hot, index[:, None], 1.0, 1)
    q = (1 - smoothing) * weight[None, :, None] * hot + smoothing / c * weight[None, :, None]
    terms = np.where(kept, -(q * np.log(p)).sum(1), 0)
    divisor = weight[index][kept].sum()
    value, bad, saved = kernels.cross_entropy(x, target, w, -7, smoothing, reduction)
    assert bad == -1
    close(value, reduced(terms, reduction, divisor), dtype, 20)
    g = incoming((n, length), reduction, dtype)
    factor = np.broadcast_to(g / (divisor if reduction == "mean" else 1), (n, length)) * kept
    expected = (p * q.sum(1, keepdims=True) - q) * factor[:, None]
    gradient = kernels.cross_entropy_grad(g, x, target, w, -7, smoothing, reduction, saved)
    assert (gradient.dtype, gradient.shape) == (dtype, shape)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5 if dtype is np.float32 else 1e-12, atol=1e-16)


@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropy_against_mpmath(dtype):
    rng = np.random.default_rng(3)
    with mp.workdps(60):
        for trial in range(size(60, 6)):
            row = rng.normal(size=int(rng.integers(2, 9))) * 10.0 ** rng.uniform(-2, 2.3)
            if trial % 3 == 1:
                row[0] += 80
            row = row.astype(dtype)
            t = trial % 2 and int(rng.integers(row.size))
            target, x = np.array([[t]]), row[None, :, None]
            numbers = [mp.mpf(float(v)) for v in row]
            others = mp.fsum(mp.exp(v - numbers[t]) for j, v in enumerate(numbers) if j != t)
            value, _, saved = kernels.cross_entropy(x, target, None, -100, 0.0, "mean")
            assert ulps(value, mp.log1p(others), dtype) <= 2, (row, t)
            slopes = kernels.cross_entropy_grad(np.array(1, dtype), x, target, None, -100, 0.0, "mean", saved)[0, :, 0]
            for j, v in enumerate(numbers):
                truth = -others / (1 + others) if j == t else mp.exp(v - numbers[t]) / (1 + others)
                assert ulps(slopes[j], truth, dtype) <= (2 if dtype is np.float32 else 3), (row, t, j)


@pytest.mark.parametrize("place", [0, 3, 2999])
@pytest.mark.parametrize("wrong", [5, -1, 2**62, -(2**62)])
def test_targets_are_checked(wrong, place):
    rows = size(3000, 8)
    place = min(place, rows - 1)
    x = np.zeros((rows, 5, 1), np.float32)
    target = np.zeros((rows, 1), np.int64)
    target[[place, -1]] = wrong
    assert kernels.cross_entropy(x, target, None, -100, 0.0, "mean")[1] == place
    assert kernels.nll(x, target, None, -100, "mean")[1] == place
    long = np.ascontiguousarray(np.repeat(x, 9, axis=1))[:, :5]
    assert kernels.cross_entropy(long, target, None, -100, 0.1, "none")[1] == place
    assert kernels.cross_entropy(x, target, None, wrong, 0.0, "mean")[1] == -1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_nll(weighted, reduction, dtype):
    rng = np.random.default_rng(0)
    x, target = rng.normal(size=(4, 3, 5)).astype(dtype), rng.integers(0, 3, (4, 5))
    target[1, 1] = -100
    w = rng.random(3).astype(dtype) if weighted else None
    kept, index = target != -100, np.maximum(target, 0)
    weight = (np.ones(3) if w is None else w.astype(np.float64))[index] * kept
    terms = -weight * np.take_along_axis(x, index[:, None], 1)[:, 0]
    value, bad, divisor = kernels.nll(x, target, w, -100, reduction)
    assert bad == -1
    close(value, reduced(terms, reduction, weight.sum()), dtype)
    g = incoming((4, 5), reduction, dtype)
    expected = np.zeros(x.shape)
    np.put_along_axis(
        expected, index[:, None], (-weight * g / (weight.sum() if reduction == "mean" else 1))[:, None], 1
    )
    close(kernels.nll_grad(g, target, w, -100, divisor, x.shape), expected, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_to_average(dtype):
    empty = np.empty((0, 3), dtype)
    for kernel in (
        lambda r: kernels.bce(empty, empty, None, r)[0],
        lambda r: kernels.bce_logits(empty, empty, None, None, r),
    ):
        assert np.isnan(kernel("mean"))
        assert kernel("sum") == 0
        assert kernel("none").shape == (0, 3)
    g = np.array(1, dtype)
    assert kernels.bce_grad(g, empty, empty, None, "mean").shape == (0, 3)
    x, ignored = np.zeros((2, 3, 1), dtype), np.full((2, 1), -100)
    value, _, saved = kernels.cross_entropy(x, ignored, None, -100, 0.0, "mean")
    assert np.isnan(value)
    np.testing.assert_array_equal(
        kernels.cross_entropy_grad(g, x, ignored, None, -100, 0.0, "mean", saved), np.zeros_like(x)
    )
    assert np.isnan(kernels.nll(x, ignored, None, -100, "mean")[0])
    assert np.isnan(kernels.cross_entropy(x[:0], ignored[:0], None, -100, 0.0, "mean")[0])
    assert kernels.cross_entropy(x[:0], ignored[:0], None, -100, 0.0, "none")[0].shape == (0, 1)


def test_a_class_without_weight_or_probability_counts_nothing():
    x = np.array([[[0.0], [-np.inf], [1.0]]])
    value, _, saved = kernels.cross_entropy(x, np.array([[0]]), np.array([1.0, 0.0, 1.0]), -100, 0.3, "sum")
    assert np.isfinite(value)
    assert kernels.cross_entropy(x, np.array([[1]]), np.array([1.0, 0.0, 1.0]), -100, 0.0, "sum")[0] == 0
    assert kernels.cross_entropy(x, np.array([[1]]), None, -100, 0.0, "sum")[0] == np.inf
    g = kernels.cross_entropy_grad(
        np.array(1.0), x, np.array([[0]]), np.array([1.0, 0.0, 1.0]), -100, 0.3, "sum", saved
    )
    assert np.isfinite(g).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_layout(dtype):
    rng = np.random.default_rng(0)
    p, t = rng.random((4, 5)).astype(dtype), rng.random((4, 5)).astype(dtype)
    target = rng.integers(0, 5, (4, 1))
    for kind, x in layouts(p):
        for other, y in layouts(t):
            plain = np.ascontiguousarray(x).copy(), np.ascontiguousarray(y).copy()
            for f in (
                lambda a, b: kernels.bce(a, b, b, "none")[0],
                lambda a, b: kernels.bce_grad(b, a, b, None, "none"),
                lambda a, b: kernels.bce_logits(a, b, b, a, "none"),
                lambda a, b: kernels.bce_logits_grad(b, a, b, a, None, "none"),
            ):
                np.testing.assert_array_equal(f(x, y), f(*plain), err_msg=f"{kind} {other}")
        value, _, saved = kernels.cross_entropy(x[:, :, None], target, None, -100, 0.0, "mean")
        again, _, _ = kernels.cross_entropy(np.ascontiguousarray(x)[:, :, None].copy(), target, None, -100, 0.0, "mean")
        assert value == again
        g = kernels.cross_entropy_grad(np.array(1, dtype), x[:, :, None], target, None, -100, 0.0, "mean", saved)
        assert g.flags.c_contiguous


def test_reduced_losses_do_not_depend_on_the_threads():
    if size(1, 0) == 0:
        pytest.skip("interpreted kernels are too slow for arrays that are worth a thread")
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=200_000).astype(np.float32), rng.random(200_000).astype(np.float32)
    target, p = rng.integers(0, 50, (4000, 1)), kernels.sigmoid(x)
    before = kernels.get_num_threads()
    try:
        results = []
        for count in (1, 3):
            kernels.set_num_threads(count)
            results.append(
                [
                    kernels.bce(p, t, None, "mean")[0],
                    kernels.bce_logits(x, t, t, None, "mean"),
                    kernels.cross_entropy(x.reshape(4000, 50, 1), target, None, -100, 0.0, "mean")[0],
                ]
            )
    finally:
        kernels.set_num_threads(before)
    assert results[0] == results[1]
