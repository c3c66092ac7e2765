"""PyTorch's functions on classes: cross-entropy and negative log-likelihood."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import dtypes
from ...dtypes import F32, F64, I64
from ..shape import reshape, to
from .checks import (
    F16,
    REDUCTIONS,
    Shape,
    check_constant,
    check_floating,
    check_reduction,
    check_tensors,
    legacy,
)
from .class_numbers import class_axis, cross_entropy_row, nll_row
from .distributions import soft_row

if TYPE_CHECKING:
    from ...tensor import Tensor


def _check(name: str, input: Tensor, target: Tensor, ignore_index: Any, reduction: str) -> int:
    """Raise for what no kind of target allows; return ignore_index."""
    check_reduction(reduction)
    check_tensors(name, input=input, target=target)
    if not hasattr(ignore_index, "__index__"):
        raise TypeError(
            f"{name}(): argument 'ignore_index' must be int, not {type(ignore_index).__name__}: it is the class number "
            f"whose targets do not count"
        )
    return operator.index(ignore_index)


def _check_weight(name: str, weight: Tensor | None, classes: int) -> None:
    if weight is not None:
        check_tensors(name, weight=weight)
        if weight._array.shape != (classes,):
            raise RuntimeError(
                f"{name}(): weight tensor should be defined either for all {classes} classes or no classes but got "
                f"weight tensor of shape {list(weight._array.shape)}"
            )


def _check_class_numbers(name: str, input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    """Raise for what class numbers do not allow; what the numbers are is seen by the kernel."""
    x, t = input._array, target._array
    if t.dtype != I64 and t.dtype != np.uint8:
        soft = name == "cross_entropy" and t.dtype.kind == "f"
        raise RuntimeError(
            f"{name}(): expected target dtype to be Long or Byte, but got {dtypes.of(t)}. Write target.long() for "
            f"class numbers" + (f"; probabilities must have the shape {list(x.shape)} of the input." if soft else ".")
        )
    if not x.ndim:
        raise ValueError(f"{name}(): expected an input of 1 or more dimensions, (C,) or (N, C, ...), got 0")
    expected = x.shape[:1] + x.shape[2:] if x.ndim > 1 else ()
    if t.shape != expected and not (x.ndim == 1 and t.shape == (1,)):
        _raise_sizes(name, x.shape, t.shape, expected)
    check_floating(name, input)
    _check_weight(name, weight, x.shape[class_axis(x)])
    if weight is not None:
        check_constant(name, weight=weight)
        if weight._array.dtype != x.dtype:
            raise RuntimeError(
                f"{name}(): expected a weight of dtype {dtypes.of(x)}, that of the input, but got "
                f"{dtypes.of(weight._array)}. Write weight.to(input.dtype)."
            )


def _raise_sizes(name: str, x: Shape, t: Shape, expected: Shape) -> None:
    rule = (
        f"an input of shape {list(x)} has {x[len(x) > 1]} classes along dimension {int(len(x) > 1)} and takes class "
        f"numbers of shape {list(expected)}, got {list(t)}."
    )
    if len(x) <= 2 and len(t) > 1:
        how = " Write target.squeeze(1)." if t == (x[0], 1) else ""
        soft = " Probabilities must have the shape of the input." if name == "cross_entropy" else ""
        raise RuntimeError(f"{name}(): 0D or 1D target tensor expected, multi-target not supported: {rule}{how}{soft}")
    if len(x) > 2 and t == x[:-1]:
        how = "input.transpose(1, 2)" if len(x) == 3 else "input.movedim(-1, 1)"
        raise RuntimeError(f"{name}(): {rule} If the classes are in the last dimension, write {how}.")
    if len(x) > 2 and t[:1] == x[:1]:
        raise RuntimeError(f"{name}(): {rule}")
    batches = f" The batch sizes {x[0]} and {t[0] if t else 0} differ." if len(x) > 1 else ""
    raise ValueError(f"{name}(): {rule}{batches}")


def _wide(*tensors: Tensor | None) -> tuple[Any, ...]:
    """Half precision as float32, which is what kernels take."""
    return tuple(to(t, F32) if t is not None and t._array.dtype == F16 else t for t in tensors)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return minus the log-probability of the target's class, times its weight, averaged or summed."""
    if size_average is not None or reduce is not None:
        reduction = legacy(size_average, reduce)
    ignore_index = _check("nll_loss", input, target, ignore_index, reduction)
    _check_class_numbers("nll_loss", input, target, weight)
    dtype = input._array.dtype
    input, weight = _wide(input, weight)
    out, _ = nll_row(input, to(target, I64), weight, ignore_index=ignore_index, reduction=reduction)
    return to(out, dtype)  # type: ignore[no-any-return]


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return logsumexp(x) - x[target], averaged or summed."""
    if size_average is not None or reduce is not None:
        reduction = legacy(size_average, reduce)
    try:
        x, t = input._array, target._array
    except AttributeError:
        check_tensors("cross_entropy", input=input, target=target)
        raise
    if (
        t.dtype is I64
        and t.ndim == 1
        and x.ndim == 2
        and len(t) == len(x)
        and (x.dtype is F32 or x.dtype is F64)
        and weight is None
        and label_smoothing == 0.0
        and ignore_index.__class__ is int
        and reduction in REDUCTIONS
    ):  # the common case, in as few steps as may be
        return cross_entropy_row(  # type: ignore[no-any-return]
            input, target, None, ignore_index=ignore_index, label_smoothing=0.0, reduction=reduction
        )[0]
    ignore_index = _check("cross_entropy", input, target, ignore_index, reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    settings = {"label_smoothing": float(label_smoothing), "reduction": reduction}
    if x.shape == t.shape:
        return _soft(input, target, weight, ignore_index, settings)
    _check_class_numbers("cross_entropy", input, target, weight)
    input, weight = _wide(input, weight)
    out, _ = cross_entropy_row(input, to(target, I64), weight, ignore_index=ignore_index, **settings)
    return to(out, x.dtype)  # type: ignore[no-any-return]


def _soft(input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, settings: dict[str, Any]) -> Tensor:
    x, t = input._array, target._array
    if t.dtype.kind != "f":
        raise RuntimeError(
            f"cross_entropy(): expected floating point type for target with class probabilities, got {dtypes.of(t)}: "
            f"a target of the input's shape {list(x.shape)} holds probabilities, write target.float(); class numbers "
            f"have the shape {list(x.shape[:1] + x.shape[2:] if x.ndim > 1 else ())}"
        )
    if not x.ndim:
        raise IndexError("cross_entropy(): expected an input of 1 or more dimensions, (C,) or (N, C, ...), got 0")
    check_floating("cross_entropy", input)
    if ignore_index >= 0:
        raise RuntimeError(
            f"ignore_index is not supported for floating point target: it is a class number, here {ignore_index}, but "
            f"the target holds probabilities. Give the rows that shall not count the probabilities 0."
        )
    _check_weight("cross_entropy", weight, x.shape[class_axis(x)])
    if weight is not None:
        weight = reshape(weight, (-1,) + (1,) * (x.ndim - 2))
    given = [v for v in (input, target, weight) if v is not None]
    dtype = np.result_type(*(v._array.dtype for v in given))
    wide = F32 if dtype == F16 else dtype
    out, _ = soft_row(*(None if v is None else to(v, wide) for v in (input, target, weight)), **settings)
    return to(out, dtype)  # type: ignore[no-any-return]
