"""Images in other sizes: interpolated, or with channels as pixels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..dtypes import Array
from ..op import TensorBase, op, sample
from .conv import in_single, per_dimension
from .pad import take_row
from .pool import adaptive_avg_pool1d, adaptive_avg_pool2d

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["interpolate", "pixel_shuffle", "pixel_unshuffle"]

Ints = tuple[int, ...]

# --- rows ---------------------------------------------------------------------------------------------------------


def shuffled(x: Array, *, factor: int) -> Array:
    """(..., C * factor^2, H, W) -> (..., C, H * factor, W * factor)."""
    *batch, channels, height, width = x.shape
    x = x.reshape(*batch, channels // factor**2, factor, factor, height, width)
    x = np.moveaxis(x, (-4, -3), (-3, -1)).copy()
    return x.reshape(*batch, channels // factor**2, height * factor, width * factor)


def unshuffled(x: Array, *, factor: int) -> Array:
    """(..., C, H * factor, W * factor) -> (..., C * factor^2, H, W)."""
    *batch, channels, height, width = x.shape
    x = x.reshape(*batch, channels, height // factor, factor, width // factor, factor)
    x = np.moveaxis(x, (-3, -1), (-4, -3)).copy()
    return x.reshape(*batch, channels * factor**2, height // factor, width // factor)


pixel_shuffle_row: Any = op(
    "pixel_shuffle",
    shuffled,
    vjp=lambda g, factor: pixel_unshuffle_row(g, factor=factor),
    numpy=shuffled,
    domain=(-2, 2),
    samples=[sample((2, 8, 2, 3), factor=2), sample((4, 1, 2), factor=2)],
)
pixel_unshuffle_row: Any = op(
    "pixel_unshuffle",
    unshuffled,
    vjp=lambda g, factor: pixel_shuffle_row(g, factor=factor),
    numpy=unshuffled,
    domain=(-2, 2),
    samples=[sample((2, 2, 4, 6), factor=2), sample((1, 3, 3), factor=3)],
)

# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """Return (..., C r^2, H, W) as (..., C, H r, W r): channels become pixels (Shi et al. 2016).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.pixel_shuffle(tg.arange(4.0).reshape(4, 1, 1), 2)
    tensor([[[0., 1.],
             [2., 3.]]])
    """
    shape = input._array.shape
    if len(shape) < 3:
        raise RuntimeError(f"pixel_shuffle expects input to have at least 3 dimensions, but got {list(shape)}")
    if upscale_factor <= 0 or shape[-3] % upscale_factor**2:
        raise RuntimeError(
            f"pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, "
            f"but input.size(-3)={shape[-3]} is not divisible by {upscale_factor**2}"
        )
    return pixel_shuffle_row(input, factor=upscale_factor)  # type: ignore[no-any-return]


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """Return (..., C, H r, W r) as (..., C r^2, H, W), the inverse of ``pixel_shuffle``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.pixel_unshuffle(tg.zeros(1, 4, 6), 2).shape
    torch.Size([4, 2, 3])
    """
    shape = input._array.shape
    if len(shape) < 3:
        raise RuntimeError(f"pixel_unshuffle expects input to have at least 3 dimensions, but got {list(shape)}")
    if downscale_factor <= 0 or shape[-2] % downscale_factor or shape[-1] % downscale_factor:
        raise RuntimeError(
            f"pixel_unshuffle expects height and width to be divisible by downscale_factor, but {list(shape[-2:])} is "
            f"not divisible by {downscale_factor}"
        )
    return pixel_unshuffle_row(input, factor=downscale_factor)  # type: ignore[no-any-return]


_LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3}


def interpolate(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None, antialias: bool = False,
) -> Tensor:  # fmt: skip
    """Return images in another size.

    Parameters
    ----------
    input : Tensor of shape (N, C, L), (N, C, H, W) or (N, C, D, H, W)
    size : int or sequence of int, optional
        The new size; or
    scale_factor : float or sequence of float, optional
        by how much to enlarge.
    mode : "nearest", "nearest-exact", "linear" (3D), "bilinear" (4D), "trilinear" (5D) or "area"
    align_corners : bool
        Whether the corner pixels' centres stay in the corners, rather than the corner pixels' outer edges.
    recompute_scale_factor : bool
        Whether to compute positions by the ratio of the sizes rather than by ``scale_factor``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.interpolate(tg.tensor([[[1.0, 3.0]]]), scale_factor=2, mode="linear")
    tensor([[[1.0000, 1.5000, 2.5000, 3.0000]]])
    """
    if not isinstance(input, TensorBase):
        raise TypeError(
            f"interpolate(): argument 'input' must be Tensor, not {type(input).__name__}: write tensor(...)"
        )
    shape = input._array.shape
    dims = len(shape) - 2
    known = ("nearest", "nearest-exact", "area", *_LINEAR)
    if mode not in known:
        raise NotImplementedError(f"interpolate knows the modes {', '.join(known)}, got {mode!r}")
    if antialias:
        raise NotImplementedError(
            "interpolate has no antialias here: leave antialias=False, or scale down by vision.transforms.Resize, which "
            "has it"
        )
    if dims not in (1, 2, 3) or _LINEAR.get(mode, dims) != dims or (mode == "area" and dims == 3):
        takes = f"{_LINEAR[mode] + 2}D" if mode in _LINEAR else "3D or 4D" if mode == "area" else "3D, 4D or 5D"
        raise NotImplementedError(f"mode {mode!r} takes {takes} inputs, got {len(shape)}D of shape {list(shape)}")
    if align_corners is not None and mode not in _LINEAR:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear | trilinear"
        )
    if mode in _LINEAR and input._array.dtype.kind != "f":
        raise NotImplementedError(
            f"mode {mode!r} is not implemented for {dtypes.of(input._array)}: write input.float()"
        )
    out, scales = _target(shape[2:], size, scale_factor, dims)
    if recompute_scale_factor and size is not None:
        raise ValueError("recompute_scale_factor is not meaningful with an explicit size: leave one of them out")
    if recompute_scale_factor:
        scales = [None] * dims
    if mode == "area":
        return adaptive_avg_pool1d(input, out) if dims == 1 else adaptive_avg_pool2d(input, out)
    return in_single(_resampled, input, out=out, scales=scales, mode=mode, align=bool(align_corners))


def _target(old: Ints, size: Any, scale_factor: Any, dims: int) -> tuple[Ints, list[float | None]]:
    """The new size, and the factors to compute positions by (None: the ratio of the sizes)."""
    if (size is None) == (scale_factor is None):
        raise ValueError("either size or scale_factor should be defined, and only one of them: write size=(H, W)")
    if 0 in old:
        raise RuntimeError(f"Input and output sizes should be greater than 0, but got an input of size {list(old)}")
    if size is not None:
        if isinstance(size, (tuple, list)) and len(size) != dims:
            raise ValueError(
                f"Input and output must have the same number of spatial dimensions, but got {list(old)} and {size}: "
                f"write size of {dims} numbers"
            )
        return per_dimension(size, dims, "size", 1), [None] * dims
    factors = list(scale_factor) if isinstance(scale_factor, (tuple, list)) else [scale_factor] * dims
    if len(factors) != dims:
        raise ValueError(
            f"scale_factor shape must match the {dims} spatial dimensions of the input, got {scale_factor}"
        )
    out = tuple(math.floor(n * float(f)) for n, f in zip(old, factors, strict=True))
    if min(out) < 1:
        raise RuntimeError(f"Input and output sizes should be greater than 0, but got {list(old)} and {list(out)}")
    return out, [float(f) for f in factors]


def _resampled(x: Any, *, out: Ints, scales: list[float | None], mode: str, align: bool) -> Any:
    """One dimension after the other: weights of an image's interpolation are products."""
    for d, (new, factor) in enumerate(zip(out, scales, strict=True)):
        dim, old = d + 2, x._array.shape[d + 2]
        # positions in the precision of the elements, so that they round as PyTorch's
        number = x._array.dtype.type if x._array.dtype.kind == "f" else np.float32
        i = np.arange(new, dtype=number)
        ratio = number(1 / factor) if factor is not None else number(old) / number(new)
        if mode not in _LINEAR:
            at = np.floor((i + number(0.5 if mode == "nearest-exact" else 0)) * ratio)
            x = take_row(x, index=tuple(np.minimum(at.astype(int), old - 1).tolist()), dim=dim)
            continue
        if align:
            at = i * (number(old - 1) / number(new - 1) if new > 1 else number(0))
        else:
            at = np.maximum(ratio * (i + number(0.5)) - number(0.5), number(0))
        lower = np.minimum(at.astype(int), old - 1)
        upper = np.minimum(lower + 1, old - 1)
        t = np.clip(at - lower.astype(number), 0, 1).reshape(-1, *(1 for _ in x._array.shape[dim + 1 :]))
        low, high = (take_row(x, index=tuple(index.tolist()), dim=dim) for index in (lower, upper))
        x = low * (1 - t) + high * t
    return x
