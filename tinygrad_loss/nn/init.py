"""Initial weights: each function fills a tensor in place, from PyTorch's random stream, and returns it."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ..dtypes import Array
from ..op import TensorBase, user_location, written
from ..random import Generator, default_generator
from ..tensor import Tensor

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

_GAINS = {
    **dict.fromkeys(["linear", "conv1d", "conv2d", "conv3d", "sigmoid"], 1),
    **dict.fromkeys(["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"], 1),
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "selu": 3 / 4,
}


def _filled(tensor: Tensor) -> Array:
    """The storage of a tensor that is about to be overwritten, unknown to the tape."""
    if not isinstance(tensor, TensorBase):
        raise TypeError(f"nn.init fills Tensors, got {type(tensor).__name__}: write tensor(...) first")
    if not tensor._array.flags.writeable:
        raise RuntimeError("nn.init cannot fill a read-only tensor, or one whose elements share memory: pass x.clone()")
    written(tensor, "nn.init", user_location())
    return tensor._array


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor by which a weight's standard deviation makes up for what a nonlinearity takes away.

    Parameters
    ----------
    nonlinearity : str
        1 for "linear", "sigmoid" and convolutions, 5/3 for "tanh", sqrt(2) for "relu", 3/4 for "selu",
        sqrt(2 / (1 + param^2)) for "leaky_relu" of slope ``param`` (0.01).

    Examples
    --------
    >>> from tinygrad_loss import nn
    >>> nn.init.calculate_gain("leaky_relu", 1.0)
    1.0
    """
    if nonlinearity == "leaky_relu":
        if param is None:
            param = 0.01
        if isinstance(param, bool) or not isinstance(param, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + param**2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}: write one of {', '.join(_GAINS)}, leaky_relu")
    return _GAINS[nonlinearity]


def _fans(tensor: Tensor) -> tuple[int, int]:
    """How many inputs an output is made of, and how many outputs an input goes to."""
    shape = tensor.shape
    if len(shape) < 2:
        raise ValueError(
            f"Fan in and fan out can not be computed for tensor with fewer than 2 dimensions, got shape {list(shape)}"
        )
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill from the uniform distribution on [a, b).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> _ = tg.manual_seed(0)
    >>> tg.nn.init.uniform_(tg.empty(3))
    tensor([0.4963, 0.7682, 0.0885])
    """
    (generator or default_generator).uniform(_filled(tensor), a, b)
    return tensor


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill from the normal distribution.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> _ = tg.manual_seed(0)
    >>> tg.nn.init.normal_(tg.empty(3), std=0.1)
    tensor([ 0.1541, -0.0293, -0.2179])
    """
    (generator or default_generator).normal(_filled(tensor), mean, std)
    return tensor


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Fill from the normal distribution cut off outside [a, b].

    By rejection, as PyTorch 2.13 does it: normal draws where most of them fall inside, else uniform ones accepted with
    probability proportional to the density.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.nn.init.trunc_normal_(tg.empty(100), a=-1, b=0.5)
    >>> bool(x.min() >= -1), bool(x.max() <= 0.5)
    (True, True)
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution of values may be off.",
            stacklevel=2,
        )
    draw = generator or default_generator
    x = _filled(tensor)
    inside = math.erf((b - mean) / std / math.sqrt(2)) / 2 - math.erf((a - mean) / std / math.sqrt(2)) / 2
    if inside > 0.3:
        draw.normal(x, mean, std)
        while (outside := (x < x.dtype.type(a)) | (x > x.dtype.type(b))).any():
            np.copyto(x, draw.normal(np.empty_like(x), mean, std), where=outside)
        return tensor
    peak = -0.5 * ((max(a, min(mean, b)) - mean) / std) ** 2
    pending: Any = True
    while np.any(pending):
        candidates = draw.uniform(np.empty_like(x), a, b)
        np.copyto(x, candidates, where=pending)
        with np.errstate(divide="ignore"):
            threshold = np.log(draw.uniform(np.empty_like(x)))
        pending = pending & (threshold > ((candidates - mean) / std) ** 2 * -0.5 - peak)
    return tensor


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.init.constant_(tg.empty(2), 0.3)
    tensor([0.3000, 0.3000])
    """
    _filled(tensor).fill(val)
    return tensor


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.init.ones_(tg.empty(2))
    tensor([1., 1.])
    """
    return constant_(tensor, 1)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.init.zeros_(tg.empty(2))
    tensor([0., 0.])
    """
    return constant_(tensor, 0)


def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with ones on the diagonal, zeros elsewhere.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.init.eye_(tg.empty(2, 3))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    if tensor.ndim != 2:
        raise ValueError(f"Only tensors with 2 dimensions are supported, got shape {list(tensor.shape)}")
    _filled(tensor)[...] = np.eye(*tensor._array.shape)
    return tensor


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill the weight of a convolution so that it copies as many of its input channels as it can.

    Parameters
    ----------
    tensor : Tensor of 3, 4 or 5 dimensions
    groups : int
        Of the convolution; each copies its own channels.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.init.dirac_(tg.empty(2, 2, 3))
    tensor([[[0., 1., 0.],
             [0., 0., 0.]],
    <BLANKLINE>
            [[0., 0., 0.],
             [0., 1., 0.]]])
    """
    shape = tensor.shape
    if len(shape) not in (3, 4, 5):
        raise ValueError(f"Only tensors with 3, 4, or 5 dimensions are supported, got shape {list(shape)}")
    if shape[0] % groups:
        raise ValueError(f"dim 0 must be divisible by groups, got {shape[0]} output channels in {groups} groups")
    channels = shape[0] // groups
    x = _filled(tensor)
    x.fill(0)
    middle = tuple(n // 2 for n in shape[2:])
    for g in range(groups):
        for d in range(min(channels, shape[1])):
            x[(g * channels + d, d, *middle)] = 1
    return tensor


def _is_empty(tensor: Tensor) -> bool:
    if tensor.numel():
        return False
    warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
    return True


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill from U(-r, r) with r = gain sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> bool(tg.nn.init.xavier_uniform_(tg.empty(3, 3)).abs().max() < 1)
    True
    """
    std = gain * math.sqrt(2.0 / float(sum(_fans(tensor))))
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill from the normal distribution of std gain sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio 2010).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.init.xavier_normal_(tg.empty(3, 5)).shape
    torch.Size([3, 5])
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / float(sum(_fans(tensor)))), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    modes = ("fan_in", "fan_out")
    if mode.lower() not in modes:
        raise ValueError(f"Mode {mode} not supported, please use one of {list(modes)}")
    fan = _fans(tensor)[modes.index(mode.lower())]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Fill from U(-r, r) with r = gain sqrt(3 / fan) (He et al. 2015).

    Parameters
    ----------
    a : float
        The slope of the leaky rectifier that follows.
    mode : "fan_in" or "fan_out"
        Keep the variance of the values going forward, or of the gradients going backward.
    nonlinearity : str
        See ``calculate_gain``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> bool(tg.nn.init.kaiming_uniform_(tg.empty(3, 6)).abs().max() <= 1)
    True
    """
    if _is_empty(tensor):
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Fill from the normal distribution of standard deviation gain / sqrt(fan) (He et al. 2015).

    Parameters are those of ``kaiming_uniform_``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.init.kaiming_normal_(tg.empty(3, 5), mode="fan_out", nonlinearity="relu").shape
    torch.Size([3, 5])
    """
    if _is_empty(tensor):
        return tensor
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """Fill with orthonormal rows or columns, whichever are fewer, times ``gain`` (Saxe et al. 2014).

    The Q of a normal matrix's QR decomposition, with the signs that make it uniform (Mezzadri 2007). Dimensions after
    the first count as one.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> w = tg.nn.init.orthogonal_(tg.empty(2, 4))
    >>> bool(((w @ w.T - tg.eye(2)).abs() < 1e-6).all())
    True
    """
    if tensor.ndim < 2:
        raise ValueError(f"Only tensors with 2 or more dimensions are supported, got shape {list(tensor.shape)}")
    if not tensor.numel():
        return tensor
    x = _filled(tensor)
    drawn = (generator or default_generator).normal(np.empty((len(x), x.size // len(x)), x.dtype))
    wide = drawn.shape[0] < drawn.shape[1]
    q, r = np.linalg.qr(drawn.T if wide else drawn)
    q = q * np.sign(np.diagonal(r))
    x[...] = (q.T if wide else q).reshape(x.shape) * x.dtype.type(gain)
    return tensor


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """Fill a matrix from the normal distribution, and set a share of each column to zero (Martens 2010).

    Parameters
    ----------
    sparsity : float
        The share of zeros; which entries they are comes from the default generator, as in PyTorch.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> (tg.nn.init.sparse_(tg.empty(4, 3), sparsity=0.5) == 0).sum(0)
    tensor([2, 2, 2])
    """
    if tensor.ndim != 2:
        raise ValueError(f"Only tensors with 2 dimensions are supported, got shape {list(tensor.shape)}")
    normal_(tensor, 0, std, generator)
    x = tensor._array
    zeros = math.ceil(sparsity * len(x))
    for column in range(x.shape[1]):
        x[default_generator.randperm(len(x))[:zeros], column] = 0
    return tensor
