"""Convolutions of one and two dimensions, and their transposes, under PyTorch's signatures."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from .. import dtypes
from ..op import TensorBase
from .conv_rows import Ints, Pairs, conv_row, conv_transpose_row
from .shape import reshape, to, unsqueeze_row

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"]


def per_dimension(value: Any, dims: int, what: str, least: int) -> Ints:
    """A number, or one for each dimension, as a tuple."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * dims
    if len(values) == 1:
        values *= dims
    expected = f"expected {what} to be an int or {dims} of them, one per dimension, got {value!r}"
    if not all(hasattr(v, "__index__") and not isinstance(v, bool) for v in values):
        raise TypeError(expected)
    if len(values) != dims:
        raise RuntimeError(expected)
    if min(values) < least:
        sign = "non-positive" if least else "negative"
        raise RuntimeError(f"{sign} {what} is not supported: got {what}={value!r}, write one of {least} or more")
    return tuple(int(v) for v in values)


def batched(input: Tensor, dims: int, name: str) -> tuple[Tensor, bool]:
    """The input as (N, C, ...), and whether there was an N."""
    if not isinstance(input, TensorBase):
        raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}: write tensor(...)")
    shape = input._array.shape
    if len(shape) not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"Expected {dims + 1}D (unbatched) or {dims + 2}D (batched) input to {name}, but got input of size: "
            f"{list(shape)}. Write input.reshape(N, C, {', '.join(['H', 'W'][-dims:])})."
        )
    return (input, True) if len(shape) == dims + 2 else (unsqueeze_row(input, dim=0), False)


def _checked(input: Tensor, weight: Tensor, bias: Tensor | None, dims: int, groups: int, transposed: bool) -> None:
    """Raise if dtypes, dimensions or channels do not fit."""
    x, w = input._array, weight._array
    for what, value in (("weight", weight), ("bias", bias)):
        if value is not None and value._array.dtype != x.dtype:
            raise RuntimeError(
                f"Input type ({dtypes.of(x)}) and {what} type ({dtypes.of(value._array)}) should be the same. Write "
                f"input.to({what}.dtype)."
            )
    if x.dtype.kind not in "fiu":
        raise NotImplementedError(
            f"convolution is not implemented for {dtypes.of(x)}: write input.float() and weight.float()"
        )
    if w.ndim != dims + 2:
        raise RuntimeError(
            f"Expected {dims + 2}-dimensional weight for {dims + 2}-dimensional input {list(x.shape)}, but got weight "
            f"of size {list(w.shape)} instead"
        )
    if not hasattr(groups, "__index__") or isinstance(groups, bool):
        raise TypeError(f"expected groups to be an int, got {groups!r}")
    if groups < 1 or w.shape[0] < groups or w.shape[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0 and divisible by it, but "
            f"got weight of size {list(w.shape)} instead"
        )
    takes, given = w.shape[0] if transposed else w.shape[1] * groups, x.shape[1]
    if takes != given:
        raise RuntimeError(
            f"Given groups={groups}, {'transposed=1, ' if transposed else ''}weight of size {list(w.shape)}, expected "
            f"input{list(x.shape)} to have {takes} channels, but got {given} channels instead. Make the layer with "
            f"in_channels={given}, or give it {takes} channels."
        )
    outputs = w.shape[1] * groups if transposed else w.shape[0]
    if bias is not None and bias._array.shape != (outputs,):
        raise RuntimeError(
            f"Given {'transposed=1, ' if transposed else ''}weight of size {list(w.shape)}, expected bias to be "
            f"1-dimensional with {outputs} elements, but got bias of size {list(bias._array.shape)} instead"
        )


def _pads(padding: Any, kernel: Ints, stride: Ints, dilation: Ints) -> Pairs:
    """Padding as pairs; "same" puts what is odd at the end, as PyTorch does."""
    if not isinstance(padding, str):
        return tuple((p, p) for p in per_dimension(padding, len(kernel), "padding", 0))
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    if padding != "same":
        raise RuntimeError(f"Invalid padding string {padding!r}, should be one of 'valid', 'same'")
    if any(s != 1 for s in stride):
        raise RuntimeError(f"padding='same' is not supported for strided convolutions: got stride={stride}")
    totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    return tuple((t // 2, t - t // 2) for t in totals)


def _convolution(
    input: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int, dims: int
) -> Tensor:
    x, has_batch = batched(input, dims, f"conv{dims}d")
    _checked(x, weight, bias, dims, groups, transposed=False)
    shape, kernel = x._array.shape, weight._array.shape[2:]
    stride, pads, dilation = _fitted(shape, kernel, *map(hashable, (stride, padding, dilation)))
    y = in_single(conv_row, x, weight, bias, stride=stride, padding=pads, dilation=dilation, groups=groups)
    return y if has_batch else reshape(y, y._array.shape[1:])


def hashable(value: Any) -> Any:
    """A parameter as it can be looked up: what is checked once for a shape need not be checked for every batch."""
    return tuple(value) if isinstance(value, list) else value


@functools.lru_cache(512, typed=True)  # typed: True is no 1
def _fitted(shape: Ints, kernel: Ints, stride: Any, padding: Any, dilation: Any) -> tuple[Ints, Pairs, Ints]:
    """Stride, padding and dilation for each dimension, if a kernel of this size fits an input of this shape."""
    dims = len(kernel)
    stride, dilation = per_dimension(stride, dims, "stride", 1), per_dimension(dilation, dims, "dilation", 1)
    pads = _pads(padding, kernel, stride, dilation)
    padded = [n + sum(p) for n, p in zip(shape[2:], pads, strict=True)]
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    if any(n < r for n, r in zip(padded, reach, strict=True)) or 0 in kernel:
        raise RuntimeError(
            f"Calculated padded input size per channel: ({' x '.join(map(str, padded))}). Kernel size: "
            f"({' x '.join(map(str, reach))}). Kernel size can't be greater than actual input size: the input has "
            f"shape {list(shape)}. Write a smaller kernel_size, or a padding that adds "
            f"{max(r - n for n, r in zip(padded, reach, strict=True))}."
        )
    return stride, pads, dilation


def in_single(row: Any, *operands: Any, **params: Any) -> Tensor:
    """Call a row whose kernel has no half precision: in float32, and back."""
    if operands[0]._array.dtype != dtypes.float16.numpy:
        return row(*operands, **params)  # type: ignore[no-any-return]
    wide = [None if x is None else to(x, dtypes.F32) for x in operands]
    return to(row(*wide, **params), operands[0]._array.dtype)  # type: ignore[no-any-return]


def conv1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Tensor:  # fmt: skip
    """Return y[n, o, i] = bias[o] + sum over c, k of weight[o, c, k] x[n, c, stride i + dilation k - padding].

    Parameters
    ----------
    input : Tensor of shape (N, C, L) or (C, L)
    weight : Tensor of shape (O, C / groups, K)
    bias : Tensor of shape (O,), optional
    stride, dilation : int
    padding : int, "valid" (none) or "same" (as much as keeps the size)
    groups : int
        Into as many groups channels are divided; an output sees the channels of its own group.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([[[1.0, 2.0, 4.0, 8.0]]])
    >>> tg.nn.functional.conv1d(x, tg.tensor([[[-1.0, 1.0]]]))
    tensor([[[1., 2., 4.]]])
    """
    return _convolution(input, weight, bias, stride, padding, dilation, groups, 1)


def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Tensor:  # fmt: skip
    """Return the cross-correlation of images with kernels; see ``conv1d``, with a pair of numbers for each place.

    Parameters
    ----------
    input : Tensor of shape (N, C, H, W) or (C, H, W)
    weight : Tensor of shape (O, C / groups, KH, KW)
    bias : Tensor of shape (O,), optional
    stride, dilation : int or (int, int)
    padding : int, (int, int), "valid" or "same"
    groups : int

    Raises
    ------
    RuntimeError
        If channels, dtypes or sizes do not fit; it names the numbers.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.arange(9.0).reshape(1, 1, 3, 3)
    >>> tg.nn.functional.conv2d(x, tg.ones(1, 1, 2, 2))
    tensor([[[[ 8., 12.],
              [20., 24.]]]])
    """
    return _convolution(input, weight, bias, stride, padding, dilation, groups, 2)


def _transposed(
    input: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, output_padding: Any, groups: int,
    dilation: Any, dims: int,
) -> Tensor:  # fmt: skip
    x, has_batch = batched(input, dims, f"conv_transpose{dims}d")
    _checked(x, weight, bias, dims, groups, transposed=True)
    stride, dilation = per_dimension(stride, dims, "stride", 1), per_dimension(dilation, dims, "dilation", 1)
    pad, extra = per_dimension(padding, dims, "padding", 0), per_dimension(output_padding, dims, "output_padding", 0)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise RuntimeError(
            f"output padding must be smaller than either stride or dilation, but got output_padding={extra}, "
            f"stride={stride}, dilation={dilation}"
        )
    size = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(
            x._array.shape[2:], stride, pad, dilation, weight._array.shape[2:], extra, strict=True
        )
    )
    if min(size) <= 0:
        raise RuntimeError(
            f"Given input size per channel: {list(x._array.shape[2:])}. Calculated output size per channel: "
            f"{list(size)}. Output size is too small: write a padding smaller than {pad}."
        )
    pads = tuple((p, p) for p in pad)
    y = in_single(
        conv_transpose_row, x, weight, bias, size=size, stride=stride, padding=pads, dilation=dilation, groups=groups
    )
    return y if has_batch else reshape(y, y._array.shape[1:])


def conv_transpose1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Tensor:  # fmt: skip
    """Return the transpose of ``conv1d``: each input element adds its multiple of the kernel to the output.

    Parameters
    ----------
    input : Tensor of shape (N, C, L) or (C, L)
    weight : Tensor of shape (C, O / groups, K)
    bias : Tensor of shape (O,), optional
    stride, padding, dilation : int
        Those of the convolution that this one is the transpose of.
    output_padding : int
        How much longer than the shortest the output is; a strided convolution maps several sizes to one.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([[[1.0, 10.0]]])
    >>> tg.nn.functional.conv_transpose1d(x, tg.tensor([[[1.0, 2.0, 3.0]]]), stride=2)
    tensor([[[ 1.,  2., 13., 20., 30.]]])
    """
    return _transposed(input, weight, bias, stride, padding, output_padding, groups, dilation, 1)


def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Tensor:  # fmt: skip
    """Return the transpose of ``conv2d``; see ``conv_transpose1d``, with a pair of numbers for each place.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([[[[1.0, 2.0]]]])
    >>> tg.nn.functional.conv_transpose2d(x, tg.ones(1, 1, 2, 2), stride=2)
    tensor([[[[1., 1., 2., 2.],
              [1., 1., 2., 2.]]]])
    """
    return _transposed(input, weight, bias, stride, padding, output_padding, groups, dilation, 2)
