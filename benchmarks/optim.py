"""Steps of the optimizers and what belongs to them: small parameters, where the overhead counts, and one large one.

python -m benchmarks.optim
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import tinygrad_loss as tg
from benchmarks.harness import HEADER, compare

SMALL = [(30, 10), (30,), (3, 30), (3,)]
CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("Adam", {}),
    ("AdamW", {}),
    ("RMSprop", {}),
    ("Adagrad", {}),
    ("Adadelta", {}),
    ("Adamax", {}),
    ("NAdam", {}),
    ("RAdam", {}),
]


def optimizer_of(framework: Any, name: str, options: dict[str, Any], shapes: list[tuple[int, ...]]) -> Any:
    """An optimizer whose parameters have gradients, after its first step."""
    rng = np.random.default_rng(0)
    params = []
    for shape in shapes:
        p = framework.tensor(rng.standard_normal(shape), dtype=framework.float32, requires_grad=True)
        p.grad = framework.tensor(rng.standard_normal(shape), dtype=framework.float32)
        params.append(p)
    optimizer = getattr(framework.optim, name)(params, lr=1e-6, **options)
    optimizer.step()
    return optimizer


def main() -> None:
    """Print the table, each line on one thread."""
    torch.set_num_threads(1)
    print(HEADER)
    for what, shapes in (("4 small", SMALL), ("1,000,000", [(1_000_000,)])):
        for name, options in CASES:
            label = f"{name}({', '.join(f'{k}={v}' for k, v in options.items())}).step, {what}"
            ours, theirs = (optimizer_of(f, name, options, shapes) for f in (tg, torch))
            print(compare(label, ours.step, theirs.step))
    ours, theirs = (optimizer_of(f, "Adam", {}, SMALL) for f in (tg, torch))
    print(compare("Adam.zero_grad, 4 small", ours.zero_grad, theirs.zero_grad))
    ours, theirs = (f.optim.lr_scheduler.CosineAnnealingLR(o, 10**9) for f, o in ((tg, ours), (torch, theirs)))
    ours.optimizer.step()
    theirs.optimizer.step()
    print(compare("CosineAnnealingLR.step", ours.step, theirs.step))


if __name__ == "__main__":
    main()
