"""Another shape, another dtype, or several tensors as one: the elements stay what they are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..dtypes import Array
from ..op import TensorBase, mode, op, sample
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
view_bytes_row = op(
    "view_bytes",
    lambda x, *, dtype: x.view(dtype),
    numpy="{x}.view({dtype})",
    domain=(-2, 2),
    samples=[sample(np.arange(6), dtype="float64")],
    view=True,
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
    lambda x, *, dim, form: x.squeeze(dim),
    vjp=lambda g, x_shape: reshape(g, x_shape),
    numpy="{x}.squeeze({dim})",
    domain=(-2, 2),
    samples=[sample((3, 1, 4), dim=(1,), form=1)],
    view=True,
    grad_name=lambda arrays, params: f"SqueezeBackward{params['form']}",  # of all, of one or of several dimensions
)
unsqueeze_row = op(
    "unsqueeze",
    lambda x, *, dim: x[(slice(None),) * dim + (None,)],
    vjp=lambda g, dim: squeeze_row(g, dim=(dim,), form=1),
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
channels_last_row = op(
    "channels_last",
    lambda x: np.moveaxis(np.moveaxis(x, 1, -1).copy("C"), -1, 1),
    vjp=lambda g: g,
    numpy="{x}.copy()",
    domain=(-2, 2),
    samples=[sample((2, 3, 2, 2))],
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
    before, start, pieces = (slice(None),) * dim, 0, []
    for shape in shapes:
        index = (*before, slice(start, start + shape[dim]))
        pieces.append(g[index] if g.__class__ is np.ndarray else slice_row(g, index=index))
        start += shape[dim]
    return tuple(pieces)


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


def reshape(input: Any, *new: Any, shape: Any = None) -> Tensor:
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
    if input.__class__ is np.ndarray:  # in a rule
        return input.reshape(*new or (shape,))  # type: ignore[return-value]
    array = input._array if isinstance(input, TensorBase) else input
    shape = _resolved(sizes(new, shape), array.size)
    try:
        return view_row(input, shape=shape)  # type: ignore[no-any-return]
    except ValueError:
        return copied_row(input, shape=shape)  # type: ignore[no-any-return]


def view(input: Tensor, *shape: Any, size: Any = None, dtype: Any = None) -> Tensor:
    """Return a view of another shape, or of the same bytes as another dtype.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.arange(4).view(2, 2).t().view(4)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    RuntimeError: view size is not compatible with input tensor's size and stride: ... Write .reshape(4) instead.
    """
    array = input._array
    if dtype is not None or (len(shape) == 1 and isinstance(shape[0], dtypes.dtype)):
        return _other_bytes(input, shape[0] if dtype is None else dtype)
    resolved = _resolved(sizes(shape, size), array.size)
    try:
        return view_row(input, shape=resolved)  # type: ignore[no-any-return]
    except ValueError:
        strides = tuple(s // array.itemsize for s in array.strides)
        raise RuntimeError(
            f"view size is not compatible with input tensor's size and stride: {list(array.shape)} with strides "
            f"{strides} cannot be seen as {list(resolved)} without a copy. Write "
            f".reshape({', '.join(map(str, resolved))}) instead."
        ) from None


def _other_bytes(input: Tensor, dtype: Any) -> Tensor:
    target = dtypes.as_numpy(dtype)
    try:
        return view_bytes_row(input, dtype=target)  # type: ignore[no-any-return]
    except ValueError as error:
        raise RuntimeError(f"view: {dtypes.of(input._array)} cannot be seen as {dtype}: {error}") from None


def permute(input: Tensor, *order: Any, dims: Any = None) -> Tensor:
    """Return a view with the dimensions in another order.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.zeros(2, 3, 4).permute(2, 0, 1).shape
    torch.Size([4, 2, 3])
    """
    order = tuple(axis(d, input._array.ndim) for d in sizes(order, dims))
    if sorted(order) != list(range(input._array.ndim)):
        raise RuntimeError(
            f"permute(dims): dims {list(order)} must name each of the {input._array.ndim} dimensions once"
        )
    return permute_row(input, dims=order)  # type: ignore[no-any-return]


class memory_format:
    """How the elements of a tensor lie in memory, for ``clone`` and ``contiguous``."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"


preserve_format, contiguous_format = memory_format("preserve_format"), memory_format("contiguous_format")
channels_last, channels_last_3d = memory_format("channels_last"), memory_format("channels_last_3d")


def _checked(array: Array, kind: memory_format) -> None:
    if kind in (channels_last, channels_last_3d) and array.ndim != (4 if kind is channels_last else 5):
        raise RuntimeError(
            f"required rank {4 if kind is channels_last else 5} tensor to use {kind.name} format, got {array.ndim}D of "
            f"shape {list(array.shape)}"
        )


def clone(input: Tensor, *, memory_format: memory_format = preserve_format) -> Tensor:
    """Return a copy that stays on the tape, laid out as the input unless another format is asked for.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> tg.clone(x)
    tensor([1., 2.], grad_fn=<CloneBackward0>)
    """
    _checked(input._array, memory_format)
    if memory_format is preserve_format:
        return clone_row(input)  # type: ignore[no-any-return]
    return (contiguous_row if memory_format is contiguous_format else channels_last_row)(input)  # type: ignore[no-any-return]


def contiguous(input: Tensor, memory_format: memory_format = contiguous_format) -> Tensor:
    """Return the tensor itself if its elements lie in memory in their order, else a copy whose do."""
    array = input._array
    _checked(array, memory_format)
    if memory_format in (channels_last, channels_last_3d):
        return input if np.moveaxis(array, 1, -1).flags.c_contiguous else channels_last_row(input)
    if memory_format is preserve_format:
        raise RuntimeError("preserve memory format is unsupported by the contiguous operator")
    return input if array.flags.c_contiguous else contiguous_row(input)


def to(x: Any, dtype: Any) -> Any:
    """The same values as another NumPy dtype; the tensor or array itself where it has it."""
    array = x._array if isinstance(x, TensorBase) else x
    if mode.wide and array.dtype == np.float64 and np.dtype(dtype).kind == "f":
        return x
    return x if array.dtype == dtype else to_row(x, dtype=dtype)
