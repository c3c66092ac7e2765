"""Activations of straight pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import dtypes
from ..op import op, sample
from .arguments import tensor_of
from .elementwise import where_row
from .gates import floating
from .inplace import settled
from .shape import reshape

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "prelu",
    "relu6",
    "softshrink",
    "threshold",
]

hardtanh_row = op(
    "hardtanh",
    lambda x, *, low, high: np.clip(x, low, high),
    # Unlike clamp: the ends belong to the outside.
    vjp=lambda g, x, low, high: where_row((x > low) & (x < high), g, 0.0),
    numpy="np.clip({x}, {low}, {high})",
    domain=(-2, 2),
    samples=[sample((3, 4), low=-1.0, high=0.8)],
)
threshold_row = op(
    "threshold",
    lambda x, *, threshold, value: np.where(x <= threshold, x.dtype.type(value), x),
    vjp=lambda g, x, threshold: where_row(x <= threshold, 0.0, g),
    numpy="np.where({x} <= {threshold}, {value}, {x})",
    domain=(-2, 2),
    samples=[sample((3, 4), threshold=0.1, value=-3.0)],
)
leaky_relu_row = op(
    "leaky_relu",
    lambda x, *, slope: np.where(x > 0, x, x * slope),
    vjp=lambda g, x, slope: where_row(x > 0, g, g * slope),
    numpy="np.where({x} > 0, {x}, {slope} * {x})",
    domain=(-2, 2),
    samples=[sample((3, 4), slope=0.01)],
)
prelu_row = op(
    "prelu_kernel",
    lambda x, weight: np.where(x > 0, x, x * weight),
    vjp=(lambda g, x, weight: where_row(x > 0, g, g * weight), lambda g, x: where_row(x > 0, 0.0, g * x)),
    numpy="np.where({x} > 0, {x}, {weight} * {x})",
    domain=(-2, 2),
    samples=[sample((2, 3, 2), (3, 1)), sample((3, 4), (1,))],
)
hardshrink_row = op(
    "hardshrink",
    lambda x, *, lambd: np.where((x >= -lambd) & (x <= lambd), x.dtype.type(0), x),
    vjp=lambda g, x, lambd: where_row((x >= -lambd) & (x <= lambd), 0.0, g),
    numpy="np.where(np.abs({x}) <= {lambd}, 0, {x})",
    domain=(-2, 2),
    samples=[sample((3, 4), lambd=0.5)],
)
softshrink_row = op(
    "softshrink",
    lambda x, *, lambd: np.where(x > lambd, x - lambd, np.where(x < -lambd, x + lambd, x * 0)),
    vjp=lambda g, x, lambd: where_row((x >= -lambd) & (x <= lambd), 0.0, g),
    numpy="np.sign({x}) * np.maximum(np.abs({x}) - {lambd}, 0)",
    domain=(-2, 2),
    samples=[sample((3, 4), lambd=0.5)],
)
hardsigmoid_row = op(
    "hardsigmoid",
    lambda x: np.clip(x + 3, 0, 6) / 6,
    vjp=lambda g, x: where_row((x > -3) & (x < 3), g / 6, 0.0),
    numpy="np.clip({x} + 3, 0, 6) / 6",
    domain=(-5, 5),
)
hardswish_row = op(
    "hardswish",
    lambda x: x * np.clip(x + 3, 0, 6) / 6,
    vjp=lambda g, x: where_row(x <= -3, 0.0, where_row(x < 3, g * (x / 3 + 0.5), g)),
    numpy="{x} * np.clip({x} + 3, 0, 6) / 6",
    domain=(-5, 5),
)

# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """Return the elements moved into [min_val, max_val]; at the ends the gradient is 0.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.hardtanh(tg.tensor([-2.0, 0.5]))
    tensor([-1.0000,  0.5000])
    """
    array = tensor_of(input, "hardtanh")
    if array.dtype.kind == "b":
        raise RuntimeError("Bool inputs not supported for hardtanh")
    if min_val > max_val:
        raise ValueError(f"min_val cannot be greater than max_val, got {min_val} and {max_val}")
    if array.dtype.kind in "iu":
        if array.dtype.kind == "u" and min_val < 0:
            raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
        min_val, max_val = int(min_val), int(max_val)
    return settled(hardtanh_row, input, inplace, low=min_val, high=max_val)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """Return the elements moved into [0, 6].

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.relu6(tg.tensor([-1.0, 3.0, 7.0]))
    tensor([0., 3., 6.])
    """
    return hardtanh(input, 0.0, 6.0, inplace)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """Return x where x > threshold, else ``value``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.threshold(tg.tensor([0.5, 2.0]), 1.0, -1.0)
    tensor([-1.,  2.])
    """
    tensor_of(input, "threshold")
    return settled(threshold_row, input, inplace, threshold=threshold, value=value)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """Return x where x > 0, else ``negative_slope`` x.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.leaky_relu(tg.tensor([-2.0, 2.0]), 0.1)
    tensor([-0.2000,  2.0000])
    """
    return settled(leaky_relu_row, floating(input, "leaky_relu"), inplace, slope=float(negative_slope))


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """Return x where x > 0, else ``weight`` x; one weight for all, or one for each index of dimension 1.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.prelu(tg.tensor([[-2.0, -2.0]]), tg.tensor([0.1, 0.5]))
    tensor([[-0.2000, -1.0000]])
    """
    x, w = floating(input, "prelu")._array, tensor_of(weight, "prelu", "weight")
    if w.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {w.ndim}")
    if x.dtype != w.dtype:
        raise RuntimeError(
            f"prelu: Type promoting not supported. Got {dtypes.of(x)} and {dtypes.of(w)}; write weight.to(input.dtype)"
        )
    if w.size != 1:
        if not x.ndim:
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = x.shape[1] if x.ndim > 1 else 1
        if w.size != channels:
            raise RuntimeError(
                f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {w.size} and channel "
                f"size = {channels}."
            )
        weight = reshape(weight, (channels,) + (1,) * (x.ndim - 2))
    elif w.ndim:
        weight = reshape(weight, (1,) * max(x.ndim, 0))
    return prelu_row(input, weight)  # type: ignore[no-any-return]


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """Return 0 where |x| <= lambd, else x.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.hardshrink(tg.tensor([0.3, 2.0]))
    tensor([0., 2.])
    """
    return hardshrink_row(floating(input, "hardshrink"), lambd=float(lambd))  # type: ignore[no-any-return]


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """Return x moved towards 0 by ``lambd``, and 0 where it would pass it.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.softshrink(tg.tensor([-2.0, 0.3]))
    tensor([-1.5000,  0.0000])
    """
    if lambd < 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    return softshrink_row(floating(input, "softshrink"), lambd=float(lambd))  # type: ignore[no-any-return]


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """Return min(max(x + 3, 0), 6) / 6.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.hardsigmoid(tg.tensor([-4.0, 0.0, 1.5]))
    tensor([0.0000, 0.5000, 0.7500])
    """
    return settled(hardsigmoid_row, floating(input, "hardsigmoid"), inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """Return x min(max(x + 3, 0), 6) / 6.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.hardswish(tg.tensor([-4.0, 1.5]))
    tensor([-0.0000, 1.1250])
    """
    return settled(hardswish_row, floating(input, "hardswish"), inplace)
