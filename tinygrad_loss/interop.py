"""NumPy's protocols: its functions, applied to tensors, give tensors on the tape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .dtypes import numpy_of
from .op import TensorBase, wrap

# NumPy's ufuncs by the names of the methods that do the same. A name that is not here is the method's own.
_UFUNCS = {
    "subtract": "sub", "multiply": "mul", "divide": "div", "true_divide": "div", "negative": "neg", "power": "pow",
    "float_power": "pow", "absolute": "abs", "fabs": "abs", "equal": "eq", "not_equal": "ne", "less": "lt",
    "less_equal": "le", "greater": "gt", "greater_equal": "ge", "arcsin": "asin", "arccos": "acos", "arctan": "atan",
    "arctan2": "atan2", "rint": "round", "invert": "bitwise_not", "mod": "remainder", "remainder": "remainder",
    "fmax": "fmax", "fmin": "fmin",
}  # fmt: skip
_SAME = [
    "add", "positive", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "square", "reciprocal", "sin",
    "cos", "tan", "sinh", "cosh", "tanh", "floor", "ceil", "trunc", "sign", "isnan", "isinf", "isfinite", "logaddexp",
    "maximum", "minimum", "matmul", "fmod", "floor_divide", "logical_and", "logical_or", "logical_xor", "logical_not",
    "bitwise_and", "bitwise_or", "bitwise_xor",
]  # fmt: skip
_UFUNCS |= {name: name for name in _SAME}
_INSTEAD = "Write t.detach().numpy() for an array that is off the tape."


def array_ufunc(self: Any, ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call the op that a ufunc stands for."""
    name = _UFUNCS.get(ufunc.__name__)
    if method != "__call__" or name is None or not hasattr(self, name):
        called = f"numpy.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
        raise TypeError(f"{called} has no op for a Tensor. {_INSTEAD}")
    if kwargs:
        raise TypeError(
            f"numpy.{ufunc.__name__} of a Tensor takes no {', '.join(sorted(kwargs))}: the result is a new Tensor on the tape. "
            f"{_INSTEAD}"
        )
    first = inputs[0] if isinstance(inputs[0], TensorBase) else _tensor(inputs[0])
    rest = (x.item() if isinstance(x, np.generic) else wrap(x) if isinstance(x, np.ndarray) else x for x in inputs[1:])
    return getattr(first, name)(*rest)


def _tensor(x: Any) -> Any:
    """A NumPy scalar stands for a Python number, which does not widen a tensor; an array is an array."""
    if isinstance(x, (np.generic, bool, int, float, complex)):
        value = x.item() if isinstance(x, np.generic) else x
        from .ops.create import tensor  # the default dtype of its category

        return tensor(value)
    return wrap(np.asarray(x))


def _as_tensor(x: Any) -> Any:
    return x if isinstance(x, TensorBase) else wrap(np.asarray(x))


Translation = Callable[..., Any]
_FUNCTIONS: dict[Callable[..., Any], Translation] = {}
_function: Callable[..., Any]


def _translates(*functions: Any) -> Callable[[Translation], Translation]:
    def register(translation: Translation) -> Translation:
        for function in functions:
            _FUNCTIONS[function] = translation
        return translation

    return register


def array_function(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call the op that a NumPy function stands for."""
    name = getattr(func, "__name__", str(func))
    translation = _FUNCTIONS.get(func)
    if translation is None:
        raise TypeError(f"numpy.{name} has no op for a Tensor. {_INSTEAD}")
    try:
        return translation(*args, **kwargs)
    except AttributeError as error:
        raise TypeError(f"numpy.{name} has no op for a Tensor ({error}). {_INSTEAD}") from None


def _reduction(name: str) -> Translation:
    def call(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        _only(out=out)
        extra = {} if dtype is None else {"dtype": numpy_of(dtype)}
        return getattr(a, name)(
            **({} if axis is None else {"dim": axis}), **({"keepdim": True} if keepdims else {}), **extra
        )

    return call


def _only(**given: Any) -> None:
    for name, value in given.items():
        if value is not None:
            raise TypeError(
                f"{name}= is not supported for a Tensor: the result is a new Tensor on the tape. {_INSTEAD}"
            )


for _function, _name in ((np.sum, "sum"), (np.mean, "mean"), (np.prod, "prod"), (np.all, "all"), (np.any, "any")):
    _FUNCTIONS[_function] = _reduction(_name)
for _function, _name in ((np.max, "amax"), (np.amax, "amax"), (np.min, "amin"), (np.amin, "amin")):
    _FUNCTIONS[_function] = _reduction(_name)


@_translates(np.std)
def _std(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
    _only(out=out, dtype=dtype)
    return a.std(dim=axis, correction=ddof, keepdim=keepdims)  # NumPy divides by n, PyTorch by n - 1


@_translates(np.var)
def _var(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
    _only(out=out, dtype=dtype)
    return a.var(dim=axis, correction=ddof, keepdim=keepdims)


@_translates(np.argmax)
def _argmax(a: Any, axis: Any = None, out: Any = None, *, keepdims: bool = False) -> Any:
    _only(out=out)
    return a.argmax(dim=axis, keepdim=keepdims)


@_translates(np.argmin)
def _argmin(a: Any, axis: Any = None, out: Any = None, *, keepdims: bool = False) -> Any:
    _only(out=out)
    return a.argmin(dim=axis, keepdim=keepdims)


@_translates(np.cumsum)
def _cumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    _only(out=out, dtype=dtype)
    return a.reshape(-1).cumsum(0) if axis is None else a.cumsum(axis)


@_translates(np.cumprod)
def _cumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    _only(out=out, dtype=dtype)
    return a.reshape(-1).cumprod(0) if axis is None else a.cumprod(axis)


@_translates(np.clip)
def _clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None) -> Any:
    _only(out=out)
    return a.clamp(a_min if a_min is not None else min, a_max if a_max is not None else max)


@_translates(np.nan_to_num)
def _nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    if not copy:
        raise TypeError(f"copy=False is not supported for a Tensor: the result is a new Tensor on the tape. {_INSTEAD}")
    return x.nan_to_num(nan, posinf, neginf)


@_translates(np.where)
def _where(condition: Any, x: Any = None, y: Any = None) -> Any:
    from .ops.elementwise import where

    return where(_as_tensor(condition), x, y)


@_translates(np.reshape)
def _reshape(a: Any, /, shape: Any = None, order: str = "C", **_: Any) -> Any:
    if order != "C":
        raise TypeError(f"order={order!r} is not supported for a Tensor. {_INSTEAD}")
    return a.reshape(shape)


@_translates(np.ravel)
def _ravel(a: Any, order: str = "C") -> Any:
    return _reshape(a, -1, order)


@_translates(np.transpose)
def _transpose(a: Any, axes: Any = None) -> Any:
    return a.permute(*(reversed(range(a.ndim)) if axes is None else axes))


@_translates(np.concatenate)
def _concatenate(arrays: Any, /, axis: int = 0, out: Any = None, **_: Any) -> Any:
    from .ops.joining import cat

    _only(out=out)
    return cat([_as_tensor(x) for x in arrays], axis)


@_translates(np.stack)
def _stack(arrays: Any, axis: int = 0, out: Any = None, **_: Any) -> Any:
    from .ops.joining import stack

    _only(out=out)
    return stack([_as_tensor(x) for x in arrays], axis)


@_translates(np.dot)
def _dot(a: Any, b: Any, out: Any = None) -> Any:
    _only(out=out)
    left, right = (_as_tensor(x) for x in (a, b))
    if not left.ndim or not right.ndim:
        return left * right
    return left @ right


for _function, _method in (
    (np.squeeze, "squeeze"), (np.expand_dims, "unsqueeze"), (np.swapaxes, "swapaxes"), (np.moveaxis, "movedim"),
    (np.broadcast_to, "expand"), (np.round, "round"), (np.around, "round"), (np.copy, "clone"), (np.trace, "trace"),
    (np.tril, "tril"), (np.triu, "triu"), (np.median, "median"), (np.count_nonzero, "count_nonzero"),
    (np.isclose, "isclose"), (np.outer, "outer"), (np.inner, "inner"), (np.tile, "tile"), (np.flip, "flip"),
    (np.roll, "roll"), (np.linalg.norm, "norm"),
):  # fmt: skip
    _FUNCTIONS[_function] = lambda a, *args, _method=_method, **kw: getattr(a, _method)(*args, **kw)


def _plain(function: Callable[..., Any]) -> Translation:
    """A question about values that no gradient flows through: answered by NumPy itself."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*(x._array if isinstance(x, TensorBase) else x for x in args), **kwargs)

    return call


for _function in (
    np.array_equal, np.allclose, np.shape, np.ndim, np.size, np.shares_memory, np.may_share_memory, np.array_repr,
    np.array_str, np.array2string, np.iscomplexobj, np.isrealobj,
):  # fmt: skip
    _FUNCTIONS[_function] = _plain(_function)


# --- DLPack -------------------------------------------------------------------------------------------------------


def to_dlpack(self: Any, kwargs: dict[str, Any]) -> Any:
    """A capsule of the tensor's memory, for another library to use without a copy."""
    if self.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    stream = kwargs.get("stream")
    if stream is not None:
        raise BufferError(f"there are no streams on the CPU, got stream={stream!r}")
    return self._array.__dlpack__(**{k: v for k, v in kwargs.items() if v is not None})


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Any:
    """Make a tensor of another library's, without a copy, through DLPack.

    Parameters
    ----------
    ext_tensor : object with ``__dlpack__``
        A PyTorch tensor, a NumPy array, a JAX array, ... on the CPU.
    copy : bool, optional
        True to copy all the same.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_loss as tg
    >>> a = np.zeros(2)
    >>> t = tg.from_dlpack(a)
    >>> a[0] = 5
    >>> t
    tensor([5., 0.], dtype=torch.float64)
    """
    if isinstance(ext_tensor, TensorBase):
        return wrap(ext_tensor._array)
    if not hasattr(ext_tensor, "__dlpack__"):
        raise TypeError(
            f"from_dlpack takes an object with __dlpack__, got {type(ext_tensor).__name__}; write tensor(...)"
        )
    array = np.from_dlpack(ext_tensor)
    return wrap(array.copy() if copy else array)
