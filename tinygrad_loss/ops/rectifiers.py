"""The nonlinearities beyond ReLU, ELU and the sigmoids: pieces of lines, and smooth gates."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..kernels import special
from ..op import TensorBase, op, sample
from .activation import sigmoid, softmax, softplus_row, tanh
from .arguments import axis
from .elementwise import exp, where_row
from .inplace import check_writable, store
from .slicing import slice_row

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "celu", "erf", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "mish", "normalize",
    "prelu", "relu6", "selu", "silu", "softmin", "softshrink", "softsign", "tanhshrink", "threshold",
]  # fmt: skip

_ONE = [sample((3, 4))]


def _at(**params: Any) -> list[Any]:
    return [sample((3, 4), **params)]


def _line(
    name: str, forward: Any, slope: Any, numpy: str, domain: tuple[float, float], samples: Any, grad_name: str
) -> Any:
    """A row whose gradient is g times a slope that is constant on pieces."""
    return op(
        name, forward, vjp=slope, numpy=numpy, domain=domain, samples=samples, promote="same", grad_name=grad_name
    )


# --- pieces of lines ----------------------------------------------------------------------------------------------

leaky_relu_row = _line(
    "leaky_relu",
    lambda x, *, slope: np.where(x > 0, x, x * x.dtype.type(slope)),
    lambda g, x, slope: where_row(x > 0, g, g * slope),
    "np.where({x} > 0, {x}, {x} * {slope})",
    (-2, 2),
    _at(slope=0.1),
    "LeakyReluBackward0",
)
prelu_row = op(
    "prelu",
    lambda x, weight: np.where(x > 0, x, x * weight),
    vjp=(lambda g, x, weight: where_row(x > 0, g, g * weight), lambda g, x: where_row(x > 0, 0.0, g * x)),
    numpy="np.where({x} > 0, {x}, {x} * {weight})",
    domain=(-2, 2),
    samples=[sample((3, 4), (4,)), sample((2, 3, 4), (3, 1))],
    grad_name="PreluKernelBackward0",
)
hardtanh_row = _line(
    "hardtanh",
    lambda x, *, low, high: np.clip(x, low, high),
    lambda g, x, low, high: where_row((x > low) & (x < high), g, 0.0),
    "np.clip({x}, {low}, {high})",
    (-2, 2),
    _at(low=-1.0, high=0.5),
    "HardtanhBackward0",
)
hardsigmoid_row = _line(
    "hardsigmoid",
    lambda x: np.clip(x + 3, 0, 6) / 6,
    lambda g, x: where_row((x > -3) & (x < 3), g / 6, 0.0),
    "np.clip({x} + 3, 0, 6) / 6",
    (-4, 4),
    _ONE,
    "HardsigmoidBackward0",
)
hardswish_row = _line(
    "hardswish",
    lambda x: x * np.clip(x + 3, 0, 6) / 6,
    lambda g, x: where_row(x <= -3, 0.0, where_row(x < 3, g * (x / 3 + 0.5), g)),
    "{x} * np.clip({x} + 3, 0, 6) / 6",
    (-4, 4),
    _ONE,
    "HardswishBackward0",
)
hardshrink_row = _line(
    "hardshrink",
    lambda x, *, lambd: np.where((x >= -lambd) & (x <= lambd), x.dtype.type(0), x),
    lambda g, x, lambd: where_row((x >= -lambd) & (x <= lambd), 0.0, g),
    "np.where(np.abs({x}) <= {lambd}, 0, {x})",
    (-2, 2),
    _at(lambd=0.5),
    "HardshrinkBackward0",
)
softshrink_row = _line(
    "softshrink",
    lambda x, *, lambd: np.where(x > lambd, x - lambd, np.where(x < -lambd, x + lambd, x * 0)),
    lambda g, x, lambd: where_row((x >= -lambd) & (x <= lambd), 0.0, g),
    "np.sign({x}) * np.maximum(np.abs({x}) - {lambd}, 0)",
    (-2, 2),
    _at(lambd=0.5),
    "SoftshrinkBackward0",
)
threshold_row = _line(
    "threshold",
    lambda x, *, threshold, value: np.where(x <= threshold, x.dtype.type(value), x),
    lambda g, x, threshold: where_row(x <= threshold, 0.0, g),
    "np.where({x} <= {threshold}, {value}, {x})",
    (-2, 2),
    _at(threshold=0.1, value=-7.0),
    "ThresholdBackward0",
)

# --- smooth -------------------------------------------------------------------------------------------------------

erf = op(
    "erf",
    lambda x: special.erf(x),
    vjp=lambda g, x: g * (2 / math.sqrt(math.pi)) * exp(-x * x),
    numpy="np.vectorize(__import__('math').erf, otypes=[float])({x})",
    domain=(-2, 2),
    promote="float",
    doc="""Return 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.erf(tg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8427])
    """,
)
softsign_row = op(
    "softsign",
    lambda x: x / (1 + np.abs(x)),
    vjp=lambda g, x: g / (1 + abs(x)) ** 2,
    numpy="{x} / (1 + np.abs({x}))",
    domain=(-2, 2),
    promote="float",
    grad_name="DivBackward0",
)
silu_row = op(
    "silu",
    lambda x: x * sigmoid(x),
    vjp=lambda g, x: g * sigmoid(x) * (1 + x * sigmoid(-x)),
    numpy="{x} / (1 + np.exp(-{x}))",
    domain=(-4, 4),
    promote="float",
)
mish_row = op(
    "mish",
    lambda x: x * tanh(_softplus(x)),
    vjp=lambda g, x: g * _mish_slope(x, tanh(_softplus(x))),
    numpy="{x} * np.tanh(np.logaddexp(0, {x}))",
    domain=(-4, 4),
    promote="float",
)
gelu_row = op(
    "gelu",
    lambda x: x * 0.5 * (1 + special.erf(x * math.sqrt(0.5))),
    vjp=lambda g, x: g * (0.5 * (1 + erf(x * math.sqrt(0.5))) + x * exp(-x * x / 2) / math.sqrt(2 * math.pi)),
    numpy="{x} * 0.5 * (1 + np.vectorize(__import__('math').erf, otypes=[float])({x} * 0.5**0.5))",
    domain=(-3, 3),
    promote="float",
)
_GELU_SCALE = math.sqrt(2 / math.pi)
gelu_tanh_row = op(
    "gelu_tanh",
    lambda x: 0.5 * x * (1 + np.tanh(_GELU_SCALE * (x + 0.044715 * x * x * x))),
    vjp=lambda g, x: g * _gelu_tanh_slope(x, tanh(_GELU_SCALE * (x + 0.044715 * x * x * x))),
    numpy="0.5 * {x} * (1 + np.tanh((2 / np.pi) ** 0.5 * ({x} + 0.044715 * {x} ** 3)))",
    domain=(-3, 3),
    promote="float",
    grad_name="GeluBackward0",
)
celu_row = op(
    "celu",
    lambda x, *, alpha: np.where(x > 0, x, alpha * np.expm1(x / alpha)),
    vjp=lambda g, x, alpha: where_row(x > 0, g, g * exp(where_row(x > 0, 0.0, x / alpha))),
    numpy="np.where({x} > 0, {x}, {alpha} * np.expm1({x} / {alpha}))",
    domain=(-2, 2),
    samples=_at(alpha=0.7),
    promote="float",
    grad_name="EluBackward0",
)


def _softplus(x: Any) -> Any:
    return softplus_row(x, beta=1.0, threshold=20.0)


def _mish_slope(x: Any, t: Any) -> Any:
    return t + x * (1 - t * t) * sigmoid(x)


def _gelu_tanh_slope(x: Any, t: Any) -> Any:
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * (_GELU_SCALE * (1 + 3 * 0.044715 * x * x))


# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def _floating(input: Tensor, name: str) -> Tensor:
    if not isinstance(input, TensorBase):
        raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}")
    if input._array.dtype.kind not in "fc":
        raise RuntimeError(f'"{name}" not implemented for {dtypes.of(input._array)}: write {name}(input.float())')
    return input


def _into(input: Any, out: Any, inplace: bool) -> Tensor:
    if not inplace:
        return out  # type: ignore[no-any-return]
    check_writable(input, "inplace=True")
    return store(input, out, "inplace=True")  # type: ignore[no-any-return]


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """Return min(max(x, 0), 6).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.relu6(tg.tensor([-1.0, 3.0, 9.0]))
    tensor([0., 3., 6.])
    """
    return _into(input, hardtanh_row(input, low=0, high=6), inplace)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """Return x moved into [min_val, max_val]; at the ends the gradient is 0.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.hardtanh(tg.tensor([-2.0, 0.5]))
    tensor([-1.0000,  0.5000])
    """
    if min_val > max_val:
        raise ValueError(f"min_val cannot be greater than max_val, got {min_val} and {max_val}")
    return _into(input, hardtanh_row(input, low=min_val, high=max_val), inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """Return x where x > 0, else negative_slope x.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.leaky_relu(tg.tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])
    """
    return _into(input, leaky_relu_row(_floating(input, "leaky_relu"), slope=float(negative_slope)), inplace)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """Return x where x > 0, else weight x: one weight, or one for each channel (dimension 1).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.prelu(tg.tensor([[-1.0, -1.0]]), tg.tensor([0.5, 0.1]))
    tensor([[-0.5000, -0.1000]])
    """
    w, x = weight._array, _floating(input, "prelu")._array
    channels = x.shape[1] if x.ndim > 1 else 1
    if w.ndim > 1 or (w.size != 1 and w.size != channels):
        raise RuntimeError(
            f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {w.size} and channel size = "
            f"{channels}: the weight has one element, or one for each of the channels in dimension 1"
        )
    if w.size != 1 or x.ndim > 1:
        weight = weight.reshape(-1, *(1,) * (x.ndim - 2)) if x.ndim > 1 else weight.reshape(1)
    return prelu_row(input, weight)  # type: ignore[no-any-return]


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """Return 0 below -3, 1 above 3, x / 6 + 1 / 2 between.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.hardsigmoid(tg.tensor([-4.0, 0.0, 4.0]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    return _into(input, hardsigmoid_row(_floating(input, "hardsigmoid")), inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """Return x hardsigmoid(x) (Howard et al. 2019).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.hardswish(tg.tensor([-4.0, 3.0]))
    tensor([-0., 3.])
    """
    return _into(input, hardswish_row(_floating(input, "hardswish")), inplace)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """Return 0 where |x| <= lambd, else x.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.hardshrink(tg.tensor([0.3, 0.7]))
    tensor([0.0000, 0.7000])
    """
    return hardshrink_row(_floating(input, "hardshrink"), lambd=float(lambd))  # type: ignore[no-any-return]


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """Return x moved towards 0 by lambd, and 0 where |x| <= lambd.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.softshrink(tg.tensor([0.3, 0.75]))
    tensor([0.0000, 0.2500])
    """
    if lambd < 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    return softshrink_row(_floating(input, "softshrink"), lambd=float(lambd))  # type: ignore[no-any-return]


def tanhshrink(input: Tensor) -> Tensor:
    """Return x - tanh(x).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.tanhshrink(tg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.2384])
    """
    return input - tanh(input)  # type: ignore[no-any-return]


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """Return x where x > threshold, else value.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.threshold(tg.tensor([0.1, 0.7]), 0.5, -1.0)
    tensor([-1.0000,  0.7000])
    """
    return _into(input, threshold_row(input, threshold=threshold, value=value), inplace)


def softsign(input: Tensor) -> Tensor:
    """Return x / (1 + |x|).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.softsign(tg.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """
    return softsign_row(input)  # type: ignore[no-any-return]


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return x sigmoid(x), also called swish.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.silu(tg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7311])
    """
    return _into(input, silu_row(_floating(input, "silu")), inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """Return x tanh(softplus(x)) (Misra 2020).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.mish(tg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8651])
    """
    return _into(input, mish_row(_floating(input, "mish")), inplace)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """Return x P(Z <= x) for a standard normal Z; "tanh" approximates it (Hendrycks and Gimpel 2016).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.gelu(tg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8413])
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"approximate argument must be either none or tanh, got {approximate!r}")
    return (gelu_row if approximate == "none" else gelu_tanh_row)(_floating(input, "gelu"))  # type: ignore[no-any-return]


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Return max(0, x) + min(0, alpha (exp(x / alpha) - 1)).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.celu(tg.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _into(input, celu_row(_floating(input, "celu"), alpha=float(alpha)), inplace)


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # Klambauer et al. 2017


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return scale (max(0, x) + min(0, alpha (exp(x) - 1))), which keeps mean 0 and variance 1 (Klambauer et al. 2017).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.selu(tg.tensor([-1.0, 1.0]))
    tensor([-1.1113,  1.0507])
    """
    from .activation import elu

    return _into(input, elu(_floating(input, "selu"), _SELU_ALPHA) * _SELU_SCALE, inplace)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """Return a sigmoid(b), a and b the halves of the input along ``dim`` (Dauphin et al. 2017).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.glu(tg.tensor([2.0, 0.0]))
    tensor([1.])
    """
    shape = _floating(input, "glu")._array.shape
    if not shape:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    d = axis(dim, len(shape))
    if shape[d] % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {d} is size {shape[d]}")
    before, half = (slice(None),) * d, shape[d] // 2
    gate = sigmoid(slice_row(input, index=(*before, slice(half, None))))
    return slice_row(input, index=(*before, slice(0, half))) * gate  # type: ignore[no-any-return]


def softmin(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """Return softmax(-x).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.softmin(tg.tensor([0.0, 0.0]), 0)
    tensor([0.5000, 0.5000])
    """
    return softmax(-input, dim, dtype)


def normalize(input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12) -> Tensor:
    """Return x / max(norm(x), eps) along ``dim``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.normalize(tg.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    size = input.norm(p, dim, keepdim=True).clamp(min=eps)
    return input / size
