"""Rows of the losses whose target is a distribution: cross-entropy on logits, and the Kullback-Leibler divergence."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import kernels
from ...dtypes import Array
from ...op import op, sample
from ..activation import log_softmax_row, softmax_grad, softmax_row
from ..broadcast import sum_row
from ..elementwise import where_row
from ..shape import unsqueeze_row
from .checks import REDUCTIONS
from .class_rows import class_axis

_WEIGHT = np.linspace(0.5, 2.0, 4)


def _share(x: Any, reduction: str) -> float:
    """What a reduced gradient gives each position; the mean is over positions, also where classes have weights."""
    return x.shape[class_axis(x)] / (math.prod(x.shape) or 1) if reduction == "mean" else 1.0


def _spread(g: Any, x: Any) -> Any:
    """The gradient of each position, for all of its classes."""
    return unsqueeze_row(g, dim=class_axis(x)) if getattr(g, "ndim", 0) else g


def _smooth(t: Any, x: Any, label_smoothing: float) -> Any:
    if not label_smoothing:
        return t
    return t * (1 - label_smoothing) + label_smoothing / x.shape[class_axis(x)]


def _times(x: Any, weight: Any) -> Any:
    return x if weight is None else x * weight


def _total(x: Any, like: Any) -> Any:
    return sum_row(x, dim=(class_axis(like),), keepdim=True)


def _flat(weight: Array | None) -> Array | None:
    return None if weight is None else weight.reshape(-1)


def _soft(x: Array, t: Array, weight: Array | None, *, label_smoothing: float, reduction: str) -> tuple[Array, Array]:
    return kernels.soft_cross_entropy(x, t, _flat(weight), label_smoothing, reduction)


def _soft_in_numpy(x, t, weight, label_smoothing, reduction):  # type: ignore[no-untyped-def]
    d = int(x.ndim > 1)
    q = t * (1 - label_smoothing) + label_smoothing / x.shape[d]
    q = q if weight is None else q * weight
    loss = -(q * (x - np.logaddexp.reduce(x, axis=d, keepdims=True))).sum(d)
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


def _soft_by_target(g: Any, x: Any, reduction: str) -> Any:
    """The slope by each class's share of the target: minus its log-probability."""
    return _spread(g * -_share(x, reduction), x) * log_softmax_row(x, dim=class_axis(x))


def _soft_by_weight(g: Any, x: Any, t: Any, label_smoothing: float, reduction: str) -> Any:
    q = _smooth(t, x, label_smoothing)
    return where_row(q == 0, 0.0, q * _soft_by_target(g, x, reduction))


_POSITIONS = [((3, 4), (4,)), ((2, 4, 3), (4, 1)), ((4,), (4,))]

soft_row = op(
    "soft_cross_entropy",
    _soft,
    vjp=(
        lambda g, x, t, weight, pieces, label_smoothing, reduction: soft_grad(
            g, x, t, weight, pieces, label_smoothing=label_smoothing, reduction=reduction
        ),
        lambda g, x, weight, label_smoothing, reduction: (
            _times(_soft_by_target(g, x, reduction), weight) * (1 - label_smoothing)
        ),
        lambda g, x, t, label_smoothing, reduction: _soft_by_weight(g, x, t, label_smoothing, reduction),
    ),
    numpy=_soft_in_numpy,
    domain=(0.1, 2),
    samples=[
        sample(shape, shape, w, label_smoothing=e, reduction=r)
        for r in REDUCTIONS
        for shape, weight in _POSITIONS
        for w, e in ((None, 0.0), (weight, 0.2))
    ],
    outputs=("y", "pieces"),
    grad_name=lambda operands, params: "DivBackward1" if params["reduction"] == "mean" else "NegBackward0",
)


def _soft_grad(
    gx: Any, x: Array, t: Array, weight: Array | None, pieces: Array | None, *, label_smoothing: float, reduction: str
) -> Array:
    return kernels.soft_cross_entropy_grad(gx, x, t, _flat(weight), label_smoothing, reduction, pieces)


def _soft_grad_in_numpy(gx, x, t, weight, pieces, label_smoothing, reduction):  # type: ignore[no-untyped-def]
    d = int(x.ndim > 1)
    q = t * (1 - label_smoothing) + label_smoothing / x.shape[d]
    q = q if weight is None else q * weight
    p = np.exp(x - np.logaddexp.reduce(x, axis=d, keepdims=True))
    rows = x.size / x.shape[d] if reduction == "mean" else 1
    return (np.expand_dims(gx, d) if gx.ndim else gx) / rows * (p * q.sum(d, keepdims=True) - q)


def _soft_grad_by_x(g: Any, gx: Any, x: Any, t: Any, weight: Any, label_smoothing: float, reduction: str) -> Any:
    q = _total(_times(_smooth(t, x, label_smoothing), weight), x)
    d = class_axis(x)
    return softmax_grad(g * (_spread(gx * _share(x, reduction), x) * q), softmax_row(x, dim=d), dim=d)


def _soft_grad_by_share(g: Any, gx: Any, x: Any, reduction: str) -> Any:
    return _spread(gx * _share(x, reduction), x) * (_total(g * softmax_row(x, dim=class_axis(x)), x) - g)


soft_grad: Any = op(
    "soft_cross_entropy_grad",
    _soft_grad,
    vjp=(
        lambda g, x, t, weight, pieces, label_smoothing, reduction: sum_row(
            g * soft_grad(1.0, x, t, weight, pieces, label_smoothing=label_smoothing, reduction=reduction),
            dim=(class_axis(x),),
            keepdim=False,
        ),
        lambda g, gx, x, t, weight, label_smoothing, reduction: _soft_grad_by_x(
            g, gx, x, t, weight, label_smoothing, reduction
        ),
        lambda g, gx, x, weight, label_smoothing, reduction: (
            _times(_soft_grad_by_share(g, gx, x, reduction), weight) * (1 - label_smoothing)
        ),
        lambda g, gx, x, t, label_smoothing, reduction: (
            _soft_grad_by_share(g, gx, x, reduction) * _smooth(t, x, label_smoothing)
        ),
        None,
    ),
    numpy=_soft_grad_in_numpy,
    domain=(0.1, 2),
    samples=[
        sample(
            shape[: len(shape) > 1] + shape[2:] if r == "none" else (),
            shape,
            shape,
            w,
            None,
            label_smoothing=e,
            reduction=r,
        )
        for r in REDUCTIONS
        for shape, weight in _POSITIONS
        for w, e in ((None, 0.0), (weight, 0.2))
    ],
    grad_name="SoftCrossEntropyBackwardBackward0",
)
