"""Batches by one gather per tensor: samples that are rows of an array are taken from that array all at once.

Nothing is copied beforehand, so nothing can be out of date: a gather reads the memory in which the samples lie, and
leaves a batch that it cannot vouch for to the ordinary way, sample by sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import is_
from typing import Any

import numpy as np

from ...dtypes import Array
from ...op import edge_of, mode, wrap
from ...tensor import Tensor

# Positions in, a collated batch out; None for one that must be made sample by sample.
Gather = Callable[[Array], Any]


def trusts(obj: object, fast: str, *slow: str) -> bool:
    """Whether the method ``fast`` knows of ``slow``: no subclass, between the two, has changed what ``slow`` does."""
    for cls in type(obj).__mro__:
        if fast in vars(cls):
            return True
        if any(name in vars(cls) for name in slow):
            return False
    return False


def gatherer(dataset: Any) -> Gather | None:
    """How to gather batches of a data set; None where samples must be asked for one by one.

    A data set class takes part by a method ``_gatherer()``, which answers for its ``__getitem__``.
    """
    if type(dataset) in (list, tuple):
        return of_sequence(dataset)
    if type(dataset) is Tensor:
        return lambda index: of_tensor(dataset, index)
    if trusts(dataset, "_gatherer", "__getitem__", "__getitems__"):
        found: Gather | None = dataset._gatherer()
        return found
    return None


def of_tensor(tensor: Tensor, index: Array) -> Tensor | None:
    """Rows of a tensor; None if the tape should know of them."""
    if tensor._array.ndim == 0 or (edge_of(tensor) is not None and mode.grad):
        return None
    return wrap(take(tensor._array, index))  # type: ignore[no-any-return]


def of_tensors(tensors: Sequence[Tensor], index: Array) -> list[Tensor] | None:
    """Rows of several tensors at once, as a collated batch of tuples has them."""
    batch = []
    for tensor in tensors:
        rows = of_tensor(tensor, index)
        if rows is None:
            return None
        batch.append(rows)
    return batch


def take(array: Array, index: Array) -> Array:
    """``array[index]``, contiguous."""
    if array.flags.c_contiguous:
        return array.take(index, 0)  # of any other array, `take` would first copy the whole
    return np.ascontiguousarray(array[index])


def of_sequence(samples: Sequence[Any]) -> Gather | None:
    """Gather from a list or tuple of Tensors of one shape and dtype, or of tuples of such Tensors.

    A batch with a sample that was exchanged in the list since is left to the ordinary way.
    """
    known = list(samples)
    kinds = set(map(type, known))
    single = kinds == {Tensor}
    if not single and (kinds != {tuple} or len(set(map(len, known))) != 1):
        return None
    fields = []
    for tensors in [known] if single else zip(*known, strict=True):
        if set(map(type, tensors)) != {Tensor} or any(edge_of(t) is not None for t in tensors):
            return None
        field = Rows.of([t._array for t in tensors])
        if field is None:
            return None
        fields.append(field)

    def gather(index: Array) -> Any:
        wanted = index.tolist()
        same = all(map(is_, map(samples.__getitem__, wanted), map(known.__getitem__, wanted)))
        if not same:
            return None
        batch = [wrap(field.take(index)) for field in fields]
        return batch[0] if single else batch

    return gather


class Rows:
    """Arrays of one shape and dtype, wherever they lie, read as rows of one: of all memory from the lowest of them on.

    Only the rows that are asked for are read, and the arrays are kept alive. The rows are as far apart as the greatest
    step that divides all distances: the rows of a matrix are found again as that matrix.
    """

    def __init__(self, arrays: Sequence[Array], whole: Array, positions: Array) -> None:
        self.arrays, self.whole, self.positions = arrays, whole, positions

    @staticmethod
    def of(arrays: Sequence[Array]) -> Rows | None:
        """The rows; None if they differ in shape, dtype or layout."""
        first = arrays[0]
        if len({(a.shape, a.strides, a.dtype) for a in arrays}) > 1:
            return None
        addresses = np.array([a.__array_interface__["data"][0] for a in arrays], np.int64)
        lowest = int(addresses.argmin())
        offsets = addresses - addresses[lowest]
        step = int(np.gcd.reduce(offsets)) or max(first.nbytes, 1)
        positions = offsets // step
        shape, strides = (int(positions.max()) + 1, *first.shape), (step, *first.strides)
        try:
            whole = np.lib.stride_tricks.as_strided(arrays[lowest], shape, strides, writeable=False)
        except ValueError:  # more elements than an array may have
            return None
        return Rows(arrays, whole, positions)

    def take(self, index: Array) -> Array:
        """The rows at these positions."""
        return take(self.whole, self.positions.take(index))
