"""Data types under PyTorch's names, and PyTorch's promotion of one to another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]


class dtype:
    """A data type of tensors, ``float32`` and its like; each exists once, so ``is`` compares.

    Its ``repr`` is PyTorch's (``torch.float32``), so that two programs print the same lines.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([1.0]).dtype is tg.float32
    True
    >>> tg.float32, tg.float32.itemsize, tg.int64.is_floating_point
    (torch.float32, 4, False)
    """

    __slots__ = ("is_complex", "is_floating_point", "is_signed", "itemsize", "name", "numpy", "rank")

    def __init__(self, name: str) -> None:
        self.name = name
        self.numpy: np.dtype[Any] = np.dtype(name)
        self.itemsize = self.numpy.itemsize
        self.is_floating_point = self.numpy.kind == "f"
        self.is_complex = self.numpy.kind == "c"
        self.is_signed = self.numpy.kind in "ifc"
        # The category decides first in promotion: bool < integer < floating < complex.
        self.rank = "bifc".index(self.numpy.kind.replace("u", "i"))

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return "bool_" if self.name == "bool" else self.name


bool_ = dtype("bool")
uint8, int8, int16, int32, int64 = map(dtype, ("uint8", "int8", "int16", "int32", "int64"))
float16, float32, float64 = map(dtype, ("float16", "float32", "float64"))
complex64, complex128 = map(dtype, ("complex64", "complex128"))

ALL = (bool_, uint8, int8, int16, int32, int64, float16, float32, float64, complex64, complex128)
_FROM_NUMPY: dict[np.dtype[Any], dtype] = {d.numpy: d for d in ALL}
_FROM_PYTHON: dict[type, dtype] = {bool: bool_, int: int64, float: float32, complex: complex64}

F32, F64, I64, BOOL = float32.numpy, float64.numpy, int64.numpy, bool_.numpy


def of(array: Any) -> dtype:
    """The dtype of an array, or what a Python scalar becomes by itself."""
    if isinstance(array, (np.ndarray, np.generic)):
        try:
            return _FROM_NUMPY[array.dtype]
        except KeyError:
            names = ", ".join(d.name for d in ALL)
            raise TypeError(
                f"can't convert a NumPy array of dtype {array.dtype}. The supported dtypes are: {names}. "
                f"Write array.astype(numpy.float32) first."
            ) from None
    return scalar(array)


def scalar(value: Any) -> dtype:
    """What a Python number becomes when nothing else decides: the default dtype of its category."""
    for kind in (bool, int, float, complex):
        if isinstance(value, kind):
            return default_of(_FROM_PYTHON[kind].rank) if kind is not bool else bool_
    raise TypeError(f"expected a number or a Tensor, got {type(value).__name__}")


_default = float32


def get_default_dtype() -> dtype:
    """Return the dtype that Python floats become (``float32`` unless it was set).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.get_default_dtype()
    torch.float32
    """
    return _default


def set_default_dtype(d: dtype) -> None:
    """Set the dtype that Python floats become.

    Parameters
    ----------
    d : dtype
        A floating point dtype; anything else is a TypeError.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.set_default_dtype(tg.float64)
    >>> tg.tensor(1.0).dtype
    torch.float64
    >>> tg.set_default_dtype(tg.float32)
    """
    global _default  # noqa: PLW0603 -- the setting is of the process, as PyTorch's
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, got {d!r}; write tg.float32")
    _default = d


def default_of(rank: int) -> dtype:
    """The default dtype of a category (see ``dtype.rank``)."""
    if rank == _RANK_FLOAT:
        return _default
    if rank == complex64.rank:
        return complex128 if _default is float64 else complex64
    return int64 if rank == int64.rank else bool_


_RANK_FLOAT = float32.rank


def as_dtype(d: Any) -> dtype:
    """Accept one of our dtypes, or Python's ``float``, ``int``, ``bool``, ``complex``."""
    if isinstance(d, dtype):
        return d
    if isinstance(d, type) and d in _FROM_PYTHON:
        return float64 if d is float else _FROM_PYTHON[d]
    raise TypeError(f"dtype must be a tinygrad_loss dtype such as tg.float32, got {d!r} ({type(d).__name__})")


def as_numpy(d: Any) -> np.dtype[Any]:
    """The NumPy dtype of one of ours, or of Python's ``float``, ``int``, ``bool``."""
    return as_dtype(d).numpy


def promote_types(a: dtype, b: dtype) -> dtype:
    """Return the smallest dtype of at least both sizes and kinds.

    Unlike NumPy, an integer never widens a float: ``int64`` with ``float32`` is ``float32``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.promote_types(tg.int64, tg.float32)
    torch.float32
    >>> tg.promote_types(tg.uint8, tg.int8)
    torch.int16
    """
    if a.rank != b.rank and max(a.rank, b.rank) >= _RANK_FLOAT:
        high, low = (a, b) if a.rank > b.rank else (b, a)
        if high.is_complex and low is float64:
            return complex128
        return high
    return _FROM_NUMPY[np.promote_types(a.numpy, b.numpy)]


def result_type(*operands: Any) -> dtype:
    """Promote as PyTorch does: tensors with dimensions first, then 0-d tensors, then Python numbers.

    A later class changes the result only by a higher category (``float`` over ``int``), never by a wider type
    of the same one: ``ones(2, float32) * tensor(1.0, float64)`` stays float32.
    """
    result: dtype | None = None
    for belongs in (_has_dims, _is_zero_dim, _is_number):
        group: dtype | None = None
        for x in operands:
            if belongs(x):
                d = of(x)
                group = d if group is None else promote_types(group, d)
        if group is not None and (result is None or group.rank > result.rank):
            # An integer tensor meeting a float number becomes the default float; a complex one keeps the float's width.
            if result is not None and group.is_complex and result is float64:
                group = complex128
            result = group
    if result is None:
        raise TypeError("result_type needs at least one tensor or number")
    return result


def _has_dims(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.ndim > 0


def _is_zero_dim(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.ndim == 0


def _is_number(x: Any) -> bool:
    return isinstance(x, (bool, int, float, complex))


def can_cast(source: dtype, target: dtype) -> bool:
    """Tell whether an in-place result of dtype ``source`` may be stored in ``target``: categories may not fall.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.can_cast(tg.float64, tg.float32), tg.can_cast(tg.float32, tg.int64)
    (True, False)
    """
    return target.rank >= source.rank


def numpy_of(d: DTypeLike) -> dtype:
    """The dtype of ours that stands for a NumPy dtype."""
    return _FROM_NUMPY[np.dtype(d)]


_LEGACY = {
    "bool": "Bool", "uint8": "Byte", "int8": "Char", "int16": "Short", "int32": "Int", "int64": "Long",
    "float16": "Half", "float32": "Float", "float64": "Double", "complex64": "ComplexFloat", "complex128": "ComplexDouble",
}  # fmt: skip


def legacy_name(d: dtype) -> str:
    """What ``Tensor.type()`` calls a dtype: ``torch.FloatTensor``."""
    return f"torch.{_LEGACY[d.name]}Tensor"
