"""Convolution and its kin against an installed PyTorch: our calls, PyTorch's own samples, training of a network."""

import warnings

import conv_cases
import numpy as np
import pytest

import tinygrad_loss as tg
from benchmarks import cnn
from tests.ops.test_opdb import run, run_errors

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]
torch = pytest.importorskip("torch")

NAMES = """
conv1d conv2d conv_transpose1d conv_transpose2d max_pool1d avg_pool1d avg_pool2d adaptive_avg_pool1d
adaptive_avg_pool2d adaptive_max_pool1d adaptive_max_pool2d batch_norm instance_norm unfold interpolate pixel_shuffle
pixel_unshuffle pad
"""
# What is left out: a batch norm without channels, and resizing bytes, cubically, or by area in three dimensions.
LEFT_OUT = (
    "float64[0]' ('float64[0]'",
    "float32[0]' ('float32[0]'",
    "not implemented for torch.uint8",
    "knows the modes",
)
LEFT_OUT = (*LEFT_OUT, "mode 'area' takes")


@pytest.mark.parametrize("i", range(len(conv_cases.CASES)), ids=conv_cases.IDS)
def test_our_calls(i):
    ours = conv_cases.evaluate(tg, tg.nn.functional, i, tg.tensor)
    theirs = conv_cases.evaluate(torch, torch.nn.functional, i, torch.tensor)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", NAMES.split())
def test_samples_of_pytorch(name):
    _, total, failures, _ = run(f"nn.functional.{name}")
    failures = [f for f in failures if not any(part in f for part in LEFT_OUT)]
    _, _, errors = run_errors(f"nn.functional.{name}")
    assert total
    assert not failures + errors, "\n".join((failures + errors)[:10])


@pytest.mark.parametrize("source", conv_cases.LAYERS)
def test_layers(source):
    ours, theirs = conv_cases.layer(tg, source), conv_cases.layer(torch, source)
    assert repr(ours) == repr(theirs)
    for (name, a), (other, b) in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True):
        assert name == other
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_batch_norm_over_several_steps():
    layers = [framework.nn.BatchNorm2d(3, momentum=0.3) for framework in (tg, torch)]
    rng = np.random.default_rng(0)
    for step in range(6):
        x = rng.standard_normal((4, 3, 5, 5)).astype(np.float32) * 3 + 100
        if step == 4:
            for layer in layers:
                layer.eval()
        a, b = layers[0](tg.tensor(x)), layers[1](torch.tensor(x))
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-4, atol=1e-4)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        np.testing.assert_allclose(getattr(layers[0], name).numpy(), getattr(layers[1], name).numpy(), rtol=1e-5)


@pytest.mark.parametrize("make", [cnn.lenet, cnn.small_vgg])
def test_a_hundred_steps_of_training(make):
    batch, steps = (16, 100) if make is cnn.lenet else (4, 20)
    ours, theirs = (cnn.step_and_evaluation(which, make, batch)[0] for which in ("ours", "theirs"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        losses = [(ours(), theirs()) for _ in range(steps)]
    np.testing.assert_allclose(*zip(*losses, strict=True), rtol=0, atol=1e-4)
