"""The schedule that watches a metric."""

from __future__ import annotations

import math
from typing import Any

from ..optimizer import Optimizer
from .base import LRScheduler, assign, check_optimizer, values_of, warn_of_epoch


class ReduceLROnPlateau(LRScheduler):
    """Multiply by ``factor`` when a metric has not become better for ``patience`` epochs.

    Parameters
    ----------
    optimizer : Optimizer
    mode : str
        What is better: ``"min"`` less, ``"max"`` more.
    factor : float
        Below 1.
    patience : int
        How many epochs without improvement are borne.
    threshold : float
        By how much a metric must be better than the best: of it (``threshold_mode="rel"``), or as it is (``"abs"``).
    threshold_mode : str
    cooldown : int
        For how many epochs after a reduction none is counted.
    min_lr : float, or list of one for each group
    eps : float
        A smaller change of the rate is not made.

    Raises
    ------
    ValueError
        If the factor is not below 1, a mode unknown, or ``min_lr`` has not one value for each group.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=0.8)
    >>> scheduler = tg.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in [3.0, 2.0, 2.0, 2.0]:
    ...     scheduler.step(loss)
    >>> scheduler.get_last_lr()
    [0.4]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        if factor >= 1.0:
            raise ValueError(f"Factor should be < 1.0. Got {factor}")
        check_optimizer(optimizer)
        if mode not in ("min", "max"):
            raise ValueError(f"mode {mode} is unknown! Write 'min' or 'max'")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold mode {threshold_mode} is unknown! Write 'rel' or 'abs'")
        groups = len(optimizer.param_groups)
        self.default_min_lr = None if isinstance(min_lr, (list, tuple)) else min_lr
        self.min_lrs = list(min_lr) if isinstance(min_lr, (list, tuple)) else [min_lr] * groups
        if len(self.min_lrs) != groups:
            raise ValueError(f"expected {groups} min_lrs, got {len(self.min_lrs)}")
        self.factor, self.optimizer, self.patience, self.cooldown, self.eps = factor, optimizer, patience, cooldown, eps
        self.mode, self.threshold, self.threshold_mode = mode, threshold, threshold_mode
        self.mode_worse = math.inf if mode == "min" else -math.inf
        self.best, self.cooldown_counter, self.num_bad_epochs = self.mode_worse, 0, 0
        self.last_epoch = 0
        self._last_lr = values_of(optimizer, "lr")

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Take note of an epoch's metric, and set the learning rates.

        Parameters
        ----------
        metrics : float or Tensor of one element
        epoch : int, optional
            Deprecated: the number of the epoch.
        """
        current = float(metrics)
        if epoch is not None:
            warn_of_epoch()
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(current):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = values_of(self.optimizer, "lr")

    @property
    def in_cooldown(self) -> bool:
        """Whether bad epochs are not counted for now."""
        return self.cooldown_counter > 0

    def _is_better(self, value: float) -> bool:
        sign = 1.0 if self.mode == "max" else -1.0
        if self.threshold_mode == "rel":
            bound = self.best * (1.0 + sign * self.threshold)
        else:
            bound = self.best + sign * self.threshold
        return value > bound if self.mode == "max" else value < bound

    def _reduce(self) -> None:
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise RuntimeError(
                    f"The number of param groups in the `optimizer` ({len(groups)}) differs from when "
                    f"`ReduceLROnPlateau` was initialized ({len(self.min_lrs)}): extend scheduler.min_lrs after "
                    f"add_param_group()"
                )
            self.min_lrs = [self.default_min_lr] * len(groups)
        now = [float(group["lr"]) for group in groups]
        new = [max(lr * self.factor, low) for lr, low in zip(now, self.min_lrs, strict=True)]
        assign(
            self.optimizer,
            [b if a - b > self.eps else group["lr"] for a, b, group in zip(now, new, groups, strict=True)],
        )
