"""Rows of a table, looked up by number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..dtypes import Array
from ..kernels import embedding as kernels
from ..op import TensorBase, op, sample, user_location, written
from .arguments import kept
from .elementwise import where_row

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["embedding"]

_TABLE = {"index": np.array([[2, 0], [2, 1]]), "padding": -1, "by_frequency": False}

embedding_row = op(
    "embedding",
    lambda weight, *, index, padding, by_frequency: weight.take(index, axis=0),
    vjp=lambda g, weight_shape, index, padding, by_frequency: embedding_grad(
        g, rows=weight_shape[0], index=index, padding=padding, by_frequency=by_frequency
    ),
    numpy="{weight}[{index}]",
    domain=(-2, 2),
    samples=[sample((4, 3), **_TABLE)],
)


def _gathered(g: Any, index: Array, padding: int, by_frequency: bool) -> Any:
    """Look up where a gradient went: the adjoint of adding it up."""
    out = embedding_row(g, index=index, padding=padding, by_frequency=by_frequency)
    if by_frequency:
        out = out / np.bincount(index.ravel())[index][..., None]
    return where_row((index != padding)[..., None], out, 0.0) if padding >= 0 else out


def added_in_numpy(g, rows, index, padding, by_frequency):  # type: ignore[no-untyped-def]
    out = np.zeros((rows, g.shape[-1]))
    scale = np.bincount(index.ravel())[index][..., None] if by_frequency else 1
    np.add.at(out, index, np.where(index[..., None] == padding, 0, g / scale))
    return out


embedding_grad: Any = op(
    "embedding_grad",
    lambda g, *, rows, index, padding, by_frequency: kernels.add_rows(g, index, rows, padding, by_frequency),
    vjp=lambda g, index, padding, by_frequency: _gathered(g, index, padding, by_frequency),
    numpy=added_in_numpy,
    domain=(-2, 2),
    samples=[
        sample((2, 2, 3), rows=4, **_TABLE),
        sample((2, 2, 3), rows=4, **{**_TABLE, "padding": 2}),
        sample((2, 2, 3), rows=4, **{**_TABLE, "by_frequency": True}),
    ],
    grad_name="EmbeddingDenseBackwardBackward0",
)


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Return the rows of ``weight`` that ``input`` numbers.

    Parameters
    ----------
    input : Tensor of int64 or int32, of any shape (*)
    weight : Tensor of shape (V, D)
    padding_idx : int, optional
        A row that gets no gradient.
    max_norm : float, optional
        Rows that are looked up and have a larger p-norm are first scaled down to it, in place.
    norm_type : float
        That p.
    scale_grad_by_freq : bool
        Divide a row's gradient by how often it was looked up.
    sparse : bool
        There are no sparse gradients here: True raises.

    Returns
    -------
    Tensor of shape (*, D)

    Raises
    ------
    IndexError
        For a number that is no row's.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.functional.embedding(tg.tensor([2, 0]), tg.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    tensor([[5., 6.],
            [1., 2.]])
    """
    for name, x in (("input", input), ("weight", weight)):
        if not isinstance(x, TensorBase):
            raise TypeError(f"embedding(): argument '{name}' must be Tensor, not {type(x).__name__}: write tensor(...)")
    index, table = input._array, weight._array
    if index.dtype.kind not in "iu" or index.dtype.itemsize < 4:
        raise RuntimeError(
            f"Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"{dtypes.of(index)} instead (while checking arguments for embedding). Write input.long()."
        )
    if table.ndim != 2:
        raise RuntimeError(f"'weight' must be 2-D, got shape {list(table.shape)}")
    if sparse:
        raise NotImplementedError("there are no sparse gradients here: leave sparse=False")
    rows = len(table)
    if index.size and (index.min() < 0 or index.max() >= rows):
        place = tuple(int(i) for i in np.argwhere((index < 0) | (index >= rows))[0])
        raise IndexError(
            f"index out of range in self: {int(index[place])} at {list(place)} of the input, the table has {rows} rows"
            f"{f', numbered 0 to {rows - 1}' if rows else ''}"
        )
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise RuntimeError(f"padding_idx must be within the table's {rows} rows, got {padding_idx}")
    if max_norm is not None:
        _limit(weight, np.unique(index), float(max_norm), float(norm_type))
    padding = -1 if padding_idx is None else int(padding_idx) % rows
    return embedding_row(weight, index=kept(index), padding=padding, by_frequency=bool(scale_grad_by_freq))  # type: ignore[no-any-return]


def _limit(weight: Tensor, used: Array, max_norm: float, p: float) -> None:
    """Scale the used rows whose norm is larger down to it, unknown to the tape."""
    table = weight._array
    lengths = np.linalg.norm(table[used], ord=p, axis=1)
    long = lengths > max_norm
    if long.any():
        scale = (max_norm / (lengths[long] + 1e-7)).astype(table.dtype)
        table[used[long]] *= scale[:, None]
        written(weight, "embedding(max_norm=...)", user_location())
