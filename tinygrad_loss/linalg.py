"""Linear algebra under PyTorch's ``linalg`` names."""

from .ops.linalg import matmul
from .ops.statistics import vector_norm

__all__ = ["matmul", "vector_norm"]
