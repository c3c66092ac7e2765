"""DLPack: memory shared with other libraries, without a copy."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..op import TensorBase, edge_of, wrap
from ..ops.create import device_is_cpu


def to_dlpack(self: Any, kwargs: dict[str, Any]) -> Any:
    """A capsule of the tensor's memory, for another library to use without a copy."""
    if edge_of(self) is not None:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if kwargs.get("stream") is not None:
        raise BufferError(f"there are no streams on the CPU, got stream={kwargs['stream']!r}")
    if min(self._array.strides, default=0) < 0:  # PyTorch ends the process that hands it one
        raise BufferError(
            f"a tensor whose memory runs backwards, with strides {self.stride()}, cannot be shared: write "
            f"t.contiguous() for a copy"
        )
    return self._array.__dlpack__(**{k: v for k, v in kwargs.items() if v is not None})


class _Capsule:
    """A bare DLPack capsule as an object that has one."""

    def __init__(self, capsule: Any) -> None:
        self.capsule = capsule

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0  # kDLCPU


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Any:
    """Make a tensor of another library's, without a copy, through DLPack.

    Parameters
    ----------
    ext_tensor : object with ``__dlpack__``, or a DLPack capsule
        A PyTorch tensor, a NumPy array, a JAX array, ... on the CPU.
    device : "cpu", optional
        There is no other.
    copy : bool, optional
        True to copy all the same.

    Raises
    ------
    TypeError
        If it has no ``__dlpack__``, or elements of a dtype that no tensor has.
    BufferError
        If it requires a gradient, or does not lie in the CPU's memory.

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
    device_is_cpu(device)
    if isinstance(ext_tensor, TensorBase):
        if edge_of(ext_tensor) is not None:
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        out = wrap(ext_tensor._array)
        out._version = ext_tensor._version
        return out.clone() if copy else out
    if type(ext_tensor).__name__ == "PyCapsule":
        ext_tensor = _Capsule(ext_tensor)
    if not hasattr(ext_tensor, "__dlpack__"):
        raise TypeError(
            f"from_dlpack takes an object with __dlpack__, got {type(ext_tensor).__name__}; write tensor(...)"
        )
    kind = ext_tensor.__dlpack_device__()[0] if hasattr(ext_tensor, "__dlpack_device__") else 1
    if int(kind) not in (1, 3):  # kDLCPU, kDLCUDAHost
        raise BufferError(f"from_dlpack shares the CPU's memory alone, got a tensor on device type {int(kind)}")
    array = np.from_dlpack(ext_tensor)
    return wrap(array.copy() if copy else array)
