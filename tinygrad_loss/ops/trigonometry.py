"""Trigonometric and hyperbolic functions, and their inverses; angles are in radians."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import F32, Array
from ..op import op, sample
from .arguments import documented
from .elementwise import rsqrt, where_row, wide

__all__ = [
    "acos",
    "acosh",
    "arccos",
    "arcsin",
    "arctan",
    "arctan2",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cos",
    "cosh",
    "sin",
    "sinh",
    "tan",
]

sin = op(
    "sin",
    wide(np.sin),
    vjp=lambda g, x: g * cos(x),
    numpy="np.sin({x})",
    domain=(-3, 3),
    promote="float",
    doc=documented("Return the sine.", "tg.sin(tg.tensor([0.0, 1.0]))", "tensor([0.0000, 0.8415])"),
)
cos: Any = op(
    "cos",
    wide(np.cos),
    vjp=lambda g, x: -g * sin(x),
    numpy="np.cos({x})",
    domain=(-3, 3),
    promote="float",
    doc=documented("Return the cosine.", "tg.cos(tg.tensor([0.0, 1.0]))", "tensor([1.0000, 0.5403])"),
)
tan = op(
    "tan",
    wide(np.tan),
    vjp=lambda g, y: g * (1 + y * y),
    numpy="np.tan({x})",
    domain=(-1, 1),
    promote="float",
    doc=documented("Return the tangent.", "tg.tan(tg.tensor([0.0, 1.0]))", "tensor([0.0000, 1.5574])"),
)
asin = op(
    "asin",
    wide(np.arcsin),
    vjp=lambda g, x: g * rsqrt(1 - x * x),  # NaN at infinity, where ** would give 0
    numpy="np.arcsin({x})",
    domain=(-0.9, 0.9),
    promote="float",
    doc=documented(
        "Return the angle whose sine it is; NaN outside [-1, 1].",
        "tg.asin(tg.tensor([0.0, 1.0]))",
        "tensor([0.0000, 1.5708])",
    ),
)
acos = op(
    "acos",
    wide(np.arccos),
    vjp=lambda g, x: -g * rsqrt(1 - x * x),
    numpy="np.arccos({x})",
    domain=(-0.9, 0.9),
    promote="float",
    doc=documented(
        "Return the angle whose cosine it is; NaN outside [-1, 1].",
        "tg.acos(tg.tensor([0.0, 1.0]))",
        "tensor([1.5708, 0.0000])",
    ),
)
atan = op(
    "atan",
    wide(np.arctan),
    vjp=lambda g, x: g / (1 + x * x),
    numpy="np.arctan({x})",
    domain=(-3, 3),
    promote="float",
    doc=documented(
        "Return the angle whose tangent it is.", "tg.atan(tg.tensor([0.0, 1.0]))", "tensor([0.0000, 0.7854])"
    ),
)


def _angle(a: Array, b: Array) -> Array:
    if a.dtype is F32:
        return np.arctan2(a.astype(np.float64), b.astype(np.float64)).astype(F32)
    return np.arctan2(a, b)


def _over_square(x: Any, a: Any, b: Any) -> Any:
    """x / (a**2 + b**2), and 0 at the origin, where the angle jumps."""
    square = a * a + b * b
    return where_row(square == 0, 0.0, x / where_row(square == 0, 1.0, square))


atan2 = op(
    "atan2",
    _angle,
    vjp=(lambda g, a, b: g * _over_square(b, a, b), lambda g, a, b: g * _over_square(-a, a, b)),
    numpy="np.arctan2({a}, {b})",
    domain=(0.5, 2),
    samples=[sample((3, 4), (3, 4)), sample((3, 1), (4,))],
    promote="float",
    tensors=2,
    doc=documented(
        "Return the angle of the point (other, input), in [-pi, pi].",
        "tg.atan2(tg.tensor([1.0]), tg.tensor([-1.0]))",
        "tensor([2.3562])",
    ),
)
sinh = op(
    "sinh",
    wide(np.sinh),
    vjp=lambda g, x: g * cosh(x),
    numpy="np.sinh({x})",
    domain=(-2, 2),
    promote="float",
    doc=documented("Return (e**x - e**-x) / 2.", "tg.sinh(tg.tensor([0.0, 1.0]))", "tensor([0.0000, 1.1752])"),
)
cosh: Any = op(
    "cosh",
    wide(np.cosh),
    vjp=lambda g, x: g * sinh(x),
    numpy="np.cosh({x})",
    domain=(-2, 2),
    promote="float",
    doc=documented("Return (e**x + e**-x) / 2.", "tg.cosh(tg.tensor([0.0, 1.0]))", "tensor([1.0000, 1.5431])"),
)
asinh = op(
    "asinh",
    wide(np.arcsinh),
    vjp=lambda g, x: g * (x * x + 1) ** -0.5,
    numpy="np.arcsinh({x})",
    domain=(-2, 2),
    promote="float",
    doc=documented(
        "Return the number whose sinh it is.", "tg.asinh(tg.tensor([0.0, 1.0]))", "tensor([0.0000, 0.8814])"
    ),
)
acosh = op(
    "acosh",
    wide(np.arccosh),
    vjp=lambda g, x: g * (x * x - 1) ** -0.5,
    numpy="np.arccosh({x})",
    domain=(1.1, 3),
    promote="float",
    doc=documented(
        "Return the number >= 0 whose cosh it is; NaN below 1.",
        "tg.acosh(tg.tensor([1.0, 2.0]))",
        "tensor([0.0000, 1.3170])",
    ),
)
atanh = op(
    "atanh",
    wide(np.arctanh),
    vjp=lambda g, x: g / (1 - x * x),
    numpy="np.arctanh({x})",
    domain=(-0.9, 0.9),
    promote="float",
    doc=documented(
        "Return the number whose tanh it is.", "tg.atanh(tg.tensor([0.0, 0.5]))", "tensor([0.0000, 0.5493])"
    ),
)
arcsin, arccos, arctan, arctan2 = asin, acos, atan, atan2
