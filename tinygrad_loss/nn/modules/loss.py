"""The losses as modules: each holds the settings of the function of ``nn.functional`` that it calls."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from ...op import TensorBase
from ...ops.losses.binary import binary_cross_entropy, binary_cross_entropy_with_logits
from ...ops.losses.checks import legacy, warn
from ...ops.losses.classification import cross_entropy, nll_loss
from ...ops.losses.ctc import ctc_loss
from ...ops.losses.distributions import gaussian_nll_loss, kl_div, poisson_nll_loss
from ...ops.losses.embedding import (
    Distance,
    cosine_embedding_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from ...ops.losses.margin import (
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    soft_margin_loss,
)
from ...ops.losses.regression import huber_loss, l1_loss, mse_loss, smooth_l1_loss
from ...tensor import Tensor
from .distance import PairwiseDistance
from .module import Module

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CTCLoss",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "MSELoss",
    "MarginRankingLoss",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "NLLLoss",
    "NLLLoss2d",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]

Class = TypeVar("Class", bound=type)


def _module_of(function: Callable[..., Any]) -> Callable[[Class], Class]:
    """Let a module's docstring say what its function's does: formula, gradient, shapes, stable form, errors."""

    def extend(cls: Class) -> Class:
        own, described = inspect.cleandoc(cls.__doc__ or ""), inspect.cleandoc(function.__doc__ or "")
        head, _, example = own.partition("Examples\n--------\n")
        body = described.partition("Examples\n--------\n")[0].rstrip()
        called = f"Calls ``nn.functional.{function.__name__}``, which is described so:"
        cls.__doc__ = f"{head.rstrip()}\n\n{called}\n\n{body}\n\nExamples\n--------\n{example}"
        return cls

    return extend


class _Loss(Module):
    reduction: str

    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean") -> None:
        super().__init__()
        _no_data(self, size_average, reduce, reduction)
        self.reduction = reduction if size_average is None and reduce is None else legacy(size_average, reduce)


def _no_data(loss: Module, *settings: Any) -> None:
    """Raise for the slip ``nn.BCELoss(input, target)``, which PyTorch takes for settings."""
    if any(isinstance(value, TensorBase) for value in settings):
        name = type(loss).__name__
        raise TypeError(
            f"{name}(input, target) calls the constructor, which takes settings. Make the loss first, then call it: "
            f"{name}()(input, target), or loss = {name}() and loss(input, target)"
        )


class _WeightedLoss(_Loss):
    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


# --- yes or no ----------------------------------------------------------------------------------------------------


@_module_of(binary_cross_entropy)
class BCELoss(_WeightedLoss):
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


@_module_of(binary_cross_entropy_with_logits)
class BCEWithLogitsLoss(_Loss):
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


@_module_of(soft_margin_loss)
class SoftMarginLoss(_Loss):
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


@_module_of(multilabel_soft_margin_loss)
class MultiLabelSoftMarginLoss(_WeightedLoss):
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


# --- one class of many --------------------------------------------------------------------------------------------


@_module_of(nll_loss)
class NLLLoss(_WeightedLoss):
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


@_module_of(nll_loss)
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


@_module_of(cross_entropy)
class CrossEntropyLoss(_WeightedLoss):
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


@_module_of(multi_margin_loss)
class MultiMarginLoss(_WeightedLoss):
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
        _no_data(self, p, margin)
        if p not in (1, 2):
            raise ValueError(f"only p == 1 and p == 2 supported, got {p}")
        if weight is not None and weight.ndim != 1:
            raise ValueError(f"MultiMarginLoss: expected weight to be None or 1D tensor, got {weight.ndim}D instead")
        self.p, self.margin = p, margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of scores (N, C) against class numbers (N,)."""
        return multi_margin_loss(input, target, self.p, self.margin, self.weight, None, None, self.reduction)


@_module_of(multilabel_margin_loss)
class MultiLabelMarginLoss(_Loss):
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


# --- real numbers -------------------------------------------------------------------------------------------------


@_module_of(mse_loss)
class MSELoss(_Loss):
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


@_module_of(l1_loss)
class L1Loss(_Loss):
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


@_module_of(smooth_l1_loss)
class SmoothL1Loss(_Loss):
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


@_module_of(huber_loss)
class HuberLoss(_Loss):
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
        _no_data(self, delta)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the Huber loss of ``input`` against ``target``."""
        return huber_loss(input, target, self.reduction, self.delta)


# --- distributions ------------------------------------------------------------------------------------------------


@_module_of(kl_div)
class KLDivLoss(_Loss):
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


@_module_of(gaussian_nll_loss)
class GaussianNLLLoss(_Loss):
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


@_module_of(poisson_nll_loss)
class PoissonNLLLoss(_Loss):
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
        _no_data(self, log_input, full)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, log_input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of (logarithms of) expected counts against counts."""
        return poisson_nll_loss(log_input, target, self.log_input, self.full, None, self.eps, None, self.reduction)


# --- pairs and triplets -------------------------------------------------------------------------------------------


@_module_of(hinge_embedding_loss)
class HingeEmbeddingLoss(_Loss):
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
        _no_data(self, margin)
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of distances against 1 for like, -1 for unlike."""
        return hinge_embedding_loss(input, target, self.margin, None, None, self.reduction)


@_module_of(cosine_embedding_loss)
class CosineEmbeddingLoss(_Loss):
    """Cosines of like and of unlike pairs of vectors.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> a, b = tg.tensor([[1.0, 0.0], [1.0, 1.0]]), tg.tensor([[1.0, 1.0], [1.0, 0.0]])
    >>> tg.nn.CosineEmbeddingLoss()(a, b, tg.tensor([1, -1]))
    tensor(0.5000)
    """

    margin: float

    def __init__(
        self,
        margin: float = 0.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        _no_data(self, margin)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """Return the loss of pairs of vectors against 1 for like, -1 for unlike."""
        return cosine_embedding_loss(input1, input2, target, self.margin, None, None, self.reduction)


@_module_of(margin_ranking_loss)
class MarginRankingLoss(_Loss):
    """Which of two is to be the larger, by a margin.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.MarginRankingLoss()(tg.tensor([1.0, 2.0]), tg.tensor([0.0, 3.0]), tg.ones(2))
    tensor(0.5000)
    """

    margin: float

    def __init__(
        self,
        margin: float = 0.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        _no_data(self, margin)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """Return the loss of pairs of numbers against 1 or -1."""
        return margin_ranking_loss(input1, input2, target, self.margin, None, None, self.reduction)


@_module_of(triplet_margin_loss)
class TripletMarginLoss(_Loss):
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
        _no_data(self, margin, p, eps)
        if margin <= 0:
            raise ValueError(f"TripletMarginLoss: expected margin to be greater than 0, got {margin} instead")
        self.margin, self.p, self.eps, self.swap = margin, p, eps, swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the loss of triplets of vectors."""
        return triplet_margin_loss(
            anchor, positive, negative, self.margin, self.p, self.eps, self.swap, None, None, self.reduction
        )


@_module_of(triplet_margin_with_distance_loss)
class TripletMarginWithDistanceLoss(_Loss):
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


# --- sequences ----------------------------------------------------------------------------------------------------


@_module_of(ctc_loss)
class CTCLoss(_Loss):
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
        _no_data(self, blank, zero_infinity)
        self.blank, self.zero_infinity = blank, zero_infinity

    def forward(self, log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any) -> Tensor:
        """Return the loss of log-probabilities (T, N, C) against sequences of labels."""
        return ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity
        )
