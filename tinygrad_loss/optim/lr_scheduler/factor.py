"""Schedules that multiply the learning rate by a factor, of the user's or their own."""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from ..optimizer import Optimizer
from .base import LRScheduler, check_optimizer, saved_function, value_of

Factor = Callable[[int], float]


class PerGroup(LRScheduler):
    """A schedule that gives each group its next learning rate by itself."""

    def _next(self, lr: Any, base: Any, i: int) -> Any:
        """The rate of group i, which was ``lr`` just before and ``base`` at first."""
        raise NotImplementedError

    def get_lr(self) -> list[Any]:
        """Compute the learning rates of the epoch ``last_epoch`` from those before it, one per group."""
        self._warn_outside_step()
        groups = zip(self.optimizer.param_groups, self.base_lrs, strict=False)
        return [self._next(value_of(group["lr"]), base, i) for i, (group, base) in enumerate(groups)]


class ClosedForm(PerGroup):
    """One that has a closed form too: what a rate is, not what it is to the one before."""

    def _closed(self, base: Any) -> Any:
        raise NotImplementedError

    def _get_closed_form_lr(self) -> list[Any]:
        return [self._closed(base) for base in self.base_lrs]


class _ByFunction(PerGroup):
    """One whose factor is a function of the user's, or one for each group."""

    lr_lambdas: list[Factor]

    def __init__(self, optimizer: Optimizer, lr_lambda: Factor | list[Factor], last_epoch: int = -1) -> None:
        check_optimizer(optimizer)
        groups = len(optimizer.param_groups)
        self.lr_lambdas = list(lr_lambda) if isinstance(lr_lambda, (list, tuple)) else [lr_lambda] * groups
        if len(self.lr_lambdas) != groups:
            raise ValueError(f"Expected {groups} lr_lambdas, but got {len(self.lr_lambdas)}")
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(f"lr_lambda should be a function, but got {type(function).__name__}")
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return everything but the optimizer and plain functions; of callable objects their attributes."""
        return {**super().state_dict(), "lr_lambdas": [saved_function(f) for f in self.lr_lambdas]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what ``state_dict()`` returned; functions stay as they are."""
        functions = self.lr_lambdas
        super().load_state_dict(state_dict)
        self.lr_lambdas = functions
        for function, saved in zip(functions, state_dict["lr_lambdas"], strict=True):
            if saved is not None:
                function.__dict__.update(copy.deepcopy(saved))


class LambdaLR(_ByFunction):
    r"""The first rate times a function of the epoch, :math:`\gamma_t = \gamma_0 f(t)`.

    Parameters
    ----------
    optimizer : Optimizer
    lr_lambda : callable, or list of one for each group
        :math:`f`.
    last_epoch : int

    Raises
    ------
    ValueError
        If there are not as many functions as groups.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=0.8)
    >>> scheduler = tg.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1 / (1 + epoch))
    >>> optimizer.step()
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.4]
    """

    def _next(self, lr: Any, base: Any, i: int) -> Any:
        return base * self.lr_lambdas[i](self.last_epoch)


class MultiplicativeLR(_ByFunction):
    r"""The rate before times a function of the epoch, :math:`\gamma_t = \gamma_{t-1} f(t)`.

    Parameters
    ----------
    optimizer : Optimizer
    lr_lambda : callable, or list of one for each group
        :math:`f`.
    last_epoch : int

    Raises
    ------
    ValueError
        If there are not as many functions as groups.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=0.8)
    >>> scheduler = tg.optim.lr_scheduler.MultiplicativeLR(optimizer, lambda epoch: 0.5)
    >>> optimizer.step()
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.4]
    """

    def _next(self, lr: Any, base: Any, i: int) -> Any:
        return lr if self._is_initial else lr * self.lr_lambdas[i](self.last_epoch)


class StepLR(ClosedForm):
    r"""Multiply by gamma every ``step_size`` epochs, :math:`\gamma_t = \gamma_0 g^{\lfloor t / s \rfloor}`.

    Parameters
    ----------
    optimizer : Optimizer
    step_size : int
        :math:`s`.
    gamma : float
        :math:`g`.
    last_epoch : int

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=0.8)
    >>> scheduler = tg.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for _ in range(2):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     print(scheduler.get_last_lr())
    [0.8]
    [0.4]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def _next(self, lr: Any, base: Any, i: int) -> Any:
        return lr if self.last_epoch == 0 or self.last_epoch % self.step_size else lr * self.gamma

    def _closed(self, base: Any) -> Any:
        return base * self.gamma ** (self.last_epoch // self.step_size)


class MultiStepLR(ClosedForm):
    """Multiply by gamma at each milestone.

    Parameters
    ----------
    optimizer : Optimizer
    milestones : iterable of int
        Epochs; one that is named twice counts twice.
    gamma : float
    last_epoch : int

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=0.8)
    >>> scheduler = tg.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[1, 30], gamma=0.5)
    >>> optimizer.step()
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.4]
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones, self.gamma = Counter(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def _next(self, lr: Any, base: Any, i: int) -> Any:
        times = self.milestones[self.last_epoch]
        return lr * self.gamma**times if times else lr

    def _closed(self, base: Any) -> Any:
        return base * self.gamma ** bisect_right(sorted(self.milestones.elements()), self.last_epoch)


class ExponentialLR(ClosedForm):
    r"""Multiply by gamma every epoch, :math:`\gamma_t = \gamma_0 g^t`.

    Parameters
    ----------
    optimizer : Optimizer
    gamma : float
        :math:`g`.
    last_epoch : int

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(2, requires_grad=True)], lr=0.8)
    >>> scheduler = tg.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> optimizer.step()
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.4]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _next(self, lr: Any, base: Any, i: int) -> Any:
        return lr if self._is_initial else lr * self.gamma

    def _closed(self, base: Any) -> Any:
        return base * self.gamma**self.last_epoch
