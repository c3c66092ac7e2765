"""Rows added up by number: the gradient of a table's look-up."""

import numpy as np

from .jit import Array, jit

__all__ = ["add_rows"]


@jit
def _add_rows(g: Array, index: Array, padding: int, count: Array, out: Array) -> None:
    for i in range(index.size):
        r = index[i]
        if r == padding:
            continue
        if count.size:
            for j in range(g.shape[1]):
                out[r, j] += g[i, j] / count[r]
        else:
            for j in range(g.shape[1]):
                out[r, j] += g[i, j]


def add_rows(g: Array, index: Array, rows: int, padding: int, by_frequency: bool) -> Array:
    """out[index[i]] += g[i] for a table of `rows` rows, out of zeros; not for the row `padding`.

    `by_frequency` divides by how often a row is numbered. Every index must be that of a row.
    """
    flat, width = index.ravel(), g.shape[-1]
    out = np.zeros((rows, width), g.dtype)
    count = np.bincount(flat, minlength=rows).astype(g.dtype) if by_frequency else np.empty(0, g.dtype)
    _add_rows(np.ascontiguousarray(g).reshape(flat.size, width), flat, padding, count, out)
    return out
