"""Rows of binary cross-entropy, on probabilities and on logits."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import kernels
from ...dtypes import F64, Array
from ...op import op, sample
from ..activation import logsigmoid, sigmoid, sigmoid_grad
from ..elementwise import clamp_row, log, log1p
from ..shape import to
from .checks import REDUCTIONS, position, share

_WEIGHT = np.linspace(0.5, 2.0, 4)


def _times(x: Any, weight: Any) -> Any:
    return x if weight is None else x * weight


# --- on probabilities ---------------------------------------------------------------------------------------------


def _raise_range(bad: int, x: Array, t: Array) -> None:
    place = position(bad, x.shape)
    name, value = ("target", t[place]) if 0 <= x[place] <= 1 else ("input", x[place])
    found = f"all elements of {name} should be between 0 and 1, but {name}{list(place) or ''} is {float(value):g}."
    if value != value:
        how = " Run the program under autograd.set_detect_anomaly(True): it names the op that made the first NaN."
    elif name == "input":
        how = (
            " Is a Sigmoid missing? Write binary_cross_entropy(input.sigmoid(), target), or better, since it is exact "
            "for every logit, binary_cross_entropy_with_logits(input, target)."
        )
    else:
        how = " Labels are 0 or 1, soft labels lie between: bring the target to that range, as target / target.max()."
    raise RuntimeError(found + how)


def _bce(x: Array, t: Array, weight: Array | None, *, reduction: str) -> Array:
    value, bad = kernels.bce(x, t, weight, reduction)
    if bad >= 0:
        _raise_range(bad, x, t)
    return value


def _bce_in_numpy(x, t, weight, reduction):  # type: ignore[no-untyped-def]
    with np.errstate(divide="ignore"):
        loss = -(t * np.maximum(np.log(x), -100) + (1 - t) * np.maximum(np.log1p(-x), -100))
    loss = loss if weight is None else loss * weight
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


def _bce_grad_in_numpy(gx, x, t, weight, reduction):  # type: ignore[no-untyped-def]
    d = gx * (x - t) / np.maximum(x * (1 - x), 1e-12)
    d = d if weight is None else d * weight
    return d / x.size if reduction == "mean" else d


def _bce_target(g: Any, x: Any, weight: Any, reduction: str) -> Any:
    p = to(x, F64)
    return _times(g * (clamp_row(log1p(-p), -100.0, None) - clamp_row(log(p), -100.0, None)), weight) * share(
        x.shape, reduction
    )


bce_row = op(
    "binary_cross_entropy",
    _bce,
    vjp=(
        lambda g, x, t, weight, reduction: bce_grad(g, x, t, weight, reduction=reduction),
        lambda g, x, weight, reduction: _bce_target(g, x, weight, reduction),
        None,
    ),
    numpy=_bce_in_numpy,
    domain=(0.1, 0.9),
    samples=[sample((3, 4), (3, 4), w, reduction=r) for w in (None, _WEIGHT) for r in REDUCTIONS],
)


def _below(x: Any) -> Any:
    return clamp_row(x * (1 - x), 1e-12, None)


bce_grad: Any = op(
    "binary_cross_entropy_grad",
    lambda gx, x, t, weight, *, reduction: kernels.bce_grad(gx, x, t, weight, reduction),
    vjp=(
        lambda g, x, t, weight, reduction: bce_grad(g, x, t, weight, reduction="none") * share(x.shape, reduction),
        lambda g, gx, x, t, weight, reduction: (
            _times(g * gx * ((x * x - 2 * x * t + t) / _below(x) / _below(x)), weight) * share(x.shape, reduction)
        ),
        lambda g, gx, x, weight, reduction: _times(-g * gx / _below(x), weight) * share(x.shape, reduction),
        None,
    ),
    numpy=_bce_grad_in_numpy,
    domain=(0.1, 0.9),
    samples=[
        sample((3, 4) if r == "none" else (), (3, 4), (3, 4), w, reduction=r)
        for w in (None, _WEIGHT)
        for r in REDUCTIONS
    ],
    grad_name="BinaryCrossEntropyBackwardBackward0",
)


# --- on logits ----------------------------------------------------------------------------------------------------


def _bce_logits_in_numpy(x, t, weight, pos_weight, reduction):  # type: ignore[no-untyped-def]
    own = t if pos_weight is None else t * pos_weight
    loss = (1 - t) * np.logaddexp(0, x) + own * np.logaddexp(0, -x)
    loss = loss if weight is None else loss * weight
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


def _bce_logits_grad_in_numpy(gx, x, t, weight, pos_weight, reduction):  # type: ignore[no-untyped-def]
    own = t if pos_weight is None else t * pos_weight
    d = gx * ((1 - t) / (1 + np.exp(-x)) - own / (1 + np.exp(x)))
    d = d if weight is None else d * weight
    return d / x.size if reduction == "mean" else d


def _own(t: Any, pos_weight: Any) -> Any:
    """What stands before softplus(-x), and its slope where t is 1 and x the first argument."""
    return t if pos_weight is None else t * pos_weight


def _bce_logits_target(g: Any, x: Any, weight: Any, pos_weight: Any, reduction: str) -> Any:
    z = to(x, F64)
    slope = -z if pos_weight is None else -z + (1 - pos_weight) * logsigmoid(z)
    return _times(g * slope, weight) * share(x.shape, reduction)


def _bce_logits_grad_target(g: Any, gx: Any, x: Any, weight: Any, pos_weight: Any, reduction: str) -> Any:
    slope = -1.0 if pos_weight is None else -1.0 + (1 - pos_weight) * sigmoid(-x)
    return _times(g * gx * slope, weight) * share(x.shape, reduction)


bce_logits_row = op(
    "binary_cross_entropy_with_logits",
    lambda x, t, weight, pos_weight, *, reduction: kernels.bce_logits(x, t, weight, pos_weight, reduction),
    vjp=(
        lambda g, x, t, weight, pos_weight, reduction: bce_logits_grad(
            g, x, t, weight, pos_weight, reduction=reduction
        ),
        lambda g, x, weight, pos_weight, reduction: _bce_logits_target(g, x, weight, pos_weight, reduction),
        None,
        None,
    ),
    numpy=_bce_logits_in_numpy,
    domain=(-3, 3),
    samples=[
        sample((3, 4), (3, 4), w, p, reduction=r)
        for w, p in ((None, None), (_WEIGHT, None), (_WEIGHT[::-1], _WEIGHT))
        for r in REDUCTIONS
    ],
)
bce_logits_grad: Any = op(
    "binary_cross_entropy_with_logits_grad",
    lambda gx, x, t, weight, pos_weight, *, reduction: kernels.bce_logits_grad(gx, x, t, weight, pos_weight, reduction),
    vjp=(
        lambda g, x, t, weight, pos_weight, reduction: (
            bce_logits_grad(g, x, t, weight, pos_weight, reduction="none") * share(x.shape, reduction)
        ),
        lambda g, gx, x, t, weight, pos_weight, reduction: (
            _times(sigmoid_grad(g * gx * ((1 - t) + _own(t, pos_weight)), x), weight) * share(x.shape, reduction)
        ),
        lambda g, gx, x, weight, pos_weight, reduction: _bce_logits_grad_target(
            g, gx, x, weight, pos_weight, reduction
        ),
        None,
        None,
    ),
    numpy=_bce_logits_grad_in_numpy,
    domain=(-3, 3),
    samples=[
        sample((3, 4) if r == "none" else (), (3, 4), (3, 4), w, p, reduction=r)
        for w, p in ((None, None), (_WEIGHT, None), (_WEIGHT[::-1], _WEIGHT))
        for r in REDUCTIONS
    ],
    grad_name="BinaryCrossEntropyWithLogitsBackwardBackward0",
)
