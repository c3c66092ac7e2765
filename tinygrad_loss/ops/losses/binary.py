"""PyTorch's functions on yes-or-no labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...dtypes import F32, F64
from ..shape import to
from .binary_rows import bce_logits_row, bce_row
from .checks import (
    REDUCTIONS,
    check_broadcast,
    check_constant,
    check_floating,
    check_no_bools,
    check_reduction,
    check_tensors,
    factors,
    legacy,
    raise_dtypes,
    raise_sizes,
    warn_if_made_by,
)
from .reduce import single

if TYPE_CHECKING:
    from ...tensor import Tensor


def _weights(name: str, dtype: Any, shape: tuple[int, ...], **weights: Tensor | None) -> list[Any]:
    """Weights that may be applied, in the dtype to compute in."""
    for argument, weight in weights.items():
        if weight is not None:
            check_tensors(name, **{argument: weight})
            check_constant(name, **{argument: weight})
            check_broadcast(name, argument, weight, shape)
    return [factors(weight, dtype) for weight in weights.values()]


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    r"""Return the cross-entropy of labels and probabilities, -w (t log x + (1 - t) log(1 - x)).

    The gradient with respect to x is w (x - t) / (x (1 - x)), divided by the number of elements for the mean.

    Parameters
    ----------
    input : Tensor of any shape
        Probabilities: what a Sigmoid gives. For logits there is ``binary_cross_entropy_with_logits``, which is to be
        preferred: a float32 probability cannot tell 1 - 1e-9 from 1, so that confident answers lose their gradient.
    target : Tensor of the same shape and dtype
        Labels 0 and 1, or anything between.
    weight : Tensor, optional
        How much each element counts; broadcasts to the shape of the input. The mean still divides by the number of
        elements.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : "mean", "sum" or "none"
        The mean over no elements is NaN.

    Notes
    -----
    Both logarithms are clamped at -100 and x (1 - x) at 1e-12 from below, so that loss and gradient are finite where a
    probability is 0 or 1; the gradient of the target is that of the clamped logarithms (PyTorch's is infinite there).
    Computed in float64 and rounded once: within 1 ULP of the formula in float32.

    Raises
    ------
    RuntimeError
        If an element of input or target is not between 0 and 1, NaN included; it names the first. If dtypes differ.
    ValueError
        If shapes differ, (N,) against (N, 1) included; it says what to write.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> p = tg.tensor([0.2, 0.6, 0.8], requires_grad=True)
    >>> loss = tg.nn.functional.binary_cross_entropy(p, tg.tensor([0.0, 0.0, 1.0]))
    >>> loss.backward()
    >>> loss, p.grad
    (tensor(0.4542, grad_fn=<BinaryCrossEntropyBackward0>), tensor([ 0.4167,  0.8333, -0.4167]))
    """
    reduction = legacy(reduction, size_average, reduce)
    try:
        x, t = input._array, target._array
    except AttributeError:
        check_tensors("binary_cross_entropy", input=input, target=target)
        raise
    if (
        weight is None
        and x.shape == t.shape
        and x.dtype is t.dtype
        and (x.dtype is F32 or x.dtype is F64)
        and reduction in REDUCTIONS
    ):  # the common case, in as few steps as may be
        return bce_row(input, target, None, reduction=reduction)  # type: ignore[no-any-return]
    name = "binary_cross_entropy"
    check_reduction(reduction)
    if x.shape != t.shape:
        raise_sizes(name, input, target)
    check_floating(name, input)
    if x.dtype != t.dtype:
        raise_dtypes(name, input, target)
    dtype = single(x.dtype)
    (factor,) = _weights(name, dtype, x.shape, weight=weight)
    return to(bce_row(to(input, dtype), to(target, dtype), factor, reduction=reduction), x.dtype)  # type: ignore[no-any-return]


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    r"""Return the cross-entropy of labels and logits, w (p t softplus(-x) + (1 - t) softplus(x)), p the ``pos_weight``.

    Sigmoid and ``binary_cross_entropy`` in one. The gradient with respect to x is w ((1 - t) s(x) - p t s(-x)) with
    the sigmoid s, which is w (s(x) - t) without ``pos_weight``; divided by the number of elements for the mean.

    Parameters
    ----------
    input : Tensor of any shape
        Logits: what the last Linear gives, without a Sigmoid.
    target : Tensor of the same shape
        Labels 0 and 1 as floating point numbers, or anything between; the range is not checked, as in PyTorch.
    weight : Tensor, optional
        How much each element counts; broadcasts to the shape of the input.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : "mean", "sum" or "none"
        The mean divides by the number of elements, also with weights; over no elements it is NaN.
    pos_weight : Tensor, optional
        How much the positive targets of each class count, shape (C,) for an input (N, C): above 1 for recall, below
        for precision. Negatives / positives makes up for a rare class.

    Notes
    -----
    softplus(x) = max(x, 0) + log1p(exp(-|x|)) neither overflows nor cancels, and both terms are computed apart. PyTorch
    computes (1 - t) x - logsigmoid(x), whose terms cancel: in float32 it returns 0 from x = -17 down at t = 0, where
    the loss is 4e-8, and a gradient of 0 from x = 17 up at t = 1. Computed in float64 and rounded once: value and
    gradient are within 1 ULP in float32. A term that a target, weight or ``pos_weight`` of 0 excludes counts 0, though
    its logit be infinite. NaN in either gives NaN, as in PyTorch. Where a soft target agrees with the sigmoid to the last
    digits of float32, their difference has the error of float64.

    Raises
    ------
    ValueError
        If shapes differ; it says what to write.
    RuntimeError
        If the target holds integers or bools, or if a weight does not broadcast or would enlarge the loss.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([-20.0, 3.0], requires_grad=True)
    >>> loss = tg.nn.functional.binary_cross_entropy_with_logits(x, tg.tensor([0.0, 1.0]), reduction="none")
    >>> loss.sum().backward()
    >>> loss.detach(), x.grad
    (tensor([2.0612e-09, 4.8587e-02]), tensor([ 2.0612e-09, -4.7426e-02]))
    """
    reduction = legacy(reduction, size_average, reduce)
    name = "binary_cross_entropy_with_logits"
    try:
        x, t = input._array, target._array
    except AttributeError:
        check_tensors(name, input=input, target=target)
        raise
    if input._node is not None:
        warn_if_made_by(
            name, input, ("sigmoid", "softmax"), "logits: it holds a Sigmoid itself", "Drop the op, or use BCELoss."
        )
    if (
        weight is None
        and pos_weight is None
        and x.shape == t.shape
        and x.dtype is t.dtype
        and (x.dtype is F32 or x.dtype is F64)
        and reduction in REDUCTIONS
    ):
        return bce_logits_row(input, target, None, None, reduction=reduction)  # type: ignore[no-any-return]
    check_reduction(reduction)
    if x.shape != t.shape:
        raise_sizes(name, input, target)
    check_floating(name, input)
    if t.dtype.kind != "f":
        raise_dtypes(name, input, target)
    common = np.promote_types(x.dtype, t.dtype)
    dtype = single(common)
    if pos_weight is not None:
        check_tensors(name, pos_weight=pos_weight)
        check_no_bools(name, pos_weight=pos_weight)
    both = _weights(name, dtype, x.shape, weight=weight, pos_weight=pos_weight)
    return to(bce_logits_row(to(input, dtype), to(target, dtype), *both, reduction=reduction), common)  # type: ignore[no-any-return]
