"""Every layer of the table: its text, initial weights, output and gradients against PyTorch's, frozen and live."""

import copy
import gc
import json
import pickle
import weakref
from pathlib import Path

import numpy as np
import pytest
from nn_layers import LAYERS

import tinygrad_loss as tg
from tinygrad_loss import nn
from tinygrad_loss.op import wrap

FROZEN = json.loads((Path(__file__).parent.parent / "fixtures" / "nn_layers.json").read_text())
each_layer = pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)


def made(layer, seed=0):
    tg.manual_seed(seed)
    return layer.make(nn)


def tensors(layer, dtype=np.float32):
    return [wrap(a).requires_grad_() if a.dtype.kind == "f" else wrap(a) for a in layer.arrays(dtype)]


def close(actual, expected, tolerance):
    expected = np.asarray(expected, actual.dtype)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def ulps(actual, expected):
    """The largest distance in units of the expected value's last place."""
    actual, expected = np.asarray(actual, np.float32), np.asarray(expected, np.float32)
    assert actual.shape == expected.shape
    return (np.abs(actual.astype(np.float64) - expected) / np.spacing(np.abs(expected))).max(initial=0)


def test_every_layer_is_in_the_table():
    made_by_the_table = {type(m).__name__ for layer in LAYERS for m in layer.make(nn).modules()}
    files = ["activation", "distance", "dropout", "flatten", "linear", "normalization", "rectifiers", "sparse"]
    public = {name for file in files for name in getattr(nn.modules, file).__all__}
    assert public - made_by_the_table == set()
    assert public <= set(nn.modules.__all__)


@each_layer
def test_text_and_initial_weights_are_pytorchs(layer):
    module = made(layer)
    frozen = FROZEN[layer.name]
    assert repr(module) == frozen["repr"]
    state = module.state_dict()
    assert list(state) == list(frozen["state"])
    for name, value in state.items():
        # uniform numbers are equal to the bit, normal ones within one unit in the last place
        assert ulps(value._array, frozen["state"][name]) <= ("embedding" in layer.name), name


@each_layer
def test_output_and_gradients_are_pytorchs(layer):
    module = made(layer)
    inputs = tensors(layer)
    out = module(*inputs)
    close(out._array, FROZEN[layer.name]["output"], 3e-6)
    tg.manual_seed(1)
    cotangent = tg.rand(*out.shape) - 0.5
    if out.requires_grad:
        out.backward(cotangent)
    for x, expected in zip([*inputs, *module.parameters()], FROZEN[layer.name]["gradients"], strict=True):
        assert (x.grad is None) == (expected is None)
        if expected is not None:
            close(x.grad._array, expected, 5e-6)


@each_layer
def test_copies_and_pickles_are_equal_and_independent(layer):
    module = made(layer)
    others = [copy.deepcopy(module), pickle.loads(pickle.dumps(module))]
    for other in others:
        assert repr(other) == repr(module)
        assert [name for name, _ in other.named_parameters()] == [name for name, _ in module.named_parameters()]
        for a, b in zip(module.state_dict().values(), other.state_dict().values(), strict=True):
            np.testing.assert_array_equal(a._array, b._array)
            assert not np.shares_memory(a._array, b._array)
        for a, b in zip(module.parameters(), other.parameters(), strict=True):
            assert type(b) is nn.Parameter
            assert b.requires_grad == a.requires_grad
    outputs = []
    for each in (module, *others):
        tg.manual_seed(2)
        outputs.append(each(*tensors(layer))._array)
    np.testing.assert_array_equal(outputs[0], outputs[1])
    np.testing.assert_array_equal(outputs[0], outputs[2])


@each_layer
def test_state_is_carried_over(layer):
    a, b = made(layer, 0), made(layer, 1)
    assert repr(b.load_state_dict(a.state_dict())) == "<All keys matched successfully>"
    for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True):
        np.testing.assert_array_equal(x._array, y._array)


@each_layer
def test_double_precision(layer):
    module = made(layer).double()
    out = module(*tensors(layer, np.float64))
    assert out.dtype is tg.float64
    if out.requires_grad:
        out.sum().backward()
    for p in module.parameters():
        assert p.dtype is tg.float64
        assert p.grad is None or p.grad.dtype is tg.float64


@each_layer
def test_model_and_output_are_freed_by_reference_counting(layer):
    module = made(layer)
    out = module(*tensors(layer))
    gone = [weakref.ref(module), *(weakref.ref(m) for m in module.modules()), *map(weakref.ref, module.parameters())]
    gc.disable()
    try:
        del module, out
        assert [r() for r in gone] == [None] * len(gone)
    finally:
        gc.enable()


@each_layer
def test_evaluation_reaches_every_part(layer):
    module = made(layer)
    assert module.eval() is module
    assert not any(m.training for m in module.modules())
    assert module.train() is module
    assert all(m.training for m in module.modules())


def test_similarity_of_vectors_shorter_than_eps():
    x = tg.tensor([[1.0, 2.0], [0.0, 0.0]], dtype=tg.float64, requires_grad=True)
    y = tg.tensor([[3.0, 1.0], [3.0, 1.0]], dtype=tg.float64, requires_grad=True)
    out = nn.CosineSimilarity(eps=10.0)(x, y)
    np.testing.assert_allclose(out._array, [0.05, 0.0], rtol=1e-15)
    out.sum().backward()
    np.testing.assert_allclose(x.grad._array, y._array / 100, rtol=1e-15)
    np.testing.assert_allclose(y.grad._array, x._array / 100, rtol=1e-15)


@pytest.mark.parity
@each_layer
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_live_parity(layer, dtype):
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    theirs = layer.make(torch.nn).to(getattr(torch, dtype))
    ours = made(layer, 3).to(getattr(tg, dtype))
    assert repr(ours) == repr(theirs)
    ours.load_state_dict({k: tg.from_numpy(v.detach().numpy()) for k, v in theirs.state_dict().items()})
    arrays = layer.arrays(dtype)
    results = []
    for framework, module in ((torch, theirs), (tg, ours)):
        # copies: max_norm writes into the table
        module = copy.deepcopy(module)
        inputs = [framework.from_numpy(a.copy()) for a in arrays]
        for x in inputs:
            x.requires_grad_(x.is_floating_point())
        framework.manual_seed(4)
        out = module(*inputs)
        leaves = [x for x in (*inputs, *module.parameters()) if x.requires_grad]
        values = [out]
        if out.requires_grad:
            framework.manual_seed(5)
            v = framework.rand(*out.shape, dtype=out.dtype) - 0.5
            grads = framework.autograd.grad(out, leaves, v, create_graph=layer.twice, allow_unused=True)
            values += grads
            smooth = [g for g in grads if g is not None and g.requires_grad]
            if layer.twice:
                total = sum((g * g).sum() for g in smooth)
                values += framework.autograd.grad(total, leaves, allow_unused=True) if smooth else [None] * len(leaves)
        values += list(module.state_dict().values())
        results.append([None if v is None else v.detach().numpy(force=True) for v in values])
    for theirs_value, ours_value in zip(*results, strict=True):
        if theirs_value is None or ours_value is None:
            known = theirs_value if ours_value is None else ours_value
            assert known is None or not known.any()
            continue
        assert ours_value.dtype == theirs_value.dtype
        tolerance = 3e-5 if dtype == "float32" else 1e-7 if layer.rough else 1e-11
        np.testing.assert_allclose(ours_value, theirs_value, rtol=tolerance, atol=tolerance)
