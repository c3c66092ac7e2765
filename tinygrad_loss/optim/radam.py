"""RAdam."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..kernels import optimizers as kernels
from ..tensor import Tensor
from .fused import FusedOptimizer
from .options import decay_rates, implementation, learning_rate, not_negative

__all__ = ["RAdam"]


class RAdam(FusedOptimizer):
    r"""RAdam: Adam that does without the root mean square while it rests on too few gradients.

    .. math::

        \rho_\infty = \frac{2}{1 - \beta_2} - 1, \quad
        \rho_t = \rho_\infty - \frac{2 t \beta_2^t}{1 - \beta_2^t}, \quad
        r_t = \sqrt{\frac{(\rho_t - 4)(\rho_t - 2)\rho_\infty}{(\rho_\infty - 4)(\rho_\infty - 2)\rho_t}}, \quad
        \theta_t = \theta_{t-1} - \gamma \frac{m_t}{1 - \beta_1^t} r_t
            \frac{\sqrt{1 - \beta_2^t}}{\sqrt{v_t} + \epsilon}

    with Adam's means; where :math:`\rho_t \le 5` the last two factors are left out (Liu et al. 2020, "On the
    variance of the adaptive learning rate and beyond").

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
    decoupled_weight_decay : bool
        Decay the parameter instead of changing the gradient, as ``AdamW`` does.
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
    >>> optimizer = tg.optim.RAdam([w], lr=0.1)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimizer.step()
    >>> w
    tensor([ 0.6211, -1.2421], requires_grad=True)
    """

    _kernel = staticmethod(kernels.radam)
    _numbers = ("lr", "betas", "eps", "weight_decay")
    _switches = ("maximize", "decoupled_weight_decay")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
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
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "decoupled_weight_decay": decoupled_weight_decay,
                "differentiable": differentiable,
            },
        )

    def _names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("step", "exp_avg", "exp_avg_sq")
