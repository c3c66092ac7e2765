"""The class Tensor: an ndarray, its place on the tape, and PyTorch's methods."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import autograd, dtypes, interop, op, printing
from .dtypes import Array
from .op import Node, TensorBase, Watch, edge_of, wrap
from .ops import (
    activation,
    arithmetic,
    blending,
    comparison,
    create,
    diagonals,
    elementwise,
    extrema,
    gates,
    gathering,
    index,
    inplace,
    linalg,
    parts,
    products,
    rearrange,
    rectifiers,
    reduce,
    rounding,
    scan,
    search,
    selection,
    statistics,
    trigonometry,
    views,
)
from .ops import shape as shapes
from .ops.arguments import axis, sizes
from .ops.broadcast import expand
from .ops.inplace_methods import InPlaceMethods
from .ops.slicing import unbind_row


class Size(tuple[int, ...]):
    """The shape of a tensor: a tuple of ints with PyTorch's ``repr``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.zeros(2, 3).shape
    torch.Size([2, 3])
    """

    __slots__ = ()

    def numel(self) -> int:
        """Return the number of elements."""
        n = 1
        for size in self:
            n *= size
        return n

    def __repr__(self) -> str:
        return f"torch.Size({list(self)})"

    def __getitem__(self, i: Any) -> Any:
        item = super().__getitem__(i)
        return Size(item) if isinstance(i, slice) else item


def _reflected(method: Any) -> Any:
    """A reflected operator: Python calls it on a Tensor; called by hand on anything else it is an error."""

    @functools.wraps(method)
    def call(self: Any, other: Any) -> Any:
        if not isinstance(self, TensorBase):
            raise TypeError(f"{method.__name__} requires a Tensor, got {type(self).__name__}")
        return method(self, other)

    return call


class Tensor(InPlaceMethods):
    """A multi-dimensional array that remembers how it was computed, so that gradients can flow back.

    ``Tensor(data)`` makes a float32 tensor; ``tensor(data)`` keeps the kind of numbers and takes a dtype.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> y = (x * x).sum()
    >>> y.backward()
    >>> y, x.grad
    (tensor(5., grad_fn=<SumBackward0>), tensor([2., 4.]))
    """

    def __init__(self, *data: Any) -> None:
        if len(data) == 1 and not isinstance(data[0], int):
            array = create.as_array(data[0], dtypes.get_default_dtype(), copy=not isinstance(data[0], TensorBase))
        else:
            array = np.empty(sizes(data or (0,)), dtypes.get_default_dtype().numpy)
        self._array = array
        self._version = [0, 0, None]

    # --- what it is ---------------------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """The sizes of its dimensions."""
        return Size(self._array.shape)

    def size(self, dim: int | None = None) -> Any:
        """Return the sizes of its dimensions, or of one."""
        return self.shape if dim is None else self._array.shape[axis(dim, self._array.ndim)]

    @property
    def ndim(self) -> int:
        """The number of its dimensions."""
        return self._array.ndim

    def dim(self) -> int:
        """Return the number of its dimensions."""
        return self._array.ndim

    def numel(self) -> int:
        """Return the number of its elements."""
        return self._array.size

    nelement = numel

    @property
    def dtype(self) -> dtypes.dtype:
        """The type of its elements."""
        return dtypes.of(self._array)

    @property
    def device(self) -> str:
        """Where it lives: always the CPU."""
        return "cpu"

    @property
    def itemsize(self) -> int:
        """The bytes of one element."""
        return self._array.itemsize

    def element_size(self) -> int:
        """Return the bytes of one element."""
        return self._array.itemsize

    @property
    def nbytes(self) -> int:
        """The bytes of all elements."""
        return self._array.nbytes

    def stride(self, dim: int | None = None) -> Any:
        """Return how many elements lie between neighbours along each dimension, or along one."""
        strides = tuple(s // self._array.itemsize for s in self._array.strides)
        return strides if dim is None else strides[axis(dim, self._array.ndim)]

    def is_contiguous(self) -> bool:
        """Tell whether its elements lie in memory in their order."""
        return self._array.flags.c_contiguous

    def is_floating_point(self) -> bool:
        """Tell whether its elements are floating point numbers."""
        return self._array.dtype.kind == "f"

    def is_complex(self) -> bool:
        """Tell whether its elements are complex numbers."""
        return self._array.dtype.kind == "c"

    def data_ptr(self) -> int:
        """Return the address of its first element."""
        return self._array.ctypes.data

    # --- the tape -----------------------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether operations on it are recorded."""
        return edge_of(self) is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Record operations on this leaf from now on, or no more."""
        if not self.is_leaf and not requires_grad:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables: this tensor was computed. Write x.detach() for one "
                "that needs no gradient."
            )
        if requires_grad and self._array.dtype.kind not in "fc":
            raise RuntimeError(
                f"only Tensors of floating point and complex dtype can require gradients, got {self.dtype}: write x.float()"
            )
        if self.is_leaf:
            self._requires_grad = bool(requires_grad)
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether it was not computed from tensors that need a gradient."""
        return self.grad_fn is None

    @property
    def grad_fn(self) -> Node | None:
        """The node of the op that computed it; None for a leaf."""
        if self._base is not None:
            edge_of(self)
        return self._node.main if self._node is not None else None

    @property
    def output_nr(self) -> int:
        """Which output of ``grad_fn`` this is."""
        return self._node.output_nr if self._node is not None else 0

    @property
    def grad(self) -> Tensor | None:
        """The gradient that ``backward`` has accumulated here."""
        return self._grad  # type: ignore[no-any-return]

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"assigned grad expected to be a Tensor or None but got {type(value).__name__}")
            if value._array.shape != self._array.shape or value._array.dtype != self._array.dtype:
                raise RuntimeError(
                    f"assigned grad has data of a different size or type: {list(value.shape)} {value.dtype} for a tensor of "
                    f"{list(self.shape)} {self.dtype}"
                )
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Accumulate the gradient of this tensor in the ``grad`` of the leaves; see ``autograd.backward``."""
        autograd.backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    def detach(self) -> Tensor:
        """Return a tensor of the same storage that is not on the tape."""
        out: Tensor = wrap(self._array)
        out._version = self._version
        return out

    def detach_(self) -> Tensor:
        """Take this tensor off the tape."""
        if self._base is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead")
        self._node, self._requires_grad = None, False
        return self

    @property
    def data(self) -> Tensor:
        """The same storage, off the tape and unknown to it: writes are not noticed."""
        return wrap(self._array)  # type: ignore[no-any-return]

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"data must be a Tensor, got {type(value).__name__}; write x.data = tensor(...)")
        self._array = value._array

    def retain_grad(self) -> None:
        """Keep the gradient of this computed tensor in its ``grad``, as leaves do."""
        if not self.requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        node = edge_of(self)
        if node is not self:
            Watch.of(node).retained = weakref.ref(self)

    @property
    def retains_grad(self) -> bool:
        """Whether this computed tensor keeps its gradient."""
        node = edge_of(self)
        kept = node.watch.retained if isinstance(node, Node) and node.watch is not None else None
        return kept is not None and kept() is self

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> autograd.RemovableHandle:
        """Call ``hook(grad)`` when this tensor's gradient is known; what it returns, if not None, takes its place."""
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        node = edge_of(self)
        if node is not self:
            return autograd.RemovableHandle(Watch.of(node).hooks, hook)
        self._hooks = self._hooks if self._hooks is not None else {}
        return autograd.RemovableHandle(self._hooks, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> autograd.RemovableHandle:
        """Call ``hook(leaf)`` after a gradient was accumulated in this leaf."""
        if not self.is_leaf or not self._requires_grad:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        self._accumulated = self._accumulated if self._accumulated is not None else {}
        return autograd.RemovableHandle(self._accumulated, hook)

    def _is_view(self) -> bool:
        return self._base is not None

    # --- as Python and NumPy see it -----------------------------------------------------------------------------

    def item(self) -> Any:
        """Return the one element as a Python number."""
        if self._array.size != 1:
            raise RuntimeError(
                f"a Tensor with {self._array.size} elements cannot be converted to Scalar: its shape is "
                f"{list(self._array.shape)}. Write .tolist(), or reduce it first (.sum(), .mean())."
            )
        return self._array.item()

    def tolist(self) -> Any:
        """Return nested lists of Python numbers; of a 0-d tensor the number."""
        return self._array.tolist()

    def numpy(self, *, force: bool = False) -> Array:
        """Return the ndarray, without a copy."""
        if self.requires_grad and not force:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        return self._array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return interop.array_ufunc(self, ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return interop.array_function(func, args, kwargs)

    def __dlpack__(self, **kwargs: Any) -> Any:
        return interop.to_dlpack(self, kwargs)

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()

    def __bool__(self) -> bool:
        if self._array.size != 1:
            many = "no values" if self._array.size == 0 else "more than one value"
            raise RuntimeError(
                f"Boolean value of Tensor with {many} is ambiguous: its shape is {list(self._array.shape)}. Write .any() or "
                f".all()."
            )
        return bool(self._array.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        if self._array.dtype.kind not in "iub" or self._array.size != 1:
            raise TypeError(
                f"only integer tensors of a single element can be converted to an index, got shape {list(self.shape)} "
                f"{self.dtype}"
            )
        return int(self._array.item())

    def __len__(self) -> int:
        if not self._array.ndim:
            raise TypeError("len() of a 0-d tensor")
        return len(self._array)

    def __iter__(self) -> Iterator[Tensor]:
        if not self._array.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return iter([unbind_row(self, index=(i,)) for i in range(len(self._array))])

    def __contains__(self, element: Any) -> bool:
        if isinstance(element, (Tensor, bool, int, float, complex)):
            return bool((self._array == (element._array if isinstance(element, Tensor) else element)).any())
        raise RuntimeError(f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}.")

    __hash__ = object.__hash__  # equality is elementwise, identity is what sets and dictionaries ask for

    def __repr__(self) -> str:
        node = self.grad_fn
        return printing.format_tensor(
            self._array, grad_fn=node.name() if node is not None else None, requires_grad=self._requires_grad
        )

    def __format__(self, spec: str) -> str:
        if self._array.ndim == 0 and type(self) is Tensor:
            return format(self._array.item(), spec)
        return object.__format__(self, spec)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) in memo:
            return memo[id(self)]
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment: "
                "write x.detach().clone()"
            )
        out = type(self).__new__(type(self))
        memo[id(self)] = out
        out.__dict__.update({k: v for k, v in self.__dict__.items() if k not in ("_hooks", "_accumulated")})
        out._array, out._version, out._base, out._path = self._array.copy("K"), [0, 0, None], None, None
        if self._grad is not None:
            out._grad = self._grad.detach().clone()
        return out

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuild, (type(self), self.detach()._array, self._requires_grad)

    # --- arithmetic ---------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Tensor:
        return arithmetic.add_row(self, other)  # type: ignore[no-any-return]

    @_reflected
    def __radd__(self, other: Any) -> Tensor:
        return arithmetic.add_row(self, other)  # type: ignore[no-any-return]

    def __sub__(self, other: Any) -> Tensor:
        return arithmetic.sub(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return arithmetic.rsub(self, other)

    def __mul__(self, other: Any) -> Tensor:
        return arithmetic.mul(self, other)  # type: ignore[no-any-return]

    @_reflected
    def __rmul__(self, other: Any) -> Tensor:
        return arithmetic.mul(self, other)  # type: ignore[no-any-return]

    def __truediv__(self, other: Any) -> Tensor:
        return arithmetic.div_row(self, other)  # type: ignore[no-any-return]

    def __rtruediv__(self, other: Any) -> Tensor:
        return self.reciprocal() * other  # type: ignore[no-any-return]

    __rdiv__ = __rtruediv__

    def __floordiv__(self, other: Any) -> Tensor:
        return rounding.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return rounding.floor_divide(other, self)

    def __mod__(self, other: Any) -> Tensor:
        return rounding.remainder(self, other)

    def __rmod__(self, other: Any) -> Tensor:
        return rounding.remainder(other, self)

    def __pow__(self, other: Any) -> Tensor:
        return arithmetic.pow(self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return arithmetic.pow(other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return linalg.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return linalg.matmul(other, self)

    def __neg__(self) -> Tensor:
        return arithmetic.neg(self)  # type: ignore[no-any-return]

    def __pos__(self) -> Tensor:
        return arithmetic.positive(self)

    def __abs__(self) -> Tensor:
        return arithmetic.abs(self)  # type: ignore[no-any-return]

    def __eq__(self, other: Any) -> Any:
        return comparison.eq(self, other) if _comparable(other) else NotImplemented

    def __ne__(self, other: Any) -> Any:
        return comparison.ne(self, other) if _comparable(other) else NotImplemented

    def __lt__(self, other: Any) -> Tensor:
        return comparison.lt(self, other)  # type: ignore[no-any-return]

    def __le__(self, other: Any) -> Tensor:
        return comparison.le(self, other)  # type: ignore[no-any-return]

    def __gt__(self, other: Any) -> Tensor:
        return comparison.gt(self, other)  # type: ignore[no-any-return]

    def __ge__(self, other: Any) -> Tensor:
        return comparison.ge(self, other)  # type: ignore[no-any-return]

    def __and__(self, other: Any) -> Tensor:
        return comparison.bitwise_and(self, other)  # type: ignore[no-any-return]

    def __or__(self, other: Any) -> Tensor:
        return comparison.bitwise_or(self, other)  # type: ignore[no-any-return]

    def __xor__(self, other: Any) -> Tensor:
        return comparison.bitwise_xor(self, other)  # type: ignore[no-any-return]

    def __lshift__(self, other: Any) -> Tensor:
        return comparison.bitwise_left_shift(self, other)  # type: ignore[no-any-return]

    def __rlshift__(self, other: Any) -> Tensor:
        return comparison.bitwise_left_shift(other, self)  # type: ignore[no-any-return]

    def __rshift__(self, other: Any) -> Tensor:
        return comparison.bitwise_right_shift(self, other)  # type: ignore[no-any-return]

    def __rrshift__(self, other: Any) -> Tensor:
        return comparison.bitwise_right_shift(other, self)  # type: ignore[no-any-return]

    __rand__, __ror__, __rxor__ = _reflected(__and__), _reflected(__or__), _reflected(__xor__)

    def __invert__(self) -> Tensor:
        return comparison.bitwise_not(self)  # type: ignore[no-any-return]

    def __getitem__(self, item: Any) -> Tensor:
        return index.getitem(self, item)  # type: ignore[no-any-return]

    def __setitem__(self, item: Any, value: Any) -> None:
        inplace.setitem(self, item, value)

    add, sub, mul, pow, abs, absolute = (
        arithmetic.add, arithmetic.sub, arithmetic.mul, arithmetic.pow, arithmetic.abs, arithmetic.absolute,
    )  # fmt: skip
    neg, negative, positive, sign, square, reciprocal = (
        arithmetic.neg, arithmetic.negative, arithmetic.positive, arithmetic.sign, arithmetic.square, arithmetic.reciprocal,
    )  # fmt: skip
    multiply, subtract = arithmetic.multiply, arithmetic.subtract
    div, divide, true_divide, floor_divide, remainder, fmod = (
        rounding.div, rounding.divide, rounding.true_divide, rounding.floor_divide, rounding.remainder, rounding.fmod,
    )  # fmt: skip
    floor, ceil, round, trunc, fix, frac = (
        rounding.floor, rounding.ceil, rounding.round, rounding.trunc, rounding.fix, rounding.frac,
    )  # fmt: skip
    exp, exp2, expm1, log, log2, log10 = (
        elementwise.exp, elementwise.exp2, elementwise.expm1, elementwise.log, elementwise.log2, elementwise.log10,
    )  # fmt: skip
    log1p, sqrt, rsqrt, clamp, clip, clamp_min = (
        elementwise.log1p, elementwise.sqrt, elementwise.rsqrt, elementwise.clamp, elementwise.clip, elementwise.clamp_min,
    )  # fmt: skip
    clamp_max, maximum, minimum = elementwise.clamp_max, elementwise.maximum, elementwise.minimum
    sin, cos, tan, asin, acos, atan = (
        trigonometry.sin, trigonometry.cos, trigonometry.tan, trigonometry.asin, trigonometry.acos, trigonometry.atan,
    )  # fmt: skip
    arcsin, arccos, arctan, atan2, arctan2, sinh = (
        trigonometry.arcsin, trigonometry.arccos, trigonometry.arctan, trigonometry.atan2, trigonometry.arctan2, trigonometry.sinh,
    )  # fmt: skip
    cosh, asinh, acosh, atanh = trigonometry.cosh, trigonometry.asinh, trigonometry.acosh, trigonometry.atanh
    lerp, addcmul, addcdiv, logaddexp, xlogy, nan_to_num = (
        blending.lerp, blending.addcmul, blending.addcdiv, blending.logaddexp, blending.xlogy, blending.nan_to_num,
    )  # fmt: skip
    eq, ne, lt, le, gt, ge = comparison.eq, comparison.ne, comparison.lt, comparison.le, comparison.gt, comparison.ge
    not_equal, less, less_equal, greater, greater_equal, isnan = (
        comparison.not_equal, comparison.less, comparison.less_equal, comparison.greater, comparison.greater_equal,
        comparison.isnan,
    )  # fmt: skip
    isinf, isfinite, isclose, allclose, equal, logical_and = (
        comparison.isinf, comparison.isfinite, comparison.isclose, comparison.allclose, comparison.equal,
        comparison.logical_and,
    )  # fmt: skip
    logical_or, logical_xor, logical_not, bitwise_and, bitwise_or, bitwise_xor = (
        comparison.logical_or, comparison.logical_xor, comparison.logical_not, comparison.bitwise_and,
        comparison.bitwise_or, comparison.bitwise_xor,
    )  # fmt: skip
    bitwise_not, bitwise_left_shift, bitwise_right_shift = (
        comparison.bitwise_not, comparison.bitwise_left_shift, comparison.bitwise_right_shift,
    )  # fmt: skip

    def where(self, condition: Tensor, other: Any) -> Tensor:
        """Return these elements where the condition holds, ``other``'s elsewhere."""
        return elementwise.where(condition, self, other)  # type: ignore[no-any-return]

    sigmoid, tanh, relu = activation.sigmoid, activation.tanh, activation.relu
    erf, prelu, hardshrink = gates.erf, rectifiers.prelu, rectifiers.hardshrink
    softmax, log_softmax, logsumexp = activation.softmax, activation.log_softmax, activation.logsumexp
    sum, mean, prod, all, any = reduce.sum, reduce.mean, reduce.prod, reduce.all, reduce.any
    count_nonzero, cumsum, cumprod = reduce.count_nonzero, scan.cumsum, scan.cumprod
    max, min, amax, amin = extrema.max, extrema.min, extrema.amax, extrema.amin
    argmax, argmin, median = extrema.argmax, extrema.argmin, extrema.median
    var, std, norm = statistics.var, statistics.std, statistics.norm
    matmul, mm, bmm, mv, dot = linalg.matmul, products.mm, products.bmm, products.mv, products.dot
    inner, outer, ger, addmm, baddbmm = (
        products.inner, products.outer, products.ger, products.addmm, products.baddbmm,
    )  # fmt: skip

    # --- shape and dtype ----------------------------------------------------------------------------------------

    reshape, view, permute, expand = shapes.reshape, shapes.view, shapes.permute, expand
    flatten, unflatten, squeeze, unsqueeze = views.flatten, views.unflatten, views.squeeze, views.unsqueeze
    reshape_as, view_as, expand_as, broadcast_to = (
        views.reshape_as, views.view_as, views.expand_as, views.broadcast_to,
    )  # fmt: skip
    transpose, swapaxes, swapdims, t = views.transpose, views.swapaxes, views.swapdims, views.t
    movedim, moveaxis = views.movedim, views.moveaxis
    select, narrow, split, chunk, unbind = parts.select, parts.narrow, parts.split, parts.chunk, parts.unbind
    diagonal, diag, diag_embed = diagonals.diagonal, diagonals.diag, diagonals.diag_embed
    tril, triu, trace = diagonals.tril, diagonals.triu, diagonals.trace
    flip, fliplr, flipud, roll = rearrange.flip, rearrange.fliplr, rearrange.flipud, rearrange.roll
    repeat, tile, repeat_interleave = rearrange.repeat, rearrange.tile, rearrange.repeat_interleave
    gather, scatter, scatter_add, take_along_dim = (
        gathering.gather, gathering.scatter, gathering.scatter_add, gathering.take_along_dim,
    )  # fmt: skip
    index_select, index_add = selection.index_select, selection.index_add
    masked_fill, masked_select = selection.masked_fill, selection.masked_select
    sort, argsort, topk, nonzero = search.sort, search.argsort, search.topk, search.nonzero
    unique, unique_consecutive, bincount = search.unique, search.unique_consecutive, search.bincount

    @property
    def T(self) -> Tensor:
        """The tensor with its dimensions reversed."""
        return shapes.permute(self, tuple(reversed(range(self._array.ndim))))

    @property
    def mT(self) -> Tensor:
        """The tensor with its last two dimensions swapped."""
        if self._array.ndim < 2:
            raise RuntimeError(
                f"tensor.mT is only supported on matrices or batches of matrices. Got {self._array.ndim}-D tensor."
            )
        return views.transpose(self, -2, -1)

    clone, contiguous = shapes.clone, shapes.contiguous

    def to(
        self, *args: Any, dtype: Any = None, device: Any = None, copy: bool = False, non_blocking: bool = False
    ) -> Tensor:
        """Return the same values with another dtype (or as another tensor has it); itself where nothing changes.

        Examples
        --------
        >>> import tinygrad_loss as tg
        >>> tg.tensor([1, 2]).to(tg.float64)
        tensor([1., 2.], dtype=torch.float64)
        """
        for arg in args:
            if isinstance(arg, Tensor):
                dtype = arg.dtype
            elif isinstance(arg, str):
                device = arg
            else:
                dtype = arg
        create.device_is_cpu(device)
        out = self if dtype is None else shapes.to(self, dtypes.as_numpy(dtype))
        return out.clone() if copy and out is self else out

    def type(self, dtype: Any = None) -> Any:
        """Return the same values with another dtype; without one, PyTorch's name of the type."""
        return self.to(dtype) if dtype is not None else dtypes.legacy_name(self.dtype)

    def type_as(self, other: Tensor) -> Tensor:
        """Return the same values with the dtype of another tensor."""
        return self.to(other.dtype)

    def float(self) -> Tensor:
        """Return the same values as float32."""
        return shapes.to(self, dtypes.F32)  # type: ignore[no-any-return]

    def double(self) -> Tensor:
        """Return the same values as float64."""
        return shapes.to(self, dtypes.F64)  # type: ignore[no-any-return]

    def half(self) -> Tensor:
        """Return the same values as float16."""
        return self.to(dtypes.float16)

    def long(self) -> Tensor:
        """Return the same values, cut off after the point, as int64."""
        return shapes.to(self, dtypes.I64)  # type: ignore[no-any-return]

    def int(self) -> Tensor:
        """Return the same values, cut off after the point, as int32."""
        return self.to(dtypes.int32)

    def bool(self) -> Tensor:
        """Return which elements are not zero."""
        return shapes.to(self, dtypes.BOOL)  # type: ignore[no-any-return]

    def cpu(self) -> Tensor:
        """Return itself: the CPU is where it is."""
        return self


def _comparable(other: Any) -> bool:
    return isinstance(other, (TensorBase, np.ndarray, np.generic, bool, int, float, complex))


def _rebuild(cls: type[Tensor], array: Array, requires_grad: bool) -> Tensor:
    out = cls.__new__(cls)
    native = dtypes.of(array).numpy  # the one that fast paths compare with by identity; pickle makes another
    out._array = array if array.dtype is native else array.view(native)
    out._version, out._requires_grad = [0, 0, None], requires_grad
    return out


op.use_tensor_type(Tensor)
