"""Rows of the losses whose target is a class number: cross-entropy on logits, and negative log-likelihood."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import kernels
from ...dtypes import Array
from ...op import op, sample
from ..activation import softmax_grad, softmax_row
from ..broadcast import sum_row
from ..shape import unsqueeze_row
from .checks import REDUCTIONS, Shape, position

_CLASSES = np.array([0, 3, 1])
_DENSE = np.array([[0, 3, 1], [2, 2, 0]])
_WEIGHT = np.linspace(0.5, 2.0, 4)
_TARGETS: list[tuple[Any, Any]] = [(_CLASSES, None), (_DENSE, _WEIGHT), (np.array(2), None)]


def class_axis(x: Any) -> int:
    """The class dimension: the second, or the only one."""
    return int(x.ndim > 1)


def _raise_target(bad: int, x: Array, target: Array, ignore_index: int) -> None:
    place, classes = list(position(bad, target.shape)) if target.ndim else "", x.shape[class_axis(x)]
    k = int(target.reshape(-1)[bad])
    message = (
        f"Target {k} is out of bounds: target{place} is {k}, but the input of shape {list(x.shape)} has {classes} "
        f"classes, so class numbers run from 0 to {classes - 1}."
    )
    if k < 0:
        message += f" Write ignore_index={k} to leave such targets out (ignore_index is {ignore_index})."
    elif k == classes and not (target == 0).any():
        message += " If the first class is called 1, write target - 1."
    else:
        message += (
            " A mask holds class numbers, not grey levels: number its levels first, or give the model an output for "
            "each class."
        )
    raise IndexError(message)


def _sampled(*more: Any, gradient: bool, **params: Any) -> list[Any]:
    """Calls for every reduction: one target a row, a map of targets, a single one."""
    calls = []
    for reduction in REDUCTIONS:
        for target, weight in _TARGETS:
            logits = (*target.shape[:1], 4, *target.shape[1:])
            incoming = [target.shape if reduction == "none" else ()] if gradient else []
            calls.append(sample(*incoming, logits, target, weight, *more, reduction=reduction, **params))
    return calls


# --- cross-entropy ------------------------------------------------------------------------------------------------


def _cross_entropy(
    x: Array, target: Array, weight: Array | None, *, ignore_index: int, label_smoothing: float, reduction: str
) -> tuple[Array, Array]:
    value, bad, pieces = kernels.cross_entropy(x, target, weight, ignore_index, label_smoothing, reduction)
    if bad >= 0:
        _raise_target(bad, x, target, ignore_index)
    return value, pieces


def _cross_entropy_in_numpy(x, target, weight, ignore_index, label_smoothing, reduction):  # type: ignore[no-untyped-def]
    d = int(x.ndim > 1)
    logp = x - np.logaddexp.reduce(x, axis=d, keepdims=True)
    kept = target != ignore_index
    k = np.where(kept, target, 0)
    w = np.ones(x.shape[d]) if weight is None else weight
    nll = -w[k] * np.take_along_axis(logp, np.expand_dims(k, d), d).squeeze(d)
    spread = -np.tensordot(logp, w, (d, 0)) / x.shape[d]
    loss = kept * ((1 - label_smoothing) * nll + label_smoothing * spread)
    if reduction == "mean":
        return loss.sum() / (kept * w[k]).sum()
    return loss if reduction == "none" else loss.sum()


def _cross_entropy_name(operands: list[Any], params: dict[str, Any]) -> str:
    """PyTorch's name: it composes cross-entropy of other ops, of which the last one shows."""
    if params["label_smoothing"]:
        return "AddBackward0"
    return "NllLossBackward0" if operands[0].ndim < 3 else "NllLoss2DBackward0"


cross_entropy_row = op(
    "cross_entropy",
    _cross_entropy,
    vjp=(
        lambda g, x, target, weight, pieces, ignore_index, label_smoothing, reduction: cross_entropy_grad(
            g,
            x,
            target,
            weight,
            pieces,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            reduction=reduction,
        ),
        None,
        None,
    ),
    numpy=_cross_entropy_in_numpy,
    domain=(-3, 3),
    samples=[
        *_sampled(gradient=False, ignore_index=1, label_smoothing=0.0),
        *_sampled(gradient=False, ignore_index=2, label_smoothing=0.3)[:5],
    ],
    kept=("pieces",),
    grad_name=_cross_entropy_name,
)


def _cross_entropy_grad(
    gx: Any, x: Array, target: Array, weight: Array | None, pieces: Array | None,
    *, ignore_index: int, label_smoothing: float, reduction: str,
) -> Array:  # fmt: skip
    return kernels.cross_entropy_grad(gx, x, target, weight, ignore_index, label_smoothing, reduction, pieces)


def _cross_entropy_grad_in_numpy(gx, x, target, weight, pieces, ignore_index, label_smoothing, reduction):  # type: ignore[no-untyped-def]
    d = int(x.ndim > 1)
    p = np.exp(x - np.logaddexp.reduce(x, axis=d, keepdims=True))
    kept = target != ignore_index
    k = np.where(kept, target, 0)
    w = np.ones(x.shape[d]) if weight is None else weight
    q = (1 - label_smoothing) * np.moveaxis(np.eye(len(w))[k] * w[k][..., None], -1, d)
    q = q + label_smoothing / len(w) * w.reshape((-1,) + (1,) * (x.ndim - d - 1))
    factor = gx * kept / ((kept * w[k]).sum() if reduction == "mean" else 1)
    return np.expand_dims(factor, d) * (p * q.sum(d, keepdims=True) - q)


def _by_logsumexp(
    x: Array, target: Array, weight: Array | None, *, ignore_index: int, label_smoothing: float, reduction: str
) -> Array:
    kept = target != ignore_index
    own = np.where(kept, 1.0 if weight is None else weight[np.where(kept, target, 0)], 0.0)
    share = own if weight is None else (1 - label_smoothing) * own + kept * label_smoothing * weight.mean()
    slope = np.where(kept, share / (own.sum() if reduction == "mean" else 1), 0.0)  # 0, also of a mean of nothing
    return np.asarray(slope, x.dtype)


# The slope of each position's loss by its logsumexp: what all classes together count for there.
by_logsumexp = op(
    "cross_entropy_by_logsumexp",
    _by_logsumexp,
    numpy=_by_logsumexp,
    domain=(0.5, 2),
    samples=_sampled(gradient=False, ignore_index=1, label_smoothing=0.2),
)


def _second(
    g: Any, gx: Any, x: Any, target: Any, weight: Any, ignore_index: int, label_smoothing: float, reduction: str
) -> Any:
    d = class_axis(x)
    share = by_logsumexp(
        x, target, weight, ignore_index=ignore_index, label_smoothing=label_smoothing, reduction=reduction
    )
    return softmax_grad(g * unsqueeze_row(gx * share, dim=d), softmax_row(x, dim=d), dim=d)


cross_entropy_grad: Any = op(
    "cross_entropy_grad",
    _cross_entropy_grad,
    vjp=(
        lambda g, x, target, weight, pieces, ignore_index, label_smoothing, reduction: sum_row(
            g
            * cross_entropy_grad(
                1.0,
                x,
                target,
                weight,
                pieces,
                ignore_index=ignore_index,
                label_smoothing=label_smoothing,
                reduction=reduction,
            ),
            dim=(class_axis(x),),
            keepdim=False,
        ),
        lambda g, gx, x, target, weight, ignore_index, label_smoothing, reduction: _second(
            g, gx, x, target, weight, ignore_index, label_smoothing, reduction
        ),
        None,
        None,
        None,
    ),
    numpy=_cross_entropy_grad_in_numpy,
    domain=(-3, 3),
    samples=[
        *_sampled(None, gradient=True, ignore_index=1, label_smoothing=0.0),
        *_sampled(None, gradient=True, ignore_index=2, label_smoothing=0.3)[:5],
    ],
    grad_name="NllLossBackwardBackward0",
)


# --- negative log-likelihood --------------------------------------------------------------------------------------


def _nll(x: Array, target: Array, weight: Array | None, *, ignore_index: int, reduction: str) -> tuple[Array, float]:
    value, bad, divisor = kernels.nll(x, target, weight, ignore_index, reduction)
    if bad >= 0:
        _raise_target(bad, x, target, ignore_index)
    return value, divisor


def _nll_in_numpy(x, target, weight, ignore_index, reduction):  # type: ignore[no-untyped-def]
    d = int(x.ndim > 1)
    kept = target != ignore_index
    k = np.where(kept, target, 0)
    w = kept * (np.ones(x.shape[d]) if weight is None else weight)[k]
    loss = -w * np.take_along_axis(x, np.expand_dims(k, d), d).squeeze(d)
    if reduction == "mean":
        return loss.sum() / w.sum()
    return loss if reduction == "none" else loss.sum()


def _nll_grad(
    gx: Any, target: Array, weight: Array | None, divisor: float, *, shape: Shape, ignore_index: int, reduction: str
) -> Array:
    gx = np.asarray(gx)
    return kernels.nll_grad(gx, target, weight, ignore_index, float(divisor), shape)


def _nll_grad_in_numpy(gx, target, weight, divisor, shape, ignore_index, reduction):  # type: ignore[no-untyped-def]
    d = int(len(shape) > 1)
    kept = target != ignore_index
    k = np.where(kept, target, 0)
    w = kept * (np.ones(shape[d]) if weight is None else weight)[k]
    factor = -gx * w / (w.sum() if reduction == "mean" else 1)
    return np.moveaxis(np.eye(shape[d])[k] * factor[..., None], -1, d)


nll_row: Any = op(
    "nll_loss",
    _nll,
    vjp=(
        lambda g, x_shape, target, weight, divisor, ignore_index, reduction: nll_grad(
            g, target, weight, divisor, shape=x_shape, ignore_index=ignore_index, reduction=reduction
        ),
        None,
        None,
    ),
    numpy=_nll_in_numpy,
    domain=(-3, 0),
    samples=_sampled(gradient=False, ignore_index=1),
    kept=("divisor",),
    grad_name=lambda operands, params: "NllLossBackward0" if operands[0].ndim < 3 else "NllLoss2DBackward0",
)


def _nll_grad_sample(target: Array, weight: Array | None, reduction: str) -> Any:
    """A call with the divisor that the value gives."""
    shape, ignored = (*target.shape[:1], 4, *target.shape[1:]), 1
    counts = (target != ignored) * (1.0 if weight is None else weight[target])
    divisor = float(counts.sum()) if reduction == "mean" else 1.0
    incoming = target.shape if reduction == "none" else ()
    return sample(incoming, target, weight, divisor, shape=shape, ignore_index=ignored, reduction=reduction)


nll_grad: Any = op(
    "nll_loss_grad",
    _nll_grad,
    vjp=(
        # what the loss would be if g were the log-probabilities
        lambda g, target, weight, ignore_index, reduction: nll_row(
            g, target, weight, ignore_index=ignore_index, reduction=reduction
        ),
        None,
        None,
        None,
    ),
    numpy=_nll_grad_in_numpy,
    domain=(-3, 3),
    samples=[_nll_grad_sample(t, w, reduction) for t, w in _TARGETS for reduction in REDUCTIONS],
    grad_name="NllLossBackwardBackward0",
)
