"""Pooling: the largest or the average element of windows, of fixed or of adaptive size."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from .. import dtypes
from ..op import TensorBase
from .conv import batched, hashable, in_single, per_dimension
from .pool_rows import Windows, avg_pool_row, max_pool_indices, max_pool_row
from .shape import reshape, to

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d", "avg_pool1d",
    "avg_pool2d", "max_pool1d", "max_pool2d",
]  # fmt: skip

Ints = tuple[int, ...]


def _outputs(size: int, kernel: int, stride: int, pad: int, dilation: int, ceil_mode: bool) -> int:
    """How many windows fit one dimension."""
    room = size + 2 * pad - dilation * (kernel - 1) - 1
    count = (room + (stride - 1 if ceil_mode else 0)) // stride + 1
    # a window must begin inside the image or its left padding
    return count - 1 if ceil_mode and (count - 1) * stride >= size + pad else count


def _fixed(size: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool) -> Windows:
    """The windows of a kernel that moves by a stride, less what lies in the padding."""
    found = []
    for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True):
        starts = [i * s - p for i in range(_outputs(n, k, s, p, d, ceil_mode))]
        found.append(tuple(range(a + max(0, -(a // d)) * d, min(a + d * (k - 1) + 1, n), d) for a in starts))
    return Windows(found)


@functools.lru_cache(512)
def _adaptive(size: Ints, out: Ints) -> Windows:
    """Windows that share each dimension evenly, overlapping by one where it does not divide."""
    return Windows(
        tuple(range(i * n // m, -(-(i + 1) * n // m)) for i in range(m)) for n, m in zip(size, out, strict=True)
    )


@functools.lru_cache(512)
def _lengths(windows: Windows) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(max(len(w), 1)) for w in ws) for ws in windows)


def _prepared(
    input: Tensor, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, dims: int, name: str
) -> tuple[Tensor, bool, Windows, tuple[Ints, Ints, Ints]]:
    """The batched input, whether it was, the windows, and kernel, stride and padding; or an error about them."""
    x, has_batch = batched(input, dims, name)
    parameters = map(hashable, (kernel_size, stride, padding, dilation))
    return x, has_batch, *_fitted(x._array.shape, *parameters, bool(ceil_mode), name)


@functools.lru_cache(512, typed=True)  # typed: True is no 1
def _fitted(
    shape: Ints, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, name: str
) -> tuple[Windows, tuple[Ints, Ints, Ints]]:
    """The windows of a kernel on inputs of this shape, and kernel, stride and padding for each dimension."""
    dims, size = len(shape) - 2, shape[2:]
    if 0 in shape[1:]:
        raise RuntimeError(
            f"{name}: Expected {dims + 1}D or {dims + 2}D (batch mode) tensor with optional 0 dim batch size for input, "
            f"but got: {list(shape)}"
        )
    kernel = per_dimension(kernel_size, dims, "kernel_size", 1)
    steps = kernel if stride is None or stride in ([], ()) else per_dimension(stride, dims, "stride", 1)
    pads, spread = per_dimension(padding, dims, "padding", 0), per_dimension(dilation, dims, "dilation", 1)
    for p, k in zip(pads, kernel, strict=True):
        if p > k // 2:
            raise RuntimeError(f"pad should be at most half of kernel size, but got pad={p} and kernel_size={k}")
    outer = [
        _outputs(n, k, s, p, d, ceil_mode) for n, k, s, p, d in zip(size, kernel, steps, pads, spread, strict=True)
    ]
    if min(outer) < 1:
        given, made = ("x".join(map(str, (shape[1], *ns))) for ns in (size, outer))
        raise RuntimeError(
            f"Given input size: ({given}). Calculated output size: ({made}). Output size is too small: the kernel of "
            f"size {kernel} does not fit the input of shape {list(shape)}. Write a smaller kernel_size."
        )
    return _fixed(size, kernel, steps, pads, spread, ceil_mode), (kernel, steps, pads)


def _unbatched(y: Any, has_batch: bool) -> Any:
    return y if has_batch else reshape(y, y._array.shape[1:])


def _maximum(x: Tensor, has_batch: bool, windows: Windows, return_indices: bool) -> Any:
    if x._array.dtype.kind not in "fiu":
        raise NotImplementedError(f"max_pool is not implemented for {dtypes.of(x._array)}: write input.float()")
    y = _unbatched(in_single(max_pool_row, x, windows=windows), has_batch)
    if not return_indices:
        return y
    if not windows.whole:
        raise RuntimeError(
            f"max_pool: a window sees nothing of the input of shape {list(x._array.shape)}, but the padding alone: its "
            f"maximum has no index. Write a smaller dilation, or return_indices=False."
        )
    wide = to(x, dtypes.F32) if x._array.dtype == dtypes.float16.numpy else x
    return y, _unbatched(max_pool_indices(wide, windows=windows), has_batch)


def _average(x: Tensor, has_batch: bool, windows: Windows, divisors: tuple[tuple[float, ...], ...]) -> Tensor:
    if x._array.dtype.kind not in "fiu":  # of integers, the average is one, cut off after the point
        raise NotImplementedError(f"avg_pool is not implemented for {dtypes.of(x._array)}: write input.float()")
    return _unbatched(in_single(avg_pool_row, x, windows=windows, divisors=divisors), has_batch)  # type: ignore[no-any-return]


def _max_pool(
    input: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool, both: bool, dims: int
) -> Any:
    x, has_batch, windows, _ = _prepared(input, kernel, stride, padding, dilation, ceil, dims, f"max_pool{dims}d")
    return _maximum(x, has_batch, windows, both)


def _avg_pool(
    input: Tensor, kernel: Any, stride: Any, padding: Any, ceil: bool, padded: bool, divisor: int | None, dims: int
) -> Tensor:
    x, has_batch, windows, (sizes, steps, pads) = _prepared(
        input, kernel, stride, padding, 1, ceil, dims, f"avg_pool{dims}d"
    )
    divisors = _lengths(windows)
    if divisor is not None:
        if divisor == 0:
            raise RuntimeError("divisor must be not zero")
        divisors = tuple((float(divisor) if d == 0 else 1.0,) * len(ws) for d, ws in enumerate(windows))
    elif padded:
        # what ceil_mode lets reach beyond the right padding does not count
        divisors = tuple(
            tuple(float(min(i * s + k, n + 2 * p) - i * s) for i in range(len(ws)))
            for ws, k, s, p, n in zip(windows, sizes, steps, pads, x._array.shape[2:], strict=True)
        )
    return _average(x, has_batch, windows, divisors)


def _adapted(input: Tensor, output_size: Any, dims: int, name: str) -> tuple[Tensor, bool, Windows]:
    if isinstance(input, TensorBase) and input._array.ndim <= dims:
        raise ValueError(
            f"Input dimension should be at least {dims + 1}, got shape {list(input._array.shape)} in {name}"
        )
    x, has_batch = batched(input, dims, name)
    wanted = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * dims
    size = x._array.shape[2:]
    if len(wanted) != dims:
        raise RuntimeError(f"{name}: expected output_size of {dims} numbers, got {output_size!r}")
    out = per_dimension(tuple(n if w is None else w for n, w in zip(size, wanted, strict=True)), dims, "output_size", 0)
    if 0 in size:
        raise RuntimeError(f"{name}(): expected input with non-zero sizes but got {list(input._array.shape)}")
    return x, has_batch, _adaptive(size, out)


def max_pool1d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """Return the largest element of windows that move along the last dimension; see ``max_pool2d``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.max_pool1d(tg.tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2)
    tensor([[[3., 2.]]])
    """
    return _max_pool(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, 1)


def max_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """Return the largest element of each window.

    Of equal elements the first counts: it gets the gradient. A NaN in a window is its result.

    Parameters
    ----------
    input : Tensor of shape (N, C, H, W) or (C, H, W)
    kernel_size, stride, padding, dilation : int or (int, int)
        The stride is by default the kernel's size; what lies in the padding is never the largest.
    ceil_mode : bool
        Whether a window may reach beyond the end.
    return_indices : bool
        Whether to return the positions of the elements as well, counted through the plane.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.arange(16.0).reshape(1, 1, 4, 4)
    >>> tg.nn.functional.max_pool2d(x, 2)
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """
    return _max_pool(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, 2)


def avg_pool1d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """Return the average of windows that move along the last dimension; see ``avg_pool2d``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.avg_pool1d(tg.tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2, stride=1)
    tensor([[[2.0000, 2.5000, 1.0000]]])
    """
    return _avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad, None, 1)


def avg_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """Return the average of each window.

    Parameters
    ----------
    input : Tensor of shape (N, C, H, W) or (C, H, W)
    kernel_size, stride, padding : int or (int, int)
        The stride is by default the kernel's size.
    ceil_mode : bool
        Whether a window may reach beyond the end.
    count_include_pad : bool
        Whether the zeros of the padding count as elements.
    divisor_override : int, optional
        What to divide the sums by instead of the number of elements.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.arange(16.0).reshape(1, 1, 4, 4)
    >>> tg.nn.functional.avg_pool2d(x, 2)
    tensor([[[[ 2.5000,  4.5000],
              [10.5000, 12.5000]]]])
    """
    return _avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, 2)


def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """Return the averages of ``output_size`` windows that share the last dimension evenly.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.adaptive_avg_pool1d(tg.tensor([[[1.0, 3.0, 2.0]]]), 2)
    tensor([[[2.0000, 2.5000]]])
    """
    x, has_batch, windows = _adapted(input, output_size, 1, "adaptive_avg_pool1d")
    return _average(x, has_batch, windows, _lengths(windows))


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Return averages over windows that share the image evenly, as many as ``output_size`` (None: as the input has).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.adaptive_avg_pool2d(tg.arange(6.0).reshape(1, 2, 3), 1)
    tensor([[[2.5000]]])
    """
    x, has_batch, windows = _adapted(input, output_size, 2, "adaptive_avg_pool2d")
    return _average(x, has_batch, windows, _lengths(windows))


def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Return the largest elements of ``output_size`` windows that share the last dimension evenly.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.adaptive_max_pool1d(tg.tensor([[[1.0, 3.0, 2.0]]]), 1)
    tensor([[[3.]]])
    """
    x, has_batch, windows = _adapted(input, output_size, 1, "adaptive_max_pool1d")
    return _maximum(x, has_batch, windows, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Return the largest elements of windows that share the image evenly; see ``adaptive_avg_pool2d``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.adaptive_max_pool2d(tg.arange(6.0).reshape(1, 2, 3), (1, None))
    tensor([[[3., 4., 5.]]])
    """
    x, has_batch, windows = _adapted(input, output_size, 2, "adaptive_max_pool2d")
    return _maximum(x, has_batch, windows, return_indices)
