"""Images in other sizes and layouts."""

from __future__ import annotations

from typing import Any

from ...ops.patches import fold, unfold
from ...ops.resize import interpolate, pixel_shuffle, pixel_unshuffle
from ...tensor import Tensor
from .module import Module

__all__ = [
    "Fold",
    "PixelShuffle",
    "PixelUnshuffle",
    "Unfold",
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
]


class Upsample(Module):
    """Images in another size; see ``F.interpolate``.

    Parameters
    ----------
    size : int or sequence of int, optional
        The new size; or
    scale_factor : float or sequence of float, optional
        by how much to enlarge.
    mode : "nearest", "linear" (3D) or "bilinear" (4D)
    align_corners : bool
        Whether the corner pixels' centres stay in the corners.
    recompute_scale_factor : bool

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.Upsample(scale_factor=2)(tg.tensor([[[1.0, 2.0]]]))
    tensor([[[1., 1., 2., 2.]]])
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        self.size, self.mode, self.align_corners = size, mode, align_corners
        self.scale_factor = tuple(map(float, scale_factor)) if isinstance(scale_factor, tuple) else scale_factor
        if isinstance(scale_factor, (int, float)):
            self.scale_factor = float(scale_factor) if scale_factor else None
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        """Return the input in the other size."""
        return interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor
        )

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        how = f"scale_factor={self.scale_factor!r}" if self.scale_factor is not None else f"size={self.size!r}"
        return f"{how}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Larger images by repeated pixels.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.UpsamplingNearest2d(scale_factor=2)(tg.zeros(1, 1, 2, 3)).shape
    torch.Size([1, 1, 4, 6])
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """Larger images by bilinear interpolation, the corner pixels staying in the corners.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.UpsamplingBilinear2d(size=(1, 3))(tg.tensor([[[[1.0, 2.0]]]]))
    tensor([[[[1.0000, 1.5000, 2.0000]]]])
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)


class PixelShuffle(Module):
    """(..., C r^2, H, W) as (..., C, H r, W r): channels become pixels (Shi et al. 2016).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.PixelShuffle(2)(tg.arange(4.0).reshape(4, 1, 1))
    tensor([[[0., 1.],
             [2., 3.]]])
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        """Return the rearranged input."""
        return pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """(..., C, H r, W r) as (..., C r^2, H, W), the inverse of ``PixelShuffle``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.PixelUnshuffle(2)(tg.zeros(1, 4, 6)).shape
    torch.Size([4, 2, 3])
    """

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        """Return the rearranged input."""
        return pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return f"downscale_factor={self.downscale_factor}"


class _Patches(Module):
    def __init__(self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> None:
        super().__init__()
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Unfold(_Patches):
    """All patches of images as columns; see ``F.unfold``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.Unfold((2, 3))(tg.zeros(2, 5, 3, 4)).shape
    torch.Size([2, 30, 4])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the patches as columns."""
        return unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(_Patches):
    """Images of which the input holds the patches as columns, added up where they overlap; see ``F.fold``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.Fold((3, 4), (2, 3))(tg.zeros(2, 30, 4)).shape
    torch.Size([2, 5, 3, 4])
    """

    def __init__(
        self, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
    ) -> None:
        super().__init__(kernel_size, dilation, padding, stride)
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """Return the images."""
        return fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return f"output_size={self.output_size}, {super().extra_repr()}"
