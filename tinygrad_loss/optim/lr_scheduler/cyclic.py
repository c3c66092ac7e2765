"""Schedules that rise and fall, momentum against the learning rate."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

from ..optimizer import Optimizer
from .base import LRScheduler, assign, check_optimizer, per_group, saved_function, values_of


class CosineAnnealingWarmRestarts(LRScheduler):
    r"""Fall along half a cosine, then start again from the top.

    .. math::

        \gamma_t = \eta + \frac{\gamma_0 - \eta}{2} \left(1 + \cos \frac{\pi T_{cur}}{T_i}\right)

    (Loshchilov and Hutter 2017, "SGDR: stochastic gradient descent with warm restarts").

    Parameters
    ----------
    optimizer : Optimizer
    T_0 : int
        The length of the first fall.
    T_mult : int
        By how much each is longer than the one before.
    eta_min : float
        :math:`\eta`, the lowest rate.
    last_epoch : int

    Raises
    ------
    ValueError
        If a length is not a positive integer.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=0.8)
    >>> scheduler = tg.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2)
    >>> for _ in range(2):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     print(scheduler.get_last_lr())
    [0.4]
    [0.8]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        if not isinstance(T_0, int) or T_0 <= 0:
            raise ValueError(f"Expected positive integer T_0, but got {T_0}")
        if not isinstance(T_mult, int) or T_mult < 1:
            raise ValueError(f"Expected integer T_mult >= 1, but got {T_mult}")
        if not isinstance(eta_min, (float, int)):
            raise ValueError(f"Expected float or int eta_min, but got {eta_min} of type {type(eta_min)}")
        self.T_0, self.T_i, self.T_mult, self.eta_min = T_0, T_0, T_mult, eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """Compute the learning rates of the moment ``T_cur`` of a fall, one per group."""
        self._warn_outside_step()
        height = 1 + math.cos(math.pi * self.T_cur / self.T_i)
        return [self.eta_min + (base - self.eta_min) * height / 2 for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Set the next learning rates.

        Parameters
        ----------
        epoch : float, optional
            Go to this moment, which need not be whole: ``epoch + batch / batches`` steps within an epoch.
        """
        if epoch is None and self.last_epoch >= 0:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        else:
            epoch = 0 if epoch is None else epoch
            if epoch < 0:
                raise ValueError(f"Expected non-negative epoch, but got {epoch}")
            self._go_to(epoch)
        self.last_epoch = math.floor(epoch)
        self._get_lr_called_within_step = True
        try:
            assign(self.optimizer, self.get_lr())
        finally:
            self._get_lr_called_within_step = False
        self._last_lr = values_of(self.optimizer, "lr")

    def _go_to(self, epoch: float) -> None:
        if epoch < self.T_0:
            self.T_i, self.T_cur = self.T_0, epoch
        elif self.T_mult == 1:
            self.T_cur = epoch % self.T_0
        else:
            falls = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
            self.T_cur = epoch - self.T_0 * (self.T_mult**falls - 1) / (self.T_mult - 1)
            self.T_i = self.T_0 * self.T_mult**falls


class _WithMomentum(LRScheduler):
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


class CyclicLR(_WithMomentum):
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


class OneCycleLR(_WithMomentum):
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
