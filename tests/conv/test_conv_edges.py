"""Convolution and its kin where there is little or nothing: inputs of one element, empty batches, windows of padding."""

import numpy as np
import pytest

import tinygrad_loss as tg
from tinygrad_loss.kernels import conv as kernels
from tinygrad_loss.ops import conv_rows

F = tg.nn.functional


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "groups"),
    [
        ((1,), (5,), (2,), 3, 3),
        ((2, 1), (2, 3), (1, 3), 1, 3),
        ((1, 1), (3, 3), (2, 2), 1, 1),
        ((1,), (4,), (3,), 2, 1),
    ],
)
def test_gradient_of_a_single_element_under_a_stride(size, kernel, stride, padding, groups):
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((2 * groups, 2, *kernel))
    params = {
        "stride": stride,
        "padding": ((padding, padding),) * len(size),
        "dilation": (1,) * len(size),
        "groups": groups,
    }
    x = rng.standard_normal((2, 2 * groups, *size))
    y = kernels.conv(x, weight, None, **params)
    g = rng.standard_normal(y.shape)
    np.testing.assert_allclose(
        kernels.conv_transpose(g, weight, None, size=size, **params),
        conv_rows.conv_transpose_in_numpy(g, weight, None, size=size, **params),
        rtol=1e-12,
        atol=1e-12,
    )


@pytest.mark.parametrize("stride", [1, 2])
def test_an_infinite_weight_leaves_alone_what_it_does_not_reach(stride):
    x, weight = np.ones((2, 3, 3, 5)), np.arange(24.0).reshape(3, 2, 2, 2)
    weight[1, 0, 0, 1] = np.inf
    params = {"stride": (stride,) * 2, "padding": ((0, 0),) * 2, "dilation": (1, 1), "groups": 1}
    size = (2 * stride + 2, 4 * stride + 2)
    y = kernels.conv_transpose(x, weight, None, size=size, **params)
    np.testing.assert_array_equal(y, conv_rows.conv_transpose_in_numpy(x, weight, None, size=size, **params))
    assert np.isinf(y).any()
    assert np.isfinite(y[:, 0, :, 0]).all()


def test_gradients_of_a_transpose_whose_inputs_lie_before_its_outputs():
    x, weight = tg.ones(2, 1, 1, requires_grad=True), tg.ones(1, 3, 1, requires_grad=True)
    y = F.conv_transpose1d(x, weight, dilation=10, output_padding=9, padding=2)
    assert tuple(y.shape) == (2, 3, 6)
    assert not y.detach().numpy().any()
    y.sum().backward()
    assert x.grad.tolist() == [[[0.0]]] * 2
    assert weight.grad.tolist() == [[[0.0]] * 3]


@pytest.mark.parametrize("stride", [(2**40, 1), (1, 2**62), (2**64, 2**64)])
def test_a_stride_beyond_the_image_takes_no_memory(stride):
    params = {"padding": ((1, 0), (0, 1)), "dilation": (1, 2), "groups": 1}
    small = tuple(min(s, 9) for s in stride)
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((2, 3, 6, 6)), rng.standard_normal((4, 3, 3, 2))
    y = kernels.conv(x, weight, None, stride=stride, **params)
    np.testing.assert_array_equal(y, kernels.conv(x, weight, None, stride=small, **params))
    np.testing.assert_array_equal(
        kernels.conv_transpose(y, weight, None, size=(6, 6), stride=stride, **params),
        kernels.conv_transpose(y, weight, None, size=(6, 6), stride=small, **params),
    )
    np.testing.assert_array_equal(
        kernels.conv_weight_grad(y, x, kernel=(3, 2), stride=stride, **params),
        kernels.conv_weight_grad(y, x, kernel=(3, 2), stride=small, **params),
    )


@pytest.mark.parametrize(
    ("shape", "far"),
    [
        ((1, 1, 2, 2), {"stride": (2**61, 1), "padding": (2**60, 0)}),
        ((1, 1, 1, 1), {"dilation": (2**61, 1), "padding": (2**60, 0)}),
    ],
)
def test_positions_that_would_overflow_are_refused(shape, far):
    with pytest.raises(MemoryError, match="more memory than can be addressed"):
        F.conv_transpose2d(tg.ones(shape), tg.ones(1, 1, 2, 2), **far)


EMPTY = [
    lambda x: F.conv2d(x, tg.ones(4, 2, 3, 3, requires_grad=True), tg.ones(4, requires_grad=True)),
    lambda x: F.conv1d(x[:, :, 0], tg.ones(2, 1, 3, requires_grad=True), tg.ones(2, requires_grad=True), groups=2),
    lambda x: F.conv_transpose2d(x, tg.ones(2, 4, 3, 3, requires_grad=True), tg.ones(4, requires_grad=True), stride=2),
    lambda x: F.max_pool2d(x, 2),
    lambda x: F.max_pool1d(x[:, :, 0], 2, return_indices=True)[0],
    lambda x: F.avg_pool2d(x, 2),
    lambda x: F.adaptive_avg_pool2d(x, 3),
    lambda x: F.adaptive_max_pool2d(x, (3, 1), return_indices=True)[0],
    lambda x: F.batch_norm(x, tg.zeros(2), tg.ones(2)),
    lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    lambda x: F.unfold(x, 3),
]


@pytest.mark.parametrize("i", range(len(EMPTY)))
def test_an_empty_batch_passes(i):
    whole, empty = (tg.zeros(n, 2, 5, 6, requires_grad=True) for n in (3, 0))
    y = EMPTY[i](empty)
    assert tuple(y.shape) == (0, *EMPTY[i](whole).shape[1:])
    y.sum().backward()
    assert tuple(empty.grad.shape) == (0, 2, 5, 6)


def test_an_empty_batch_gives_weights_a_gradient_of_zero():
    layer = tg.nn.Conv2d(2, 4, 3)
    tg.nn.MaxPool2d(2)(layer(tg.zeros(0, 2, 8, 8))).sum().backward()
    assert layer.weight.grad.tolist() == tg.zeros(4, 2, 3, 3).tolist()
    assert layer.bias.grad.tolist() == [0.0] * 4


@pytest.mark.parametrize("channels", [(0, 2), (2, 0)])
def test_no_channels_at_all(channels):
    takes, gives = channels
    x = tg.ones(2, takes, 5, requires_grad=True)
    weight, bias = (tg.ones(*shape, requires_grad=True) for shape in ((2, 0, 3), (gives,)))
    y = F.conv1d(x, weight, bias) if gives else F.conv_transpose1d(x, weight, bias)
    assert y.tolist() == ([[[1.0] * 3] * 2] * 2 if gives else [[], []])
    y.sum().backward()
    assert (tuple(weight.grad.shape), bias.grad.tolist()) == ((2, 0, 3), [6.0] * gives)
    assert not x.grad.numpy().any()


@pytest.mark.parametrize("pool", [F.adaptive_avg_pool2d, F.adaptive_max_pool2d])
def test_no_windows_at_all(pool):
    x = tg.ones(2, 3, 4, 4, requires_grad=True)
    y = pool(x, (0, 2))
    assert tuple(y.shape) == (2, 3, 0, 2)
    y.sum().backward()
    assert not x.grad.any()


def test_a_window_of_padding_alone_has_no_maximum():
    x = tg.ones(1, 1, 2, requires_grad=True)
    y = F.max_pool1d(x, 2, padding=1, dilation=3)
    assert y.tolist() == [[[-np.inf]]]
    y.sum().backward()
    assert x.grad.tolist() == [[[0.0, 0.0]]]
    assert F.max_pool1d(x.detach().int(), 2, padding=1, dilation=3).item() == -(2**31)
    with pytest.raises(RuntimeError, match="padding alone: its maximum has no index"):
        F.max_pool1d(x, 2, padding=1, dilation=3, return_indices=True)


def test_instance_norm_of_half_precision():
    x = tg.tensor([[[1.0, 3.0, 5.0]]]).half()
    weight, mean, variance = tg.tensor([2.0]).half(), tg.zeros(1).half(), tg.ones(1).half()
    y = F.instance_norm(x, mean, variance, weight)
    assert y.dtype == tg.float16
    np.testing.assert_allclose(y.numpy(), [[[-2.449, 0.0, 2.449]]], atol=2e-3)
    np.testing.assert_allclose([mean.item(), variance.item()], [0.3, 1.3], rtol=1e-3)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "largest", "average"),
    [
        (3, 2, 2, 1, [0.0, 2.0], [0.0, 1.5]),
        (4, 3, 4, 0, [2.0], [1.0]),
        (5, 3, 3, 1, [1.0, 4.0], [1 / 3, 3.0]),
        (6, 2, 3, 0, [1.0, 4.0], [0.5, 3.5]),
    ],
)
def test_no_window_begins_in_the_right_padding(size, kernel, stride, padding, largest, average):
    x = tg.arange(float(size)).reshape(1, 1, size)
    assert F.max_pool1d(x, kernel, stride, padding, ceil_mode=True)[0, 0].tolist() == largest
    np.testing.assert_allclose(
        F.avg_pool1d(x, kernel, stride, padding, ceil_mode=True)[0, 0].tolist(), average, rtol=1e-6
    )


@pytest.mark.parametrize("layer", [tg.nn.BatchNorm1d, tg.nn.InstanceNorm1d])
def test_evaluation_takes_the_running_statistics(layer):
    norm = layer(1, eps=0.0, affine=False, track_running_stats=True)
    norm.running_mean.fill_(2.0)
    norm.running_var.fill_(4.0)
    x = tg.tensor([[[0.0, 2.0, 10.0]]])
    assert norm.eval()(x).tolist() == [[[-1.0, 0.0, 4.0]]]
    assert (norm.running_mean.item(), norm.running_var.item(), norm.num_batches_tracked.item()) == (2.0, 4.0, 0)


def test_nearest_by_corners_and_by_centres():
    x = tg.arange(6.0).reshape(1, 1, 6)
    assert F.interpolate(x, 4, mode="nearest")[0, 0].tolist() == [0.0, 1.0, 3.0, 4.0]
    assert F.interpolate(x, 4, mode="nearest-exact")[0, 0].tolist() == [0.0, 2.0, 3.0, 5.0]


def test_what_reaches_beyond_the_right_padding_does_not_count():
    x = tg.arange(4.0).reshape(1, 1, 4)
    assert F.avg_pool1d(x, 3, 2, ceil_mode=True)[0, 0].tolist() == [1.0, 2.5]
    np.testing.assert_allclose(F.avg_pool1d(x, 3, 2, 1, ceil_mode=True)[0, 0].tolist(), [1 / 3, 2.0, 1.5], rtol=1e-6)


def test_positions_by_the_factor_or_by_the_sizes():
    x = tg.arange(5.0).reshape(1, 1, 5)
    for recomputed, ratio in ((False, 1 / 1.7), (True, 5 / 8)):
        y = F.interpolate(x, scale_factor=1.7, mode="linear", recompute_scale_factor=recomputed)
        expected = np.clip((np.arange(8) + 0.5) * ratio - 0.5, 0, 4)
        np.testing.assert_allclose(y[0, 0].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("size", [9, 10])
def test_a_transposed_convolution_of_a_wanted_size(size):
    layer = tg.nn.ConvTranspose2d(1, 2, 3, stride=2)
    for wanted in ((size, 9), (1, 2, size, 9)):
        assert tuple(layer(tg.zeros(1, 1, 4, 4), output_size=wanted).shape) == (1, 2, size, 9)


def test_indices_of_half_precision():
    x = tg.tensor([[[1.0, 3.0, 2.0, 0.0]]]).half()
    y, at = F.max_pool1d(x, 2, return_indices=True)
    assert (y.dtype, y.tolist(), at.tolist()) == (tg.float16, [[[3.0, 2.0]]], [[[1, 2]]])
