"""Every loss of the table: values, gradients of two orders, modules, reductions, what is refused."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
from loss_table import LOSSES, cases, error_in_ulps, in_dtype, tensors_of, wrapped

import tinygrad_loss as tg

DTYPES = (np.float32, np.float64)
each_case = pytest.mark.parametrize(("loss", "settings"), cases())
each_loss = pytest.mark.parametrize(("loss", "settings"), cases(settings=False))


@pytest.fixture(autouse=True)
def _mean_of_kl_is_meant():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "reduction: 'mean' divides", UserWarning)
        yield


def same(a, b):
    np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())
    assert a.dtype == b.dtype


@each_case
@pytest.mark.parametrize("dtype", DTYPES)
def test_value_is_that_of_the_formula(loss, settings, dtype):
    tensors, given = tensors_of(loss, dtype), in_dtype(settings, dtype)
    for reduction in loss.reductions:
        value = loss.function(**wrapped(tensors), **wrapped(given), reduction=reduction)
        truth = loss.truth(tensors, given, reduction)
        assert value.numpy().dtype == dtype
        assert value.shape == np.shape(truth)
        assert error_in_ulps(value.numpy(), truth, dtype) <= loss.ulps[dtype is np.float64], reduction


@each_case
@pytest.mark.parametrize("dtype", DTYPES)
def test_gradient_is_that_of_the_formula(loss, settings, dtype):
    tensors, given = tensors_of(loss, dtype), in_dtype(settings, dtype)
    for reduction in ("none", "mean"):
        ours = wrapped(tensors, loss.gradients)
        value = loss.function(**ours, **wrapped(given), reduction=reduction)
        cotangent = np.random.default_rng(5).normal(size=value.shape).astype(dtype)
        value.backward(tg.from_numpy(cotangent))
        for name in loss.gradients:
            truth = loss.slopes(tensors, given, reduction, name, cotangent)
            gradient = ours[name].grad.numpy()
            assert gradient.dtype == dtype
            assert gradient.shape == truth.shape
            assert error_in_ulps(gradient, truth, dtype) <= loss.ulps[2 * (dtype is np.float64)], (reduction, name)


@each_case
def test_second_order_gradient(loss, settings):
    tensors, given = tensors_of(loss, np.float64), wrapped(settings)
    rng = np.random.default_rng(6)
    for reduction in ("none", "mean"):
        ours = wrapped(tensors, loss.gradients)
        leaves = [ours[name] for name in loss.gradients]
        value = loss.function(**ours, **given, reduction=reduction)
        cotangent = tg.from_numpy(rng.normal(size=value.shape))
        firsts = tg.autograd.grad(value, leaves, cotangent, create_graph=True)
        directions = [tg.from_numpy(rng.normal(size=g.shape)) for g in firsts]
        along = sum((g * d).sum() for g, d in zip(firsts, directions, strict=True))
        if not along.requires_grad:
            continue  # a loss of straight lines
        seconds = tg.autograd.grad(along, leaves, allow_unused=True, materialize_grads=True)

        def first(name, array, reduction=reduction, cotangent=cotangent, directions=directions):
            moved = wrapped({**tensors, name: array}, loss.gradients)
            out = loss.function(**moved, **given, reduction=reduction)
            got = tg.autograd.grad(out, [moved[n] for n in loss.gradients], cotangent)
            return sum(float((g * d).sum()) for g, d in zip(got, directions, strict=True))

        for name, second in zip(loss.gradients, seconds, strict=True):
            step = rng.normal(size=tensors[name].shape)
            h = 1e-5
            ends = [first(name, tensors[name] + sign * h * step) for sign in (1, -1)]
            expected = (ends[0] - ends[1]) / (2 * h)
            assert float((second * tg.from_numpy(step)).sum()) == pytest.approx(expected, rel=1e-5, abs=1e-6), name


@each_case
def test_module_is_its_function(loss, settings):
    if any(name in settings for name in loss.only_in_function):
        pytest.skip("the module does not take this setting")
    tensors, given = wrapped(tensors_of(loss, np.float32)), wrapped(in_dtype(settings, np.float32))
    for reduction in loss.reductions:
        module = loss.module_class(**given, reduction=reduction)
        same(module(*tensors.values()), loss.function(**tensors, **given, reduction=reduction))
        assert list(module.state_dict()) == [k for k, v in given.items() if isinstance(v, tg.Tensor)]
        assert repr(module) == f"{loss.module}()"
    same(loss.module_class(**given)(*tensors.values()), loss.function(**tensors, **given))


@each_loss
def test_signatures_are_each_others(loss, settings):
    function, module = inspect.signature(loss.function).parameters, inspect.signature(loss.module_class).parameters
    taken = [name for name in module if name in function]
    assert taken == list(module)
    for name in taken:
        assert function[name].default == module[name].default


@each_loss
def test_what_is_no_reduction_is_refused_at_the_call(loss, settings):
    tensors = wrapped(tensors_of(loss, np.float32))
    with pytest.raises(ValueError, match=r"average is not a valid value for reduction: write 'none', 'mean' or 'sum'"):
        loss.function(**tensors, **wrapped(settings), reduction="average")
    module = loss.module_class(reduction="average")
    with pytest.raises(ValueError, match="average is not a valid value for reduction"):
        module(*tensors.values())


@each_loss
def test_data_in_the_constructor_is_refused(loss, settings):
    tensors = list(wrapped(tensors_of(loss, np.float32)).values())
    parameters = inspect.signature(loss.module_class).parameters.values()
    if any(p.kind is p.KEYWORD_ONLY for p in parameters):
        with pytest.raises(TypeError):
            loss.module_class(*tensors)
        return
    with pytest.raises(TypeError, match=rf"{loss.module}\(\)\(input, target\)"):
        loss.module_class(*tensors[:2])


@each_loss
def test_legacy_flags_warn_and_stand_for_a_reduction(loss, settings):
    if "size_average" not in inspect.signature(loss.function).parameters:
        pytest.skip("has none in PyTorch either")
    tensors, given = wrapped(tensors_of(loss, np.float32)), wrapped(in_dtype(settings, np.float32))
    stands_for = [((False, None), "sum"), ((None, False), "none"), ((True, True), "mean"), ((False, True), "sum")]
    for (size_average, reduce), reduction in stands_for:
        with pytest.warns(UserWarning, match=f"please use reduction='{reduction}' instead") as seen:
            value = loss.function(**tensors, **given, size_average=size_average, reduce=reduce)
        assert seen[0].filename == __file__  # the warning points here
        same(value, loss.function(**tensors, **given, reduction=reduction))
        with pytest.warns(UserWarning, match=f"please use reduction='{reduction}' instead"):
            module = loss.module_class(size_average=size_average, reduce=reduce)
        assert module.reduction == reduction


@each_loss
def test_nothing_has_the_mean_nan_and_the_sum_zero(loss, settings):
    if loss.name == "ctc_loss":
        pytest.skip("refuses an empty batch, as in PyTorch")
    tensors = {k: v[:0] for k, v in tensors_of(loss, np.float32).items()}
    ours = wrapped(tensors, loss.gradients)
    given = wrapped({k: v for k, v in in_dtype(settings, np.float32).items() if k != "weight"})
    mean = loss.function(**ours, **given)
    assert np.isnan(mean.item())
    total = loss.function(**ours, **given, reduction="sum")
    assert total.item() == 0
    assert loss.function(**ours, **given, reduction="none").numel() == 0
    total.backward()
    for name in loss.gradients:
        assert ours[name].grad.shape == tensors[name].shape


@each_loss
def test_what_is_no_tensor_is_refused(loss, settings):
    tensors = wrapped(tensors_of(loss, np.float32))
    checked = [k for k in tensors if k not in ("var", "input_lengths", "target_lengths")]
    for name in checked:
        with pytest.raises(TypeError, match=rf"argument '{name}' must be Tensor, not list: write tensor\(\[1\.0\]\)"):
            loss.function(**{**tensors, name: [1.0]}, **wrapped(settings))


@each_case
def test_every_layout(loss, settings):
    tensors, given = tensors_of(loss, np.float32), wrapped(in_dtype(settings, np.float32))
    results = []
    for change in (np.ascontiguousarray, np.asfortranarray, strided, frozen):
        ours = {k: tg.from_numpy(change(v)) for k, v in tensors.items()}
        for name in loss.gradients:
            ours[name].requires_grad_()
        value = loss.function(**ours, **given)
        value.backward()
        results.append([value.item(), *[ours[n].grad.numpy() for n in loss.gradients]])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def strided(x):
    wide = np.zeros([2 * n for n in x.shape], x.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in x.shape)]
    view[...] = x
    return view


def frozen(x):
    x = x.copy()
    x.flags.writeable = False
    return x


@each_loss
def test_half_precision(loss, settings):
    tensors = tensors_of(loss, np.float16)
    value = loss.function(**wrapped(tensors), **wrapped(in_dtype(settings, np.float16)), reduction="sum")
    assert value.dtype == tg.float16
    truth = float(loss.truth(tensors, in_dtype(settings, np.float16), "sum"))
    assert value.item() == pytest.approx(truth, rel=1e-3)


@each_loss
def test_docstring_says_all(loss, settings):
    for text in (loss.function.__doc__, loss.module_class.__doc__):
        for part in ("gradient", "Parameters\n", "shape", "Notes\n", "Examples\n", ">>> "):
            assert part in text or (
                part == "Notes\n" and loss.name in ("hinge_embedding_loss", "margin_ranking_loss")
            ), part


def test_the_table_holds_every_loss():
    modules = set(tg.nn.modules.loss.__all__)
    assert modules - {loss.module for loss in LOSSES} == {"NLLLoss2d", "TripletMarginWithDistanceLoss"}
    functions = {n for n in tg.nn.functional.__all__ if n.endswith(("_loss", "entropy", "_logits", "kl_div"))}
    assert functions - {loss.name for loss in LOSSES} == {"triplet_margin_with_distance_loss"}


def test_triplets_by_a_distance_of_ones_own():
    rng = np.random.default_rng(0)
    a, p, n = (tg.from_numpy(rng.normal(size=(4, 3))) for _ in range(3))
    plain = tg.nn.TripletMarginWithDistanceLoss()
    same(plain(a, p, n), tg.nn.functional.triplet_margin_loss(a, p, n))
    assert repr(plain) == "TripletMarginWithDistanceLoss(\n  (distance_function): PairwiseDistance()\n)"

    def city(x, y):
        return (x - y).abs().sum(-1)

    module = tg.nn.TripletMarginWithDistanceLoss(distance_function=city, margin=0.5, swap=True, reduction="none")
    expected = np.maximum(0, city(a, p).numpy() - np.minimum(city(a, n).numpy(), city(p, n).numpy()) + 0.5)
    np.testing.assert_allclose(module(a, p, n).numpy(), expected, rtol=1e-14)
    with pytest.raises(ValueError, match="margin must be greater than 0, got 0"):
        tg.nn.functional.triplet_margin_with_distance_loss(a, p, n, margin=0)
    with pytest.raises(TypeError, match="distance_function must give a Tensor, not float"):
        tg.nn.functional.triplet_margin_with_distance_loss(a, p, n, distance_function=lambda x, y: 1.0)


def test_nll_loss_2d_warns_and_is_nll_loss():
    with pytest.warns(FutureWarning, match="`NLLLoss2d` has been deprecated. Please use `NLLLoss`"):
        module = tg.nn.NLLLoss2d()
    logp = tg.log_softmax(tg.randn(2, 3, 4, 4), dim=1)
    same(module(logp, tg.zeros(2, 4, 4).long()), tg.nn.NLLLoss()(logp, tg.zeros(2, 4, 4).long()))
