"""What may stand beside a Tensor in a call of NumPy's, as a Tensor; and what cannot be done."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..op import TensorBase, wrap

INSTEAD = "Write t.detach().numpy() for an array that is off the tape."


def no_op(name: str) -> TypeError:
    """What is said of a NumPy function that no op here stands for."""
    return TypeError(f"numpy.{name} has no op for a Tensor. {INSTEAD}")


def only_defaults(name: str, given: dict[str, Any]) -> None:
    """Refuse arguments of NumPy's that have no meaning for a new Tensor on the tape."""
    for key, value in given.items():
        if value is not None and value is not np._NoValue:
            raise TypeError(f"numpy.{name} of a Tensor takes no {key}=: the result is a new Tensor. {INSTEAD}")


def number(x: Any) -> Any:
    """A NumPy scalar as the Python number that it stands for; anything else as it is."""
    return x.item() if isinstance(x, np.generic) else x


def tensor(x: Any, beside: Any = None) -> Any:
    """An array, list or number as a Tensor; a number takes a dtype that does not widen the Tensor ``beside`` it."""
    if isinstance(x, TensorBase):
        return x
    x = number(x)
    if isinstance(x, (bool, int, float, complex)):
        like = dtypes.scalar(x) if beside is None else dtypes.result_type(beside._array, x)
        return wrap(np.asarray(x, like.numpy))
    array = np.asarray(x)
    dtypes.of(array)  # objects and strings are a TypeError that says so
    return wrap(array)


def tensors(xs: Any) -> list[Any]:
    """All operands as Tensors."""
    known = next((x for x in xs if isinstance(x, TensorBase)), None)
    return [tensor(x, known) for x in xs]


def common(xs: Any) -> list[Any]:
    """All operands as Tensors of the one dtype that NumPy would bring them to."""
    made = tensors(xs)
    target = dtypes.result_type(*(x._array for x in made))
    return [x.to(target) for x in made]
