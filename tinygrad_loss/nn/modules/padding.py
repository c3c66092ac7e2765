"""Borders around sequences and images."""

from __future__ import annotations

from typing import Any

from ...ops.pad import pad
from ...tensor import Tensor
from .module import Module

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ZeroPad1d",
    "ZeroPad2d",
]


class _Pad(Module):
    dims: int
    mode = "constant"

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * (2 * self.dims)

    def forward(self, input: Tensor) -> Tensor:
        """Return the input with its border."""
        if self.mode == "circular" and input.ndim not in (self.dims + 1, self.dims + 2):
            raise ValueError(
                f"expected {self.dims + 1}D or {self.dims + 2}D input (got {input.ndim}D input): (C, ...) or (N, C, ...)"
            )
        return pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return str(self.padding)


class _ConstantPad(_Pad):
    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """Return the input with its border."""
        return pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return f"padding={self.padding}, value={self.value}"


class ZeroPad1d(_Pad):
    """A border around sequences that holds zeros; see ``F.pad`` for the order of the numbers.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.ZeroPad1d(2)(tg.tensor([[1.0, 2.0, 3.0]]))
    tensor([[0., 0., 1., 2., 3., 0., 0.]])
    """

    dims = 1
    mode = "constant"


class ZeroPad2d(_Pad):
    """A border around images that holds zeros; see ``F.pad`` for the order of the numbers.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.ZeroPad2d((2, 2, 0, 0))(tg.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[[0., 0., 1., 2., 3., 0., 0.]]])
    """

    dims = 2
    mode = "constant"


class ReflectionPad1d(_Pad):
    """A border around sequences that holds the input mirrored at its edge; see ``F.pad`` for the order of the numbers.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.ReflectionPad1d(2)(tg.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 2., 1., 2., 3., 2., 1.]])
    """

    dims = 1
    mode = "reflect"


class ReflectionPad2d(_Pad):
    """A border around images that holds the input mirrored at its edge; see ``F.pad`` for the order of the numbers.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.ReflectionPad2d((2, 2, 0, 0))(tg.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[[3., 2., 1., 2., 3., 2., 1.]]])
    """

    dims = 2
    mode = "reflect"


class ReplicationPad1d(_Pad):
    """A border around sequences that holds the edge; see ``F.pad`` for the order of the numbers.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.ReplicationPad1d(2)(tg.tensor([[1.0, 2.0, 3.0]]))
    tensor([[1., 1., 1., 2., 3., 3., 3.]])
    """

    dims = 1
    mode = "replicate"


class ReplicationPad2d(_Pad):
    """A border around images that holds the edge; see ``F.pad`` for the order of the numbers.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.ReplicationPad2d((2, 2, 0, 0))(tg.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[[1., 1., 1., 2., 3., 3., 3.]]])
    """

    dims = 2
    mode = "replicate"


class CircularPad1d(_Pad):
    """A border around sequences that holds the input's other end; see ``F.pad`` for the order of the numbers.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.CircularPad1d(2)(tg.tensor([[1.0, 2.0, 3.0]]))
    tensor([[2., 3., 1., 2., 3., 1., 2.]])
    """

    dims = 1
    mode = "circular"


class CircularPad2d(_Pad):
    """A border around images that holds the input's other end; see ``F.pad`` for the order of the numbers.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.CircularPad2d((2, 2, 0, 0))(tg.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[[2., 3., 1., 2., 3., 1., 2.]]])
    """

    dims = 2
    mode = "circular"


class ConstantPad1d(_ConstantPad):
    """A border around sequences that holds ``value``; see ``F.pad`` for the order of the numbers.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.ConstantPad1d((1, 0), 3.5)(tg.tensor([[1.0]]))
    tensor([[3.5000, 1.0000]])
    """

    dims = 1


class ConstantPad2d(_ConstantPad):
    """A border around images that holds ``value``; see ``F.pad`` for the order of the numbers.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.ConstantPad2d((1, 0, 0, 0), 3.5)(tg.tensor([[[1.0]]]))
    tensor([[[3.5000, 1.0000]]])
    """

    dims = 2
