"""Tools around training, under PyTorch's names: ``utils.data`` makes batches of data sets, ``utils.dlpack`` shares memory."""

from . import data, dlpack

__all__ = ["data", "dlpack"]
