"""Borders: constants, or the image's own elements, around the last dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import Array
from ..op import TensorBase, op, sample
from .slicing import slice_row

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["pad"]

# --- rows ---------------------------------------------------------------------------------------------------------

pad_row: Any = op(
    "pad",
    lambda x, *, pairs, value: np.pad(x, pairs, constant_values=value),
    vjp=lambda g, x_shape, pairs: slice_row(
        g, index=tuple(slice(low, low + n) for n, (low, _) in zip(x_shape, pairs, strict=True))
    ),
    numpy="np.pad({x}, {pairs}, constant_values={value})",
    domain=(-2, 2),
    samples=[sample((2, 3), pairs=((1, 0), (0, 2)), value=0.5), sample((3,), pairs=((2, 1),), value=0.0)],
    grad_name="ConstantPadNdBackward0",
)
take_row: Any = op(
    "take",
    lambda x, *, index, dim: x.take(index, axis=dim),
    vjp=lambda g, x_shape, index, dim: take_grad(g, size=x_shape[dim], index=index, dim=dim),
    numpy="{x}.take({index}, axis={dim})",
    domain=(-2, 2),
    samples=[sample((3, 4), index=(2, 0, 0), dim=0), sample((2, 3), index=(0, 0, 1, 2, 1), dim=1)],
    grad_name="IndexSelectBackward0",
)


def _put(g: Array, *, size: int, index: tuple[int, ...], dim: int) -> Array:
    out = np.zeros((*g.shape[:dim], size, *g.shape[dim + 1 :]), g.dtype)
    # Slab by slab: np.add.at over an array of positions goes element by element.
    for target, source in zip(index, np.moveaxis(g, dim, 0), strict=True):
        np.moveaxis(out, dim, 0)[target] += source
    return out


take_grad: Any = op(
    "take_grad",
    _put,
    vjp=lambda g, index, dim: take_row(g, index=index, dim=dim),
    numpy=_put,
    domain=(-2, 2),
    samples=[sample((3, 4), size=3, index=(2, 0, 0), dim=0)],
    grad_name="IndexSelectBackwardBackward0",
)

# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def _positions(size: int, low: int, high: int, mode: str, dim: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Where in a dimension each element of the padded one comes from."""
    at = np.arange(-low, size + high)
    if mode == "replicate":
        return tuple(np.clip(at, 0, size - 1).tolist())
    limit = size - 1 if mode == "reflect" else size
    if max(low, high) > limit:
        least = "less than" if mode == "reflect" else "at most"
        raise RuntimeError(
            f"Padding size should be {least} the corresponding input dimension, but got: padding ({low}, {high}) at "
            f"dimension {dim} of input {list(shape)}. Write mode='replicate', or a padding of {limit} at most."
        )
    if mode == "circular":
        return tuple((at % max(size, 1)).tolist())
    return tuple((limit - np.abs(limit - np.abs(at))).tolist())


def pad(input: Tensor, pad: Any, mode: str = "constant", value: float | None = None) -> Tensor:
    """Return the input with a border around its last dimensions.

    Parameters
    ----------
    input : Tensor
    pad : sequence of int
        Before and after for the last dimension, then for the one before it, and so on; negative ones crop.
    mode : "constant", "reflect", "replicate" or "circular"
        What the border holds: ``value`` (0), the image mirrored at its edge, the edge, or the image's other end.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.pad(tg.tensor([[1.0, 2.0, 3.0]]), (1, 2))
    tensor([[0., 1., 2., 3., 0., 0.]])
    >>> tg.nn.functional.pad(tg.tensor([[1.0, 2.0, 3.0]]), (2, 1), mode="reflect")
    tensor([[3., 2., 1., 2., 3., 2.]])
    """
    if not isinstance(input, TensorBase):
        raise TypeError(f"pad(): argument 'input' must be Tensor, not {type(input).__name__}: write tensor(...)")
    shape, numbers = input._array.shape, [int(p) for p in pad]
    if len(numbers) % 2 or len(numbers) > 2 * len(shape):
        raise RuntimeError(
            f"Padding length must be divisible by 2 and at most twice the number of dimensions of the input: got "
            f"{numbers} for shape {list(shape)}. Write (before, after) for the last dimension, and so on."
        )
    if mode not in ("constant", "reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}: write constant, reflect, replicate or circular")
    if mode != "constant" and value:
        raise ValueError(f'Padding mode "{mode}" doesn\'t take in value argument')
    pairs = [(0, 0)] * (len(shape) - len(numbers) // 2) + list(zip(numbers[::2], numbers[1::2], strict=True))[::-1]
    if min(numbers, default=0) < 0 and mode in ("constant", "circular"):
        crop = tuple(slice(max(0, -low), n - max(0, -high)) for n, (low, high) in zip(shape, pairs, strict=True))
        if any(s.stop - s.start < 0 for s in crop):
            raise RuntimeError(f"negative padding {numbers} crops more than the input of shape {list(shape)} has")
        input = slice_row(input, index=crop)
        pairs = [(max(low, 0), max(high, 0)) for low, high in pairs]
    if mode == "constant":
        return pad_row(input, pairs=tuple(pairs), value=value or 0)  # type: ignore[no-any-return]
    for dim, (low, high) in enumerate(pairs):
        if low or high:
            index = _positions(input._array.shape[dim], low, high, mode, dim, shape)
            input = take_row(input, index=index, dim=dim)
    return input
