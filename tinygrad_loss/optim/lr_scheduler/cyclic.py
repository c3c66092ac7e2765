"""Schedules that rise and fall, momentum against the learning rate."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

from ..optimizer import Optimizer
from .base import LRScheduler, assign, check_optimizer, per_group, saved_function


class WithMomentum(LRScheduler):
    """One that moves momentum against the learning rate: ``momentum``, or the first of ``betas``."""

    cycle_momentum: bool
    use_beta1: bool

    def _begin_momentum(
        self, optimizer: Optimizer, low: Any, high: Any, last_epoch: int
    ) -> tuple[list[Any], list[Any]]:
        if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
            raise ValueError(
                f"optimizer must support momentum or beta1 with `cycle_momentum` option enabled; "
                f"{type(optimizer).__name__} has neither: write cycle_momentum=False"
            )
        self.optimizer = optimizer
        self.use_beta1 = "betas" in optimizer.defaults
        lows, highs = per_group("base_momentum", optimizer, low), per_group("max_momentum", optimizer, high)
        if last_epoch == -1:
            self._set_momentum(highs)
            assign(optimizer, highs, "max_momentum")
            assign(optimizer, lows, "base_momentum")
        return lows, highs

    def _set_momentum(self, values: list[Any]) -> None:
        for group, value in zip(self.optimizer.param_groups, values, strict=True):
            if self.use_beta1:
                group["betas"] = (value, *group["betas"][1:])
            else:
                group["momentum"] = value


class CyclicLR(WithMomentum):
    """Rise from ``base_lr`` to ``max_lr`` in equal steps and fall back, again and again; call ``step()`` every batch.

    Smith 2017, "Cyclical learning rates for training neural networks".

    Parameters
    ----------
    optimizer : Optimizer
    base_lr, max_lr : float, or list of one for each group
    step_size_up, step_size_down : int
        The lengths of rise and fall; by default a fall is as long as a rise.
    mode : str
        What becomes of the height: ``"triangular"`` keeps it, ``"triangular2"`` halves it every cycle,
        ``"exp_range"`` multiplies it by ``gamma`` every step.
    gamma : float
    scale_fn : callable, optional
        The factor of the height, in place of a mode.
    scale_mode : str
        What ``scale_fn`` takes: the number of the cycle (``"cycle"``), or of the step (``"iterations"``).
    cycle_momentum : bool
        Let momentum (Adam's first beta) fall while the rate rises.
    base_momentum, max_momentum : float, or list of one for each group
    last_epoch : int

    Raises
    ------
    ValueError
        If the mode is unknown, lists have not one value for each group, or the optimizer has no momentum to cycle.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=0.1, momentum=0.9)
    >>> scheduler = tg.optim.lr_scheduler.CyclicLR(optimizer, base_lr=0.25, max_lr=1.0, step_size_up=2)
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     print(scheduler.get_last_lr())
    [0.625]
    [1.0]
    [0.625]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError(
                f"mode is invalid and scale_fn is None: mode={mode!r}, expected 'triangular', 'triangular2' or "
                f"'exp_range'"
            )
        base_lrs = per_group("base_lr", optimizer, base_lr)
        self.max_lrs = per_group("max_lr", optimizer, max_lr)
        up, down = float(step_size_up), float(step_size_up if step_size_down is None else step_size_down)
        self.total_size, self.step_ratio = up + down, up / (up + down)
        self.mode, self.gamma = mode, gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode if scale_fn is not None else "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.base_momentums, self.max_momentums = self._begin_momentum(
                optimizer, base_momentum, max_momentum, last_epoch
            )
        if last_epoch == -1:
            assign(optimizer, base_lrs)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """Return the factor of a cycle's height, of the number of the cycle or of the step."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "exp_range":
            return float(self.gamma**x)
        return 1.0 if self.mode == "triangular" else 0.5 ** (x - 1)

    def get_lr(self) -> list[Any]:
        """Compute the learning rates of the step ``last_epoch``, one per group, and set the momenta."""
        self._warn_outside_step()
        position = 1.0 + self.last_epoch / self.total_size
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = position - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            pairs = zip(self.base_momentums, self.max_momentums, strict=True)
            self._set_momentum([high - (high - low) * height * scale for low, high in pairs])
        return [low + (high - low) * height * scale for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Return everything but the optimizer and a plain ``scale_fn``; of a callable object its attributes."""
        return {**super().state_dict(), "_scale_fn_custom": saved_function(self._scale_fn_custom)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what ``state_dict()`` returned; ``scale_fn`` stays as it is."""
        function, saved = self._scale_fn_custom, state_dict.get("_scale_fn_custom")
        super().load_state_dict(state_dict)
        self._scale_fn_custom = function
        if function is not None and saved is not None:
            function.__dict__.update(copy.deepcopy(saved))
