"""The schedule of one rise and one long fall."""

from __future__ import annotations

import math
from typing import Any

from ..optimizer import Optimizer
from .base import check_optimizer, per_group
from .cyclic import WithMomentum


class OneCycleLR(WithMomentum):
    """Rise from ``max_lr / div_factor`` to ``max_lr``, then fall far below; call ``step()`` every batch.

    Smith and Topin 2019, "Super-convergence: very fast training of neural networks using large learning rates".

    Parameters
    ----------
    optimizer : Optimizer
    max_lr : float, or list of one for each group
    total_steps : int
        How many steps the schedule has; or
    epochs, steps_per_epoch : int
        whose product it is.
    pct_start : float
        The part of them in which the rate rises.
    anneal_strategy : str
        ``"cos"`` or ``"linear"``.
    cycle_momentum : bool
        Let momentum (Adam's first beta) fall while the rate rises.
    base_momentum, max_momentum : float, or list of one for each group
    div_factor, final_div_factor : float
        The first rate is ``max_lr / div_factor``, the last is that over ``final_div_factor``.
    three_phase : bool
        Fall to the first rate as fast as it rose, then to the last.
    last_epoch : int

    Raises
    ------
    ValueError
        If the number of steps is not given or not positive, ``pct_start`` not a float between 0 and 1, the strategy
        unknown; and by ``step()`` beyond the last step.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=0.1, momentum=0.9)
    >>> scheduler = tg.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    >>> for _ in range(2):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     print(scheduler.get_last_lr())
    [0.52]
    [1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        if total_steps is not None:
            self.total_steps = _positive("total_steps", total_steps)
        elif epochs is not None and steps_per_epoch is not None:
            self.total_steps = _positive("epochs", epochs) * _positive("steps_per_epoch", steps_per_epoch)
        else:
            raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
        if not isinstance(pct_start, float) or not 0.0 <= pct_start <= 1.0:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_func_type = anneal_strategy
        rise, last = pct_start * self.total_steps, self.total_steps - 1
        self._schedule_phases = [_phase(rise - 1, "initial_lr", "max_lr", "max_momentum", "base_momentum")]
        if three_phase:
            self._schedule_phases += [
                _phase(2 * pct_start * self.total_steps - 2, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
                _phase(last, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
            ]
        else:
            self._schedule_phases += [_phase(last, "max_lr", "min_lr", "base_momentum", "max_momentum")]
        highest = per_group("max_lr", optimizer, max_lr)
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._begin_momentum(optimizer, base_momentum, max_momentum, last_epoch)
        if last_epoch == -1:
            for group, high in zip(optimizer.param_groups, highest, strict=True):
                first = high / div_factor
                group.update(initial_lr=first, max_lr=high, min_lr=first / final_div_factor)
        super().__init__(optimizer, last_epoch)

    def _between(self, start: Any, end: Any, part: float) -> Any:
        if self._anneal_func_type == "cos":
            return end + (start - end) / 2.0 * (math.cos(math.pi * part) + 1)
        return (end - start) * part + start

    def get_lr(self) -> list[Any]:
        """Compute the learning rates of the step ``last_epoch``, one per group, and set the momenta."""
        self._warn_outside_step()
        if self.last_epoch > self.total_steps:
            raise ValueError(
                f"Tried to step {self.last_epoch} times. The specified number of total steps is {self.total_steps}"
            )
        begin, phase = 0.0, self._schedule_phases[0]
        for following in self._schedule_phases[1:]:
            if self.last_epoch <= phase["end_step"]:
                break
            begin, phase = phase["end_step"], following
        part = (self.last_epoch - begin) / (phase["end_step"] - begin)
        groups = self.optimizer.param_groups
        if self.cycle_momentum:
            start, end = phase["start_momentum"], phase["end_momentum"]
            self._set_momentum([self._between(group[start], group[end], part) for group in groups])
        return [self._between(group[phase["start_lr"]], group[phase["end_lr"]], part) for group in groups]


def _positive(name: str, n: Any) -> int:
    if not isinstance(n, int) or n <= 0:
        raise ValueError(f"Expected positive integer {name}, but got {n}")
    return n


def _phase(end_step: float, *ends: str) -> dict[str, Any]:
    return {
        "end_step": end_step,
        **dict(zip(("start_lr", "end_lr", "start_momentum", "end_momentum"), ends, strict=True)),
    }
