"""Dropout: what trains a network not to rely on single elements; in evaluation it is the identity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...ops import dropout
from ...tensor import Tensor
from .module import Module

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


class _Dropout(Module):
    _function: Callable[..., Any]

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Return the input with random parts dropped; in evaluation the input itself."""
        return type(self)._function(input, self.p, self.training, self.inplace)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Set each element to zero with probability ``p`` and divide the others by 1 - p, in training.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> layer = tg.nn.Dropout(p=0.2)
    >>> layer.eval()(tg.ones(3))
    tensor([1., 1., 1.])
    """

    _function = staticmethod(dropout.dropout)


class Dropout1d(_Dropout):
    """Set each channel of (N, C, L) or (C, L) to zero with probability ``p`` and divide the others by 1 - p.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.Dropout1d()(tg.ones(2, 3, 4)).shape
    torch.Size([2, 3, 4])
    """

    _function = staticmethod(dropout.dropout1d)


class Dropout2d(_Dropout):
    """Set each channel of (N, C, H, W) to zero with probability ``p`` and divide the others by 1 - p.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.Dropout2d()(tg.ones(2, 3, 4, 5)).shape
    torch.Size([2, 3, 4, 5])
    """

    _function = staticmethod(dropout.dropout2d)


class Dropout3d(_Dropout):
    """Set each channel of (N, C, D, H, W) to zero with probability ``p`` and divide the others by 1 - p.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.Dropout3d()(tg.ones(2, 3, 4, 5, 6)).shape
    torch.Size([2, 3, 4, 5, 6])
    """

    _function = staticmethod(dropout.dropout3d)


class AlphaDropout(_Dropout):
    """Set elements to SELU's lowest value with probability ``p``, keeping mean and variance.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.AlphaDropout(p=0.2).eval()(tg.ones(3))
    tensor([1., 1., 1.])
    """

    _function = staticmethod(dropout.alpha_dropout)


class FeatureAlphaDropout(_Dropout):
    """Do as ``AlphaDropout`` with whole channels of an input (N, C, ...).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.FeatureAlphaDropout(p=0.2).eval()(tg.ones(1, 3))
    tensor([[1., 1., 1.]])
    """

    _function = staticmethod(dropout.feature_alpha_dropout)
