"""Images: data sets and transforms under torchvision's names."""

from . import datasets, transforms

__all__ = ["datasets", "transforms"]
