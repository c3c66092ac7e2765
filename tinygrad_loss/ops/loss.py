"""Losses as fused rows: one pass for the value, one for the gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import Array
from ..kernels import losses as kernels
from ..op import op, sample
from .elementwise import where_row

_PROBABILITY = np.linspace(0.1, 0.9, 12).reshape(3, 4)
_TARGET = (np.arange(12).reshape(3, 4) % 3 == 0) * 1.0
_WEIGHT = np.linspace(0.5, 2.0, 4)


def _scale(x_shape: tuple[int, ...], reduction: str) -> float:
    """What a reduction divides by."""
    return 1.0 / max(int(np.prod(x_shape)), 1) if reduction == "mean" else 1.0


def _bce(x: Array, t: Array, weight: Array | None, *, reduction: str) -> Array:
    value, bad = kernels.bce(x, t, weight, reduction)
    if bad >= 0:
        place = tuple(int(i) for i in np.unravel_index(bad, x.shape))
        inside = 0 <= x[place] <= 1
        raise RuntimeError(
            f"all elements of {'target' if inside else 'input'} should be between 0 and 1, got "
            f"{(t if inside else x)[place]:.6g} at {list(place)}."
            + ("" if inside else " A Sigmoid is missing: write BCELoss()(input.sigmoid(), target), or BCEWithLogitsLoss()(input, target).")
        )
    return value


def bce_in_numpy(x, t, weight, reduction):  # type: ignore[no-untyped-def]
    with np.errstate(divide="ignore"):
        loss = -(t * np.maximum(np.log(x), -100) + (1 - t) * np.maximum(np.log(1 - x), -100))
    loss = loss if weight is None else loss * weight
    return {"none": loss, "mean": loss.mean(), "sum": loss.sum()}[reduction]


bce_row = op(
    "binary_cross_entropy",
    _bce,
    vjp=(
        lambda g, x, t, weight, reduction: bce_grad(g, x, t, weight, reduction=reduction),
        None,
        None,
    ),
    numpy=bce_in_numpy,
    domain=(0.1, 0.9),
    samples=[sample((3, 4), _TARGET, None, reduction=r) for r in ("mean", "sum", "none")],
)
bce_grad = op(
    "binary_cross_entropy_grad",
    lambda gx, x, t, weight, *, reduction: kernels.bce_grad(gx, x, t, weight, reduction),
    vjp=(
        lambda g, x, t, weight, reduction: bce_grad(g, x, t, weight, reduction="none") * _scale(x.shape, reduction),
        None,
    ),
    numpy="{gx} * ({x} - {t})",
    domain=(0.1, 0.9),
    samples=[],
)
