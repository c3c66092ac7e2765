"""Rows of the distances between an input and a target of real numbers, and of the Kullback-Leibler divergence."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import kernels
from ...dtypes import F64
from ...op import op, sample
from ..elementwise import exp, log, where_row
from ..shape import to
from .checks import REDUCTIONS, share


def _calls(gradient: bool, **params: Any) -> list[Any]:
    """Calls for every reduction."""
    calls = []
    for r in REDUCTIONS:
        incoming = [(3, 4) if r == "none" else ()] if gradient else []
        calls.append(sample(*incoming, (3, 4), (3, 4), reduction=r, **params))
    return calls


# --- squared error ------------------------------------------------------------------------------------------------


def _mse_in_numpy(x, t, reduction):  # type: ignore[no-untyped-def]
    loss = (x - t) ** 2
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


mse_row = op(
    "mse_loss",
    lambda x, t, *, reduction: kernels.mse(x, t, reduction),
    vjp=(
        lambda g, x, t, reduction: mse_grad(g, x, t, reduction=reduction),
        lambda g, x, t, reduction: mse_grad(g, t, x, reduction=reduction),
    ),
    numpy=_mse_in_numpy,
    domain=(-2, 2),
    samples=_calls(False),
)
mse_grad: Any = op(
    "mse_loss_grad",
    lambda gx, x, t, *, reduction: kernels.mse_grad(gx, x, t, reduction),
    vjp=(
        lambda g, x, t, reduction: mse_grad(g, x, t, reduction="none") * share(x.shape, reduction),
        lambda g, gx, x_shape, reduction: g * gx * (2 * share(x_shape, reduction)),
        lambda g, gx, x_shape, reduction: g * gx * (-2 * share(x_shape, reduction)),
    ),
    numpy="{gx} * 2 * ({x} - {t}) / ({x}.size if {reduction} == 'mean' else 1)",
    domain=(-2, 2),
    samples=_calls(True),
    grad_name="MseLossBackwardBackward0",
)


# --- absolute error, rounded off at 0 -----------------------------------------------------------------------------


def _smooth_l1_in_numpy(x, t, beta, reduction):  # type: ignore[no-untyped-def]
    d = np.abs(x - t)
    loss = np.where(d < beta, d**2 / (2 * beta or 1), d - beta / 2)
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


def _smooth_l1_grad_in_numpy(gx, x, t, beta, reduction):  # type: ignore[no-untyped-def]
    d = x - t
    slope = np.where(np.abs(d) < beta, d / (beta or 1), np.sign(d))
    return gx * slope / (x.size if reduction == "mean" else 1)


def _curvature(x: Any, t: Any, width: float, inside: float) -> Any:
    """The second derivative: that of a parabola near the target, 0 farther away."""
    d = x - t
    return where_row((d < width) & (d > -width), inside, 0.0)


def _smooth_name(operands: list[Any], params: dict[str, Any]) -> str:
    if params["beta"]:
        return "SmoothL1LossBackward0"
    return {"mean": "MeanBackward0", "sum": "SumBackward0", "none": "AbsBackward0"}[params["reduction"]]


smooth_l1_row = op(
    "smooth_l1_loss",
    lambda x, t, *, beta, reduction: kernels.smooth_l1(x, t, beta, reduction),
    vjp=(
        lambda g, x, t, beta, reduction: smooth_l1_grad(g, x, t, beta=beta, reduction=reduction),
        lambda g, x, t, beta, reduction: smooth_l1_grad(g, t, x, beta=beta, reduction=reduction),
    ),
    numpy=_smooth_l1_in_numpy,
    domain=(-2, 2),
    samples=[*_calls(False, beta=1.0), *_calls(False, beta=0.0)],
    grad_name=_smooth_name,
)
smooth_l1_grad: Any = op(
    "smooth_l1_loss_grad",
    lambda gx, x, t, *, beta, reduction: kernels.smooth_l1_grad(gx, x, t, beta, reduction),
    vjp=(
        lambda g, x, t, beta, reduction: (
            smooth_l1_grad(g, x, t, beta=beta, reduction="none") * share(x.shape, reduction)
        ),
        lambda g, gx, x, t, beta, reduction: (
            g * gx * (_curvature(x, t, beta, 1 / (beta or 1)) * share(x.shape, reduction))
        ),
        lambda g, gx, x, t, beta, reduction: (
            g * gx * (_curvature(x, t, beta, -1 / (beta or 1)) * share(x.shape, reduction))
        ),
    ),
    numpy=_smooth_l1_grad_in_numpy,
    domain=(-2, 2),
    samples=[*_calls(True, beta=1.0), *_calls(True, beta=0.0)],
    grad_name="SmoothL1LossBackwardBackward0",
)


def _huber_in_numpy(x, t, delta, reduction):  # type: ignore[no-untyped-def]
    d = np.abs(x - t)
    loss = np.where(d < delta, d**2 / 2, delta * (d - delta / 2))
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


huber_row = op(
    "huber_loss",
    lambda x, t, *, delta, reduction: kernels.huber_loss(x, t, delta, reduction),
    vjp=(
        lambda g, x, t, delta, reduction: huber_grad(g, x, t, delta=delta, reduction=reduction),
        lambda g, x, t, delta, reduction: huber_grad(g, t, x, delta=delta, reduction=reduction),
    ),
    numpy=_huber_in_numpy,
    domain=(-2, 2),
    samples=_calls(False, delta=0.7),
)
huber_grad: Any = op(
    "huber_loss_grad",
    lambda gx, x, t, *, delta, reduction: kernels.huber_loss_grad(gx, x, t, delta, reduction),
    vjp=(
        lambda g, x, t, delta, reduction: (
            huber_grad(g, x, t, delta=delta, reduction="none") * share(x.shape, reduction)
        ),
        lambda g, gx, x, t, delta, reduction: g * gx * (_curvature(x, t, delta, 1.0) * share(x.shape, reduction)),
        lambda g, gx, x, t, delta, reduction: g * gx * (_curvature(x, t, delta, -1.0) * share(x.shape, reduction)),
    ),
    numpy="{gx} * np.clip({x} - {t}, -{delta}, {delta}) / ({x}.size if {reduction} == 'mean' else 1)",
    domain=(-2, 2),
    samples=_calls(True, delta=0.7),
    grad_name="HuberLossBackwardBackward0",
)


# --- Kullback-Leibler divergence ----------------------------------------------------------------------------------


def _kl_in_numpy(x, t, log_target, reduction):  # type: ignore[no-untyped-def]
    loss = np.exp(t) * (t - x) if log_target else np.where(t > 0, t * (np.log(np.where(t > 0, t, 1)) - x), 0)
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


def _kl_by_target(g: Any, x: Any, t: Any, log_target: bool, reduction: str) -> Any:
    q = to(t, F64)
    slope = where_row(q == -np.inf, 0.0, exp(q) * (q - x + 1)) if log_target else log(q) + 1 - x
    return g * slope * share(x.shape, reduction)


def _kl_name(operands: list[Any], params: dict[str, Any]) -> str:
    none = "MulBackward0" if params["log_target"] else "SubBackward0"
    return {"mean": "MeanBackward0", "sum": "SumBackward0", "none": none}[params["reduction"]]


kl_row = op(
    "kl_div",
    lambda x, t, *, log_target, reduction: kernels.kl_div(x, t, log_target, reduction),
    vjp=(
        lambda g, t, log_target, reduction: kl_grad(g, t, log_target=log_target, reduction=reduction),
        lambda g, x, t, log_target, reduction: _kl_by_target(g, x, t, log_target, reduction),
    ),
    numpy=_kl_in_numpy,
    domain=(0.1, 2),
    samples=[*_calls(False, log_target=False), *_calls(False, log_target=True)],
    grad_name=_kl_name,
)
kl_grad: Any = op(
    "kl_div_grad",
    lambda gx, t, *, log_target, reduction: kernels.kl_div_grad(gx, t, log_target, reduction),
    vjp=(
        lambda g, t, log_target, reduction: (
            kl_grad(g, t, log_target=log_target, reduction="none") * share(t.shape, reduction)
        ),
        lambda g, gx, t, log_target, reduction: -g * gx * ((exp(t) if log_target else 1.0) * share(t.shape, reduction)),
    ),
    numpy="-{gx} * (np.exp({t}) if {log_target} else {t}) / ({t}.size if {reduction} == 'mean' else 1)",
    domain=(0.1, 2),
    samples=[
        sample((3, 4) if r == "none" else (), (3, 4), log_target=log_target, reduction=r)
        for log_target in (False, True)
        for r in REDUCTIONS
    ],
    grad_name="KlDivBackwardBackward0",
)
