"""The rows of pooling: the largest or the average element of windows of positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import pool as kernels
from ..op import op, sample

Windows = kernels.Windows


def max_pool_in_numpy(x, windows):  # type: ignore[no-untyped-def]
    """The largest element of each window."""
    y = np.empty((*x.shape[:2], *map(len, windows)), x.dtype)
    for at in np.ndindex(y.shape[2:]):
        seen = x[(..., *np.ix_(*(w[i] for w, i in zip(windows, at, strict=True))))]
        y[(..., *at)] = seen.max(axis=tuple(range(2, x.ndim)))
    return y


def max_pool_grad_in_numpy(gy, x, windows):  # type: ignore[no-untyped-def]
    """gy[window] added where x has the largest element of the window."""
    gx = np.zeros(x.shape, gy.dtype)
    for at in np.ndindex(gy.shape[2:]):
        place = (..., *np.ix_(*(w[i] for w, i in zip(windows, at, strict=True))))
        seen = x[place].reshape(*x.shape[:2], -1)
        best = np.arange(seen.shape[2]) == seen.argmax(axis=2)[..., None]
        gx[place] += (best * gy[(..., *at)][..., None]).reshape(gx[place].shape)
    return gx


def max_pool_pick_in_numpy(v, x, windows):  # type: ignore[no-untyped-def]
    """The element of v where x has the largest element of each window."""
    y = np.empty((*x.shape[:2], *map(len, windows)), v.dtype)
    for at in np.ndindex(y.shape[2:]):
        place = (..., *np.ix_(*(w[i] for w, i in zip(windows, at, strict=True))))
        best = x[place].reshape(*x.shape[:2], -1).argmax(axis=2)[..., None]
        y[(..., *at)] = np.take_along_axis(v[place].reshape(*x.shape[:2], -1), best, axis=2)[..., 0]
    return y


def max_pool_indices_in_numpy(x, windows):  # type: ignore[no-untyped-def]
    """The position, counted through the plane, of the largest element of each window."""
    y = np.empty((*x.shape[:2], *map(len, windows)), np.int64)
    positions = np.arange(x[0, 0].size).reshape(x.shape[2:])
    for at in np.ndindex(y.shape[2:]):
        place = np.ix_(*(w[i] for w, i in zip(windows, at, strict=True)))
        y[(..., *at)] = positions[place].ravel()[x[(..., *place)].reshape(*x.shape[:2], -1).argmax(axis=2)]
    return y


def avg_pool_in_numpy(x, windows, divisors):  # type: ignore[no-untyped-def]
    """The sum of each window, divided by one divisor per dimension."""
    y = np.empty((*x.shape[:2], *map(len, windows)), x.dtype)
    for at in np.ndindex(y.shape[2:]):
        seen = x[(..., *np.ix_(*(w[i] for w, i in zip(windows, at, strict=True))))]
        y[(..., *at)] = seen.sum(axis=tuple(range(2, x.ndim))) / np.prod(
            [d[i] for d, i in zip(divisors, at, strict=True)]
        )
    return y


def avg_pool_grad_in_numpy(gy, size, windows, divisors):  # type: ignore[no-untyped-def]
    """gy[window], divided as the window's sum is, added to each of its elements."""
    gx = np.zeros((*gy.shape[:2], *size), gy.dtype)
    for at in np.ndindex(gy.shape[2:]):
        share = gy[(..., *at)] / np.prod([d[i] for d, i in zip(divisors, at, strict=True)])
        gx[(..., *np.ix_(*(w[i] for w, i in zip(windows, at, strict=True))))] += share.reshape(
            *share.shape, *(1 for _ in size)
        )
    return gx


_PAIRS = Windows(tuple(range(i, i + 2) for i in starts) for starts in ((0, 2), (0, 2, 4)))
_OVERLAP = Windows([tuple(range(i, min(i + 5, 7), 2) for i in (0, 1, 3))])
_SIZES = ((2.0, 2.0), (2.0, 2.0, 1.0))
# Elements far enough apart that a finite difference does not change which is the largest.
_X = [np.argsort(np.sin(np.arange(n))).reshape(shape) / n for n, shape in ((144, (2, 3, 4, 6)), (28, (2, 2, 7)))]
_MAX = [sample(_X[0], windows=_PAIRS), sample(_X[1], windows=_OVERLAP)]

max_pool_row: Any = op(
    "max_pool",
    lambda x, *, windows: kernels.maximum(x, windows),
    vjp=lambda g, x, windows: max_pool_grad(g, x, windows=windows),
    numpy=max_pool_in_numpy,
    domain=(-2, 2),
    samples=_MAX,
    grad_name="MaxPool2DWithIndicesBackward0",
)
max_pool_grad: Any = op(
    "max_pool_grad",
    lambda gy, x, *, windows: kernels.max_grad(gy, x, windows),
    vjp=(lambda g, x, windows: max_pool_pick(g, x, windows=windows), None),
    numpy=max_pool_grad_in_numpy,
    domain=(-2, 2),
    samples=[sample((2, 3, 2, 3), _X[0], windows=_PAIRS), sample((2, 2, 3), _X[1], windows=_OVERLAP)],
    grad_name="MaxPool2DWithIndicesBackwardBackward0",
)
max_pool_pick: Any = op(
    "max_pool_pick",
    lambda v, x, *, windows: kernels.max_pick(v, x, windows),
    vjp=(lambda g, x, windows: max_pool_grad(g, x, windows=windows), None),
    numpy=max_pool_pick_in_numpy,
    domain=(-2, 2),
    samples=[sample((2, 3, 4, 6), _X[0], windows=_PAIRS), sample((2, 2, 7), _X[1], windows=_OVERLAP)],
    grad_name="GatherBackward0",
)
max_pool_indices: Any = op(
    "max_pool_indices",
    lambda x, *, windows: kernels.max_indices(x, windows),
    numpy=max_pool_indices_in_numpy,
    domain=(-2, 2),
    samples=_MAX,
)
avg_pool_row: Any = op(
    "avg_pool",
    lambda x, *, windows, divisors: kernels.average(x, windows, divisors),
    vjp=lambda g, x_shape, windows, divisors: avg_pool_grad(g, size=x_shape[2:], windows=windows, divisors=divisors),
    numpy=avg_pool_in_numpy,
    domain=(-2, 2),
    samples=[
        sample((2, 3, 4, 6), windows=_PAIRS, divisors=_SIZES),
        sample((2, 2, 7), windows=_OVERLAP, divisors=((3.0, 3.0, 2.0),)),
    ],
    grad_name=lambda operands, params: f"AvgPool{len(params['windows'])}DBackward0",
)
avg_pool_grad: Any = op(
    "avg_pool_grad",
    lambda gy, *, size, windows, divisors: kernels.average_grad(gy, size, windows, divisors),
    vjp=lambda g, windows, divisors: avg_pool_row(g, windows=windows, divisors=divisors),
    numpy=avg_pool_grad_in_numpy,
    domain=(-2, 2),
    samples=[
        sample((2, 3, 2, 3), size=(4, 6), windows=_PAIRS, divisors=_SIZES),
        sample((2, 2, 3), size=(7,), windows=_OVERLAP, divisors=((3.0, 3.0, 2.0),)),
    ],
    grad_name="AvgPool2DBackwardBackward0",
)
