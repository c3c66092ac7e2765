"""Forward plus backward of the losses that train classifiers, against PyTorch on as many threads, and their memory.

python -m benchmarks.losses
"""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import tinygrad_loss as tg
from benchmarks.harness import HEADER, compare
from tinygrad_loss import kernels

CASES: list[tuple[str, tuple[int, int], float]] = [  # the loss, the shape of its logits, how much faster it should be
    ("binary_cross_entropy_with_logits", (64, 3), 2),
    ("binary_cross_entropy_with_logits", (4096, 1000), 1),
    ("cross_entropy", (64, 10), 2),
    ("cross_entropy", (1024, 1000), 1),
    ("cross_entropy", (128, 32000), 1),
]


def step_of(framework: Any, name: str, shape: tuple[int, int]) -> Callable[[], None]:
    """The loss of the same logits and targets in either framework, forward and backward."""
    rng = np.random.default_rng(0)
    x = framework.from_numpy((rng.standard_normal(shape) * 3).astype(np.float32)).requires_grad_()
    if name == "cross_entropy":
        target = framework.from_numpy(rng.integers(0, shape[1], shape[0]))
    else:
        target = framework.from_numpy(rng.integers(0, 2, shape).astype(np.float32))
    loss = getattr(framework.nn.functional, name)

    def step() -> None:
        x.grad = None
        loss(x, target).backward()

    return step


def extra_memory(step: Callable[[], None]) -> int:
    """The largest number of bytes that a step holds at any time beyond what it was given; the gradient is among them."""
    step()
    tracemalloc.start()
    try:
        step()  # the gradient of this step is dropped inside the next
        tracemalloc.clear_traces()
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        step()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def main() -> None:
    """Print the two tables."""
    print(HEADER)
    for threads in sorted({1, min(2, os.cpu_count() or 1)}):
        torch.set_num_threads(threads)
        kernels.set_num_threads(threads)
        for name, shape, goal in CASES:
            label = f"{name.replace('binary_cross_entropy_with', 'BCE with')} {shape}, {threads} thread(s)"
            print(compare(label, step_of(tg, name, shape), step_of(torch, name, shape), goal=goal), flush=True)
    print(f"\n{'peak memory beyond the operands':<44}{'bytes':>12}{'of input':>10}")
    for name, shape, _ in CASES:
        peak, size = extra_memory(step_of(tg, name, shape)), 4 * shape[0] * shape[1]
        print(f"{name + ' ' + str(shape):<44}{peak:>12,}{peak / size:>10.3f}")


if __name__ == "__main__":
    main()
