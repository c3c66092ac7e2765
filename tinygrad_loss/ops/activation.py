"""Sigmoids, rectifiers and the stable functions around log-sum-exp.

The fused gradients are rows of their own: in them ``gx`` is the gradient that came in the first time, ``g`` the one
that comes in the second time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..dtypes import Array
from ..kernels import elementwise as kernels
from ..kernels import rowwise
from ..op import op, sample
from .arguments import axes, axis, documented, is_number, numpy_names
from .broadcast import restored, sum_row
from .elementwise import exp, where_row
from .shape import permute_row, reshape, to

if TYPE_CHECKING:
    from ..tensor import Tensor

_G = [sample((3, 4), (3, 4))]

# --- elementwise --------------------------------------------------------------------------------------------------

tanh = op(
    "tanh",
    kernels.tanh,
    vjp=lambda g, y: tanh_grad(g, y),
    numpy="np.tanh({x})",
    domain=(-2, 2),
    promote="float",
    doc=documented("Return the hyperbolic tangent.", "tg.tanh(tg.tensor([0.0, 1.0]))", "tensor([0.0000, 0.7616])"),
)
tanh_grad: Any = op(
    "tanh_grad",
    lambda gx, t: kernels.tanh_grad(gx, t),
    vjp=(lambda g, t: tanh_grad(g, t), lambda g, gx, t: -2 * g * gx * t),
    numpy="{gx} * (1 - {t} ** 2)",
    domain=(-0.9, 0.9),
    samples=_G,
    grad_name="TanhBackwardBackward0",
)
# From the input, not from the output: 1 - y is 0 where x is large, s(-x) is exact there.
sigmoid = op(
    "sigmoid",
    kernels.sigmoid,
    vjp=lambda g, x: sigmoid_grad(g, x),
    numpy="1 / (1 + np.exp(-{x}))",
    domain=(-4, 4),
    promote="float",
    doc=documented("Return 1 / (1 + exp(-x)).", "tg.sigmoid(tg.tensor([0.0, 2.0]))", "tensor([0.5000, 0.8808])"),
)
sigmoid_grad: Any = op(
    "sigmoid_grad",
    lambda gx, x: kernels.sigmoid_grad_x(gx, x),
    vjp=(lambda g, x: sigmoid_grad(g, x), lambda g, x, y: -g * y * tanh(x / 2)),
    numpy="{gx} / ((1 + np.exp(-{x})) * (1 + np.exp({x})))",
    domain=(-4, 4),
    samples=_G,
    grad_name="SigmoidBackwardBackward0",
)
logsigmoid = op(
    "logsigmoid",
    kernels.logsigmoid,
    vjp=lambda g, x: logsigmoid_grad(g, x),
    numpy="-np.logaddexp(0, -{x})",
    domain=(-4, 4),
    promote="float",
    grad_name="LogSigmoidBackward0",
    doc=documented(
        "Return log(sigmoid(x)), without the overflow and rounding of its parts.",
        "tg.nn.functional.logsigmoid(tg.tensor([-200.0, 0.0]))",
        "tensor([-200.0000,   -0.6931])",
    ),
)
logsigmoid_grad: Any = op(
    "logsigmoid_grad",
    lambda gx, x: kernels.logsigmoid_grad(gx, x),
    vjp=(lambda g, x: logsigmoid_grad(g, x), lambda g, gx, x: -sigmoid_grad(g * gx, x)),
    numpy="{gx} / (1 + np.exp({x}))",
    domain=(-4, 4),
    samples=_G,
    grad_name="LogSigmoidBackwardBackward0",
)
softplus_row = op(
    "softplus",
    lambda x, *, beta, threshold: kernels.softplus(x, beta, threshold),
    vjp=lambda g, x, beta, threshold: softplus_grad(g, x, beta=beta, threshold=threshold),
    numpy="np.where(({threshold} < 20) & ({beta} * {x} > {threshold}), {x}, np.logaddexp(0, {beta} * {x}) / {beta})",
    domain=(-3, 3),
    samples=[sample((3, 4), beta=1.0, threshold=20.0), sample((3, 4), beta=2.0, threshold=10.0)],
)
softplus_grad: Any = op(
    "softplus_grad",
    lambda gx, x, *, beta, threshold: kernels.softplus_grad(gx, x, beta, threshold),
    vjp=(
        lambda g, x, beta, threshold: softplus_grad(g, x, beta=beta, threshold=threshold),
        lambda g, gx, x, beta, threshold: where_row(
            x * beta > kernels.softplus_limit(threshold), 0.0, sigmoid_grad(g * gx * beta, x * beta)
        ),
    ),
    numpy="{gx} * np.where(({threshold} < 20) & ({beta} * {x} > {threshold}), 1, 1 / (1 + np.exp(-{beta} * {x})))",
    domain=(-3, 3),
    samples=[sample((3, 4), (3, 4), beta=1.0, threshold=20.0), sample((3, 4), (3, 4), beta=2.0, threshold=10.0)],
    grad_name="SoftplusBackwardBackward0",
)
relu = op(
    "relu",
    kernels.relu,
    vjp=lambda g, y: relu_grad(g, y),
    numpy="np.maximum({x}, 0)",
    domain=(-2, 2),
    promote="same",
    doc=documented("Return max(x, 0).", "tg.relu(tg.tensor([-1.0, 2.0]))", "tensor([0., 2.])"),
)
relu_grad: Any = op(
    "relu_grad",
    lambda gx, y: kernels.relu_grad(gx, y),
    vjp=(lambda g, y: relu_grad(g, y), None),
    numpy="np.where({y} > 0, {gx}, 0)",
    domain=(-2, 2),
    samples=_G,
    outputs=("out",),
    grad_name="ThresholdBackwardBackward0",
)
elu_row = op(
    "elu",
    lambda x, *, alpha: kernels.elu(x, alpha),
    vjp=lambda g, x, alpha: elu_grad(g, x, alpha=alpha),
    numpy="np.where({x} > 0, {x}, {alpha} * np.expm1({x}))",
    domain=(-2, 2),
    samples=[sample((3, 4), alpha=1.0), sample((3, 4), alpha=0.7)],
)
elu_grad: Any = op(
    "elu_grad",
    lambda gx, x, *, alpha: kernels.elu_grad(gx, x, alpha),
    vjp=(
        lambda g, x, alpha: elu_grad(g, x, alpha=alpha),
        lambda g, gx, x, alpha: where_row(x <= 0, g * gx * alpha * exp(x), 0.0),
    ),
    numpy="{gx} * np.where({x} > 0, 1, {alpha} * np.exp({x}))",
    domain=(-2, 2),
    samples=[sample((3, 4), (3, 4), alpha=0.7)],
    grad_name="EluBackwardBackward0",
)

# --- along one dimension ------------------------------------------------------------------------------------------

_ROWS = [sample((3, 4), dim=1), sample((3, 4), dim=0), sample((2, 3, 4), dim=1)]
_G_ROWS = [sample((3, 4), (3, 4), dim=1), sample((2, 3, 4), (2, 3, 4), dim=1)]


def _merged(x: Any, dims: tuple[int, ...]) -> Any:
    """Several dimensions as one, the last."""
    kept = [d for d in range(x.ndim) if d not in dims]
    return reshape(permute_row(x, dims=(*kept, *dims)), (*(x.shape[d] for d in kept), -1))


def _logsumexp(x: Array, *, dim: tuple[int, ...], keepdim: bool) -> Array:
    if not dim:  # of one number
        return x.copy()
    out = rowwise.logsumexp(x, dim[0]) if len(dim) == 1 else rowwise.logsumexp(_merged(x, dim), x.ndim - len(dim))
    return np.expand_dims(out, dim) if keepdim else out


def _logsumexp_grad(gx: Any, x: Array, y: Array, *, dim: tuple[int, ...], keepdim: bool) -> Array:
    g = np.broadcast_to(np.asarray(gx, x.dtype), y.shape)
    if len(dim) <= 1:
        return rowwise.logsumexp_grad(g, x, y, dim[0]) if dim else g.copy()
    order = (*(d for d in range(x.ndim) if d not in dim), *dim)
    rows = rowwise.logsumexp_grad(g, _merged(x, dim), y, x.ndim - len(dim))
    return rows.reshape([x.shape[d] for d in order]).transpose(np.argsort(order)).copy()


def _logsumexp_in_numpy(x, dim, keepdim):  # type: ignore[no-untyped-def]
    m = x.max(axis=dim, keepdims=True)
    y = m + np.log(np.exp(x - m).sum(axis=dim, keepdims=True))
    return y if keepdim else y.squeeze(dim)


def _logsumexp_grad_in_numpy(gx, x, y, dim, keepdim):  # type: ignore[no-untyped-def]
    e = np.exp(x - x.max(axis=dim, keepdims=True))
    return (gx if keepdim or np.ndim(gx) == 0 else np.expand_dims(gx, dim)) * e / e.sum(axis=dim, keepdims=True)


def _logsumexp_second(g: Any, gx: Any, x: Any, y: Any, dim: tuple[int, ...], keepdim: bool) -> Any:
    p = logsumexp_grad(1.0, x, y, dim=dim, keepdim=keepdim)
    v = g * (gx if is_number(gx) else restored(gx, x.shape, dim, keepdim))
    return p * (v - sum_row(p * v, dim=dim, keepdim=True)) if dim else v * 0.0


_SEVERAL = [((1,), False, (3,)), ((0,), True, (1, 4)), ((0, 1), False, ())]
logsumexp_row = op(
    "logsumexp",
    _logsumexp,
    vjp=lambda g, x, y, dim, keepdim: logsumexp_grad(g, x, y, dim=dim, keepdim=keepdim),
    numpy=_logsumexp_in_numpy,
    domain=(-3, 3),
    samples=[sample((3, 4), dim=dim, keepdim=keepdim) for dim, keepdim, _ in _SEVERAL],
)
# Where all are -inf the sum is 0 whichever of them grows a little: a gradient of 0, where softmax would be NaN.
logsumexp_grad: Any = op(
    "logsumexp_grad",
    _logsumexp_grad,
    vjp=(
        lambda g, x, y, dim, keepdim: sum_row(
            g * logsumexp_grad(1.0, x, y, dim=dim, keepdim=keepdim), dim=dim, keepdim=keepdim
        ),
        lambda g, gx, x, y, dim, keepdim: _logsumexp_second(g, gx, x, y, dim, keepdim),
        None,
    ),
    numpy=_logsumexp_grad_in_numpy,
    domain=(-3, 3),
    samples=[sample(shape, (3, 4), np.zeros(shape), dim=dim, keepdim=keepdim) for dim, keepdim, shape in _SEVERAL],
    grad_name="LogsumexpBackwardBackward0",
)
softmax_row: Any = op(
    "softmax",
    lambda x, *, dim: rowwise.softmax(x, dim),
    vjp=lambda g, y, dim: softmax_grad(g, y, dim=dim),
    numpy="np.exp({x} - np.logaddexp.reduce({x}, axis={dim}, keepdims=True))",
    domain=(-3, 3),
    samples=_ROWS,
)
softmax_grad: Any = op(
    "softmax_grad",
    lambda gx, p, *, dim: rowwise.softmax_grad(gx, p, dim),
    vjp=(
        lambda g, p, dim: softmax_grad(g, p, dim=dim),
        lambda g, gx, p, dim: gx * g - gx * _along(p * g, dim) - g * _along(gx * p, dim),
    ),
    numpy="{p} * ({gx} - ({gx} * {p}).sum(axis={dim}, keepdims=True))",
    domain=(-2, 2),
    samples=_G_ROWS,
    grad_name="SoftmaxBackwardDataBackward0",
)
log_softmax_row = op(
    "log_softmax",
    lambda x, *, dim: rowwise.log_softmax(x, dim),
    vjp=lambda g, x, dim: log_softmax_grad(g, x, dim=dim),  # not y: e**y would magnify what y lost
    numpy="{x} - np.logaddexp.reduce({x}, axis={dim}, keepdims=True)",
    domain=(-3, 3),
    samples=_ROWS,
)
log_softmax_grad: Any = op(
    "log_softmax_grad",
    lambda gx, x, *, dim: rowwise.log_softmax_grad(gx, x, dim),
    vjp=(
        lambda g, x, dim: g - _along(g * softmax_row(x, dim=dim), dim),
        lambda g, gx, x, dim: softmax_grad(-g * _along(gx, dim), softmax_row(x, dim=dim), dim=dim),
    ),
    numpy="{gx} - np.exp({x} - np.logaddexp.reduce({x}, axis={dim}, keepdims=True)) * {gx}.sum(axis={dim}, keepdims=True)",
    domain=(-3, 3),
    samples=_G_ROWS,
    grad_name="LogSoftmaxBackwardDataBackward0",
)


def _along(x: Any, dim: int) -> Any:
    return sum_row(x, dim=(dim,), keepdim=True)


# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def _floating(input: Tensor, dtype: Any, name: str) -> Tensor:
    if dtype is not None:
        return to(input, dtypes.as_numpy(dtype))  # type: ignore[no-any-return]
    if input._array.dtype.kind not in "fc":
        raise RuntimeError(f'"{name}" not implemented for {dtypes.of(input._array)}: write {name}(input.float(), dim)')
    return input


@numpy_names
def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    r"""Return exp(x_i) / sum_j exp(x_j) along ``dim``, shifted by the maximum so that nothing overflows.

    Within 2 ULP of the true value at any scale of the logits.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.softmax(tg.tensor([1000.0, 1001.0]), dim=0)
    tensor([0.2689, 0.7311])
    """
    input = _floating(input, dtype, "softmax")
    return softmax_row(input, dim=axis(dim, input._array.ndim))  # type: ignore[no-any-return]


@numpy_names
def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """Return x - logsumexp(x) along ``dim``; exact for a confident prediction, where log(softmax(x)) would be 0.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.log_softmax(tg.tensor([20.0, 0.0]), dim=0)
    tensor([-2.0612e-09, -2.0000e+01])
    """
    input = _floating(input, dtype, "log_softmax")
    return log_softmax_row(input, dim=axis(dim, input._array.ndim))  # type: ignore[no-any-return]


@numpy_names
def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """Return log(sum(exp(x))) over one or several dimensions, shifted by the maximum so that nothing overflows.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.logsumexp(tg.tensor([1000.0, 1000.0]), 0)
    tensor(1000.6932)
    """
    if input._array.dtype.kind not in "fc":
        input = to(input, dtypes.get_default_dtype().numpy)
    dims = axes(dim, input._array.ndim)
    if dims is None:
        raise TypeError("logsumexp(): argument 'dim' must be an int or a tuple of ints, not None; write dim=() for all")
    return logsumexp_row(input, dim=dims, keepdim=keepdim)  # type: ignore[no-any-return]


def softplus(input: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """Return log(1 + exp(beta x)) / beta, and x itself where beta x > threshold.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.softplus(tg.tensor([-20.0, 0.0, 30.0]))
    tensor([2.0612e-09, 6.9315e-01, 3.0000e+01])
    """
    return softplus_row(_floating(input, None, "softplus"), beta=float(beta), threshold=float(threshold))  # type: ignore[no-any-return]


def elu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """Return x where x > 0, else alpha (exp(x) - 1).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.elu(tg.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    return elu_row(_floating(input, None, "elu"), alpha=float(alpha))  # type: ignore[no-any-return]
