"""Checks of hyperparameters, with PyTorch's errors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..op import TensorBase


def described(value: Any) -> str:
    """What was given, for an error."""
    return f"{list(value._array.shape)} {value._array.dtype}" if isinstance(value, TensorBase) else type(value).__name__


def number(value: Any, name: str) -> float:
    """A hyperparameter as a kernel takes it, of a Python or NumPy number or a Tensor of one element."""
    if value.__class__ is float:
        return value
    if isinstance(value, TensorBase) and value._array.size == 1:
        return float(value._array.item())
    if isinstance(value, (int, float, np.number)):
        return float(value)
    raise TypeError(f"{name} must be a number or a Tensor of one element, got {described(value)}: {value!r:.60}")


def not_negative(what: str, value: Any) -> None:
    """Refuse a negative number and NaN."""
    if not number(value, what) >= 0.0:
        raise ValueError(f"Invalid {what}: {value} (expected a number >= 0)")


def learning_rate(lr: Any) -> None:
    """Refuse a negative learning rate, and a Tensor of several."""
    if isinstance(lr, TensorBase) and lr._array.size != 1:
        raise ValueError(f"Tensor lr must be 1-element, got shape {list(lr._array.shape)}")
    not_negative("learning rate", lr)


def decay_rates(betas: Any) -> None:
    """Refuse what are not two numbers of [0, 1)."""
    if len(betas) != 2:
        raise ValueError(f"betas must be two numbers, got {len(betas)}; write betas=(0.9, 0.999)")
    for i, beta in enumerate(betas):
        if not 0.0 <= number(beta, f"betas[{i}]") < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta} (expected 0 <= beta < 1)")


def implementation(foreach: Any, fused: Any, differentiable: Any) -> None:
    """Refuse contradictions between PyTorch's ways to compute a step, and a step on the tape."""
    if fused and differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    if differentiable:
        raise NotImplementedError(
            "differentiable=True: a step is not recorded on the tape. Write the update with operators, "
            "new = w - lr * grad(loss, w, create_graph=True)[0]"
        )
