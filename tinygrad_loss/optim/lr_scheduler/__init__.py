"""Schedulers: they set the optimizer's learning rates before each epoch, or each step."""

from .base import LRScheduler
from .combine import ChainedScheduler, SequentialLR
from .curve import ConstantLR, CosineAnnealingLR, CosineAnnealingWarmRestarts, LinearLR, PolynomialLR
from .cyclic import CyclicLR
from .factor import ExponentialLR, LambdaLR, MultiplicativeLR, MultiStepLR, StepLR
from .one_cycle import OneCycleLR
from .plateau import ReduceLROnPlateau

_LRScheduler = LRScheduler  # its name before PyTorch 2.0, which programs still use

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
