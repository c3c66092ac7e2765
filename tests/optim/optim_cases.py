"""The optimizers under test and what is done to them, written so that PyTorch runs the same lines.

`python tests/optim/optim_cases.py` writes what PyTorch 2.13 makes of it to tests/fixtures/optim.npz and optim.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

FIXTURES = Path(__file__).parent.parent / "fixtures"
STEPS = 20


class Scalar(float):
    """A hyperparameter that is handed over as a Tensor of the framework under test."""


# One row for each way to run an optimizer; every test of what optimizers have in common goes through this table.
OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("SGD", {}),
    "SGD-tensor-lr": ("SGD", {"lr": Scalar(0.01)}),
    "SGD-decay": ("SGD", {"lr": 0.1, "weight_decay": 0.5, "maximize": True}),
    "SGD-momentum": ("SGD", {"lr": 0.1, "momentum": 0.9}),
    "SGD-dampening": ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1, "maximize": True}),
    "SGD-nesterov": ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    "Adam": ("Adam", {}),
    "Adam-tensor-lr": ("Adam", {"lr": Scalar(0.01)}),
    "Adam-tensor-betas": ("Adam", {"betas": (Scalar(0.5), Scalar(0.75))}),
    "Adam-amsgrad": ("Adam", {"lr": 0.1, "amsgrad": True, "weight_decay": 0.1}),
    "Adam-maximize": ("Adam", {"lr": 0.1, "betas": (0.3, 0.7), "eps": 1e-3, "maximize": True}),
    "Adam-decoupled": ("Adam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    "AdamW": ("AdamW", {"lr": 0.1}),
    "AdamW-amsgrad": ("AdamW", {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True, "maximize": True}),
    "RMSprop": ("RMSprop", {}),
    "RMSprop-momentum": ("RMSprop", {"momentum": 0.9, "weight_decay": 0.1}),
    "RMSprop-centered": ("RMSprop", {"centered": True, "alpha": 0.4, "maximize": True}),
    "RMSprop-all": ("RMSprop", {"lr": 0.001, "centered": True, "momentum": 0.5, "weight_decay": 0.1, "eps": 1e-2}),
    "Adagrad": ("Adagrad", {}),
    "Adagrad-all": (
        "Adagrad",
        {"lr": 0.1, "lr_decay": 0.5, "weight_decay": 0.1, "initial_accumulator_value": 0.1, "maximize": True},
    ),
    "Adadelta": ("Adadelta", {}),
    "Adadelta-all": ("Adadelta", {"lr": 0.5, "rho": 0.95, "eps": 1e-3, "weight_decay": 0.9, "maximize": True}),
    "Adamax": ("Adamax", {}),
    "Adamax-all": ("Adamax", {"lr": 0.1, "betas": (0.3, 0.9), "weight_decay": 0.1, "maximize": True}),
    "NAdam": ("NAdam", {}),
    "NAdam-decay": ("NAdam", {"lr": 0.1, "weight_decay": 0.1, "momentum_decay": 6e-3, "maximize": True}),
    "NAdam-decoupled": ("NAdam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    "RAdam": ("RAdam", {}),
    "RAdam-decay": ("RAdam", {"lr": 0.1, "weight_decay": 0.1, "eps": 1e-6, "maximize": True}),
    "RAdam-decoupled": ("RAdam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True, "betas": (0.8, 0.9)}),
}
DTYPES = ("float64", "float32")


def given(tg: Any, value: Any) -> Any:
    """An option as the framework ``tg`` takes it."""
    if isinstance(value, Scalar):
        return tg.tensor(float(value))
    return tuple(given(tg, v) for v in value) if isinstance(value, tuple) else value


def make(tg: Any, case: str, params: Any, **changes: Any) -> Any:
    """The optimizer of a case."""
    name, options = OPTIMIZERS[case]
    return getattr(tg.optim, name)(params, **{k: given(tg, v) for k, v in {**options, **changes}.items()})


class Drawn:
    """Parameters of several shapes, and gradients that depend on them and on chance."""

    def __init__(self, tg: Any, dtype: str = "float64", shapes: Any = ((3, 5), (17,), (), (0, 2), (2, 1, 3))) -> None:
        self.tg, self.dtype = tg, getattr(tg, dtype)
        self.rng = np.random.default_rng(0)
        self.params = [tg.tensor(self.rng.standard_normal(s), dtype=self.dtype, requires_grad=True) for s in shapes]

    def gradients(self, skip: Any = ()) -> None:
        """Set new gradients, and none for the parameters with these numbers."""
        for i, p in enumerate(self.params):
            noise = self.rng.standard_normal(tuple(p.shape))
            p.grad = None if i in skip else self.tg.tensor(noise + 0.3 * values(p), dtype=self.dtype)


def values(t: Any) -> np.ndarray:
    """A Tensor as a float64 array; also one that needs a gradient, and a Tensor of PyTorch."""
    return t.detach().numpy().astype(np.float64)


# ---- what is done to an optimizer ----------------------------------------------------------------


def plain(tg: Any, case: str, dtype: str) -> Any:
    """Twenty steps of two groups; one parameter has a gradient in every other step only, one never."""
    drawn = Drawn(tg, dtype, ((3, 5), (17,), (), (0, 2), (2, 1, 3), (4,)))
    optimizer = make(tg, case, [{"params": drawn.params[:2]}, {"params": drawn.params[2:], "lr": 0.02}])
    for step in range(STEPS):
        drawn.gradients(skip=(4, 5) if step % 2 else (5,))
        optimizer.step()
    return drawn.params, optimizer


def changed_options(tg: Any, case: str, dtype: str) -> Any:
    """Options that change on the way."""
    drawn = Drawn(tg, dtype)
    optimizer = make(tg, case, drawn.params, lr=0.05)
    group = optimizer.param_groups[0]
    for step in range(STEPS):
        drawn.gradients()
        optimizer.step()
        group["lr"] *= 0.9
        if step == 5:
            group["weight_decay"] = 0.2
            group["maximize"] = not group["maximize"]
        if step == 9 and "betas" in group:
            group["betas"] = (0.5, 0.6)
        if step == 12 and "eps" in group:
            group["eps"] = 1e-3
    return drawn.params, optimizer


def later_group(tg: Any, case: str, dtype: str) -> Any:
    """A group that is added on the way."""
    drawn = Drawn(tg, dtype)
    optimizer = make(tg, case, drawn.params[:2])
    for step in range(STEPS):
        drawn.gradients()
        optimizer.step()
        if step == 7:
            optimizer.add_param_group({"params": drawn.params[2:], "lr": 0.3})
    return drawn.params, optimizer


def replaced_data(tg: Any, case: str, dtype: str) -> Any:
    """Parameters whose data is replaced, and written to, on the way."""
    drawn = Drawn(tg, dtype)
    optimizer = make(tg, case, drawn.params)
    for step in range(STEPS):
        drawn.gradients()
        optimizer.step()
        if step == 4:
            drawn.params[0].data = tg.tensor(np.full((3, 5), 0.25), dtype=drawn.dtype)
        if step == 8:
            drawn.params[1].data[3:5] = 2.0
    return drawn.params, optimizer


def reloaded(tg: Any, case: str, dtype: str) -> Any:
    """A run that goes on in another optimizer, from the state dict."""
    drawn = Drawn(tg, dtype)
    optimizer = make(tg, case, drawn.params)
    for step in range(STEPS):
        if step in (0, 9):
            other = make(tg, case, drawn.params, lr=7.0)
            other.load_state_dict(optimizer.state_dict())
            optimizer = other
        drawn.gradients()
        optimizer.step()
    return drawn.params, optimizer


def seen_state(tg: Any, case: str, dtype: str) -> Any:
    """State that is cleared, changed in place and replaced on the way."""
    drawn = Drawn(tg, dtype)
    optimizer = make(tg, case, drawn.params)
    kept = optimizer.state
    for step in range(STEPS):
        drawn.gradients()
        optimizer.step()
        if step == 3:
            for entry in optimizer.state[drawn.params[0]].values():
                entry[...] = entry * 2
        if step == 6:
            for name, entry in kept[drawn.params[1]].items():
                kept[drawn.params[1]][name] = entry * 3
        if step == 10 and OPTIMIZERS[case][0] != "Adagrad":  # which makes its state but once
            kept.pop(drawn.params[2], None)
    return drawn.params, optimizer


def transposed(tg: Any, case: str, dtype: str) -> Any:
    """Parameters and gradients that are not contiguous."""
    drawn = Drawn(tg, dtype, ())
    arrays = [np.random.default_rng(i).standard_normal((4, 3)) for i in range(3)]
    tensors = [tg.tensor(a, dtype=drawn.dtype) for a in arrays]
    drawn.params = [tensors[0].t().requires_grad_(), tensors[1][:, 1:].requires_grad_(), tensors[2].requires_grad_()]
    optimizer = make(tg, case, drawn.params)
    for _ in range(STEPS):
        drawn.gradients()
        drawn.params[2].grad = tg.tensor(values(drawn.params[2].grad).T.copy(), dtype=drawn.dtype).t()
        optimizer.step()
    return [*drawn.params, *tensors], optimizer


SCENARIOS = (plain, changed_options, later_group, replaced_data, reloaded, seen_state, transposed)


def outcome(tg: Any, scenario: Any, case: str, dtype: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """All numbers that a run ends with, by name; and how optimizer and state dict look."""
    params, optimizer = scenario(tg, case, dtype)
    arrays = {f"param {i}": values(p) for i, p in enumerate(params)}
    state_dict = optimizer.state_dict()
    looks: dict[str, Any] = {
        "repr": repr(optimizer),
        "groups": [list(g) for g in state_dict["param_groups"]],
        "state": {},
    }
    for i, state in state_dict["state"].items():
        looks["state"][str(i)] = {k: [str(t.dtype), list(t.shape)] for k, t in state.items()}
        arrays |= {f"state {i} {key}": values(t) for key, t in state.items()}
    return arrays, looks


# What is frozen: each case, and each scenario with the case of each optimizer that has most options. Parity runs all.
RICH = [
    "SGD-dampening", "Adam-amsgrad", "AdamW-amsgrad", "RMSprop-all", "Adagrad-all", "Adadelta-all", "Adamax-all",
    "NAdam-decay", "RAdam-decay",
]  # fmt: skip
RUNS = [(plain, case, dtype) for case in OPTIMIZERS for dtype in DTYPES]
RUNS += [(scenario, case, "float64") for scenario in SCENARIOS[1:] for case in RICH]


def run_id(run: Any) -> str:
    """The name of a run."""
    return f"{run[1]}/{run[2]}/{run[0].__name__}"


def row(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The numbers of a run in one row: a file of thousands of little arrays would be mostly names."""
    return np.concatenate([arrays[name].ravel() for name in sorted(arrays)])


if __name__ == "__main__":
    import torch

    frozen, looks = {}, {}
    for run in RUNS:
        arrays, look = outcome(torch, *run)
        frozen[run_id(run)] = row(arrays).astype(run[2])
        if run[0] is not plain or run[2] == "float64":
            looks[run_id(run)] = look
    np.savez_compressed(FIXTURES / "optim.npz", **frozen)
    (FIXTURES / "optim.json").write_text(json.dumps(looks) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(frozen)} runs\n")
