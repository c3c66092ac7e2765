"""Dropout: elements or channels set to zero at random, and the others scaled to make up for it."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..dtypes import Array
from ..op import TensorBase, wrap
from ..random import default_generator
from .arithmetic import add_row, mul
from .inplace import check_writable, store

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"]

# The value that SELU approaches far below zero, negated: scale * alpha (Klambauer et al. 2017).
_SELU_FLOOR = 1.7580993408473766


def _noise(x: Array, p: float, channels: bool) -> Array:
    """1 where an element, or a whole channel, is kept."""
    shape = x.shape[:2] + (1,) * (x.ndim - 2)
    return default_generator.bernoulli(np.empty(shape, x.dtype) if channels else np.empty_like(x), 1 - p)


def _dropped(input: Tensor, p: float, training: bool, inplace: bool, name: str, channels: bool, alpha: bool) -> Tensor:
    if not isinstance(input, TensorBase):
        raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}: write tensor(...)")
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if inplace:
        check_writable(input, f"{name}_")
    x = input._array
    if not training or p == 0 or not x.size:
        return input
    if x.dtype.kind != "f":
        raise RuntimeError(f"{name}() needs a floating point tensor, got {dtypes.of(x)}: write input.float()")
    if channels and x.ndim < 2:
        raise RuntimeError(f"Feature dropout requires at least 2 dimensions in the input, got shape {list(x.shape)}")
    if p == 1:
        out = mul(input, wrap(np.zeros((), x.dtype)))
    else:
        noise = _noise(x, p, channels)
        if alpha:
            # a x + b has the mean and variance of x again, when x is 0 on average, 1 in variance
            a = 1 / math.sqrt((_SELU_FLOOR**2 * p + 1) * (1 - p))
            shift = (noise - 1) * (_SELU_FLOOR * a) + _SELU_FLOOR * a * p
            out = add_row(mul(input, wrap(noise * a)), wrap(shift))
        else:
            noise /= 1 - p
            out = mul(input, wrap(noise))
    return store(input, out, f"{name}_") if inplace else out  # type: ignore[no-any-return]


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Set each element to zero with probability ``p`` and divide the others by 1 - p (Srivastava et al. 2014).

    The elements are those that PyTorch drops after the same ``manual_seed``. Without ``training`` it is the identity.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> _ = tg.manual_seed(0)
    >>> tg.nn.functional.dropout(tg.ones(6))
    tensor([0., 0., 2., 0., 0., 0.])
    """
    return _dropped(input, p, training, inplace, "dropout", False, False)


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Set elements to SELU's lowest value with probability ``p``, keeping mean and variance (Klambauer et al. 2017).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> _ = tg.manual_seed(0)
    >>> tg.nn.functional.alpha_dropout(tg.zeros(4), training=True)
    tensor([-0.7792, -0.7792,  0.7792, -0.7792])
    """
    return _dropped(input, p, training, inplace, "alpha_dropout", False, True)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Do as ``alpha_dropout`` with whole channels of an input (N, C, ...).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.feature_alpha_dropout(tg.zeros(2, 3, 4), training=True).shape
    torch.Size([2, 3, 4])
    """
    return _dropped(input, p, training, inplace, "feature_alpha_dropout", True, True)


def _channels(input: Tensor, p: float, training: bool, inplace: bool, spatial: int) -> Tensor:
    """Drop whole channels of (N, C, ...) or (C, ...), with as many spatial dimensions."""
    name, ndim = f"dropout{spatial}d", input.ndim
    expected = (
        f"expected (N, C, ...) or (C, ...) with {spatial} dimension{'s' if spatial > 1 else ''} after the channels"
    )
    if ndim not in (spatial + 1, spatial + 2):
        message = f"{name}: Received a {ndim}-D input, {expected}; to drop single elements write dropout()"
        if spatial == 1:
            raise RuntimeError(message)
        warnings.warn(message, stacklevel=3)
    elif spatial == 2 and ndim == 3:
        warnings.warn(
            "dropout2d: a 3-D input is taken for (N, C, L), as PyTorch does; write dropout1d to say so, or "
            "input.unsqueeze(0) for one (C, H, W)",
            stacklevel=3,
        )
    if spatial == 2 or ndim == spatial + 2:
        return _dropped(input, p, training, inplace, name, True, False)
    return _dropped(input.unsqueeze(0), p, training, inplace, name, True, False).squeeze(0)


def _dropout_of_channels(spatial: int) -> Any:
    def call(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        return _channels(input, p, training, inplace, spatial)

    call.__name__ = call.__qualname__ = f"dropout{spatial}d"
    call.__doc__ = f"""Set channels to zero with probability ``p``, divide the others by 1 - p (Tompson et al. 2015).

    The input has {spatial} dimension{"s" if spatial > 1 else ""} after those of batch and channel.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.nn.functional.dropout{spatial}d(tg.ones(2, 3{", 4" * spatial}))
    >>> x.shape
    torch.Size([2, 3{", 4" * spatial}])
    """
    return call


dropout1d, dropout2d, dropout3d = (_dropout_of_channels(spatial) for spatial in (1, 2, 3))
