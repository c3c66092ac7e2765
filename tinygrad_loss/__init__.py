"""Automatic differentiation on NumPy and Numba, under PyTorch's names."""

# First, because importing a submodule sets its name here, and `tensor` is to be the function.
from .tensor import Size, Tensor  # isort: skip
from .tape import tape  # isort: skip

from . import autograd, dtypes, linalg, nn, ops, optim, testing, utils, vision
from .autograd import (
    enable_grad,
    inference_mode,
    is_anomaly_enabled,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .dtypes import (
    can_cast,
    complex64,
    complex128,
    dtype,
    float16,
    float32,
    float64,
    get_default_dtype,
    int8,
    int16,
    int32,
    int64,
    promote_types,
    set_default_dtype,
    uint8,
)
from .dtypes import bool_ as bool
from .ops.activation import log_softmax, logsumexp, relu, sigmoid, softmax, tanh
from .ops.broadcast import expand
from .ops.create import *
from .ops.arithmetic import *
from .ops.blending import *
from .ops.comparison import *
from .ops.elementwise import *
from .ops.extrema import *
from .ops.linalg import matmul
from .ops.reduce import *
from .ops.rounding import *
from .ops.scan import *
from .ops.statistics import *
from .ops.shape import cat, flatten, permute, reshape, squeeze, stack, t, transpose, unsqueeze
from .ops.trigonometry import *
from .printing import get_printoptions, printoptions, set_printoptions
from .interop import from_dlpack
from .serialization import load, save
from .random import Generator, default_generator, fork_rng, get_rng_state, initial_seed, manual_seed, seed, set_rng_state

__version__ = "0.1.0"

double, float, half = float64, float32, float16
long, int, short = int64, int32, int16
