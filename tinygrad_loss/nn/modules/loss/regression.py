"""Losses of real numbers, as modules."""

from __future__ import annotations

from ....ops.losses.regression import huber_loss, l1_loss, mse_loss, smooth_l1_loss
from ....tensor import Tensor
from .base import Loss, described_by, no_data

__all__ = ["HuberLoss", "L1Loss", "MSELoss", "SmoothL1Loss"]


@described_by(mse_loss)
class MSELoss(Loss):
    """Squared error.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.MSELoss()(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0]))
    tensor(2.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the squared error of ``input`` against ``target``."""
        return mse_loss(input, target, None, None, self.reduction)


@described_by(l1_loss)
class L1Loss(Loss):
    """Absolute error.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.L1Loss()(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0]))
    tensor(1.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the absolute error of ``input`` against ``target``."""
        return l1_loss(input, target, None, None, self.reduction)


@described_by(smooth_l1_loss)
class SmoothL1Loss(Loss):
    """Absolute error, rounded off near 0.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.SmoothL1Loss()(tg.tensor([1.0, 2.0]), tg.tensor([1.5, 4.0]))
    tensor(0.8125)
    """

    beta: float

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        beta: float = 1.0,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the rounded absolute error of ``input`` against ``target``."""
        return smooth_l1_loss(input, target, None, None, self.reduction, self.beta)


@described_by(huber_loss)
class HuberLoss(Loss):
    """Squared error that goes on as a line.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.HuberLoss(delta=2.0)(tg.tensor([0.5, 4.0]), tg.zeros(2))
    tensor(3.0625)
    """

    delta: float

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        no_data(self, delta)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the Huber loss of ``input`` against ``target``."""
        return huber_loss(input, target, self.reduction, self.delta)
