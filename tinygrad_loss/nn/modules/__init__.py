"""The layers."""

from .activation import ELU, LogSigmoid, LogSoftmax, ReLU, Sigmoid, Softmax, Softplus, Tanh
from .container import ModuleDict, ModuleList, Sequential
from .flatten import Flatten
from .linear import Identity, Linear
from .module import Module
from .parameter_container import ParameterDict, ParameterList

__all__ = [
    "ELU",
    "Flatten",
    "Identity",
    "Linear",
    "LogSigmoid",
    "LogSoftmax",
    "Module",
    "ModuleDict",
    "ModuleList",
    "ParameterDict",
    "ParameterList",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
]
