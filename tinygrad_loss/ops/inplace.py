"""Writing into a tensor: the storage changes for all its views, and so does the history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..dtypes import Array
from ..op import TensorBase, edge_of, follow, mode, op, record, refresh, sample, user_location, wrap, written
from .broadcast import expand_row
from .index import basic_view, index_row, split
from .shape import clone_row, reshape, to
from .slicing import select_row


def _layout(x: Array) -> tuple[int, ...]:
    """The axes from the widest stride to the narrowest."""
    return tuple(sorted(range(x.ndim), key=lambda d: -abs(x.strides[d])))


def _overwritten(base: Array, source: Array, *, path: Any, order: tuple[int, ...]) -> Array:
    # In the base's own memory order: the path was walked there, and a reshape on its way may be a view in no other.
    out = np.empty([base.shape[d] for d in order], base.dtype).transpose(np.argsort(order))
    out[...] = base
    follow(out, path)[...] = source
    return out


# What a write through a view does to its base: the part that the path leads to is replaced.
copy_slices = op(
    "copy_slices",
    _overwritten,
    vjp=(
        lambda g, path, order: copy_slices(g, 0.0, path=path, order=order),
        lambda g, path, order: follow(laid_out(g, order=order), path),
    ),
    numpy=_overwritten,
    domain=(-2, 2),
    samples=[sample((3, 4), (4,), path=((select_row, {"index": (1,)}),), order=(0, 1))],
    grad_name="CopySlices",
)
laid_out = op(
    "laid_out",
    lambda x, *, order: _overwritten(x, x, path=(), order=order),
    vjp=lambda g: g,
    numpy="{x}.copy()",
    domain=(-2, 2),
    samples=[sample((3, 4), order=(1, 0))],
)
def _put(x: Array, values: Any, *, index: Any) -> Array:
    out = x.copy()
    out[index] = values
    return out


index_put = op(
    "index_put",
    _put,
    vjp=(lambda g, index: index_put(g, 0.0, index=index), lambda g, index: index_row(g, index=index)),
    numpy=_put,
    domain=(-2, 2),
    samples=[sample((3, 4), (4,), index=(np.array([2, 0]),))],
)


def check_writable(x: TensorBase, name: str) -> None:
    """Refuse to write into a leaf whose gradient is wanted: the tape could not tell its value before from after."""
    if not mode.grad:
        return
    root = x if x._base is None else x._base
    if root._requires_grad and root._node is None:
        what = "a leaf Variable" if root is x else "a view of a leaf Variable"
        raise RuntimeError(
            f"{what} that requires grad is being used in an in-place operation: {name} on a tensor of shape "
            f"{list(x._array.shape)}. Write it inside `with no_grad():`, or out of place (y = x.{name.strip('_')}(...))."
        )


def store(x: Any, y: Any, name: str) -> Any:
    """Put the value of ``y`` into the storage of ``x``, and its history in place of that of ``x``."""
    target, value = x._array, y._array
    if not dtypes.can_cast(dtypes.of(value), dtypes.of(target)):
        raise RuntimeError(
            f"result type {dtypes.of(value)} can't be cast to the desired output type {dtypes.of(target)} by {name}: write it "
            f"out of place, or .to({dtypes.of(target)}) first"
        )
    if value.shape != target.shape:
        raise RuntimeError(
            f"output with shape {list(target.shape)} doesn't match the broadcast shape {list(value.shape)}: {name} cannot "
            f"enlarge its tensor; write it out of place"
        )
    if not target.flags.writeable:
        raise RuntimeError(
            f"{name}: the elements of this tensor of shape {list(target.shape)} cannot be written (several of them share "
            f"one place in memory, or the array is read-only). Write x = x.clone() first."
        )
    node = y._node if mode.grad else None
    if node is not None:
        _keep_old(node, x, y)
    np.copyto(target, value, casting="unsafe")
    written(x, user_location(2))
    if mode.grad:
        _rebase(x, y)
    return x


def _keep_old(node: Any, x: Any, y: Any) -> None:
    """An op in place may need its operand's old value: keep a copy of it, under a counter of its own."""
    old = None
    for i, values in enumerate(node.saved or ()):
        if values is not None and any(v is x._array for v in values):
            old = x._array.copy() if old is None else old
            node.saved[i] = tuple(old if v is x._array else v for v in values)
    if old is not None:
        node.counters = [*([0, 0, None] if c is x._version else c for c in node.counters[:-1]), node.counters[-1]]
        node.versions = [c[0] for c in node.counters]


def _rebase(x: Any, y: Any) -> None:
    """Let the history of ``x``, and of what it is a view of, go on from ``y``."""
    if y._node is None and edge_of(x) is None and (x._base is None or edge_of(x._base) is None):
        return
    y = to(y, x._array.dtype)
    x._version[1] += 1
    if x._base is None:
        x._node = y._node
        return
    base = x._base
    base._node = record(
        copy_slices.row,
        [base._array, y._array],
        [edge_of(base), y._node],
        [base._version, y._version],
        {"path": x._path, "order": _layout(base._array)},
        base._array,
        base,
    )
    refresh(x)


def inplace(fn: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The method ``x.name(...)`` that puts ``fn(x, ...)`` into ``x``."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        check_writable(self, name)
        return store(self, fn(self, *args, **kwargs), name)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"Do ``{name[:-1]}`` in place: the result replaces the tensor's own values."
    return call


def setitem(x: Any, index: Any, value: Any) -> None:
    """``x[index] = value``; the gradient of what was overwritten is zero, that of ``value`` is what stood there."""
    check_writable(x, "__setitem__")
    basic, advanced = split(index, x._array.shape)
    part = basic_view(x, basic) if basic or not advanced else x
    if not isinstance(value, TensorBase):
        value = wrap(np.asarray(value).astype(x._array.dtype))
    value = to(value, x._array.dtype)
    shape = part._array[advanced].shape if advanced else part._array.shape
    given = value._array.shape
    while len(given) > len(shape) and given[0] == 1:
        given = given[1:]
    try:
        value = expand_row(reshape(value, given), shape=shape)
    except ValueError:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(value._array.shape)} cannot be broadcast to indexing result of "
            f"shape {list(shape)}"
        ) from None
    store(part, index_put(part, value, index=advanced) if advanced else clone_row(value), "__setitem__")
