"""Losses of one class, or several, of many, as modules."""

from __future__ import annotations

from ....ops.losses.checks import warn
from ....ops.losses.classification import cross_entropy, nll_loss
from ....ops.losses.multi_margin import multi_margin_loss, multilabel_margin_loss
from ....tensor import Tensor
from .base import Loss, WeightedLoss, described_by, no_data

__all__ = ["CrossEntropyLoss", "MultiLabelMarginLoss", "MultiMarginLoss", "NLLLoss", "NLLLoss2d"]


@described_by(nll_loss)
class NLLLoss(WeightedLoss):
    """Negative log-likelihood of class numbers, on log-probabilities.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> logits = tg.tensor([[1.0, 2.0, 3.0]])
    >>> tg.nn.NLLLoss()(tg.nn.LogSoftmax(dim=1)(logits), tg.tensor([2]))
    tensor(0.4076)
    """

    ignore_index: int

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of log-probabilities (N, C, ...) against class numbers (N, ...)."""
        return nll_loss(input, target, self.weight, None, self.ignore_index, None, self.reduction)


@described_by(nll_loss)
class NLLLoss2d(NLLLoss):
    """Deprecated name of ``NLLLoss``, which takes images too.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.NLLLoss()(tg.full((1, 2, 3, 3), -0.5), tg.zeros(1, 3, 3, dtype=tg.int64))
    tensor(0.5000)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        warn("`NLLLoss2d` has been deprecated. Please use `NLLLoss` instead as a drop-in replacement.", FutureWarning)
        super().__init__(weight, size_average, ignore_index, reduce, reduction)


@described_by(cross_entropy)
class CrossEntropyLoss(WeightedLoss):
    """Softmax and cross-entropy in one, on logits.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> loss = tg.nn.CrossEntropyLoss()
    >>> loss(tg.tensor([[1.0, 2.0, 3.0]]), tg.tensor([2]))
    tensor(0.4076)
    >>> loss(tg.tensor([[1.0, 2.0, 3.0]]), tg.tensor([[0.1, 0.2, 0.7]]))
    tensor(0.8076)
    """

    ignore_index: int
    label_smoothing: float

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits (N, C, ...) against class numbers (N, ...), or probabilities of equal shape."""
        return cross_entropy(
            input, target, self.weight, None, self.ignore_index, None, self.reduction, self.label_smoothing
        )


@described_by(multi_margin_loss)
class MultiMarginLoss(WeightedLoss):
    """Hinge loss of class numbers.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.MultiMarginLoss()(tg.tensor([[0.1, 0.2, 0.4, 0.8]]), tg.tensor([3]))
    tensor(0.3250)
    """

    p: int
    margin: float

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        no_data(self, p, margin)
        if p not in (1, 2):
            raise ValueError(f"only p == 1 and p == 2 supported, got {p}")
        if weight is not None and weight.ndim != 1:
            raise ValueError(f"MultiMarginLoss: expected weight to be None or 1D tensor, got {weight.ndim}D instead")
        self.p, self.margin = p, margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of scores (N, C) against class numbers (N,)."""
        return multi_margin_loss(input, target, self.p, self.margin, self.weight, None, None, self.reduction)


@described_by(multilabel_margin_loss)
class MultiLabelMarginLoss(Loss):
    """Hinge loss of several class numbers a row.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.MultiLabelMarginLoss()(tg.tensor([[0.1, 0.2, 0.4, 0.8]]), tg.tensor([[3, 0, -1, 1]]))
    tensor(0.8500)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of scores (N, C) against class numbers ended by -1."""
        return multilabel_margin_loss(input, target, None, None, self.reduction)
