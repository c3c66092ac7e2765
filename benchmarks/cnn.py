"""The article's CIFAR-10 network and a deeper one, against PyTorch: training steps, evaluation, memory.

python -m benchmarks.cnn [--threads N] [--rounds N], with OPENBLAS_NUM_THREADS=N for another N than all cores: NumPy's
matrix products have threads of their own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .harness import HEADER, compare

STEPS = {4: 2.0, 32: 1.2, 128: 1.0}  # batch size -> how many times PyTorch's speed


def lenet(nn: Any, F: Any, torch: Any) -> Any:
    """The network of the article, in either framework."""

    class Net(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(3, 6, 5)
            self.pool = nn.MaxPool2d(2, 2)
            self.conv2 = nn.Conv2d(6, 16, 5)
            self.fc1 = nn.Linear(16 * 5 * 5, 120)
            self.fc2 = nn.Linear(120, 84)
            self.fc3 = nn.Linear(84, 10)

        def forward(self, x: Any) -> Any:
            x = self.pool(F.relu(self.conv1(x)))
            x = self.pool(F.relu(self.conv2(x)))
            x = x.view(-1, 16 * 5 * 5)
            x = F.relu(self.fc1(x))
            x = F.relu(self.fc2(x))
            return self.fc3(x)

    torch.manual_seed(0)
    return Net()


def small_vgg(nn: Any, F: Any, torch: Any) -> Any:
    """3 x 3 convolutions of 32 and 64 channels."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 8 * 8, 10),
    )


def modules(which: str) -> tuple[Any, Any, Any, Any]:
    """(torch, nn, F, optim) of "ours" or "theirs"."""
    if which == "ours":
        import tinygrad_loss as tg
        from tinygrad_loss import nn, optim

        return tg, nn, nn.functional, optim
    import torch
    from torch import nn as torch_nn
    from torch import optim as torch_optim

    return torch, torch_nn, torch_nn.functional, torch_optim


def step_and_evaluation(
    which: str, make: Callable[..., Any], batch: int
) -> tuple[Callable[[], float], Callable[[], object]]:
    """One training step, and one evaluation, on a batch that is the same in both frameworks."""
    torch, nn, F, optim = modules(which)
    rng = np.random.default_rng(0)
    images = torch.tensor(rng.standard_normal((batch, 3, 32, 32)).astype(np.float32))
    labels = torch.tensor(rng.integers(0, 10, batch))
    net = make(nn, F, torch)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(net.parameters(), lr=0.001, momentum=0.9)

    def step() -> float:
        optimizer.zero_grad()
        loss = criterion(net(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    def evaluate() -> object:
        with torch.no_grad():
            return net(images)

    return step, evaluate


def set_threads(threads: int) -> None:
    """Give both the same number of threads."""
    from tinygrad_loss import kernels

    modules("theirs")[0].set_num_threads(threads)
    kernels.set_num_threads(threads)


def speeds(rounds: int, threads: int) -> bool:
    """Print the comparisons; tell whether all goals are met."""
    set_threads(threads)
    print(HEADER)
    met = True
    cases = [("article's network", lenet, batch, goal) for batch, goal in STEPS.items()]
    cases.append(("3x3, 32 and 64 channels", small_vgg, 32, 1 / 1.5))
    for name, make, batch, goal in cases:
        ours, theirs = (step_and_evaluation(which, make, batch) for which in ("ours", "theirs"))
        first = [(a(), b()) for a, b in [(ours[0], theirs[0])] * 3]
        assert np.allclose(*zip(*first, strict=True), rtol=1e-4), f"losses differ: {first}"
        for part, a, b in zip(("step", "evaluation"), ours, theirs, strict=True):
            result = compare(f"{name}, batch {batch}: {part}", a, b, rounds=rounds, goal=goal)
            print(result, flush=True)
            met = met and result.speedup >= goal
    return met


def megabytes(field: str) -> float:
    """What Linux says of this process: VmRSS is its memory now, VmHWM its peak."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in text.splitlines() if line.startswith(field)).split()[1]) / 1024


def peak(which: str, batch: int) -> tuple[float, float]:
    """Megabytes at the peak of ten training steps: of the process, and more than it had before them."""
    step, _ = step_and_evaluation(which, lenet, 1)
    step()  # what is loaded or compiled once is no part of the network's need
    before = megabytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # start a new peak
    step, _ = step_and_evaluation(which, lenet, batch)
    for _ in range(10):
        step()
    return megabytes("VmHWM"), megabytes("VmHWM") - before


def memory() -> bool:
    """Print both peaks at batch 128."""
    found = []
    for which in ("ours", "theirs"):
        command = [sys.executable, "-m", "benchmarks.cnn", "--peak", which]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found.append([float(number) for number in text.split()])
    ours, theirs = found
    met = all(a <= b for a, b in zip(ours, theirs, strict=True))
    for what, a, b in zip(("whole process", "added by training"), ours, theirs, strict=True):
        print(f"{'peak memory at batch 128, ' + what:<44}{a:>9.1f} MB{b:>9.1f} MB")
    print(f"{'goal: no higher':<44}{'ok' if met else 'MISSED':>12}")
    return met


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--peak", choices=["ours", "theirs"])
    options = parser.parse_args()
    if options.peak:
        print(*peak(options.peak, 128))
        return
    met = speeds(options.rounds, options.threads)
    sys.exit(0 if memory() and met else 1)


if __name__ == "__main__":
    main()
