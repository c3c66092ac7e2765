"""Initial weights: PyTorch's stream, PyTorch's numbers."""

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from nn_layers import INITS, init_id

import tinygrad_loss as tg
from tinygrad_loss import nn
from tinygrad_loss.random import Generator

FROZEN = json.loads((Path(__file__).parent.parent / "fixtures" / "nn_init.json").read_text())
each_init = pytest.mark.parametrize("case", INITS, ids=init_id)


def distance(actual, expected, name):
    """In units of the last place; of the largest value where a decomposition mixes them."""
    actual, expected = np.asarray(actual, np.float32), np.asarray(expected, np.float32)
    assert actual.shape == expected.shape
    scale = np.abs(expected).max(initial=0) if name == "orthogonal_" else np.abs(expected)
    with np.errstate(invalid="ignore"):
        return (np.abs(actual.astype(np.float64) - expected) / np.spacing(np.asarray(scale))).max(initial=0)


# equal to the bit where no normal numbers are in play; within an ULP where they are
ALLOWED = {"normal_": 1, "xavier_normal_": 1, "kaiming_normal_": 1, "sparse_": 1, "trunc_normal_": 1, "orthogonal_": 32}


@each_init
def test_values_are_pytorchs(case):
    name, shape, kwargs = case
    tg.manual_seed(0)
    x = tg.full(shape, 9.0)
    assert getattr(nn.init, name)(x, **kwargs) is x
    assert distance(x._array, FROZEN[init_id(case)], name) <= ALLOWED.get(name, 0)


@pytest.mark.parity
@each_init
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_live_parity(case, dtype):
    torch = pytest.importorskip("torch")
    name, shape, kwargs = case
    results = []
    for framework in (torch, tg):
        framework.manual_seed(1)
        x = framework.zeros(shape, dtype=getattr(framework, dtype))
        getattr(framework.nn.init, name)(x, **kwargs)
        results.append((x.numpy(), framework.rand(1).item()))
    (theirs, after), (ours, after_ours) = results
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance if name == "orthogonal_" else 0)
    assert after == after_ours  # the stream goes on where PyTorch's does


@pytest.mark.parametrize(
    ("nonlinearity", "param", "gain"),
    [
        ("linear", None, 1),
        ("conv2d", None, 1),
        ("conv_transpose3d", None, 1),
        ("sigmoid", None, 1),
        ("tanh", None, 5 / 3),
        ("relu", None, math.sqrt(2)),
        ("leaky_relu", None, math.sqrt(2 / 1.0001)),
        ("leaky_relu", 1, 1),
        ("leaky_relu", math.sqrt(5), math.sqrt(1 / 3)),
        ("selu", None, 0.75),
    ],
)
def test_gains(nonlinearity, param, gain):
    assert nn.init.calculate_gain(nonlinearity, param) == pytest.approx(gain, rel=1e-15)


def test_wrong_arguments():
    x = tg.empty(3)
    for call, error, words in (
        (lambda: nn.init.calculate_gain("leaky_relu", "a"), ValueError, "not a valid number"),
        (lambda: nn.init.calculate_gain("leaky_relu", True), ValueError, "not a valid number"),
        (lambda: nn.init.calculate_gain("softmax"), ValueError, "Unsupported nonlinearity softmax"),
        (lambda: nn.init.xavier_uniform_(x), ValueError, "fewer than 2 dimensions"),
        (lambda: nn.init.kaiming_normal_(tg.empty(2, 2), mode="both"), ValueError, "Mode both not supported"),
        (lambda: nn.init.eye_(x), ValueError, "2 dimensions"),
        (lambda: nn.init.sparse_(x, 0.1), ValueError, "2 dimensions"),
        (lambda: nn.init.orthogonal_(x), ValueError, "2 or more"),
        (lambda: nn.init.dirac_(x), ValueError, "3, 4, or 5"),
        (lambda: nn.init.dirac_(tg.empty(3, 2, 1), groups=2), ValueError, "divisible by groups"),
        (lambda: nn.init.zeros_([1.0]), TypeError, "Tensors"),
        (lambda: nn.init.ones_(tg.zeros(1).expand(3)), RuntimeError, "clone"),
        (lambda: nn.init.normal_(tg.zeros(2, dtype=tg.int64)), NotImplementedError, "float32"),
    ):
        with pytest.raises(error) as caught:
            call()
        assert words in str(caught.value)


def test_empty_tensors():
    for fill in (nn.init.kaiming_uniform_, nn.init.kaiming_normal_):
        with pytest.warns(UserWarning, match="zero-element"):
            assert fill(tg.empty(0, 2)).shape == (0, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nn.init.orthogonal_(tg.empty(0, 2))
    with pytest.warns(UserWarning, match="zero-element"):
        assert nn.Linear(0, 2).bias.tolist() == [0, 0]


def test_truncation_far_off_warns_and_stays_inside():
    with pytest.warns(UserWarning, match="more than 2 std"):
        x = nn.init.trunc_normal_(tg.empty(100), mean=5.0, a=0.0, b=1.0)
    assert 0 <= x.min().item() <= x.max().item() <= 1
    assert x.mean().item() > 0.6  # the density rises towards 5


def test_initializing_works_on_leaves_and_counts_as_a_write():
    w = nn.Parameter(tg.ones(2, 2))
    x = tg.ones(1, 2, requires_grad=True)
    loss = (x @ w).sum()
    nn.init.zeros_(w)
    assert w.requires_grad
    assert w.is_leaf
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation.*nn.init"):
        loss.backward()


def test_a_generator_of_ones_own():
    a = nn.init.uniform_(tg.empty(5), generator=Generator().manual_seed(3))
    tg.manual_seed(3)
    assert a.tolist() == tg.rand(5).tolist()


def test_layouts():
    x = tg.zeros(4, 3).T
    tg.manual_seed(0)
    nn.init.uniform_(x)
    tg.manual_seed(0)
    assert x.T.tolist() == tg.rand(4, 3).tolist()  # in the order of memory
    base = tg.zeros(4, 4)
    nn.init.constant_(base[1:3, ::2], 5)
    assert base.sum().item() == 20
    w = tg.zeros(4, 6)[:, ::2]
    nn.init.orthogonal_(w)
    np.testing.assert_allclose((w.T @ w)._array, np.eye(3), atol=1e-6)
