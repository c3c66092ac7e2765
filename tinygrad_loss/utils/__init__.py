"""Tools around training, under PyTorch's names: ``utils.data`` makes batches of data sets."""

from . import data

__all__ = ["data"]
