"""What a step needs, looked up once: the arrays, whether a kernel can walk through them, their addresses.

Later steps look at the gradients alone, and whether parameters and options are still those that the plan was made for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import F32, F64, Array
from ..kernels.optimizers import FLAGS, GRADIENT, PARAMETER, SIZE, STATE, address
from ..op import mode, user_location, written

if TYPE_CHECKING:
    from .fused import FusedOptimizer

# What a kernel computes in; to it a complex number is two floats beside each other.
WORK = {np.dtype("f2"): F32, F32: F32, F64: F64, np.dtype("c8"): F32, np.dtype("c16"): F64}


class Batch:
    """Parameters of one group that share a dtype, and the table in which a kernel finds their arrays."""

    def __init__(self, columns: list[tuple[Any, list[Any], int]]) -> None:
        self.params = [p for p, _, _ in columns]
        self.like = np.empty(0, WORK[self.params[0]._array.dtype])
        self.alive: list[Array] = []  # what the table points to
        self.copies: list[tuple[Array, Array]] = []  # arrays that a kernel cannot walk through, and their stand-ins
        self.table = np.zeros((STATE + len(columns[0][1]), len(columns)), np.intp)
        for k, (p, state, flags) in enumerate(columns):
            array = p._array
            self.table[SIZE, k] = 2 * array.size if array.dtype.kind == "c" else array.size
            self.table[PARAMETER, k] = self._place(array)
            self.table[FLAGS, k] = flags
            self.table[STATE:, k] = [0 if t is None else self._place(t._array) for t in state]
        self.gradients = memoryview(self.table[GRADIENT])  # writes faster than the array does

    def _place(self, array: Array) -> int:
        if not array.flags.carray or array.dtype.itemsize < F32.itemsize:
            stand_in = np.empty(array.shape, F32 if array.dtype.itemsize < F32.itemsize else array.dtype)
            self.copies.append((array, stand_in))
            array = stand_in
        self.alive.append(array)
        return address(array)

    def run(self, kernel: Callable[..., None], options: tuple[Any, ...]) -> None:
        """Update all parameters."""
        for array, stand_in in self.copies:
            np.copyto(stand_in, array)
        kernel(self.like, self.table, options)
        for array, stand_in in self.copies:
            mode.quiet(np.copyto, array, stand_in, casting="same_kind")
        note = "optimizer.step", user_location(3)  # above step() and what calls its hooks
        *others, last = self.params
        for p in others:  # written() for the last one tells the tape of all
            version = p._version
            version[0] += 1
            version[2] = note
        written(last, *note)


class GroupPlan:
    """How to step one parameter group, valid while its parameters, options and state are the same."""

    def __init__(self, optimizer: FusedOptimizer, group: dict[str, Any]) -> None:
        self.group = group
        self.pick = optimizer._pick
        self.given = self.pick(group)
        self.options, self.constant = optimizer._options(group)
        names = optimizer._names(group)
        self.state: dict[Any, tuple[dict[str, Any], int]] = {}  # of each parameter, and its flags
        columns: dict[Any, list[tuple[Any, list[Any], int]]] = {}
        places: list[tuple[Any, list[Any] | None, int]] = []
        for p in group["params"]:
            if p._grad is None:
                places.append((p, None, 0))
                continue
            if p not in self.state:
                self.state[p] = optimizer._completed(p, group, names)
            state, flags = self.state[p]
            column = columns.setdefault(p._array.dtype, [])
            places.append((p, column, len(column)))
            column.append((p, [None if name is None else state[name] for name in names], flags))
        batches = {id(column): Batch(column) for column in columns.values()}
        self.batches = list(batches.values())
        self.rows: list[tuple[Any, Any, Any, Any, Any, int]] = []
        for p, own, k in places:
            if own is None:
                self.rows.append((p, None, None, None, None, 0))
            else:
                batch = batches[id(own)]
                self.rows.append((p, p._array, p._array.shape, batch.like.dtype, batch.gradients, k))

    def gather(self, optimizer: FusedOptimizer, group: dict[str, Any], gradients: list[Array]) -> bool:
        """Put the gradients' addresses in the tables, and them in a list that keeps them; False if the plan is old."""
        params = group["params"]
        if group is not self.group or self.pick(group) != self.given or len(params) != len(self.rows):
            return False
        if not self.constant:
            self.options, _ = optimizer._options(group)
        # strict=True would cost as much as a parameter does
        for q, (p, array, shape, dtype, places, k) in zip(params, self.rows):  # noqa: B905
            grad = p._grad
            if q is not p or grad is None or p._array is not array:
                if q is p and grad is None and array is None:
                    continue
                return False
            g = grad._array
            if g.dtype is not dtype or g.shape != shape or not g.flags.carray:
                g = _fitted(g, p)
            gradients.append(g)
            places[k] = address(g)
        return True


def gather(plan: list[GroupPlan], optimizer: FusedOptimizer, gradients: list[Array]) -> bool:
    """Look up the gradients of this step; False if the plan is old."""
    groups = optimizer.param_groups
    if len(plan) != len(groups):
        return False
    for part, group in zip(plan, groups):  # noqa: B905, SIM110 -- strict, or a generator, costs as much as a parameter
        if not part.gather(optimizer, group, gradients):
            return False
    return True


def _fitted(g: Array, p: Any) -> Array:
    """A gradient that a kernel can walk through: contiguous, of 32 or 64 bits."""
    array = p._array
    if g.shape != array.shape or g.dtype != array.dtype:
        raise RuntimeError(
            f"the gradient of a parameter has shape {list(g.shape)} {g.dtype}, the parameter {list(array.shape)} "
            f"{array.dtype}: its .data was replaced after backward(). Write zero_grad() there."
        )
    return np.array(g, dtype=F32 if g.dtype.itemsize < F32.itemsize else g.dtype, order="C")
