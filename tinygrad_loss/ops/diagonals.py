"""Diagonals and triangles of matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import Array
from ..op import op, sample
from .arguments import axis, tensor_of
from .elementwise import where_row

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["diag", "diag_embed", "diagonal", "trace", "tril", "triu"]

_DIAGONALS = [
    sample((3, 4), offset=0, dim1=0, dim2=1),
    sample((3, 4), offset=-1, dim1=1, dim2=0),
    sample((2, 3, 4), offset=2, dim1=0, dim2=2),
]


def _diagonal(x: Array, offset: int, dim1: int, dim2: int) -> Array:
    out = np.diagonal(x, offset, dim1, dim2)
    out.flags.writeable = x.flags.writeable  # NumPy marks its view read-only
    return out


def _on_diagonal(g: Array, *, shape: tuple[int, ...], offset: int, dim1: int, dim2: int) -> Array:
    """Zeros of that shape, with these elements on a diagonal."""
    out = np.zeros(shape, g.dtype)
    _diagonal(out, offset, dim1, dim2)[...] = g
    return out


def _diagonals(name: str, forward: Callable[..., Array], view: bool, grad_name: str) -> Any:
    return op(
        name,
        forward,
        vjp=lambda g, x_shape, offset, dim1, dim2: diagonal_grad(g, shape=x_shape, offset=offset, dim1=dim1, dim2=dim2),
        numpy="np.diagonal({x}, {offset}, {dim1}, {dim2})",
        domain=(-2, 2),
        samples=_DIAGONALS,
        view=view,
        grad_name=grad_name,
    )


diagonal_row = _diagonals(
    "diagonal", lambda x, *, offset, dim1, dim2: _diagonal(x, offset, dim1, dim2), True, "DiagonalBackward0"
)
diagonal_copy_row = _diagonals(
    "diagonal_copy",
    lambda x, *, offset, dim1, dim2: _diagonal(x, offset, dim1, dim2).copy(),
    False,
    "DiagonalBackward0_copy",
)
diagonal_grad = op(
    "diagonal_grad",
    _on_diagonal,
    vjp=lambda g, offset, dim1, dim2: diagonal_row(g, offset=offset, dim1=dim1, dim2=dim2),
    numpy=_on_diagonal,
    domain=(-2, 2),
    samples=[sample((3,), shape=(3, 4), offset=1, dim1=0, dim2=1)],
    grad_name="DiagEmbedBackward0",
)


def _triangle(name: str, cut: Any) -> Any:
    row: Any = op(
        name,
        lambda x, *, k: cut(x, k),
        vjp=lambda g, k: row(g, k=k),
        numpy=f"np.{name}({{x}}, {{k}})",
        domain=(-2, 2),
        samples=[sample((3, 4), k=0), sample((2, 3, 3), k=-1)],
    )
    return row


tril_row = _triangle("tril", np.tril)
triu_row = _triangle("triu", np.triu)
trace_row = op(
    "trace",
    lambda x: np.trace(x, dtype=np.int64 if x.dtype.kind in "iub" else x.dtype),
    vjp=lambda g, x_shape: where_row(np.eye(*x_shape) != 0, g, 0.0),
    numpy="np.trace({x})",
    domain=(-2, 2),
    samples=[sample((3, 4))],
)


# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """Return a view of a diagonal of two dimensions, as the last dimension.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.diagonal(tg.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    n = tensor_of(input, "diagonal").ndim
    first, second = axis(dim1, n), axis(dim2, n)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return diagonal_row(input, offset=int(offset), dim1=first, dim2=second)  # type: ignore[no-any-return]


def _matrix(input: Tensor, name: str) -> None:
    shape = tensor_of(input, name).shape
    if len(shape) < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions, got shape {list(shape)}")


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """Return the lower triangle, up to a diagonal; the rest is 0.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tril(tg.ones(2, 2))
    tensor([[1., 0.],
            [1., 1.]])
    """
    _matrix(input, "tril")
    return tril_row(input, k=int(diagonal))  # type: ignore[no-any-return]


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """Return the upper triangle, from a diagonal on; the rest is 0.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.triu(tg.ones(2, 2), diagonal=1)
    tensor([[0., 1.],
            [0., 0.]])
    """
    _matrix(input, "triu")
    return triu_row(input, k=int(diagonal))  # type: ignore[no-any-return]


def trace(input: Tensor) -> Tensor:
    """Return the sum of the main diagonal of a matrix.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.trace(tg.tensor([[1, 2], [3, 4]]))
    tensor(5)
    """
    shape = tensor_of(input, "trace").shape
    if len(shape) != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {len(shape)} of shape {list(shape)}")
    return trace_row(input)  # type: ignore[no-any-return]


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Return matrices that have the last dimension on a diagonal, and zeros elsewhere.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.diag_embed(tg.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    n = tensor_of(input, "diag_embed").ndim + 1
    first, second = axis(dim1, n), axis(dim2, n)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    shape, size = [*input._array.shape[:-1]], input._array.shape[-1] + abs(int(offset))
    for d in sorted((first, second)):
        shape.insert(d, size)
    return diagonal_grad(input, shape=tuple(shape), offset=int(offset), dim1=first, dim2=second)  # type: ignore[no-any-return]


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """Return a diagonal of a matrix as a copy; of a vector, the matrix that has it there.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.diag(tg.tensor([1, 2])), tg.diag(tg.tensor([[1, 2], [3, 4]]))
    (tensor([[1, 0],
            [0, 2]]), tensor([1, 4]))
    """
    shape = tensor_of(input, "diag").shape
    if len(shape) == 1:
        return diag_embed(input, diagonal)
    if len(shape) != 2:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {len(shape)}D of shape {list(shape)}")
    return diagonal_copy_row(input, offset=int(diagonal), dim1=0, dim2=1)  # type: ignore[no-any-return]
