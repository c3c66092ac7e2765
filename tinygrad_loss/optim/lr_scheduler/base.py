"""What schedulers share: counting, setting the learning rates, and the state dict."""

from __future__ import annotations

import copy
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from ...op import TensorBase, written
from ..optimizer import Optimizer


class LRScheduler:
    """Base class of all schedulers; a subclass of yours defines ``get_lr``.

    Parameters
    ----------
    optimizer : Optimizer
        Whose learning rates are set. The first is set at once, the next by each ``step()``, which comes after the
        optimizer's.
    last_epoch : int
        How many steps were made before; -1 begins. To go on, the groups must have their ``"initial_lr"``, which an
        optimizer's state dict brings along.

    Raises
    ------
    TypeError
        If ``optimizer`` is none.
    KeyError
        If there is no ``"initial_lr"`` to go on with.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> class Halving(tg.optim.lr_scheduler.LRScheduler):
    ...     def get_lr(self):
    ...         return [base / 2**self.last_epoch for base in self.base_lrs]
    >>> optimizer = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=0.8)
    >>> scheduler = Halving(optimizer)
    >>> optimizer.step()
    >>> scheduler.step()
    >>> scheduler.get_last_lr(), optimizer.param_groups[0]["lr"]
    ([0.4], 0.4)
    """

    optimizer: Optimizer
    base_lrs: list[Any]
    last_epoch: int
    _step_count: int
    _last_lr: list[Any]
    _get_lr_called_within_step = False
    _is_initial = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", value_of(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with last_epoch "
                    f">= 0 (got {last_epoch}): load the optimizer's state dict first, or leave last_epoch out"
                )
        self.base_lrs = values_of(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        if not optimizer._scheduled:
            optimizer._scheduled, optimizer._opt_called = True, False
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def step(self, epoch: int | None = None) -> None:
        """Set the next learning rates; call it after the optimizer's ``step()``.

        Parameters
        ----------
        epoch : int, optional
            Deprecated: go to this epoch, by the formula that does not build on the rates before it.
        """
        # Before epoch 0 it is a scheduler around this one that begins, not the user's step.
        if self._step_count == 1 and self.last_epoch >= 0 and not self.optimizer._opt_called:
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. The first learning rate of the "
                "schedule is skipped so: write optimizer.step() first, then scheduler.step()",
                UserWarning,
                stacklevel=2,
            )
        self._step_count += 1
        if epoch is not None:
            warn_of_epoch()
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self._get_lr_called_within_step = True
        try:
            self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
            compute = self.get_lr if epoch is None else getattr(self, "_get_closed_form_lr", self.get_lr)
            assign(self.optimizer, compute())
        finally:
            self._get_lr_called_within_step = False
        self._last_lr = values_of(self.optimizer, "lr")

    def get_lr(self) -> list[Any]:
        """Compute the learning rates of the epoch ``last_epoch``, one per group; ``step()`` calls it."""
        raise NotImplementedError(f"{type(self).__name__} defines no get_lr()")

    def get_last_lr(self) -> list[Any]:
        """Return the learning rates that are set, one per group."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """Return everything but the optimizer; save the optimizer's own state dict beside it."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what ``state_dict()`` returned, which is copied.

        Raises
        ------
        KeyError
            If it is the state of another class; nothing is changed then.
        """
        self._check_state(state_dict)
        self.__dict__.update(copy.deepcopy(state_dict))

    def _check_state(self, state_dict: dict[str, Any]) -> None:
        missing = [key for key in self.state_dict() if not key.startswith("_") and key not in state_dict]
        if missing:
            raise KeyError(f"this is no state of a {type(self).__name__}: it lacks {', '.join(map(repr, missing))}")

    def _warn_outside_step(self) -> None:
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.",
                UserWarning,
                stacklevel=3,
            )


def check_optimizer(optimizer: Any) -> None:
    """Refuse what is no Optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def warn_of_epoch() -> None:
    """Warn of the argument ``epoch``."""
    warnings.warn(
        "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Write "
        "scheduler.step() without it: the scheduler counts by itself",
        UserWarning,
        stacklevel=3,
    )


def value_of(x: Any) -> Any:
    """A number as it is; of a Tensor a copy, since steps change it in place."""
    return x.detach().clone() if isinstance(x, TensorBase) else x  # type: ignore[attr-defined]


def values_of(optimizer: Optimizer, key: str) -> list[Any]:
    """An option of each group."""
    return [value_of(group[key]) for group in optimizer.param_groups]


def assign(optimizer: Optimizer, values: Sequence[Any], key: str = "lr") -> None:
    """Set an option of each group; a Tensor is written into."""
    if len(values) != len(optimizer.param_groups):
        raise ValueError(
            f"the scheduler has {len(values)} values for {len(optimizer.param_groups)} parameter groups: make it after "
            f"the last add_param_group()"
        )
    for group, value in zip(optimizer.param_groups, values, strict=True):
        now = group.get(key)
        if isinstance(now, TensorBase):
            now._array[...] = value.item() if isinstance(value, TensorBase) else value  # type: ignore[attr-defined]
            written(now, "scheduler.step")
        else:
            group[key] = value


def per_group(name: str, optimizer: Optimizer, given: Any) -> list[Any]:
    """One value for each group, of one for all or a list."""
    groups = len(optimizer.param_groups)
    if not isinstance(given, (list, tuple)):
        return [value_of(given) for _ in range(groups)]
    if len(given) != groups:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has {len(given)} values, param_groups "
            f"has {groups}."
        )
    return [value_of(x) for x in given]


def saved_function(function: Callable[..., Any] | None) -> dict[str, Any] | None:
    """What a state dict keeps of a function: the attributes of a callable object, nothing of a plain function."""
    return None if function is None or isinstance(function, types.FunctionType) else function.__dict__.copy()
