"""Convolution and its kin against what PyTorch computed once: values, gradients of two orders, initial weights, reprs."""

from pathlib import Path

import conv_cases
import numpy as np
import pytest

import tinygrad_loss as tg

FROZEN = np.load(Path(__file__).parent.parent / "fixtures" / "conv.npz")


@pytest.mark.parametrize("i", range(len(conv_cases.CASES)), ids=conv_cases.IDS)
def test_values_and_gradients(i):
    got = conv_cases.evaluate(tg, tg.nn.functional, i, tg.tensor)
    assert f"case{i}.{len(got)}" not in FROZEN
    for k, value in enumerate(got):
        np.testing.assert_allclose(value, FROZEN[f"case{i}.{k}"], rtol=1e-9, atol=1e-10, err_msg=f"result {k}")


@pytest.mark.parametrize("source", conv_cases.LAYERS)
def test_layers(source):
    layer = conv_cases.layer(tg, source)
    assert repr(layer) == str(FROZEN[f"{source}.repr"])
    state = layer.state_dict()
    assert [name for name in FROZEN.files if name.startswith(f"{source}.")] == [
        f"{source}.repr",
        *(f"{source}.{name}" for name in state),
    ]
    for name, value in state.items():
        expected = FROZEN[f"{source}.{name}"]
        assert value.numpy().dtype == expected.dtype
        np.testing.assert_array_equal(value.numpy(), expected)
