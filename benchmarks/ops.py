"""The thirty most common ops on ten numbers, forward and backward, in turn with PyTorch.

python -m benchmarks.ops [name ...]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch

import tinygrad_loss as tg
from benchmarks.harness import HEADER, compare

GOAL = 1.0
# Called with a framework, a tensor of ten numbers from (0, 1) that requires a gradient, and another that does not.
OPS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "add": lambda f, x, y: x + y,
    "sub": lambda f, x, y: x - y,
    "mul": lambda f, x, y: x * y,
    "mul by a number": lambda f, x, y: x * 2.0,
    "div": lambda f, x, y: x / y,
    "pow": lambda f, x, y: x**2,
    "neg": lambda f, x, y: -x,
    "abs": lambda f, x, y: x.abs(),
    "exp": lambda f, x, y: x.exp(),
    "log": lambda f, x, y: x.log(),
    "sqrt": lambda f, x, y: x.sqrt(),
    "sin": lambda f, x, y: x.sin(),
    "clamp": lambda f, x, y: x.clamp(0.2, 0.8),
    "maximum": lambda f, x, y: f.maximum(x, y),
    "where": lambda f, x, y: f.where(y > 0.5, x, y),
    "relu": lambda f, x, y: f.relu(x),
    "gelu": lambda f, x, y: f.nn.functional.gelu(x),
    "sigmoid": lambda f, x, y: f.sigmoid(x),
    "tanh": lambda f, x, y: f.tanh(x),
    "softmax": lambda f, x, y: f.softmax(x, 0),
    "log_softmax": lambda f, x, y: f.log_softmax(x, 0),
    "logsumexp": lambda f, x, y: f.logsumexp(x, 0),
    "sum": lambda f, x, y: x.sum(),
    "mean": lambda f, x, y: x.mean(),
    "max": lambda f, x, y: x.max(),
    "reshape": lambda f, x, y: x.reshape(2, 5),
    "transpose": lambda f, x, y: x.unsqueeze(0).t(),
    "cat": lambda f, x, y: f.cat([x, y]),
    "index": lambda f, x, y: x[2:7],
    "matmul": lambda f, x, y: x @ y,
}


def call(framework: Any, f: Callable[[Any, Any, Any], Any], values: list[list[float]]) -> Callable[[], Any]:
    """One forward and backward from a given gradient; the leaf's own gradient starts anew each time."""
    x = framework.tensor(values[0], requires_grad=True)
    y = framework.tensor(values[1])
    g = framework.ones_like(f(framework, x, y))

    def run() -> Any:
        x.grad = None
        f(framework, x, y).backward(g)
        return x.grad

    return run


def main(names: list[str]) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    tg.kernels.set_num_threads(1)
    values = [(torch.rand(10) * 0.98 + 0.01).tolist() for _ in range(2)]
    print(HEADER)
    slower = []
    for name in names or OPS:
        ours, theirs = call(tg, OPS[name], values), call(torch, OPS[name], values)
        a, b = ours().numpy(), theirs().numpy()
        assert abs(a - b).max() < 1e-5, (name, a, b)
        found = compare(name, ours, theirs, rounds=9, seconds=0.02, goal=GOAL)
        print(found, flush=True)
        slower += [name] if found.speedup < GOAL else []
    print(f"slower than PyTorch: {', '.join(slower) or 'none'}")


if __name__ == "__main__":
    main(sys.argv[1:])
