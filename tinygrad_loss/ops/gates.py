"""Activations that weigh their input: GELU, SiLU, Mish, GLU; the exponential ones; and what is built from them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import Array
from ..kernels import elementwise as smooth
from ..kernels import gates as kernels
from ..op import op, sample
from .activation import elu_grad, sigmoid, sigmoid_grad, softplus_row, tanh
from .arguments import axis, documented, tensor_of, unsupported
from .arithmetic import abs
from .elementwise import clamp_min_row, exp, where_row
from .inplace import settled
from .parts import chunk
from .statistics import norm

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "celu",
    "erf",
    "gelu",
    "glu",
    "mish",
    "normalize",
    "selu",
    "silu",
    "softsign",
    "tanhshrink",
]

_PAIR = [sample((3, 4), (3, 4))]

erf = op(
    "erf",
    kernels.erf,
    vjp=lambda g, x: g * (2 / math.sqrt(math.pi) * exp(-(x * x))),
    numpy=lambda x: np.vectorize(math.erf, otypes=[x.dtype])(x),
    domain=(-2, 2),
    promote="float",
    doc=documented(
        "Return the error function, 2 / sqrt(pi) times the integral of e**-t**2 up to x.",
        "tg.erf(tg.tensor([0.0, 1.0]))",
        "tensor([0.0000, 0.8427])",
    ),
)
gelu_row = op(
    "gelu",
    kernels.gelu,
    vjp=lambda g, x: gelu_grad(g, x),
    numpy=lambda x: x * np.vectorize(math.erfc, otypes=[x.dtype])(-x / math.sqrt(2)) / 2,
    domain=(-3, 3),
)
gelu_grad: Any = op(
    "gelu_grad",
    lambda gx, x: kernels.gelu_grad(gx, x),
    vjp=(
        lambda g, x: gelu_grad(g, x),
        lambda g, gx, x: g * gx * ((2 - x * x) * exp(x * x * -0.5) / math.sqrt(2 * math.pi)),
    ),
    numpy=lambda gx, x: (
        gx
        * (
            np.vectorize(math.erfc, otypes=[x.dtype])(-x / math.sqrt(2)) / 2
            + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
        )
    ),
    domain=(-3, 3),
    samples=_PAIR,
    grad_name="GeluBackwardBackward0",
)
_K, _CUBE = math.sqrt(2 / math.pi), 0.044715


def _tanh_form(x: Array) -> Array:
    wide = x.astype(np.float64, copy=False)
    # 0.5 (1 + tanh(u)) is sigmoid(2 u), which keeps its digits where tanh is near -1.
    return (wide * smooth.sigmoid(2 * _K * (wide + _CUBE * wide**3))).astype(x.dtype, copy=False)


def _tanh_slope(g: Any, x: Any) -> Any:
    inner = 2 * _K * (x + _CUBE * (x * x * x))
    s = sigmoid(inner)
    return g * s + sigmoid_grad(g * x, inner) * (2 * _K * (1 + 3 * _CUBE * (x * x)))


gelu_tanh_row = op(
    "gelu_tanh",
    _tanh_form,
    vjp=lambda g, x: _tanh_slope(g, x),
    numpy="0.5 * {x} * (1 + np.tanh(np.sqrt(2 / np.pi) * ({x} + 0.044715 * {x} ** 3)))",
    domain=(-3, 3),
    grad_name="GeluBackward0",
)
silu_row = op(
    "silu",
    kernels.silu,
    vjp=lambda g, x: silu_grad(g, x),
    numpy="{x} / (1 + np.exp(-{x}))",
    domain=(-4, 4),
)
silu_grad: Any = op(
    "silu_grad",
    lambda gx, x: kernels.silu_grad(gx, x),
    vjp=(
        lambda g, x: silu_grad(g, x),
        lambda g, gx, x: sigmoid_grad(g * gx, x) * (2 - x * tanh(x / 2)),
    ),
    numpy="{gx} / (1 + np.exp(-{x})) * (1 + {x} / (1 + np.exp({x})))",
    domain=(-4, 4),
    samples=_PAIR,
    grad_name="SiluBackwardBackward0",
)


def _mish_slope(g: Any, x: Any) -> Any:
    t = tanh(softplus_row(x, beta=1.0, threshold=20.0))
    return g * (t + x * sigmoid(x) * (1 - t * t))


mish_row = op(
    "mish",
    kernels.mish,
    vjp=lambda g, x: _mish_slope(g, x),
    numpy="{x} * np.tanh(np.logaddexp(0, {x}))",
    domain=(-4, 4),
)
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
selu_row = op(
    "selu",
    lambda x: smooth.elu(x, _SELU_ALPHA) * _SELU_SCALE,
    vjp=lambda g, x: elu_grad(g * _SELU_SCALE, x, alpha=_SELU_ALPHA),
    numpy=f"{_SELU_SCALE} * np.where({{x}} > 0, {{x}}, {_SELU_ALPHA} * np.expm1({{x}}))",
    domain=(-2, 2),
    grad_name="EluBackward0",
)
celu_row = op(
    "celu",
    lambda x, *, alpha: np.where(x > 0, x, alpha * smooth.expm1(x / alpha)),
    vjp=lambda g, x, alpha: where_row(x > 0, g, g * exp(where_row(x > 0, 0.0, x) / alpha)),
    numpy="np.where({x} > 0, {x}, {alpha} * np.expm1({x} / {alpha}))",
    domain=(-2, 2),
    samples=[sample((3, 4), alpha=1.0), sample((3, 4), alpha=0.7)],
)
glu_row = op(
    "glu",
    lambda a, b: a * smooth.sigmoid(b),
    vjp=(lambda g, b: g * sigmoid(b), lambda g, a, b: sigmoid_grad(g * a, b)),
    numpy="{a} / (1 + np.exp(-{b}))",
    domain=(-3, 3),
    samples=_PAIR,
)

# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def floating(input: Any, name: str) -> Any:
    """The tensor, if its elements are floating point numbers."""
    array = tensor_of(input, name)
    if array.dtype.kind not in "fc":
        raise unsupported(name, array)
    return input


def gelu(input: Tensor, *, approximate: str = "none") -> Tensor:
    """Return x times the normal distribution function of x; with approximate="tanh", its approximation by tanh.

    Both are within 1 ULP in float32, in the negative tail too.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.gelu(tg.tensor([-1.0, 1.0]))
    tensor([-0.1587,  0.8413])
    """
    x = floating(input, "gelu")
    if approximate == "none":
        return gelu_row(x)  # type: ignore[no-any-return]
    if approximate == "tanh":
        return gelu_tanh_row(x)  # type: ignore[no-any-return]
    raise RuntimeError(f"approximate argument must be either none or tanh, got {approximate!r}.")


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return x sigmoid(x).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.silu(tg.tensor([-1.0, 1.0]))
    tensor([-0.2689,  0.7311])
    """
    return settled(silu_row, floating(input, "silu"), inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """Return x tanh(softplus(x)).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.mish(tg.tensor([-1.0, 1.0]))
    tensor([-0.3034,  0.8651])
    """
    return settled(mish_row, floating(input, "mish"), inplace)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return 1.0507 elu(x, 1.6733), which keeps mean 0 and variance 1 (Klambauer et al. 2017).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.selu(tg.tensor([-1.0, 1.0]))
    tensor([-1.1113,  1.0507])
    """
    return settled(selu_row, floating(input, "selu"), inplace)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Return x where x > 0, else alpha (exp(x / alpha) - 1).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.celu(tg.tensor([-1.0, 1.0]), alpha=2.0)
    tensor([-0.7869,  1.0000])
    """
    if alpha == 0:
        raise RuntimeError("celu(): alpha must not be 0")
    return settled(celu_row, floating(input, "celu"), inplace, alpha=float(alpha))


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """Return a sigmoid(b), a and b being the two halves along a dimension.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.glu(tg.tensor([1.0, 2.0, 0.0, 0.0]))
    tensor([0.5000, 1.0000])
    """
    array = floating(input, "glu")._array
    if not array.ndim:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    d = axis(dim, array.ndim)
    if array.shape[d] % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {d} is size {array.shape[d]}")
    return glu_row(*chunk(input, 2, d)) if array.shape[d] else glu_row(input, input)  # type: ignore[no-any-return]


def softsign(input: Tensor) -> Tensor:
    """Return x / (1 + |x|).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.softsign(tg.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """
    return input / (abs(input) + 1)  # type: ignore[no-any-return]


def tanhshrink(input: Tensor) -> Tensor:
    """Return x - tanh(x).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.tanhshrink(tg.tensor([-1.0, 1.0]))
    tensor([-0.2384,  0.2384])
    """
    return input - tanh(input)  # type: ignore[no-any-return]


def normalize(input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12) -> Tensor:
    """Return x / max(|x|_p, eps), the norm being taken along a dimension.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.normalize(tg.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    length = clamp_min_row(norm(floating(input, "normalize"), p, dim, True), float(eps))
    return input / length.expand_as(input)  # type: ignore[no-any-return]
