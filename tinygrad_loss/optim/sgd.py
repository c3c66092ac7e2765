"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..kernels import optimizers as kernels
from ..tensor import Tensor
from .fused import FusedOptimizer
from .options import implementation, learning_rate, not_negative

__all__ = ["SGD"]


class SGD(FusedOptimizer):
    r"""Stochastic gradient descent, with momentum where it is not 0.

    .. math::

        d_t = g_t + \lambda \theta_{t-1}, \quad
        b_t = \mu b_{t-1} + (1 - \tau) d_t, \quad
        \theta_t = \theta_{t-1} - \gamma b_t

    with :math:`b_1 = d_1`; Nesterov's momentum descends along :math:`d_t + \mu b_t` instead of :math:`b_t`
    (Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning").

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
    lr : float or Tensor
        :math:`\gamma`, the learning rate.
    momentum, dampening, weight_decay : float
        :math:`\mu`, :math:`\tau` and :math:`\lambda`.
    nesterov : bool
        Needs momentum, and no dampening.
    maximize : bool
        Ascend instead of descending.
    foreach, fused : bool, optional
        Which of its implementations PyTorch takes; here there is one.
    differentiable : bool
        Must be False: a step is not recorded.

    Raises
    ------
    ValueError
        If a number is negative.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> w = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = tg.optim.SGD([w], lr=0.1, momentum=0.9)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimizer.step()
    >>> w
    tensor([ 0.4600, -0.9200], requires_grad=True)
    """

    _kernel = staticmethod(kernels.sgd)
    _numbers = ("lr", "momentum", "dampening", "weight_decay")
    _switches = ("nesterov", "maximize")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        learning_rate(lr)
        not_negative("momentum value", momentum)
        not_negative("weight_decay value", weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError(
                f"Nesterov momentum requires a momentum and zero dampening, got momentum={momentum}, "
                f"dampening={dampening}"
            )
        implementation(foreach, fused, differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
                "foreach": foreach,
                "differentiable": differentiable,
                "fused": fused,
            },
        )

    def _names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("momentum_buffer",) if group["momentum"] else (None,)
