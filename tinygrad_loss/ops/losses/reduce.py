"""The last step of a loss composed of other ops in float64: reduce it and round it once."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...dtypes import F32, F64, Array
from ...kernels import sum_
from ...op import op, sample
from ..broadcast import expand_row
from ..shape import to
from .checks import F16, REDUCTIONS, Shape, share

_NAMES = {"mean": "MeanBackward0", "sum": "SumBackward0"}


def _reduced(x: Array, *, reduction: str, dtype: Any, name: str) -> Array:
    if reduction == "none":
        out = x
    else:
        total = float(sum_(x))
        if reduction == "mean":
            total = total / x.size if x.size else np.nan
        out = np.array(total)
    if dtype.kind in "iu":  # a loss of integers: NumPy would wrap what the dtype cannot hold
        bounds = np.iinfo(dtype)
        outside = (out < float(bounds.min)) | (out >= float(bounds.max) + 1)
        if outside.any():
            first = float(out[outside].flat[0])
            raise RuntimeError(f"the loss {first:g} does not fit into the integers {dtype.name}: write input.float()")
    return out.astype(dtype)


def _reduced_in_numpy(x, reduction, dtype, name):  # type: ignore[no-untyped-def]
    y = x if reduction == "none" else x.mean() if reduction == "mean" else x.sum()
    return np.asarray(y, dtype)


def _spread(g: Any, x_shape: Shape, reduction: str) -> Any:
    g = to(g, F64)
    return g if reduction == "none" else expand_row(g * share(x_shape, reduction), shape=x_shape)


reduced_row = op(
    "reduced_loss",
    _reduced,
    vjp=lambda g, x_shape, reduction: _spread(g, x_shape, reduction),
    numpy=_reduced_in_numpy,
    domain=(-2, 2),
    samples=[sample((3, 4), reduction=r, dtype=F64, name="SubBackward0") for r in REDUCTIONS],
    grad_name=lambda operands, params: params["name"],
)


def reduced(terms: Any, reduction: str, dtype: Any, name: str, fused: bool = False) -> Any:
    """Terms reduced and rounded. ``name`` is what the tape shows: without a reduction, or always for a fused loss."""
    title = name if fused or reduction == "none" else _NAMES[reduction]
    return reduced_row(terms, reduction=reduction, dtype=dtype, name=title)


def widened(*tensors: Any) -> tuple[Any, ...]:
    """Tensors as float64, numbers and None as they are."""
    return tuple(to(t, F64) if hasattr(t, "_array") else t for t in tensors)


def single(dtype: Any) -> Any:
    """What a fused kernel takes in place of half precision."""
    return F32 if dtype == F16 else dtype
