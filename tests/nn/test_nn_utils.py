"""Gradient clipping, and parameters as one vector."""

import math

import numpy as np
import pytest

import tinygrad_loss as tg
from tinygrad_loss import nn

GRADIENTS = [[3.0, -4.0], [[1.0, 2.0], [-2.0, 0.0]], [0.5]]


def leaves(dtype=np.float32):
    made = [tg.from_numpy(np.zeros_like(np.array(g, dtype))).requires_grad_() for g in GRADIENTS]
    for p, g in zip(made, GRADIENTS, strict=True):
        p.grad = tg.from_numpy(np.array(g, dtype))
    return [*made, tg.zeros(3, requires_grad=True)]  # one without a gradient


def flat(parameters):
    return np.concatenate([p.grad._array.ravel() for p in parameters if p.grad is not None])


@pytest.mark.parametrize("p", [2.0, 1.0, 3.5, 0, math.inf, -math.inf, "2"])
def test_norm_is_that_of_all_gradients_as_one_vector(p):
    ps = leaves()
    before = flat(ps)
    expected = np.linalg.norm([np.linalg.norm(np.ravel(g), float(p)) for g in GRADIENTS], float(p))
    total = nn.utils.clip_grad_norm_(ps, 1e9, p)
    assert total.dtype is tg.float32
    assert total.item() == pytest.approx(expected, rel=1e-6)
    np.testing.assert_array_equal(flat(ps), before)


def test_clipping_scales_all_by_one_factor():
    ps = leaves(np.float64)
    before, grads = flat(ps), [p.grad for p in ps]
    total = nn.utils.clip_grad_norm_(iter(ps), 2.0)
    assert total.dtype is tg.float64
    np.testing.assert_allclose(flat(ps), before * 2 / (total.item() + 1e-6), rtol=1e-15)
    assert [p.grad for p in ps] == grads  # the same objects, written in place
    single = leaves()[0]
    nn.utils.clip_grad_norm_(single, 1.0)
    np.testing.assert_allclose(single.grad._array, [0.6, -0.8], rtol=1e-6)


def test_norm_neither_overflows_nor_vanishes():
    for size in (1e-30, 1e25):
        p = tg.zeros(2, requires_grad=True)
        p.grad = tg.tensor([3 * size, 4 * size])
        assert nn.utils.clip_grad_norm_(p, 1e-40 if size < 1 else 1e30).item() == pytest.approx(5 * size, rel=1e-6)


def test_nothing_to_clip():
    assert nn.utils.clip_grad_norm_([], 1.0).item() == 0
    assert nn.utils.clip_grad_norm_([tg.zeros(1, requires_grad=True)], 1.0).item() == 0
    with pytest.raises(TypeError, match="iterable"):
        nn.utils.clip_grad_norm_(3, 1.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_norm_that_is_not_finite(bad):
    ps = leaves()
    ps[0].grad[0] = bad
    before = flat(ps)
    with pytest.raises(RuntimeError, match=r"error_if_nonfinite=False"):
        nn.utils.clip_grad_norm_(ps, 1.0, error_if_nonfinite=True)
    np.testing.assert_array_equal(flat(ps), before)
    nn.utils.clip_grad_norm_(ps, 1.0)
    scale = 1.0 / bad
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(flat(ps), before * np.float32(scale))


def test_clipping_values():
    ps = leaves()
    before = flat(ps)
    assert nn.utils.clip_grad_value_(ps, 1) is None
    np.testing.assert_array_equal(flat(ps), before.clip(-1, 1))


def test_parameters_as_a_vector_and_back():
    m = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    v = nn.utils.parameters_to_vector(m.parameters())
    assert v.shape == (13,)
    v.sum().backward()
    assert m[0].weight.grad.tolist() == [[1, 1]] * 3
    objects = list(m.parameters())
    nn.utils.vector_to_parameters(v * 2, m.parameters())
    np.testing.assert_array_equal(nn.utils.parameters_to_vector(m.parameters())._array, v._array * 2)
    assert list(m.parameters()) == objects
    assert all(p.requires_grad and p.is_leaf for p in objects)
    before = v.detach() * 2
    with pytest.raises(RuntimeError, match="13 elements together, the vector has 12"):
        nn.utils.vector_to_parameters(tg.zeros(12), m.parameters())
    np.testing.assert_array_equal(nn.utils.parameters_to_vector(m.parameters())._array, before._array)
    with pytest.raises(TypeError, match="Tensor"):
        nn.utils.vector_to_parameters([1.0], m.parameters())


@pytest.mark.parity
@pytest.mark.parametrize("p", [2.0, 1.0, 3.5, 0.5, math.inf])
@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_clipping_is_pytorchs(p, limit):
    torch = pytest.importorskip("torch")
    ours = leaves()
    theirs = []
    for q in ours:
        theirs.append(torch.from_numpy(q.detach().numpy()).requires_grad_())
        theirs[-1].grad = None if q.grad is None else torch.from_numpy(q.grad.numpy().copy())
    a = nn.utils.clip_grad_norm_(ours, limit, p)
    b = torch.nn.utils.clip_grad_norm_(theirs, limit, p)
    assert a.item() == pytest.approx(b.item(), rel=1e-6)
    for x, y in zip(ours, theirs, strict=True):
        assert (x.grad is None) == (y.grad is None)
        if x.grad is not None:
            np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=1e-6)
