"""The kernels of convolution and pooling against their definitions in NumPy, over shapes that hypothesis draws."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tinygrad_loss as tg
from tinygrad_loss.kernels import conv as kernels
from tinygrad_loss.kernels import pool as pool_kernels
from tinygrad_loss.kernels import set_num_threads, vectors
from tinygrad_loss.ops import conv_rows, pool_rows

F = tg.nn.functional


@st.composite
def geometries(draw):
    """Shapes and parameters of a convolution that has an output."""
    dims = draw(st.integers(1, 2))

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(dims))

    kernel, stride, dilation = each(1, 4), each(1, 3), each(1, 3)
    padding = tuple((draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in range(dims))
    size = tuple(
        max(1, d * (k - 1) + 1 - sum(p)) + draw(st.integers(0, 9 if dims == 2 else 99))  # several tiles wide
        for d, k, p in zip(dilation, kernel, padding, strict=True)
    )
    groups, inputs, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 9))
    batch = draw(st.integers(1, 3))
    return (
        (batch, groups * inputs, *size),
        (groups * outputs, inputs, *kernel),
        {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups},
    )


@settings(max_examples=60)
@given(geometries(), st.sampled_from([np.float32, np.float64]), st.integers(0, 2**31))
def test_convolution_is_its_definition(geometry, dtype, seed):
    x_shape, weight_shape, params = geometry
    rng = np.random.default_rng(seed)
    x, weight = rng.standard_normal(x_shape).astype(dtype), rng.standard_normal(weight_shape).astype(dtype)
    bias = rng.standard_normal(weight_shape[0]).astype(dtype)
    tolerance = {"rtol": 1e-4, "atol": 1e-4} if dtype is np.float32 else {"rtol": 1e-10, "atol": 1e-11}
    y = kernels.conv(x, weight, bias, **params)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, conv_rows.conv_in_numpy(x, weight, bias, **params), **tolerance)
    g, shift = rng.standard_normal(y.shape).astype(dtype), rng.standard_normal(x_shape[1]).astype(dtype)
    np.testing.assert_allclose(
        kernels.conv_transpose(g, weight, shift, size=x_shape[2:], **params),
        conv_rows.conv_transpose_in_numpy(g, weight, shift, size=x_shape[2:], **params),
        **tolerance,
    )
    np.testing.assert_allclose(
        kernels.conv_weight_grad(g, x, kernel=weight_shape[2:], **params),
        conv_rows.conv_weight_grad_in_numpy(g, x, kernel=weight_shape[2:], **params),
        **tolerance,
    )


@st.composite
def windows(draw):
    dims = draw(st.integers(1, 2))
    size = tuple(draw(st.integers(1, 9)) for _ in range(dims))
    if draw(st.booleans()):  # the usual ones, which have a kernel of their own
        return size, pool_kernels.Windows(tuple(range(i, i + 2) for i in range(0, n - 1, 2)) for n in size)
    return size, pool_kernels.Windows(
        tuple(
            range(start, draw(st.integers(start + 1, n)), draw(st.integers(1, 3)))
            for start in draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=5))
        )
        for n in size
    )


@settings(max_examples=60)
@given(windows(), st.integers(0, 2**31))
def test_pooling_is_its_definition(drawn, seed):
    size, found = drawn
    assume(all(found))
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 4, (2, 3, *size)).astype(np.float32)  # ties: of equal elements the first counts
    y = pool_kernels.maximum(x, found)
    np.testing.assert_array_equal(y, pool_rows.max_pool_in_numpy(x, found))
    np.testing.assert_array_equal(pool_kernels.max_indices(x, found), pool_rows.max_pool_indices_in_numpy(x, found))
    g = rng.integers(-8, 8, y.shape).astype(np.float32)
    np.testing.assert_array_equal(pool_kernels.max_grad(g, x, found), pool_rows.max_pool_grad_in_numpy(g, x, found))
    divisors = tuple(tuple(2.0**i for i in range(len(w))) for w in found)
    np.testing.assert_allclose(
        pool_kernels.average(x, found, divisors), pool_rows.avg_pool_in_numpy(x, found, divisors), rtol=1e-6
    )
    np.testing.assert_allclose(
        pool_kernels.average_grad(g, size, found, divisors),
        pool_rows.avg_pool_grad_in_numpy(g, size, found, divisors),
        rtol=1e-5, atol=1e-5,
    )  # fmt: skip


def test_max_pool_lets_the_last_nan_win():
    x = tg.tensor([[[1.0, np.nan, 2.0, np.nan, 3.0, 0.0]]], requires_grad=True)
    y, index = F.max_pool1d(x, 3, return_indices=True)
    assert np.isnan(y.detach().numpy()).all()
    assert index.tolist() == [[[1, 3]]]
    y, index = F.max_pool1d(x, 6, return_indices=True)
    assert index.item() == 3
    y.backward(tg.ones_like(y))
    assert x.grad.tolist() == [[[0, 0, 0, 1, 0, 0]]]


@pytest.mark.parametrize("place", range(4))
def test_max_pool_of_a_square_finds_what_is_largest_wherever_it_is(place):
    for value, rest in ((np.nan, np.inf), (np.inf, 0.0), (-1.0, -np.inf)):
        x = np.full((1, 2, 3, 5), rest, np.float32)
        x[0, 1, place // 2, 2 + place % 2] = value
        expected = np.full((1, 2, 1, 2), rest)
        expected[0, 1, 0, 1] = value
        np.testing.assert_array_equal(F.max_pool2d(tg.tensor(x), 2).numpy(), expected)
    x = np.full((1, 1, 2, 2), -(2**63), np.int64)
    x[0, 0, place // 2, place % 2] = 2**62 + 1
    assert F.max_pool2d(tg.tensor(x), 2).item() == 2**62 + 1


def test_max_pool_of_minus_infinity_stays_inside():
    x = tg.full((1, 1, 2, 2), -np.inf)
    y, index = F.max_pool2d(x, 2, padding=1, stride=2, return_indices=True)
    assert (y.numpy() == -np.inf).all()
    assert index.flatten().tolist() == [0, 1, 2, 3]


def test_max_pool_gives_the_first_of_equals_the_gradient():
    x = tg.ones(1, 1, 2, 4, requires_grad=True)
    F.max_pool2d(x, 2).sum().backward()
    assert x.grad.tolist() == [[[[1, 0, 1, 0], [0, 0, 0, 0]]]]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_stays_where_a_kernel_sees_it(value):
    x = np.zeros((1, 1, 6, 11), np.float32)
    x[0, 0, 0, 10] = value  # beside the end of a row, where vectors reach over
    weight, one, none = np.ones((1, 1, 2, 2), np.float32), (1, 1), ((0, 0), (0, 0))
    y = kernels.conv(x, weight, None, one, none, one, 1)
    expected = np.zeros((5, 10), bool)
    expected[0, 9] = True
    np.testing.assert_array_equal(~np.isfinite(y[0, 0]), expected)
    g = kernels.conv_weight_grad(np.ones_like(y), x, (2, 2), one, none, one, 1)
    np.testing.assert_array_equal(~np.isfinite(g[0, 0]), [[False, True], [False, False]])


def test_results_do_not_depend_on_the_number_of_threads():
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((37, 3, 20, 20)).astype(np.float32), np.ones((6, 3, 5, 5), np.float32)
    one, none = (1, 1), ((0, 0), (0, 0))
    before = tg.kernels.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            set_num_threads(threads)
            y = kernels.conv(x, weight, None, one, none, one, 1)
            back = kernels.conv_transpose(y, weight, None, (20, 20), one, none, one, 1)
            results.append((y, back, kernels.conv_weight_grad(y, x, (5, 5), one, none, one, 1)))
    finally:
        set_num_threads(before)
    for found in results[1:]:
        for array, first in zip(found, results[0], strict=True):
            np.testing.assert_array_equal(array, first)


def test_weight_gradient_of_a_large_batch_keeps_its_digits():
    rng = np.random.default_rng(0)
    x, g = rng.random((256, 1, 30, 30)).astype(np.float32), rng.random((256, 1, 28, 28)).astype(np.float32)
    one, none = (1, 1), ((0, 0), (0, 0))
    got = kernels.conv_weight_grad(g, x, (3, 3), one, none, one, 1)
    exact = conv_rows.conv_weight_grad_in_numpy(g.astype(float), x.astype(float), (3, 3), one, none, one, 1)
    np.testing.assert_allclose(got, exact, rtol=1e-6)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 31])
def test_move_copies_exactly(count):
    source, target = np.arange(1.0, 41.0, dtype=np.float32), np.zeros(40, np.float32)
    vectors.move(target, 4, source, 2, count)
    expected = np.zeros(40)
    expected[4 : 4 + count] = source[2 : 2 + count]
    np.testing.assert_array_equal(target, expected)
