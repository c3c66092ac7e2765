"""Products of matrices and vectors under the names that say which: mm, mv, dot, bmm, outer, addmm and their kin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..dtypes import Array
from ..op import op, sample
from .arguments import axis, tensor_of, unsupported
from .arithmetic import mul
from .broadcast import expand_row
from .linalg import dot_row, matmul_row, mv_row
from .shape import permute_row, reshape, transpose_row, unsqueeze_row

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["addmm", "baddbmm", "bmm", "dot", "ger", "inner", "mm", "mv", "outer", "tensordot"]

# --- rows ---------------------------------------------------------------------------------------------------------


def _turned(x: Any) -> Any:
    return transpose_row(x, dim0=-2, dim1=-1)


bmm_row = op(
    "bmm",
    np.matmul,
    vjp=(lambda g, b: matmul_row(g, _turned(b)), lambda g, a: matmul_row(_turned(a), g)),
    numpy="{a} @ {b}",
    domain=(-2, 2),
    samples=[sample((2, 3, 4), (2, 4, 2))],
)


def _added(x: Any, a: Array, b: Array, beta: float, alpha: float) -> Any:
    out = np.matmul(a, b)
    if alpha != 1:
        out *= alpha
    if beta == 0:  # what is not read may be NaN
        return out
    out += x if beta == 1 else x * beta
    return out


def _sum_of_product(name: str, samples: list[Any]) -> Any:
    return op(
        name,
        lambda x, a, b, *, beta, alpha: _added(x, a, b, beta, alpha),
        vjp=(
            lambda g, beta: g * beta,
            lambda g, b, alpha: matmul_row(g, _turned(b)) * alpha,
            lambda g, a, alpha: matmul_row(_turned(a), g) * alpha,
        ),
        numpy="{beta} * {x} + {alpha} * ({a} @ {b})",
        domain=(-2, 2),
        samples=samples,
    )


addmm_row = _sum_of_product(
    "addmm",
    [sample((3, 2), (3, 4), (4, 2), beta=1, alpha=1), sample((2,), (3, 4), (4, 2), beta=0.5, alpha=2)],
)
baddbmm_row = _sum_of_product("baddbmm", [sample((2, 3, 2), (2, 3, 4), (2, 4, 2), beta=0.5, alpha=2)])

# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def _shown(*arrays: Array) -> str:
    return " and ".join("x".join(map(str, a.shape)) for a in arrays)


def _matched(name: str, ndims: tuple[int, ...], **tensors: Any) -> list[Array]:
    """The arrays, once their kinds and numbers of dimensions are what the product takes."""
    arrays = [tensor_of(x, name, place) for place, x in tensors.items()]
    first = arrays[0]
    for a in arrays:
        if a.dtype != first.dtype:
            raise RuntimeError(
                f"{name}: expected m1 and m2 to have the same dtype, but got: {dtypes.of(first)} != {dtypes.of(a)}; write "
                f".to({dtypes.of(first)})"
            )
    if first.dtype.kind == "b":
        raise unsupported(name, first)
    for (place, n), a in zip(zip(tensors, ndims, strict=True), arrays, strict=True):
        if a.ndim != n:
            what = {1: "a vector", 2: "a matrix", 3: "a 3D tensor"}[n]
            raise RuntimeError(
                f"{name}: {place} must be {what} ({n}D), got {a.ndim}D of shape {list(a.shape)}; write matmul()"
            )
    return arrays


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """Return the product of two matrices.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.mm(tg.tensor([[1, 2]]), tg.tensor([[3], [4]]))
    tensor([[11]])
    """
    a, b = _matched("mm", (2, 2), input=input, mat2=mat2)
    if a.shape[1] != b.shape[0]:
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({_shown(a, b)})")
    return matmul_row(input, mat2)  # type: ignore[no-any-return]


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Return the products of two batches of matrices, one by one.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.bmm(tg.ones(5, 2, 3), tg.ones(5, 3, 4)).shape
    torch.Size([5, 2, 4])
    """
    a, b = _matched("bmm", (3, 3), input=input, mat2=mat2)
    if b.shape[:2] != (a.shape[0], a.shape[2]):
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{a.shape[0]}, {a.shape[2]}] but got: "
            f"{list(b.shape[:2])}."
        )
    return bmm_row(input, mat2)  # type: ignore[no-any-return]


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """Return the product of a matrix and a vector.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.mv(tg.tensor([[1, 2], [3, 4]]), tg.tensor([1, 1]))
    tensor([3, 7])
    """
    a, v = _matched("mv", (2, 1), input=input, vec=vec)
    if a.shape[1] != v.shape[0]:
        raise RuntimeError(f"size mismatch, mat ({_shown(a)}), vec ({_shown(v)})")
    return mv_row(input, vec)  # type: ignore[no-any-return]


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """Return the sum of the products of two vectors.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.dot(tg.tensor([1, 2]), tg.tensor([3, 4]))
    tensor(11)
    """
    a, b = tensor_of(input, "dot"), tensor_of(tensor, "dot", "tensor")
    if a.ndim != 1 or b.ndim != 1:
        raise RuntimeError(
            f"1D tensors expected, but got {a.ndim}D and {b.ndim}D tensors; write (input * tensor).sum()"
        )
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"dot : expected both vectors to have same dtype, but found {dtypes.of(a)} and {dtypes.of(b)}; write .to(dtype)"
        )
    if a.shape != b.shape:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor {list(a.shape)} and src {list(b.shape)} to have the same number of "
            f"elements"
        )
    return dot_row(input, tensor)  # type: ignore[no-any-return]


def inner(input: Tensor, other: Tensor) -> Tensor:
    """Return the sums of products over the last dimension of both; a 0-d tensor multiplies.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.inner(tg.ones(2, 3), tg.ones(4, 3)).shape
    torch.Size([2, 4])
    """
    a, b = tensor_of(input, "inner"), tensor_of(other, "inner", "other")
    if not a.ndim or not b.ndim:
        return mul(input, other)  # type: ignore[no-any-return]
    if a.shape[-1] != b.shape[-1]:
        raise RuntimeError(
            f"inner() the last dimension must match on both input tensors but got shapes {list(a.shape)} and {list(b.shape)}"
        )
    if a.ndim == b.ndim == 1:
        return dot(input, other)
    return tensordot(input, other, ([-1], [-1]))


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """Return the matrix of the products of two vectors' elements.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.outer(tg.tensor([1, 2]), tg.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    for place, x in (("input", input), ("vec2", vec2)):
        if tensor_of(x, "outer", place).ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {place}, but got {x._array.ndim}-D; write .flatten()")
    return mul(unsqueeze_row(input, dim=1), vec2)  # type: ignore[no-any-return]


def _factors(x: Array, beta: Any, alpha: Any) -> dict[str, Any]:
    """The two factors as numbers of the tensors' kind."""
    return {"beta": int(beta), "alpha": int(alpha)} if x.dtype.kind in "iu" else {"beta": beta, "alpha": alpha}


def _broadcast(input: Any, shape: tuple[int, ...], name: str) -> None:
    given = input._array.shape
    if len(given) > len(shape) or any(n not in (1, m) for n, m in zip(given[::-1], shape[::-1], strict=False)):
        raise RuntimeError(
            f"{name}: the input of shape {list(given)} does not expand to the product's shape {list(shape)}"
        )


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Return ``beta * input + alpha * (mat1 @ mat2)``; with beta 0 the input is not read.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.addmm(tg.tensor([10, 20]), tg.eye(2).long(), tg.eye(2).long(), alpha=3)
    tensor([[13, 20],
            [10, 23]])
    """
    a, b = _matched("addmm", (2, 2), mat1=mat1, mat2=mat2)
    if a.shape[1] != b.shape[0]:
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({_shown(a, b)})")
    x = tensor_of(input, "addmm")
    if x.dtype != a.dtype:
        raise RuntimeError(f"self and mat2 must have the same dtype, but got {dtypes.of(x)} and {dtypes.of(b)}")
    _broadcast(input, (a.shape[0], b.shape[1]), "addmm")
    return addmm_row(input, mat1, mat2, **_factors(x, beta, alpha))  # type: ignore[no-any-return]


def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Return ``beta * input + alpha * (batch1 @ batch2)`` for batches of matrices; with beta 0 the input is not read.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.baddbmm(tg.zeros(1), tg.ones(5, 2, 3), tg.ones(5, 3, 4)).shape
    torch.Size([5, 2, 4])
    """
    a, b = _matched("baddbmm", (3, 3), batch1=batch1, batch2=batch2)
    if b.shape[:2] != (a.shape[0], a.shape[2]):
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{a.shape[0]}, {a.shape[2]}] but got: "
            f"{list(b.shape[:2])}."
        )
    x = tensor_of(input, "baddbmm")
    if x.dtype != a.dtype:
        raise RuntimeError(f"Input dtypes must be the same, got: input {dtypes.of(x)}, batch1: {dtypes.of(a)}")
    _broadcast(input, (a.shape[0], a.shape[1], b.shape[2]), "baddbmm")
    return baddbmm_row(input, batch1, batch2, **_factors(x, beta, alpha))  # type: ignore[no-any-return]


def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Return the sums of products over pairs of dimensions: the last ``dims`` of a with the first of b, or two lists.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensordot(tg.ones(2, 3, 4), tg.ones(4, 3, 5), dims=([1, 2], [1, 0])).shape
    torch.Size([2, 5])
    """
    x, y = tensor_of(a, "tensordot", "a"), tensor_of(b, "tensordot", "b")
    if x.dtype != y.dtype:
        raise RuntimeError(f"both inputs should have same dtype, got {dtypes.of(x)} and {dtypes.of(y)}")
    if isinstance(dims, (tuple, list)):
        lists = [list(d) if isinstance(d, (tuple, list)) else [d] for d in dims]
        left, right = [axis(d, x.ndim) for d in lists[0]], [axis(d, y.ndim) for d in lists[1]]
    else:
        n = int(dims)
        if not 0 <= n <= min(x.ndim, y.ndim):
            raise RuntimeError(f"tensordot expects 0 <= dims <= {min(x.ndim, y.ndim)}, got {n}")
        left, right = list(range(x.ndim - n, x.ndim)), list(range(n))
    if len(left) != len(right):
        raise RuntimeError(f"both dimension lists should have same length, got {left} and {right}")
    for i, j in zip(left, right, strict=True):
        if x.shape[i] != y.shape[j] and 1 not in (x.shape[i], y.shape[j]):
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {x.shape[i]} in dim {i} and second has size "
                f"{y.shape[j]} in dim {j}"
            )
    sizes = [max(x.shape[i], y.shape[j]) for i, j in zip(left, right, strict=True)]
    a, b = _widened(a, left, sizes), _widened(b, right, sizes)
    rows = [d for d in range(x.ndim) if d not in left]
    columns = [d for d in range(y.ndim) if d not in right]
    n = int(np.prod(sizes, dtype=int))
    outer_a, outer_b = tuple(x.shape[d] for d in rows), tuple(y.shape[d] for d in columns)
    first = reshape(permute_row(a, dims=(*rows, *left)), (int(np.prod(outer_a, dtype=int)), n))
    second = reshape(permute_row(b, dims=(*right, *columns)), (n, int(np.prod(outer_b, dtype=int))))
    return reshape(matmul_row(first, second), outer_a + outer_b)


def _widened(x: Any, dims: list[int], sizes: list[int]) -> Any:
    """Dimensions of size 1 repeated to the size that they are contracted with."""
    shape = list(x._array.shape)
    for d, n in zip(dims, sizes, strict=True):
        shape[d] = n
    return x if tuple(shape) == x._array.shape else expand_row(x, shape=tuple(shape))


ger = outer
