"""Custom Functions: what PyTorch does not define of them. What it does is in ``semantics.py``."""

import copy
import gc
import weakref

import numpy as np
import pytest

import tinygrad_loss as tg
from tinygrad_loss.autograd import Function
from tinygrad_loss.autograd.function import FunctionCtx, once_differentiable


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * g


class Polar(Function):
    """Two outputs, both saved."""

    @staticmethod
    def forward(ctx, x, y):
        r, a = (x * x + y * y).sqrt(), tg.atan2(y, x)
        ctx.save_for_backward(x, y, r, a)
        return r, a

    @staticmethod
    def backward(ctx, gr, ga):
        x, y, r, _ = ctx.saved_tensors
        return gr * x / r - ga * y / (r * r), gr * y / r + ga * x / (r * r)


def leaf(*values):
    return tg.tensor(values, dtype=tg.float64, requires_grad=True)


def test_gradients_of_every_order():
    x, y = leaf(0.5, 2.0), leaf(1.5, -1.0)
    assert tg.autograd.gradcheck(Cube.apply, x)
    assert tg.autograd.gradgradcheck(Cube.apply, x)
    assert tg.autograd.gradcheck(Polar.apply, (x, y))
    assert tg.autograd.gradgradcheck(Polar.apply, (x, y))
    assert tg.autograd.gradgradcheck(lambda x, y: Polar.apply(x * y, y)[1], (x, y))
    v = Cube.apply(x).sum()
    for expected in (3 * x**2, 6 * x, x * 0 + 6):
        (g,) = tg.autograd.grad(v, x, create_graph=True)
        np.testing.assert_allclose(g.detach()._array, expected.detach()._array, rtol=1e-14)
        v = g.sum()


def test_the_node_is_named_after_the_class_and_shows_its_context():
    class Named(Cube):
        @staticmethod
        def forward(ctx, x):
            ctx.note = "kept"
            return Cube.forward(ctx, x)

    x = leaf(2.0)
    y = Named.apply(x)
    assert y.grad_fn.name() == "NamedBackward"
    assert y.grad_fn.row.name == "Named"
    assert y.grad_fn.row.function is Named
    assert repr(y) == "tensor([8.], dtype=torch.float64, grad_fn=<NamedBackward>)"
    assert y.grad_fn.saved_tensors[0] is x
    assert y.grad_fn.needs_input_grad == (True,)
    assert y.grad_fn.note == "kept"
    y.backward()
    assert y.grad_fn.note == "kept"
    with pytest.raises(RuntimeError, match=r"second time.*NamedBackward, recorded at .*test_function\.py"):
        y.grad_fn.saved_tensors  # noqa: B018 -- reading it raises
    with pytest.raises(AttributeError):
        y.grad_fn.missing  # noqa: B018


def test_next_functions_name_the_output():
    r, a = Polar.apply(leaf(1.0), leaf(2.0))
    assert r.grad_fn is a.grad_fn
    assert (a * 2).grad_fn.next_functions[0] == (a.grad_fn, 1)
    assert [type(n).__name__ for n, _ in a.grad_fn.next_functions] == ["AccumulateGrad"] * 2


@pytest.mark.parametrize("apply", [lambda x: Cube.apply(x), lambda x: Polar.apply(x, x * 2)[1]])
def test_no_cycle(apply):
    x = leaf(0.5, 2.0)
    y = apply(x)
    nodes = [weakref.ref(y.grad_fn), weakref.ref(y)]
    gc.collect()
    gc.disable()
    try:
        (g,) = tg.autograd.grad(y.sum(), x, create_graph=True)
        (h,) = tg.autograd.grad(g.sum(), x)
        del y, g, h
        assert [n() for n in nodes] == [None, None]
        z = apply(x)
        z.sum().backward()
        gone = weakref.ref(z.grad_fn)
        del z
        assert gone() is None
    finally:
        gc.enable()


def test_saved_tensors_are_freed_by_backward():
    x = leaf(1.0) * 1
    y = Cube.apply(x)
    gone = weakref.ref(x._array)
    z = y * 1
    del x, y
    assert gone() is not None
    z.backward()
    assert gone() is None


def test_the_gradient_of_a_leaf_is_its_own_whatever_backward_returns():
    kept = tg.ones(2, dtype=tg.float64)

    class Same(Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.save_for_backward(a)
            return a * 1

        @staticmethod
        def backward(ctx, g):
            return kept, ctx.saved_tensors[0]

    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    Same.apply(a, b).sum().backward()
    arrays = [a._array, b._array, kept._array, a.grad._array, b.grad._array]
    assert not any(np.shares_memory(p, q) for i, p in enumerate(arrays) for q in arrays[:i])


def test_a_function_calls_backward_inside_backward():
    """As checkpointing does: the forward is run again when its gradient is wanted."""

    class Again(Function):
        @staticmethod
        def forward(ctx, f, x):
            ctx.f = f
            ctx.save_for_backward(x)
            return f(x)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            x = x.detach().requires_grad_()
            with tg.enable_grad():
                y = ctx.f(x)
            return None, tg.autograd.grad(y, x, g)[0]

    x = leaf(0.5, 1.5)
    y = Again.apply(lambda x: (x * x).sin(), Again.apply(tg.exp, x))
    g = tg.tensor([1.0, -2.0], dtype=tg.float64)
    y.backward(g)
    e = np.exp(x.detach()._array)
    np.testing.assert_allclose(x.grad._array, g._array * np.cos(e * e) * 2 * e * e, rtol=1e-13)


def test_hooks_on_each_of_several_outputs():
    seen = []
    x, y = leaf(3.0), leaf(4.0)
    r, a = Polar.apply(x, y)
    r.register_hook(lambda g: seen.append(("r", g.item())))
    a.register_hook(lambda g: g * 0)
    a.retain_grad()
    r.grad_fn.register_prehook(lambda gs: seen.append(("before", [g.item() for g in gs])))
    r.grad_fn.register_hook(lambda gi, go: seen.append(("after", [round(g.item(), 12) for g in gi])))
    (r * 2 + a * 5).backward()
    assert seen == [("r", 2.0), ("before", [2.0, 0.0]), ("after", [1.2, 1.6])]
    assert a.grad.tolist() == [0.0]
    assert (x.grad.item(), y.grad.item()) == (pytest.approx(1.2), pytest.approx(1.6))


def test_an_output_that_is_saved_and_overwritten_is_noticed():
    r, a = Polar.apply(leaf(3.0), leaf(4.0))
    r.mul_(2)
    with pytest.raises(
        RuntimeError, match=r"PolarBackward .*saved tensor 2, is at version 1; expected version 0.*mul_"
    ):
        (r + a).backward()


def test_a_function_among_ops_in_place_and_views():
    x = leaf(1.0, 2.0, 3.0)
    y = x * 1
    y[1:] = Cube.apply(y[:2].clone())
    y *= 2
    (y * tg.tensor([1.0, 10.0, 100.0], dtype=tg.float64)).sum().backward()
    assert x.grad.tolist() == [2 + 20 * 3.0, 200 * 12.0, 0.0]


def test_an_exception_in_forward_leaves_the_mode_as_it_was():
    class Fails(Function):
        @staticmethod
        def forward(ctx, x):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        Fails.apply(leaf(1.0))
    assert tg.is_grad_enabled()


def test_a_captured_tensor_is_not_turned_into_an_output():
    w = leaf(5.0)

    class Captured(Function):
        @staticmethod
        def forward(ctx, x):
            return w

        @staticmethod
        def backward(ctx, g):
            return g * 7

    x = leaf(1.0)
    y = Captured.apply(x)
    y.backward()
    assert w.is_leaf
    assert w.grad is None
    assert x.grad.tolist() == [7.0]


def test_the_same_tensor_returned_twice_gets_both_gradients():
    class Twin(Function):
        @staticmethod
        def forward(ctx, x):
            y = x * 1
            return y, y

        @staticmethod
        def backward(ctx, g, h):
            return g + 10 * h

    x = leaf(1.0)
    a, b = Twin.apply(x)
    (a * 2 + b * 3).backward()
    assert x.grad.tolist() == [32.0]


def test_once_differentiable_names_the_function():
    class Rounded(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            return g * 2 * ctx.saved_tensors[0]

    x = leaf(3.0)
    (g,) = tg.autograd.grad(Rounded.apply(x), x, create_graph=True)
    assert g.tolist() == [6.0]
    with pytest.raises(RuntimeError, match=r"once_differentiable: RoundedBackward"):
        g.backward()


def test_wrong_gradients_name_the_function_and_the_line():
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return tg.ones(7)

    with pytest.raises(RuntimeError, match=r"WrongBackward .* index 0 - got \[7\] .* \[2\] .*test_function\.py:\d+"):
        Wrong.apply(leaf(1.0, 2.0)).sum().backward()


def test_arguments_by_name():
    class Scaled(Function):
        @staticmethod
        def forward(ctx, x, *, k):
            return x * k

    with pytest.raises(TypeError, match="keyword-only arguments with apply: k"):
        Scaled.apply(leaf(1.0), k=2)
    assert Cube.apply(x=leaf(2.0)).tolist() == [8.0]
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        Cube.apply()


def test_a_context_by_hand():
    ctx = FunctionCtx()
    ctx.save_for_backward(tg.ones(1), None)
    assert ctx.saved_tensors == ()
    assert copy.copy(Cube) is Cube


def test_a_deep_chain_of_functions():
    class Plus(Function):
        @staticmethod
        def forward(ctx, x):
            return x + 1

        @staticmethod
        def backward(ctx, g):
            return g

    x = leaf(0.0)
    y = x
    for _ in range(3_000):
        y = Plus.apply(y)
    y.backward()
    assert y.item() == 3000.0
    assert x.grad.tolist() == [1.0]
