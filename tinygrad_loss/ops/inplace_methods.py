"""The methods whose names end in an underscore: each writes its result into the tensor itself and returns it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes, random
from ..op import TensorBase, edge_of, mode, wrap
from . import (
    activation,
    arithmetic,
    blending,
    comparison,
    diagonals,
    elementwise,
    gates,
    gathering,
    products,
    rounding,
    scan,
    selection,
    trigonometry,
    views,
)  # fmt: skip
from .inplace import (
    check_writable,
    copy_row,
    fill_row,
    index_put,
    inplace,
    reshaped,
    rewrite,
    store,
    writable,
    zero_row,
)


def fill_(self: Any, value: Any) -> Any:
    """Set all elements to one value, a number or a 0-d tensor.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.zeros(2).fill_(7)
    tensor([7., 7.])
    """
    check_writable(self, "fill_")
    if isinstance(value, TensorBase):
        if value._array.ndim:
            raise RuntimeError(
                f"fill_ only supports 0-dimension value tensor but got tensor with {value._array.ndim} dimensions. "
                f"Write copy_() for many values."
            )
    elif not isinstance(value, (bool, int, float, complex, np.generic)):
        raise TypeError(f"fill_(): argument 'value' must be Number or Tensor, not {type(value).__name__}")
    elif not _fits(value, self._array.dtype):
        raise RuntimeError(f"value cannot be converted to type {dtypes.of(self._array)} without overflow: {value!r}")
    return store(self, fill_row(self, value), "fill_")


def _fits(value: Any, dtype: np.dtype[Any]) -> bool:
    if dtype.kind not in "iu" or isinstance(value, complex):
        return True
    return bool(np.isfinite(value)) and np.iinfo(dtype).min <= int(value) <= np.iinfo(dtype).max


def zero_(self: Any) -> Any:
    """Set all elements to zero.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.ones(2).zero_()
    tensor([0., 0.])
    """
    check_writable(self, "zero_")
    return store(self, zero_row(self), "zero_")


def copy_(self: Any, src: Any, non_blocking: bool = False) -> Any:
    """Take over the values of another tensor, broadcast and cast to this one's shape and dtype.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.zeros(2, 2).copy_(tg.tensor([1, 2]))
    tensor([[1., 2.],
            [1., 2.]])
    """
    check_writable(self, "copy_")
    if isinstance(src, (bool, int, float, complex, np.generic)):
        return fill_(self, src)
    if not isinstance(src, TensorBase):
        raise TypeError(
            f"copy_(): argument 'other' must be Tensor, not {type(src).__name__}; write copy_(tensor({src!r:.40}))"
        )
    if not _spreads(src._array.shape, self._array.shape):
        raise RuntimeError(
            f"copy_() cannot spread the shape {list(src._array.shape)} over {list(self._array.shape)}: counted from "
            f"the end, each size must be equal or 1"
        )
    return store(self, copy_row(self, src), "copy_")


def _spreads(given: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    extra = len(shape) - len(given)
    return extra >= 0 and all(m in (1, n) for m, n in zip(given, shape[extra:], strict=True))


def _drawn(name: str, draw: Callable[..., Any], example: str, arguments: str = "") -> Callable[..., Any]:
    """The method that overwrites a tensor with random numbers."""

    def call(self: Any, *args: Any, generator: Any = None, **kwargs: Any) -> Any:
        check_writable(self, name)
        for ours, theirs in (("from", "low"), ("to", "high"), ("lambd", "rate")):  # PyTorch's keywords
            if ours in kwargs:
                kwargs[theirs] = kwargs.pop(ours)
        array = writable(self, name)
        kwargs = {k: v._array if isinstance(v, TensorBase) else v for k, v in kwargs.items()}
        args = tuple(a._array if isinstance(a, TensorBase) else a for a in args)
        draw(random.default_generator if generator is None else generator, array, *args, **kwargs)
        tracked = mode.grad and edge_of(self) is not None
        rewrite(self, copy_row(self, wrap(array)) if tracked else wrap(array), name)
        return self

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"""{draw.__doc__}

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> _ = tg.manual_seed(0)
    >>> tg.empty(2).{name}({arguments})
    {example}
    """
    return call


def _random(generator: Any, out: Any, low: Any = None, high: Any = None) -> None:
    """Draw integers from [low, high); with one argument from [0, low); else all that the dtype holds exactly."""
    generator.random(out, *((0, low) if low is not None and high is None else (low, high)))


def _uniform(generator: Any, out: Any, low: float = 0.0, high: float = 1.0) -> None:
    """Draw uniform numbers from [low, high)."""
    generator.uniform(out, low, high)


def _normal(generator: Any, out: Any, mean: float = 0.0, std: float = 1.0) -> None:
    """Draw from the normal distribution."""
    generator.normal(out, mean, std)


def _bernoulli(generator: Any, out: Any, p: Any = 0.5) -> None:
    """Draw 1 with probability ``p`` (a number, or one for each element), else 0."""
    generator.bernoulli(out, p)


def _exponential(generator: Any, out: Any, rate: float = 1.0) -> None:
    """Draw from the exponential distribution of the given rate."""
    generator.exponential(out, rate)


def _cauchy(generator: Any, out: Any, median: float = 0.0, sigma: float = 1.0) -> None:
    """Draw from the Cauchy distribution."""
    generator.cauchy(out, median, sigma)


def _log_normal(generator: Any, out: Any, mean: float = 1.0, std: float = 2.0) -> None:
    """Draw exponentials of normal numbers."""
    generator.log_normal(out, mean, std)


def _geometric(generator: Any, out: Any, p: float) -> None:
    """Draw the number of trials up to the first success, each of probability ``p``."""
    generator.geometric(out, p)


def _of(module: Any, names: str) -> list[Callable[..., Any]]:
    return [inplace(getattr(module, name), f"{name}_") for name in names.split()]


class InPlaceMethods(TensorBase):
    """What the class Tensor has of them."""

    fill_, zero_, copy_ = fill_, zero_, copy_

    random_ = _drawn("random_", _random, "tensor([ 8325664., 12888472.])")
    uniform_ = _drawn("uniform_", _uniform, "tensor([0.4963, 0.7682])")
    normal_ = _drawn("normal_", _normal, "tensor([ 1.5410, -0.2934])")
    bernoulli_ = _drawn("bernoulli_", _bernoulli, "tensor([0., 0.])")
    exponential_ = _drawn("exponential_", _exponential, "tensor([3.5083, 1.2304])")
    cauchy_ = _drawn("cauchy_", _cauchy, "tensor([10.5977,  0.7648])")
    log_normal_ = _drawn("log_normal_", _log_normal, "tensor([59.2634,  1.5116])")
    geometric_ = _drawn("geometric_", _geometric, "tensor([1., 1.])", "0.5")

    add_, sub_, mul_, pow_ = _of(arithmetic, "add sub mul pow")
    multiply_, subtract_ = _of(arithmetic, "multiply subtract")
    abs_, absolute_, neg_, negative_, sign_ = _of(arithmetic, "abs absolute neg negative sign")
    square_, reciprocal_ = _of(arithmetic, "square reciprocal")
    div_, divide_, true_divide_, floor_divide_ = _of(rounding, "div divide true_divide floor_divide")
    remainder_, fmod_, round_, floor_, ceil_ = _of(rounding, "remainder fmod round floor ceil")
    trunc_, fix_, frac_ = _of(rounding, "trunc fix frac")
    exp_, exp2_, expm1_, log_, log1p_ = _of(elementwise, "exp exp2 expm1 log log1p")
    log2_, log10_, sqrt_, rsqrt_ = _of(elementwise, "log2 log10 sqrt rsqrt")
    clamp_, clamp_min_, clamp_max_, clip_ = _of(elementwise, "clamp clamp_min clamp_max clip")
    sin_, cos_, tan_, asin_, acos_, atan_ = _of(trigonometry, "sin cos tan asin acos atan")
    sinh_, cosh_, asinh_, acosh_, atanh_ = _of(trigonometry, "sinh cosh asinh acosh atanh")
    arcsin_, arccos_, arctan_ = _of(trigonometry, "arcsin arccos arctan")
    atan2_, arctan2_ = _of(trigonometry, "atan2 arctan2")
    lerp_, addcmul_, addcdiv_, xlogy_, nan_to_num_ = _of(blending, "lerp addcmul addcdiv xlogy nan_to_num")
    eq_, ne_, lt_, le_, gt_, ge_ = _of(comparison, "eq ne lt le gt ge")
    not_equal_, less_, less_equal_ = _of(comparison, "not_equal less less_equal")
    greater_, greater_equal_ = _of(comparison, "greater greater_equal")
    logical_and_, logical_or_ = _of(comparison, "logical_and logical_or")
    logical_xor_, logical_not_ = _of(comparison, "logical_xor logical_not")
    bitwise_and_, bitwise_or_ = _of(comparison, "bitwise_and bitwise_or")
    bitwise_xor_, bitwise_not_ = _of(comparison, "bitwise_xor bitwise_not")
    bitwise_left_shift_, bitwise_right_shift_ = _of(comparison, "bitwise_left_shift bitwise_right_shift")
    sigmoid_, tanh_, relu_ = _of(activation, "sigmoid tanh relu")
    erf_ = inplace(gates.erf, "erf_")
    cumsum_, cumprod_ = _of(scan, "cumsum cumprod")
    tril_, triu_ = _of(diagonals, "tril triu")
    scatter_, scatter_add_ = _of(gathering, "scatter scatter_add")
    index_add_, masked_fill_ = _of(selection, "index_add masked_fill")
    index_put, index_put_ = index_put, inplace(index_put, "index_put_")
    addmm_, baddbmm_ = _of(products, "addmm baddbmm")
    t_, transpose_, swapaxes_ = (reshaped(getattr(views, f), f"{f}_") for f in ("t", "transpose", "swapaxes"))
    swapdims_, squeeze_, unsqueeze_ = (
        reshaped(getattr(views, f), f"{f}_") for f in ("swapdims", "squeeze", "unsqueeze")
    )

    __iadd__, __isub__, __imul__, __itruediv__ = add_, sub_, mul_, div_
    __ifloordiv__, __imod__, __ipow__ = floor_divide_, remainder_, pow_
    __iand__, __ior__, __ixor__ = bitwise_and_, bitwise_or_, bitwise_xor_
    __ilshift__, __irshift__ = bitwise_left_shift_, bitwise_right_shift_
