"""Nonlinearities as modules."""

from __future__ import annotations

from ...ops.activation import logsigmoid, relu, sigmoid, softmax, tanh
from ...tensor import Tensor
from .. import functional as F
from .module import Module

__all__ = ["ELU", "LogSigmoid", "LogSoftmax", "ReLU", "Sigmoid", "Softmax", "Softmax2d", "Softplus", "Tanh"]


class ReLU(Module):
    """max(x, 0).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.ReLU()(tg.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Return the rectified input."""
        return (F.relu_ if self.inplace else relu)(input)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return "inplace=True" if self.inplace else ""


class ELU(Module):
    """x where x > 0, else alpha (exp(x) - 1) (Clevert et al. 2016).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.ELU()(tg.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha, self.inplace = alpha, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Return the function of the input."""
        return F.elu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class Sigmoid(Module):
    """1 / (1 + exp(-x)).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.Sigmoid()(tg.tensor([0.0, 2.0]))
    tensor([0.5000, 0.8808])
    """

    forward = staticmethod(sigmoid)  # the op itself: one frame less on every call


class LogSigmoid(Module):
    """log(1 / (1 + exp(-x))), exact where the sigmoid itself rounds to 0 or 1.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.LogSigmoid()(tg.tensor([-100.0, 20.0]))
    tensor([-1.0000e+02, -2.0612e-09])
    """

    forward = staticmethod(logsigmoid)


class Tanh(Module):
    """The hyperbolic tangent.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.Tanh()(tg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])
    """

    forward = staticmethod(tanh)


class Softplus(Module):
    """log(1 + exp(beta x)) / beta, and x itself where beta x > threshold.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.Softplus()(tg.tensor([0.0, 30.0]))
    tensor([ 0.6931, 30.0000])
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, input: Tensor) -> Tensor:
        """Return the function of the input."""
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return f"beta={self.beta}, threshold={self.threshold}"


class Softmax(Module):
    """exp(x_i) / sum_j exp(x_j) along one dimension.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.Softmax(dim=0)(tg.tensor([1.0, 2.0, 3.0]))
    tensor([0.0900, 0.2447, 0.6652])
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Return the function of the input."""
        return F.softmax(input, self.dim, _stacklevel=5)

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return f"dim={self.dim}"


class Softmax2d(Module):
    """Softmax over the channels of every pixel of (N, C, H, W) or (C, H, W).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.Softmax2d()(tg.zeros(1, 4, 1, 2))[0, :, 0, 0]
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the function of the input."""
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.ndim}D: {list(input.shape)}")
        return softmax(input, -3)


class LogSoftmax(Module):
    """log(exp(x_i) / sum_j exp(x_j)) along one dimension, exact where the softmax rounds to 0 or 1.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.LogSoftmax(dim=0)(tg.tensor([20.0, 0.0]))
    tensor([-2.0612e-09, -2.0000e+01])
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Return the function of the input."""
        return F.log_softmax(input, self.dim, _stacklevel=5)

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return f"dim={self.dim}"
