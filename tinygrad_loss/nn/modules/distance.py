"""How alike two vectors are."""

from __future__ import annotations

from ...ops.pairwise import cosine_similarity, pairwise_distance
from ...tensor import Tensor
from .module import Module

__all__ = ["CosineSimilarity", "PairwiseDistance"]


class CosineSimilarity(Module):
    """x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along one dimension.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.CosineSimilarity()(tg.tensor([[1.0, 0.0]]), tg.tensor([[1.0, 1.0]]))
    tensor([0.7071])
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Return the similarity of the two."""
        return cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """The p-norm of x1 - x2 + eps along the last dimension.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.PairwiseDistance(p=1)(tg.tensor([[3.0, 4.0]]), tg.zeros(1, 2))
    tensor([7.0000])
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Return the distance of the two."""
        return pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
