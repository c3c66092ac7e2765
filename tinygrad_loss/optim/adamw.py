"""AdamW."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from ..tensor import Tensor
from .adam import Adam

__all__ = ["AdamW"]


class AdamW(Adam):
    r"""Adam that decays the parameters themselves, :math:`\theta \leftarrow (1 - \gamma \lambda) \theta`.

    (Loshchilov and Hutter 2019, "Decoupled weight decay regularization".)

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
    lr, betas, eps, amsgrad, maximize, foreach, capturable, differentiable, fused
        As in ``Adam``.
    weight_decay : float
        :math:`\lambda`.

    Raises
    ------
    ValueError
        If a number is negative, or a beta not below 1.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> w = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = tg.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([ 0.8500, -1.8000], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def _restore(self, state: defaultdict[Any, Any], param_groups: list[dict[str, Any]]) -> None:
        for group in param_groups:
            group["decoupled_weight_decay"] = True  # it may be Adam's state
        super()._restore(state, param_groups)
