"""Adadelta."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..kernels import optimizers as kernels
from ..tensor import Tensor
from .fused import FusedOptimizer
from .options import implementation, learning_rate, not_negative, number

__all__ = ["Adadelta"]


class Adadelta(FusedOptimizer):
    r"""Adadelta: steps whose size follows that of earlier changes, so that they have the parameter's unit.

    .. math::

        v_t = \rho v_{t-1} + (1 - \rho) g_t^2, \quad
        \Delta_t = \frac{\sqrt{u_{t-1} + \epsilon}}{\sqrt{v_t + \epsilon}} g_t, \quad
        u_t = \rho u_{t-1} + (1 - \rho) \Delta_t^2, \quad
        \theta_t = \theta_{t-1} - \gamma \Delta_t

    (Zeiler 2012, "ADADELTA: an adaptive learning rate method").

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
    lr : float or Tensor
        :math:`\gamma`, the learning rate.
    rho : float
        :math:`\rho`, how much of the mean squares remains.
    eps : float
        :math:`\epsilon`, with which the first steps begin.
    weight_decay : float
        :math:`\lambda`; adds :math:`\lambda \theta` to the gradient.
    maximize : bool
        Ascend instead of descending.
    foreach, capturable : bool, optional
        Which of its implementations PyTorch takes; here there is one.
    differentiable : bool
        Must be False: a step is not recorded.

    Raises
    ------
    ValueError
        If a number is negative, or rho above 1.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> w = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = tg.optim.Adadelta([w], lr=1.0)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimizer.step()
    >>> w
    tensor([ 0.9936, -1.9936], requires_grad=True)
    """

    _kernel = staticmethod(kernels.adadelta)
    _numbers = ("lr", "rho", "eps", "weight_decay")
    _switches = ("maximize",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        learning_rate(lr)
        if not 0.0 <= number(rho, "rho") <= 1.0:
            raise ValueError(f"Invalid rho value: {rho} (expected 0 <= rho <= 1)")
        not_negative("epsilon value", eps)
        not_negative("weight_decay value", weight_decay)
        implementation(foreach, None, differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "rho": rho,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "capturable": capturable,
                "foreach": foreach,
                "differentiable": differentiable,
            },
        )

    def _names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("step", "square_avg", "acc_delta")
