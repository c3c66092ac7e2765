"""Distances between an input and a target of real numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ... import dtypes, kernels
from ...dtypes import F32
from ...op import op, sample
from ..broadcast import expand_row
from ..shape import to
from .checks import F16, REDUCTIONS, advice, check_reduction, check_tensors, legacy, share, warn

if TYPE_CHECKING:
    from ...tensor import Tensor


def _broadcast(name: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both in their common shape, with a warning where they have not the same."""
    x, t = input._array.shape, target._array.shape
    if x == t:
        return input, target
    warn(
        f"{name}(): Using a target size {list(t)} that is different to the input size {list(x)}. This will likely lead "
        f"to incorrect results due to broadcasting. {advice(x, t)}"
    )
    try:
        shape = np.broadcast_shapes(x, t)
    except ValueError:
        raise RuntimeError(
            f"{name}(): the target of size {list(t)} and the input of size {list(x)} do not broadcast. {advice(x, t)}"
        ) from None
    return expand_row(input, shape=shape), expand_row(target, shape=shape)


def _mse_in_numpy(x, t, reduction):  # type: ignore[no-untyped-def]
    loss = (x - t) ** 2
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


mse_row = op(
    "mse_loss",
    lambda x, t, *, reduction: kernels.mse(x, t, reduction),
    vjp=(
        lambda g, x, t, reduction: mse_grad(g, x, t, reduction=reduction),
        lambda g, x, t, reduction: mse_grad(g, t, x, reduction=reduction),
    ),
    numpy=_mse_in_numpy,
    domain=(-2, 2),
    samples=[sample((3, 4), (3, 4), reduction=r) for r in REDUCTIONS],
)
mse_grad: Any = op(
    "mse_loss_grad",
    lambda gx, x, t, *, reduction: kernels.mse_grad(gx, x, t, reduction),
    vjp=(
        lambda g, x, t, reduction: mse_grad(g, x, t, reduction="none") * share(x.shape, reduction),
        lambda g, gx, x_shape, reduction: g * gx * (2 * share(x_shape, reduction)),
        lambda g, gx, x_shape, reduction: g * gx * (-2 * share(x_shape, reduction)),
    ),
    numpy="{gx} * 2 * ({x} - {t}) / ({x}.size if {reduction} == 'mean' else 1)",
    domain=(-2, 2),
    samples=[sample((3, 4) if r == "none" else (), (3, 4), (3, 4), reduction=r) for r in REDUCTIONS],
    grad_name="MseLossBackwardBackward0",
)


def _real(name: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Any]:
    """Both in the dtype to compute in, and the dtype of the loss."""
    common = dtypes.result_type(input._array, target._array).numpy
    if common.kind != "f":
        raise RuntimeError(
            f'"{name}" not implemented for {dtypes.numpy_of(common)}: write {name}(input.float(), target)'
        )
    wide = F32 if common == F16 else common
    return to(input, wide), to(target, wide), common


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Return (x - t)^2, averaged or summed."""
    if size_average is not None or reduce is not None:
        reduction = legacy(size_average, reduce)
    check_reduction(reduction)
    check_tensors("mse_loss", input=input, target=target)
    input, target, dtype = _real("mse_loss", input, target)
    input, target = _broadcast("mse_loss", input, target)
    return to(mse_row(input, target, reduction=reduction), dtype)  # type: ignore[no-any-return]
