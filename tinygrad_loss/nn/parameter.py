"""Tensors that a Module registers when they are assigned to it."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from ..op import TensorBase
from ..ops import create
from ..tensor import Tensor

__all__ = ["Buffer", "Parameter"]


class Parameter(Tensor):
    """A tensor that is trained: assigned to a Module it appears among its ``parameters()``.

    Parameters
    ----------
    data : Tensor, optional
        The values; the storage is shared, the history is not.
    requires_grad : bool

    Raises
    ------
    TypeError
        If ``data`` is no Tensor.
    RuntimeError
        If a gradient is wanted of integers or bools.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.Parameter(tg.tensor([1.0, 2.0]))
    Parameter containing:
    tensor([1., 2.], requires_grad=True)
    """

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        _share(self, data)
        if requires_grad and self._array.dtype.kind not in "fc":
            raise RuntimeError(
                f"Only Tensors of floating point and complex dtype can require gradients, got "
                f"{dtypes.of(self._array)}: write Parameter(data.float()), or Parameter(data, requires_grad=False)"
            )
        self._requires_grad = bool(requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.data.clone(), self._requires_grad)  # as in PyTorch, without its grad
        return memo[id(self)]


class Buffer(Tensor):
    """A tensor that belongs to a Module's state but is not trained: assigned to a Module it is registered as a buffer.

    Parameters
    ----------
    data : Tensor, optional
    persistent : bool
        Whether it is part of the ``state_dict``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> m = tg.nn.Module()
    >>> m.total = tg.nn.Buffer(tg.zeros(2))
    >>> m.state_dict()["total"]
    tensor([0., 0.])
    """

    def __init__(self, data: Any = None, *, persistent: bool = True) -> None:
        _share(self, data)
        self.persistent = persistent

    def __reduce_ex__(self, protocol: Any) -> Any:
        return (*super().__reduce_ex__(protocol), {"persistent": self.persistent})


def _share(self: Any, data: Any) -> None:
    """Let ``self`` be a leaf on the storage of ``data``."""
    if data is None:
        data = create.empty(0)
    if not isinstance(data, TensorBase):
        name = type(self).__name__
        raise TypeError(f"{name}() takes a Tensor, got {type(data).__name__}: write {name}(tensor(...))")
    self._array, self._version = data._array, data._version
