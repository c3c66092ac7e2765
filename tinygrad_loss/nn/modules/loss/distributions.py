"""Losses of distributions, as modules."""

from __future__ import annotations

from ....ops.losses.distributions import gaussian_nll_loss, kl_div, poisson_nll_loss
from ....tensor import Tensor
from .base import Loss, described_by, no_data

__all__ = ["GaussianNLLLoss", "KLDivLoss", "PoissonNLLLoss"]


@described_by(kl_div)
class KLDivLoss(Loss):
    """Kullback-Leibler divergence, on log-probabilities.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> loss = tg.nn.KLDivLoss(reduction="batchmean")
    >>> loss(tg.log_softmax(tg.tensor([[1.0, 2.0, 3.0]]), dim=1), tg.tensor([[0.2, 0.3, 0.5]]))
    tensor(0.0780)
    """

    log_target: bool

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        log_target: bool = False,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the divergence of ``target`` from the distribution with logarithm ``input``."""
        return kl_div(input, target, None, None, self.reduction, self.log_target)


@described_by(gaussian_nll_loss)
class GaussianNLLLoss(Loss):
    """Negative log-likelihood under a Gaussian whose mean and variance are given.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.GaussianNLLLoss()(tg.tensor([0.0, 1.0]), tg.tensor([0.0, 3.0]), tg.tensor([1.0, 4.0]))
    tensor(0.5966)
    """

    full: bool
    eps: float

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.full, self.eps = full, eps

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        """Return the loss of means and variances against ``target``."""
        return gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


@described_by(poisson_nll_loss)
class PoissonNLLLoss(Loss):
    """Negative log-likelihood of counts under a Poisson distribution.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.PoissonNLLLoss()(tg.tensor([0.0, 1.0]), tg.tensor([2.0, 1.0]))
    tensor(1.3591)
    """

    log_input: bool
    full: bool
    eps: float

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: bool | None = None,
        eps: float = 1e-8,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        no_data(self, log_input, full)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, log_input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of (logarithms of) expected counts against counts."""
        return poisson_nll_loss(log_input, target, self.log_input, self.full, None, self.eps, None, self.reduction)
