"""Dimensions merged into one, or one taken apart."""

from __future__ import annotations

from ...ops.shape import flatten
from ...tensor import Tensor
from .module import Module

__all__ = ["Flatten"]


class Flatten(Module):
    """Merge the dimensions from ``start_dim`` to ``end_dim`` into one; by default all but the batch.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.Flatten()(tg.zeros(32, 1, 28, 28)).shape
    torch.Size([32, 784])
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        """Return the input with these dimensions merged."""
        return flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
