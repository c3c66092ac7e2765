"""PyTorch's functions that ask for a margin between right and wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import dtypes
from ..activation import logsigmoid
from ..elementwise import clamp_min_row, where_row
from .checks import (
    advice,
    check_constant,
    check_floating,
    check_no_bools,
    check_reduction,
    check_tensors,
    legacy,
    warn_if_made_by,
)
from .reduce import reduced, widened
from .regression import broadcast, paired

if TYPE_CHECKING:
    from ...tensor import Tensor


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    r"""Return the logistic loss of labels -1 and 1, log(1 + exp(-t x)).

    The gradient with respect to x is -t s(-t x) with the sigmoid s, divided by the number of elements for the mean.

    Parameters
    ----------
    input : Tensor of any shape
    target : Tensor that broadcasts to the input's shape
        Labels -1 and 1. They get no gradient, as in PyTorch.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : "mean", "sum" or "none"

    Notes
    -----
    Computed as -logsigmoid(t x), in float64 and rounded once. PyTorch computes the formula as it stands: at t x = -1000
    it overflows to inf with a NaN gradient, at t x = 17 it is 0 where the loss is 4e-8.

    Raises
    ------
    RuntimeError
        If the input holds integers, or the target does not broadcast to the input's size.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([-1000.0, 0.0, 20.0], requires_grad=True)
    >>> loss = tg.nn.functional.soft_margin_loss(x, tg.ones(3), reduction="none")
    >>> loss.sum().backward()
    >>> loss, x.grad  # doctest: +NORMALIZE_WHITESPACE
    (tensor([1.0000e+03, 6.9315e-01, 2.0612e-09], grad_fn=<SoftMarginLossBackward0>),
     tensor([-1.0000e+00, -5.0000e-01, -2.0612e-09]))
    """
    reduction = legacy(reduction, size_average, reduce)
    name = "soft_margin_loss"
    check_reduction(reduction)
    check_tensors(name, input=input, target=target)
    check_floating(name, input)
    check_constant(name, target=target)
    warn_if_made_by(name, input, ("sigmoid", "softmax"), "logits: it holds a sigmoid itself", "Drop the op.")
    x, t = widened(*broadcast(name, input, target))
    dtype = input._array.dtype
    if x._array.shape != input._array.shape:
        given, size = list(target._array.shape), list(input._array.shape)
        raise RuntimeError(
            f"{name}(): a target of size {given} would enlarge the loss, which has the input's size {size}. "
            f"{advice(input._array.shape, target._array.shape)}"
        )
    return reduced(-logsigmoid(t * x), reduction, dtype, "SoftMarginLossBackward0", fused=True)  # type: ignore[no-any-return]


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    r"""Return x where t = 1, and max(0, margin - x) where t = -1: distances of like and of unlike pairs.

    The gradient with respect to x is 1 where t = 1; where t = -1 it is -1 up to the margin and 0 beyond. Divided by
    the number of elements for the mean.

    Parameters
    ----------
    input : Tensor of any shape
        Distances.
    target : Tensor that broadcasts with the input
        1 for like, -1 for unlike; any other value adds both, as in PyTorch.
    margin : float
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : "mean", "sum" or "none"

    Raises
    ------
    RuntimeError
        If sizes do not broadcast; if the input holds bools, or integers whose mean is asked for.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([0.5, 0.3, 2.0], requires_grad=True)
    >>> loss = tg.nn.functional.hinge_embedding_loss(x, tg.tensor([1, -1, -1]), reduction="none")
    >>> loss.sum().backward()
    >>> loss, x.grad
    (tensor([0.5000, 0.7000, 0.0000], grad_fn=<AddBackward0>), tensor([ 1., -1.,  0.]))
    """
    reduction = legacy(reduction, size_average, reduce)
    name = "hinge_embedding_loss"
    check_reduction(reduction)
    check_tensors(name, input=input, target=target)
    dtype = input._array.dtype
    if dtype.kind == "b":
        raise RuntimeError(f"{name}(): expected distances, got bools: write .float()")
    if dtype.kind != "f" and reduction == "mean":
        raise RuntimeError(
            f"{name}(): the mean of integers has no dtype, got {dtypes.of(input._array)}: write .float()"
        )
    dtype = dtypes.I64 if dtype.kind != "f" and reduction == "sum" else dtype
    x, t = widened(*paired(name, input, target))
    unlike = where_row(t != 1, clamp_min_row(float(margin) - x, 0.0), 0.0)
    return reduced(where_row(t != -1, x, 0.0) + unlike, reduction, dtype, "AddBackward0")  # type: ignore[no-any-return]


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    r"""Return max(0, margin - t (x1 - x2)): t = 1 asks for x1 to be the larger by the margin, t = -1 for x2.

    The gradient with respect to x1 is -t where the loss is positive, or just 0, and 0 elsewhere; with respect to x2 it is
    the negative. Divided by the number of elements for the mean.

    Parameters
    ----------
    input1, input2, target : Tensors of one shape, or of the same number of dimensions that broadcast
    margin : float
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : "mean", "sum" or "none"

    Raises
    ------
    RuntimeError
        If the numbers of dimensions differ, or sizes do not broadcast.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> a, b = tg.tensor([1.0, 2.0], requires_grad=True), tg.tensor([0.0, 3.0])
    >>> loss = tg.nn.functional.margin_ranking_loss(a, b, tg.ones(2), reduction="none")
    >>> loss.sum().backward()
    >>> loss, a.grad
    (tensor([0., 1.], grad_fn=<ClampMinBackward0>), tensor([-0., -1.]))
    """
    reduction = legacy(reduction, size_average, reduce)
    name = "margin_ranking_loss"
    check_reduction(reduction)
    check_tensors(name, input1=input1, input2=input2, target=target)
    sizes = [v._array.shape for v in (input1, input2, target)]
    if len({len(s) for s in sizes}) > 1:
        raise RuntimeError(
            f"{name}(): All input tensors should have same dimension but got sizes: input1: {list(sizes[0])}, input2: "
            f"{list(sizes[1])}, target: {list(sizes[2])}. Write target.unsqueeze(1), or the like."
        )
    if target._array.dtype.kind == "b":
        raise RuntimeError(f"{name}(): the target holds -1 and 1, not bools: write target.float() * 2 - 1")
    check_no_bools(name, input1=input1, input2=input2)
    dtype = dtypes.result_type(input1._array, input2._array, target._array, 1.0).numpy
    a, b, t = widened(*broadcast(name, input1, input2, target))
    loss = clamp_min_row(float(margin) - t * (a - b), 0.0)
    return reduced(loss, reduction, dtype, "ClampMinBackward0")  # type: ignore[no-any-return]
