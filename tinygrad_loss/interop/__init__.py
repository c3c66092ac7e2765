"""NumPy's functions and operators on tensors, as ops on the tape; and DLPack."""

from .dlpack import from_dlpack, to_dlpack
from .functions import array_function
from .ufuncs import array_ufunc

__all__ = ["array_function", "array_ufunc", "from_dlpack", "to_dlpack"]
