"""Adamax."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..kernels import optimizers as kernels
from ..tensor import Tensor
from .fused import FusedOptimizer
from .options import decay_rates, implementation, learning_rate, not_negative

__all__ = ["Adamax"]


class Adamax(FusedOptimizer):
    r"""Adamax: Adam with the largest recent gradient in the place of the root mean square.

    .. math::

        m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \quad
        u_t = \max(\beta_2 u_{t-1}, |g_t| + \epsilon), \quad
        \theta_t = \theta_{t-1} - \frac{\gamma}{1 - \beta_1^t} \frac{m_t}{u_t}

    (Kingma and Ba 2015, "Adam: a method for stochastic optimization", section 7).

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
    lr : float or Tensor
        :math:`\gamma`, the learning rate.
    betas : (float, float)
        :math:`\beta_1` and :math:`\beta_2`.
    eps : float
        :math:`\epsilon`, which bounds the step where gradients vanish.
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
        If a number is negative, or a beta not below 1.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> w = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = tg.optim.Adamax([w], lr=0.1)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimizer.step()
    >>> w
    tensor([ 0.8052, -1.8025], requires_grad=True)
    """

    _kernel = staticmethod(kernels.adamax)
    _numbers = ("lr", "betas", "eps", "weight_decay")
    _switches = ("maximize",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        learning_rate(lr)
        not_negative("epsilon value", eps)
        decay_rates(betas)
        not_negative("weight_decay value", weight_decay)
        implementation(foreach, None, differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("step", "exp_avg", "exp_inf")
