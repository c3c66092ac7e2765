"""Basic indexing: ints, slices, None and Ellipsis, which give views."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import Array
from ..op import op, sample

_INDICES = [
    sample((3, 4), index=(1,)),
    sample((3, 4), index=(slice(None), slice(1, 3))),
    sample((5, 4), index=(slice(4, 1, -2), 0)),
    sample((3, 4), index=(Ellipsis, None, 2)),
]


def _slicing(name: str, grad_name: str, samples: list[Any] = _INDICES[1:2]) -> Any:
    return op(
        name,
        lambda x, *, index: x[index] if Ellipsis in index else x[(*index, Ellipsis)],  # Ellipsis: a view even if 0-d
        vjp=lambda g, x_shape, index: slice_grad(g, shape=x_shape, index=index),
        numpy="{x}[{index}]",
        domain=(-2, 2),
        samples=samples,
        view=True,
        grad_name=grad_name,
    )


select_row = _slicing("select", "SelectBackward0")
slice_row = _slicing("slice", "SliceBackward0", _INDICES)
unbind_row = _slicing("unbind", "UnbindBackward0")
split_row = _slicing("split", "SplitBackward0")
split_sizes_row = _slicing("split_with_sizes", "SplitWithSizesBackward0")


def _placed(g: Array, *, shape: tuple[int, ...], index: tuple[Any, ...]) -> Array:
    out = np.zeros(shape, g.dtype)
    out[index] = g
    return out


slice_grad = op(
    "slice_grad",
    _placed,
    vjp=lambda g, index: slice_row(g, index=index),
    numpy=_placed,
    domain=(-2, 2),
    samples=[sample((4,), shape=(3, 4), index=(1,)), sample((3, 2), shape=(3, 4), index=(slice(None), slice(1, 3)))],
    grad_name="SliceBackward",
)
