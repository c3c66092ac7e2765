"""Neural networks: modules, parameters, initial weights, functions."""

from . import functional, init, modules, parameter, utils
from .modules import *  # noqa: F403 -- the layers are listed once, in modules/__init__.py
from .parameter import Buffer, Parameter

__all__ = ["Buffer", "Parameter", "functional", "init", "modules", "parameter", "utils"]
__all__ += modules.__all__
