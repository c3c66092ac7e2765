"""Functions of two or three elements: interpolation, fused products, and logarithms that stay finite."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..dtypes import Array
from ..kernels import elementwise as kernels
from ..op import TensorBase, op, sample
from .activation import sigmoid
from .arguments import documented, is_number, tensor_of, unsupported
from .elementwise import log, where_row

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["addcdiv", "addcmul", "lerp", "logaddexp", "nan_to_num", "xlogy"]

_THREE = [sample((3, 4), (3, 4), (3, 4)), sample((3, 1), (4,), (2, 1, 1))]


def _interpolated(a: Array, b: Array, weight: Any) -> Any:
    # From the nearer end: at weights 0 and 1 the result is exactly that end.
    near = np.asarray(weight) < 0.5
    return np.where(near, a + weight * (b - a), b - (b - a) * (1 - weight)).astype(a.dtype, copy=False)


lerp_row = op(
    "lerp",
    _interpolated,
    vjp=(lambda g, weight: g * (1 - weight), lambda g, weight: g * weight, lambda g, a, b: g * (b - a)),
    numpy="{a} + {weight} * ({b} - {a})",
    domain=(-2, 2),
    samples=[*_THREE, sample((3, 4), (4,), 0.3)],
    grad_name=lambda arrays, params: f"LerpBackward{int(not is_number(arrays[2]))}",
)
addcmul_row = op(
    "addcmul",
    lambda x, a, b, *, value: x + value * (a * b),
    vjp=(lambda g: g, lambda g, b, value: g * (b * value), lambda g, a, value: g * (a * value)),
    numpy="{x} + {value} * {a} * {b}",
    domain=(-2, 2),
    samples=[sample(*spec, value=v) for (spec, _), v in zip(_THREE, (1, 0.7), strict=True)],
    promote="same",
)
addcdiv_row = op(
    "addcdiv",
    lambda x, a, b, *, value: x + value * (a / b),
    vjp=(lambda g: g, lambda g, b, value: g * (value / b), lambda g, a, b, value: -g * (value * ((a / b) / b))),
    numpy="{x} + {value} * {a} / {b}",
    domain=(0.5, 2),
    samples=[sample(*spec, value=v) for (spec, _), v in zip(_THREE, (1, 0.7), strict=True)],
    promote="same",
)


def _logaddexp(a: Array, b: Array) -> Array:
    if a.dtype.kind not in "fc":
        raise unsupported("logaddexp", a)
    return kernels.logaddexp(*np.broadcast_arrays(a, b))


def _share(a: Any, b: Any) -> Any:
    """sigmoid(a - b): what ``a`` has in logaddexp(a, b); half of it where both are the same infinity."""
    return sigmoid(where_row(a == b, 0.0, a - b))


logaddexp = op(
    "logaddexp",
    _logaddexp,
    vjp=(lambda g, a, b: g * _share(a, b), lambda g, a, b: g * _share(b, a)),
    numpy="np.logaddexp({a}, {b})",
    domain=(-2, 2),
    samples=[sample((3, 4), (3, 4)), sample((3, 1), (4,))],
    promote="same",
    tensors=2,
    doc=documented(
        "Return log(exp(input) + exp(other)) without overflow, within 2 ULP.",
        "tg.logaddexp(tg.tensor([1000.0]), tg.tensor([1000.0]))",
        "tensor([1000.6932])",
    ),
)


def _xlogy(x: Any, y: Any) -> Any:
    logs = kernels.log(y) if isinstance(y, np.ndarray) else _log(float(y))
    return np.where((x == 0) & ~np.isnan(y), 0.0, x * logs).astype(
        (x if isinstance(x, np.ndarray) else y).dtype, copy=False
    )


def _log(y: float) -> float:
    return math.log(y) if y > 0 else -math.inf if y == 0 else math.nan


xlogy = op(
    "xlogy",
    _xlogy,
    vjp=(
        lambda g, x, y: g * where_row((x == 0) & (y <= 0), 0.0, _log(y) if is_number(y) else log(y)),
        lambda g, x, y: g * (x / y),
    ),
    numpy="np.where({x} == 0, 0, {x} * np.log({y}))",
    domain=(0.5, 2),
    samples=[sample((3, 4), (3, 4)), sample((3, 1), (4,)), sample((3, 4), 2.0), sample(0.5, (3,))],
    promote="float",
    doc=documented(
        "Return x log(y), and 0 at x = 0 even where y is 0.",
        "tg.xlogy(tg.tensor([0.0, 2.0]), tg.tensor([0.0, 3.0]))",
        "tensor([0.0000, 2.1972])",
    ),
)


def _repaired(x: Array, *, nan: float | None, posinf: float | None, neginf: float | None) -> Array:
    if x.dtype.kind != "f":
        return x.copy()
    limits = np.finfo(x.dtype)
    nan, posinf, neginf = (
        0.0 if nan is None else nan,
        limits.max if posinf is None else posinf,
        limits.min if neginf is None else neginf,
    )
    out = np.where(np.isnan(x), nan, np.where(x == np.inf, posinf, np.where(x == -np.inf, neginf, x)))
    return out.astype(x.dtype, copy=False)


nan_to_num_row = op(
    "nan_to_num",
    _repaired,
    vjp=lambda g, x: where_row((x == x) & (x != math.inf) & (x != -math.inf), g, 0.0),
    numpy="np.nan_to_num({x}, nan={nan}, posinf={posinf}, neginf={neginf})",
    domain=(-2, 2),
    samples=[sample((3, 4), nan=0.0, posinf=None, neginf=None)],
)


# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """Return ``input + weight (end - input)``; the weight is a number or a tensor.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.lerp(tg.tensor([0.0, 10.0]), tg.tensor([1.0, 20.0]), 0.5)
    tensor([ 0.5000, 15.0000])
    """
    a = tensor_of(input, "lerp")
    others = [("end", end)] + ([("weight", weight)] if isinstance(weight, TensorBase) else [])
    for name, x in others:
        b = tensor_of(x, "lerp", name)
        if a.dtype != b.dtype:
            raise RuntimeError(
                f"expected dtype {dtypes.of(a)} for `{name}` but got dtype {dtypes.of(b)}; write {name}.to(input.dtype)"
            )
    if a.dtype.kind not in "fc":
        raise unsupported("lerp", a)
    return lerp_row(input, end, weight)  # type: ignore[no-any-return]


def _scaled(input: Tensor, tensor1: Tensor, tensor2: Tensor, value: Any, name: str) -> Any:
    """The arrays, and ``value`` as a number of their kind."""
    arrays = [tensor_of(x, name, place) for x, place in ((input, "input"), (tensor1, "tensor1"), (tensor2, "tensor2"))]
    whole = all(a.dtype.kind in "iub" for a in arrays)
    return arrays, int(value) if whole else value


def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """Return ``input + value * tensor1 * tensor2``, broadcast.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.addcmul(tg.tensor([1.0]), tg.tensor([2.0]), tg.tensor([3.0]), value=0.5)
    tensor([4.])
    """
    _, factor = _scaled(input, tensor1, tensor2, value, "addcmul")
    return addcmul_row(input, tensor1, tensor2, value=factor)  # type: ignore[no-any-return]


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """Return ``input + value * tensor1 / tensor2``, broadcast.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.addcdiv(tg.tensor([1.0]), tg.tensor([2.0]), tg.tensor([4.0]), value=0.5)
    tensor([1.2500])
    """
    arrays, _ = _scaled(input, tensor1, tensor2, value, "addcdiv")
    if all(a.dtype.kind in "iub" for a in arrays[1:]):
        raise RuntimeError("Integer division with addcdiv is not supported: write input + value * tensor1 / tensor2")
    return addcdiv_row(input, tensor1, tensor2, value=value)  # type: ignore[no-any-return]


def nan_to_num(
    input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """Return the elements with NaN as ``nan`` (0), and the infinities as given (the largest finite numbers).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nan_to_num(tg.tensor([float("nan"), float("inf"), 1.0]), posinf=9.0)
    tensor([0., 9., 1.])
    """
    tensor_of(input, "nan_to_num")
    return nan_to_num_row(input, nan=nan, posinf=posinf, neginf=neginf)  # type: ignore[no-any-return]
