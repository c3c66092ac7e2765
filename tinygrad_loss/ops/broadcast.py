"""Expanding and summing, each the other's gradient."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import F32, F64
from ..kernels import dense, reductions
from ..op import TensorBase, op, sample
from .arguments import sizes
from .shape import reshape

if TYPE_CHECKING:
    from ..tensor import Tensor

SMALL = 4096  # elements that are copied in the time that making a view of them takes
Dims = tuple[int, ...] | None
DIMS = [
    sample((3, 4), dim=None, keepdim=False),
    sample((3, 4), dim=(1,), keepdim=True),
    sample((2, 3, 4), dim=(0, 2), keepdim=False),
    sample((), dim=None, keepdim=False),
]

expand_row = op(
    "expand",
    lambda x, *, shape: np.broadcast_to(x, shape),
    vjp=lambda g, x_shape: sum_to_shape(g, x_shape),
    numpy="np.broadcast_to({x}, {shape})",
    domain=(-2, 2),
    samples=[sample((3, 1), shape=(2, 3, 4)), sample((), shape=(2, 3))],
    view=True,
)


def total(x: Any, *, dim: Dims, keepdim: bool) -> Any:
    """Sum, in float64 inside and with the roundings of blocks put back."""
    if x.dtype is F32 or x.dtype is F64:
        if dim is None or len(dim) == x.ndim:
            out = dense.sum_(x)
            return out.reshape((1,) * x.ndim) if keepdim else out
        return reductions.sum_over(x, dim if len(dim) == 1 else tuple(sorted(dim)), keepdim)
    return np.sum(x, axis=dim, keepdims=keepdim)


sum_row = op(
    "sum",
    total,
    vjp=lambda g, x_shape, dim, keepdim: spread(g, x_shape, dim, keepdim),
    numpy="{x}.sum(axis={dim}, keepdims={keepdim})",
    domain=(-2, 2),
    samples=DIMS,
    grad_name=lambda arrays, params: f"SumBackward{int(params['dim'] is not None)}",
)


def restored(g: Any, shape: tuple[int, ...], dim: Dims, keepdim: bool) -> Any:
    """Give a reduced value back the dimensions that were reduced, of size 1."""
    if keepdim or not shape:
        return g
    return reshape(g, tuple(1 if dim is None or d in dim else n for d, n in enumerate(shape)))


def spread(g: Any, shape: tuple[int, ...], dim: Dims, keepdim: bool) -> Any:
    """Hand a reduced gradient to every element that was reduced."""
    if isinstance(g, (np.ndarray, np.generic)) and math.prod(shape) <= SMALL:
        out = np.empty(shape, g.dtype)  # np.broadcast_to takes longer than this, and the engine would copy its view
        out[...] = g if dim is None and not keepdim else restored(g, shape, dim, keepdim)
        return out
    return expand_row(restored(g, shape, dim, keepdim), shape=shape)


def sum_to_shape(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum over the dimensions that broadcasting from ``shape`` added or enlarged; ValueError if it did not."""
    given = g._array.shape if isinstance(g, TensorBase) else g.shape
    extra = len(given) - len(shape)
    if extra < 0 or any(m not in (n, 1) for m, n in zip(shape, given[extra:], strict=True)):
        raise ValueError(f"shape {given} does not come from {shape} by broadcasting")
    dims = tuple(d for d, n in enumerate(given) if d < extra or (shape[d - extra] == 1 and n != 1))
    if dims:
        g = sum_row(g, dim=None if len(dims) == len(given) else dims, keepdim=False)
    return reshape(g, shape)


def expand(input: Tensor, *shape: Any, size: Any = None) -> Tensor:
    """Return a view in which dimensions of size 1 are repeated without a copy; -1 keeps a size.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([[1], [2]]).expand(2, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    old, new = input._array.shape, sizes(shape, size)
    extra = len(new) - len(old)
    full = tuple(old[d - extra] if n == -1 and d >= extra else n for d, n in enumerate(new))
    for d, n in enumerate(full):
        if extra < 0 or n < 0 or (d >= extra and old[d - extra] not in (1, n)):
            raise RuntimeError(
                f"The expanded size {list(new)} must match the existing size {list(old)} at every dimension that is "
                f"not 1, counted from the end"
            )
    if extra < 0:
        raise RuntimeError(f"expand: the number of sizes provided ({len(new)}) must be at least {len(old)}")
    return expand_row(input, shape=full)  # type: ignore[no-any-return]
