"""What people stumble over: each error or warning says what was given, what was expected, where, and what to write.

The questions are those that users of PyTorch's losses ask most; the tests assert the texts.
"""

from __future__ import annotations

import contextlib
import warnings

import numpy as np
import pytest

import tinygrad_loss as tg
from tinygrad_loss import nn

F = nn.functional


@contextlib.contextmanager
def raises(error, *parts):
    """The error's text holds every part."""
    with pytest.raises(error) as seen:
        yield
    for part in parts:
        assert part in str(seen.value)


def warning_of(call):
    """The one warning of a call, which points to this file."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        call()
    assert len(seen) == 1, [str(w.message) for w in seen]
    assert seen[0].category is UserWarning
    assert seen[0].filename == __file__
    return str(seen[0].message)


# 1. target and input of different size
@pytest.mark.parametrize("name", ["binary_cross_entropy", "binary_cross_entropy_with_logits"])
def test_sizes_that_differ_raise(name):
    row, column = tg.full((3,), 0.5), tg.full((3, 1), 0.5)
    loss = getattr(F, name)
    with raises(ValueError, f"{name}(): the target size [3] must be the same as the input size [3, 1].",
                "Write target.unsqueeze(1), or input.squeeze(1)."):  # fmt: skip
        loss(column, row)
    with raises(ValueError, "the target size [3, 1] must be the same as the input size [3].",
                "Write target.squeeze(1), or input.unsqueeze(1)."):  # fmt: skip
        loss(row, column)
    with raises(ValueError, "A target of one class number per row belongs to cross_entropy(input, target)",
                "nn.functional.one_hot(target, 4).float()"):  # fmt: skip
        loss(tg.full((3, 4), 0.5), row)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_sizes_that_differ_warn_where_they_broadcast(name):
    text = warning_of(lambda: getattr(F, name)(tg.zeros(3, 1), tg.zeros(3)))
    assert text == (
        f"{name}(): Using a target size [3] that is different to the input size [3, 1]. This will likely lead to incorrect "
        f"results due to broadcasting. Write target.unsqueeze(1), or input.squeeze(1)."
    )
    with raises(RuntimeError, "the sizes [3] and [2] do not broadcast"), pytest.warns(UserWarning, match="target size"):
        getattr(F, name)(tg.zeros(3), tg.zeros(2))


@pytest.mark.parametrize("name", ["kl_div", "poisson_nll_loss", "hinge_embedding_loss", "multilabel_soft_margin_loss"])
def test_all_pairs_are_rarely_meant(name):
    loss, settings = getattr(F, name), {"reduction": "sum"}
    text = warning_of(lambda: loss(-tg.ones(3, 1), tg.ones(3), **settings))
    assert text == (
        f"{name}(): an input of size [3, 1] and a target of size [3] broadcast to [3, 3]: each element is compared with "
        f"several. Write target.unsqueeze(1), or input.squeeze(1)."
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss(-tg.ones(2, 3), tg.ones(3), **settings)  # one target for all rows


def test_a_soft_margin_target_must_not_enlarge_the_loss():
    with raises(RuntimeError, "a target of size [3] would enlarge the loss, which has the input's size [3, 1].",
                "Write target.unsqueeze(1)"):  # fmt: skip
        F.soft_margin_loss(tg.zeros(3, 1), tg.ones(3))


# 2. Softmax or Sigmoid before a loss that holds it
def test_a_softmax_before_cross_entropy():
    x, t = tg.randn(3, 4, requires_grad=True), tg.tensor([0, 1, 2])
    assert warning_of(lambda: F.cross_entropy(x.softmax(1), t)) == (
        "cross_entropy(): the input is the output of softmax, probabilities, but cross_entropy wants logits: it holds a "
        "Softmax itself. Drop the Softmax, or use NLLLoss after LogSoftmax."
    )


def test_a_sigmoid_before_a_loss_with_logits():
    x, t = tg.randn(3, 4, requires_grad=True), tg.zeros(3, 4)
    assert warning_of(lambda: nn.BCEWithLogitsLoss()(x.sigmoid(), t)) == (
        "binary_cross_entropy_with_logits(): the input is the output of sigmoid, probabilities, but "
        "binary_cross_entropy_with_logits wants logits: it holds a Sigmoid itself. Drop the op, or use BCELoss."
    )
    assert "holds a sigmoid itself. Drop the op." in warning_of(lambda: nn.MultiLabelSoftMarginLoss()(x.sigmoid(), t))


# 3. BCELoss or BCEWithLogitsLoss?
def test_the_docstrings_say_which_of_the_two():
    assert "For logits there is ``binary_cross_entropy_with_logits``, which is to be\n" in nn.BCELoss.__doc__
    assert "preferred" in nn.BCELoss.__doc__
    assert "what the last Linear gives, without a Sigmoid" in nn.BCEWithLogitsLoss.__doc__
    assert "Sigmoid and ``binary_cross_entropy`` in one" in nn.BCEWithLogitsLoss.__doc__


# 4. all elements of input should be between 0 and 1
def test_a_missing_sigmoid():
    p, t = tg.tensor([[0.5, 0.2], [1.5, -3.0]]), tg.zeros(2, 2)
    with raises(RuntimeError, "all elements of input should be between 0 and 1, but input[1, 0] is 1.5.",
                "Is a Sigmoid missing? Write binary_cross_entropy(input.sigmoid(), target)",
                "binary_cross_entropy_with_logits(input, target)"):  # fmt: skip
        F.binary_cross_entropy(p, t)
    with raises(RuntimeError, "all elements of target should be between 0 and 1, but target[0, 1] is 255.",
                "target / target.max()"):  # fmt: skip
        F.binary_cross_entropy(tg.full((1, 2), 0.5), tg.tensor([[0.0, 255.0]]))
    with raises(RuntimeError, "but input[1] is nan.", "set_detect_anomaly(True)"):
        F.binary_cross_entropy(tg.tensor([0.5, float("nan")]), tg.zeros(2))


# 5. Target k is out of bounds
@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_a_target_out_of_bounds(loss):
    mask = tg.zeros(2, 2, 3, dtype=tg.int64)
    mask[1, 0, 2] = 255
    with raises(IndexError, "Target 255 is out of bounds: target[1, 0, 2] is 255",
                "the input of shape [2, 3, 2, 3] has 3 classes, so class numbers run from 0 to 2.",
                "A mask holds class numbers, not grey levels"):  # fmt: skip
        loss(tg.zeros(2, 3, 2, 3), mask)
    with raises(IndexError, "target[1] is 3", "If the first class is called 1, write target - 1."):
        loss(tg.zeros(2, 3), tg.tensor([1, 3]))
    with raises(
        IndexError, "target[0] is -1", "Write ignore_index=-1 to leave such targets out (ignore_index is -100)."
    ):
        loss(tg.zeros(2, 3), tg.tensor([-1, 3]))


def test_a_target_out_of_bounds_of_a_margin_loss():
    with raises(RuntimeError, "target out of range: target[1] is 3, but the input has 3 classes, numbered from 0 to 2"):
        F.multi_margin_loss(tg.zeros(2, 3), tg.tensor([0, 3]))
    with raises(RuntimeError, "target[0, 1] is 3, but the input has 3 classes, numbered from 0 to 2; -1 ends a row"):
        F.multilabel_margin_loss(tg.zeros(2, 3), tg.tensor([[0, 3, -1], [0, -1, 0]]))


# 6. Long against Float
def test_long_against_float():
    with raises(RuntimeError, "cross_entropy(): expected target dtype to be Long or Byte, but got torch.float32.",
                "Write target.long() for class numbers; probabilities must have the shape [2, 3] of the input."):  # fmt: skip
        F.cross_entropy(tg.zeros(2, 3), tg.tensor([0.0, 1.0]))
    with raises(RuntimeError, "but got torch.int32. Write target.long() for class numbers."):
        F.nll_loss(tg.zeros(2, 3), tg.tensor([0, 1], dtype=tg.int32))
    for loss in (F.binary_cross_entropy, F.binary_cross_entropy_with_logits):
        with raises(RuntimeError, "found dtype torch.int64 of the target but expected torch.float32, that of the input.",
                    "Write target.float()."):  # fmt: skip
            loss(tg.zeros(2), tg.tensor([0, 1]))
    with raises(RuntimeError, '"mse_loss" not implemented for torch.int64: write mse_loss(input.float(), ...)'):
        F.mse_loss(tg.tensor([0, 1]), tg.tensor([0, 1]))


# 7. multi-target not supported
@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_multi_target(loss):
    with raises(RuntimeError, "0D or 1D target tensor expected, multi-target not supported",
                "an input of shape [2, 3] has 3 classes along dimension 1 and takes class numbers of shape [2], got [2, 1].",
                "Write target.squeeze(1)."):  # fmt: skip
        loss(tg.zeros(2, 3), tg.tensor([[0], [1]]))


def test_probabilities_have_the_shape_of_the_input():
    with raises(RuntimeError, "Probabilities must have the shape of the input."):
        F.cross_entropy(tg.zeros(2, 3), tg.tensor([[0], [1]]))
    with raises(RuntimeError, "a target of the input's shape [2, 3] holds probabilities, write target.float(); class numbers "
                "have the shape [2]"):  # fmt: skip
        F.cross_entropy(tg.zeros(2, 3), tg.tensor([[0, 1, 0], [1, 0, 0]]))


# 8. where is the class axis of (N, T, C)?
def test_the_class_axis():
    with raises(RuntimeError, "an input of shape [2, 5, 3] has 5 classes along dimension 1 and takes class numbers of shape "
                "[2, 3], got [2, 5].", "write input.transpose(1, 2)."):  # fmt: skip
        F.cross_entropy(tg.zeros(2, 5, 3), tg.zeros(2, 5, dtype=tg.int64))
    with raises(RuntimeError, "write input.movedim(-1, 1)."):
        F.cross_entropy(tg.zeros(2, 5, 7, 3), tg.zeros(2, 5, 7, dtype=tg.int64))
    x, t = tg.randn(2, 5, 3), tg.tensor([[0, 1, 2, 0, 1]] * 2)
    assert F.cross_entropy(x.transpose(1, 2), t).item() == pytest.approx(
        F.cross_entropy(x.reshape(10, 3), t.reshape(10)).item(), rel=1e-6
    )


# 9. NaN where all targets are ignored
@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_all_targets_ignored(name):
    loss, x = getattr(F, name), -tg.ones(2, 3)
    assert warning_of(lambda: loss(x, tg.tensor([-100, -100]))) == (
        f"{name}(): all 2 targets are ignore_index, -100, so the mean is that of nothing, NaN. Skip such batches, or write "
        f"reduction='sum' and divide by max(1, (target != -100).sum())."
    )
    assert warning_of(lambda: loss(x, tg.tensor([-100, 1]), weight=tg.tensor([1.0, 0.0, 1.0]))) == (
        f"{name}(): the weights of all targets are 0, the first of them weight[1], so the mean divides 0 by 0, NaN. Skip "
        f"such batches, or write reduction='sum'."
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert loss(x, tg.tensor([-100, -100]), reduction="sum").item() == 0
        assert np.isnan(loss(x * float("nan"), tg.tensor([0, 1])).item())  # not for lack of targets
        assert np.isnan(loss(x[:0], tg.zeros(0, dtype=tg.int64)).item())


# 10. ignore_index is a class number
def test_ignore_index_is_a_class_number():
    with raises(
        TypeError, "argument 'ignore_index' must be int, not list: it is the class number whose targets do not count"
    ):
        F.cross_entropy(tg.zeros(2, 3), tg.tensor([0, 1]), ignore_index=[0])
    for loss in (F.cross_entropy, F.nll_loss):
        with raises(ValueError, f"ignore_index is {2**70}, but class numbers are int64", "write ignore_index=-100"):
            loss(tg.zeros(2, 3), tg.tensor([0, 1]), ignore_index=2**70)
    with raises(RuntimeError, "ignore_index is not supported for floating point target: it is a class number, here 0, but the "
                "target holds probabilities."):  # fmt: skip
        F.cross_entropy(tg.zeros(2, 3), tg.zeros(2, 3), ignore_index=0)
    for loss in (nn.CrossEntropyLoss, nn.NLLLoss):
        assert "The class number whose targets do not count. It is no position." in loss.__doc__


# 11. negative NLL
def test_a_negative_likelihood_loss():
    p = tg.tensor([[-0.5, 0.8], [0.25, 0.75]])
    assert warning_of(lambda: F.nll_loss(p, tg.tensor([1, 0]))) == (
        "nll_loss(): the loss is negative, but a probability is at most 1: the input must hold log-probabilities, which are "
        "at most 0, and input[0, 1] is 0.8. Write log_softmax(input, dim), or input.log() for probabilities."
    )
    x = tg.randn(2, 3, requires_grad=True)
    with pytest.warns(UserWarning, match="the output of softmax, probabilities, but nll_loss wants log-probabilities. Write "
                      "log_softmax instead."):  # fmt: skip
        F.nll_loss(x.softmax(1), tg.tensor([1, 0]), reduction="none")


# 12. negative KL
def test_a_negative_divergence():
    p = tg.tensor([[0.25, 0.75]])
    text = warning_of(lambda: F.kl_div(p, tg.tensor([[0.5, 0.5]]), reduction="batchmean"))
    assert text == (
        "kl_div(): the loss is negative, but a divergence is never negative: the input must hold log-probabilities, which "
        "are at most 0, and input[0, 0] is 0.25. Write log_softmax(input, dim), or input.log() for probabilities."
    )
    assert "Write reduction='batchmean'." in warning_of(lambda: F.kl_div(p.log(), tg.tensor([[0.5, 0.5]])))


# 13. pos_weight against weight
def test_the_shapes_of_weights():
    x = tg.zeros(4, 3)
    with raises(RuntimeError, "pos_weight of shape [4] does not broadcast to the shape [4, 3] of the loss.",
                "pos_weight holds one number for each class, shape [3]", "such as negatives / positives"):  # fmt: skip
        F.binary_cross_entropy_with_logits(x, x, pos_weight=tg.ones(4))
    for loss in (F.binary_cross_entropy, F.binary_cross_entropy_with_logits):
        with raises(RuntimeError, "weight of shape [4] does not broadcast to the shape [4, 3] of the loss.",
                    "how much each element counts: shape [4, 3], [3] for classes, or [4, 1] for samples"):  # fmt: skip
            loss(x, x, weight=tg.ones(4))
    for loss in (F.cross_entropy, F.nll_loss):
        with raises(RuntimeError, "weight tensor should be defined either for all 3 classes or no classes but got weight "
                    "tensor of shape [4].", "in the order of the class numbers"):  # fmt: skip
            loss(x, tg.zeros(4, dtype=tg.int64), weight=tg.ones(4))
    with raises(TypeError, "argument 'pos_weight' must be Tensor, not float: write tensor(2.0)"):
        F.binary_cross_entropy_with_logits(x, x, pos_weight=2.0)


# 14. soft labels that do not sum to 1
def test_soft_labels_that_do_not_sum_to_one():
    t = tg.tensor([[0.5, 0.5, 0.0], [0.5, 0.5, 0.5]])
    assert warning_of(lambda: F.cross_entropy(tg.zeros(2, 3), t)) == (
        "cross_entropy(): the probabilities of a target should sum to 1, but those of target[1] sum to 1.5. Write target / "
        "target.sum(1, keepdim=True); for several labels at once there is binary_cross_entropy_with_logits."
    )
    assert "those of target[0] sum to 0.5" in warning_of(lambda: F.cross_entropy(tg.zeros(1, 3), t[1:] / 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        F.cross_entropy(tg.zeros(1, 3), tg.zeros(1, 3))  # a row of zeros does not count, and is meant not to
    maps = tg.stack([t, t], dim=2)[:, :, :, None]
    assert "those of target[1, :, 0, 0] sum to 1.5" in warning_of(lambda: F.cross_entropy(tg.zeros(2, 3, 2, 1), maps))


# 15. where does the NaN come from?
def test_anomaly_mode_names_the_op_and_the_line():
    x = tg.tensor([0.0, 1.0], requires_grad=True)
    with tg.autograd.set_detect_anomaly(True):
        loss = (0 * x.log()).sum()  # this line
        with raises(RuntimeError, "Function 'LogBackward0' returned nan values in its 0th output",
                    "of shape [2], has 1 of them, the first at index (0,)",
                    "test_teaching_errors.py:", "loss = (0 * x.log()).sum()  # this line"):  # fmt: skip
            loss.backward()


# 16. a second backward, nothing to differentiate, in-place changes
def test_a_second_backward():
    x = tg.tensor([0.0, 1.0], requires_grad=True)
    loss = F.mse_loss(x, tg.ones(2))
    loss.backward()
    with raises(RuntimeError, "Trying to backward through the graph a second time", "MseLossBackward0",
                "Write backward(retain_graph=True) the first time"):  # fmt: skip
        loss.backward()


def test_nothing_requires_grad():
    with raises(RuntimeError, "does not require grad", "Write tensor(..., requires_grad=True)"):
        F.cross_entropy(tg.zeros(2, 3), tg.tensor([0, 1])).backward()


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        (F.binary_cross_entropy_with_logits, "BinaryCrossEntropyWithLogitsBackward0"),
        (F.mse_loss, "MseLossBackward0"),
        (F.cross_entropy, "NllLossBackward0"),
    ],
)
def test_an_in_place_change_of_what_a_loss_saved(loss, name):
    x = tg.zeros(2, 3, requires_grad=True)
    logits = x * 1
    target = tg.tensor([0, 1]) if loss is F.cross_entropy else tg.ones(2, 3)
    value = loss(logits, target)
    logits.mul_(2)
    what = "modified by an inplace operation: [torch.FloatTensor [2, 3]], which " + name
    with raises(RuntimeError, what, "is at version 1; expected version 0 instead",
                "It was last written by mul_ at", "x.clone()"):  # fmt: skip
        value.backward()


# and the slip that PyTorch lets pass
@pytest.mark.parametrize("name", ["BCELoss", "MSELoss", "CrossEntropyLoss", "KLDivLoss"])
def test_data_given_to_the_constructor(name):
    with raises(TypeError, f"Make the loss first, then call it: {name}()(input, target)"):
        getattr(nn, name)(tg.zeros(2), tg.zeros(2))
