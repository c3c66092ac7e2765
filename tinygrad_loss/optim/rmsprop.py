"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..kernels import optimizers as kernels
from ..tensor import Tensor
from .fused import FusedOptimizer
from .options import implementation, learning_rate, not_negative

__all__ = ["RMSprop"]


class RMSprop(FusedOptimizer):
    r"""RMSprop: the gradient over the root of its mean square.

    .. math::

        v_t = \alpha v_{t-1} + (1 - \alpha) g_t^2, \quad
        b_t = \mu b_{t-1} + \frac{g_t}{\sqrt{v_t} + \epsilon}, \quad
        \theta_t = \theta_{t-1} - \gamma b_t

    (Hinton 2012, lecture 6 of "Neural networks for machine learning"; centered: Graves 2013, "Generating sequences
    with recurrent neural networks").

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
    lr : float or Tensor
        :math:`\gamma`, the learning rate.
    alpha : float
        :math:`\alpha`, how much of the mean square remains.
    eps : float
        :math:`\epsilon`, which bounds the step where gradients vanish.
    weight_decay : float
        :math:`\lambda`; adds :math:`\lambda \theta` to the gradient.
    momentum : float
        :math:`\mu`.
    centered : bool
        Subtract the square of the mean gradient from :math:`v_t`, which makes it a variance.
    maximize : bool
        Ascend instead of descending.
    foreach, capturable : bool, optional
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
    >>> optimizer = tg.optim.RMSprop([w], lr=0.01)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimizer.step()
    >>> w
    tensor([ 0.8329, -1.8309], requires_grad=True)
    """

    _kernel = staticmethod(kernels.rmsprop)
    _numbers = ("lr", "alpha", "eps", "weight_decay", "momentum")
    _switches = ("centered", "maximize")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        learning_rate(lr)
        not_negative("epsilon value", eps)
        not_negative("momentum value", momentum)
        not_negative("weight_decay value", weight_decay)
        not_negative("alpha value", alpha)
        implementation(foreach, None, differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "capturable": capturable,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
            },
        )

    def _names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return (
            "step",
            "square_avg",
            "momentum_buffer" if group["momentum"] > 0 else None,
            "grad_avg" if group["centered"] else None,
        )
