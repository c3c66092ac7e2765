"""The functions behind the layers, under the names of ``torch.nn.functional``."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from ..ops import activation
from ..ops.activation import elu as _elu
from ..ops.activation import logsigmoid, sigmoid, softplus, tanh
from ..ops.attention import scaled_dot_product_attention
from ..ops.batch_norm import batch_norm, instance_norm
from ..ops.conv import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from ..ops.dropout import alpha_dropout, dropout, dropout1d, dropout2d, dropout3d, feature_alpha_dropout
from ..ops.embedding import embedding
from ..ops.gates import celu, gelu, glu, mish, normalize, selu, silu, softsign, tanhshrink
from ..ops.inplace import inplace as _in_place
from ..ops.linalg import linear
from ..ops.losses.binary import binary_cross_entropy, binary_cross_entropy_with_logits
from ..ops.losses.classification import cross_entropy, nll_loss
from ..ops.losses.ctc import ctc_loss
from ..ops.losses.distributions import gaussian_nll_loss, kl_div, poisson_nll_loss
from ..ops.losses.embedding import cosine_embedding_loss, triplet_margin_loss, triplet_margin_with_distance_loss
from ..ops.losses.margin import hinge_embedding_loss, margin_ranking_loss, soft_margin_loss
from ..ops.losses.multi_margin import multi_margin_loss, multilabel_margin_loss, multilabel_soft_margin_loss
from ..ops.losses.regression import huber_loss, l1_loss, mse_loss, smooth_l1_loss
from ..ops.norm import group_norm, layer_norm, rms_norm
from ..ops.pad import pad
from ..ops.pairwise import bilinear, cosine_similarity, pairwise_distance
from ..ops.patches import fold, unfold
from ..ops.pool import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    avg_pool1d,
    avg_pool2d,
    max_pool1d,
    max_pool2d,
)
from ..ops.rectifiers import (
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    prelu,
    relu6,
    softshrink,
    threshold,
)
from ..ops.resize import interpolate, pixel_shuffle, pixel_unshuffle
from ..ops.selection import one_hot

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "alpha_dropout",
    "avg_pool1d",
    "avg_pool2d",
    "batch_norm",
    "bilinear",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "celu_",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "ctc_loss",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "elu",
    "elu_",
    "embedding",
    "feature_alpha_dropout",
    "fold",
    "gaussian_nll_loss",
    "gelu",
    "glu",
    "group_norm",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hardtanh_",
    "hinge_embedding_loss",
    "huber_loss",
    "instance_norm",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "leaky_relu_",
    "linear",
    "log_softmax",
    "logsigmoid",
    "margin_ranking_loss",
    "max_pool1d",
    "max_pool2d",
    "mish",
    "mse_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "pairwise_distance",
    "pixel_shuffle",
    "pixel_unshuffle",
    "poisson_nll_loss",
    "prelu",
    "relu",
    "relu6",
    "relu_",
    "rms_norm",
    "scaled_dot_product_attention",
    "selu",
    "selu_",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
    "threshold_",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
    "unfold",
]

relu_ = _in_place(activation.relu, "relu_")
elu_ = _in_place(_elu, "elu_")
selu_, celu_ = _in_place(selu, "selu_"), _in_place(celu, "celu_")
leaky_relu_, hardtanh_ = _in_place(leaky_relu, "leaky_relu_"), _in_place(hardtanh, "hardtanh_")
threshold_ = _in_place(threshold, "threshold_")


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return max(x, 0).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.relu(tg.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return (relu_ if inplace else activation.relu)(input)  # type: ignore[no-any-return]


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Return x where x > 0, else alpha (exp(x) - 1).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.elu(tg.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    return (elu_ if inplace else _elu)(input, alpha)


def _chosen_dim(input: Tensor, dim: int | None, name: str, stacklevel: int) -> int:
    if dim is not None:
        return dim
    chosen = 0 if input.ndim in (0, 1, 3) else 1
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument; "
        f"now it is dim={chosen} of shape {list(input.shape)}.",
        stacklevel=stacklevel,
    )
    return chosen


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """Return exp(x_i) / sum_j exp(x_j) along ``dim``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.softmax(tg.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([0.0900, 0.2447, 0.6652])
    """
    return activation.softmax(input, _chosen_dim(input, dim, "softmax", _stacklevel), dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """Return softmax(-x) along ``dim``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.softmin(tg.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([0.6652, 0.2447, 0.0900])
    """
    return activation.softmax(-input, _chosen_dim(input, dim, "softmin", _stacklevel), dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """Return x - logsumexp(x) along ``dim``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.log_softmax(tg.tensor([20.0, 0.0]), dim=0)
    tensor([-2.0612e-09, -2.0000e+01])
    """
    return activation.log_softmax(input, _chosen_dim(input, dim, "log_softmax", _stacklevel), dtype)
