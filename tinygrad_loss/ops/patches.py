"""Images cut into patches, and put together from them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import Array
from ..op import op, sample
from .conv import per_dimension
from .shape import reshape

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["fold", "unfold"]

Ints = tuple[int, ...]

# --- rows ---------------------------------------------------------------------------------------------------------


def unfolded(x: Array, *, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Array:
    """All patches of a kernel's size: (N, C, H, W) -> (N, C * kernel elements, places)."""
    x = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))
    places = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True)]
    y = np.empty((*x.shape[:2], *kernel, *places), x.dtype)
    for i, j in np.ndindex(*kernel):
        top, left = i * dilation[0], j * dilation[1]
        rows, columns = (
            slice(top, top + places[0] * stride[0], stride[0]),
            slice(left, left + places[1] * stride[1], stride[1]),
        )
        y[:, :, i, j] = x[:, :, rows, columns]
    return y.reshape(len(x), x.shape[1] * kernel[0] * kernel[1], places[0] * places[1])


def folded(x: Array, *, size: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Array:
    """The transpose of ``unfolded``: patches added up where they overlap."""
    full = [n + 2 * p for n, p in zip(size, padding, strict=True)]
    places = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(full, kernel, stride, dilation, strict=True)]
    patches = x.reshape(len(x), x.shape[1] // (kernel[0] * kernel[1]), *kernel, *places)
    y = np.zeros((*patches.shape[:2], *full), x.dtype)
    for i, j in np.ndindex(*kernel):
        top, left = i * dilation[0], j * dilation[1]
        rows, columns = (
            slice(top, top + places[0] * stride[0], stride[0]),
            slice(left, left + places[1] * stride[1], stride[1]),
        )
        y[:, :, rows, columns] += patches[:, :, i, j]
    return y[:, :, padding[0] : padding[0] + size[0], padding[1] : padding[1] + size[1]].copy()


_PATCHES = {"kernel": (2, 3), "stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)}
unfold_row: Any = op(
    "unfold",
    unfolded,
    vjp=lambda g, x_shape, kernel, stride, padding, dilation: fold_row(
        g, size=x_shape[2:], kernel=kernel, stride=stride, padding=padding, dilation=dilation
    ),
    numpy=unfolded,
    domain=(-2, 2),
    samples=[sample((2, 3, 5, 6), **_PATCHES)],
    grad_name="Im2ColBackward0",
)
fold_row: Any = op(
    "fold",
    folded,
    vjp=lambda g, kernel, stride, padding, dilation: unfold_row(
        g, kernel=kernel, stride=stride, padding=padding, dilation=dilation
    ),
    numpy=folded,
    domain=(-2, 2),
    samples=[sample((2, 18, 6), size=(5, 6), **_PATCHES)],
    grad_name="Col2ImBackward0",
)

# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def _patch_sizes(kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> dict[str, Ints]:
    return {
        "kernel": per_dimension(kernel_size, 2, "kernel_size", 1),
        "stride": per_dimension(stride, 2, "stride", 1),
        "padding": per_dimension(padding, 2, "padding", 0),
        "dilation": per_dimension(dilation, 2, "dilation", 1),
    }


def _places(size: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> list[int]:
    return [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
    ]


def unfold(input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """Return all patches of images as columns: (N, C, H, W) -> (N, C * kernel elements, places).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.unfold(tg.arange(6.0).reshape(1, 1, 2, 3), (2, 2))
    tensor([[[0., 1.],
             [1., 2.],
             [3., 4.],
             [4., 5.]]])
    """
    shape, sizes = input._array.shape, _patch_sizes(kernel_size, dilation, padding, stride)
    if len(shape) not in (3, 4):
        raise RuntimeError(f"Expected 3D or 4D (batch mode) tensor with images, but got input of size: {list(shape)}")
    places = _places(shape[-2:], **sizes)
    if min(places) < 1:
        raise RuntimeError(
            f"Given input with spatial size {list(shape[-2:])}, {', '.join(f'{k}={v}' for k, v in sizes.items())}, the "
            f"array of patches would be {places}, but its sizes must be at least one: write a smaller kernel_size"
        )
    out: Tensor = unfold_row(input if len(shape) == 4 else reshape(input, (1, *shape)), **sizes)
    return out if len(shape) == 4 else reshape(out, out._array.shape[1:])


def fold(
    input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """Return images of which the input holds the patches as columns, added up where they overlap; see ``unfold``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.fold(tg.ones(1, 4, 2), (2, 3), (2, 2))
    tensor([[[[1., 2., 1.],
              [1., 2., 1.]]]])
    """
    shape, sizes = input._array.shape, _patch_sizes(kernel_size, dilation, padding, stride)
    size = per_dimension(output_size, 2, "output_size", 1)
    if len(shape) not in (2, 3):
        raise RuntimeError(f"Expected 2D or 3D (batch mode) tensor with columns, but got input of size: {list(shape)}")
    elements, places = math.prod(sizes["kernel"]), _places(size, **sizes)
    if shape[-2] % elements:
        raise RuntimeError(
            f"Expected size of input's dimension {len(shape) - 2} to be divisible by the product of kernel_size, but "
            f"got {shape[-2]} and kernel_size={sizes['kernel']}"
        )
    if min(places) < 1 or shape[-1] != math.prod(places):
        raise RuntimeError(
            f"Given output_size={size}, {', '.join(f'{k}={v}' for k, v in sizes.items())}, expected size of input's "
            f"last dimension to match the number of patches {places[0]} * {places[1]} = {math.prod(places)}, but got "
            f"{shape[-1]}"
        )
    out: Tensor = fold_row(input if len(shape) == 3 else reshape(input, (1, *shape)), size=size, **sizes)
    return out if len(shape) == 3 else reshape(out, out._array.shape[1:])
