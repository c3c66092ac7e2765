"""The rows of convolution: bilinear, and closed under differentiation, for the gradients of each are the other two.

Spatial dimensions are one or two; padding is a pair (before, after) for each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import channels
from ..kernels import conv as kernels
from ..op import op, sample
from .broadcast import expand_row
from .shape import reshape
from .slicing import slice_row

Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]

# --- rows ---------------------------------------------------------------------------------------------------------


def conv_in_numpy(x, weight, bias, stride, padding, dilation, groups):  # type: ignore[no-untyped-def]
    """``y[n, o, i] = bias[o] + sum over c, k of weight[o, c, k] * x[n, c, stride * i + dilation * k - padding]``."""
    x = np.pad(x, ((0, 0), (0, 0), *padding))
    places = tuple(
        (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(x.shape[2:], weight.shape[2:], stride, dilation, strict=True)
    )
    y = np.zeros((len(x), len(weight), *places), x.dtype)
    for k in np.ndindex(weight.shape[2:]):
        seen = x[
            (..., *(slice(d * i, d * i + s * m, s) for i, m, s, d in zip(k, places, stride, dilation, strict=True)))
        ]
        parts = zip(np.split(seen, groups, axis=1), np.split(weight[(..., *k)], groups), strict=True)
        y += np.concatenate([np.moveaxis(np.tensordot(a, w, axes=(1, 1)), -1, 1) for a, w in parts], axis=1)
    return y if bias is None else y + bias.reshape(-1, *(1 for _ in places))


def conv_transpose_in_numpy(x, weight, bias, size, stride, padding, dilation, groups):  # type: ignore[no-untyped-def]
    """``y[n, o, stride * i + dilation * k - padding] += x[n, c, i] * weight[c, o, k]``, plus the bias."""
    ends = [s * m + d * k for m, s, d, k in zip(x.shape[2:], stride, dilation, weight.shape[2:], strict=True)]
    full = [max(end, low + n) for end, n, (low, _) in zip(ends, size, padding, strict=True)]
    y = np.zeros((len(x), groups * weight.shape[1], *full), x.dtype)
    for k in np.ndindex(weight.shape[2:]):
        parts = zip(np.split(x, groups, axis=1), np.split(weight[(..., *k)], groups), strict=True)
        share = np.concatenate([np.moveaxis(np.tensordot(a, w, axes=(1, 0)), -1, 1) for a, w in parts], axis=1)
        at = (slice(d * i, d * i + s * m, s) for i, m, s, d in zip(k, x.shape[2:], stride, dilation, strict=True))
        y[(slice(None), slice(None), *at)] += share
    inside = (slice(low, low + n) for n, (low, _) in zip(size, padding, strict=True))
    y = y[(slice(None), slice(None), *inside)]
    return y if bias is None else y + bias.reshape(-1, *(1 for _ in size))


def conv_weight_grad_in_numpy(gy, x, kernel, stride, padding, dilation, groups):  # type: ignore[no-untyped-def]
    """``weight[o, c, k] = sum over n, i of gy[n, o, i] * x[n, c, stride * i + dilation * k - padding]``."""
    x = np.pad(x, ((0, 0), (0, 0), *padding))
    weight = np.zeros((gy.shape[1], x.shape[1] // groups, *kernel), x.dtype)
    over = (0, *range(2, x.ndim))
    for k in np.ndindex(kernel):
        seen = x[
            (
                ...,
                *(slice(d * i, d * i + s * m, s) for i, m, s, d in zip(k, gy.shape[2:], stride, dilation, strict=True)),
            )
        ]
        parts = zip(np.split(gy, groups, axis=1), np.split(seen, groups, axis=1), strict=True)
        weight[(..., *k)] = np.concatenate([np.tensordot(a, b, axes=(over, over)) for a, b in parts])
    return weight


channel_sum: Any = op(
    "channel_sum",
    lambda x: channels.channel_sum(x),
    vjp=lambda g, x_shape: expand_row(reshape(g, (-1, *(1 for _ in x_shape[2:]))), shape=x_shape),
    numpy="{x}.swapaxes(0, 1).reshape({x}.shape[1], -1).sum(axis=1)",
    domain=(-2, 2),
    samples=[sample((2, 3, 4)), sample((3, 2, 2, 3)), sample((3, 2))],
    grad_name="SumBackward1",
)


def _definition_for_integers(x: Any, definition: Any, kernel: Any) -> Any:
    """The kernels compute with floats alone; integers are rare."""
    return definition if x.dtype.kind in "iu" else kernel


def _reached(
    g: Any, x_shape: Ints, weight_shape: Ints, stride: Ints, padding: Pairs, dilation: Ints
) -> tuple[Any, Pairs]:
    """The part of a transposed convolution's gradient that its inputs reach, and the padding that makes it whole.

    An output padding leaves room for more windows than there are inputs; they must not be seen.
    """
    ends = [
        (n - 1) * s + d * (k - 1) + 1 - low
        for n, k, s, (low, _), d in zip(x_shape[2:], weight_shape[2:], stride, padding, dilation, strict=True)
    ]
    size = g.shape[2:]
    if any(n > end for n, end in zip(size, ends, strict=True)):
        g = slice_row(g, index=(slice(None), slice(None), *(slice(0, max(end, 0)) for end in ends)))
    # an end before the start: the inputs reach nothing, and not even all of the padding
    return g, tuple((low + min(end, 0), max(end - n, 0)) for (low, _), end, n in zip(padding, ends, size, strict=True))


def _transpose_x_rule(
    g: Any, weight: Any, x_shape: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Any:
    g, padding = _reached(g, x_shape, weight.shape, stride, padding, dilation)
    return conv_row(g, weight, None, stride=stride, padding=padding, dilation=dilation, groups=groups)


def _transpose_weight_rule(
    g: Any, x: Any, weight_shape: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Any:
    g, padding = _reached(g, x.shape, weight_shape, stride, padding, dilation)
    return conv_weight_grad(
        x, g, kernel=weight_shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
    )


_CASES: list[tuple[tuple[Ints, Ints], dict[str, Any]]] = [
    (((2, 3, 5, 6), (4, 3, 2, 3)), {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}),
    (((2, 4, 6, 5), (2, 2, 3, 2)), {"stride": (2, 3), "padding": ((1, 2), (0, 1)), "dilation": (1, 2), "groups": 2}),
    (((1, 2, 9), (3, 2, 3)), {"stride": (2,), "padding": ((1, 1),), "dilation": (2,), "groups": 1}),
    (((2, 3, 4, 4), (3, 1, 3, 3)), {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 3}),
]


def _samples(kind: str) -> list[Any]:
    found = []
    for i, ((x, weight), params) in enumerate(_CASES):
        size = kernels.geometry(x, weight, **params).out
        y = (x[0], weight[0], *size)
        bias = None if i == 1 else (weight[0] if kind == "conv" else x[1],)
        if kind == "conv":
            found.append(sample(x, weight, bias, **params))
        elif kind == "transpose":
            found.append(sample(y, weight, bias, size=x[2:], **params))
            if i == 2:
                found.append(sample(y, weight, bias, size=(x[2] + 3,), **params))
        else:
            found.append(sample(y, x, kernel=weight[2:], **params))
    return found


conv_row: Any = op(
    "conv",
    lambda x, weight, bias, *, stride, padding, dilation, groups: _definition_for_integers(
        x, conv_in_numpy, kernels.conv
    )(x, weight, bias, stride, padding, dilation, groups),
    vjp=(
        lambda g, weight, x_shape, stride, padding, dilation, groups: conv_transpose_row(
            g, weight, None, size=x_shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
        ),
        lambda g, x, weight_shape, stride, padding, dilation, groups: conv_weight_grad(
            g, x, kernel=weight_shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
        ),
        lambda g: channel_sum(g),
    ),
    numpy=conv_in_numpy,
    domain=(-2, 2),
    samples=_samples("conv"),
    grad_name="ConvolutionBackward0",
)
conv_transpose_row: Any = op(
    "conv_transpose",
    lambda x, weight, bias, *, size, stride, padding, dilation, groups: _definition_for_integers(
        x, conv_transpose_in_numpy, kernels.conv_transpose
    )(x, weight, bias, size, stride, padding, dilation, groups),
    vjp=(
        _transpose_x_rule,
        _transpose_weight_rule,
        lambda g: channel_sum(g),
    ),
    numpy=conv_transpose_in_numpy,
    domain=(-2, 2),
    samples=_samples("transpose"),
    grad_name="ConvolutionBackward0",
)
conv_weight_grad: Any = op(
    "conv_weight_grad",
    lambda gy, x, *, kernel, stride, padding, dilation, groups: kernels.conv_weight_grad(
        gy, x, kernel, stride, padding, dilation, groups
    ),
    vjp=(
        lambda g, x, stride, padding, dilation, groups: conv_row(
            x, g, None, stride=stride, padding=padding, dilation=dilation, groups=groups
        ),
        lambda g, gy, x_shape, stride, padding, dilation, groups: conv_transpose_row(
            gy, g, None, size=x_shape[2:], stride=stride, padding=padding, dilation=dilation, groups=groups
        ),
    ),
    numpy=conv_weight_grad_in_numpy,
    domain=(-2, 2),
    samples=_samples("weight"),
    grad_name="ConvolutionBackwardBackward0",
)
