"""What all losses check of their arguments, and how they say what to write instead."""

from __future__ import annotations

import math
import sys
import warnings
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ... import dtypes
from ...op import TensorBase
from ..shape import to

REDUCTIONS = ("none", "mean", "sum")
Shape = tuple[int, ...]
F16 = np.dtype("float16")
_PACKAGE = str(Path(__file__).parents[2])


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn, and point to the user's line."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def legacy(reduction: str, size_average: bool | None, reduce: bool | None) -> str:
    """The reduction, or the one that PyTorch's two old flags stand for where they are given."""
    if size_average is None and reduce is None:
        return reduction
    both = (True if size_average is None else size_average), (True if reduce is None else reduce)
    reduction = "none" if not both[1] else "mean" if both[0] else "sum"
    warn(f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.")
    return reduction


def check_reduction(reduction: Any) -> None:
    """Raise unless ``reduction`` is one of the three."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"{reduction} is not a valid value for reduction: write 'none', 'mean' or 'sum'")


def check_tensors(name: str, **arguments: Any) -> None:
    """Raise for the first argument that is no Tensor."""
    for argument, value in arguments.items():
        if not isinstance(value, TensorBase):
            raise TypeError(
                f"{name}(): argument '{argument}' must be Tensor, not {type(value).__name__}: write "
                f"tensor({value!r:.40})"
            )


def warn_of_positive(name: str, x: Any, rule: str) -> None:
    """Warn if what should be log-probabilities holds positive numbers."""
    positive = (x > 0).reshape(-1)
    if positive.any():
        place = position(int(np.argmax(positive)), x.shape)
        warn(
            f"{name}(): the loss is negative, but {rule}: the input must hold log-probabilities, which are at most 0, "
            f"and input{list(place) or ''} is {float(x[place]):g}. Write log_softmax(input, dim), or input.log() for "
            f"probabilities."
        )


# What an op gives, for losses that apply the same op once more to what they get.
_GIVES = {
    "softmax": "probabilities",
    "sigmoid": "probabilities",
    "log_softmax": "log-probabilities",
    "logsigmoid": "log-probabilities",
}


def warn_if_made_by(name: str, input: TensorBase, ops: tuple[str, ...], wanted: str, instead: str) -> None:
    """Warn where the input comes right from an op that the loss contains itself, or that gives something else."""
    if input._node is not None and input._node.row.name in ops:
        made = input._node.row.name
        warn(f"{name}(): the input is the output of {made}, {_GIVES[made]}, but {name} wants {wanted}. {instead}")


def check_floating(name: str, input: TensorBase) -> None:
    """Raise where integers stand for real numbers."""
    if input._array.dtype.kind != "f":
        raise RuntimeError(f'"{name}" not implemented for {dtypes.of(input._array)}: write {name}(input.float(), ...)')


def check_no_bools(name: str, **arguments: Any) -> None:
    """Raise for bools where numbers are subtracted."""
    for argument, value in arguments.items():
        if value._array.dtype.kind == "b":
            raise RuntimeError(
                f"{name}(): Subtraction, the `-` operator, with a bool tensor is not supported, but {argument} holds bools: "
                f"write {argument}.float()"
            )


def check_constant(name: str, **arguments: Any) -> None:
    """Raise for an argument that asks for a gradient which does not exist."""
    for argument, value in arguments.items():
        if isinstance(value, TensorBase) and (value._node is not None or value._requires_grad):
            raise RuntimeError(
                f"The function '{name}' is not differentiable with respect to argument '{argument}'. This input cannot "
                f"have requires_grad True: write {argument}.detach()"
            )


def advice(input: Shape, target: Shape) -> str:
    """The call that makes a target fit an input of another shape, as far as the shapes tell."""
    for d in range(len(input)):
        if input[d] == 1 and input[:d] + input[d + 1 :] == target:
            return f"Write target.unsqueeze({d}), or input.squeeze({d})."
    for d in range(len(target)):
        if target[d] == 1 and target[:d] + target[d + 1 :] == input:
            return f"Write target.squeeze({d}), or input.unsqueeze({d})."
    if len(input) == 2 and target == input[:1]:
        return (
            f"A target of one class number per row belongs to cross_entropy(input, target); this loss wants "
            f"nn.functional.one_hot(target, {input[1]}).float()."
        )
    if np.prod(input, dtype=int) == np.prod(target, dtype=int):
        return "Write target.reshape(input.shape), if the elements are in that order."
    return "Give them one shape."


def raise_sizes(name: str, input: TensorBase, target: TensorBase) -> NoReturn:
    """Tell that a target has another shape than the input."""
    x, t = input._array.shape, target._array.shape
    raise ValueError(
        f"{name}(): the target size {list(t)} must be the same as the input size {list(x)}. {advice(x, t)}"
    )


def raise_dtypes(name: str, input: TensorBase, other: TensorBase, argument: str = "target") -> NoReturn:
    """Tell that a target, or a weight, has another dtype than the input."""
    x, t = dtypes.of(input._array), dtypes.of(other._array)
    method = {"float64": "double", "float16": "half"}.get(x.name, "float")
    raise RuntimeError(
        f"{name}(): found dtype {t} of the {argument} but expected {x}, that of the input. Write {argument}.{method}()."
    )


def check_broadcast(name: str, argument: str, value: TensorBase, shape: Shape) -> None:
    """Raise unless a weight broadcasts to the shape of the loss without enlarging it."""
    given = value._array.shape
    fits = len(given) <= len(shape) and all(
        n in (1, m) for n, m in zip(given, shape[len(shape) - len(given) :], strict=True)
    )
    if fits:
        return
    last, first = (shape[-1], shape[0]) if shape else (1, 1)
    if argument == "pos_weight":
        what = f"one number for each class, shape [{last}]: how much its positive targets count, such as negatives / positives"
    else:
        what = f"how much each element counts: shape {list(shape)}, [{last}] for classes, or [{first}, 1] for samples"
    raise RuntimeError(
        f"{name}(): {argument} of shape {list(given)} does not broadcast to the shape {list(shape)} of the loss. "
        f"{argument} holds {what}."
    )


def factors(value: TensorBase | None, dtype: Any) -> Any:
    """A weight in the dtype of the loss, or in float64 where that would lose digits."""
    if value is None or value._array.dtype == dtype:
        return value
    return to(value, dtypes.F64)


def share(x_shape: Shape, reduction: str) -> float:
    """What a reduced gradient gives each element."""
    return 1.0 / (math.prod(x_shape) or 1) if reduction == "mean" else 1.0


def position(index: int, shape: Shape) -> tuple[int, ...]:
    """Where a flat index lies."""
    return tuple(int(i) for i in np.unravel_index(index, shape))
