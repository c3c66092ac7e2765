"""Normalization of channels by the statistics of a batch, or of each sample."""

from __future__ import annotations

from typing import Any

from ...dtypes import int64
from ...ops.batch_norm import batch_norm, instance_norm
from ...ops.create import ones, zeros
from ...tensor import Tensor
from .. import init
from ..parameter import Parameter
from .module import Module

__all__ = ["BatchNorm1d", "BatchNorm2d", "InstanceNorm1d", "InstanceNorm2d"]


class _Norm(Module):
    """Weight, bias and running statistics of channels."""

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None
    dims: tuple[int, ...]

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: Any,
        dtype: Any,
        bias: bool,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        factory = {"device": device, "dtype": dtype}
        self.register_parameter("weight", Parameter(ones(num_features, **factory)) if affine else None)
        self.register_parameter("bias", Parameter(zeros(num_features, **factory)) if affine and bias else None)
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, **factory) if tracked else None)
        self.register_buffer("running_var", ones(num_features, **factory) if tracked else None)
        self.register_buffer("num_batches_tracked", zeros((), dtype=int64) if tracked else None)

    def reset_running_stats(self) -> None:
        """Forget the statistics of the batches seen."""
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Forget the statistics, set weight to ones and bias to zeros."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _check(self, input: Tensor) -> None:
        if input.dim() not in self.dims:
            wanted = " or ".join(f"{d}D" for d in self.dims)
            raise ValueError(f"expected {wanted} input (got {input.dim()}D input of shape {list(input.shape)})")

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_Norm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalized input; in training, move the running statistics."""
        self._check(input)
        momentum = 0.0 if self.momentum is None else self.momentum
        count = self.num_batches_tracked if self.training else None
        if count is not None and self.momentum is None:  # the average of all batches
            momentum = 1.0 / (count.item() + 1)
        by_batch = self.training or (self.running_mean is None and self.running_var is None)
        kept = not self.training or self.track_running_stats
        out = batch_norm(
            input,
            self.running_mean if kept else None,
            self.running_var if kept else None,
            self.weight,
            self.bias,
            by_batch,
            momentum,
            self.eps,
        )
        if count is not None:
            count += 1  # last: a batch that was refused does not count
        return out


class BatchNorm1d(_BatchNorm):
    """(x - mean) / sqrt(variance + eps) * weight + bias for each channel of a batch (Ioffe and Szegedy 2015).

    Parameters
    ----------
    num_features : int
        The number of channels.
    eps : float
    momentum : float or None
        How far a batch moves the running statistics, which are used in evaluation; None averages all batches.
    affine : bool
        Whether there are weight and bias.
    track_running_stats : bool
        Whether there are running statistics; otherwise a batch's own are used in evaluation, too.

    Shapes: input (N, num_features) or (N, num_features, L).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> layer = tg.nn.BatchNorm1d(1)
    >>> layer(tg.tensor([[1.0], [3.0]])).tolist()
    [[-0.9999949932098389], [0.9999949932098389]]
    >>> layer.running_mean, layer.running_var
    (tensor([0.2000]), tensor([1.1000]))
    """

    dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """(x - mean) / sqrt(variance + eps) * weight + bias for each channel of images; see ``BatchNorm1d``.

    Shapes: input (N, num_features, H, W).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.BatchNorm2d(3)(tg.ones(2, 3, 4, 4)).abs().max().item()
    0.0
    """

    dims = (4,)


class _InstanceNorm(_Norm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalized input; in training, move the running statistics."""
        self._check(input)
        single = input.dim() == self.dims[0]
        out = instance_norm(
            input.unsqueeze(0) if single else input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self.momentum or 0.0,
            self.eps,
        )
        return out.squeeze(0) if single else out


class InstanceNorm1d(_InstanceNorm):
    """Normalization of each channel of each sequence (Ulyanov, Vedaldi and Lempitsky 2016); see ``BatchNorm1d``.

    Shapes: input (N, num_features, L) or without N.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.InstanceNorm1d(1)(tg.tensor([[[1.0, 3.0]]]))
    tensor([[[-1.0000,  1.0000]]])
    """

    dims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Normalization of each channel of each image (Ulyanov, Vedaldi and Lempitsky 2016); see ``BatchNorm1d``.

    Shapes: input (N, num_features, H, W) or without N.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.InstanceNorm2d(3)(tg.ones(2, 3, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    """

    dims = (3, 4)
