"""Linear algebra under PyTorch's ``linalg`` names."""

from .ops.statistics import vector_norm

__all__ = ["vector_norm"]
