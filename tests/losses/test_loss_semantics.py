"""What random calls found to differ from PyTorch, each once: frozen here, for it is not installed everywhere."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_loss as tg
from tinygrad_loss.kernels.jit import JIT_DISABLED

F = tg.nn.functional
NAN, INF = math.nan, math.inf


def test_a_distance_without_a_sign_has_the_slope_zero():
    # PyTorch 2.13: the sign of NaN is 0
    for loss in (F.l1_loss, lambda x, t, **k: F.smooth_l1_loss(x, t, beta=0.0, **k)):
        x = tg.tensor([NAN, INF, 1.0, 2.0, 3.0], requires_grad=True)
        loss(x, tg.tensor([1.0, INF, 1.0, NAN, 1.0]), reduction="sum").backward()
        assert x.grad.tolist() == [0, 0, 0, 0, 1]
    x = tg.tensor([NAN, 0.0], requires_grad=True)
    F.smooth_l1_loss(x, tg.zeros(2), reduction="sum").backward()
    assert np.isnan(x.grad.numpy()).tolist() == [True, False]


def test_a_divergence_over_an_empty_batch_is_nan():
    assert math.isnan(F.kl_div(tg.zeros(0, 3), tg.zeros(3), reduction="batchmean").item())
    assert F.kl_div(tg.tensor(-1.0), tg.tensor(0.5), reduction="batchmean").item() == pytest.approx(
        0.5 * (math.log(0.5) + 1)
    )


def test_labels_beyond_a_targets_length_do_not_count():
    logp = tg.log_softmax(tg.randn(4, 2, 3), dim=2)
    lengths = tg.tensor([4, 4]), tg.tensor([1, 0])
    right = F.ctc_loss(logp, tg.tensor([[1, 0], [0, 0]]), *lengths)
    assert F.ctc_loss(logp, tg.tensor([[1, 99], [-7, 2**40]]), *lengths).item() == right.item()


def test_the_mean_over_classes_is_that_of_the_input():
    x, t = tg.tensor([[[0.5], [-1.0]]]), tg.tensor([0.0, 1.0, 0.0])
    terms = F.binary_cross_entropy_with_logits(x.expand(1, 2, 3), t.expand(1, 2, 3), reduction="none")
    with pytest.warns(UserWarning, match="each element is compared with several"):
        value = F.multilabel_soft_margin_loss(x, t, reduction="none")
    np.testing.assert_allclose(value.numpy(), terms.sum(-1).numpy(), rtol=1e-6)
    with pytest.raises(IndexError, match="expected an input of 1 or more dimensions"):
        F.multilabel_soft_margin_loss(tg.tensor(0.5), t)


def test_integer_distances():
    x, t = tg.tensor([3, 200, 255], dtype=tg.uint8), tg.tensor([1, 1, 1], dtype=tg.uint8)
    total = F.hinge_embedding_loss(x, t, reduction="sum")
    assert (total.item(), total.dtype) == (458, tg.int64)
    assert F.hinge_embedding_loss(x, t, reduction="none").dtype == tg.uint8
    with pytest.raises(RuntimeError, match="the mean of integers has no dtype"):
        F.hinge_embedding_loss(x, t)


def test_integer_losses_beyond_their_dtype_are_refused():
    x = tg.tensor([-(2**63), -(2**63)])
    for reduction, target in (("none", [-1, 1]), ("sum", [1, 1])):
        with pytest.raises(RuntimeError, match=r"does not fit into the integers int64: write input\.float\(\)"):
            F.hinge_embedding_loss(x, tg.tensor(target), reduction=reduction)
    assert F.hinge_embedding_loss(x, tg.tensor([1, 1]), reduction="none").tolist() == [-(2**63)] * 2
    with pytest.raises(RuntimeError, match="loss 300 does not fit into the integers uint8"):
        F.hinge_embedding_loss(tg.tensor([0], dtype=tg.uint8), tg.tensor([-1]), margin=300.0, reduction="none")


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.smooth_l1_loss])
def test_a_number_counts_as_an_array_in_the_dtype_of_a_loss(loss):
    x, t = tg.ones(1), tg.tensor(0.0, dtype=tg.float64)
    with pytest.warns(UserWarning, match="Using a target size"):
        values = loss(x, t), loss(x.double(), t.float()), F.huber_loss(x, t)  # the last has the dtype of its input
    assert [v.dtype for v in values] == [tg.float64, tg.float64, tg.float32]


def test_bools_are_no_numbers():
    b, x = tg.tensor([True, False]), tg.zeros(2)
    with pytest.raises(RuntimeError, match=r"expected distances, got bools: write \.float\(\)"):
        F.hinge_embedding_loss(b, b, reduction="sum")
    for call, culprit in (
        (lambda: F.l1_loss(b, x), "input"),
        (lambda: F.smooth_l1_loss(x, b, beta=0.0), "target"),
        (lambda: F.gaussian_nll_loss(b, x, 1.0), "input"),
        (lambda: F.gaussian_nll_loss(x, b, 1.0), "target"),
        (lambda: F.poisson_nll_loss(x, b, full=True), "target"),
        (lambda: F.poisson_nll_loss(b, x, log_input=False), "input"),
        (lambda: F.margin_ranking_loss(x, b, x), "input2"),
        (lambda: F.triplet_margin_loss(x, x, b), "negative"),
        (lambda: F.binary_cross_entropy_with_logits(x, x, pos_weight=b), "pos_weight"),
    ):
        with pytest.raises(RuntimeError, match=rf"with a bool tensor.*write {culprit}\.float\(\)"):
            call()
    assert F.smooth_l1_loss(b, x).item() == 0.25  # PyTorch subtracts them there
    assert F.poisson_nll_loss(b, x).item() == pytest.approx((math.e + 1) / 2)


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
@pytest.mark.parametrize("dtype", [tg.int64, tg.float32])
def test_batch_sizes_are_compared_first(loss, dtype):
    for x, t in (((4, 3), (1, 3)), ((4, 3), ()), ((4, 3), (3,)), ((4, 3, 2), (2, 4)), ((4, 3, 2), ())):
        with pytest.raises(ValueError, match=rf"The batch sizes 4 and {t[0] if t else 0} differ\."):
            loss(tg.zeros(x), tg.zeros(t, dtype=dtype))
    with pytest.raises(RuntimeError, match=r"takes class numbers of shape \[4, 2\], got \[4, 2, 2\]|Long or Byte"):
        loss(tg.zeros(4, 3, 2), tg.zeros(4, 2, 2, dtype=dtype))
    with pytest.raises(ValueError if dtype == tg.int64 else RuntimeError, match=r"got (\[2\]|torch\.float32)"):
        loss(tg.zeros(3), tg.zeros(2, dtype=dtype))


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_a_bool_is_no_class_number(loss):
    with pytest.raises(TypeError, match="argument 'ignore_index' must be int, not bool"):
        loss(tg.zeros(2, 3), tg.tensor([0, 1]), ignore_index=True)


def test_vectors_of_one_number_are_no_cosine():
    x, y = tg.tensor([[3.0, 4.0]], requires_grad=True), tg.tensor([[2.0]])
    with pytest.warns(UserWarning, match=r"sizes 2 and 1 broadcast.*Write input2\.expand_as\(input1\)"):
        value = F.cosine_embedding_loss(x, y, tg.tensor([1]))
    assert value.item() == pytest.approx(1 - 7 / 5)  # as in PyTorch


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_one_row_takes_its_class_as_a_vector_too(loss):
    x = tg.tensor([-0.5, -2.0], requires_grad=True)
    value = loss(x, tg.tensor([1]), reduction="none")
    value.backward()
    assert value.shape == ()
    assert value.item() == loss(x, tg.tensor(1)).item()
    assert x.grad.shape == (2,)


def test_one_score_takes_its_class_as_a_vector():
    assert F.multilabel_margin_loss(tg.tensor(0.3), tg.tensor([0])).item() == 0


def test_one_row_takes_its_class_as_a_number():
    x = tg.tensor([[0.1, 0.8]])
    value = F.multi_margin_loss(x, tg.tensor(1), reduction="none")
    assert value.shape == ()
    assert value.item() == F.multi_margin_loss(x, tg.tensor([1])).item()
    one = F.multilabel_margin_loss(tg.tensor([0.5]), tg.tensor(0), reduction="none")
    assert (one.shape, one.item()) == ((), 0.0)
    with pytest.raises(RuntimeError, match="inconsistent target size"):
        F.multi_margin_loss(x.expand(2, 2), tg.tensor(1))


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_weights_of_zero(loss):
    x = tg.zeros(2, 3, requires_grad=True)
    with pytest.warns(UserWarning, match="the mean divides 0 by 0"):
        value = loss(x, tg.tensor([0, 1]), tg.tensor([0.0, 0.0, 1.0]))
    value.backward()
    assert np.isnan(value.item())
    assert x.grad[[0, 1], [0, 1]].isnan().all()  # as in PyTorch
    out = loss(tg.tensor([[-INF, 0.0]]), tg.tensor([0]), tg.tensor([0.0, 1.0]), reduction="sum")
    assert out.item() == 0.0  # where PyTorch gives NaN


def test_no_classes():
    with pytest.raises(IndexError, match="Target 0 is out of bounds"):
        F.cross_entropy(tg.zeros(2, 0), tg.tensor([0, 0]))
    assert np.isnan(F.cross_entropy(tg.zeros(2, 0), tg.zeros(2, 0)).item())
    for loss in (F.cross_entropy, F.nll_loss):
        with pytest.warns(UserWarning, match="all 2 targets are ignore_index"):
            assert np.isnan(loss(tg.zeros(2, 0), tg.tensor([-100, -100])).item())


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_an_ignored_target_is_not_the_one_out_of_bounds(loss):
    with pytest.raises(IndexError, match=r"target\[2\] is 7"):
        loss(tg.zeros(4, 3), tg.tensor([-100, 1, 7, -1]))


def test_nan_beside_infinity():
    for row in ([INF, NAN], [NAN, INF], [INF, 1.0, NAN], [-INF, NAN], [-INF, -INF, NAN]):
        for sign in (1.0, -1.0):  # as integers, the bits of a negative NaN are below those of all numbers
            x = np.array(row, np.float32)
            assert np.isnan(
                tg.logsumexp(tg.from_numpy(np.where(np.isnan(x), np.copysign(x, np.float32(sign)), x)), 0).item()
            )
    assert tg.logsumexp(tg.tensor([INF, -INF]), 0).item() == INF


def test_softplus_is_straight_beyond_its_threshold():
    x = tg.tensor([4.9, 5.1], requires_grad=True)
    (slope,) = tg.autograd.grad(F.softplus(x, threshold=5).sum(), x, create_graph=True)
    (bend,) = tg.autograd.grad(slope.sum(), x)
    assert slope[1].item() == 1.0
    assert (bend[0].item(), bend[1].item()) == (pytest.approx(math.exp(-4.9), rel=0.05), 0.0)


def test_even_odds_near_the_logit_zero():
    x = tg.tensor([1e-10, -1e-20], requires_grad=True)
    F.binary_cross_entropy_with_logits(x, tg.full((2,), 0.5), reduction="sum").backward()
    np.testing.assert_allclose(x.grad.numpy(), [0.25e-10, -0.25e-20], rtol=1e-7)


def second_order(loss, x, t):
    """The second derivatives of a loss by its input, and by both."""
    x, t = tg.tensor(x, dtype=tg.float64, requires_grad=True), tg.tensor(t, dtype=tg.float64, requires_grad=True)
    (slope,) = tg.autograd.grad(loss(x, t), x, create_graph=True)
    return [g.tolist() for g in tg.autograd.grad(slope.sum(), (x, t))]


def test_second_derivatives_at_the_edges():
    assert second_order(
        lambda x, t: F.smooth_l1_loss(x, t, reduction="sum", beta=0.5), [0.1, 2.0, -2.0], [0.0] * 3
    ) == [
        [2.0, 0.0, 0.0],
        [-2.0, 0.0, 0.0],
    ]
    clamped = second_order(lambda x, t: F.binary_cross_entropy(x, t, reduction="sum"), [1e-13], [0.0])
    np.testing.assert_allclose(clamped, [[0.01], [-1e12]], rtol=1e-12)  # x (1 - x) is at least 1e-12


def test_gradients_by_targets_at_the_edges():
    t = tg.tensor([0.25, 0.25], requires_grad=True)
    F.binary_cross_entropy(tg.tensor([0.0, 1.0]), t, reduction="sum").backward()
    assert t.grad.tolist() == [100.0, -100.0]
    t = tg.tensor([-INF, 0.0], requires_grad=True)
    F.kl_div(tg.tensor([-1.0, -1.0]), t, reduction="sum", log_target=True).backward()
    assert t.grad.tolist() == [0.0, 2.0]


def test_weights_and_gradients_of_several_blocks(rng):
    x, t, w, g = (rng.random(1100) for _ in range(4))
    ours = tg.from_numpy(x).requires_grad_()
    value = F.binary_cross_entropy_with_logits(ours, tg.from_numpy(t), tg.from_numpy(w), reduction="none")
    value.backward(tg.from_numpy(g))
    np.testing.assert_allclose(value.detach().numpy(), w * (np.logaddexp(0, x) - t * x), rtol=1e-12)
    np.testing.assert_allclose(ours.grad.numpy(), g * w * (1 / (1 + np.exp(-x)) - t), rtol=1e-9)


def test_an_infinite_term_makes_an_infinite_sum():
    assert F.mse_loss(tg.tensor([INF, *[0.0] * 1100]), tg.zeros(1101), reduction="sum").item() == INF


def test_the_edge_of_a_probability_is_not_outside():
    for x in ([0.0, NAN], [1.0, NAN]):
        with pytest.raises(RuntimeError, match=r"but input\[1\] is nan"):
            F.binary_cross_entropy(tg.tensor(x), tg.tensor([0.0, 1.0]))


def test_nan_has_a_slope_on_a_parabola_alone():
    for beta, check in ((1.0, np.isnan), (0.0, lambda v: v == 0)):
        x = tg.tensor([NAN], requires_grad=True)
        F.smooth_l1_loss(x, tg.zeros(1), beta=beta).backward()
        assert check(x.grad.numpy()).all()  # as in PyTorch


# --- no index from a user reaches a kernel unchecked --------------------------------------------------------------

HOSTILE = [-1, -(2**63), 2**63 - 1, 3, 10**9]


@pytest.mark.parametrize("index", HOSTILE)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("rows", [1, 5, 30_000])  # many rows go to several threads
def test_hostile_class_numbers(rows, reduction, smoothing, index):
    rows = min(rows, 100) if JIT_DISABLED else rows
    x, w = tg.zeros(rows, 3, requires_grad=True), tg.ones(3)
    target = np.zeros(rows, np.int64)
    target[-1] = index
    for weight in (None, w):
        with pytest.raises(IndexError, match=rf"Target {index} is out of bounds: target\[{rows - 1}\]"):
            F.cross_entropy(x, tg.from_numpy(target), weight, reduction=reduction, label_smoothing=smoothing)
        if not smoothing:
            with pytest.raises(IndexError, match=rf"Target {index} is out of bounds"):
                F.nll_loss(x, tg.from_numpy(target), weight, reduction=reduction)
        # ignored, it is no index at all
        value = F.cross_entropy(
            x, tg.from_numpy(target), weight, ignore_index=index, reduction="sum", label_smoothing=smoothing
        )
        assert value.item() == pytest.approx((rows - 1) * math.log(3), rel=1e-6)
        value.backward()
        assert not x.grad[-1].any()
        x.grad = None


@pytest.mark.parametrize("index", HOSTILE)
def test_hostile_class_numbers_of_the_other_losses(index):
    x = tg.zeros(2, 3)
    with pytest.raises(RuntimeError, match="target out of range"):
        F.multi_margin_loss(x, tg.tensor([0, index]))
    labels = tg.tensor([[0, -1, 0], [index, 0, -1]])
    if index == -1:
        assert F.multilabel_margin_loss(x, labels).item() == pytest.approx(1 / 3)  # it ends the row
    else:
        with pytest.raises(RuntimeError, match="target out of range"):
            F.multilabel_margin_loss(x, labels)
    logp, lengths = tg.log_softmax(tg.zeros(4, 1, 3), 2), (tg.tensor([4]), tg.tensor([2]))
    with pytest.raises(IndexError, match="label 1 of target 0 is"):
        F.ctc_loss(logp, tg.tensor([[1, index]]), *lengths)
    with pytest.raises(RuntimeError, match="between 0 and"):
        F.ctc_loss(logp, tg.tensor([[1, 1]]), tg.tensor([4 if index == 3 else index]), tg.tensor([max(index, 3)]))


@pytest.mark.parametrize("dtype", [tg.float32, tg.float64, tg.int32, tg.bool])
def test_class_numbers_of_a_wrong_dtype(dtype):
    target = tg.tensor([0, 1]).to(dtype)
    for loss in (F.cross_entropy, F.nll_loss, F.multi_margin_loss):
        with pytest.raises(RuntimeError, match=r"Long.*write target\.long\(\)|Write target\.long\(\)"):
            loss(tg.zeros(2, 3), target)


def test_a_target_that_changes_after_the_call_is_noticed():
    x, t = tg.zeros(2, 3, requires_grad=True), tg.tensor([0, 1])
    loss = F.cross_entropy(x, t)
    t[0] = 10**6
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("index", HOSTILE)
@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_a_target_written_through_shared_memory_gives_nan(loss, index):
    shared = np.array([0, 1])
    x = tg.zeros(2, 3, requires_grad=True)
    value = loss(x, tg.from_numpy(shared))
    shared[1] = index  # NumPy tells no one
    value.backward()
    assert np.isnan(x.grad.numpy()).tolist() == [[False] * 3, [True] * 3]


@pytest.mark.parametrize("log_input", [True, False])
def test_poisson_counts_are_numbers(log_input):
    flag = tg.tensor(True)
    with pytest.raises(RuntimeError, match="target holds bools: write target"):
        F.poisson_nll_loss(flag, flag, log_input=log_input)
    with pytest.raises(RuntimeError, match="target holds bools: write target"):
        F.poisson_nll_loss(tg.tensor(1.0), flag, full=True)
    assert F.poisson_nll_loss(tg.tensor(0.0), flag, log_input=log_input).isfinite()


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_a_loss_beyond_float32_is_infinite_without_a_warning(reduction):
    x, target, weight = tg.tensor([[3e38, -3e38]]), tg.tensor([1]), tg.tensor([4.0, 4.0])
    assert F.cross_entropy(x, target, reduction=reduction).item() == INF
    assert F.cross_entropy(x, target, weight, label_smoothing=0.1, reduction=reduction).item() == INF
    expected = 3e38 if reduction == "mean" else INF
    assert F.nll_loss(x, target, weight, reduction=reduction).item() == pytest.approx(expected)


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_a_mean_of_nothing_is_told_to_who_calls_and_not_at_each_replay(loss):
    x = tg.tensor([[-1.0, -2.0], [-3.0, -4.0]], requires_grad=True)
    ignored, weight = tg.tensor([-100, -100]), tg.tensor([0.0, 1.0])
    for arguments in ((ignored,), (ignored, weight), (tg.tensor([0, 0]), weight)):
        with pytest.warns(UserWarning, match=r"the mean (is that of nothing|divides 0 by 0), NaN") as told:
            value = loss(x, *arguments)
        assert len(told) == 1
        assert told[0].filename == __file__
        assert math.isnan(tg.tape(value).replay().root)  # warnings are errors here
        value.backward()
    assert math.isnan(loss(x, tg.tensor([0, 1]), tg.tensor([1.0, -1.0])).item())  # that of something, though 0
    x = tg.tensor([[NAN, -2.0]])
    assert math.isnan(loss(x, tg.tensor([0])).item())


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_a_written_nll_loss_divides_by_the_weights_that_it_is_given(reduction):
    x, weight = tg.tensor([[-1.0, -2.0, -3.0], [-3.0, -2.0, -1.0]], requires_grad=True), tg.tensor([0.5, 1.0, 2.0])
    target, seed = tg.tensor([0, 2]), tg.ones(2 if reduction == "none" else ())
    program, found = tg.tape(F.nll_loss(x, target, weight, reduction=reduction)).to_numpy(), {}
    exec(program, found)
    for other, more in ((target, weight), (tg.tensor([1, 0]), 3 * weight), (tg.tensor([-100, 1]), weight)):
        value = F.nll_loss(x, other, more, reduction=reduction)
        x.grad = None
        value.backward(seed)
        loss, gradients = found["loss_and_gradients"](*(v.detach().numpy() for v in (x, other, more, seed)))
        np.testing.assert_allclose(loss, value.detach().numpy(), rtol=1e-6)
        np.testing.assert_allclose(gradients["x"], x.grad.numpy(), rtol=1e-6)
