"""What the public functions share: axes, NumPy's spellings of arguments, and the errors about them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from .. import dtypes
from ..op import TensorBase, mode, sample

Function = TypeVar("Function", bound=Callable[..., Any])
# The samples of ops of two operands: equal shapes, broadcast ones, 0-d, empty, with a number.
PAIRS = [sample((3, 4), (3, 4)), sample((3, 1), (4,)), sample((), (2, 3)), sample((0, 3), (3,)), sample((2, 3), 0.7)]
FEW = [PAIRS[1], PAIRS[4]]
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
    """One or several dimensions counted from the front; None stays None, () means all."""
    if dim is None:
        return None
    if not isinstance(dim, (tuple, list)):
        result: tuple[int, ...] = (axis(dim, ndim),)
    else:
        result = tuple(axis(d, ndim) for d in dim) or tuple(range(ndim))
        if len(set(result)) < len(result):
            twice = next(d for d in result if result.count(d) > 1)
            raise RuntimeError(f"dim {twice} appears multiple times in the list of dims {list(dim)}")
    return result if ndim else ()


def sizes(args: tuple[Any, ...], named: Any = None) -> tuple[int, ...]:
    """The sizes of ``f(2, 3)``, ``f((2, 3))``, ``f([2, 3])`` or, by name, ``f(size=(2, 3))``."""
    if not args and named is not None:
        args = (named,)
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


def documented(text: str, example: str, shown: str) -> str:
    """The docstring of a row that is itself a public function."""
    lines = "\n".join(f"    {line}" for line in shown.splitlines())
    return f"{text}\n\n    Examples\n    --------\n    >>> import tinygrad_loss as tg\n    >>> {example}\n{lines}\n    "


def tensor_of(input: Any, name: str, place: str = "input") -> Any:
    """The ndarray of what must be a Tensor."""
    if not isinstance(input, TensorBase):
        raise TypeError(
            f"{name}(): argument '{place}' must be Tensor, not {type(input).__name__}; write tensor({input!r:.40})"
        )
    return input._array


def unsupported(name: str, array: Any) -> NotImplementedError:
    """The error of an op that has no meaning for a dtype."""
    return NotImplementedError(f'"{name}" not implemented for {dtypes.of(array)}: write {name}(input.float())')


def kept(index: Any) -> Any:
    """Positions or a mask as the tape may keep them: a copy, so that writing into them later changes no gradient."""
    return index.copy() if mode.grad else index


def array_of(x: Any) -> Any:
    """The ndarray of what a rule is given: an array, or a Tensor under ``create_graph``."""
    return x._array if isinstance(x, TensorBase) else x


def is_number(x: Any) -> bool:
    """Tell a Python number from an array or a Tensor."""
    return isinstance(x, (int, float))


def common_shape(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that these broadcast to."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise RuntimeError(
            f"The size of tensor a must match the size of tensor b at every dimension, counted from the end, at which "
            f"neither is 1: got the shapes {' and '.join(str(list(s)) for s in shapes)}"
        ) from None
