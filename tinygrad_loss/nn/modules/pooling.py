"""Pooling: the largest or the average element of windows."""

from __future__ import annotations

from typing import Any

from ...ops import pool as F
from ...tensor import Tensor
from .module import Module

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "MaxPool1d",
    "MaxPool2d",
]


class _MaxPool(Module):
    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride if stride is not None else kernel_size
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The largest element of each window of a sequence; see ``F.max_pool1d``.

    Parameters
    ----------
    kernel_size, stride, padding, dilation : int
        The stride is by default the kernel's size.
    return_indices : bool
        Whether to return the positions of the largest elements, too.
    ceil_mode : bool
        Whether a window may reach beyond the end.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.MaxPool1d(2)(tg.tensor([[[1.0, 3.0, 2.0, 0.0]]]))
    tensor([[[3., 2.]]])
    """

    def forward(self, input: Tensor) -> Any:
        """Return the largest element of each window."""
        return F.max_pool1d(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )


class MaxPool2d(_MaxPool):
    """The largest element of each window of an image; see ``F.max_pool2d``.

    Parameters are those of ``MaxPool1d``, or pairs of them.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.MaxPool2d(2)(tg.arange(16.0).reshape(1, 4, 4))
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """

    def forward(self, input: Tensor) -> Any:
        """Return the largest element of each window."""
        return F.max_pool2d(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )


class AvgPool1d(Module):
    """The average of each window of a sequence; see ``F.avg_pool1d``.

    Parameters
    ----------
    kernel_size, stride, padding : int
        The stride is by default the kernel's size.
    ceil_mode : bool
        Whether a window may reach beyond the end.
    count_include_pad : bool
        Whether the zeros of the padding count as elements.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.AvgPool1d(2)(tg.tensor([[[1.0, 3.0, 2.0, 0.0]]]))
    tensor([[[2., 1.]]])
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size if isinstance(kernel_size, tuple) else (kernel_size,)
        self.stride = self.kernel_size if stride is None else stride if isinstance(stride, tuple) else (stride,)
        self.padding = padding if isinstance(padding, tuple) else (padding,)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """Return the average of each window."""
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(Module):
    """The average of each window of an image; see ``F.avg_pool2d``.

    Parameters are those of ``AvgPool1d``, or pairs of them; ``divisor_override`` is what to divide the sums by.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.AvgPool2d(2)(tg.arange(16.0).reshape(1, 4, 4))
    tensor([[[ 2.5000,  4.5000],
             [10.5000, 12.5000]]])
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride if stride is not None else kernel_size
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, input: Tensor) -> Tensor:
        """Return the average of each window."""
        return F.avg_pool2d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad,
            self.divisor_override,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _Adaptive(Module):
    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return f"output_size={self.output_size}"


class _AdaptiveMax(_Adaptive):
    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices


class AdaptiveAvgPool1d(_Adaptive):
    """The averages of ``output_size`` windows that share a sequence evenly.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.AdaptiveAvgPool1d(1)(tg.tensor([[[1.0, 3.0, 2.0]]]))
    tensor([[[2.]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the average of each window."""
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_Adaptive):
    """The averages of ``output_size`` windows (None: as many as the image has) that share an image evenly.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.AdaptiveAvgPool2d((1, None))(tg.arange(6.0).reshape(1, 2, 3))
    tensor([[[1.5000, 2.5000, 3.5000]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the average of each window."""
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveMaxPool1d(_AdaptiveMax):
    """The largest elements of ``output_size`` windows that share a sequence evenly.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.AdaptiveMaxPool1d(1)(tg.tensor([[[1.0, 3.0, 2.0]]]))
    tensor([[[3.]]])
    """

    def forward(self, input: Tensor) -> Any:
        """Return the largest element of each window."""
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMax):
    """The largest elements of ``output_size`` windows (None: as many as the image has) that share an image evenly.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.AdaptiveMaxPool2d(1)(tg.arange(6.0).reshape(1, 2, 3))
    tensor([[[5.]]])
    """

    def forward(self, input: Tensor) -> Any:
        """Return the largest element of each window."""
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)
