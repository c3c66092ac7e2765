"""Losses of yes-or-no labels, as modules."""

from __future__ import annotations

from ....ops.losses.binary import binary_cross_entropy, binary_cross_entropy_with_logits
from ....ops.losses.margin import soft_margin_loss
from ....ops.losses.multi_margin import multilabel_soft_margin_loss
from ....tensor import Tensor
from .base import Loss, WeightedLoss, described_by

__all__ = ["BCELoss", "BCEWithLogitsLoss", "MultiLabelSoftMarginLoss", "SoftMarginLoss"]


@described_by(binary_cross_entropy)
class BCELoss(WeightedLoss):
    """Binary cross-entropy of probabilities.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> loss = tg.nn.BCELoss()
    >>> loss(tg.tensor([0.2, 0.6, 0.8]), tg.tensor([0.0, 0.0, 1.0]))
    tensor(0.4542)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of probabilities against labels, both of one shape."""
        return binary_cross_entropy(input, target, self.weight, None, None, self.reduction)


@described_by(binary_cross_entropy_with_logits)
class BCEWithLogitsLoss(Loss):
    """Sigmoid and binary cross-entropy in one, exact at any logit.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> loss = tg.nn.BCEWithLogitsLoss()
    >>> loss(tg.tensor([-20.0, 3.0]), tg.tensor([0.0, 1.0]))
    tensor(0.0243)
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits against labels, both of one shape."""
        return binary_cross_entropy_with_logits(input, target, self.weight, None, None, self.reduction, self.pos_weight)


@described_by(soft_margin_loss)
class SoftMarginLoss(Loss):
    """Logistic loss of labels -1 and 1.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.SoftMarginLoss()(tg.tensor([2.0, -1.0]), tg.tensor([1.0, -1.0]))
    tensor(0.2201)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of ``input`` against labels -1 and 1."""
        return soft_margin_loss(input, target, None, None, self.reduction)


@described_by(multilabel_soft_margin_loss)
class MultiLabelSoftMarginLoss(WeightedLoss):
    """Binary cross-entropy with logits, averaged over the classes of each row.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.MultiLabelSoftMarginLoss()(tg.tensor([[2.0, -1.0]]), tg.tensor([[1.0, 0.0]]))
    tensor(0.2201)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits (..., C) against labels 0 and 1."""
        return multilabel_soft_margin_loss(input, target, self.weight, None, None, self.reduction)
