"""Hooks of modules: when they are called, with what, and what they may replace."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import tinygrad_loss as tg
from tinygrad_loss import nn


class Add(nn.Module):
    def forward(self, a, b=1.0, *, scale=1.0):
        return (a + b) * scale


# ---- forward -----------------------------------------------------------------------------------


def test_forward_hooks_see_arguments_and_output():
    m, seen = Add(), []
    m.register_forward_pre_hook(lambda module, args: seen.append(("pre", module, args)))
    m.register_forward_hook(lambda module, args, output: seen.append(("post", module, args, output)))
    assert m(1.0, 2.0) == 3
    assert seen == [("pre", m, (1.0, 2.0)), ("post", m, (1.0, 2.0), 3.0)]


def test_forward_hooks_may_replace_arguments_and_output():
    m = Add()
    m.register_forward_pre_hook(lambda module, args: (args[0] * 10, args[1]))
    m.register_forward_hook(lambda module, args, output: -output)
    assert m(1.0, 2.0) == -12
    single = Add()
    single.register_forward_pre_hook(lambda module, args: 5.0)  # one value stands for a tuple of one
    assert single(1.0) == 6


def test_forward_hooks_with_kwargs():
    m, seen = Add(), []
    m.register_forward_pre_hook(lambda module, args, kwargs: (args, {**kwargs, "scale": 3.0}), with_kwargs=True)
    m.register_forward_pre_hook(lambda module, args, kwargs: None, with_kwargs=True)
    m.register_forward_hook(lambda module, args, kwargs, output: seen.append(kwargs), with_kwargs=True)
    assert m(1.0, b=1.0) == 6
    assert seen == [{"b": 1.0, "scale": 3.0}]
    m.register_forward_pre_hook(lambda module, args, kwargs: args, with_kwargs=True)
    with pytest.raises(RuntimeError, match="tuple"):
        m(1.0)


def test_order_prepending_and_removal():
    m, seen = nn.Identity(), []
    handles = [m.register_forward_hook(lambda *_, i=i: seen.append(i)) for i in range(2)]
    m.register_forward_hook(lambda *_: seen.append("first"), prepend=True)
    m(0)
    assert seen == ["first", 0, 1]
    handles[0].remove()
    handles[0].remove()
    seen.clear()
    m(0)
    assert seen == ["first", 1]
    m._forward_hooks.clear()
    seen.clear()
    m(0)
    assert seen == []
    with m.register_forward_pre_hook(lambda *_: seen.append("inside")):
        m(0)
    m(0)
    assert seen == ["inside"]


def test_a_hook_may_remove_itself():
    m, seen = nn.Identity(), []
    handle = m.register_forward_hook(lambda *_: (seen.append(1), handle.remove())[1])
    m(0)
    m(0)
    assert seen == [1]


def test_sequential_calls_the_hooks_of_its_parts():
    m, seen = nn.Sequential(nn.Identity(), nn.Identity()), []
    m[1].register_forward_hook(lambda module, args, output: seen.append(output))
    m(3)
    assert seen == [3]


def test_always_called_hooks_are_called_after_a_failure():
    class Fails(nn.Module):
        def forward(self, x):
            raise ValueError("from forward")

    m, seen = Fails(), []
    m.register_forward_hook(lambda *_: seen.append("usual"))
    m.register_forward_hook(lambda module, args, output: seen.append(output), always_call=True)
    m.register_forward_hook(
        lambda module, args, kwargs, output: seen.append(kwargs), always_call=True, with_kwargs=True
    )
    with pytest.raises(ValueError, match="from forward"):
        m(1)
    assert seen == [None, {}]

    def broken(*_):
        raise KeyError("from the hook")

    m.register_forward_hook(broken, always_call=True)
    with pytest.raises(ValueError, match="from forward"), pytest.warns(UserWarning, match="from the hook"):
        m(1)


def test_an_always_called_hook_is_called_once():
    m, seen = nn.Identity(), []
    m.register_forward_hook(lambda *_: seen.append(1), always_call=True)

    def broken(*_):
        raise KeyError("later hook")

    m.register_forward_hook(broken)
    with pytest.raises(KeyError):
        m(1)
    assert seen == [1]


# ---- backward ----------------------------------------------------------------------------------


def called(module, *inputs):
    out = module(*inputs)
    outs = out if isinstance(out, tuple) else (out,)
    sum((o * (i + 2)).sum() for i, o in enumerate(outs)).backward()
    return out


def test_backward_hooks_see_both_gradients():
    m, seen = nn.Linear(2, 3), []
    m.register_full_backward_pre_hook(lambda module, grad_output: seen.append(("pre", module, grad_output)))
    m.register_full_backward_hook(lambda module, grad_input, grad_output: seen.append((grad_input, grad_output)))
    x = tg.rand(4, 2).requires_grad_()
    out = called(m, x)
    assert out.grad_fn.name() == "BackwardHookFunctionBackward"
    (kind, module, (before,)), ((grad_input,), (grad_output,)) = seen
    assert (kind, module) == ("pre", m)
    np.testing.assert_array_equal(before._array, np.full((4, 3), 2))
    np.testing.assert_array_equal(grad_output._array, np.full((4, 3), 2))
    np.testing.assert_array_equal(grad_input._array, x.grad._array)
    np.testing.assert_allclose(x.grad._array, np.full((4, 3), 2) @ m.weight._array, rtol=1e-6)


def test_backward_hooks_may_replace_gradients():
    m = nn.Linear(2, 3)
    m.register_full_backward_pre_hook(lambda module, grad_output: (grad_output[0] * 10,))
    m.register_full_backward_hook(lambda module, grad_input, grad_output: grad_input[0] * 0 + 7)
    x = tg.rand(4, 2).requires_grad_()
    called(m, x)
    np.testing.assert_array_equal(x.grad._array, np.full((4, 2), 7))
    np.testing.assert_allclose(m.bias.grad._array, np.full(3, 4 * 20), rtol=1e-6)


def test_all_gradients_of_several_inputs_and_outputs_come_at_once():
    class Mix(nn.Module):
        def forward(self, a, note, b):
            return a * b, b * 3, note

    m, seen = Mix(), []

    def replace(module, grad_input, grad_output):
        seen.append((grad_input, grad_output))
        return grad_input[0] * 100, None, grad_input[2] * 1000

    m.register_full_backward_hook(replace)
    a, b = tg.tensor([2.0], requires_grad=True), tg.tensor([5.0], requires_grad=True)
    p, q, note = m(a, "note", b)
    assert note == "note"
    (p * 2 + q * 3).backward()
    (grad_input, grad_output) = seen[0]
    assert len(seen) == 1
    assert [g.item() for g in grad_output[:2]] == [2, 3]
    assert grad_output[2] is None
    assert (grad_input[0].item(), grad_input[1], grad_input[2].item()) == (10, None, 13)
    assert (a.grad.item(), b.grad.item()) == (1000, 13000)


def test_an_output_or_input_without_gradient_is_none():
    class Two(nn.Module):
        def forward(self, a, b):
            return a * 2, b * 3

    m, seen = Two(), []
    m.register_full_backward_hook(lambda module, grad_input, grad_output: seen.append((grad_input, grad_output)))
    a, b = tg.tensor([1.0], requires_grad=True), tg.tensor([1.0], requires_grad=True)
    first, second = m(a, b)
    second.backward(retain_graph=True)
    ((grad_input, grad_output),) = seen
    assert (grad_input[0], grad_output[0]) == (None, None)
    assert (grad_input[1].item(), grad_output[1].item()) == (3, 1)
    (first * 5).backward(retain_graph=True)
    (first * 6 + second * 7).backward()
    assert [g and g.item() for g in seen[1][0] + seen[1][1]] == [10, None, 5, None]
    assert [g.item() for g in seen[2][0] + seen[2][1]] == [12, 21, 6, 7]


def test_without_an_input_that_needs_a_gradient_the_hook_comes_at_the_outputs():
    m, seen = nn.Linear(2, 1), []
    handle = m.register_full_backward_hook(
        lambda module, grad_input, grad_output: seen.append((grad_input, grad_output))
    )
    called(m, tg.rand(3, 2))
    assert seen[0][0] == (None,)
    assert seen[0][1][0].tolist() == [[2]] * 3
    handle.remove()
    m.register_full_backward_hook(lambda module, grad_input, grad_output: (tg.zeros(3, 2),))
    with pytest.raises(RuntimeError, match="should always return None"):
        called(m, tg.rand(3, 2))


def test_backward_hooks_run_again_for_each_backward_and_each_call():
    m, seen = nn.Linear(2, 1), []
    m.register_full_backward_hook(lambda module, grad_input, grad_output: seen.append(grad_output[0].item()))
    x = tg.rand(1, 2).requires_grad_()
    out = m(x).sum()
    out.backward(retain_graph=True)
    (out * 3).backward()
    (m(m.weight).sum() * 5).backward()
    assert seen == [1, 3, 5]


def test_backward_hooks_work_in_double_backward():
    m = nn.Sigmoid()
    m.register_full_backward_hook(lambda module, grad_input, grad_output: (grad_input[0] * 2,))
    x = tg.tensor([0.3], dtype=tg.float64, requires_grad=True)
    (g,) = tg.autograd.grad(m(x), x, create_graph=True)
    (gg,) = tg.autograd.grad(g, x)
    s = 1 / (1 + np.exp(-0.3))
    assert g.item() == pytest.approx(2 * s * (1 - s), rel=1e-14)
    assert gg.item() == pytest.approx(2 * s * (1 - s) * (1 - 2 * s), rel=1e-14)


def test_a_wrong_number_of_gradients_is_an_error():
    m = nn.Linear(2, 1)
    m.register_full_backward_hook(lambda module, grad_input, grad_output: (None, None))
    with pytest.raises(RuntimeError, match="invalid number of grad_input, got 2, but expected 1"):
        called(m, tg.rand(1, 2).requires_grad_())


def test_writing_into_an_observed_input_is_an_error():
    m = nn.ReLU(inplace=True)
    m.register_full_backward_hook(lambda *_: None)
    with pytest.raises(RuntimeError, match="in place"):
        m(tg.rand(2, requires_grad=True) * 2)


def test_what_is_written_into_an_observed_output_counts():
    m = nn.Linear(1, 1)
    seen = []
    m.register_full_backward_hook(lambda module, grad_input, grad_output: seen.append(grad_output[0].item()))
    x = tg.ones(1, 1).requires_grad_()
    out = m(x)
    out *= 3
    out.backward(tg.ones(1, 1))
    assert seen == [3]
    assert x.grad.item() == pytest.approx(3 * m.weight.item())


def test_what_forward_saved_is_not_overwritten_unnoticed():
    m = nn.Tanh()  # its rule needs its output
    m.register_full_backward_hook(lambda *_: None)
    out = m(tg.ones(2, requires_grad=True))
    out *= 3
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


def test_an_output_that_hooks_cannot_follow_is_told():
    class Named(nn.Module):
        def forward(self, x):
            return {"out": x * 2}

    m = Named()
    m.register_full_backward_hook(lambda *_: None)
    with pytest.warns(UserWarning, match="returned dict"):
        m(tg.ones(1))


def test_no_gradient_no_hook():
    m = nn.Linear(2, 1)
    m.register_full_backward_hook(lambda *_: pytest.fail("called"))
    with tg.no_grad():
        assert not m(tg.rand(1, 2).requires_grad_()).requires_grad
    m.requires_grad_(False)
    assert m(tg.rand(1, 2)).grad_fn is None


def test_hooks_keep_no_model_and_no_tape_alive():
    m = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    m.register_full_backward_hook(lambda *_: None)
    m[0].register_full_backward_pre_hook(lambda *_: None)
    m.register_forward_hook(lambda *_: None)
    out = m(tg.rand(1, 2).requires_grad_())
    out.sum().backward(retain_graph=True)
    gone = [weakref.ref(m), weakref.ref(m[0].weight), weakref.ref(out.grad_fn)]
    gc.disable()
    try:
        del m, out
        assert [r() for r in gone] == [None] * 3
    finally:
        gc.enable()


# ---- copies, state dictionaries ----------------------------------------------------------------


def on_forward(module, args, output):
    return output + 1


def test_hooks_are_copied_and_pickled():
    m = nn.Identity()
    m.register_forward_hook(on_forward)
    assert copy.deepcopy(m)(1) == 2
    assert pickle.loads(pickle.dumps(m))(1) == 2
    twin = copy.deepcopy(m)
    m._forward_hooks.clear()
    assert (m(1), twin(1)) == (1, 2)


def test_state_dict_hooks():
    m, seen = nn.Sequential(nn.Linear(1, 1)), []
    m[0].register_state_dict_pre_hook(lambda module, prefix, keep_vars: seen.append((module, prefix, keep_vars)))
    m[0].register_state_dict_post_hook(lambda module, state, prefix, metadata: state.pop(prefix + "bias"))
    assert list(m.state_dict(prefix="net.")) == ["net.0.weight"]
    assert seen == [(m[0], "net.0.", False)]

    def rename(module, state, prefix, metadata, strict, missing, unexpected, errors):
        state[prefix + "bias"] = state.pop(prefix + "b")

    m[0].register_load_state_dict_pre_hook(rename)
    m.register_load_state_dict_post_hook(lambda module, keys: seen.append(keys))
    given = {"0.weight": tg.tensor([[2.0]]), "0.b": tg.tensor([3.0])}
    m.load_state_dict(given)
    assert list(given) == ["0.weight", "0.b"]  # what the caller gave stays as it is
    assert m[0].bias.item() == 3
    assert seen[-1].missing_keys == []
