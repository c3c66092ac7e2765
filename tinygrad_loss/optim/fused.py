"""What the built-in optimizers share: one compiled call updates all parameters of a group.

What a step needs is looked up once, in a plan: the arrays, whether a kernel can walk through them, their addresses.
Later steps look at the gradients alone, and whether parameters and options are still those that the plan was made for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from operator import itemgetter
from typing import Any, ClassVar

import numpy as np

from ..autograd import enable_grad
from ..dtypes import F32, F64, Array, float64, get_default_dtype
from ..kernels.optimizers import FLAGS, FRESH, GRADIENT, PARAMETER, SIZE, STATE, WIDE, WIDE_PRODUCT, address
from ..op import TensorBase, mode, user_location, wrap, written
from .optimizer import Optimizer
from .options import described, number

_SCALARS = {"step": WIDE, "mu_product": WIDE_PRODUCT}  # state of one number, and the flag that it has 64 bits
# What a kernel computes in; to it a complex number is two floats beside each other.
_WORK = {np.dtype("f2"): F32, F32: F32, F64: F64, np.dtype("c8"): F32, np.dtype("c16"): F64}


class Batch:
    """Parameters of one group that share a dtype, and the table in which a kernel finds their arrays."""

    def __init__(self, columns: list[tuple[Any, list[Any], int]]) -> None:
        self.params = [p for p, _, _ in columns]
        self.like = np.empty(0, _WORK[self.params[0]._array.dtype])
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
        where = user_location(3)  # above step() and what calls its hooks
        for p in self.params:
            written(p, "optimizer.step", where)


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


def _gather(plan: list[GroupPlan], optimizer: FusedOptimizer, gradients: list[Array]) -> bool:
    """Look up the gradients of this step; False if the plan is old."""
    groups = optimizer.param_groups
    if len(plan) != len(groups):
        return False
    for part, group in zip(plan, groups):  # noqa: B905, SIM110 -- strict, or a generator, costs as much as a parameter
        if not part.gather(optimizer, group, gradients):
            return False
    return True


class FusedOptimizer(Optimizer):
    """An optimizer whose step is one kernel call for each parameter group and dtype.

    A subclass names its kernel, the options that are the kernel's numbers and switches, and the state that it keeps.
    """

    _kernel: ClassVar[Callable[..., None]]
    _numbers: ClassVar[tuple[str, ...]]
    _switches: ClassVar[tuple[str, ...]]
    _pick: ClassVar[itemgetter[Any]]
    _plan: list[GroupPlan] | None = None
    _shown = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._pick = itemgetter(*cls._numbers, *cls._switches)

    def _names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        """The state that the kernel keeps of each parameter, in its order; None for what these options do not need."""
        raise NotImplementedError

    def _initial(self, name: str, group: dict[str, Any]) -> float:
        """What a piece of state begins with."""
        return 0.0

    def _options(self, group: dict[str, Any]) -> tuple[tuple[Any, ...], bool]:
        """The options as the kernel takes them, and whether they are constants: Tensors and lists are not."""
        given: list[Any] = []
        for name in self._numbers:
            given += [(name, beta) for beta in group[name]] if name == "betas" else [(name, group[name])]
        constant = not any(isinstance(value, TensorBase) for _, value in given) and isinstance(
            group.get("betas", ()), tuple
        )
        numbers = [number(value, name) for name, value in given]
        return (*numbers, *(bool(group[name]) for name in self._switches)), constant

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters that have a gradient: all of them, or after an error none.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss and its gradients anew; its result is returned.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        gradients: list[Array] = []  # held until the kernels are through: a table knows addresses alone
        plan = self._plan
        if plan is None or not _gather(plan, self, gradients):
            plan = self._planned(gradients)
        # Nothing from here on can fail.
        for part in plan:
            for batch in part.batches:
                batch.run(self._kernel, part.options)
        return loss

    def _planned(self, gradients: list[Array]) -> list[GroupPlan]:
        """A plan for this step, and for later ones unless someone has seen the state, with the gradients in it."""
        self._plan = None
        plan = [GroupPlan(self, group) for group in self.param_groups]
        gradients.clear()
        if not _gather(plan, self, gradients):
            raise RuntimeError("parameters or their gradients were replaced during step(), by another thread?")
        for part in plan:
            for p, (state, _) in part.state.items():
                if state:
                    self._state[p].update(state)
        # Who has seen the state may put other Tensors into it unnoticed: then every step makes its plan anew.
        self._plan = None if self._shown else plan
        return plan

    @property
    def state(self) -> defaultdict[Any, Any]:
        """What the optimizer remembers of each parameter: a dict of Tensors by name."""
        self._plan, self._shown = None, True
        return self._state

    @state.setter
    def state(self, value: defaultdict[Any, Any]) -> None:
        self._plan, self._shown = None, False
        self._state = value

    def _completed(self, p: Any, group: dict[str, Any], names: tuple[str | None, ...]) -> tuple[dict[str, Any], int]:
        """The state of a parameter with what it lacks, and the kernel's flags; nothing is changed yet."""
        array = p._array
        if array.dtype not in _WORK:
            raise TypeError(
                f"{type(self).__name__} updates floating point parameters, got one of {p.dtype}; write x.float()"
            )
        if not array.flags.writeable:
            raise RuntimeError(
                f"{type(self).__name__} cannot write to a parameter of shape {list(array.shape)}: its array is "
                f"read-only, or several of its elements share one place in memory. Write x.clone() before it becomes a "
                f"parameter."
            )
        state = dict(self._state[p]) if p in self._state else {}
        flags = 0
        for name in names:
            if name is None:
                continue
            value = state.get(name)
            if value is None:
                flags |= FRESH
                begin = self._initial(name, group)
                if name in _SCALARS:
                    value = wrap(np.array(begin, _count()))
                else:
                    value = wrap(np.empty(array.shape, array.dtype))
                    value._array.reshape(-1).view(array.real.dtype)[...] = begin
            else:
                value = _checked(name, value, p)
            if name in _SCALARS and value._array.dtype == F64:
                flags |= _SCALARS[name]
            state[name] = value
        return state, flags

    def _restore(self, state: defaultdict[Any, Any], param_groups: list[dict[str, Any]]) -> None:
        for group in param_groups:
            for name, value in self.defaults.items():  # what older state dicts do not have
                group.setdefault(name, value)
            for p in group["params"]:
                kept = state.get(p, {})
                for key in self._names(group):
                    if key is not None and kept.get(key) is not None:
                        kept[key] = _checked(key, kept[key], p)
        super()._restore(state, param_groups)


def _count() -> np.dtype[Any]:
    """The dtype of new step counts."""
    return F64 if get_default_dtype() is float64 else F32


def _checked(name: str, value: Any, p: Any) -> Any:
    """A piece of a parameter's state as a Tensor that a kernel may write to; the same one if it is that already."""
    if name in _SCALARS:
        if isinstance(value, (int, float)):  # as in PyTorch's older state dicts
            return wrap(np.array(value, _count()))
        if not isinstance(value, TensorBase) or value._array.size != 1:
            raise RuntimeError(f"the state {name!r} must be a Tensor of one element, got {described(value)}")
        array = value._array
        fits = array.dtype in (F32, F64) and array.flags.writeable
        return value if fits else wrap(array.astype(_count()))
    array = p._array
    if (
        not isinstance(value, TensorBase)
        or value._array.shape != array.shape
        or value._array.dtype != array.dtype
        or not value._array.flags.writeable
    ):
        raise RuntimeError(
            f"the state {name!r} of a parameter of shape {list(array.shape)} {array.dtype} must be a writable Tensor "
            f"like it, got {described(value)}. Make the optimizer after model.to(...), or load the state of the same "
            f"model."
        )
    return value


def _fitted(g: Array, p: Any) -> Array:
    """A gradient that a kernel can walk through: contiguous, of 32 or 64 bits."""
    array = p._array
    if g.shape != array.shape or g.dtype != array.dtype:
        raise RuntimeError(
            f"the gradient of a parameter has shape {list(g.shape)} {g.dtype}, the parameter {list(array.shape)} "
            f"{array.dtype}: its .data was replaced after backward(). Write zero_grad() there."
        )
    return np.array(g, dtype=F32 if g.dtype.itemsize < F32.itemsize else g.dtype, order="C")
