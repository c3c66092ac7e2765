"""Cross-entropy on logits and negative log-likelihood: one class out of many, or a distribution over them."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import dtypes, kernels
from ...dtypes import F32, I64, Array
from ...op import op, sample
from ..activation import softmax_grad, softmax_row
from ..broadcast import sum_row
from ..shape import to, unsqueeze_row
from .checks import (
    F16,
    REDUCTIONS,
    Shape,
    check_constant,
    check_floating,
    check_reduction,
    check_tensors,
    legacy,
    position,
)

if TYPE_CHECKING:
    from ...tensor import Tensor

_CLASSES = np.array([0, 3, 1])
_DENSE = np.array([[0, 3, 1, 2], [2, 2, 0, 3]])
_WEIGHT = np.linspace(0.5, 2.0, 4)


def _in_layers(x: Array, target: Array) -> tuple[Array, Array]:
    """Logits as (N, C, L), targets as (N, L)."""
    if x.ndim == 2:
        return x.reshape(*x.shape, 1), target.reshape(-1, 1)
    if x.ndim == 1:
        return x.reshape(1, -1, 1), target.reshape(1, 1)
    n, c = x.shape[:2]
    length = target.size // n if n else 0
    return x.reshape(n, c, length), target.reshape(n, length)


def _raise_target(bad: int, x: Array, target: Array, ignore_index: int) -> None:
    place, classes = list(position(bad, target.shape)) if target.ndim else [], x.shape[x.ndim > 1]
    k = int(target.reshape(-1)[bad])
    message = (
        f"Target {k} is out of bounds: target{place or ''} is {k}, but the input of shape {list(x.shape)} has {classes} "
        f"classes, so class numbers run from 0 to {classes - 1}."
    )
    if k < 0:
        message += f" Write ignore_index={k} to leave such targets out; ignore_index is {ignore_index}."
    elif k == classes and not (target == 0).any():
        message += " Is the first class called 1? Write target - 1."
    else:
        message += (
            " A mask must hold class numbers, not grey levels: write target.unique(return_inverse=True)[1] to number the "
            "levels it has, or give the model more outputs."
        )
    raise IndexError(message)


# --- class numbers: rows ------------------------------------------------------------------------------------------


def _axis(x: Any) -> int:
    return int(x.ndim > 1)


def _ce(
    x: Array, target: Array, weight: Array | None, *, ignore_index: int, label_smoothing: float, reduction: str
) -> tuple[Array, Array, float]:
    layers, t = _in_layers(x, target)
    value, bad, (pieces, divisor) = kernels.cross_entropy(layers, t, weight, ignore_index, label_smoothing, reduction)
    if bad >= 0:
        _raise_target(bad, x, target, ignore_index)
    return (value.reshape(target.shape) if reduction == "none" else value), pieces, divisor


def _ce_grad(
    gx: Any, x: Array, target: Array, weight: Array | None, pieces: Array | None, divisor: float,
    *, ignore_index: int, label_smoothing: float, reduction: str,
) -> Array:  # fmt: skip
    layers, t = _in_layers(x, target)
    saved = pieces, float(divisor)
    return kernels.cross_entropy_grad(
        np.asarray(gx), layers, t, weight, ignore_index, label_smoothing, reduction, saved
    ).reshape(x.shape)


def _ce_in_numpy(x, target, weight, ignore_index, label_smoothing, reduction):  # type: ignore[no-untyped-def]
    d = int(x.ndim > 1)
    logp = x - np.logaddexp.reduce(x, axis=d, keepdims=True)
    kept = target != ignore_index
    k = np.where(kept, target, 0)
    w = np.ones(x.shape[d]) if weight is None else weight
    nll = -w[k] * np.take_along_axis(logp, np.expand_dims(k, d), d).squeeze(d)
    spread = -np.tensordot(logp, w, (d, 0)) / x.shape[d]
    loss = kept * ((1 - label_smoothing) * nll + label_smoothing * spread)
    if reduction == "mean":
        return loss.sum() / (kept * w[k]).sum()
    return loss if reduction == "none" else loss.sum()


def _ce_grad_in_numpy(gx, x, target, weight, pieces, divisor, ignore_index, label_smoothing, reduction):  # type: ignore[no-untyped-def]
    d = int(x.ndim > 1)
    p = np.exp(x - np.logaddexp.reduce(x, axis=d, keepdims=True))
    kept = target != ignore_index
    k = np.where(kept, target, 0)
    w = np.ones(x.shape[d]) if weight is None else weight
    q = (1 - label_smoothing) * np.moveaxis(np.eye(len(w))[k] * w[k][..., None], -1, d)
    q = q + label_smoothing / len(w) * w.reshape((-1,) + (1,) * (x.ndim - d - 1))
    return np.expand_dims(gx * kept / divisor, d) * (p * q.sum(d, keepdims=True) - q)


def _mass(x: Array, target: Array, weight: Array | None, *, ignore_index: int, label_smoothing: float) -> Array:
    kept = target != ignore_index
    if weight is None:
        return kept.astype(x.dtype)
    share = label_smoothing / len(weight) * weight.sum(dtype=np.float64)
    return (kept * ((1 - label_smoothing) * weight[np.where(kept, target, 0)] + share)).astype(x.dtype)


# What all classes together count for at each target: the slope of the loss by logsumexp.
mass = op(
    "class_weight_mass",
    _mass,
    numpy=_mass,
    domain=(0.5, 2),
    samples=[sample((2, 4, 4), _DENSE, w, ignore_index=1, label_smoothing=0.2) for w in (None, _WEIGHT)],
)


def _sample_grads(**params: Any) -> list[Any]:
    return [
        sample(t.shape if r == "none" else (), (*t.shape[:1], 4, *t.shape[1:]), t, w, None, d, reduction=r, **params)
        for r, d in (("none", 1.0), ("mean", 2.5), ("sum", 1.0))
        for t, w in ((_CLASSES, None), (_DENSE, _WEIGHT))
    ]


def _samples(**params: Any) -> list[Any]:
    return [
        sample((*t.shape[:1], 4, *t.shape[1:]), t, w, reduction=r, **params)
        for r in REDUCTIONS
        for t, w in ((_CLASSES, None), (_DENSE, _WEIGHT))
    ]


def _ce_name(operands: list[Any], params: dict[str, Any]) -> str:
    """PyTorch's name: its cross-entropy is made of other ops, of which the last one shows."""
    if params["label_smoothing"]:
        return "AddBackward0"
    return "NllLossBackward0" if operands[0].ndim < 3 else "NllLoss2DBackward0"


ce_row = op(
    "cross_entropy",
    _ce,
    vjp=(
        lambda g, x, target, weight, pieces, divisor, ignore_index, label_smoothing, reduction: ce_grad(
            g,
            x,
            target,
            weight,
            pieces,
            divisor,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            reduction=reduction,
        ),  # fmt: skip
        None,
        None,
    ),
    numpy=_ce_in_numpy,
    domain=(-3, 3),
    samples=[
        *_samples(ignore_index=1, label_smoothing=0.0),
        *_samples(ignore_index=2, label_smoothing=0.3),
        sample((4,), np.array(2), None, ignore_index=1, label_smoothing=0.0, reduction="mean"),
    ],
    outputs=("y", "pieces", "divisor"),
    grad_name=_ce_name,
)


def _ce_grad_x(
    g: Any, gx: Any, x: Any, target: Any, weight: Any, divisor: Any, ignore_index: int, label_smoothing: float
) -> Any:
    d = _axis(x)
    share = mass(x, target, weight, ignore_index=ignore_index, label_smoothing=label_smoothing)
    return softmax_grad(g * unsqueeze_row(gx * share / divisor, dim=d), softmax_row(x, dim=d), dim=d)


ce_grad: Any = op(
    "cross_entropy_grad",
    _ce_grad,
    vjp=(
        lambda g, x, target, weight, pieces, divisor, ignore_index, label_smoothing, reduction: sum_row(
            g
            * ce_grad(
                1.0,
                x,
                target,
                weight,
                pieces,
                divisor,
                ignore_index=ignore_index,
                label_smoothing=label_smoothing,
                reduction=reduction,
            ),
            dim=(_axis(x),),
            keepdim=False,
        ),  # fmt: skip
        lambda g, gx, x, target, weight, divisor, ignore_index, label_smoothing: _ce_grad_x(
            g, gx, x, target, weight, divisor, ignore_index, label_smoothing
        ),
        None,
        None,
        None,
        None,
    ),
    numpy=_ce_grad_in_numpy,
    domain=(-3, 3),
    samples=[
        *_sample_grads(ignore_index=1, label_smoothing=0.0),
        *_sample_grads(ignore_index=2, label_smoothing=0.3),
        sample((), (4,), np.array(2), None, None, 1.0, ignore_index=1, label_smoothing=0.0, reduction="mean"),
    ],
    grad_name="NllLossBackwardBackward0",
)


# --- class numbers: negative log-likelihood -----------------------------------------------------------------------


def _nll(x: Array, target: Array, weight: Array | None, *, ignore_index: int, reduction: str) -> tuple[Array, float]:
    layers, t = _in_layers(x, target)
    value, bad, divisor = kernels.nll(layers, t, weight, ignore_index, reduction)
    if bad >= 0:
        _raise_target(bad, x, target, ignore_index)
    return (value.reshape(target.shape) if reduction == "none" else value), divisor


def _nll_in_numpy(x, target, weight, ignore_index, reduction):  # type: ignore[no-untyped-def]
    d = int(x.ndim > 1)
    kept = target != ignore_index
    k = np.where(kept, target, 0)
    w = kept * (np.ones(x.shape[d]) if weight is None else weight)[k]
    loss = -w * np.take_along_axis(x, np.expand_dims(k, d), d).squeeze(d)
    if reduction == "mean":
        return loss.sum() / w.sum()
    return loss if reduction == "none" else loss.sum()


def _nll_grad(
    gx: Any, target: Array, weight: Array | None, divisor: float, *, shape: Shape, ignore_index: int, reduction: str
) -> Array:
    gx = np.asarray(gx)
    x = np.broadcast_to(np.empty((), gx.dtype), shape)
    layers, t = _in_layers(x, target)
    return kernels.nll_grad(gx, layers, t, weight, ignore_index, reduction, float(divisor)).reshape(shape)


def _nll_grad_in_numpy(gx, target, weight, divisor, shape, ignore_index, reduction):  # type: ignore[no-untyped-def]
    d = int(len(shape) > 1)
    kept = target != ignore_index
    k = np.where(kept, target, 0)
    w = kept * (np.ones(shape[d]) if weight is None else weight)[k]
    return np.moveaxis(np.eye(shape[d])[k] * (-gx * w / divisor)[..., None], -1, d)


nll_row = op(
    "nll_loss",
    _nll,
    vjp=(
        lambda g, x_shape, target, weight, divisor, ignore_index, reduction: nll_grad(
            g, target, weight, divisor, shape=x_shape, ignore_index=ignore_index, reduction=reduction
        ),
        None,
        None,
    ),
    numpy=_nll_in_numpy,
    domain=(-3, 0),
    samples=[*_samples(ignore_index=1), sample((4,), np.array(2), None, ignore_index=1, reduction="none")],
    outputs=("y", "divisor"),
    grad_name=lambda operands, params: "NllLossBackward0" if operands[0].ndim < 3 else "NllLoss2DBackward0",
)
nll_grad: Any = op(
    "nll_loss_grad",
    _nll_grad,
    vjp=(
        lambda g, target, weight, divisor, ignore_index: _picked(g, target, weight, ignore_index) / divisor,
        None,
        None,
        None,
    ),
    numpy=_nll_grad_in_numpy,
    domain=(-3, 3),
    samples=[
        sample(
            t.shape if r == "none" else (), t, w, d, shape=(*t.shape[:1], 4, *t.shape[1:]), ignore_index=1, reduction=r
        )
        for r, d in (("none", 1.0), ("mean", 2.5), ("sum", 1.0))
        for t, w in ((_CLASSES, None), (_DENSE, _WEIGHT))
    ],
    grad_name="NllLossBackwardBackward0",
)


def _picked(g: Any, target: Any, weight: Any, ignore_index: int) -> Any:
    """What the losses would be if the log-probabilities were g."""
    out = nll_row(g, target, weight, ignore_index=ignore_index, reduction="none")
    return out[0]


# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def _check_classes(
    name: str, input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: Any, reduction: str
) -> None:
    """Raise for what class numbers as a target do not allow; what the numbers are is seen by the kernel."""
    check_reduction(reduction)
    check_tensors(name, input=input, target=target)
    x, t = input._array, target._array
    if not hasattr(ignore_index, "__index__"):
        raise TypeError(
            f"{name}(): argument 'ignore_index' must be int, not {type(ignore_index).__name__}: it is the class number whose "
            f"targets do not count"
        )
    if t.dtype != I64 and t.dtype != np.uint8:
        raise RuntimeError(
            f"{name}(): expected target dtype to be Long or Byte, but got {dtypes.of(t)}. Write target.long() for class "
            f"numbers"
            + (
                f"; probabilities need the shape {list(x.shape)} of the input."
                if name == "cross_entropy" and t.dtype.kind == "f"
                else "."
            )
        )
    if not x.ndim:
        raise ValueError(f"{name}(): expected an input of 1 or more dimensions, (C,) or (N, C, ...), got 0")
    expected = x.shape[:1] + x.shape[2:] if x.ndim > 1 else ()
    if t.shape != expected and not (x.ndim == 1 and t.shape == (1,)):
        _raise_class_sizes(name, x.shape, t.shape, expected)
    check_floating(name, input)
    classes = x.shape[_axis(x)]
    if weight is not None:
        check_tensors(name, weight=weight)
        check_constant(name, weight=weight)
        if weight._array.shape != (classes,):
            raise RuntimeError(
                f"{name}(): weight tensor should be defined either for all {classes} classes or no classes but got weight "
                f"tensor of shape {list(weight._array.shape)}"
            )
        if weight._array.dtype != x.dtype:
            raise RuntimeError(
                f"{name}(): expected a weight of dtype {dtypes.of(x)}, that of the input, but got "
                f"{dtypes.of(weight._array)}. Write weight.to(input.dtype)."
            )


def _raise_class_sizes(name: str, x: Shape, t: Shape, expected: Shape) -> None:
    rule = (
        f"an input of shape {list(x)} has {x[min(len(x) - 1, 1)]} classes along dimension {int(len(x) > 1)} and takes class "
        f"numbers of shape {list(expected)}, got {list(t)}."
    )
    if len(x) == 2 and len(t) > 1:
        how = " Write target.squeeze(1)." if t == (x[0], 1) else ""
        raise RuntimeError(
            f"{name}(): 0D or 1D target tensor expected, multi-target not supported: {rule}{how}"
            + (" Class probabilities must have the shape of the input." if name == "cross_entropy" else "")
        )
    if len(x) > 2 and t == x[:-1]:
        how = " Write input.transpose(1, 2)." if len(x) == 3 else " Write input.movedim(-1, 1)."
        raise RuntimeError(f"{name}(): {rule} Are the classes in the last dimension? The class dimension is 1.{how}")
    raise (RuntimeError if len(x) > 2 and t[:1] == x[:1] else ValueError)(
        f"{name}(): {rule}"
        + (f" The batch sizes {x[0]} and {t[0]} differ." if t and len(x) > 1 and t[0] != x[0] else "")
    )


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return minus the log-probability of the target's class, times its weight, averaged or summed."""
    if size_average is not None or reduce is not None:
        reduction = legacy(size_average, reduce)
    _check_classes("nll_loss", input, target, weight, ignore_index, reduction)
    dtype = input._array.dtype
    if dtype == F16:
        input, weight = to(input, F32), None if weight is None else to(weight, F32)
    out = nll_row(input, to(target, I64), weight, ignore_index=operator.index(ignore_index), reduction=reduction)[0]
    return to(out, dtype)  # type: ignore[no-any-return]


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return logsumexp(x) - x[target], averaged or summed."""
    if size_average is not None or reduce is not None:
        reduction = legacy(size_average, reduce)
    _check_classes("cross_entropy", input, target, weight, ignore_index, reduction)
    dtype = input._array.dtype
    if dtype == F16:
        input, weight = to(input, F32), None if weight is None else to(weight, F32)
    out = ce_row(
        input, to(target, I64), weight,
        ignore_index=operator.index(ignore_index), label_smoothing=label_smoothing, reduction=reduction,
    )[0]  # fmt: skip
    return to(out, dtype)  # type: ignore[no-any-return]
