"""Tensors from nothing: constants, ranges and random numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes, random
from ..op import TensorBase, wrap
from .arguments import sizes

if TYPE_CHECKING:
    from ..random import Generator
    from ..tensor import Tensor

__all__ = [
    "arange",
    "as_tensor",
    "empty",
    "empty_like",
    "eye",
    "from_numpy",
    "full",
    "full_like",
    "linspace",
    "normal",
    "ones",
    "ones_like",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
    "tensor",
    "zeros",
    "zeros_like",
]


def device_is_cpu(device: Any) -> None:
    """Accept None and the CPU, the only device there is."""
    if device is not None and str(device).split(":")[0] != "cpu":
        raise RuntimeError(
            f"tinygrad_loss runs on the CPU alone, got device={device!r}. Write device='cpu', or leave it out."
        )


def _made(array: Any, requires_grad: bool, device: Any = None) -> Tensor:
    device_is_cpu(device)
    out = wrap(array)
    if requires_grad:
        out.requires_grad_(True)
    return out  # type: ignore[no-any-return]


def _shape(size: tuple[Any, ...]) -> tuple[int, ...]:
    shape = sizes(size)
    if min(shape, default=0) < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}")
    return shape


def _float_dtype(dtype: Any) -> np.dtype[Any]:
    return dtypes.get_default_dtype().numpy if dtype is None else dtypes.as_numpy(dtype)


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Make a tensor from numbers, nested lists or an array; always a copy.

    Parameters
    ----------
    data : number, (nested) list or tuple, ndarray or Tensor
    dtype : dtype, optional
        By default Python floats become float32, ints int64, bools bool; an array keeps its dtype.
    requires_grad : bool
        Whether operations on it are recorded.

    Raises
    ------
    ValueError
        For lists of unequal length.
    TypeError
        For what is no number.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensor([[1, 2], [3, 4]]), tg.tensor(0.5)
    (tensor([[1, 2],
            [3, 4]]), tensor(0.5000))
    """
    return _made(as_array(data, dtype, copy=True), requires_grad, device)


def as_array(data: Any, dtype: Any = None, *, copy: bool) -> Any:
    """The ndarray of what ``tensor`` and ``as_tensor`` take."""
    wanted = None if dtype is None else dtypes.as_numpy(dtype)
    if isinstance(data, TensorBase):
        data = data._array
    if isinstance(data, (np.ndarray, np.generic)):
        found = dtypes.of(data).numpy
        target = found if wanted is None else wanted
        # dtype objects are compared by identity on the fast paths: take NumPy's own, in native byte order
        return np.array(data, dtype=target, copy=copy or None)
    if wanted is None:
        wanted = _guess(data)
    try:
        plain = _unwrapped(data)
        array = np.array(plain)
        # of whole numbers that int64 cannot hold NumPy makes objects
        if array.dtype.kind not in "biufc" and array.size and not set(map(type, array.flat)) <= {int, bool}:
            raise TypeError(f"can't make a tensor of {type(data).__name__} {data!r:.60}: its elements must be numbers")
        if wanted.kind in "iu" and array.dtype.kind in "fc" and not np.isfinite(array).all():
            raise RuntimeError(f"cannot convert {data!r:.60} to {dtypes.numpy_of(wanted)}: not a finite number")
        if wanted.kind in "iu" and array.dtype.kind in "iufO" and array.size:
            least, most = (
                np.asarray(end).item() for end in (array.min(), array.max())
            )  # exact, where NumPy would round
            _check_range(math.floor(least), math.ceil(most), wanted)
        with np.errstate(all="ignore"):
            return array.astype(wanted)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        raise ValueError(
            f"expected sequences of equal length at every depth, got {data!r:.80}: pad the shorter ones first"
        ) from None


def _check_range(least: int, most: int, wanted: np.dtype[Any]) -> None:
    """Raise if a whole-number dtype cannot hold numbers as large; as in PyTorch, -1 is the largest of uint8."""
    info = np.iinfo(wanted)
    low = info.min if wanted.kind == "i" else -int(info.max)
    if least < low or most > info.max:
        error = ValueError if wanted.itemsize == 8 else RuntimeError
        raise error(
            f"value cannot be converted to type {dtypes.numpy_of(wanted)} without overflow: got "
            f"{least if least < low else most}, it holds {info.min} to {info.max}"
        )


def _unwrapped(data: Any) -> Any:
    if isinstance(data, TensorBase):
        return data._array.item() if data._array.ndim == 0 else data._array
    if isinstance(data, (list, tuple)) and any(isinstance(d, (list, tuple, TensorBase)) for d in data):
        return [_unwrapped(d) for d in data]
    if isinstance(data, range):
        return list(data)
    return data


def _guess(data: Any) -> np.dtype[Any]:
    """The dtype of nested Python numbers: the highest category in them."""
    rank, found = -1, None
    stack = [data]
    while stack:
        item = stack.pop()
        if isinstance(item, (list, tuple, range)):
            stack.extend(item)
            continue
        d = dtypes.of(item._array if isinstance(item, TensorBase) else item)
        if isinstance(item, (np.ndarray, np.generic)):
            if d.rank >= rank:
                rank, found = d.rank, (d if found is None or d.rank > found.rank else dtypes.promote_types(d, found))
            continue
        if d.rank > rank:
            rank, found = d.rank, d
    return (found or dtypes.get_default_dtype()).numpy


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """Make a tensor that shares memory with an array or tensor where dtype allows.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.as_tensor([1.0, 2.0])
    tensor([1., 2.])
    """
    if isinstance(data, TensorBase) and (dtype is None or dtypes.as_numpy(dtype) == data._array.dtype):
        return data  # type: ignore[return-value]
    return _made(as_array(data, dtype, copy=False), False, device)


def from_numpy(ndarray: Any) -> Tensor:
    """Make a tensor that shares the array's memory: writing to one changes the other.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_loss as tg
    >>> tg.from_numpy(np.array([1.0, 2.0]))
    tensor([1., 2.], dtype=torch.float64)
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__}); write tensor({ndarray!r:.40})")
    native = (
        dtypes.of(ndarray.view(ndarray.dtype.newbyteorder("="))).numpy
        if not ndarray.dtype.isnative
        else dtypes.of(ndarray).numpy
    )
    if not ndarray.dtype.isnative:
        raise ValueError(
            f"given numpy array has byte order different from the native byte order: write array.astype(numpy.{native})"
        )
    return wrap(ndarray if ndarray.dtype is native else ndarray.view(native))  # type: ignore[no-any-return]


def _filled(value: float, name: str) -> Callable[..., Tensor]:
    def make(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
        return _made(np.full(_shape(size), value, _float_dtype(dtype)), requires_grad, device)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"""Make a tensor of {name}.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.{name}(2)
    tensor([{value:.0f}., {value:.0f}.])
    """
    return make


zeros = _filled(0.0, "zeros")
ones = _filled(1.0, "ones")


def empty(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Make a tensor whose elements are whatever the memory held.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.empty(2, 3).shape
    torch.Size([2, 3])
    """
    return _made(np.empty(_shape(size), _float_dtype(dtype)), requires_grad, device)


def full(size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Make a tensor of one value; its dtype follows the value.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.full((2,), 3)
    tensor([3, 3])
    """
    if isinstance(fill_value, TensorBase):
        fill_value = fill_value._array.item()
    target = dtypes.scalar(fill_value).numpy if dtype is None else dtypes.as_numpy(dtype)
    return _made(np.full(_shape((size,)), fill_value, target), requires_grad, device)


def arange(*args: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, **named: Any) -> Tensor:
    """Make the numbers from ``start`` (0) up to, not including, ``end`` in steps of ``step`` (1).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.arange(3), tg.arange(1.0, 2.0, 0.5)
    (tensor([0, 1, 2]), tensor([1.0000, 1.5000]))
    """
    start, end, step = 0, None, 1
    if len(args) == 1:
        end = args[0]
    elif len(args) > 1:
        start, end, step = (*args, 1)[:3]
    start, end, step = named.pop("start", start), named.pop("end", end), named.pop("step", step)
    if named or end is None or len(args) > 3:
        raise TypeError(f"arange() takes (end), (start, end) or (start, end, step), got {args} {named or ''}")
    start, end, step = (v._array.item() if isinstance(v, TensorBase) else v for v in (start, end, step))
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) / step < 0:
        raise RuntimeError(f"upper bound and lower bound inconsistent with step sign: arange({start}, {end}, {step})")
    whole = all(isinstance(v, int) for v in (start, end, step))
    target = dtypes.as_numpy(dtype) if dtype is not None else (dtypes.I64 if whole else _float_dtype(None))
    count = -((start - end) // step) if whole else math.ceil((end - start) / step)
    return _made((start + step * np.arange(count)).astype(target), requires_grad, device)


def linspace(
    start: float, end: float, steps: int, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Make ``steps`` evenly spaced numbers from ``start`` to ``end``, both included.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    if steps < 0:
        raise RuntimeError(f"number of steps must be non-negative, got {steps}")
    return _made(np.linspace(start, end, steps).astype(_float_dtype(dtype)), requires_grad, device)


def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Make a matrix with ones on the diagonal.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    return _made(np.eye(n, m, dtype=_float_dtype(dtype)), requires_grad, device)


# --- random -------------------------------------------------------------------------------------------------------


def _generator(generator: Generator | None) -> Generator:
    return random.default_generator if generator is None else generator


def rand(
    *size: Any, generator: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Draw uniform numbers from [0, 1): PyTorch's stream, to the bit.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> _ = tg.manual_seed(0)
    >>> tg.rand(3)
    tensor([0.4963, 0.7682, 0.0885])
    """
    return _made(_generator(generator).uniform(np.empty(_shape(size), _float_dtype(dtype))), requires_grad, device)


def randn(
    *size: Any, generator: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Draw normal numbers of mean 0 and standard deviation 1: PyTorch's stream, within 1 ULP.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> _ = tg.manual_seed(0)
    >>> tg.randn(3)
    tensor([ 1.5410, -0.2934, -2.1788])
    """
    return _made(_generator(generator).normal(np.empty(_shape(size), _float_dtype(dtype))), requires_grad, device)


def randint(
    *args: Any, generator: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False, **named: Any
) -> Tensor:
    """Draw integers from ``low`` (0) up to, not including, ``high``.

    Parameters
    ----------
    args : ([low], high, size)

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> _ = tg.manual_seed(0)
    >>> tg.randint(0, 10, (5,))
    tensor([4, 9, 3, 0, 3])
    """
    values = list(args)
    size = named.pop("size", None)
    if size is None and values:
        size = values.pop()
    high = named.pop("high", None)
    if high is None and values:
        high = values.pop()
    low = named.pop("low", values.pop() if values else 0)
    if high is None or size is None or values or named:
        raise TypeError(f"randint() takes (high, size) or (low, high, size), got {args} {named or ''}")
    target = dtypes.I64 if dtype is None else dtypes.as_numpy(dtype)
    return _made(_generator(generator).random(np.empty(_shape((size,)), target), low, high), requires_grad, device)


def randperm(n: int, *, generator: Any = None, dtype: Any = None, device: Any = None) -> Tensor:
    """Draw a permutation of 0 to n - 1.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> _ = tg.manual_seed(0)
    >>> tg.randperm(4)
    tensor([0, 1, 3, 2])
    """
    order = _generator(generator).randperm(n)
    return _made(order if dtype is None else order.astype(dtypes.as_numpy(dtype)), False, device)


def normal(mean: Any, std: Any = 1.0, size: Any = None, *, generator: Any = None) -> Tensor:
    """Draw normal numbers of the given mean and standard deviation, numbers or tensors.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> _ = tg.manual_seed(0)
    >>> tg.normal(10.0, 2.0, (3,))
    tensor([13.0820,  9.4131,  5.6424])
    """
    if size is not None:
        return wrap(_generator(generator).normal(np.empty(_shape((size,)), _float_dtype(None)), mean, std))  # type: ignore[no-any-return]
    m = mean._array if isinstance(mean, TensorBase) else np.asarray(mean)
    s = std._array if isinstance(std, TensorBase) else np.asarray(std)
    shape = np.broadcast_shapes(m.shape, s.shape)
    given = [v._array.dtype for v in (mean, std) if isinstance(v, TensorBase)]
    target = np.result_type(*given) if given else _float_dtype(None)
    z = _generator(generator).normal(np.empty(shape, target))
    return wrap((z * s + m).astype(target))  # type: ignore[no-any-return]


def _like(make: Callable[..., Tensor], name: str) -> Callable[..., Tensor]:
    def call(
        input: Tensor, *args: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, **kw: Any
    ) -> Tensor:
        kind = dtypes.of(input._array) if dtype is None else dtype
        return make(*args, size=input._array.shape, dtype=kind, device=device, requires_grad=requires_grad, **kw)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"""Make a tensor as ``{name.removesuffix("_like")}`` does, of another's shape and dtype.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.{name}(tg.zeros(2, 3){_LIKE_ARGUMENTS.get(name, "")}).shape
    torch.Size([2, 3])
    """
    return call


_LIKE_ARGUMENTS = {"full_like": ", 7", "randint_like": ", 10"}


def _sized(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda *, size, **kw: make(size, **kw)


zeros_like = _like(_sized(zeros), "zeros_like")
ones_like = _like(_sized(ones), "ones_like")
empty_like = _like(_sized(empty), "empty_like")
rand_like = _like(_sized(rand), "rand_like")
randn_like = _like(_sized(randn), "randn_like")
full_like = _like(lambda value, *, size, **kw: full(size, value, **kw), "full_like")
randint_like = _like(lambda *bounds, size, **kw: randint(*bounds, size, **kw), "randint_like")
