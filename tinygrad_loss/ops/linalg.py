"""Products of matrices and vectors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..dtypes import Array
from ..kernels import dense
from ..op import TensorBase, op, sample
from .broadcast import expand_row
from .shape import reshape, squeeze_row, transpose_row, unsqueeze_row

if TYPE_CHECKING:
    from ..tensor import Tensor

matmul_row: Any = op(
    "matmul",
    np.matmul,
    vjp=(lambda g, b: matmul_row(g, _mT(b)), lambda g, a: matmul_row(_mT(a), g)),
    numpy="{a} @ {b}",
    domain=(-2, 2),
    samples=[sample((3, 4), (4, 2)), sample((2, 3, 4), (4, 2)), sample((5, 1, 3, 4), (2, 4, 2))],
    grad_name=lambda arrays, params: f"{'Mm' if max(a.ndim for a in arrays) == 2 else 'UnsafeView'}Backward0",
)
mv_row: Any = op(
    "mv",
    lambda a, v: np.dot(a, v),
    vjp=(lambda g, v: unsqueeze_row(g, dim=1) * v, lambda g, a: mv_row(_mT(a), g)),
    numpy="{a} @ {v}",
    domain=(-2, 2),
    samples=[sample((3, 4), (4,))],
)
dot_row = op(
    "dot",
    lambda a, b: np.dot(a, b),
    vjp=(lambda g, b: g * b, lambda g, a: g * a),
    numpy="{a} @ {b}",
    domain=(-2, 2),
    samples=[sample((4,), (4,))],
)


def _mT(x: Any) -> Any:
    return transpose_row(x, dim0=-2, dim1=-1)


def linear_in_numpy(x, weight, bias):  # type: ignore[no-untyped-def]
    """``x @ weight.T + bias``."""
    return x @ weight.T if bias is None else x @ weight.T + bias


linear_row = op(
    "linear",
    lambda x, weight, bias: dense.linear(x, weight, bias),
    vjp=(
        lambda g, weight: matmul_row(g, weight),
        lambda g, x: matmul_row(_mT(g), x),
        lambda g: column_sum(g),
    ),
    numpy=linear_in_numpy,
    domain=(-2, 2),
    samples=[sample((3, 4), (2, 4), (2,)), sample((3, 4), (2, 4), None)],
    grad_name=lambda arrays, params: "MmBackward0" if arrays[2] is None else "AddmmBackward0",
)
column_sum: Any = op(
    "column_sum",
    lambda x: dense.column_sum(x),
    vjp=lambda g, x_shape: expand_row(g, shape=x_shape),
    numpy="{x}.sum(axis=0)",
    domain=(-2, 2),
    samples=[sample((3, 4))],
    grad_name="SumBackward1",
)


# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Return the matrix product; vectors count as a row (left) or a column (right), leading dimensions broadcast.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]) @ tg.tensor([1.0, 1.0])
    tensor([3., 7.])
    """
    for name, x in (("input", input), ("other", other)):
        if not isinstance(x, TensorBase):
            raise TypeError(f"matmul(): argument '{name}' must be Tensor, not {type(x).__name__}")
    a, b = input._array, other._array
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"expected m1 and m2 to have the same dtype, but got: {dtypes.of(a)} != {dtypes.of(b)}. "
            f"Write input.to(other.dtype) @ other."
        )
    if not a.ndim or not b.ndim:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {a.ndim}D and {b.ndim}D; write * for a product "
            f"with a number"
        )
    if a.shape[-1] != b.shape[max(b.ndim - 2, 0)]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({_named(a)} and {_named(b)}): {a.shape[-1]} columns of the first "
            f"against {b.shape[max(b.ndim - 2, 0)]} rows of the second"
        )
    if a.ndim <= 2 and b.ndim <= 2:
        if b.ndim == 1:
            return (mv_row if a.ndim == 2 else dot_row)(input, other)  # type: ignore[no-any-return]
        if a.ndim == 1:
            return squeeze_row(matmul_row(unsqueeze_row(input, dim=0), other), dim=(0,), form=4)  # type: ignore[no-any-return]
        return matmul_row(input, other)  # type: ignore[no-any-return]
    if a.ndim > 1 and b.ndim > 1:
        try:
            np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        except ValueError:
            raise RuntimeError(
                f"the batch dimensions of {list(a.shape)} and {list(b.shape)} do not broadcast: {list(a.shape[:-2])} "
                f"against {list(b.shape[:-2])}"
            ) from None
    left = unsqueeze_row(input, dim=0) if a.ndim == 1 else input
    right = unsqueeze_row(other, dim=1) if b.ndim == 1 else other
    out = matmul_row(left, right)
    shape = out._array.shape
    if b.ndim == 1:
        shape = shape[:-1]
    if a.ndim == 1:
        shape = shape[:-1] if b.ndim == 1 else (*shape[:-2], shape[-1])
    return reshape(out, shape)


def _named(x: Array) -> str:
    return "x".join(map(str, x.shape))


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``input @ weight.T + bias``, as one op.

    Parameters
    ----------
    input : Tensor of shape (..., in_features)
    weight : Tensor of shape (out_features, in_features)
    bias : Tensor of shape (out_features,), optional

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.linear(tg.ones(1, 2), tg.tensor([[1.0, 2.0]]), tg.tensor([0.5]))
    tensor([[3.5000]])
    """
    x, w = input._array, weight._array
    if w.ndim == 1:
        out = matmul(input, weight)
        return out if bias is None else out + bias
    if not x.ndim or x.shape[-1] != w.shape[1]:
        rows, features = (x.size // x.shape[-1] if x.ndim and x.shape[-1] else 1), (x.shape[-1] if x.ndim else 0)
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({rows}x{features} and {w.shape[1]}x{w.shape[0]}): the layer takes "
            f"{w.shape[1]} features, the input of shape {list(x.shape)} has {features}. Write Linear({features}, "
            f"{w.shape[0]}), or give it {w.shape[1]} features."
        )
    if x.dtype != w.dtype or (bias is not None and bias._array.dtype != w.dtype):
        raise RuntimeError(
            f"mat1 and mat2 must have the same dtype, but got {dtypes.of(x)} and {dtypes.of(w)}. Write "
            f"input.to(weight.dtype)."
        )
    if bias is not None and bias._array.shape != (len(w),):
        bias = broadcast_bias(bias, len(w))
    if x.ndim == 2:
        return linear_row(input, weight, bias)  # type: ignore[no-any-return]
    rows = reshape(input, (math.prod(x.shape[:-1]), x.shape[-1]))
    return reshape(linear_row(rows, weight, bias), (*x.shape[:-1], len(w)))


def broadcast_bias(bias: Tensor, n: int) -> Tensor:
    """A bias of one element stands for n; any other shape than (n,) is an error."""
    if bias._array.size != 1 or bias._array.ndim > 1:
        raise RuntimeError(
            f"the bias must have shape [{n}], one element per output feature, got {list(bias._array.shape)}"
        )
    return expand_row(bias, shape=(n,))  # type: ignore[no-any-return]
