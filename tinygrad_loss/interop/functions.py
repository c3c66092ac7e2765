"""NumPy's functions: each is translated, with its own argument names and conventions, to the op that does the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..op import TensorBase, wrap
from ..ops import create, joining, products
from ..ops.arguments import axes
from ..ops.arguments import axis as dim_of
from ..ops.einsum import einsum
from ..ops.elementwise import where
from ..ops.joining import cat, stack
from .convert import common, no_op, number, only_defaults, tensor, tensors

Translation = Callable[..., Any]
_TABLE: dict[Any, Translation] = {}
_f: Any


def array_function(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call the op that a NumPy function stands for."""
    translation = _TABLE.get(func)
    if translation is None:
        module = getattr(func, "__module__", "numpy").removeprefix("numpy").lstrip(".")
        raise no_op(f"{module}.{func.__name__}" if module else func.__name__)
    return translation(*args, **kwargs)


def _is(*functions: Any) -> Callable[[Translation], Translation]:
    """Register a translation of these functions."""

    def register(translation: Translation) -> Translation:
        _TABLE.update(dict.fromkeys(functions, translation))
        return translation

    return register


def _method(function: Any, name: str, **renamed: str) -> None:
    """Register a method of Tensor that takes the same arguments, some under other names."""

    def call(a: Any, *args: Any, **kwargs: Any) -> Any:
        only_defaults(function.__name__, {k: kwargs.pop(k) for k in ("out", "order", "subok", "like") if k in kwargs})
        return getattr(tensor(a), name)(*args, **{renamed.get(k, k): v for k, v in kwargs.items()})

    _TABLE[function] = call


# --- reductions -----------------------------------------------------------------------------------------------------


def _reduction(function: Any, name: str) -> None:
    def call(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, **other: Any) -> Any:
        only_defaults(function.__name__, {"out": out, **other})
        a = a if dtype is None else a.to(dtypes.numpy_of(dtype))
        whole = {"dim": tuple(range(a.ndim)) if axis is None else axis, "keepdim": True} if keepdims else {}
        return getattr(a, name)(**whole) if axis is None or keepdims else getattr(a, name)(dim=axis)

    _TABLE[function] = call


for _f, _name in ((np.sum, "sum"), (np.mean, "mean"), (np.prod, "prod"), (np.all, "all"), (np.any, "any")):
    _reduction(_f, _name)
for _f, _name in ((np.max, "amax"), (np.amax, "amax"), (np.min, "amin"), (np.amin, "amin")):
    _reduction(_f, _name)


def _spread(function: Any, name: str) -> None:
    def call(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: bool = False, **more: Any
    ) -> Any:  # fmt: skip
        only_defaults(name, {"out": out, "dtype": dtype, **more})
        return getattr(a, name)(dim=axis, correction=ddof, keepdim=keepdims)  # NumPy divides by n, PyTorch by n - 1

    _TABLE[function] = call


_spread(np.std, "std")
_spread(np.var, "var")


@_is(np.argmax)
def _argmax(a: Any, axis: Any = None, out: Any = None, *, keepdims: bool = False) -> Any:
    only_defaults("argmax", {"out": out})
    return a.argmax(dim=axis, keepdim=keepdims)


@_is(np.argmin)
def _argmin(a: Any, axis: Any = None, out: Any = None, *, keepdims: bool = False) -> Any:
    only_defaults("argmin", {"out": out})
    return a.argmin(dim=axis, keepdim=keepdims)


@_is(np.count_nonzero)
def _count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return (a != 0).sum(dim=tuple(range(a.ndim)) if axis is None else axis, keepdim=keepdims)


@_is(np.ptp)
def _ptp(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    only_defaults("ptp", {"out": out})
    return _TABLE[np.max](a, axis, keepdims=keepdims) - _TABLE[np.min](a, axis, keepdims=keepdims)


@_is(np.average)
def _average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False) -> Any:
    if weights is None:
        weights = tensor(np.ones((1,) * a.ndim), a).to(a.dtype).expand(*a.shape)
    a, weights = common([a, weights])
    if weights.shape != a.shape:  # one weight for each place along the axis
        along = dim_of(axis, a.ndim)
        weights = weights.reshape(*(n if d == along else 1 for d, n in enumerate(a.shape))).expand(*a.shape)
    scale = _TABLE[np.sum](weights, axis, keepdims=keepdims)
    mean = _TABLE[np.sum](a * weights, axis, keepdims=keepdims) / scale
    return (mean, scale) if returned else mean


@_is(np.median)
def _median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
    only_defaults("median", {"out": out})
    dims = axes(axis, a.ndim) or tuple(range(a.ndim))
    kept = tuple(d for d in range(a.ndim) if d not in dims)
    flat = a.permute(*kept, *dims).reshape(*(a.shape[d] for d in kept), -1)
    ordered = flat.sort(-1).values  # NaN comes last
    n = ordered.shape[-1]
    middle = (ordered[..., (n - 1) // 2] + ordered[..., n // 2]) / 2  # PyTorch's median is the lower of the two
    middle = where(ordered[..., -1].isnan(), ordered[..., -1], middle)
    return middle.reshape(*(1 if d in dims else n for d, n in enumerate(a.shape))) if keepdims else middle


@_is(np.cumsum)
def _cumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    only_defaults("cumsum", {"out": out, "dtype": dtype})
    return a.reshape(-1).cumsum(0) if axis is None else a.cumsum(axis)


@_is(np.cumprod)
def _cumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    only_defaults("cumprod", {"out": out, "dtype": dtype})
    return a.reshape(-1).cumprod(0) if axis is None else a.cumprod(axis)


# --- elements -------------------------------------------------------------------------------------------------------


@_is(np.clip)
def _clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, **named: Any) -> Any:
    low, high = named.pop("min", a_min), named.pop("max", a_max)
    only_defaults("clip", {"out": out, **named})
    return tensor(a).clamp(*(tensor(x) if isinstance(x, (np.ndarray, list)) else number(x) for x in (low, high)))


@_is(np.nan_to_num)
def _nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    if not copy:
        only_defaults("nan_to_num", {"copy": copy})
    return x.nan_to_num(nan, posinf, neginf)


@_is(np.where)
def _where(condition: Any, *sides: Any) -> Any:
    return where(tensor(condition) != 0, *tensors(sides)) if sides else where(condition)


@_is(np.isclose)
def _isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    a, b = common([a, b])
    return a.isclose(b, rtol, atol, equal_nan)


@_is(np.round, np.around)
def _round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    only_defaults("round", {"out": out})
    return a.round(decimals=decimals)


# --- shape ----------------------------------------------------------------------------------------------------------


@_is(np.reshape)
def _reshape(a: Any, shape: Any = None, order: str = "C", **other: Any) -> Any:
    only_defaults("reshape", {"order": None if order == "C" else order, "copy": other.pop("copy", None)})
    return a.reshape(other.pop("newshape", shape))


@_is(np.ravel)
def _ravel(a: Any, order: str = "C") -> Any:
    only_defaults("ravel", {"order": None if order == "C" else order})
    return a.reshape(-1)


@_is(np.transpose)
def _transpose(a: Any, axes: Any = None) -> Any:
    return a.permute(*(reversed(range(a.ndim)) if axes is None else axes))


@_is(np.expand_dims)
def _expand_dims(a: Any, axis: Any) -> Any:
    places = axis if isinstance(axis, (tuple, list)) else (axis,)
    for d in sorted(d % (a.ndim + len(places)) for d in places):
        a = a.unsqueeze(d)
    return a


@_is(np.squeeze)
def _squeeze(a: Any, axis: Any = None) -> Any:
    for d in axes(axis, a.ndim) or () if axis is not None else ():
        if a.shape[d] != 1:
            raise ValueError(f"cannot squeeze dimension {d} of size {a.shape[d]}: its size must be 1")
    return a.squeeze(axis)


@_is(np.flip)
def _flip(m: Any, axis: Any = None) -> Any:
    return m.flip(*(axes(axis, m.ndim) or range(m.ndim)))


@_is(np.repeat)
def _repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    return a.repeat_interleave(tensor(repeats) if isinstance(repeats, (list, np.ndarray)) else repeats, dim=axis)


@_is(np.tile)
def _tile(A: Any, reps: Any) -> Any:
    return A.tile(tuple(reps) if isinstance(reps, (tuple, list)) else (reps,))


@_is(np.concatenate)
def _concatenate(arrays: Any, axis: Any = 0, out: Any = None, **other: Any) -> Any:
    only_defaults("concatenate", {"out": out, **other})
    made = tensors(arrays)
    return cat([t.reshape(-1) for t in made] if axis is None else made, 0 if axis is None else axis)


@_is(np.stack)
def _stack(arrays: Any, axis: int = 0, out: Any = None, **other: Any) -> Any:
    only_defaults("stack", {"out": out, **other})
    return stack(tensors(arrays), axis)


@_is(np.vstack)
def _vstack(tup: Any, **other: Any) -> Any:
    only_defaults("vstack", other)
    return joining.vstack(tensors(tup))


@_is(np.hstack)
def _hstack(tup: Any, **other: Any) -> Any:
    only_defaults("hstack", other)
    return joining.hstack(tensors(tup))


@_is(np.split, np.array_split)
def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    n, cuts = ary.shape[axis], indices_or_sections
    if isinstance(cuts, int):  # so many pieces: the first ones take what does not divide
        sizes = [n // cuts + (i < n % cuts) for i in range(cuts)]
    else:
        ends = [min(max(c + n if c < 0 else c, 0), n) for c in map(int, cuts)]
        sizes = [max(b - a, 0) for a, b in zip([0, *ends], [*ends, n], strict=True)]
    return list(ary.split(sizes, dim=axis))


@_is(np.meshgrid)
def _meshgrid(*xi: Any, indexing: str = "xy", **other: Any) -> Any:
    only_defaults("meshgrid", other)
    return joining.meshgrid(*tensors(xi), indexing=indexing)


_method(np.swapaxes, "transpose", axis1="dim0", axis2="dim1")
_method(np.moveaxis, "movedim")
_method(np.broadcast_to, "broadcast_to")
_method(np.roll, "roll", shift="shifts", axis="dims")
_method(np.tril, "tril", k="diagonal")
_method(np.triu, "triu", k="diagonal")
_method(np.diag, "diag", k="diagonal")
_method(np.diagonal, "diagonal", axis1="dim1", axis2="dim2")


@_is(np.trace)
def _trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Any:
    only_defaults("trace", {"dtype": dtype, "out": out})
    return a.diagonal(offset, axis1, axis2).sum(-1)


@_is(np.copy)
def _copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    return a.clone()


def _like(function: Any, make: Any) -> None:
    def call(a: Any, *args: Any, dtype: Any = None, **other: Any) -> Any:
        only_defaults(function.__name__, {k: v for k, v in other.items() if k not in ("order", "subok")})
        return make(a, *args, dtype=None if dtype is None else dtypes.numpy_of(dtype))

    _TABLE[function] = call


for _f, _make in (
    (np.zeros_like, create.zeros_like), (np.ones_like, create.ones_like), (np.empty_like, create.empty_like),
    (np.full_like, create.full_like),
):  # fmt: skip
    _like(_f, _make)


# --- order and position ---------------------------------------------------------------------------------------------


@_is(np.sort)
def _sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, **other: Any) -> Any:
    only_defaults("sort", {"order": order})
    return (a.reshape(-1) if axis is None else a).sort(-1 if axis is None else axis).values


@_is(np.argsort)
def _argsort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, **other: Any) -> Any:
    only_defaults("argsort", {"order": order})
    return (a.reshape(-1) if axis is None else a).argsort(-1 if axis is None else axis)


@_is(np.take)
def _take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    only_defaults("take", {"out": out, "mode": None if mode == "raise" else mode})
    a = tensor(a)
    if axis is None:
        return a.reshape(-1)[indices]
    return a[(slice(None),) * (axis % a.ndim) + (indices,)]


@_is(np.take_along_axis)
def _take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    return tensor(arr).take_along_dim(tensor(indices), axis)


# --- products -------------------------------------------------------------------------------------------------------


@_is(np.dot)
def _dot(a: Any, b: Any, out: Any = None) -> Any:
    only_defaults("dot", {"out": out})
    a, b = common([a, b])
    if not a.ndim or not b.ndim:
        return a * b
    if a.ndim < 3 and b.ndim < 3:
        return a @ b
    return products.tensordot(a, b, ([a.ndim - 1], [max(b.ndim - 2, 0)]))


@_is(np.inner)
def _inner(a: Any, b: Any) -> Any:
    return products.inner(*common([a, b]))


@_is(np.vdot)
def _vdot(a: Any, b: Any) -> Any:
    a, b = common([a, b])
    return a.reshape(-1) @ b.reshape(-1)


@_is(np.outer)
def _outer(a: Any, b: Any, out: Any = None) -> Any:
    only_defaults("outer", {"out": out})
    a, b = common([a, b])
    return a.reshape(-1, 1) * b.reshape(1, -1)


@_is(np.tensordot)
def _tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    if not isinstance(axes, int):
        axes = tuple([d] if isinstance(d, int) else list(d) for d in axes)
    a, b = common([a, b])
    return products.tensordot(a, b, axes)


@_is(np.einsum)
def _einsum(*operands: Any, out: Any = None, optimize: Any = False, **other: Any) -> Any:
    only_defaults("einsum", {"out": out, **other})
    if not isinstance(operands[0], str):
        raise TypeError("numpy.einsum of Tensors takes its subscripts as a string first, such as 'ij,jk->ik'")
    return einsum(operands[0], *common(operands[1:]))


@_is(np.linalg.norm)
def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    dims = axes(axis, x.ndim) or tuple(range(x.ndim))
    if ord is None or (len(dims) == 2 and ord == "fro"):
        return x.norm(2, dim=dims, keepdim=keepdims)
    if len(dims) == 1:
        return x.norm(ord, dim=dims, keepdim=keepdims)
    if len(dims) == 2 and ord in (1, -1, math.inf, -math.inf):
        summed, other = dims if abs(ord) == 1 else dims[::-1]
        sums = x.abs().sum(dim=summed, keepdim=True)
        best = (sums.amax if ord > 0 else sums.amin)(dim=other, keepdim=True)
        return best if keepdims else best.reshape(*(n for d, n in enumerate(x.shape) if d not in dims))
    raise TypeError(f"numpy.linalg.norm of a Tensor knows no ord={ord!r} for {len(dims)} dimensions")


# --- questions without a gradient: NumPy answers them itself --------------------------------------------------------


def _answered(function: Any, array_of: Callable[[Any], Any]) -> None:
    def plain(x: Any) -> Any:
        if isinstance(x, (tuple, list)):
            return type(x)(map(plain, x))
        return array_of(x) if isinstance(x, TensorBase) else x

    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*map(plain, args), **{key: plain(value) for key, value in kwargs.items()})

    _TABLE[function] = call


for _f in (
    np.shape, np.ndim, np.size, np.array_equal, np.array_equiv, np.allclose, np.shares_memory, np.may_share_memory,
    np.array_repr, np.array_str, np.array2string, np.iscomplexobj, np.isrealobj, np.result_type, np.can_cast,
):  # fmt: skip
    _answered(_f, lambda t: t._array)
# What leaves the tape with its values: of a tensor that requires a gradient, numpy() says so.
for _f in (
    np.unique, np.bincount, np.histogram, np.nonzero, np.argwhere, np.flatnonzero, np.searchsorted, np.isin,
    np.digitize, np.save, np.savez, np.savetxt, np.lexsort,
):  # fmt: skip
    _answered(_f, lambda t: t.numpy())


@_is(np.atleast_1d)
def _atleast_1d(*arys: Any) -> Any:
    made = [t if t.ndim else t.reshape(1) for t in tensors(arys)]
    return made[0] if len(made) == 1 else tuple(made)


@_is(np.real)
def _real(val: Any) -> Any:
    return val if val._array.dtype.kind != "c" else wrap(val._array.real)
