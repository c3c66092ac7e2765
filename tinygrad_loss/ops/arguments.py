"""What the public functions share: axes, NumPy's spellings of arguments, and the errors about them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from ..op import TensorBase

Function = TypeVar("Function", bound=Callable[..., Any])
_NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim", "x": "input"}


def numpy_names(fn: Function) -> Function:
    """Accept NumPy's ``axis`` and ``keepdims`` for ``dim`` and ``keepdim``, as PyTorch does."""

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            kwargs = {_NUMPY_NAMES.get(k, k): v for k, v in kwargs.items()}
        return fn(*args, **kwargs)

    return call  # type: ignore[return-value]


def axis(dim: Any, ndim: int) -> int:
    """A dimension counted from the front; IndexError when there is no such dimension."""
    limit = ndim or 1
    if isinstance(dim, TensorBase):
        dim = dim._array.item()
    if not hasattr(dim, "__index__") or isinstance(dim, bool):
        raise TypeError(f"dim must be an int, got {type(dim).__name__}: {dim!r}")
    if not -limit <= dim < limit:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], but got {dim}): "
            f"the tensor has {ndim} dimension{'' if ndim == 1 else 's'}"
        )
    return int(dim) % limit


def axes(dim: Any, ndim: int) -> tuple[int, ...] | None:
    """One or several dimensions counted from the front; None and () mean all."""
    if dim is None:
        return None
    if not isinstance(dim, (tuple, list)):
        return (axis(dim, ndim),)
    result = tuple(axis(d, ndim) for d in dim)
    if len(set(result)) < len(result):
        raise RuntimeError(f"dim {next(d for d in result if result.count(d) > 1)} appears multiple times in the list of dims")
    return result or None


def sizes(args: tuple[Any, ...]) -> tuple[int, ...]:
    """The sizes of ``f(2, 3)``, ``f((2, 3))`` or ``f([2, 3])``."""
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = tuple(args[0])
    out = []
    for a in args:
        if isinstance(a, TensorBase):
            a = a._array.item()
        if not hasattr(a, "__index__"):
            raise TypeError(f"sizes must be ints, got {type(a).__name__}: {a!r}")
        out.append(int(a))
    return tuple(out)
