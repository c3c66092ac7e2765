"""The losses as modules: each holds the settings of a function of ``nn.functional``."""

from __future__ import annotations

from ...op import TensorBase
from ...ops.losses.binary import binary_cross_entropy, binary_cross_entropy_with_logits
from ...ops.losses.checks import legacy
from ...ops.losses.classification import cross_entropy, nll_loss
from ...ops.losses.regression import mse_loss
from ...tensor import Tensor
from .module import Module

__all__ = ["BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "MSELoss", "NLLLoss"]


class _Loss(Module):
    reduction: str

    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean") -> None:
        super().__init__()
        for value in (size_average, reduce, reduction):
            if isinstance(value, TensorBase):
                name = type(self).__name__
                raise TypeError(
                    f"{name}(input, target) calls the constructor, which takes settings. Make the loss first, then call "
                    f"it: {name}()(input, target), or loss = {name}() and loss(input, target)"
                )
        self.reduction = reduction if size_average is None and reduce is None else legacy(size_average, reduce)


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


class BCELoss(_WeightedLoss):
    """Binary cross-entropy between probabilities and targets; see ``nn.functional.binary_cross_entropy``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> loss = tg.nn.BCELoss()
    >>> loss(tg.tensor([0.2, 0.6, 0.8]), tg.tensor([0.0, 0.0, 1.0]))
    tensor(0.4542)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of probabilities ``input`` against ``target``, both of one shape."""
        return binary_cross_entropy(input, target, self.weight, None, None, self.reduction)


class BCEWithLogitsLoss(_Loss):
    """Sigmoid and binary cross-entropy in one; see ``nn.functional.binary_cross_entropy_with_logits``.

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
        """Return the loss of logits ``input`` against ``target``, both of one shape."""
        return binary_cross_entropy_with_logits(input, target, self.weight, None, None, self.reduction, self.pos_weight)


class MSELoss(_Loss):
    """Mean squared error; see ``nn.functional.mse_loss``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.MSELoss()(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0]))
    tensor(2.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the squared error of ``input`` against ``target``."""
        return mse_loss(input, target, None, None, self.reduction)


class NLLLoss(_WeightedLoss):
    """Negative log-likelihood of classes, on log-probabilities; see ``nn.functional.nll_loss``.

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


class CrossEntropyLoss(_WeightedLoss):
    """Softmax and cross-entropy in one, on logits; see ``nn.functional.cross_entropy``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> loss = tg.nn.CrossEntropyLoss()
    >>> loss(tg.tensor([[1.0, 2.0, 3.0]]), tg.tensor([2]))
    tensor(0.4076)
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
