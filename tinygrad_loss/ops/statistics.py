"""Variance, standard deviation and norms."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..dtypes import F32, F64, Array
from ..kernels import reductions as kernels
from ..op import op, sample
from .arguments import axes, numpy_names, tensor_of
from .arithmetic import abs, sign
from .broadcast import Dims, restored
from .elementwise import where_row
from .extrema import evenly
from .nuclear import nuclear_norm
from .reduce import count, mean
from .shape import to

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["norm", "std", "std_mean", "var", "var_mean"]

Axes = tuple[int, ...]


def _all_axes(dim: Dims, ndim: int) -> Axes:
    return tuple(range(ndim)) if dim is None else tuple(sorted(dim))


# --- variance -----------------------------------------------------------------------------------------------------


def _variance(x: Array, dim: Dims, keepdim: bool, correction: float) -> Any:
    if not x.ndim:
        return kernels.variance(x.reshape(1), (0,), False, correction).reshape(())
    return kernels.variance(x, _all_axes(dim, x.ndim), keepdim, correction)


def _deviation(x: Array, *, dim: Dims) -> Any:
    if not x.size:
        return x.copy()
    wide = x.astype(np.float64, copy=False)
    return (wide - np.mean(wide, axis=dim, keepdims=True)).astype(x.dtype, copy=False)


# A projection: it is its own transpose, hence its own rule.
centered: Any = op(
    "centered",
    _deviation,
    vjp=lambda g, dim: centered(g, dim=dim),
    numpy="{x} - {x}.mean(axis={dim}, keepdims=True)",
    domain=(-2, 2),
    samples=[sample((3, 4), dim=None), sample((3, 4), dim=(1,))],
    grad_name="SubBackward0",
)


def _variance_grad(g: Any, x: Any, dim: Dims, correction: float) -> Any:
    freedom = count(x.shape, dim) - correction
    d = centered(x, dim=dim)
    if freedom <= 0:  # the variance is NaN or infinite, and so is its slope
        return g * where_row(d == 0, math.nan, math.inf)
    return g * (d * (2 / freedom))


_SPREADS = [
    sample((3, 4), dim=None, keepdim=False, correction=1),
    sample((3, 4), dim=(1,), keepdim=True, correction=0),
    sample((2, 3, 2), dim=(0, 2), keepdim=False, correction=0.5),
]
_NUMPY = "np.{name}({{x}}, axis={{dim}}, keepdims={{keepdim}}, ddof={{correction}})"
var_row = op(
    "var",
    lambda x, *, dim, keepdim, correction: _variance(x, dim, keepdim, correction),
    vjp=lambda g, x, dim, keepdim, correction: _variance_grad(restored(g, x.shape, dim, keepdim), x, dim, correction),
    numpy=_NUMPY.format(name="var"),
    domain=(-2, 2),
    samples=_SPREADS,
)


def _std_grad(g: Any, x: Any, y: Any, dim: Dims, keepdim: bool, correction: float) -> Any:
    flat = y == 0
    slope = where_row(flat, 0.0, g / (2 * where_row(flat, 1.0, y)))
    return _variance_grad(restored(slope, x.shape, dim, keepdim), x, dim, correction)


std_row = op(
    "std",
    lambda x, *, dim, keepdim, correction: np.sqrt(_variance(x, dim, keepdim, correction)),
    vjp=lambda g, x, y, dim, keepdim, correction: _std_grad(g, x, y, dim, keepdim, correction),
    numpy=_NUMPY.format(name="std"),
    domain=(-2, 2),
    samples=_SPREADS,
)

# --- norms --------------------------------------------------------------------------------------------------------


def _norm(x: Array, *, p: float, dim: Dims, keepdim: bool) -> Any:
    if not x.ndim:
        return np.abs(x) if p else (x != 0).astype(x.dtype)
    dims = _all_axes(dim, x.ndim)
    if p == 2:
        return kernels.norm(x, dims, keepdim)
    sizes = np.abs(x)
    if p == math.inf:
        return np.max(sizes, axis=dims, keepdims=keepdim)
    if p == -math.inf:
        return np.min(sizes, axis=dims, keepdims=keepdim)
    if p == 0:
        return np.count_nonzero(x, axis=dims, keepdims=keepdim).astype(x.dtype)
    if p == 1:
        return kernels.sum_over(sizes, dims, keepdim)
    powers = sizes.astype(np.float64, copy=False) ** p
    return (np.sum(powers, axis=dims, keepdims=keepdim) ** (1 / p)).astype(x.dtype, copy=False)


def _norm_grad(g: Any, x: Any, y: Any, p: float, dim: Dims, keepdim: bool) -> Any:
    if p == 0:
        return x * 0.0
    if math.isinf(p):
        return evenly(g, abs(x), y, dim, keepdim) * sign(x)
    g, y = restored(g, x.shape, dim, keepdim), restored(y, x.shape, dim, keepdim)
    if p == 1:
        return g * sign(x)
    flat = y == 0  # the norm has a corner there, and 0 is a slope of it
    ratio = x / where_row(flat, 1.0, y)
    if p == 2:
        return g * where_row(flat, 0.0, ratio)
    still = x == 0 if p < 2 else flat
    return g * where_row(still, 0.0, sign(x) * where_row(still, 1.0, abs(ratio)) ** (p - 1))


norm_row = op(
    "vector_norm",
    _norm,
    vjp=lambda g, x, y, p, dim, keepdim: _norm_grad(g, x, y, p, dim, keepdim),
    numpy=lambda x, p, dim, keepdim: (
        np.linalg.vector_norm(x, ord=p, axis=dim, keepdims=keepdim) if x.size else np.zeros(())
    ),
    domain=(-2, 2),
    samples=[
        sample((3, 4), p=2.0, dim=None, keepdim=False),
        sample((3, 4), p=2.0, dim=(1,), keepdim=True),
        sample((2, 3, 2), p=1.0, dim=(0, 2), keepdim=False),
        sample((3, 4), p=3.0, dim=(0,), keepdim=False),
        sample((3, 4), p=1.5, dim=None, keepdim=True),
        sample((3, 4), p=0.5, dim=(1,), keepdim=False),
        sample((3, 4), p=math.inf, dim=(1,), keepdim=False),
        sample((3, 4), p=-math.inf, dim=None, keepdim=False),
        sample((3, 4), p=0.0, dim=None, keepdim=False),
    ],
    grad_name="LinalgVectorNormBackward0",
)

# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def _spread(input: Any, dim: Any, unbiased: Any, correction: Any, name: str) -> tuple[Dims, float]:
    """The dimensions and the correction of ``var(x, True)``, ``var(x, dim, True)`` or ``var(x, dim, correction=1)``."""
    array = tensor_of(input, name)
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise TypeError(f"{name}() takes unbiased or correction, not both: correction=1 is unbiased=True")
    if array.dtype.kind not in "fc":
        raise RuntimeError(
            f"{name}: only support floating point and complex dtypes, got {dtypes.of(array)}; write input.float()"
        )
    dims = axes(dim, array.ndim)
    taken = (1.0 if unbiased is None or unbiased else 0.0) if correction is None else float(correction)
    if count(array.shape, dims) - taken <= 0:
        warnings.warn(
            f"{name}(): degrees of freedom is <= 0: {count(array.shape, dims)} elements with a correction of "
            f"{taken:g}. The result is NaN or inf; write correction=0 for the variance of what is there.",
            stacklevel=4,
        )
    return dims, taken


@numpy_names
def var(
    input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None
) -> Tensor:
    """Return the variance: the squared deviations from the mean, summed, over n - correction (1).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.var(tg.tensor([[1.0, 3.0], [2.0, 8.0]]), dim=1)
    tensor([ 2., 18.])
    """
    dims, taken = _spread(input, dim, unbiased, correction, "var")
    return var_row(input, dim=dims, keepdim=keepdim, correction=taken)  # type: ignore[no-any-return]


@numpy_names
def std(
    input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None
) -> Tensor:
    """Return the standard deviation: the square root of the variance; its gradient at 0 is 0.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.std(tg.tensor([1.0, 3.0]), correction=0)
    tensor(1.)
    """
    dims, taken = _spread(input, dim, unbiased, correction, "std")
    return std_row(input, dim=dims, keepdim=keepdim, correction=taken)  # type: ignore[no-any-return]


@numpy_names
def var_mean(
    input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None
) -> tuple[Tensor, Tensor]:
    """Return the variance and the mean.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.var_mean(tg.tensor([1.0, 3.0]))
    (tensor(2.), tensor(2.))
    """
    dims, taken = _spread(input, dim, unbiased, correction, "var_mean")
    return var_row(input, dim=dims, keepdim=keepdim, correction=taken), mean(input, dims, keepdim)


@numpy_names
def std_mean(
    input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None
) -> tuple[Tensor, Tensor]:
    """Return the standard deviation and the mean.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.std_mean(tg.tensor([1.0, 3.0]), correction=0)
    (tensor(1.), tensor(2.))
    """
    dims, taken = _spread(input, dim, unbiased, correction, "std_mean")
    return std_row(input, dim=dims, keepdim=keepdim, correction=taken), mean(input, dims, keepdim)


@numpy_names
def vector_norm(input: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return (sum |x|**ord)**(1 / ord) over all or some dimensions; the largest |x| for inf, the smallest for -inf.

    For ord 0 it is the number of elements that are not 0. The gradient at 0 is 0.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.linalg.vector_norm(tg.tensor([[3.0, 4.0], [6.0, 8.0]]), dim=1)
    tensor([ 5., 10.])
    """
    array = tensor_of(input, "linalg.vector_norm")
    if dtype is not None:
        input = to(input, dtypes.as_numpy(dtype))
        array = input._array
    if array.dtype is not F32 and array.dtype is not F64:
        raise RuntimeError(
            f"linalg.vector_norm: Expected a floating point or complex tensor as input. Got {dtypes.of(array)}; write "
            f"input.float()"
        )
    dims = axes(dim, array.ndim)
    empty = not count(array.shape, dims)
    if empty and (ord < 0 or ord == math.inf):
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {ord} norm on an empty tensor because the operation does not "
            f"have an identity: the shape is {list(array.shape)}"
        )
    return norm_row(input, p=float(ord), dim=dims, keepdim=keepdim)  # type: ignore[no-any-return]


@numpy_names
def norm(input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """Return the p-norm of the elements, over all or some dimensions, see ``linalg.vector_norm``.

    "fro" is the 2-norm; "nuc" the sum of the singular values of a matrix, or of the matrices along two dimensions.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.norm(tg.tensor([[3.0, 4.0], [6.0, 8.0]]), dim=1)
    tensor([ 5., 10.])
    """
    array = tensor_of(input, "norm")
    if p == "nuc":
        dims = axes(tuple(range(array.ndim)) if dim is None else dim, array.ndim)
        if dims is None or len(dims) != 2:
            raise RuntimeError(f"norm(): the nuclear norm is that of matrices: dim must be a 2-tuple, got {dim}")
        return nuclear_norm(input if dtype is None else to(input, dtypes.as_numpy(dtype)), dims, keepdim)  # type: ignore[no-any-return]
    order = 2.0 if p is None or p == "fro" else p
    if isinstance(order, str):
        raise RuntimeError(f"norm(): unrecognized norm {p!r}: write a number, 'fro', 'nuc', inf or -inf")
    return vector_norm(input, order, dim, keepdim, dtype=dtype)
