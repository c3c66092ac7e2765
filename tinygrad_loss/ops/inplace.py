"""Writing into a tensor: the storage changes for all its views, and so does the history."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..dtypes import Array
from ..op import (
    Node,
    TensorBase,
    base_of,
    continue_as,
    edge_of,
    follow,
    mode,
    op,
    record,
    refresh,
    sample,
    steps,
    user_location,
    wrap,
    written,
)
from .arguments import tensor_of
from .arithmetic import add_row
from .broadcast import expand_row
from .index import basic_view, index_grad, index_row, split
from .shape import clone_row, reshape, to
from .slicing import select_row, split_row, unbind_row

if TYPE_CHECKING:
    from ..tensor import Tensor


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
copy_slices: Any = op(
    "copy_slices",
    _overwritten,
    vjp=(
        lambda g, path, order: copy_slices(g, 0.0, path=path, order=order),
        lambda g, path, order: follow(laid_out(g, order=order), path),
    ),
    numpy=_overwritten,
    domain=(-2, 2),
    samples=[sample((3, 4), (4,), path=[(None, select_row, {"index": (1,)}, True)], order=(0, 1))],
    grad_name="CopySlices",
)
laid_out: Any = op(
    "laid_out",
    lambda x, *, order: _overwritten(x, x, path=(), order=order),
    vjp=lambda g: g,
    numpy="{x}.copy()",
    domain=(-2, 2),
    samples=[sample((3, 4), order=(1, 0))],
)
# The old value has no influence on the new one, and says so: its gradient is zero, not missing.
zero_row: Any = op(
    "zero",
    lambda x: np.zeros_like(x),
    vjp=lambda g: zero_row(g),
    numpy="np.zeros_like({x})",
    domain=(-2, 2),
)
copy_row = op(
    "copy",
    lambda x, source: np.array(np.broadcast_to(source, x.shape), x.dtype),
    vjp=(lambda g: zero_row(g), lambda g: g),
    numpy="np.array(np.broadcast_to({source}, {x}.shape), {x}.dtype)",
    domain=(-2, 2),
    samples=[sample((3, 4), (4,)), sample((2, 3), ())],
    grad_name="CopyBackwards",
)
fill_row = op(
    "fill",
    lambda x, value: np.full_like(x, value),
    vjp=(lambda g: zero_row(g), lambda g: g),
    numpy="np.full_like({x}, {value})",
    domain=(-2, 2),
    samples=[sample((3, 4), ()), sample((2, 3), 0.5)],
)


def _put(x: Array, values: Any, *, index: Any) -> Array:
    out = x.copy()
    out[index] = values
    return out


index_put_row: Any = op(
    "index_put",
    _put,
    vjp=(lambda g, index: index_put_row(g, 0.0, index=index), lambda g, index: index_row(g, index=index)),
    numpy=_put,
    domain=(-2, 2),
    samples=[sample((3, 4), (4,), index=(np.array([2, 0]),))],
)


# --- may it be written? -------------------------------------------------------------------------------------------


def check_writable(x: TensorBase, name: str, tracked: bool = False) -> None:
    """Refuse a write that the tape could not follow, into ``x`` or into what ``x`` is a view of."""
    if not mode.grad:
        return
    base = base_of(x)
    if base is not None and (tracked or edge_of(x) is not None or edge_of(base) is not None):
        for _, view_op, _, recorded in reversed(steps(x)):
            if not recorded:
                raise RuntimeError(
                    f"A view was created in no_grad mode and is being modified inplace with grad mode enabled, by "
                    f"{name} on shape {list(x._array.shape)}. Make the view and write to it both inside the no_grad "
                    f"block (the write is not tracked) or both outside (it is tracked)."
                )
            if view_op is None or view_op in _SEVERAL_VIEWS:
                who = "a custom Function" if view_op is None else f"{view_op.row.name}(), a function of several views,"
                raise RuntimeError(
                    f"{name} would write into a view that {who} returned, of shape {list(x._array.shape)}. Such "
                    f"functions do not allow the output views to be modified inplace: write out of place, or into a "
                    f"slice of the tensor itself."
                )
    for root, what in ((x, "a leaf Variable"), (base, "a view of a leaf Variable")):
        if root is not None and root._requires_grad and root._node is None:
            raise RuntimeError(
                f"{what} that requires grad is being used in an in-place operation: {name} on a tensor of shape "
                f"{list(x._array.shape)}. Write it inside `with no_grad():`, or out of place (y = "
                f"x.{name.strip('_')}(...))."
            )


_SEVERAL_VIEWS = (unbind_row, split_row)


def writable(x: TensorBase, name: str) -> Array:
    """The array to write into."""
    array = x._array
    if not array.flags.writeable:
        shape = list(array.shape)
        if any(n > 1 and step == 0 for n, step in zip(array.shape, array.strides, strict=True)):
            raise RuntimeError(
                f"unsupported operation: more than one element of the written-to tensor refers to a single memory "
                f"location, in {name} on an expanded tensor of shape {shape}. Please clone() the tensor before "
                f"performing the operation."
            )
        array = array.view()
        try:
            array.flags.writeable = True  # a part of an expanded tensor that repeats nothing itself
        except ValueError:
            raise RuntimeError(
                f"{name}: this tensor of shape {shape} shares the memory of a read-only array. Write x = x.clone() "
                f"first."
            ) from None
        x._array = array
    return array


# --- the write ----------------------------------------------------------------------------------------------------


def store(x: Any, y: Any, name: str) -> Any:
    """Put the value of ``y`` into the storage of ``x``, and its history in place of that of ``x``."""
    target, value = writable(x, name), y._array
    if not dtypes.can_cast(dtypes.of(value), dtypes.of(target)):
        raise RuntimeError(
            f"result type {dtypes.of(value)} can't be cast to the desired output type {dtypes.of(target)} by {name}: "
            f"write it out of place, or .to({dtypes.of(value)}) first"
        )
    if value.shape != target.shape:
        raise RuntimeError(
            f"output with shape {list(target.shape)} doesn't match the broadcast shape {list(value.shape)}: {name} "
            f"cannot enlarge its tensor; write it out of place"
        )
    if y._node is not None:
        check_writable(x, name, tracked=True)
        _keep_old(y._node, x)
    np.copyto(target, value, casting="unsafe")
    rewrite(x, y, name)
    return x


def _keep_old(node: Node, x: Any) -> None:
    """Give the op that is about to overwrite ``x`` copies of what it saved of it, under counters of their own."""
    copies: dict[int, Array] = {}
    node.saved = [values and _copied(values, x._array, copies) for values in node.saved or ()]
    node.counters = [[0, 0, None] if counter is x._version else counter for counter in node.counters]
    node.versions = [counter[0] for counter in node.counters]


def _copied(value: Any, storage: Array, copies: dict[int, Array]) -> Any:
    if isinstance(value, tuple):
        return tuple(_copied(v, storage, copies) for v in value)
    if not isinstance(value, np.ndarray) or not np.may_share_memory(value, storage):
        return value
    if id(value) not in copies:
        copies[id(value)] = value.copy("K")
    return copies[id(value)]


def rewrite(x: Any, y: Any, name: str) -> None:
    """Note that the storage of ``x`` was written; its history, and that of what it is a view of, goes on from ``y``."""
    written(x, name, user_location(2))
    base = base_of(x)
    if not mode.grad or (y._node is None and edge_of(x) is None and (base is None or edge_of(base) is None)):
        return
    y = to(y, x._array.dtype)
    if base is None:
        y = y if y._node is not None else copy_row(x, y)
        x._version[1] += 1
        continue_as(x, y._node)
        return
    x._version[1] += 1
    node = record(
        copy_slices.row,
        [base._array, y._array],
        [edge_of(base), y._node],
        [base._version, y._version],
        {"path": steps(x), "order": _layout(base._array)},
        base._array,
        base,
        (base, y),
    )
    continue_as(base, node)
    refresh(x)


def settled(row: Callable[..., Any], x: Any, into: bool, **params: Any) -> Tensor:
    """What a row of one operand gives; put into that operand if asked to, as ``F.silu(x, inplace=True)``."""
    return (inplace(row, f"{row.__name__}_") if into else row)(x, **params)  # type: ignore[no-any-return]


def inplace(fn: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The method ``x.name(...)`` that puts ``fn(x, ...)`` into ``x``."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        check_writable(self, name)
        return store(self, fn(self, *args, **kwargs), name)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"Do ``{name[:-1]}`` in place: the result replaces the tensor's own values."
    return call


def reshaped(fn: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The method ``x.name(...)`` that makes ``x`` the view ``fn(x, ...)`` of what it was."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        check_writable(self, name)
        view = fn(self, *args, **kwargs)
        if mode.grad or self._base is not None:
            if self._base is None:
                # Other views of this storage find the way from what it was: that lives on as the base of them all.
                former = wrap(self._array, self._node)
                former._version, self._base = self._version, former
            self._path = (self._path, *view._path[1:])
            self._seen = self._version[1]
            continue_as(self, view._node)
        self._array = view._array
        written(self, name, user_location(1))
        return self

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"Do ``{name[:-1]}`` in place: the tensor itself takes the other shape, its storage stays."
    return call


def index_put(input: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    """Return the input with ``values`` where ``input[indices]`` is, or with them added there.

    Parameters
    ----------
    indices : tuple of Tensor
        Positions, or masks, for the dimensions in their order; None for all of a dimension.
    accumulate : bool
        Add the values; at a repeated position each of them counts.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.index_put(tg.zeros(3), (tg.tensor([0, 0]),), tg.tensor([1.0, 2.0]), accumulate=True)
    tensor([3., 0., 0.])
    """
    x, given = tensor_of(input, "index_put"), tensor_of(values, "index_put", "values")
    if not isinstance(indices, (tuple, list)):
        raise TypeError(
            f"index_put(): argument 'indices' must be tuple of Tensors, not {type(indices).__name__}; write (indices,)"
        )
    if given.dtype != x.dtype:
        raise RuntimeError(
            f"Index put requires the source and destination dtypes match, got {dtypes.of(x)} for the destination and "
            f"{dtypes.of(given)} for the source; write values.to(input.dtype)"
        )
    items = [slice(None) if i is None else np.atleast_1d(tensor_of(i, "index_put", "indices")) for i in indices]
    at = split(tuple(items), x.shape)[1]
    shape = x[at].shape
    try:
        values = expand_row(values, shape=shape)
    except RuntimeError:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(given.shape)} cannot be broadcast to indexing result of "
            f"shape {list(shape)}"
        ) from None
    if not accumulate:
        return index_put_row(input, values, index=at)
    return add_row(input, index_grad(values, shape=x.shape, index=at))


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
    except RuntimeError:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(value._array.shape)} cannot be broadcast to indexing result "
            f"of shape {list(shape)}"
        ) from None
    store(part, index_put_row(part, value, index=advanced) if advanced else clone_row(value), "__setitem__")
