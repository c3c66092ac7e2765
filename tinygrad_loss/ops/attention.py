"""Scaled dot-product attention."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from .activation import softmax_row
from .arguments import common_shape, tensor_of
from .broadcast import expand_row
from .dropout import dropout
from .elementwise import where_row
from .linalg import matmul
from .rearrange import repeat_interleave
from .shape import transpose_row

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["scaled_dot_product_attention"]


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Return softmax(query key^T scale + mask) value; a query that may look at nothing gets 0.

    Parameters
    ----------
    query : Tensor of shape (..., L, E)
    key : Tensor of shape (..., S, E)
    value : Tensor of shape (..., S, Ev)
    attn_mask : Tensor, optional
        Broadcast to (..., L, S): bool, true where the query may look, or numbers that are added.
    dropout_p : float
        The probability that a weight is dropped; the others are scaled to make up for it.
    is_causal : bool
        Let query i look at the keys 0 to i alone.
    scale : float, optional
        1 / sqrt(E) by default.
    enable_gqa : bool
        Let several heads of queries share one of keys and values: dimension -3 of these is repeated.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> tg.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)
    tensor([[1.0000, 0.0000],
            [0.3302, 0.6698]])
    """
    name = "scaled_dot_product_attention"
    q, k, v = (tensor_of(x, name, place) for place, x in (("query", query), ("key", key), ("value", value)))
    if not q.dtype == k.dtype == v.dtype:
        raise RuntimeError(
            f"Expected query, key, and value to have the same dtype, but got query.dtype: {dtypes.of(q)} key.dtype: "
            f"{dtypes.of(k)} and value.dtype: {dtypes.of(v)} instead."
        )
    if min(q.ndim, k.ndim, v.ndim) < 2:
        raise RuntimeError(
            f"Expected query, key, and value to all be at least 2 dimensional, but got query.dim: {q.ndim} key.dim: "
            f"{k.ndim} and value.dim: {v.ndim} instead."
        )
    if is_causal and attn_mask is not None:
        raise RuntimeError("Explicit attn_mask should not be set when is_causal=True")
    if enable_gqa and q.ndim > 2:
        key, value = (repeat_interleave(x, q.shape[-3] // x._array.shape[-3], -3) for x in (key, value))
    factor = scale if scale is not None else 1 / math.sqrt(q.shape[-1]) if q.shape[-1] else 0.0
    scores = matmul(query * factor, transpose_row(key, dim0=-2, dim1=-1))
    allowed = None
    if is_causal:
        allowed = np.tri(q.shape[-2], k.shape[-2], dtype=bool)
    elif attn_mask is not None:
        mask = tensor_of(attn_mask, name, "attn_mask")
        if mask.dtype.kind == "b":
            allowed = mask
        elif mask.dtype != q.dtype:
            raise RuntimeError(
                f"Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: "
                f"{dtypes.of(mask)} and query.dtype: {dtypes.of(q)} instead."
            )
        else:
            scores = scores + attn_mask
    if allowed is not None:
        shape = common_shape(scores._array.shape, allowed.shape)
        scores = expand_row(scores, shape=shape) if scores._array.shape != shape else scores
        scores = where_row(allowed, scores, -math.inf)
    weights = softmax_row(scores, dim=scores._array.ndim - 1)
    blind = np.isneginf(scores._array).all(axis=-1, keepdims=True)
    if blind.any():
        weights = where_row(blind, 0.0, weights)
    if dropout_p > 0:
        weights = dropout(weights, dropout_p, True)
    return matmul(weights, value)
