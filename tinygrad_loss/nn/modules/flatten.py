"""Dimensions merged into one, or one taken apart."""

from __future__ import annotations

import math
from typing import Any

from ...ops.arguments import axis
from ...ops.shape import reshape
from ...ops.views import flatten
from ...tensor import Tensor
from .module import Module

__all__ = ["Flatten", "Unflatten"]


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


class Unflatten(Module):
    """Take one dimension apart into several; one of their sizes may be -1.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.Unflatten(1, (2, 5, 5))(tg.zeros(32, 50)).shape
    torch.Size([32, 2, 5, 5])
    """

    def __init__(self, dim: int, unflattened_size: Any) -> None:
        super().__init__()
        if not isinstance(dim, int):
            raise TypeError(f"dim must be an int (dimensions have no names here), but found type {type(dim).__name__}")
        if not isinstance(unflattened_size, (tuple, list)):
            raise TypeError(
                f"unflattened_size must be a tuple or list, but found type {type(unflattened_size).__name__}"
            )
        for i, size in enumerate(unflattened_size):
            if not isinstance(size, int):
                raise TypeError(
                    f"unflattened_size must be tuple of ints, but found element of type {type(size).__name__} at pos "
                    f"{i}"
                )
        self.dim, self.unflattened_size = dim, unflattened_size

    def forward(self, input: Tensor) -> Tensor:
        """Return the input with this dimension taken apart."""
        d, sizes = axis(self.dim, input.ndim), tuple(self.unflattened_size)
        size, known = input.shape[d], math.prod(n for n in sizes if n != -1)
        if sizes.count(-1) > 1 or (known != size if -1 not in sizes else not known or size % known):
            raise RuntimeError(
                f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {d} ({size}) in the "
                f"input of shape {list(input.shape)}"
            )
        sizes = tuple(size // known if n == -1 else n for n in sizes)
        return reshape(input, (*input.shape[:d], *sizes, *input.shape[d + 1 :]))

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
