"""What all losses share as modules: a reduction, perhaps weights, and a docstring that says what is computed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from ....op import TensorBase
from ....ops.losses.checks import legacy
from ....tensor import Tensor
from ..module import Module

Class = TypeVar("Class", bound=type)


def described_by(function: Callable[..., Any]) -> Callable[[Class], Class]:
    """Let a module's docstring say what its function's does: formula, gradient, shapes, stable form, errors."""

    def extend(cls: Class) -> Class:
        own, described = inspect.cleandoc(cls.__doc__ or ""), inspect.cleandoc(function.__doc__ or "")
        head, _, example = own.partition("Examples\n--------\n")
        body = described.partition("Examples\n--------\n")[0].rstrip()
        called = f"Calls ``nn.functional.{function.__name__}``, which is described so:"
        cls.__doc__ = f"{head.rstrip()}\n\n{called}\n\n{body}\n\nExamples\n--------\n{example}"
        return cls

    return extend


class Loss(Module):
    """A loss with a reduction."""

    reduction: str

    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean") -> None:
        super().__init__()
        no_data(self, size_average, reduce, reduction)
        self.reduction = legacy(reduction, size_average, reduce)


def no_data(loss: Module, *settings: Any) -> None:
    """Raise for the slip ``nn.BCELoss(input, target)``, which PyTorch takes for settings."""
    if any(isinstance(value, TensorBase) for value in settings):
        name = type(loss).__name__
        raise TypeError(
            f"{name}(input, target) calls the constructor, which takes settings. Make the loss first, then call it: "
            f"{name}()(input, target), or loss = {name}() and loss(input, target)"
        )


class WeightedLoss(Loss):
    """A loss with a weight for each class, or element."""

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
