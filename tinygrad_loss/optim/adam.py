"""Adam."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..kernels import optimizers as kernels
from ..op import TensorBase
from ..tensor import Tensor
from .fused import FusedOptimizer
from .options import decay_rates, implementation, learning_rate, not_negative

__all__ = ["Adam"]

_PLAIN = ("step", "exp_avg", "exp_avg_sq", None)
_AMSGRAD = ("step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")


class Adam(FusedOptimizer):
    r"""Adam: steps of about ``lr`` along the mean gradient over the root of the mean squared one.

    .. math::

        m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \quad
        v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2, \quad
        \theta_t = \theta_{t-1} - \gamma \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    (Kingma and Ba 2015, "Adam: a method for stochastic optimization").

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
    amsgrad : bool
        Divide by the largest :math:`v` so far (Reddi et al. 2018, "On the convergence of Adam and beyond").
    maximize : bool
        Ascend instead of descending.
    decoupled_weight_decay : bool
        Decay the parameter instead of changing the gradient, as ``AdamW`` does.
    foreach, fused, capturable : bool, optional
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
    >>> optimizer = tg.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([ 0.9000, -1.9000], requires_grad=True)
    """

    _kernel = staticmethod(kernels.adam)
    _numbers = ("lr", "betas", "eps", "weight_decay")
    _switches = ("amsgrad", "maximize", "decoupled_weight_decay")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        learning_rate(lr)
        not_negative("epsilon value", eps)
        decay_rates(betas)
        not_negative("weight_decay value", weight_decay)
        tensors = [isinstance(beta, TensorBase) for beta in betas]
        if any(tensors) and not all(tensors):
            raise ValueError("betas must be either both floats or both Tensors")
        for name, given in (("lr", lr), ("betas[0]", betas[0])):
            if foreach and not capturable and isinstance(given, TensorBase):
                raise ValueError(f"{name} as a Tensor is not supported for capturable=False and foreach=True")
        implementation(foreach, fused, differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": tuple(betas),
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )

    def _names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return _AMSGRAD if group["amsgrad"] else _PLAIN
