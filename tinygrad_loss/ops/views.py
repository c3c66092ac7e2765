"""Views: the same elements in other shapes and orders."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .arguments import axes, axis, numpy_names, tensor_of
from .broadcast import expand
from .shape import permute_row, reshape, squeeze_row, t_row, transpose_row, unsqueeze_row, view

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "broadcast_to",
    "flatten",
    "moveaxis",
    "movedim",
    "squeeze",
    "swapaxes",
    "swapdims",
    "t",
    "transpose",
    "unflatten",
    "unsqueeze",
]

# --- other shapes -------------------------------------------------------------------------------------------------


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Return the dimensions from ``start_dim`` to ``end_dim`` as one.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.zeros(2, 3, 4).flatten(1).shape
    torch.Size([2, 12])
    """
    shape = tensor_of(input, "flatten").shape
    first, last = axis(start_dim, len(shape)), axis(end_dim, len(shape))
    if not shape:
        return reshape(input, (1,))
    if first > last:
        raise RuntimeError(f"flatten() has invalid args: start_dim {start_dim} cannot come after end_dim {end_dim}")
    if first == last:
        return input
    return reshape(input, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


def unflatten(input: Tensor, dim: int, sizes: Any) -> Tensor:
    """Return one dimension as several; one of the sizes may be -1.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.zeros(2, 12).unflatten(1, (3, -1)).shape
    torch.Size([2, 3, 4])
    """
    shape = tensor_of(input, "unflatten").shape
    d, parts = axis(dim, len(shape)), tuple(int(n) for n in sizes)
    if not parts:
        raise RuntimeError("unflatten: sizes must be non-empty")
    size = shape[d] if shape else 1
    known = math.prod(n for n in parts if n != -1)
    if parts.count(-1) > 1:
        raise RuntimeError(f"unflatten: only one dimension can be inferred, got the sizes {list(parts)}")
    if (-1 not in parts and known != size) or (-1 in parts and (known == 0 or size % known)):
        raise RuntimeError(
            f"unflatten: Provided sizes {list(parts)} don't multiply up to the size of dim {d} ({size}) in the "
            f"input tensor"
        )
    full = tuple(size // known if n == -1 else n for n in parts)
    return view(input, *shape[:d], *full, *shape[d + 1 :])


def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """Return the elements in the shape of another tensor."""
    return reshape(input, tensor_of(other, "reshape_as", "other").shape)


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """Return a view in the shape of another tensor."""
    return view(input, tensor_of(other, "view_as", "other").shape)


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """Return a view that is repeated to the shape of another tensor."""
    return expand(input, tensor_of(other, "expand_as", "other").shape)


def broadcast_to(input: Tensor, size: Any) -> Tensor:
    """Return a view that is repeated to a shape, without a copy.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.broadcast_to(tg.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return expand(input, tuple(size))


@numpy_names
def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Return a view without the dimensions of size 1, or without those of ``dim`` that have it.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.zeros(2, 1, 3).squeeze().shape, tg.zeros(2, 1, 3).squeeze(0).shape
    (torch.Size([2, 3]), torch.Size([2, 1, 3]))
    """
    shape = tensor_of(input, "squeeze").shape
    named = range(len(shape)) if dim is None or dim == () else axes(dim, len(shape)) or ()
    gone = tuple(d for d in named if shape[d] == 1) if dim != () else ()
    return squeeze_row(input, dim=gone, form=0 if dim is None else 2 if isinstance(dim, (tuple, list)) else 1)  # type: ignore[no-any-return]


@numpy_names
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """Return a view with a dimension of size 1 put in at ``dim``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.zeros(2, 3).unsqueeze(1).shape
    torch.Size([2, 1, 3])
    """
    return unsqueeze_row(input, dim=axis(dim, tensor_of(input, "unsqueeze").ndim + 1))  # type: ignore[no-any-return]


# --- other orders -------------------------------------------------------------------------------------------------


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Return a view with two dimensions swapped.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.zeros(2, 3, 4).transpose(1, 2).shape
    torch.Size([2, 4, 3])
    """
    n = tensor_of(input, "transpose").ndim
    return transpose_row(input, dim0=axis(dim0, n), dim1=axis(dim1, n))  # type: ignore[no-any-return]


def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """Return a view with two dimensions swapped: ``transpose`` under NumPy's name.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.swapaxes(tg.zeros(2, 3, 4), 0, 2).shape
    torch.Size([4, 3, 2])
    """
    return transpose(input, axis0, axis1)


def swapdims(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Return a view with two dimensions swapped: ``transpose`` under another name.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.swapdims(tg.zeros(2, 3, 4), 0, 2).shape
    torch.Size([4, 3, 2])
    """
    return transpose(input, dim0, dim1)


def t(input: Tensor) -> Tensor:
    """Return the transpose of a matrix; a vector or scalar stays as it is.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.zeros(2, 3).t().shape
    torch.Size([3, 2])
    """
    n = tensor_of(input, "t").ndim
    if n > 2:
        raise RuntimeError(
            f"t() expects a tensor with <= 2 dimensions, but self is {n}D. Write .transpose(dim0, dim1) or .mT."
        )
    return t_row(input)  # type: ignore[no-any-return]


def _several(dim: Any) -> tuple[Any, ...]:
    return tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)


def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Return a view with some dimensions moved to other places; the rest keep their order.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.movedim(tg.zeros(2, 3, 4), 0, -1).shape
    torch.Size([3, 4, 2])
    """
    n = tensor_of(input, "movedim").ndim
    given = _several(source), _several(destination)
    if len(given[0]) != len(given[1]):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(given[0])} dims) should contain the same number "
            f"of dims as destination ({list(given[1])} dims)"
        )
    places = [[axis(d, n) for d in dims] for dims in given]
    for name, dims, shown in zip(("source", "destination"), places, given, strict=True):
        if len(set(dims)) < len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({list(shown)})")
    if not n:
        return permute_row(input, dims=())  # type: ignore[no-any-return]
    order = [d for d in range(n) if d not in places[0]]
    for to, d in sorted(zip(places[1], places[0], strict=True)):
        order.insert(to, d)
    return permute_row(input, dims=tuple(order))  # type: ignore[no-any-return]


moveaxis = movedim
