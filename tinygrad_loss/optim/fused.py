"""What the built-in optimizers share: one compiled call updates all parameters of a group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from operator import is_
from typing import Any, ClassVar

import numpy as np

from ..autograd import enable_grad
from ..dtypes import F32, F64, Array, get_default_dtype
from ..kernels.optimizers import COLUMNS, address
from ..op import TensorBase, mode, user_location, wrap
from .optimizer import Optimizer
from .options import described

_SCALARS = ("step", "mu_product")
# What a kernel computes in; to it a complex number is two floats beside each other.
_WORK = {np.dtype("f2"): F32, F32: F32, F64: F64, np.dtype("c8"): F32, np.dtype("c16"): F64}


class Batch:
    """Parameters of one group that share a dtype, and the table in which a kernel finds their arrays."""

    def __init__(self, group: dict[str, Any], work: np.dtype[Any], count: np.dtype[Any]) -> None:
        self.group = group
        self.like, self.count = np.empty(0, work), np.empty(0, count)
        self.params: list[tuple[TensorBase, Array, tuple[int, ...]]] = []
        self.table = np.empty((0, COLUMNS), np.intp)
        self.alive: list[Array] = []  # what the table points to
        self.copies: list[tuple[Array, Array]] = []  # arrays that a kernel cannot walk through, and their stand-ins

    def add(self, p: Any, state: list[Any], fresh: bool) -> None:
        """Append the row of a parameter."""
        array = p._array
        floats = 2 * array.size if array.dtype.kind == "c" else array.size
        places = [0 if t is None else self._place(t._array) for t in state]
        self.params.append((p, array, array.shape))
        row = np.array([[floats, self._place(array), 0, fresh, *places]], np.intp)
        self.table = np.concatenate([self.table, row]) if len(self.table) else row

    def _place(self, array: Array) -> int:
        if not array.flags.carray or array.dtype.itemsize < F32.itemsize:
            stand_in = np.empty(array.shape, F32 if array.dtype.itemsize < F32.itemsize else array.dtype)
            self.copies.append((array, stand_in))
            array = stand_in
        self.alive.append(array)
        return address(array)

    def gather(self) -> list[Array] | None:
        """Put the addresses of this step's gradients in the table; None if a parameter has got other data or none."""
        work = self.like.dtype
        gradients, addresses = [], []
        for p, array, shape in self.params:
            grad = p._grad
            if grad is None or p._array is not array:
                return None
            g = grad._array
            if g.dtype is not work or g.shape != shape or not g.flags.carray:
                g = _fitted(g, p)
            gradients.append(g)
            addresses.append(address(g))
        self.table[:, 2] = addresses
        return gradients

    def run(self, kernel: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        """Update all parameters; nothing in here can fail."""
        for array, stand_in in self.copies:
            np.copyto(stand_in, array)
        kernel(self.like, self.count, self.table, *arguments)
        for array, stand_in in self.copies:
            mode.quiet(np.copyto, array, stand_in, casting="same_kind")
        where = user_location(2)
        for p, _, _ in self.params:
            version = p._version
            version[0] += 1
            version[2] = where


class Plan:
    """The batches of all groups, valid while parameters and state are the same arrays."""

    def __init__(self, optimizer: FusedOptimizer) -> None:
        self.groups: list[tuple[dict[str, Any], tuple[str | None, ...], list[TensorBase]]] = []
        self.idle: list[TensorBase] = []
        self.batches: list[Batch] = []
        self.state: dict[TensorBase, tuple[dict[str, Any], bool]] = {}  # and whether some of it is new
        for group in optimizer.param_groups:
            names = optimizer._names(group)
            self.groups.append((group, names, list(group["params"])))
            batches: dict[Any, Batch] = {}
            for p in group["params"]:
                if p._grad is None:
                    self.idle.append(p)
                    continue
                if p not in self.state:
                    self.state[p] = optimizer._completed(p, group, names)
                state, fresh = self.state[p]
                key = p._array.dtype, state["step"]._array.dtype if "step" in names else F32
                if key not in batches:
                    batches[key] = Batch(group, _WORK[key[0]], key[1])
                batches[key].add(p, [None if name is None else state[name] for name in names], fresh)
            self.batches += batches.values()

    def holds(self, optimizer: FusedOptimizer) -> bool:
        """Tell whether the groups have the same parameters, the same of them a gradient, and keep the same state."""
        if len(self.groups) != len(optimizer.param_groups):
            return False
        for now, (group, names, params) in zip(optimizer.param_groups, self.groups, strict=True):
            if now is not group or optimizer._names(group) != names or len(group["params"]) != len(params):
                return False
            if not all(map(is_, group["params"], params)):
                return False
        return all(p._grad is None for p in self.idle)

    def gather(self) -> list[list[Array]] | None:
        """Look up the gradients of this step, and hold them; None if the plan is outdated."""
        gradients = []
        for batch in self.batches:
            found = batch.gather()
            if found is None:
                return None
            gradients.append(found)
        return gradients


class FusedOptimizer(Optimizer):
    """An optimizer whose step is one kernel call for each parameter group and dtype.

    A subclass names its kernel, the state that the kernel keeps, and the numbers that it takes.
    """

    _kernel: ClassVar[Callable[..., None]]
    _plan: Plan | None = None
    _shown = False

    def _names(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        """The state that the kernel keeps of each parameter, in its order; None for what these options do not need."""
        raise NotImplementedError

    def _arguments(self, group: dict[str, Any]) -> tuple[Any, ...]:
        """The numbers that the kernel takes."""
        raise NotImplementedError

    def _initial(self, name: str, group: dict[str, Any]) -> float:
        """What a piece of state begins with."""
        return 0.0

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters that have a gradient; all of them, or after an error none.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss and its gradients anew; its result is returned.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        plan = self._plan
        # Held until the kernels are through: the table knows addresses alone.
        gradients = plan.gather() if plan is not None and plan.holds(self) else None
        if plan is None or gradients is None:
            self._plan = None
            plan = Plan(self)
            gradients = plan.gather()
        arguments = [self._arguments(batch.group) for batch in plan.batches]
        if self._plan is None:
            for p, (state, _) in plan.state.items():
                if state:
                    self._state[p].update(state)
            # Who holds the state may put other Tensors into it unseen: then every step looks anew.
            self._plan = None if self._shown else plan
        for batch, numbers in zip(plan.batches, arguments, strict=True):
            batch.run(self._kernel, numbers)
        return loss

    @property
    def state(self) -> defaultdict[Any, Any]:
        """What the optimizer remembers of each parameter: a dict of Tensors by name."""
        self._plan, self._shown = None, True
        return self._state

    @state.setter
    def state(self, value: defaultdict[Any, Any]) -> None:
        self._plan, self._shown = None, False
        self._state = value

    def _completed(self, p: Any, group: dict[str, Any], names: tuple[str | None, ...]) -> tuple[dict[str, Any], bool]:
        """The state of a parameter with what it lacks, and whether it lacked any; nothing is changed yet."""
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
        fresh = False
        count = get_default_dtype().numpy if get_default_dtype().numpy is F64 else F32
        for name in names:
            if name is None:
                continue
            value = state.get(name)
            if value is None:
                fresh = True
                begin = self._initial(name, group)
                if name in _SCALARS:
                    value = wrap(np.array(begin, count))
                else:
                    value = wrap(np.empty(array.shape, array.dtype))
                    value._array.reshape(-1).view(array.real.dtype)[...] = begin
            elif name in _SCALARS:
                value = _scalar(value, name, count)
                count = value._array.dtype
            elif (
                not isinstance(value, TensorBase)
                or value._array.shape != array.shape
                or value._array.dtype != array.dtype
                or not value._array.flags.writeable
            ):
                raise RuntimeError(
                    f"the state {name!r} of a parameter of shape {list(array.shape)} {array.dtype} must be a writable "
                    f"Tensor like it, got {described(value)}. Make the optimizer after model.to(...), or load the "
                    f"state of the same model."
                )
            state[name] = value
        return state, fresh

    def _restore(self, state: defaultdict[Any, Any], param_groups: list[dict[str, Any]]) -> None:
        for group in param_groups:
            for name, value in self.defaults.items():  # what older state dicts do not have
                group.setdefault(name, value)
        super()._restore(state, param_groups)

    def __getstate__(self) -> dict[str, Any]:
        self._plan, self._shown = None, True  # a shallow copy shares the state
        return super().__getstate__()


def _scalar(value: Any, name: str, count: np.dtype[Any]) -> Any:
    """A 0-d float Tensor of a count; the same one if it is that already."""
    if isinstance(value, (int, float)):
        return wrap(np.array(value, count))
    if not isinstance(value, TensorBase) or value._array.size != 1:
        raise RuntimeError(f"the state {name!r} must be a Tensor of one element, got {described(value)}")
    if value._array.dtype not in (F32, F64) or (name != "step" and value._array.dtype != count):
        return wrap(value._array.astype(count))
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
