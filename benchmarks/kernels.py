"""Kernels against PyTorch's functions, array in and array out, on one thread and on all.

python -m benchmarks.kernels
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.harness import HEADER, compare
from tinygrad_loss import kernels

Pair = tuple[str, Callable[[], object], Callable[[], object], float | None]


def unary() -> Iterator[Pair]:
    """Elementwise functions; the goals are those of exp and sigmoid."""
    rng = np.random.default_rng(0)
    theirs = {name: getattr(torch, name) for name in ("exp", "sigmoid", "log", "log1p", "expm1", "tanh")}
    theirs["logsigmoid"] = F.logsigmoid
    for count in (10, 1_000, 1_000_000):
        x = rng.uniform(0.1, 3, count).astype(np.float32)
        t = torch.from_numpy(x)
        for name, f in theirs.items():
            ours = getattr(kernels, name)
            goal = {1_000: 2.0, 1_000_000: 1 / 1.3}.get(count) if name in ("exp", "sigmoid") else None
            yield f"{name} {count:,}", lambda ours=ours, x=x: ours(x), lambda f=f, t=t: f(t), goal


def rows() -> Iterator[Pair]:
    """Functions of rows."""
    rng = np.random.default_rng(0)
    for shape in ((64, 10), (1024, 1000)):
        x = (rng.normal(size=shape) * 3).astype(np.float32)
        t = torch.from_numpy(x)
        for name in ("logsumexp", "softmax", "log_softmax"):
            ours, theirs = getattr(kernels, name), getattr(torch, name)
            yield f"{name} {shape}", lambda f=ours, x=x: f(x, 1), lambda f=theirs, t=t: f(t, 1), None
    x, w, b = (rng.normal(size=s).astype(np.float32) for s in ((64, 10), (30, 10), (30,)))
    tensors = [torch.from_numpy(a) for a in (x, w, b)]
    yield "linear (64, 10) -> 30", lambda: kernels.linear(x, w, b), lambda: F.linear(*tensors), None
    g = rng.normal(size=(64, 30)).astype(np.float32)
    h = torch.from_numpy(g)
    yield "column_sum (64, 30)", lambda: kernels.column_sum(g), lambda: h.sum(0), None


def losses() -> Iterator[Pair]:
    """Value and gradient together; PyTorch's with the tape that it needs for that."""
    rng = np.random.default_rng(0)
    one = np.array(1, np.float32)
    for shape in ((64, 3), (4096, 1000)):
        x = (rng.normal(size=shape) * 3).astype(np.float32)
        t = rng.integers(0, 2, shape).astype(np.float32)
        leaf, target = torch.from_numpy(x.copy()).requires_grad_(), torch.from_numpy(t)

        def ours(x: np.ndarray = x, t: np.ndarray = t) -> object:
            kernels.bce_logits(x, t, None, None, "mean")
            return kernels.bce_logits_grad(one, x, t, None, None, "mean")

        def theirs(leaf: torch.Tensor = leaf, target: torch.Tensor = target) -> object:
            return torch.autograd.grad(F.binary_cross_entropy_with_logits(leaf, target), leaf)

        yield f"BCE with logits, value and gradient {shape}", ours, theirs, 1.0
    for shape in ((64, 10), (1024, 1000), (128, 32000)):
        x = (rng.normal(size=shape) * 3).astype(np.float32)
        k = rng.integers(0, shape[1], shape[0])
        leaf, target = torch.from_numpy(x.copy()).requires_grad_(), torch.from_numpy(k)

        def ours(x: np.ndarray = x[:, :, None], k: np.ndarray = k[:, None]) -> object:
            saved = kernels.cross_entropy(x, k, None, -100, 0.0, "mean")[2]
            return kernels.cross_entropy_grad(one, x, k, None, -100, 0.0, "mean", saved)

        def theirs(leaf: torch.Tensor = leaf, target: torch.Tensor = target) -> object:
            return torch.autograd.grad(F.cross_entropy(leaf, target), leaf)

        yield f"cross-entropy, value and gradient {shape}", ours, theirs, 1.0


if __name__ == "__main__":
    for threads in sorted({1, kernels.get_num_threads()}):
        kernels.set_num_threads(threads)
        torch.set_num_threads(threads)
        print(f"\n{threads} thread{'s' if threads > 1 else ''}\n{HEADER}")
        for group in (unary, rows, losses):
            for name, ours, theirs, goal in group():
                print(compare(name, ours, theirs, goal=goal), flush=True)
