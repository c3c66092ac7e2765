"""The loss of sequences without their timing, as a module."""

from __future__ import annotations

from typing import Any

from ....ops.losses.ctc import ctc_loss
from ....tensor import Tensor
from .base import Loss, described_by, no_data

__all__ = ["CTCLoss"]


@described_by(ctc_loss)
class CTCLoss(Loss):
    """Sequences of labels without their timing.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> logp = tg.log_softmax(tg.zeros(3, 1, 2), dim=2)
    >>> tg.nn.CTCLoss()(logp, tg.tensor([[1]]), tg.tensor([3]), tg.tensor([1]))
    tensor(0.2877)
    """

    blank: int
    zero_infinity: bool

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        super().__init__(reduction=reduction)
        no_data(self, blank, zero_infinity)
        self.blank, self.zero_infinity = blank, zero_infinity

    def forward(self, log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any) -> Tensor:
        """Return the loss of log-probabilities (T, N, C) against sequences of labels."""
        return ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity
        )
