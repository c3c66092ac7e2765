"""PyTorch's functions that ask for a margin between right and wrong classes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import dtypes
from ...dtypes import I64, Array
from ...op import wrap
from ..activation import relu
from ..arguments import kept
from ..broadcast import sum_row
from ..elementwise import where_row
from ..index import index_grad, index_row
from ..shape import reshape, to, unsqueeze_row
from .binary_rows import bce_logits_row
from .checks import (
    check_constant,
    check_floating,
    check_reduction,
    check_tensors,
    legacy,
    position,
    raise_dtypes,
    warn_if_made_by,
)
from .reduce import reduced, widened
from .regression import paired

if TYPE_CHECKING:
    from ...tensor import Tensor


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    r"""Return ``binary_cross_entropy_with_logits`` of each class, averaged over the classes, then reduced.

    For a row this is the mean of -w (t logsigmoid(x) + (1 - t) logsigmoid(-x)) over its C classes; the gradient with
    respect to x is w (s(x) - t) / C with the sigmoid s, divided by the number of rows for the mean.

    Parameters
    ----------
    input : Tensor of shape (..., C)
        Logits.
    target : Tensor that broadcasts with the input
        Labels 0 and 1.
    weight : Tensor, optional
        How much each class counts; anything that broadcasts.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : "mean", "sum" or "none"
        "none" leaves one number for each row.

    Notes
    -----
    Computed in float64 by the stable form of ``binary_cross_entropy_with_logits`` and rounded once.

    Raises
    ------
    RuntimeError
        If the input holds integers or the target bools, or if sizes do not broadcast.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x, t = tg.tensor([[2.0, -1.0], [0.0, 3.0]]), tg.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> tg.nn.functional.multilabel_soft_margin_loss(x, t, reduction="none")
    tensor([0.2201, 0.3709])
    """
    reduction = legacy(reduction, size_average, reduce)
    name = "multilabel_soft_margin_loss"
    check_reduction(reduction)
    check_tensors(name, input=input, target=target)
    check_floating(name, input)
    warn_if_made_by(name, input, ("sigmoid", "softmax"), "logits: it holds a sigmoid itself", "Drop the op.")
    if target._array.dtype.kind == "b":
        raise_dtypes(name, input, target)
    if weight is not None:
        check_tensors(name, weight=weight)
    dtype = dtypes.result_type(*(v._array for v in (input, target, weight) if v is not None)).numpy
    if not input._array.ndim:
        raise IndexError(f"{name}(): expected an input of 1 or more dimensions, (..., C), got 0")
    x, t = widened(*paired(name, input, target))
    terms = bce_logits_row(x, t, None, None, reduction="none")
    if weight is not None:
        terms = terms * to(weight, terms._array.dtype)
    rows = sum_row(terms, dim=(input._array.ndim - 1,), keepdim=False) / (input._array.shape[-1] or math.nan)
    return reduced(rows, reduction, dtype, "DivBackward0")  # type: ignore[no-any-return]


# --- many classes -------------------------------------------------------------------------------------------------


def _as_matrix(name: str, input: Tensor, target: Tensor, like_input: bool) -> tuple[Any, Array]:
    """The input as float64 (N, C), and the class numbers as (N, C) or (N,)."""
    x, t = input._array, target._array
    if x.ndim > 2 or (x.ndim and not x.shape[-1]):
        raise RuntimeError(
            f"{name}(): Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(x.shape)}"
        )
    check_floating(name, input)
    wanted = x.shape if like_input else x.shape[:-1]
    alone = x.shape in ((), (1,)) if like_input else x.shape[:-1] in ((), (1,))  # then a number may be a vector of one
    if t.shape != wanted and not (alone and t.shape in ((), (1,))):
        raise RuntimeError(
            f"{name}(): inconsistent target size: {list(t.shape)} for input of size {list(x.shape)}. Expected "
            f"{list(wanted)}"
        )
    if t.dtype != I64:
        raise RuntimeError(
            f"{name}(): expected scalar type Long but found {dtypes.of(t)}: the target holds class numbers, write "
            f"target.long()"
        )
    rows = reshape(*widened(input), x.shape if x.ndim == 2 else (1, x.size))
    return rows, kept(t).reshape(rows._array.shape if like_input else (len(rows._array),))


def _raise_class(name: str, target: Array, bad: Array, classes: int, end: str = "") -> None:
    if bad.any():
        place = position(int(np.argmax(bad)), target.shape)
        raise RuntimeError(
            f"{name}(): target out of range: target{list(place) or ''} is {int(target[place])}, but the input has {classes} "
            f"classes, numbered from 0 to {classes - 1}{end}"
        )


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    r"""Return sum over j != y of w_y max(0, margin - x_y + x_j)^p / C: the right class y shall lead by the margin.

    The gradient with respect to x_j is p w_y max(0, margin - x_y + x_j)^(p - 1) / C where the maximum is positive; with
    respect to x_y it is minus the sum of these. Divided by the number of rows for the mean.

    Parameters
    ----------
    input : Tensor of shape (N, C) or (C,)
    target : Tensor of class numbers, shape (N,) or ()
    p : 1 or 2
    margin : float
    weight : Tensor of shape (C,), optional
        How much the targets of each class count; the mean still divides by N.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : "mean", "sum" or "none"

    Notes
    -----
    Computed in float64 and rounded once.

    Raises
    ------
    ValueError
        If p is neither 1 nor 2, or the weight has not one dimension.
    RuntimeError
        If shapes or dtypes do not fit, or a target is no class number; it names the first.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([[0.1, 0.2, 0.4, 0.8]], requires_grad=True)
    >>> loss = tg.nn.functional.multi_margin_loss(x, tg.tensor([3]))
    >>> loss.backward()
    >>> loss, x.grad
    (tensor(0.3250, grad_fn=<MultiMarginLossBackward0>), tensor([[ 0.2500,  0.2500,  0.2500, -0.7500]]))
    """
    reduction = legacy(reduction, size_average, reduce)
    name = "multi_margin_loss"
    check_reduction(reduction)
    if p not in (1, 2):
        raise ValueError(f"{name}(): only p == 1 and p == 2 supported, got {p}")
    check_tensors(name, input=input, target=target)
    dtype, scalar = input._array.dtype, target._array.ndim == 0
    x, t = _as_matrix(name, input, target, like_input=False)
    n, classes = x._array.shape
    if weight is not None:
        check_tensors(name, weight=weight)
        check_constant(name, weight=weight)
        if weight._array.ndim != 1:
            raise ValueError(f"{name}(): weight must be one-dimensional, got shape {list(weight._array.shape)}")
        if weight._array.shape != (classes,):
            raise RuntimeError(
                f"{name}(): inconsistent weight size, expected {classes} but got {list(weight._array.shape)}"
            )
        if weight._array.dtype != dtype:
            raise_dtypes(name, input, weight, "weight")
    _raise_class(name, t, (t < 0) | (t >= classes), classes)
    right = index_row(x, index=(np.arange(n), t))
    short = relu(float(margin) - unsqueeze_row(right, dim=1) + x)
    terms = where_row(wrap(t[:, None] == np.arange(classes)), 0.0, short if p == 1 else short * short)
    rows = sum_row(terms, dim=(1,), keepdim=False) / classes
    if weight is not None:
        rows = rows * wrap(weight._array[t].astype(np.float64))
    rows = reshape(rows, ()) if scalar else rows
    return reduced(rows, reduction, dtype, "MultiMarginLossBackward0", fused=True)  # type: ignore[no-any-return]


def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    r"""Return sum over right classes k and wrong classes j of max(0, 1 - x_k + x_j) / C: each right one shall lead by 1.

    The gradient with respect to x_j is the number of right classes k for which the maximum counts, over C; with respect
    to x_k it is minus the number of wrong classes. Divided by the number of rows for the mean.

    Parameters
    ----------
    input : Tensor of shape (N, C) or (C,)
    target : Tensor of the same shape
        The numbers of the right classes, ended by -1: what follows the first -1 does not count.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : "mean", "sum" or "none"
        "none" leaves one number for each row.

    Notes
    -----
    Computed in float64 and rounded once.

    Raises
    ------
    RuntimeError
        If shapes or dtypes do not fit, or a target is neither a class number nor -1; it names the first.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([[0.1, 0.2, 0.4, 0.8]], requires_grad=True)
    >>> loss = tg.nn.functional.multilabel_margin_loss(x, tg.tensor([[3, 0, -1, 1]]))
    >>> loss.backward()
    >>> loss, x.grad
    (tensor(0.8500, grad_fn=<MultilabelMarginLossBackward0>), tensor([[-0.5000,  0.5000,  0.5000, -0.5000]]))
    """
    reduction = legacy(reduction, size_average, reduce)
    name = "multilabel_margin_loss"
    check_reduction(reduction)
    check_tensors(name, input=input, target=target)
    matrix = input._array.ndim == 2
    x, t = _as_matrix(name, input, target, like_input=True)
    n, classes = x._array.shape
    _raise_class(name, t, (t < -1) | (t >= classes), classes, "; -1 ends a row")
    counts = np.logical_and.accumulate(t >= 0, axis=1)
    right = np.zeros((n, classes), bool)
    rows, columns = np.nonzero(counts)
    right[rows, t[rows, columns]] = True
    # one line for each right class: how far each wrong one is from being 1 behind
    leaders = unsqueeze_row(index_row(x, index=(rows, t[rows, columns])), dim=1)
    terms = where_row(wrap(right[rows]), 0.0, relu(1.0 - leaders + index_row(x, index=(rows,))))
    lines = sum_row(terms, dim=(1,), keepdim=False) / classes
    loss = index_grad(lines, shape=(n,), index=(rows,))  # the sum of the lines of each row
    loss = loss if matrix else reshape(loss, ())
    return reduced(loss, reduction, input._array.dtype, "MultilabelMarginLossBackward0", fused=True)  # type: ignore[no-any-return]
