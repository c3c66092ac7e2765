"""Another shape, another dtype, or several tensors as one: the elements stay what they are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..dtypes import Array
from ..op import TensorBase, op, sample
from .arguments import axis, sizes
from .slicing import select_row, slice_row

if TYPE_CHECKING:
    from ..tensor import Tensor

# --- views --------------------------------------------------------------------------------------------------------

view_row = op(
    "view",
    lambda x, *, shape: _viewed(x, shape),
    vjp=lambda g, x_shape: reshape(g, x_shape),
    numpy="{x}.reshape({shape})",
    domain=(-2, 2),
    samples=[sample((3, 4), shape=(2, 6)), sample((3, 4), shape=(12,)), sample((1,), shape=())],
    view=True,
)
copied_row = op(
    "reshape",  # of what no view can show in this order
    lambda x, *, shape: x.reshape(shape).copy(),
    vjp=lambda g, x_shape: reshape(g, x_shape),
    numpy="{x}.reshape({shape})",
    domain=(-2, 2),
    samples=[sample((3, 4), shape=(2, 6))],
    grad_name="UnsafeViewBackward0",
)
permute_row: Any = op(
    "permute",
    lambda x, *, dims: x.transpose(dims),
    vjp=lambda g, dims: permute_row(g, dims=_inverse(dims)),
    numpy="{x}.transpose({dims})",
    domain=(-2, 2),
    samples=[sample((2, 3, 4), dims=(2, 0, 1))],
    view=True,
)
transpose_row: Any = op(
    "transpose",
    lambda x, *, dim0, dim1: x.swapaxes(dim0, dim1) if x.ndim else x[...],
    vjp=lambda g, dim0, dim1: transpose_row(g, dim0=dim0, dim1=dim1),
    numpy="{x}.swapaxes({dim0}, {dim1})",
    domain=(-2, 2),
    samples=[sample((2, 3, 4), dim0=0, dim1=2)],
    view=True,
)
t_row: Any = op(
    "t",
    lambda x: x.T,
    vjp=lambda g: t_row(g),
    numpy="{x}.T",
    domain=(-2, 2),
    samples=[sample((3, 4))],
    view=True,
    grad_name="TBackward0",
)
squeeze_row = op(
    "squeeze",
    lambda x, *, dim: x.squeeze(dim),
    vjp=lambda g, x_shape: reshape(g, x_shape),
    numpy="{x}.squeeze({dim})",
    domain=(-2, 2),
    samples=[sample((3, 1, 4), dim=(1,))],
    view=True,
    grad_name="SqueezeBackward1",
)
unsqueeze_row = op(
    "unsqueeze",
    lambda x, *, dim: np.expand_dims(x, dim),
    vjp=lambda g, dim: squeeze_row(g, dim=(dim,)),
    numpy="np.expand_dims({x}, {dim})",
    domain=(-2, 2),
    samples=[sample((3, 4), dim=1), sample((), dim=0)],
    view=True,
)


def _viewed(x: Array, shape: tuple[int, ...]) -> Array:
    """Reshape without a copy, or ValueError."""
    if x.flags.c_contiguous:
        return x.reshape(shape)
    out = x.view()
    try:
        # np.reshape would copy in silence; assigning the shape refuses to.
        out.shape = shape
    except AttributeError:
        raise ValueError("not viewable") from None
    return out


def _inverse(dims: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(d) for d in np.argsort(dims))


# --- copies -------------------------------------------------------------------------------------------------------

clone_row = op(
    "clone", lambda x: x.copy("K"), vjp=lambda g: g, numpy="{x}.copy()", domain=(-2, 2), samples=[sample((3, 4))]
)
contiguous_row = op(
    "contiguous",
    lambda x: x.copy("C"),
    vjp=lambda g: g,
    numpy="np.ascontiguousarray({x})",
    domain=(-2, 2),
    samples=[sample((3, 4))],
    grad_name="CloneBackward0",
)
to_row = op(
    "to",
    lambda x, *, dtype: x.astype(dtype),
    vjp=lambda g: g,
    numpy="{x}.astype({dtype})",
    domain=(-2, 2),
    samples=[sample((3, 4), dtype="float64")],
    grad_name="ToCopyBackward0",
)
cat_row = op(
    "cat",
    lambda *xs, dim: np.concatenate(xs, axis=dim),
    vjp=lambda g, xs_shapes, dim: _pieces(g, xs_shapes, dim),
    numpy="np.concatenate(({xs}), axis={dim})",
    domain=(-2, 2),
    samples=[sample((2, 3), (1, 3), (4, 3), dim=0), sample((2, 3), (2, 1), dim=1)],
)
stack_row = op(
    "stack",
    lambda *xs, dim: np.stack(xs, axis=dim),
    vjp=lambda g, xs_shapes, dim: tuple(select_row(g, index=(*(slice(None),) * dim, i)) for i in range(len(xs_shapes))),
    numpy="np.stack(({xs}), axis={dim})",
    domain=(-2, 2),
    samples=[sample((2, 3), (2, 3), dim=0), sample((2, 3), (2, 3), (2, 3), dim=2)],
)


def _pieces(g: Any, shapes: tuple[tuple[int, ...], ...], dim: int) -> tuple[Any, ...]:
    ends = np.cumsum([shape[dim] for shape in shapes]).tolist()
    before = (slice(None),) * dim
    return tuple(
        slice_row(g, index=(*before, slice(end - shape[dim], end))) for end, shape in zip(ends, shapes, strict=True)
    )


# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def _resolved(shape: tuple[int, ...], numel: int) -> tuple[int, ...]:
    """Fill in the one size that may be -1."""
    if -1 in shape:
        if shape.count(-1) > 1:
            raise RuntimeError(f"only one dimension can be inferred, got the shape {list(shape)}")
        known = -math.prod(shape)
        if known == 0:
            raise RuntimeError(
                f"cannot reshape tensor of {numel} elements into shape {list(shape)} because the unspecified dimension "
                f"size -1 can be any value and is ambiguous"
            )
        if numel % known == 0:
            return tuple(numel // known if n == -1 else n for n in shape)
    elif math.prod(shape) == numel and min(shape, default=0) >= 0:
        return shape
    raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {numel}")


def reshape(input: Tensor, *shape: Any) -> Tensor:
    """Return the same elements in another shape: a view where one can show it, else a copy.

    Parameters
    ----------
    input : Tensor
    shape : int...
        One size may be -1: it is inferred.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.arange(6).reshape(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    array = input._array if isinstance(input, TensorBase) else input
    if shape.__class__ is tuple and len(shape) == 1 and shape[0].__class__ is tuple:
        shape = shape[0]
    shape = _resolved(sizes(shape), array.size)
    if array.shape == shape:
        return input
    try:
        return view_row(input, shape=shape)  # type: ignore[no-any-return]
    except ValueError:
        return copied_row(input, shape=shape)  # type: ignore[no-any-return]


def view(input: Tensor, *shape: Any) -> Tensor:
    """Return a view of another shape, or of the same bytes as another dtype.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.arange(4).view(2, 2).t().view(4)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    RuntimeError: view size is not compatible with input tensor's size and stride: ... Write .reshape(4) instead.
    """
    array = input._array
    resolved = _resolved(sizes(shape), array.size)
    try:
        return view_row(input, shape=resolved)  # type: ignore[no-any-return]
    except ValueError:
        strides = tuple(s // array.itemsize for s in array.strides)
        raise RuntimeError(
            f"view size is not compatible with input tensor's size and stride: {list(array.shape)} with strides "
            f"{strides} cannot be seen as {list(resolved)} without a copy. Write "
            f".reshape({', '.join(map(str, resolved))}) instead."
        ) from None


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Return the dimensions from ``start_dim`` to ``end_dim`` as one.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.zeros(2, 3, 4).flatten(1).shape
    torch.Size([2, 12])
    """
    shape = input._array.shape
    if not shape:
        return reshape(input, (1,))
    first, last = axis(start_dim, len(shape)), axis(end_dim, len(shape))
    if first > last:
        raise RuntimeError(f"flatten() has invalid args: start_dim {start_dim} cannot come after end_dim {end_dim}")
    return reshape(input, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


def permute(input: Tensor, *dims: Any) -> Tensor:
    """Return a view with the dimensions in another order.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.zeros(2, 3, 4).permute(2, 0, 1).shape
    torch.Size([4, 2, 3])
    """
    order = tuple(axis(d, input._array.ndim) for d in sizes(dims))
    if sorted(order) != list(range(input._array.ndim)):
        raise RuntimeError(
            f"permute(dims): dims {list(order)} must name each of the {input._array.ndim} dimensions once"
        )
    return permute_row(input, dims=order)  # type: ignore[no-any-return]


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Return a view with two dimensions swapped.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.zeros(2, 3, 4).transpose(1, 2).shape
    torch.Size([2, 4, 3])
    """
    n = input._array.ndim
    return transpose_row(input, dim0=axis(dim0, n), dim1=axis(dim1, n))  # type: ignore[no-any-return]


def t(input: Tensor) -> Tensor:
    """Return the transpose of a matrix; a vector or scalar stays as it is.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.zeros(2, 3).t().shape
    torch.Size([3, 2])
    """
    if input._array.ndim > 2:
        raise RuntimeError(
            f"t() expects a tensor with <= 2 dimensions, but self is {input._array.ndim}D. "
            f"Write .transpose(dim0, dim1) or .mT."
        )
    return t_row(input)  # type: ignore[no-any-return]


def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Return a view without the dimensions of size 1, or without those of ``dim`` that have it.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.zeros(2, 1, 3).squeeze().shape, tg.zeros(2, 1, 3).squeeze(0).shape
    (torch.Size([2, 3]), torch.Size([2, 1, 3]))
    """
    shape = input._array.shape
    named = (
        range(len(shape))
        if dim is None
        else [axis(d, len(shape)) for d in (dim if isinstance(dim, (tuple, list)) else (dim,))]
    )
    return squeeze_row(input, dim=tuple(d for d in named if shape and shape[d] == 1))  # type: ignore[no-any-return]


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """Return a view with a dimension of size 1 put in at ``dim``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.zeros(2, 3).unsqueeze(1).shape
    torch.Size([2, 1, 3])
    """
    return unsqueeze_row(input, dim=axis(dim, input._array.ndim + 1))  # type: ignore[no-any-return]


def _joined(tensors: Any, name: str) -> tuple[Any, ...]:
    if isinstance(tensors, TensorBase) or not isinstance(tensors, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'tensors' must be tuple of Tensors, not {type(tensors).__name__}; write {name}([a, b])"
        )
    if not tensors:
        raise RuntimeError(f"{name}(): expected a non-empty list of Tensors")
    for i, x in enumerate(tensors):
        if not isinstance(x, TensorBase):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(x).__name__}")
    if len({x._array.dtype for x in tensors}) == 1:
        return tuple(tensors)
    common = dtypes.result_type(*(x._array for x in tensors)).numpy
    return tuple(to(x, common) for x in tensors)


def cat(tensors: Any, dim: int = 0) -> Tensor:
    """Join tensors along a dimension that they have; the others must agree.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.cat([tg.tensor([1, 2]), tg.tensor([3])])
    tensor([1, 2, 3])
    """
    xs = _joined(tensors, "cat")
    # PyTorch lets an empty 1-D tensor stand beside anything, for loops that start from one.
    kept = tuple(x for x in xs if x._array.shape != (0,)) or xs
    first = kept[0]._array.shape
    d = axis(dim, len(first))
    if not first:
        raise RuntimeError("zero-dimensional tensor (at position 0) cannot be concatenated; write stack()")
    for i, x in enumerate(kept):
        shape = x._array.shape
        if len(shape) != len(first):
            raise RuntimeError(f"Tensors must have same number of dimensions: got {len(first)} and {len(shape)}")
        if shape[:d] + shape[d + 1 :] != first[:d] + first[d + 1 :]:
            raise RuntimeError(
                f"Sizes of tensors must match except in dimension {d}. Expected {list(first)} but got {list(shape)} "
                f"for tensor number {i} in the list."
            )
    return cat_row(*kept, dim=d)  # type: ignore[no-any-return]


def stack(tensors: Any, dim: int = 0) -> Tensor:
    """Join tensors of one shape along a new dimension.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.stack([tg.tensor([1, 2]), tg.tensor([3, 4])], dim=1)
    tensor([[1, 3],
            [2, 4]])
    """
    xs = _joined(tensors, "stack")
    for i, x in enumerate(xs):
        if x._array.shape != xs[0]._array.shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(xs[0]._array.shape)} at entry 0 and "
                f"{list(x._array.shape)} at entry {i}"
            )
    return stack_row(*xs, dim=axis(dim, xs[0]._array.ndim + 1))  # type: ignore[no-any-return]


def to(x: Any, dtype: Any) -> Any:
    """The same values as another NumPy dtype; the tensor or array itself where it has it."""
    array = x._array if isinstance(x, TensorBase) else x
    return x if array.dtype == dtype else to_row(x, dtype=dtype)
