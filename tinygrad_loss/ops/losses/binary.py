"""Binary cross-entropy, on probabilities and on logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ... import kernels
from ...dtypes import F32, F64, Array
from ...op import op, sample
from ..activation import logsigmoid, sigmoid, sigmoid_grad
from ..elementwise import clamp_row, log, log1p
from ..shape import to
from .checks import (
    F16,
    REDUCTIONS,
    check_broadcast,
    check_constant,
    check_floating,
    check_reduction,
    check_tensors,
    factors,
    legacy,
    position,
    raise_dtypes,
    raise_sizes,
    share,
)

if TYPE_CHECKING:
    from ...tensor import Tensor

_TARGET = np.linspace(0.0, 1.0, 12).reshape(3, 4)
_WEIGHT = np.linspace(0.5, 2.0, 4)


def _times(x: Any, weight: Any) -> Any:
    return x if weight is None else x * weight


# --- on probabilities ---------------------------------------------------------------------------------------------


def _bce(x: Array, t: Array, weight: Array | None, *, reduction: str) -> Array:
    value, bad = kernels.bce(x, t, weight, reduction)
    if bad >= 0:
        place = position(bad, x.shape)
        right = 0 <= x[place] <= 1
        raise RuntimeError(
            f"all elements of {'target' if right else 'input'} should be between 0 and 1, but "
            f"{'target' if right else 'input'}{list(place)} is {float((t if right else x)[place]):g}. "
            + ("" if right else "Is a Sigmoid missing? ")
            + (
                "Write target = target / target.max(), or the like."
                if right
                else "Write binary_cross_entropy(input.sigmoid(), target), or better "
                "binary_cross_entropy_with_logits(input, target)."
            )
        )
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


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return -(t log x + (1 - t) log(1 - x)) times weight, averaged or summed."""
    if size_average is not None or reduce is not None:
        reduction = legacy(size_average, reduce)
    try:
        x, t = input._array, target._array
    except AttributeError:
        check_tensors("binary_cross_entropy", input=input, target=target)
        raise
    if (
        x.shape != t.shape
        or x.dtype is not t.dtype
        or (x.dtype is not F32 and x.dtype is not F64)
        or weight is not None
        or reduction not in REDUCTIONS
    ):
        name = "binary_cross_entropy"
        check_reduction(reduction)
        if x.shape != t.shape:
            raise_sizes(name, input, target)
        check_floating(name, input)
        if x.dtype != t.dtype:
            raise_dtypes(name, input, target)
        wide = F32 if x.dtype == F16 else x.dtype
        if weight is not None:
            check_tensors(name, weight=weight)
            check_constant(name, weight=weight)
            check_broadcast(name, "weight", weight, x.shape)
            weight = factors(weight, wide)
        return to(bce_row(to(input, wide), to(target, wide), weight, reduction=reduction), x.dtype)  # type: ignore[no-any-return]
    return bce_row(input, target, None, reduction=reduction)  # type: ignore[no-any-return]


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


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Return (1 - t) softplus(x) + pos_weight t softplus(-x) times weight, averaged or summed."""
    if size_average is not None or reduce is not None:
        reduction = legacy(size_average, reduce)
    try:
        x, t = input._array, target._array
    except AttributeError:
        check_tensors("binary_cross_entropy_with_logits", input=input, target=target)
        raise
    if (
        x.shape != t.shape
        or x.dtype is not t.dtype
        or (x.dtype is not F32 and x.dtype is not F64)
        or weight is not None
        or pos_weight is not None
        or reduction not in REDUCTIONS
    ):
        name = "binary_cross_entropy_with_logits"
        check_reduction(reduction)
        if x.shape != t.shape:
            raise_sizes(name, input, target)
        check_floating(name, input)
        if t.dtype.kind != "f":
            raise_dtypes(name, input, target)
        common = np.promote_types(x.dtype, t.dtype)
        wide = F32 if common == F16 else common
        input, target = to(input, wide), to(target, wide)
        for argument, value in (("weight", weight), ("pos_weight", pos_weight)):
            if value is not None:
                check_tensors(name, **{argument: value})
                check_constant(name, **{argument: value})
                check_broadcast(name, argument, value, x.shape)
        weight, pos_weight = factors(weight, wide), factors(pos_weight, wide)
        return to(bce_logits_row(input, target, weight, pos_weight, reduction=reduction), common)  # type: ignore[no-any-return]
    return bce_logits_row(input, target, None, None, reduction=reduction)  # type: ignore[no-any-return]
