"""The nonlinearities of ``ops/rectifiers.py`` as modules."""

from __future__ import annotations

from typing import Any

from ...ops import gates, rectifiers
from ...ops.create import empty
from ...tensor import Tensor
from .. import functional as F
from .. import init
from ..parameter import Parameter
from .module import Module

__all__ = [
    "CELU",
    "GELU",
    "GLU",
    "SELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "Mish",
    "PReLU",
    "ReLU6",
    "SiLU",
    "Softmin",
    "Softshrink",
    "Softsign",
    "Tanhshrink",
    "Threshold",
]


class _MaybeInPlace(Module):
    """What has one setting: whether the result replaces the input."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return "inplace=True" if self.inplace else ""


class ReLU6(_MaybeInPlace):
    """min(max(x, 0), 6).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.ReLU6()(tg.tensor([-1.0, 9.0]))
    tensor([0., 6.])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the function of the input."""
        return rectifiers.relu6(input, self.inplace)


class SELU(_MaybeInPlace):
    """scale (max(0, x) + min(0, alpha (exp(x) - 1))) (Klambauer et al. 2017).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.SELU()(tg.tensor([-1.0, 1.0]))
    tensor([-1.1113,  1.0507])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the function of the input."""
        return gates.selu(input, self.inplace)


class CELU(Module):
    """max(0, x) + min(0, alpha (exp(x / alpha) - 1)).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.CELU()(tg.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Return the function of the input."""
        return gates.celu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class SiLU(_MaybeInPlace):
    """x sigmoid(x).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.SiLU()(tg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7311])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the function of the input."""
        return gates.silu(input, self.inplace)


class Mish(_MaybeInPlace):
    """x tanh(softplus(x)) (Misra 2020).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.Mish()(tg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8651])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the function of the input."""
        return gates.mish(input, self.inplace)


class LeakyReLU(Module):
    """x where x > 0, else negative_slope x.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.LeakyReLU()(tg.tensor([-1.0, 2.0]))
    tensor([-0.0100,  2.0000])
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Return the function of the input."""
        return rectifiers.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")


class Hardtanh(Module):
    """x moved into [min_val, max_val].

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.Hardtanh()(tg.tensor([-2.0, 0.5]))
    tensor([-1.0000,  0.5000])
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.min_val = min_val
        self.max_val = max_val
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Return the function of the input."""
        return rectifiers.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return f"min_val={self.min_val}, max_val={self.max_val}" + (", inplace=True" if self.inplace else "")


class Hardsigmoid(_MaybeInPlace):
    """0 below -3, 1 above 3, x / 6 + 1 / 2 between.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.Hardsigmoid()(tg.tensor([-4.0, 0.0]))
    tensor([0.0000, 0.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the function of the input."""
        return rectifiers.hardsigmoid(input, self.inplace)


class Hardswish(_MaybeInPlace):
    """x hardsigmoid(x).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.Hardswish()(tg.tensor([1.0, 3.0]))
    tensor([0.6667, 3.0000])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the function of the input."""
        return rectifiers.hardswish(input, self.inplace)


class Hardshrink(Module):
    """0 where |x| <= lambd, else x.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.Hardshrink()(tg.tensor([0.3, 0.7]))
    tensor([0.0000, 0.7000])
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        """Return the function of the input."""
        return rectifiers.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return str(self.lambd)


class Softshrink(Module):
    """x moved towards 0 by lambd, and 0 where |x| <= lambd.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.Softshrink()(tg.tensor([0.3, 0.75]))
    tensor([0.0000, 0.2500])
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        """Return the function of the input."""
        return rectifiers.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return str(self.lambd)


class Tanhshrink(Module):
    """x - tanh(x).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.Tanhshrink()(tg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.2384])
    """

    forward = staticmethod(gates.tanhshrink)


class Softsign(Module):
    """x / (1 + |x|).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.Softsign()(tg.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """

    forward = staticmethod(gates.softsign)


class Threshold(Module):
    """x where x > threshold, else value.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.Threshold(0.5, -1.0)(tg.tensor([0.1, 0.7]))
    tensor([-1.0000,  0.7000])
    """

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold, self.value, self.inplace = threshold, value, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Return the function of the input."""
        return rectifiers.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return f"threshold={self.threshold}, value={self.value}" + (", inplace=True" if self.inplace else "")


class GELU(Module):
    """x P(Z <= x) for a standard normal Z (Hendrycks and Gimpel 2016).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.GELU()(tg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8413])
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        """Return the function of the input."""
        return gates.gelu(input, approximate=self.approximate)

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return f"approximate={self.approximate!r}"


class GLU(Module):
    """a sigmoid(b), a and b the halves of the input along ``dim``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.GLU()(tg.tensor([2.0, 0.0]))
    tensor([1.])
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Return the function of the input."""
        return gates.glu(input, self.dim)

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return f"dim={self.dim}"


class Softmin(Module):
    """softmax(-x).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.Softmin(dim=0)(tg.tensor([0.0, 0.0]))
    tensor([0.5000, 0.5000])
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Return the function of the input."""
        return F.softmin(input, self.dim, _stacklevel=5)

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return f"dim={self.dim}"


class PReLU(Module):
    """x where x > 0, else weight x, with a weight that is learned: one, or one for each channel (He et al. 2015).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.PReLU()(tg.tensor([-1.0, 2.0])).detach()
    tensor([-0.2500,  2.0000])
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight to what it starts from."""
        init.constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        """Return the function of the input."""
        return rectifiers.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return f"num_parameters={self.num_parameters}"
