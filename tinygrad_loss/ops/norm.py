"""Normalization: elements shifted and scaled by the mean and variance of those around them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..kernels import norm as kernels
from ..op import TensorBase, op, sample
from .broadcast import sum_row
from .elementwise import sqrt
from .shape import reshape

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["group_norm", "layer_norm", "rms_norm"]

Shape = tuple[int, ...]

# --- rows: `n` elements in a row are normalized together ----------------------------------------------------------


def standardized_in_numpy(x, n, eps, center):  # type: ignore[no-untyped-def]
    rows = x.reshape(-1, n)
    rows = rows - rows.mean(axis=1, keepdims=True) * center
    return (rows / np.sqrt((rows**2).mean(axis=1, keepdims=True) + eps)).reshape(x.shape)


def jacobian_in_numpy(gx, x, n, eps, center):  # type: ignore[no-untyped-def]
    rows, g = x.reshape(-1, n), gx.reshape(-1, n)
    rows = rows - rows.mean(axis=1, keepdims=True) * center
    scale = np.sqrt((rows**2).mean(axis=1, keepdims=True) + eps)
    y = rows / scale
    g = g - g.mean(axis=1, keepdims=True) * center
    return ((g - y * (g * y).mean(axis=1, keepdims=True)) / scale).reshape(x.shape)


def _grouped(x: Any, n: int) -> Any:
    return reshape(x, (math.prod(x.shape) // max(n, 1), n))


def _sum(x: Any) -> Any:
    return sum_row(x, dim=(1,), keepdim=True)


def _scale(x: Any, n: int, eps: float, center: bool) -> Any:
    """What each row is multiplied by."""
    if center:
        x = x - _sum(x) / n
    return 1 / sqrt(_sum(x * x) / n + eps)


standardize: Any = op(
    "standardize",
    lambda x, *, n, eps, center: kernels.standardize(x, n, eps, center),
    vjp=lambda g, x, n, eps, center: standardize_grad(g, x, n=n, eps=eps, center=center),
    numpy=standardized_in_numpy,
    domain=(-2, 2),
    samples=[sample((3, 4), n=4, eps=1e-5, center=True), sample((2, 3, 4), n=12, eps=0.1, center=False)],
)


def _twice(g: Any, gx: Any, x: Any, n: int, eps: float, center: bool) -> Any:
    """The gradient of <g, J gx> with respect to x, J being the (symmetric) Jacobian of ``standardize`` at x.

    <g, J gx> = r (<g, gx> - n mean(g) mean(gx) - a b / n) with y = standardize(x), r its factor, a = <g, y>,
    b = <gx, y>; dr = -(r^2 / n) <y, dx> and dy = J dx. Without ``center`` the means are 0.
    """
    y = _grouped(standardize(x, n=n, eps=eps, center=center), n)
    jg = _grouped(standardize_grad(g, x, n=n, eps=eps, center=center), n)
    jgx = _grouped(standardize_grad(gx, x, n=n, eps=eps, center=center), n)
    rows, h, shape = _grouped(g, n), _grouped(gx, n), x.shape
    a, b, r = _sum(rows * y), _sum(h * y), _scale(_grouped(x, n), n, eps, center)
    inner = _sum(rows * h) - a * b / n
    if center:
        inner = inner - _sum(rows) * _sum(h) / n
    return reshape((y * (r * inner) + jg * b + jgx * a) * (-r / n), shape)


standardize_grad: Any = op(
    "standardize_grad",
    lambda gx, x, *, n, eps, center: kernels.standardize_grad(gx, x, n, eps, center),
    vjp=(lambda g, x, n, eps, center: standardize_grad(g, x, n=n, eps=eps, center=center), _twice),
    numpy=jacobian_in_numpy,
    domain=(-2, 2),
    samples=[
        sample((3, 4), (3, 4), n=4, eps=1e-5, center=True),
        sample((2, 3, 4), (2, 3, 4), n=12, eps=0.1, center=False),
    ],
)


def _affine(y: Any, weight: Any, bias: Any) -> Any:
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def _weighted(g: Any, weight: Any) -> Any:
    return g if weight is None else g * weight


def _rules(center: bool) -> Any:
    """The rules for operands x, weight, bias that broadcast; the engine sums to their shapes."""
    return (
        lambda g, x, weight, n, eps: standardize_grad(_weighted(g, weight), x, n=n, eps=eps, center=center),
        lambda g, x, n, eps: g * standardize(x, n=n, eps=eps, center=center),
        lambda g: g,
    )


def layer_norm_in_numpy(x, weight, bias, n, eps):  # type: ignore[no-untyped-def]
    rows = x.reshape(-1, n)
    rows = rows - rows.mean(axis=1, keepdims=True)
    y = (rows / np.sqrt((rows**2).mean(axis=1, keepdims=True) + eps)).reshape(x.shape)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def rms_norm_in_numpy(x, weight, n, eps):  # type: ignore[no-untyped-def]
    rows = x.reshape(-1, n)
    y = (rows / np.sqrt((rows**2).mean(axis=1, keepdims=True) + eps)).reshape(x.shape)
    return y if weight is None else y * weight


layer_norm_row = op(
    "layer_norm",
    lambda x, weight, bias, *, n, eps: kernels.standardize(x, n, eps, True, weight, bias),
    vjp=_rules(center=True),
    numpy=layer_norm_in_numpy,
    domain=(-2, 2),
    samples=[
        sample((3, 4), (4,), (4,), n=4, eps=1e-5),
        sample((2, 3, 4), (3, 4), None, n=12, eps=1e-5),
        sample((3, 4), None, None, n=4, eps=0.1),
    ],
    grad_name="NativeLayerNormBackward0",
)
rms_norm_row = op(
    "rms_norm",
    lambda x, weight, *, n, eps: kernels.standardize(x, n, eps, False, weight),
    vjp=_rules(center=False)[:2],
    numpy=rms_norm_in_numpy,
    domain=(-2, 2),
    samples=[sample((3, 4), (4,), n=4, eps=1e-5), sample((2, 3, 4), None, n=12, eps=0.1)],
    grad_name="MulBackward0",
)
# weight and bias come as (C, 1, ..., 1), so that they broadcast against (N, C, ...)
group_norm_row = op(
    "group_norm",
    lambda x, weight, bias, *, n, eps: _affine(kernels.standardize(x, n, eps, True), weight, bias),
    vjp=_rules(center=True),
    numpy=layer_norm_in_numpy,
    domain=(-2, 2),
    samples=[sample((2, 4, 3), (4, 1), (4, 1), n=6, eps=1e-5), sample((2, 4), None, None, n=2, eps=1e-5)],
    grad_name="NativeGroupNormBackward0",
)

# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def _checked(input: Tensor, name: str, **affine: Any) -> np.dtype[Any]:
    """The dtype that input, weight and bias must share."""
    if not isinstance(input, TensorBase):
        raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}: write tensor(...)")
    dtype: np.dtype[Any] = input._array.dtype
    if dtype.kind != "f":
        raise RuntimeError(f'"{name}" not implemented for {dtypes.of(input._array)}: write {name}(input.float(), ...)')
    for what, value in affine.items():
        if value is not None and value._array.dtype != dtype:
            raise RuntimeError(
                f"{name}(): expected {what} of the input's dtype {dtypes.of(input._array)}, got "
                f"{dtypes.of(value._array)}. Write {what}.to(input.dtype)."
            )
    return dtype


def _normalized(input: Tensor, normalized_shape: Any, name: str, **affine: Any) -> int:
    """How many elements are normalized together, the arguments being checked."""
    _checked(input, name, **affine)
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape:
        raise RuntimeError(f"{name}(): expected normalized_shape to have at least one size, got {list(shape)}")
    for what, value in affine.items():
        if value is not None and value._array.shape != shape:
            raise RuntimeError(
                f"{name}(): expected {what} to be of same shape as normalized_shape, but got {what} of shape "
                f"{list(value._array.shape)} and normalized_shape = {list(shape)}"
            )
    given = input._array.shape
    if given[len(given) - len(shape) :] != shape or len(given) < len(shape):
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [*, {', '.join(map(str, shape))}], but "
            f"got input of size{list(given)}"
        )
    return math.prod(shape)


def layer_norm(
    input: Tensor, normalized_shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Return (x - mean) / sqrt(variance + eps) * weight + bias over the last dimensions (Ba, Kiros and Hinton 2016).

    Parameters
    ----------
    input : Tensor of shape (*, *normalized_shape)
    normalized_shape : int or sequence of int
    weight, bias : Tensor of shape normalized_shape, optional
    eps : float

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.layer_norm(tg.tensor([[1.0, 2.0, 3.0]]), (3,))
    tensor([[-1.2247,  0.0000,  1.2247]])
    """
    n = _normalized(input, normalized_shape, "layer_norm", weight=weight, bias=bias)
    return layer_norm_row(input, weight, bias, n=n, eps=float(eps))  # type: ignore[no-any-return]


def rms_norm(input: Tensor, normalized_shape: Any, weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """Return x / sqrt(mean(x^2) + eps) * weight over the last dimensions (Zhang and Sennrich 2019).

    Parameters
    ----------
    input : Tensor of shape (*, *normalized_shape)
    normalized_shape : int or sequence of int
    weight : Tensor of shape normalized_shape, optional
    eps : float, optional
        By default the spacing of the input's dtype at 1.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.rms_norm(tg.tensor([[3.0, 4.0]]), (2,))
    tensor([[0.8485, 1.1314]])
    """
    n = _normalized(input, normalized_shape, "rms_norm", weight=weight)
    if eps is None:
        eps = float(np.finfo(input._array.dtype).eps)
    return rms_norm_row(input, weight, n=n, eps=float(eps))  # type: ignore[no-any-return]


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Return (x - mean) / sqrt(variance + eps) * weight + bias over groups of channels (Wu and He 2018).

    Parameters
    ----------
    input : Tensor of shape (N, C, *)
    num_groups : int
        Into as many groups the C channels are divided; each is normalized for each of the N.
    weight, bias : Tensor of shape (C,), optional
    eps : float

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.group_norm(tg.tensor([[1.0, 3.0, 10.0, 20.0]]), 2)
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """
    _checked(input, "group_norm", weight=weight, bias=bias)
    shape = input._array.shape
    if len(shape) < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {len(shape)}: {list(shape)}")
    channels = shape[1]
    if num_groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    if channels % num_groups:
        raise RuntimeError(
            f"Expected number of channels in input to be divisible by num_groups, but got input of shape {list(shape)} "
            f"and num_groups={num_groups}"
        )
    for what, value in (("weight", weight), ("bias", bias)):
        if value is not None and value._array.shape != (channels,):
            raise RuntimeError(
                f"Expected {what} to be a vector of size equal to the number of channels in input, but got {what} of "
                f"shape {list(value._array.shape)} and input of shape {list(shape)}"
            )
    if shape[0] * channels // num_groups * math.prod(shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(shape)}")
    spread = (channels,) + (1,) * (len(shape) - 2)
    weight, bias = (None if v is None else reshape(v, spread) for v in (weight, bias))
    n = math.prod(shape[1:]) // num_groups
    return group_norm_row(input, weight, bias, n=n, eps=float(eps))  # type: ignore[no-any-return]
