"""The one place that talks to Numba's compiler: lazy, cached, without the GIL."""

import ctypes
import functools
import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

__all__ = [
    "JIT_DISABLED", "Array", "Bits", "Single", "bits", "by_dtype", "fma", "from_bits", "inline", "itemsize", "jit",
    "reassociating", "view",
]  # fmt: skip

Array = np.ndarray[Any, np.dtype[Any]]
Single = Any  # a float32: NumPy's own type would turn every expression with it into an Any
Bits = Any  # an int32 or int64
Function = TypeVar("Function", bound=Callable[..., Any])

# Any, because some versions of Numba come with types and some without
numba: Any = importlib.import_module("numba")
extending: Any = importlib.import_module("numba.extending")
types: Any = numba.types

JIT_DISABLED: bool = bool(numba.config.DISABLE_JIT)
_FOLDER = Path(__file__).parent
_STAMP = max(entry.stat().st_mtime_ns for entry in os.scandir(_FOLDER) if entry.name.endswith(".py"))


def _quiet(fn: Function) -> Function:
    """Interpreted kernels compute with NumPy scalars, which warn of an overflow where machine code does not."""

    @functools.wraps(fn)
    def run(*args: Any) -> Any:
        with np.errstate(all="ignore"):
            return fn(*args)

    return run  # type: ignore[return-value]


def jit(fn: Function) -> Function:
    """Compile `fn` at its first call for each new combination of argument types, and keep the result on disk."""
    if JIT_DISABLED:
        return _quiet(fn)
    kernel: Any = numba.njit(cache=True, error_model="numpy", nogil=True)(fn)
    # Numba's cache looks at the file of the kernel alone: without this, machine code would survive a change of a
    # function that the kernel inlined from another file.
    kernel._cache._cache_file._source_stamp = (*kernel._cache._cache_file._source_stamp, _STAMP)
    return kernel  # type: ignore[no-any-return]


def inline(fn: Function) -> Function:
    """A scalar function that LLVM merges into the loops that call it, so that it can vectorize them.

    a * b + c may become one fused multiply-add where the processor has it: written to be accurate either way.
    """
    options = {"error_model": "numpy", "forceinline": True, "nogil": True, "fastmath": {"contract"}}
    return fn if JIT_DISABLED else numba.njit(**options)(fn)


def reassociating(fn: Function) -> Function:
    """Like `inline`, for sums whose order does not matter: LLVM may then sum in vector lanes."""
    options = {"error_model": "numpy", "forceinline": True, "nogil": True, "fastmath": {"reassoc", "contract"}}
    return fn if JIT_DISABLED else numba.njit(**options)(fn)


def by_dtype(single: Function, double: Function) -> Function:
    """The function whose first argument, a scalar or an array, makes it `single` for 32 bits and `double` for 64."""

    def choose(*arguments: Any) -> Any:
        return single(*arguments) if getattr(arguments[0], "itemsize", 8) == 4 else double(*arguments)

    if not JIT_DISABLED:
        # no annotations: Numba compares the two signatures as text
        @extending.overload(choose, jit_options={"error_model": "numpy", "forceinline": True})
        def compiled(*arguments):  # type: ignore[no-untyped-def]
            chosen = single if getattr(arguments[0], "dtype", arguments[0]).bitwidth == 32 else double
            return lambda *arguments: chosen(*arguments)

    return choose  # type: ignore[return-value]


def _reinterpret(pairs: dict[Any, Any], doc: str) -> Callable[..., Any]:
    """A scalar's bits read as another type of the same width: one LLVM bitcast."""

    def cast(context, x):  # type: ignore[no-untyped-def]
        target = pairs[x]

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            return builder.bitcast(arguments[0], context.get_value_type(target))

        return target(x), generate

    made = extending.intrinsic(cast)
    made.__doc__ = doc
    return made  # type: ignore[no-any-return]


if JIT_DISABLED:

    def bits(x: Any) -> Any:
        """The bits of a float as an integer."""
        return x.view(np.int32) if isinstance(x, np.float32) else np.float64(x).view(np.int64)

    def from_bits(x: Any) -> Any:
        """The float with these bits."""
        return x.view(np.float32 if isinstance(x, np.int32) else np.float64)

else:
    bits = _reinterpret({types.float32: types.int32, types.float64: types.int64}, "The bits of a float as an integer.")
    from_bits = _reinterpret({types.int32: types.float32, types.int64: types.float64}, "The float with these bits.")


if JIT_DISABLED:

    def fma(a: Any, b: Any, c: Any) -> Any:
        """a * b + c, rounded once for float32; float64 without hardware's help is rounded twice."""
        return type(c)(np.float64(a) * np.float64(b) + np.float64(c))

    def itemsize(x: Array) -> int:
        """The bytes of an element."""
        return int(x.itemsize)

    def view(address: int, size: int, like: Array) -> Array:
        """`size` elements of `like`'s dtype at `address`."""
        memory = (ctypes.c_char * (int(size) * like.itemsize)).from_address(int(address))  # ctypes takes no np.intp
        return np.ndarray((size,), like.dtype, memoryview(memory))

else:

    @extending.intrinsic
    def fma(context, a, b, c):  # type: ignore[no-untyped-def]
        """a * b + c, rounded once."""

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            return builder.fma(*arguments)

        return c(c, c, c), generate

    @extending.intrinsic
    def itemsize(context, x):  # type: ignore[no-untyped-def]
        """The bytes of an element: a constant, so that LLVM drops what is for other dtypes. The array's own is none."""

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            return context.get_constant(types.intp, x.dtype.bitwidth // 8)

        return types.intp(x), generate

    @extending.intrinsic
    def _pointer(context, address, like):  # type: ignore[no-untyped-def]
        target = types.CPointer(like.dtype)

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            return builder.inttoptr(arguments[0], context.get_value_type(target))

        return target(types.intp, like), generate

    @numba.njit(forceinline=True)
    def view(address, size, like):  # type: ignore[no-untyped-def]
        """`size` elements of `like`'s dtype at `address`."""
        return numba.carray(_pointer(address, like), (size,))
