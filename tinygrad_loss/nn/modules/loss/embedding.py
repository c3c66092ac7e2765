"""Losses of pairs and triplets, as modules."""

from __future__ import annotations

from ....ops.losses.embedding import (
    Distance,
    cosine_embedding_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from ....ops.losses.margin import hinge_embedding_loss, margin_ranking_loss
from ....tensor import Tensor
from ..distance import PairwiseDistance
from .base import Loss, described_by, no_data

__all__ = [
    "CosineEmbeddingLoss",
    "HingeEmbeddingLoss",
    "MarginRankingLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]


@described_by(hinge_embedding_loss)
class HingeEmbeddingLoss(Loss):
    """Distances of like and of unlike pairs.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.HingeEmbeddingLoss()(tg.tensor([0.5, 0.3, 2.0]), tg.tensor([1, -1, -1]))
    tensor(0.4000)
    """

    margin: float

    def __init__(
        self,
        margin: float = 1.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        no_data(self, margin)
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of distances against 1 for like, -1 for unlike."""
        return hinge_embedding_loss(input, target, self.margin, None, None, self.reduction)


class _PairLoss(Loss):
    """A loss of pairs, with a margin that is 0 unless given."""

    margin: float

    def __init__(
        self,
        margin: float = 0.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        no_data(self, margin)
        self.margin = margin


@described_by(cosine_embedding_loss)
class CosineEmbeddingLoss(_PairLoss):
    """Cosines of like and of unlike pairs of vectors.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> a, b = tg.tensor([[1.0, 0.0], [1.0, 1.0]]), tg.tensor([[1.0, 1.0], [1.0, 0.0]])
    >>> tg.nn.CosineEmbeddingLoss()(a, b, tg.tensor([1, -1]))
    tensor(0.5000)
    """

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """Return the loss of pairs of vectors against 1 for like, -1 for unlike."""
        return cosine_embedding_loss(input1, input2, target, self.margin, None, None, self.reduction)


@described_by(margin_ranking_loss)
class MarginRankingLoss(_PairLoss):
    """Which of two is to be the larger, by a margin.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.MarginRankingLoss()(tg.tensor([1.0, 2.0]), tg.tensor([0.0, 3.0]), tg.ones(2))
    tensor(0.5000)
    """

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """Return the loss of pairs of numbers against 1 or -1."""
        return margin_ranking_loss(input1, input2, target, self.margin, None, None, self.reduction)


@described_by(triplet_margin_loss)
class TripletMarginLoss(Loss):
    """Which of two vectors is to be the nearer, by a margin.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.TripletMarginLoss()(tg.zeros(1, 2), tg.tensor([[3.0, 4.0]]), tg.tensor([[0.0, 5.5]]))
    tensor(0.5000)
    """

    margin: float
    p: float
    eps: float
    swap: bool

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        no_data(self, margin, p, eps)
        if margin <= 0:
            raise ValueError(f"TripletMarginLoss: expected margin to be greater than 0, got {margin} instead")
        self.margin, self.p, self.eps, self.swap = margin, p, eps, swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the loss of triplets of vectors."""
        return triplet_margin_loss(
            anchor, positive, negative, self.margin, self.p, self.eps, self.swap, None, None, self.reduction
        )


@described_by(triplet_margin_with_distance_loss)
class TripletMarginWithDistanceLoss(Loss):
    """Which of two is to be the nearer, by a margin and a distance of one's own.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> loss = tg.nn.TripletMarginWithDistanceLoss(distance_function=lambda x, y: (x - y).abs().sum(-1))
    >>> loss(tg.zeros(1, 2), tg.tensor([[3.0, 4.0]]), tg.tensor([[0.0, 6.5]]))
    tensor(1.5000)
    """

    margin: float
    swap: bool

    def __init__(
        self,
        *,
        distance_function: Distance | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        if margin <= 0:
            raise ValueError(
                f"TripletMarginWithDistanceLoss: expected margin to be greater than 0, got {margin} instead"
            )
        self.distance_function = PairwiseDistance() if distance_function is None else distance_function
        self.margin, self.swap = margin, swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the loss of triplets."""
        return triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )
