"""DLPack under PyTorch's names."""

from typing import Any

from ..interop import from_dlpack

__all__ = ["from_dlpack", "to_dlpack"]


def to_dlpack(tensor: Any) -> Any:
    """Return a DLPack capsule of a tensor's memory.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> type(tg.utils.dlpack.to_dlpack(tg.zeros(2))).__name__
    'PyCapsule'
    """
    return tensor.__dlpack__()
