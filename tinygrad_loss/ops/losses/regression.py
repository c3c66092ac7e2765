"""PyTorch's functions on targets that are real numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import dtypes
from ..broadcast import expand_row, sum_row
from ..shape import to
from .checks import advice, check_no_bools, check_reduction, check_tensors, legacy, warn
from .distance_rows import huber_row, mse_row, smooth_l1_row
from .reduce import reduced, single, widened

if TYPE_CHECKING:
    from ...tensor import Tensor


def same_shape(name: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both in their common shape, with a warning where they do not have the same: that is rarely meant."""
    x, t = input._array.shape, target._array.shape
    if x == t:
        return input, target
    warn(
        f"{name}(): Using a target size {list(t)} that is different to the input size {list(x)}. This will likely lead "
        f"to incorrect results due to broadcasting. {advice(x, t)}"
    )
    return broadcast(name, input, target)


def broadcast(name: str, *tensors: Tensor) -> tuple[Any, ...]:
    """Tensors in their common shape."""
    shapes = [t._array.shape for t in tensors]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        raise RuntimeError(
            f"{name}(): the sizes {' and '.join(str(list(s)) for s in shapes)} do not broadcast: at each dimension, "
            f"counted from the end, they must be equal or 1. {advice(shapes[0], shapes[-1])}"
        ) from None
    return tuple(t if t._array.shape == shape else expand_row(t, shape=shape) for t in tensors)


def paired(name: str, input: Tensor, target: Tensor) -> tuple[Any, ...]:
    """Both in their common shape, with a warning where it is larger than either: all pairs are rarely meant."""
    x, t = input._array.shape, target._array.shape
    pair = broadcast(name, input, target)
    size = math.prod(pair[0]._array.shape)
    if x != t and size > max(math.prod(x), math.prod(t)):
        warn(
            f"{name}(): an input of size {list(x)} and a target of size {list(t)} broadcast to "
            f"{list(pair[0]._array.shape)}: each element is compared with several. {advice(x, t)}"
        )
    return pair


def common(name: str, *tensors: Tensor) -> Any:
    """The floating point dtype that tensors promote to."""
    dtype = dtypes.result_type(*(t._array for t in tensors)).numpy
    if dtype.kind != "f":
        raise RuntimeError(f'"{name}" not implemented for {dtypes.numpy_of(dtype)}: write {name}(input.float(), ...)')
    return dtype


def _checked(
    name: str, input: Any, target: Any, weight: Any, reduction: str, size_average: bool | None, reduce: bool | None
) -> str:
    reduction = legacy(reduction, size_average, reduce)
    check_reduction(reduction)
    check_tensors(name, input=input, target=target)
    if weight is not None:
        check_tensors(name, weight=weight)
        if weight._array.shape != input._array.shape:
            raise ValueError(
                f"{name}(): Weights and input must have the same size, got {list(weight._array.shape)} and "
                f"{list(input._array.shape)}. Write weight.expand_as(input)."
            )
    return reduction


def _apply(
    name: str, row: Any, input: Tensor, target: Tensor, reduction: str, dtype: Any = None, **params: Any
) -> Tensor:
    x, t = same_shape(name, input, target)
    promoted = common(name, x, t)  # once broadcast, a number counts as much as an array does
    inside = single(promoted)
    out = row(to(x, inside), to(t, inside), reduction=reduction, **params)
    return to(out, dtype or promoted)  # type: ignore[no-any-return]


def _weighted(
    name: str, row: Any, input: Tensor, target: Tensor, weight: Tensor, reduction: str, by_weight: bool, **params: Any
) -> Tensor:
    x, t = same_shape(name, input, target)
    dtype = common(name, x, t, weight)
    x, t, w = widened(x, t, weight)
    terms = row(x, t, reduction="none", **params) * w
    if reduction == "mean" and by_weight:
        total, whole = (sum_row(v, dim=None, keepdim=False) for v in (terms, w))
        return reduced(total / whole, "none", dtype, "DivBackward0")  # type: ignore[no-any-return]
    return reduced(terms, reduction, dtype, "MulBackward0")  # type: ignore[no-any-return]


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    r"""Return the squared error w (x - t)^2.

    The gradient with respect to x is 2 w (x - t), divided by the number of elements for the mean, and its negative
    with respect to t.

    Parameters
    ----------
    input : Tensor of any shape
    target : Tensor of the same shape
        Another shape is broadcast, with a warning: (N,) against (N, 1) compares all with all.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : "mean", "sum" or "none"
        The mean over no elements is NaN.
    weight : Tensor of the input's shape, optional
        How much each element counts. The mean divides by the sum of the weights.

    Notes
    -----
    Computed in float64 and rounded once; a sum over many elements keeps all its digits. NaN in either gives a loss and
    gradients of NaN, as in PyTorch.

    Raises
    ------
    RuntimeError
        If both hold integers, or sizes do not broadcast.
    ValueError
        If the weight has another shape than the input.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> loss = tg.nn.functional.mse_loss(x, tg.tensor([1.0, 4.0]))
    >>> loss.backward()
    >>> loss, x.grad
    (tensor(2., grad_fn=<MseLossBackward0>), tensor([ 0., -2.]))
    """
    reduction = _checked("mse_loss", input, target, weight, reduction, size_average, reduce)
    if weight is not None:
        return _weighted("mse_loss", mse_row, input, target, weight, reduction, True)
    if (
        input._array.dtype is target._array.dtype
        and input._array.shape == target._array.shape
        and input._array.dtype.char in "fd"
    ):  # the common case, in as few steps as may be
        return mse_row(input, target, reduction=reduction)  # type: ignore[no-any-return]
    return _apply("mse_loss", mse_row, input, target, reduction)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    r"""Return the absolute error w |x - t|.

    The gradient with respect to x is w sign(x - t), 0 where x = t, divided by the number of elements for the mean.

    Parameters
    ----------
    input : Tensor of any shape
    target : Tensor of the same shape
        Another shape is broadcast, with a warning.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : "mean", "sum" or "none"
        The mean over no elements is NaN.
    weight : Tensor of the input's shape, optional
        How much each element counts. The mean divides by the sum of the weights.

    Notes
    -----
    Computed in float64 and rounded once. The gradient is the sign of x - t: 0 where they are equal, and 0 where the
    difference is NaN, as in PyTorch.

    Raises
    ------
    RuntimeError
        If both hold integers, or sizes do not broadcast.
    ValueError
        If the weight has another shape than the input.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> loss = tg.nn.functional.l1_loss(x, tg.tensor([1.0, 4.0, 2.0]), reduction="sum")
    >>> loss.backward()
    >>> loss, x.grad
    (tensor(3., grad_fn=<SumBackward0>), tensor([ 0., -1.,  1.]))
    """
    reduction = _checked("l1_loss", input, target, weight, reduction, size_average, reduce)
    check_no_bools("l1_loss", input=input, target=target)
    if weight is not None:
        return _weighted("l1_loss", smooth_l1_row, input, target, weight, reduction, True, beta=0.0)
    return _apply("l1_loss", smooth_l1_row, input, target, reduction, beta=0.0)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    r"""Return the absolute error, rounded off to a parabola near 0: d^2 / (2 beta) if d = |x - t| < beta, else d - beta / 2.

    The gradient with respect to x is (x - t) / beta, at most 1 in size, divided by the number of elements for the mean:
    outliers do not pull harder than a distance of beta does.

    Parameters
    ----------
    input : Tensor of any shape
    target : Tensor of the same shape
        Another shape is broadcast, with a warning.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : "mean", "sum" or "none"
        The mean over no elements is NaN.
    beta : float
        Where the parabola ends and the line begins; 0 gives ``l1_loss``.

    Notes
    -----
    Computed in float64 and rounded once. ``huber_loss`` with delta = beta is beta times as large.
    NaN in either gives a loss and a gradient of NaN, as in PyTorch; the gradient is 0 there for beta = 0.

    Raises
    ------
    RuntimeError
        If beta is negative, both hold integers, or sizes do not broadcast.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([0.5, 4.0], requires_grad=True)
    >>> loss = tg.nn.functional.smooth_l1_loss(x, tg.zeros(2), reduction="none")
    >>> loss.sum().backward()
    >>> loss, x.grad
    (tensor([0.1250, 3.5000], grad_fn=<SmoothL1LossBackward0>), tensor([0.5000, 1.0000]))
    """
    reduction = _checked("smooth_l1_loss", input, target, None, reduction, size_average, reduce)
    if not beta >= 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta: got {beta}; 0 gives l1_loss")
    if beta == 0:
        check_no_bools("smooth_l1_loss", input=input, target=target)
    return _apply("smooth_l1_loss", smooth_l1_row, input, target, reduction, beta=float(beta))


def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    r"""Return the squared error halved, continued as a line: w d^2 / 2 if d = |x - t| < delta, else w delta (d - delta / 2).

    The gradient with respect to x is w (x - t), at most w delta in size, divided by the number of elements for the mean.

    Parameters
    ----------
    input : Tensor of any shape
    target : Tensor of the same shape
        Another shape is broadcast, with a warning.
    reduction : "mean", "sum" or "none"
        The mean over no elements is NaN.
    delta : float
        Where the parabola ends and the line begins; infinity gives half of ``mse_loss``.
    weight : Tensor of the input's shape, optional
        How much each element counts. The mean divides by the number of elements.

    Notes
    -----
    Computed in float64 and rounded once. After P. J. Huber, "Robust Estimation of a Location Parameter" (1964). The
    result has the dtype of the input, or of the promoted weight where there is one; NaN gives NaN: as in PyTorch.

    Raises
    ------
    RuntimeError
        If delta is not positive, the input holds integers, or sizes do not broadcast.
    ValueError
        If the weight has another shape than the input.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([0.5, 4.0], requires_grad=True)
    >>> loss = tg.nn.functional.huber_loss(x, tg.zeros(2), reduction="none", delta=2.0)
    >>> loss.sum().backward()
    >>> loss, x.grad
    (tensor([0.1250, 6.0000], grad_fn=<HuberLossBackward0>), tensor([0.5000, 2.0000]))
    """
    reduction = _checked("huber_loss", input, target, weight, reduction, None, None)
    if not delta > 0:
        raise RuntimeError(f"huber_loss does not support non-positive values for delta: got {delta}")
    dtype = common("huber_loss", input)
    if weight is not None:
        return _weighted("huber_loss", huber_row, input, target, weight, reduction, False, delta=float(delta))
    return _apply("huber_loss", huber_row, input, target, reduction, dtype, delta=float(delta))
