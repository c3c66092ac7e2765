"""Adagrad."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..kernels import optimizers as kernels
from ..tensor import Tensor
from .fused import FusedOptimizer
from .options import implementation, learning_rate, not_negative, number

__all__ = ["Adagrad"]


class Adagrad(FusedOptimizer):
    r"""Adagrad: the gradient over the root of the sum of its squares.

    .. math::

        s_t = s_{t-1} + g_t^2, \quad
        \theta_t = \theta_{t-1} - \frac{\gamma}{1 + (t - 1) \eta} \frac{g_t}{\sqrt{s_t} + \epsilon}

    (Duchi, Hazan and Singer 2011, "Adaptive subgradient methods for online learning and stochastic optimization").

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
    lr : float or Tensor
        :math:`\gamma`, the learning rate.
    lr_decay : float
        :math:`\eta`, by which the learning rate falls with the number of steps.
    weight_decay : float
        :math:`\lambda`; adds :math:`\lambda \theta` to the gradient.
    initial_accumulator_value : float
        :math:`s_0`.
    eps : float
        :math:`\epsilon`, which bounds the step where gradients vanish.
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
    >>> optimizer = tg.optim.Adagrad([w], lr=0.1)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimizer.step()
    >>> w
    tensor([ 0.8331, -1.8311], requires_grad=True)
    """

    _kernel = staticmethod(kernels.adagrad)
    _numbers = ("lr", "lr_decay", "eps", "weight_decay")
    _switches = ("maximize",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        learning_rate(lr)
        not_negative("lr_decay value", lr_decay)
        not_negative("weight_decay value", weight_decay)
        not_negative("initial_accumulator_value value", initial_accumulator_value)
        not_negative("epsilon value", eps)
        implementation(foreach, fused, differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "fused": fused,
            },
        )
        for group in self.param_groups:
            for p in group["params"]:
                self._state[p], _ = self._completed(p, group, self._names(group))

    def _initial(self, name: str, group: dict[str, Any]) -> float:
        return number(group["initial_accumulator_value"], "initial_accumulator_value") if name == "sum" else 0.0

    def _names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("step", "sum")
