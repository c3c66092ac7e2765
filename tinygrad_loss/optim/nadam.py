"""NAdam."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..kernels import optimizers as kernels
from ..tensor import Tensor
from .fused import FusedOptimizer
from .options import decay_rates, implementation, learning_rate, not_negative

__all__ = ["NAdam"]


class NAdam(FusedOptimizer):
    r"""NAdam: Adam with Nesterov's momentum.

    .. math::

        \mu_t = \beta_1 \left(1 - \tfrac12 0.96^{t \psi}\right), \quad
        \hat m_t = \frac{\mu_{t+1} m_t}{1 - \prod_{i=1}^{t+1} \mu_i}
            + \frac{(1 - \mu_t) g_t}{1 - \prod_{i=1}^{t} \mu_i}, \quad
        \theta_t = \theta_{t-1} - \gamma \frac{\hat m_t}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    with Adam's means :math:`m_t` and :math:`v_t` (Dozat 2016, "Incorporating Nesterov momentum into Adam").

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
    momentum_decay : float
        :math:`\psi`, by which the momentum approaches :math:`\beta_1`.
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
    >>> optimizer = tg.optim.NAdam([w], lr=0.1)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimizer.step()
    >>> w
    tensor([ 0.8200, -1.8179], requires_grad=True)
    """

    _kernel = staticmethod(kernels.nadam)
    _numbers = ("lr", "betas", "eps", "weight_decay", "momentum_decay")
    _switches = ("maximize", "decoupled_weight_decay")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
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
        not_negative("momentum_decay value", momentum_decay)
        implementation(foreach, None, differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
            },
        )

    def _initial(self, name: str, group: dict[str, Any]) -> float:
        return 1.0 if name == "mu_product" else 0.0

    def _names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("step", "mu_product", "exp_avg", "exp_avg_sq")
