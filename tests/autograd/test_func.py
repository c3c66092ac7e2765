"""Functions of functions: what is not PyTorch's to say; the rest is in ``semantics.py``."""

from collections import namedtuple

import numpy as np
import pytest

import tinygrad_loss as tg
from tinygrad_loss.autograd import functional as F


def double(*values):
    return tg.tensor(values, dtype=tg.float64)


def test_an_untracked_input_has_a_jacobian_on_the_tape_too():
    x = double(0.5, 2.0)
    assert F.jacobian(lambda x: x**2, x, create_graph=True).tolist() == [[1.0, 0.0], [0.0, 4.0]]


def test_fourth_derivatives():
    def f(x):
        return (x**5).sum() * x[0]

    x = double(0.5, 2.0)
    third = tg.func.jacrev(tg.func.hessian(f))(x)
    assert third.shape == (2, 2, 2)
    assert tg.func.jacrev(tg.func.jacrev(tg.func.hessian(f)))(x)[0, 0, 0, 0].item() == pytest.approx(
        6 * 5 * 4 * 3 * 0.5**2
    )
    again = F.jacobian(lambda x: F.hessian(f, x, create_graph=True), x)
    np.testing.assert_allclose(again._array, third._array, rtol=1e-13)


def test_structures_keep_their_types():
    Pair = namedtuple("Pair", ["a", "b"])
    g = tg.func.grad(lambda p, q: (p.a * p.b * q[0]).sum())(Pair(double(1.0), double(2.0)), [double(3.0)])
    assert isinstance(g, Pair)
    assert (g.a.tolist(), g.b.tolist()) == ([6.0], [3.0])


def test_arguments_are_not_touched():
    x, w = double(1.0, 2.0).requires_grad_(), double(3.0, 4.0)
    tg.func.grad(lambda x: (x * w).sum())(x)
    tg.func.vjp(lambda x: x * w, x)[1](w)
    tg.func.jacrev(lambda x: x * w)(x)
    F.hessian(lambda x: (x * x * w).sum(), x)
    assert x.grad is None
    assert not w.requires_grad


def test_an_ensemble():
    tg.manual_seed(0)
    models = [tg.nn.Linear(2, 1) for _ in range(3)]
    parameters, buffers = tg.func.stack_module_state(models)
    x = tg.rand(4, 2)

    def call(p, b):
        return tg.func.functional_call(models[0], (p, b), (x,))

    out = tg.func.vmap(call)(parameters, buffers) if buffers else tg.func.vmap(lambda p: call(p, {}))(parameters)
    np.testing.assert_allclose(out.detach()._array, np.stack([m(x).detach()._array for m in models]), rtol=1e-6)
    out.sum().backward()
    assert parameters["weight"].grad.shape == (3, 1, 2)


def test_functional_call_replaces_what_is_shared_and_puts_it_back():
    class Tied(tg.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = tg.nn.Linear(2, 2, bias=False)
            self.b = tg.nn.Linear(2, 2, bias=False)
            self.b.weight = self.a.weight

        def forward(self, x):
            if x.sum() < 0:
                raise ArithmeticError
            return self.b(self.a(x))

    model = Tied()
    weight = model.a.weight
    eye2 = {"a.weight": tg.eye(2) * 2}
    assert tg.func.functional_call(model, eye2, tg.ones(2)).tolist() == [4.0, 4.0]
    with pytest.raises(ArithmeticError):
        tg.func.functional_call(model, eye2, -tg.ones(2))
    assert model.a.weight is weight
    assert model.b.weight is weight
    with pytest.raises(KeyError, match=r"no parameter or buffer 'c\.weight'; it has \['a\.weight', 'b\.weight'\]"):
        tg.func.functional_call(model, {"c.weight": tg.eye(2)}, tg.ones(2))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: tg.func.grad(lambda x: x.sum())(3.0), TypeError, "expected Tensors to differentiate by, got float"),
        (lambda: tg.func.grad(lambda x: x.sum())(tg.tensor([1])), RuntimeError, r"floating point.*write x\.float\(\)"),
        (lambda: tg.func.grad(lambda x: x)(tg.ones(2)), RuntimeError, r"0-d Tensor, got shape \[2\]; write \.sum\(\)"),
        (
            lambda: tg.func.grad(lambda x: x.sum(), argnums=1)(tg.ones(2)),
            RuntimeError,
            "argnums=1 names no one of the 1",
        ),
        (lambda: tg.func.grad(lambda x: x.sum(), has_aux=True)(tg.ones(2)), RuntimeError, "has_aux=True"),
        (lambda: tg.func.grad(lambda x: 3.0)(tg.ones(2)), TypeError, "must return Tensors, got float"),
        (lambda: tg.func.vjp(lambda x: x, tg.ones(2))[1](), RuntimeError, "a cotangent for each of 1 outputs, got 0"),
        (lambda: tg.func.jvp(lambda x: x, (tg.ones(2),), ()), RuntimeError, "tuples of equal length"),
        (lambda: tg.func.vmap(lambda x: x, in_dims=None)(tg.ones(2)), ValueError, "at least one argument"),
        (lambda: tg.func.vmap(lambda x: x)(tg.ones(0, 2)), ValueError, "the batch is empty"),
        (lambda: tg.func.vmap(lambda x: x)(3), ValueError, "only Tensors have a batch dimension, got int"),
        (lambda: tg.func.vmap(lambda x: x, in_dims=(0, 0))(tg.ones(2)), ValueError, "2 entries for 1 arguments"),
        (lambda: tg.func.vmap(lambda x: x, in_dims=5)(tg.ones(2)), IndexError, "Dimension out of range"),
        (lambda: F.jacobian(lambda x: x, tg.ones(2), strategy="up"), ValueError, "Got 'up'"),
        (lambda: F.vjp(lambda x: x, tg.ones(2)), RuntimeError, r"v can only be None .* shape\(s\) \[2\]"),
        (lambda: F.hvp(lambda x: x, tg.ones(2), tg.ones(2)), RuntimeError, r"single element, got shape \[2\]"),
        (lambda: F.vhp(lambda x: (x, x), tg.ones(2), tg.ones(2)), RuntimeError, "single Tensor, got a tuple of 2"),
    ],
)
def test_a_wrong_call_says_what_and_what_instead(call, error, words):
    with pytest.raises(error, match=words):
        call()
