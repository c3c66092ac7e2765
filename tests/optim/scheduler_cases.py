"""The schedulers under test, written so that PyTorch runs the same lines.

`python tests/optim/scheduler_cases.py` writes what PyTorch 2.13 makes of them to tests/fixtures/schedulers.json.
"""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from optim_cases import FIXTURES

STEPS = 100


class Falling:
    """A factor that is a callable object, so that a state dict can hold it."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, epoch: int) -> float:
        return self.rate**epoch


def sequence(s: Any, o: Any) -> Any:
    """A warm-up, a fall, a constant."""
    parts = [s.LinearLR(o, 0.1, total_iters=7), s.CosineAnnealingLR(o, 40), s.ConstantLR(o, 0.5, 20)]
    return s.SequentialLR(o, parts, [7, 50])


def nested(s: Any, o: Any) -> Any:
    """A sequence with a chain in it."""
    chain = s.ChainedScheduler([s.ExponentialLR(o, 0.95), s.StepLR(o, 9)])
    return s.SequentialLR(o, [chain, s.PolynomialLR(o, 30)], [40])


def metric(epoch: int) -> float:
    """A loss that falls, then rises and falls around a level."""
    return max(1.0, 3.0 - 0.2 * epoch) + 0.3 * math.sin(epoch)


Make = Callable[[Any, Any], Any]
# One row for each way to run a scheduler: made of the module `lr_scheduler` and an optimizer.
SCHEDULERS: dict[str, Make] = {
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda epoch: 1 / (1 + epoch)),
    "LambdaLR-list": lambda s, o: s.LambdaLR(o, [Falling(0.9), lambda epoch: epoch % 3]),
    "MultiplicativeLR": lambda s, o: s.MultiplicativeLR(o, lambda epoch: 0.9),
    "MultiplicativeLR-list": lambda s, o: s.MultiplicativeLR(o, [Falling(0.99), lambda epoch: 1.01]),
    "StepLR": lambda s, o: s.StepLR(o, 30),
    "StepLR-gamma": lambda s, o: s.StepLR(o, 7, gamma=0.7),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [3, 50, 50, 80]),
    "MultiStepLR-at-0": lambda s, o: s.MultiStepLR(o, (0, 1), gamma=0.5),
    "ConstantLR": lambda s, o: s.ConstantLR(o),
    "ConstantLR-factor": lambda s, o: s.ConstantLR(o, factor=0.7, total_iters=40),
    "LinearLR": lambda s, o: s.LinearLR(o),
    "LinearLR-down": lambda s, o: s.LinearLR(o, start_factor=1.0, end_factor=0.05, total_iters=90),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.93),
    "PolynomialLR": lambda s, o: s.PolynomialLR(o),
    "PolynomialLR-power": lambda s, o: s.PolynomialLR(o, total_iters=70, power=2.5),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 100),
    "CosineAnnealingLR-again": lambda s, o: s.CosineAnnealingLR(o, 13, eta_min=0.003),
    "CosineAnnealingWarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 10),
    "CosineAnnealingWarmRestarts-longer": lambda s, o: s.CosineAnnealingWarmRestarts(o, 7, 2, eta_min=0.001),
    "CyclicLR": lambda s, o: s.CyclicLR(o, 0.01, 0.1, step_size_up=13),
    "CyclicLR-2": lambda s, o: s.CyclicLR(o, [0.01, 0.02], [0.1, 0.3], 10, 17, mode="triangular2"),
    "CyclicLR-exp": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 9, mode="exp_range", gamma=0.98, cycle_momentum=False),
    "CyclicLR-function": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 9, scale_fn=Falling(0.9), scale_mode="iterations"),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, 0.3, total_steps=101),
    "OneCycleLR-epochs": lambda s, o: s.OneCycleLR(o, [0.3, 0.1], epochs=11, steps_per_epoch=10, pct_start=0.45),
    "OneCycleLR-three": lambda s, o: s.OneCycleLR(o, 0.3, 120, three_phase=True, anneal_strategy="linear"),
    "OneCycleLR-rate-only": lambda s, o: s.OneCycleLR(o, 0.3, 101, cycle_momentum=False, final_div_factor=10.0),
    "ReduceLROnPlateau": lambda s, o: s.ReduceLROnPlateau(o, patience=5),
    "ReduceLROnPlateau-max": lambda s, o: s.ReduceLROnPlateau(o, "max", 0.5, 3, 0.01, "abs", 4, [0.001, 0.01]),
    "ReduceLROnPlateau-abs": lambda s, o: s.ReduceLROnPlateau(o, "min", 0.3, 2, 0.5, "abs", 1, 1e-4, eps=1e-3),
    "ReduceLROnPlateau-rel": lambda s, o: s.ReduceLROnPlateau(o, "max", 0.9, 0, 0.2, "rel"),
    "SequentialLR": sequence,
    "SequentialLR-nested": nested,
    "ChainedScheduler": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 20), s.ExponentialLR(o, 0.9)]),
}
RUNS = [(case, "SGD") for case in SCHEDULERS] + [(case, "Adam") for case in SCHEDULERS if "Cycl" in case]


def make(tg: Any, case: str, optimizer: str = "SGD", lr: float = 0.05) -> Any:
    """A scheduler of a case, with an optimizer of two groups."""
    params = [tg.zeros(2, requires_grad=True), tg.zeros(3, requires_grad=True)]
    options = {"momentum": 0.7} if optimizer == "SGD" else {}
    groups = [{"params": params[:1]}, {"params": params[1:], "lr": lr / 2}]
    return SCHEDULERS[case](tg.optim.lr_scheduler, getattr(tg.optim, optimizer)(groups, lr=lr, **options))


def advance(scheduler: Any, epoch: int) -> None:
    """One step of the optimizer, one of the scheduler."""
    scheduler.optimizer.step()
    if type(scheduler).__name__ == "ReduceLROnPlateau":
        scheduler.step(metric(epoch))
    else:
        scheduler.step()


def trace(tg: Any, case: str, optimizer: str = "SGD") -> list[list[float]]:
    """Learning rate and momentum of each group before each of a hundred steps, and after the last."""
    scheduler = make(tg, case, optimizer)
    rows = []
    for epoch in range(STEPS + 1):
        row = []
        for group, lr in zip(scheduler.optimizer.param_groups, scheduler.get_last_lr(), strict=True):
            assert group["lr"] == lr
            row += [lr, group["momentum"] if "momentum" in group else group["betas"][0]]
        rows.append(row)
        if epoch < STEPS:
            advance(scheduler, epoch)
    return rows


def plain(value: Any) -> Any:
    """A state dict as JSON can hold it."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else type(value).__name__


if __name__ == "__main__":
    import torch

    warnings.simplefilter("ignore")  # a chain in a sequence makes PyTorch warn of what nobody did
    np.savez_compressed(FIXTURES / "schedulers.npz", **{"/".join(run): np.array(trace(torch, *run)).T for run in RUNS})
    states = {}
    for case in SCHEDULERS:
        scheduler = make(torch, case)
        for epoch in range(5):
            advance(scheduler, epoch)
        states[case] = plain(scheduler.state_dict())
    (FIXTURES / "schedulers.json").write_text(json.dumps(states) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(RUNS)} runs\n")
