"""The nuclear norm of matrices: the sum of their singular values."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import Array
from ..op import op, sample
from .arguments import array_of
from .broadcast import restored
from .linalg import matmul_row
from .shape import permute_row, reshape, transpose_row

__all__ = ["nuclear_norm"]

_TALL = np.array([[2.0, 0.3], [-0.4, 1.5], [0.6, -0.9]])
_ROOT = np.array([[2.0, 0.3, 0.1], [0.3, 1.5, -0.2], [0.1, -0.2, 1.2]])


def _mT(x: Any) -> Any:
    return transpose_row(x, dim0=-2, dim1=-1)


def _polar(x: Array) -> Any:
    u, _, vt = np.linalg.svd(x, full_matrices=False)
    return u @ vt


def _solved(h: Array, c: Array) -> Any:
    values, q = np.linalg.eigh((h + np.swapaxes(h, -1, -2)) / 2)
    qt = np.swapaxes(q, -1, -2)
    return q @ ((qt @ c @ q) / (values[..., :, None] + values[..., None, :])) @ qt


def _by_root(g: Any, h: Any, y: Any) -> Any:
    """What the solution owes to H, of which the symmetric part counts: H dY + dY H = -dH Y - Y dH."""
    z = solve_row(h, g)
    out = matmul_row(z, _mT(y)) + matmul_row(_mT(y), z)
    return (out + _mT(out)) * -0.5


# The Y of H Y + Y H = C, H being symmetric.
solve_row: Any = op(
    "symmetric_sylvester",
    _solved,
    vjp=(lambda g, h, y: _by_root(g, h, y), lambda g, h: solve_row(h, g)),
    numpy=_solved,
    domain=(-2, 2),
    samples=[sample(_ROOT, (3, 3))],
)


def _polar_grad(g: Any, x: Any, y: Any) -> Any:
    """The differential of P in x = P H, H symmetric: its own transpose, the Hessian of the nuclear norm.

    H W + W H = P' g - g' P turns P within the columns of x, the rest of g out of them (Higham, Functions of Matrices, 8.1).
    """
    if x.shape[-2] < x.shape[-1]:
        return _mT(_polar_grad(_mT(g), _mT(x), _mT(y)))
    h, inner = matmul_row(_mT(y), x), matmul_row(_mT(y), g)
    turned = matmul_row(y, solve_row(h, inner - _mT(inner)))
    if x.shape[-2] == x.shape[-1]:
        return turned
    twice = np.broadcast_to(2 * np.eye(x.shape[-1], dtype=array_of(x).dtype), h.shape)
    return turned + matmul_row(g - matmul_row(y, inner), solve_row(h, twice))


polar_row: Any = op(
    "polar_factor",
    _polar,
    vjp=lambda g, x, y: _polar_grad(g, x, y),
    numpy=_polar,
    domain=(-2, 2),
    samples=[sample(_TALL), sample(_TALL.T.copy()), sample(_ROOT)],
)
nuclear_row = op(
    "nuclear_norm",
    lambda x: np.linalg.svd(x, compute_uv=False).sum(-1),
    vjp=lambda g, x: reshape(g, (*g.shape, 1, 1)) * polar_row(x),
    numpy="np.linalg.svd({x}, compute_uv=False).sum(-1)",
    domain=(-2, 2),
    samples=[sample(_TALL), sample(_ROOT)],
    grad_name="SumBackward1",
)


def nuclear_norm(x: Any, dims: tuple[int, ...], keepdim: bool) -> Any:
    """The sum of the singular values of the matrices along two dimensions."""
    shape = x._array.shape
    rest = tuple(d for d in range(len(shape)) if d not in dims)
    y = nuclear_row(permute_row(x, dims=(*rest, *dims)))
    return restored(y, shape, dims, False) if keepdim else y
