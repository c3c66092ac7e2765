"""How long a gradient check takes: the 423 parameters of the multi-label model, beside PyTorch's gradcheck of the same.

python -m benchmarks.verify
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

import tinygrad_loss as tg
from benchmarks.harness import HEADER, compare
from tinygrad_loss import kernels
from tinygrad_loss.autograd import gradcheck, verify


def loss_of(framework: Any) -> tuple[Any, Callable[[], Any]]:
    """The model of the example, 10-30-3 with sigmoid and BCELoss on a batch of 64, and its loss."""
    nn = framework.nn
    framework.manual_seed(0)
    x, y = framework.rand(64, 10).double(), (framework.rand(64, 3) > 0.5).double()
    model = nn.Sequential(nn.Linear(10, 30), nn.ReLU(), nn.Linear(30, 3), nn.Sigmoid()).double()
    criterion = nn.BCELoss()
    return model, lambda: criterion(model(x), y)


def main() -> None:
    torch.set_num_threads(1)
    kernels.set_num_threads(1)
    ours, our_loss = loss_of(tg)
    theirs, their_loss = loss_of(torch)
    assert abs(our_loss().item() - their_loss().item()) < 1e-12
    start = time.perf_counter()
    report = verify(our_loss, ours)
    print(f"{'verify, cold':<44}{time.perf_counter() - start:>10.2f} s")
    assert report, report
    assert report.checked == 423
    our_parameters, their_parameters = list(ours.parameters()), list(theirs.parameters())
    print(HEADER)

    def reference() -> bool:
        return torch.autograd.gradcheck(lambda *_: their_loss(), their_parameters)

    print(
        compare("verify and gradcheck of 423 parameters", lambda: verify(our_loss, ours), reference, rounds=7, goal=1)
    )
    print(
        compare(
            "gradcheck and gradcheck",
            lambda: gradcheck(lambda *_: our_loss(), our_parameters),
            reference,
            rounds=5,
            goal=1,
        )
    )
    times = []
    for _ in range(9):
        start = time.perf_counter()
        verify(our_loss, ours)
        times.append(time.perf_counter() - start)
    print(f"{'verify, warm: the median of nine':<44}{sorted(times)[4]:>10.3f} s   goal 0.3 s")
    x = tg.randn(16, 1000)
    large = tg.nn.Sequential(tg.nn.Linear(1000, 900), tg.nn.Tanh(), tg.nn.Linear(900, 110))
    start = time.perf_counter()
    assert verify(lambda: large(x).square().mean(), large)
    elements = sum(p.numel() for p in large.parameters())
    print(f"{f'verify of {elements:,} parameters':<44}{time.perf_counter() - start:>10.1f} s   goal 60 s")


if __name__ == "__main__":
    main()
