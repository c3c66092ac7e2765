"""PyTorch's functions on classes: cross-entropy and negative log-likelihood."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import dtypes
from ...dtypes import F32, F64, I64, Array
from ..shape import reshape, to
from .checks import (
    REDUCTIONS,
    Shape,
    check_constant,
    check_floating,
    check_reduction,
    check_tensors,
    legacy,
    position,
    warn,
    warn_if_made_by,
    warn_of_positive,
)
from .class_rows import class_axis, cross_entropy_row, nll_row
from .reduce import single
from .soft_rows import soft_row

if TYPE_CHECKING:
    from ...tensor import Tensor


_INT64 = range(-(2**63), 2**63)


def _check(name: str, input: Tensor, target: Tensor, ignore_index: Any, reduction: str) -> int:
    """Raise for what no kind of target allows; return ignore_index."""
    check_reduction(reduction)
    check_tensors(name, input=input, target=target)
    if not hasattr(ignore_index, "__index__") or isinstance(ignore_index, bool):
        raise TypeError(
            f"{name}(): argument 'ignore_index' must be int, not {type(ignore_index).__name__}: it is the class number "
            f"whose targets do not count"
        )
    ignored = operator.index(ignore_index)
    if ignored not in _INT64:
        raise ValueError(
            f"{name}(): Overflow: ignore_index is {ignored}, but class numbers are int64, {_INT64.start} to {_INT64.stop - 1}: "
            f"no target can have it. To leave none out, write ignore_index=-100."
        )
    return ignored


def _check_weight(name: str, weight: Tensor | None, classes: int) -> None:
    if weight is not None:
        check_tensors(name, weight=weight)
        if weight._array.shape != (classes,):
            raise RuntimeError(
                f"{name}(): weight tensor should be defined either for all {classes} classes or no classes but got "
                f"weight tensor of shape {list(weight._array.shape)}. It holds how much each class counts, in the order of "
                f"the class numbers; to leave one class out, write ignore_index."
            )


def _check_class_numbers(name: str, input: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    """Raise for what class numbers do not allow; what the numbers are is seen by the kernel. Return them in their shape."""
    x, t = input._array, target._array
    batches = x.ndim < 2 or x.shape[:1] == t.shape[:1]
    if batches and t.dtype != I64 and t.dtype != np.uint8:
        soft = name == "cross_entropy" and t.dtype.kind == "f"
        raise RuntimeError(
            f"{name}(): expected target dtype to be Long or Byte, but got {dtypes.of(t)}. Write target.long() for "
            f"class numbers" + (f"; probabilities must have the shape {list(x.shape)} of the input." if soft else ".")
        )
    if not x.ndim:
        raise ValueError(f"{name}(): expected an input of 1 or more dimensions, (C,) or (N, C, ...), got 0")
    expected = x.shape[:1] + x.shape[2:] if x.ndim > 1 else ()
    if t.shape != expected and not (x.ndim == 1 and t.shape == (1,)):
        _raise_sizes(name, x.shape, t.shape, expected)
    check_floating(name, input)
    _check_weight(name, weight, x.shape[class_axis(x)])
    if weight is not None:
        check_constant(name, weight=weight)
        if weight._array.dtype != x.dtype:
            raise RuntimeError(
                f"{name}(): expected a weight of dtype {dtypes.of(x)}, that of the input, but got "
                f"{dtypes.of(weight._array)}. Write weight.to(input.dtype)."
            )
    return target if t.shape == expected else reshape(target, expected)


def _raise_sizes(name: str, x: Shape, t: Shape, expected: Shape) -> None:
    rule = (
        f"an input of shape {list(x)} has {x[len(x) > 1]} classes along dimension {int(len(x) > 1)} and takes class "
        f"numbers of shape {list(expected)}, got {list(t)}."
    )
    soft = " Probabilities must have the shape of the input." if name == "cross_entropy" else ""
    if len(x) > 1 and t[:1] != x[:1]:
        raise ValueError(f"{name}(): {rule} The batch sizes {x[0]} and {t[0] if t else 0} differ.{soft}")
    if len(x) <= 2 and len(t) > 1:
        how = " Write target.squeeze(1)." if t == (x[0], 1) else ""
        raise RuntimeError(f"{name}(): 0D or 1D target tensor expected, multi-target not supported: {rule}{how}{soft}")
    if len(x) > 2 and t == x[:-1]:
        how = "input.transpose(1, 2)" if len(x) == 3 else "input.movedim(-1, 1)"
        raise RuntimeError(f"{name}(): {rule} If the classes are in the last dimension, write {how}.")
    raise (RuntimeError if len(x) > 2 else ValueError)(f"{name}(): {rule}")


def _wide(*tensors: Tensor | None) -> tuple[Any, ...]:
    """Half precision as float32, which is what kernels take."""
    return tuple(None if t is None else to(t, single(t._array.dtype)) for t in tensors)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    r"""Return the negative log-likelihood of class numbers, -w_y x_y for the class y of each row x.

    ``log_softmax`` followed by this is ``cross_entropy``. The gradient is -w_y at the class y and 0 elsewhere, divided
    by the sum of the weights for the mean.

    Parameters
    ----------
    input : Tensor of shape (N, C), (C,), or (N, C, d1, ..., dk)
        Log-probabilities: what ``log_softmax(x, dim=1)`` gives. They are not validated, as in PyTorch.
    target : Tensor of shape (N,), () or (N, d1, ..., dk), int64 or uint8
        Class numbers, 0 to C - 1.
    weight : Tensor of shape (C,), optional
        How much each class counts.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    ignore_index : int
        The class number whose targets do not count. It is no position.
    reduction : "mean", "sum" or "none"
        The mean divides by the sum of the weights of the targets that count. It is NaN where none does, with a warning.

    Notes
    -----
    Sums are taken in float64 with compensation and rounded once. NaN counts where its class is the target, as in PyTorch.

    Raises
    ------
    IndexError
        If a target is out of bounds; it names the first, and its place.
    RuntimeError
        If the target has two dimensions for an input of two, or a dtype that numbers no classes.
    ValueError
        If the batch sizes differ.

    Warns
    -----
    UserWarning
        If the loss is negative and the input cannot be log-probabilities; it names the first positive element.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> logp = tg.log_softmax(tg.tensor([[1.0, 2.0, 3.0]]), dim=1)
    >>> tg.nn.functional.nll_loss(logp, tg.tensor([2]))
    tensor(0.4076)
    """
    reduction = legacy(reduction, size_average, reduce)
    name = "nll_loss"
    ignore_index = _check(name, input, target, ignore_index, reduction)
    target = _check_class_numbers(name, input, target, weight)
    warn_if_made_by(name, input, ("softmax", "sigmoid"), "log-probabilities", "Write log_softmax instead.")
    dtype = input._array.dtype
    x, w = _wide(input, weight)
    out = nll_row(x, to(target, I64), w, ignore_index=ignore_index, reduction=reduction)
    if reduction == "mean" and math.isnan(out._array):
        _warn_of_nothing(name, target, weight, ignore_index)
    elif out._array.size == 1 and out._array.reshape(-1)[0] < 0:
        warn_of_positive(name, input._array, "a probability is at most 1")
    return to(out, dtype)  # type: ignore[no-any-return]


def _warn_of_nothing(name: str, target: Tensor, weight: Tensor | None, ignore_index: int) -> None:
    """Say why the mean has nothing to divide by, if that is why it is NaN and the batch is not empty."""
    t = target._array
    kept = t[t != ignore_index]
    if t.size and not kept.size:
        warn(
            f"{name}(): all {t.size} targets are ignore_index, {ignore_index}, so the mean is that of nothing, NaN. Skip such "
            f"batches, or write reduction='sum' and divide by max(1, (target != {ignore_index}).sum())."
        )
    elif kept.size and weight is not None and not weight._array[kept].any():
        warn(
            f"{name}(): the weights of all targets are 0, the first of them weight[{int(kept[0])}], so the mean divides 0 by "
            f"0, NaN. Skip such batches, or write reduction='sum'."
        )


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    r"""Return the cross-entropy of targets and the softmax of logits, sum over classes of q_c (logsumexp(x) - x_c).

    q_c is what class c counts for: its weight w_c times its share of the target. For a class number y this is
    w_y (logsumexp(x) - x_y), that is ``log_softmax`` followed by ``nll_loss``. The gradient with respect to x is
    sum(q) softmax(x) - q, divided by what the reduction divides by.

    Parameters
    ----------
    input : Tensor of shape (N, C), (C,), or (N, C, d1, ..., dk)
        Logits: what the last Linear gives, without a Softmax. The classes are in dimension 1: for (N, T, C) write
        ``input.transpose(1, 2)``.
    target : Tensor
        Class numbers 0 to C - 1, int64 or uint8, of shape (N,), () or (N, d1, ..., dk); or probabilities of the input's
        shape, which then get a gradient too. Which of the two it is, the shape alone decides.
    weight : Tensor of shape (C,), optional
        How much each class counts.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    ignore_index : int
        The class number whose targets do not count. It is no position.
    reduction : "mean", "sum" or "none"
        The mean divides by the sum of the weights w_y of the targets that count (NaN where none does, with a warning),
        for probabilities by the number of rows.
    label_smoothing : float between 0 and 1
        e moves a share of the target to all classes alike: (1 - e) t_c + e / C. After Szegedy et al., "Rethinking the
        Inception architecture for computer vision" (2016).

    Notes
    -----
    With the largest logit m, logsumexp(x) is m + log1p(sum of the other exp(x_c - m)): it does not overflow, and the
    loss of a confident, right answer keeps its digits. PyTorch rounds 1 + 4e-9 to 1 and returns 0 for the logits
    [20, 0, 0] and class 0. Value and gradient are within 2 ULP; sums are taken in float64 and rounded once. A class of
    share 0 counts 0, though its logit be -inf, where PyTorch gives NaN. A negative ``label_smoothing`` raises, where
    PyTorch ignores it. NaN in a row gives that row a loss and gradient of NaN, as in PyTorch, unless its target is ignored:
    then its gradient is 0, where PyTorch gives NaN.

    Raises
    ------
    IndexError
        If a target is out of bounds; it names the first, and its place.
    RuntimeError
        If the target has two dimensions for an input of two; if its dtype fits neither class numbers nor
        probabilities; if ``label_smoothing`` is not between 0 and 1.
    ValueError
        If the batch sizes differ.

    Warns
    -----
    UserWarning
        If the input comes from a Softmax, if all targets are ignored, or if probabilities do not sum to 1.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([[20.0, 0.0, 0.0]], requires_grad=True)
    >>> loss = tg.nn.functional.cross_entropy(x, tg.tensor([0]))
    >>> loss.backward()
    >>> loss, x.grad
    (tensor(4.1223e-09, grad_fn=<NllLossBackward0>), tensor([[-4.1223e-09,  2.0612e-09,  2.0612e-09]]))
    """
    reduction = legacy(reduction, size_average, reduce)
    try:
        x, t = input._array, target._array
    except AttributeError:
        check_tensors("cross_entropy", input=input, target=target)
        raise
    if input._node is not None:
        instead = "Drop the Softmax, or use NLLLoss after LogSoftmax."
        warn_if_made_by("cross_entropy", input, ("softmax", "sigmoid"), "logits: it holds a Softmax itself", instead)
    if (
        t.dtype is I64
        and t.ndim == 1
        and x.ndim == 2
        and len(t) == len(x)
        and (x.dtype is F32 or x.dtype is F64)
        and weight is None
        and label_smoothing == 0.0
        and ignore_index.__class__ is int
        and ignore_index in _INT64
        and reduction in REDUCTIONS
    ):  # the common case, in as few steps as may be
        out = cross_entropy_row(
            input, target, None, ignore_index=ignore_index, label_smoothing=0.0, reduction=reduction
        )
        if reduction == "mean" and math.isnan(out._array):
            _warn_of_nothing("cross_entropy", target, None, ignore_index)
        return out  # type: ignore[no-any-return]
    ignore_index = _check("cross_entropy", input, target, ignore_index, reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    settings = {"label_smoothing": float(label_smoothing), "reduction": reduction}
    if x.shape == t.shape:
        return _soft(input, target, weight, ignore_index, settings)
    target = _check_class_numbers("cross_entropy", input, target, weight)
    logits, w = _wide(input, weight)
    out = cross_entropy_row(logits, to(target, I64), w, ignore_index=ignore_index, **settings)
    if reduction == "mean" and math.isnan(out._array):
        _warn_of_nothing("cross_entropy", target, weight, ignore_index)
    return to(out, x.dtype)  # type: ignore[no-any-return]


def _soft(input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, settings: dict[str, Any]) -> Tensor:
    """Cross-entropy with probabilities."""
    x, t = input._array, target._array
    if t.dtype.kind != "f":
        raise RuntimeError(
            f"cross_entropy(): expected floating point type for target with class probabilities, got {dtypes.of(t)}: "
            f"a target of the input's shape {list(x.shape)} holds probabilities, write target.float(); class numbers "
            f"have the shape {list(x.shape[:1] + x.shape[2:] if x.ndim > 1 else ())}"
        )
    if not x.ndim:
        raise IndexError("cross_entropy(): expected an input of 1 or more dimensions, (C,) or (N, C, ...), got 0")
    check_floating("cross_entropy", input)
    if ignore_index >= 0:
        raise RuntimeError(
            f"ignore_index is not supported for floating point target: it is a class number, here {ignore_index}, but "
            f"the target holds probabilities. Give the rows that shall not count the probabilities 0."
        )
    _check_weight("cross_entropy", weight, x.shape[class_axis(x)])
    if weight is not None:
        weight = reshape(weight, (-1,) + (1,) * (x.ndim - 2))
    given = [v for v in (input, target, weight) if v is not None]
    dtype = np.result_type(*(v._array.dtype for v in given))
    inside = single(dtype)
    out, pieces = soft_row(*(None if v is None else to(v, inside) for v in (input, target, weight)), **settings)
    if pieces._array[2].any():
        _warn_of_sums(t, pieces._array[2])
    return to(out, dtype)  # type: ignore[no-any-return]


def _warn_of_sums(t: Array, excess: Array) -> None:
    row = int(np.argmax(excess != 0))
    d = class_axis(t)
    shape = t.shape[:d] + t.shape[d + 1 :]
    place = [str(k) for k in position(row, shape)] if shape else []
    if t.ndim > 2:
        place.insert(1, ":")
    shown = f"[{', '.join(place)}]" if place else ""
    warn(
        f"cross_entropy(): the probabilities of a target should sum to 1, but those of target{shown} sum to "
        f"{1.0 + float(excess[row]):g}. Write target / target.sum({d}, keepdim=True); for several labels at once there is "
        f"binary_cross_entropy_with_logits."
    )
