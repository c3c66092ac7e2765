"""Convolutions of one and two dimensions, and their transposes."""

from __future__ import annotations

import math
from typing import Any

from ...ops.conv import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from ...ops.create import empty
from ...ops.pad import pad
from ...tensor import Tensor
from .. import init
from ..parameter import Parameter
from .module import Module

__all__ = ["Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d"]

_MODES = ("zeros", "reflect", "replicate", "circular")


class _Conv(Module):
    """What convolutions share: their numbers, one per dimension, their weights and how these are drawn."""

    weight: Parameter
    bias: Parameter | None
    dims: int
    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        output_padding: Any,
        dilation: Any,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        if groups <= 0:
            raise ValueError(f"groups must be a positive integer, got {groups}")
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(f"{name} must be divisible by groups, got {name}={channels} and groups={groups}")
        if padding_mode not in _MODES:
            raise ValueError(f"padding_mode must be one of {', '.join(_MODES)}, but got padding_mode={padding_mode!r}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride = self._each(kernel_size), self._each(stride)
        self.dilation, self.output_padding = self._each(dilation), self._each(output_padding)
        self.padding: Any = padding if isinstance(padding, str) else self._each(padding)
        self.padding_mode = padding_mode
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string {padding!r}, should be one of 'valid', 'same'")
            if padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError(f"padding='same' is not supported for strided convolutions, got stride={stride}")
        first, second = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        shape = (first, second // groups, *self.kernel_size)
        self.weight = Parameter(empty(shape, device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(empty(out_channels, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def _each(self, value: Any) -> tuple[int, ...]:
        return tuple(value) if isinstance(value, (tuple, list)) else (value,) * self.dims

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        inputs = math.prod(self.weight.shape[1:])  # of one output
        if self.bias is not None and inputs > 0:
            bound = 1 / math.sqrt(inputs)
            init.uniform_(self.bias, -bound, bound)

    def _padded(self, input: Tensor) -> tuple[Tensor, Any]:
        """The input with the border that ``padding_mode`` asks for, and the zeros that remain to be added."""
        if self.padding_mode == "zeros":
            return input, self.padding
        border: list[int] = []
        for d in reversed(range(self.dims)):
            if self.padding == "same":
                total = self.dilation[d] * (self.kernel_size[d] - 1)
                border += [total // 2, total - total // 2]
            else:
                border += [0, 0] if self.padding == "valid" else [self.padding[d], self.padding[d]]
        return pad(input, border, self.padding_mode), 0

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        nothing = (0,) * self.dims
        if self.padding != nothing:
            parts.append(f"padding={self.padding}")
        if self.dilation != (1,) * self.dims:
            parts.append(f"dilation={self.dilation}")
        if self.output_padding != nothing:
            parts.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


class _Forward(_Conv):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, 0, dilation, groups, bias, padding_mode, device,
            dtype,
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        """Return the cross-correlation of the input with the weight, plus the bias."""
        convolve = conv1d if self.dims == 1 else conv2d
        input, zeros = self._padded(input)
        return convolve(input, self.weight, self.bias, self.stride, zeros, self.dilation, self.groups)


class Conv1d(_Forward):
    """Convolution of sequences: each output is a weighted sum of its neighbourhood, plus a bias; see ``F.conv1d``.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, padding, dilation : int
        The padding may be "same" or "valid", too.
    groups : int
        Into as many groups channels are divided; an output sees the channels of its own group.
    bias : bool
    padding_mode : "zeros", "reflect", "replicate" or "circular"

    Shapes: input (N, in_channels, L) or without N, ``weight`` (out_channels, in_channels / groups, kernel_size).
    Weight and bias are drawn from U(-k, k), k^-2 = in_channels / groups * kernel_size, from PyTorch's random stream.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.Conv1d(16, 33, 3, stride=2)(tg.zeros(20, 16, 50)).shape
    torch.Size([20, 33, 24])
    """

    dims = 1


class Conv2d(_Forward):
    """Convolution of images: each output is a weighted sum of its neighbourhood, plus a bias; see ``F.conv2d``.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, padding, dilation : int or (int, int)
        The padding may be "same" or "valid", too.
    groups : int
        Into as many groups channels are divided; an output sees the channels of its own group.
    bias : bool
    padding_mode : "zeros", "reflect", "replicate" or "circular"

    Shapes: input (N, in_channels, H, W) or without N, ``weight`` (out_channels, in_channels / groups, KH, KW).
    Weight and bias are drawn from U(-k, k), k^-2 = in_channels / groups * KH * KW, from PyTorch's random stream.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> layer = tg.nn.Conv2d(3, 6, 5)
    >>> layer
    Conv2d(3, 6, kernel_size=(5, 5), stride=(1, 1))
    >>> layer(tg.zeros(4, 3, 32, 32)).shape
    torch.Size([4, 6, 28, 28])
    """

    dims = 2


class _Transposed(_Conv):
    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}, got {padding_mode!r}')
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, output_padding, dilation, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        """Return the transposed convolution of the input, of ``output_size`` if one is wanted that is possible."""
        transposed = conv_transpose1d if self.dims == 1 else conv_transpose2d
        extra = self.output_padding if output_size is None else self._extra(input, output_size)
        return transposed(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    def _extra(self, input: Tensor, output_size: Any) -> tuple[int, ...]:
        """The output padding that gives this size."""
        wanted = tuple(output_size)
        if len(wanted) == input.dim():
            wanted = wanted[-self.dims :]
        least = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, s, p, d, k in zip(
                input.shape[-self.dims :], self.stride, self.padding, self.dilation, self.kernel_size, strict=True
            )
        ]
        most = [n + s - 1 for n, s in zip(least, self.stride, strict=True)]
        if len(wanted) != self.dims or any(not a <= n <= b for a, n, b in zip(least, wanted, most, strict=True)):
            raise ValueError(
                f"requested an output size of {list(output_size)}, but valid sizes range from {least} to {most} (for "
                f"an input of {list(input.shape[-self.dims :])})"
            )
        return tuple(n - a for n, a in zip(wanted, least, strict=True))


class ConvTranspose1d(_Transposed):
    """The transpose of a convolution of sequences, which makes them longer; see ``F.conv_transpose1d``.

    Parameters are those of ``Conv1d`` that it is the transpose of; ``output_padding`` makes the output longer.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.ConvTranspose1d(16, 33, 3, stride=2)(tg.zeros(20, 16, 50)).shape
    torch.Size([20, 33, 101])
    """

    dims = 1


class ConvTranspose2d(_Transposed):
    """The transpose of a convolution of images, which makes them larger; see ``F.conv_transpose2d``.

    Parameters are those of ``Conv2d`` that it is the transpose of; ``output_padding`` makes the output larger.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.ConvTranspose2d(16, 8, 2, stride=2)(tg.zeros(1, 16, 5, 5)).shape
    torch.Size([1, 8, 10, 10])
    """

    dims = 2
