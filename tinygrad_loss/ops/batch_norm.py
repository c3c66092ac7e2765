"""Batch normalization: each channel of a batch shifted and scaled to mean 0 and variance 1."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..dtypes import F32, Array
from ..kernels import channels as kernels
from ..op import TensorBase, op, sample
from .conv import in_single
from .conv_rows import channel_sum
from .elementwise import sqrt
from .shape import reshape

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["batch_norm", "instance_norm"]

# --- rows: a channel is everything but dimension 1 ----------------------------------------------------------------


def _wide(v: Any, x: Any) -> Any:
    """(C,) as (1, C, 1, ...): what broadcasts against x."""
    return reshape(v, (1, -1, *(1 for _ in x.shape[2:])))


def _mean(x: Any) -> Any:
    return _wide(channel_sum(x) / max(math.prod(x.shape) // max(x.shape[1], 1), 1), x)


def _scaled(x: Any, weight: Any) -> Any:
    return x if weight is None else x * _wide(weight, x)


def _standard(x: Any, eps: float) -> tuple[Any, Any]:
    """x with mean 0 and variance 1, and what it was multiplied by for that."""
    centered = x - _mean(x)
    scale = 1 / sqrt(_mean(centered * centered) + eps)
    return centered * scale, scale


def batch_norm_in_numpy(x, weight, bias, eps):  # type: ignore[no-untyped-def]
    over = (0, *range(2, x.ndim))
    shape = (1, -1, *(1 for _ in x.shape[2:]))
    y = (x - x.mean(axis=over, keepdims=True)) / np.sqrt(x.var(axis=over, keepdims=True) + eps)
    y = y if weight is None else y * weight.reshape(shape)
    return y if bias is None else y + bias.reshape(shape)


def batch_norm_grad_in_numpy(gy, x, weight, eps):  # type: ignore[no-untyped-def]
    over = (0, *range(2, x.ndim))
    scale = 1 / np.sqrt(x.var(axis=over, keepdims=True) + eps)
    y = (x - x.mean(axis=over, keepdims=True)) * scale
    gx = (gy - gy.mean(axis=over, keepdims=True) - y * (gy * y).mean(axis=over, keepdims=True)) * scale
    return gx if weight is None else gx * weight.reshape(1, -1, *(1 for _ in x.shape[2:]))


def _forward(x: Array, weight: Array | None, bias: Array | None, *, eps: float) -> tuple[Array, Array, Array]:
    mean, variance = kernels.moments(x)
    return kernels.batch_norm(x, weight, bias, mean, variance, eps), mean, variance


batch_norm_row: Any = op(
    "batch_norm",
    _forward,
    vjp=(
        lambda g, x, weight, eps: batch_norm_grad(g, x, weight, eps=eps),
        lambda g, x, eps: channel_sum(g * _standard(x, eps)[0]),
        lambda g: channel_sum(g),
    ),
    numpy=batch_norm_in_numpy,
    domain=(-2, 2),
    samples=[
        sample((3, 2, 4), (2,), (2,), eps=1e-5),
        sample((4, 3), None, None, eps=0.1),
        sample((2, 2, 2, 3), (2,), None, eps=0.1),
    ],
    outputs=("y", "mean", "variance"),
    grad_name="NativeBatchNormBackward0",
)


def _twice(g: Any, gy: Any, x: Any, weight: Any, eps: float) -> Any:
    """The gradient of <g, J gy> with respect to x, J = scale (I - mean - y mean(y .)) being symmetric.

    With a = mean(g y), b = mean(gy y) it is -scale (y scale (mean(g gy) - mean(g) mean(gy) - a b) + b J g + a J gy).
    """
    y, scale = _standard(x, eps)
    jg, jgy = batch_norm_grad(g, x, None, eps=eps), batch_norm_grad(gy, x, None, eps=eps)
    a, b = _mean(g * y), _mean(gy * y)
    inner = _mean(g * gy) - _mean(g) * _mean(gy) - a * b
    return _scaled(-scale * (y * scale * inner + b * jg + a * jgy), weight)


batch_norm_grad: Any = op(
    "batch_norm_grad",
    lambda gy, x, weight, *, eps: kernels.batch_norm_grad(gy, x, weight, eps),
    vjp=(
        lambda g, x, weight, eps: batch_norm_grad(g, x, weight, eps=eps),
        _twice,
        lambda g, gy, x, eps: channel_sum(g * batch_norm_grad(gy, x, None, eps=eps)),
    ),
    numpy=batch_norm_grad_in_numpy,
    domain=(-2, 2),
    samples=[
        sample((3, 2, 4), (3, 2, 4), (2,), eps=1e-5),
        sample((4, 3), (4, 3), None, eps=0.1),
    ],
    grad_name="NativeBatchNormBackwardBackward0",
)


def fixed_norm_in_numpy(x, weight, bias, mean, variance, eps):  # type: ignore[no-untyped-def]
    shape = (1, -1, *(1 for _ in x.shape[2:]))
    y = (x - mean.reshape(shape)) / np.sqrt(variance.reshape(shape) + eps)
    y = y if weight is None else y * weight.reshape(shape)
    return y if bias is None else y + bias.reshape(shape)


fixed_norm_row: Any = op(
    "fixed_norm",  # by running statistics, which are no operands of the loss
    lambda x, weight, bias, mean, variance, *, eps: kernels.batch_norm(x, weight, bias, mean, variance, eps),
    vjp=(
        lambda g, weight, variance, eps: _scaled(g, weight) / sqrt(_wide(variance, g) + eps),
        lambda g, x, mean, variance, eps: channel_sum(g * (x - _wide(mean, x)) / sqrt(_wide(variance, x) + eps)),
        lambda g: channel_sum(g),
        None,
        None,
    ),
    numpy=fixed_norm_in_numpy,
    domain=(0.5, 2),
    samples=[
        sample((3, 2, 4), (2,), (2,), np.array([0.3, -0.2]), np.array([0.5, 2.0]), eps=1e-5),
        sample((4, 2), None, None, np.array([0.3, -0.2]), np.array([0.5, 2.0]), eps=0.1),
    ],
    grad_name="NativeBatchNormBackward0",
)

# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def _check(input: Tensor, name: str, **channels: Any) -> None:
    if not isinstance(input, TensorBase):
        raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}: write tensor(...)")
    shape = input._array.shape
    if input._array.dtype.kind != "f":
        raise NotImplementedError(f'"{name}" not implemented for {dtypes.of(input._array)}: write input.float()')
    if len(shape) < 2:
        raise RuntimeError(f"{name} expects an input of shape (N, C, ...), got {list(shape)}")
    for what, value in channels.items():
        # parameters of half precision lose what a training step adds to them: they may be float32 there
        taken = (input._array.dtype, F32) if input._array.dtype == dtypes.float16.numpy else (input._array.dtype,)
        if value is not None and value._array.dtype not in taken:
            raise RuntimeError(
                f"mixed dtype: {name} got an input of {dtypes.of(input._array)} and {what} of "
                f"{dtypes.of(value._array)}: write input.to({what}.dtype), or convert the layer"
            )
        if value is not None and value._array.shape != (shape[1],):
            raise RuntimeError(
                f"{what} should contain {shape[1]} elements not {value._array.size}: the input of shape {list(shape)} "
                f"has {shape[1]} channels. Make the layer with num_features={shape[1]}."
            )


def batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Return (x - mean) / sqrt(variance + eps) * weight + bias for each channel (Ioffe and Szegedy 2015).

    In training mean and variance are the batch's, and the running ones move towards them:
    running = (1 - momentum) running + momentum batch, the variance being the unbiased one there. Otherwise the running
    ones are used.

    Parameters
    ----------
    input : Tensor of shape (N, C, ...)
    running_mean, running_var, weight, bias : Tensor of shape (C,), optional
    training : bool
    momentum, eps : float

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([[1.0], [3.0]])
    >>> tg.nn.functional.batch_norm(x, None, None, training=True)
    tensor([[-1.0000],
            [ 1.0000]])
    """
    _check(input, "batch_norm", running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    shape = input._array.shape
    if not training:
        if running_mean is None or running_var is None:
            raise RuntimeError("Expected running_mean and running_var to be defined when training=False")
        return in_single(fixed_norm_row, input, weight, bias, running_mean, running_var, eps=float(eps))
    if (running_mean is None) != (running_var is None):
        raise ValueError(
            "running_mean and running_var must either both be None or neither be None: pass the other, too"
        )
    if eps <= 0:
        raise ValueError(
            f"batch_norm eps must be positive during training, got {eps}: a constant channel has variance 0"
        )
    count = input._array.size // max(shape[1], 1)
    if count == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {list(shape)}: one value has no "
            f"variance. Write a batch of two or more, or model.eval()."
        )
    if input._array.dtype == dtypes.float16.numpy:
        wide = [None if v is None else v.float() for v in (input, weight, bias)]
        y, mean, variance = batch_norm_row(*wide, eps=float(eps))
        y = y.half()
    else:
        y, mean, variance = batch_norm_row(input, weight, bias, eps=float(eps))
    unbiased = variance._array * (count / max(count - 1, 1))
    for running, batch in ((running_mean, mean._array), (running_var, unbiased)):
        if running is not None and count:
            store_running(running, batch, momentum)
    return y  # type: ignore[no-any-return]


def store_running(running: Tensor, batch: Array, momentum: float) -> None:
    """Move running statistics towards the batch's, in place and off the tape."""
    array = running._array
    array[...] = (1 - momentum) * array + momentum * batch
    running._version[0] += 1


def instance_norm(
    input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None, weight: Tensor | None = None,
    bias: Tensor | None = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Normalize each channel of each sample by its own mean and variance (Ulyanov, Vedaldi and Lempitsky 2016).

    Parameters are those of ``batch_norm``; ``use_input_stats=False`` takes the running statistics.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.instance_norm(tg.tensor([[[1.0, 3.0]], [[10.0, 30.0]]]))
    tensor([[[-1.0000,  1.0000]],
    <BLANKLINE>
            [[-1.0000,  1.0000]]])
    """
    _check(input, "instance_norm", running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    shape = input._array.shape
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    if math.prod(shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {list(shape)}")
    half = input._array.dtype == dtypes.float16.numpy  # computed in float32, as in batch_norm
    x, weight, bias = (v.float() if half and v is not None else v for v in (input, weight, bias))
    # One batch of N * C channels; its statistics, averaged over the batch, move the running ones.
    one = reshape(x, (1, shape[0] * shape[1], *shape[2:]))
    y, mean, variance = batch_norm_row(one, None, None, eps=float(eps))
    count = math.prod(shape[2:])
    unbiased = variance._array * (count / max(count - 1, 1))
    for running, batch in ((running_mean, mean._array), (running_var, unbiased)):
        if running is not None:
            store_running(running, batch.reshape(shape[:2]).mean(axis=0), momentum)
    y = _scaled(reshape(y, shape), weight)
    y = y if bias is None else y + _wide(bias, y)
    return y.half() if half else y  # type: ignore[no-any-return]
