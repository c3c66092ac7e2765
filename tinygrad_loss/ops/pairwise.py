"""Functions of pairs of vectors: a bilinear form, the cosine of their angle, their distance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..op import TensorBase
from .arguments import axis
from .arithmetic import abs, mul, pow
from .broadcast import expand_row, sum_row
from .elementwise import sqrt, where_row
from .extrema import amax_row, amin_row
from .linalg import matmul
from .shape import permute, reshape, to, unsqueeze_row

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["bilinear", "cosine_similarity", "pairwise_distance"]


def _vectors(x1: Any, x2: Any, name: str, numbers: str = "f") -> tuple[Any, Any]:
    """Both as tensors of one dtype, a floating point one unless other kinds of numbers are named."""
    for what, x in (("x1", x1), ("x2", x2)):
        if not isinstance(x, TensorBase):
            raise TypeError(f"{name}(): argument '{what}' must be Tensor, not {type(x).__name__}: write tensor(...)")
    common = dtypes.promote_types(dtypes.of(x1._array), dtypes.of(x2._array))
    if common.numpy.kind not in numbers:
        raise RuntimeError(f"{name}(): expected common dtype to be floating point, yet it is {common}: write x.float()")
    return to(x1, common.numpy), to(x2, common.numpy)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return y_k = x1^T W_k x2 + b_k.

    Parameters
    ----------
    input1 : Tensor of shape (*, in1_features)
    input2 : Tensor of shape (*, in2_features), the leading dimensions the same
    weight : Tensor of shape (out_features, in1_features, in2_features)
    bias : Tensor of shape (out_features,), optional

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([[1.0, 2.0]])
    >>> tg.nn.functional.bilinear(x, x, tg.eye(2).reshape(1, 2, 2))
    tensor([[5.]])
    """
    x1, x2 = _vectors(input1, input2, "bilinear", "fiu")
    a, b, w = x1._array.shape, x2._array.shape, weight._array.shape
    if len(w) != 3 or not a or not b or a[-1] != w[1] or b[-1] != w[2]:
        raise RuntimeError(
            f"bilinear(): a weight of shape (out, in1, in2) = {list(w)} needs inputs whose last sizes are in1 and in2, "
            f"got {list(a)} and {list(b)}"
        )
    if a[:-1] != b[:-1]:
        raise RuntimeError(f"bilinear(): input batch dimensions do not match: got {list(a)} and {list(b)}")
    if bias is not None and bias._array.shape != w[:1]:
        raise RuntimeError(
            f"bilinear(): bias size does not match weight size: got {list(bias._array.shape)} and {list(w)}"
        )
    out, in1, in2 = w
    rows = math.prod(a[:-1])
    left = matmul(reshape(x1, (rows, in1)), reshape(permute(weight, 1, 0, 2), (in1, out * in2)))
    products = mul(reshape(left, (rows, out, in2)), unsqueeze_row(reshape(x2, (rows, in2)), dim=1))
    total = to(sum_row(products, dim=(2,), keepdim=False), x1._array.dtype)  # of int32 numbers it is int64
    y = reshape(total, (*a[:-1], out))
    return y if bias is None else y + bias


def _paired(x1: Any, x2: Any, name: str, numbers: str = "f") -> tuple[Any, Any]:
    """Both as tensors of one dtype and one shape of at least one dimension."""
    a, b = _vectors(x1, x2, name, numbers)
    try:
        shape = np.broadcast_shapes(a._array.shape, b._array.shape) or (1,)
    except ValueError:
        raise RuntimeError(
            f"{name}(): shapes {list(x1._array.shape)} and {list(x2._array.shape)} do not broadcast: at each "
            f"dimension, counted from the end, sizes must be equal or one of them 1"
        ) from None
    return tuple(v if v._array.shape == shape else expand_row(v, shape=shape) for v in (a, b))


def _length(x: Any, dim: int, low: float) -> Any:
    """The 2-norm along a dimension, which stays, but at least ``low``; where it is that, it has no slope."""
    squares = sum_row(x * x, dim=(dim,), keepdim=True)
    return sqrt(where_row(squares > low * low, squares, low * low))


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Return x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along a dimension; the two broadcast.

    Where a length is below ``eps``, the gradient is that of this formula; PyTorch lets the length count as well.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.cosine_similarity(tg.tensor([[1.0, 0.0]]), tg.tensor([[1.0, 1.0]]))
    tensor([0.7071])
    """
    a, b = _paired(x1, x2, "cosine_similarity")
    d = axis(dim, max(x1._array.ndim, x2._array.ndim))
    return sum_row((a / _length(a, d, eps)) * (b / _length(b, d, eps)), dim=(d,), keepdim=False)  # type: ignore[no-any-return]


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """Return the p-norm of x1 - x2 + eps along the last dimension; the two broadcast.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.pairwise_distance(tg.tensor([[3.0, 4.0]]), tg.zeros(1, 2))
    tensor([5.0000])
    """
    a, b = _paired(x1, x2, "pairwise_distance", "fiu")
    return _norm(a - b + float(eps), float(p), {"dim": (a._array.ndim - 1,), "keepdim": keepdim})  # type: ignore[no-any-return]


def _norm(x: Any, p: float, along: dict[str, Any]) -> Any:
    """The p-norm; where it, or an element, is 0 and its slope would be infinite, the slope is 0."""
    sizes = abs(x)
    if p == 1:
        return sum_row(sizes, **along)
    if p == math.inf:
        return amax_row(sizes, **along)
    if p == -math.inf:
        return amin_row(sizes, **along)
    used = sizes != 0
    if p == 0:
        return sum_row(to(used, x._array.dtype), **along)
    total = sum_row(where_row(used, pow(where_row(used, sizes, 1.0), p), 0.0), **along)
    known = total != 0
    return where_row(known, pow(where_row(known, total, 1.0), 1 / p), 0.0)
