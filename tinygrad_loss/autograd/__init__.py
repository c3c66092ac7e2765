"""Differentiation: the backward walk and what steers it."""

from ..op import RemovableHandle
from . import function, functional, graph
from .anomaly import detect_anomaly, is_anomaly_enabled, set_detect_anomaly
from .backward import backward, grad
from .function import Function
from .grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .gradcheck import GradcheckError, gradcheck, gradgradcheck
from .report import Finding, GradientReport
from .stepwise import DifferenceTable, finite_difference
from .verify import verify

__all__ = [
    "DifferenceTable",
    "Finding",
    "Function",
    "GradcheckError",
    "GradientReport",
    "RemovableHandle",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "finite_difference",
    "function",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
    "verify",
]
