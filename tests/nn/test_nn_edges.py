"""Calls at the edge of what layers and losses take, each of which once went wrong."""

from __future__ import annotations

from typing import Any

import pytest

import tinygrad_loss as tg
from tinygrad_loss import nn


@pytest.mark.parametrize("shape", [(0, 5), (0, 5, 4), (2, 5, 0)])
def test_batch_norm_of_nothing_leaves_its_statistics(shape: tuple[int, ...]) -> None:
    layer = nn.BatchNorm1d(5)
    x = tg.ones(*shape, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad.shape == shape
    assert layer.weight.grad.tolist() == [0] * 5
    assert layer.running_mean.tolist() == [0] * 5
    assert layer.running_var.tolist() == [1] * 5
    assert layer.num_batches_tracked.item() == 1


def test_batch_norm_refuses_an_eps_of_zero_in_training() -> None:
    layer = nn.BatchNorm1d(5, eps=0.0)
    with pytest.raises(ValueError, match="eps must be positive during training, got 0"):
        layer(tg.ones(2, 5))
    layer.eval()(tg.ones(2, 5))


def test_all_targets_ignored_have_no_second_derivative() -> None:
    x = tg.zeros(2, 3, requires_grad=True)
    with pytest.warns(UserWarning, match="all 2 targets are ignore_index"):
        loss = nn.functional.cross_entropy(x, tg.tensor([1, 1]), ignore_index=1)
    (g,) = tg.autograd.grad(loss, x, create_graph=True)
    (h,) = tg.autograd.grad((g * g).sum(), x)
    assert g.tolist() == h.tolist() == [[0] * 3] * 2


@pytest.mark.parametrize(("layer", "shape"), [(nn.CircularPad1d(1), (4,)), (nn.CircularPad2d(1), (4, 4))])
def test_circular_padding_needs_channels(layer: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=rf"expected {len(shape) + 1}D or {len(shape) + 2}D input"):
        layer(tg.ones(*shape))


@pytest.mark.parametrize(
    ("name", "args"),
    [("relu_", ()), ("elu_", ()), ("selu_", ()), ("celu_", (2.0,)), ("leaky_relu_", (0.1,)), ("hardtanh_", (-0.5, 0.5)),
     ("threshold_", (0.2, -1.0))],
)  # fmt: skip
def test_activation_in_place(name: str, args: tuple[Any, ...]) -> None:
    x = tg.tensor([-2.0, -0.3, 0.1, 2.0], requires_grad=True)
    expected = getattr(nn.functional, name[:-1])(x, *args)
    (g,) = tg.autograd.grad(expected.sum(), x)
    y = x.clone()
    assert getattr(nn.functional, name)(y, *args) is y
    assert y.tolist() == expected.tolist()
    y.sum().backward()
    assert x.grad.tolist() == g.tolist()
    with pytest.raises(RuntimeError, match=f"leaf Variable .* {name} "):
        getattr(nn.functional, name)(x, *args)
