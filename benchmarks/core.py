"""The goals of the core: the training step of the multi-label MLP, exp and sigmoid, start-up, depth, memory.

python -m benchmarks.core
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

import tinygrad_loss as tg
from benchmarks.harness import HEADER, compare
from tinygrad_loss import kernels

ROOT = Path(__file__).parent.parent


def training_step(framework: object, nn: object, optim: object) -> Callable[[], float]:
    """One step of the example: batch 64, 10-30-3, Sigmoid + BCELoss, Adam."""
    framework.manual_seed(0)
    x, y = framework.rand(64, 10), (framework.rand(64, 3) > 0.5).float()
    model = nn.Sequential(nn.Linear(10, 30), nn.ReLU(), nn.Linear(30, 3), nn.Sigmoid())
    criterion, optimizer = nn.BCELoss(), optim.Adam(model.parameters(), lr=1e-3)

    def step() -> float:
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def set_threads(n: int) -> None:
    torch.set_num_threads(n)
    kernels.set_num_threads(n)


def steps() -> None:
    for threads in (1, os.cpu_count() or 1):
        set_threads(threads)
        ours, theirs = training_step(tg, tg.nn, tg.optim), training_step(torch, torch.nn, torch.optim)
        for _ in range(20):
            a, b = ours(), theirs()
            assert abs(a - b) < 1e-5, (a, b)
        print(compare(f"training step, {threads} thread(s)", ours, theirs, goal=4))


def functions() -> None:
    for name in ("exp", "sigmoid"):
        for size, goal in ((1_000, 2), (1_000_000, 1 / 1.3)):
            for threads in (1, os.cpu_count() or 1) if size > 1_000 else (1,):
                set_threads(threads)
                x = torch.randn(size)
                y = tg.from_numpy(x.numpy())
                f, g = getattr(tg, name), getattr(torch, name)
                label = f"{name} of {size:,} float32, {threads} thread(s)"
                print(compare(label, lambda f=f, y=y: f(y), lambda g=g, x=x: g(x), goal=goal))


def process(code: list[str], **env: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *code], cwd=ROOT, check=True, capture_output=True, env={**os.environ, **env})
    return time.perf_counter() - start


def start_up() -> None:
    empty = statistics.median(process(["-c", "pass"]) for _ in range(5))
    pairs = [(process(["-c", "import numba"]), process(["-c", "import tinygrad_loss"])) for _ in range(7)]
    numba, ours = (statistics.median(column) - empty for column in zip(*pairs, strict=True))
    print(
        f"{'import numba':<44}{numba:>10.2f} s\n{'import tinygrad_loss':<44}{ours:>10.2f} s   goal 0.35 where numba takes 0.15"
    )
    with tempfile.TemporaryDirectory() as cache:
        example = ["examples/multilabel_mlp.py"]
        first = process(example, NUMBA_CACHE_DIR=cache)
        later = statistics.median(process(example, NUMBA_CACHE_DIR=cache) for _ in range(3))
    print(
        f"{'the example, first run ever':<44}{first:>10.2f} s   goal 25\n{'the example, later':<44}{later:>10.2f} s   goal 2.5"
    )


def depth_and_memory() -> None:
    x = y = tg.ones(1, requires_grad=True)
    for _ in range(100_000):
        y = y + 1.0
    start = time.perf_counter()
    y.backward()
    print(f"{'backward through 100,000 ops':<44}{time.perf_counter() - start:>10.2f} s")
    assert x.grad.item() == 1.0
    del x, y
    step = training_step(tg, tg.nn, tg.optim)
    for _ in range(500):
        step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(10_000):
        step()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{'peak memory grown over 10,000 steps':<44}{grown:>8} KiB")


if __name__ == "__main__":
    print(HEADER)
    steps()
    functions()
    start_up()
    depth_and_memory()
