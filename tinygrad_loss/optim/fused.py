"""What the built-in optimizers share: one compiled call updates all parameters of a group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from operator import itemgetter
from typing import Any, ClassVar

import numpy as np

from ..autograd import enable_grad
from ..dtypes import F32, F64, Array, float64, get_default_dtype
from ..kernels.optimizers import FRESH, WIDE, WIDE_PRODUCT
from ..op import TensorBase, wrap
from .optimizer import Optimizer
from .options import described, number
from .plan import WORK, GroupPlan, gather

_SCALARS = {"step": WIDE, "mu_product": WIDE_PRODUCT}  # state of one number, and the flag that it has 64 bits


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
        if plan is None or not gather(plan, self, gradients):
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
        if not gather(plan, self, gradients):
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
        if array.dtype not in WORK:
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
