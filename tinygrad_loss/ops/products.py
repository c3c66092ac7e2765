"""Products beyond ``matmul``: by name, by Einstein's notation, and attention."""

from __future__ import annotations

import math
import string
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..op import TensorBase, op, sample, wrap
from .activation import softmax
from .arguments import axis
from .broadcast import expand_row
from .dropout import dropout
from .elementwise import where_row
from .linalg import matmul
from .rearrange import diagonal
from .shape import reshape, transpose, unsqueeze

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "addmm", "baddbmm", "bmm", "dot", "einsum", "inner", "mm", "mv", "outer", "scaled_dot_product_attention", "tensordot",
]  # fmt: skip


def _einsum_grads(g: Any, xs: tuple[Any, ...], equation: str) -> tuple[Any, ...]:
    """The gradient of each operand: the product of the incoming one with all the others, in the operand's own letters."""
    inputs, out = equation.split("->")
    subscripts = inputs.split(",")
    grads = []
    for k, (mine, x) in enumerate(zip(subscripts, xs, strict=True)):
        others = [(s, o) for j, (s, o) in enumerate(zip(subscripts, xs, strict=True)) if j != k]
        known = set(out).union(*(s for s, _ in others))
        kept = "".join(c for c in mine if c in known)
        product = einsum_row(
            g, *(o for _, o in others), equation=",".join([out, *(s for s, _ in others)]) + "->" + kept
        )
        if kept != mine:  # a letter that stands nowhere else was summed over: its gradient is the same all along
            product = reshape(product, tuple(n if c in known else 1 for c, n in zip(mine, x.shape, strict=True)))
            product = expand_row(product, shape=tuple(x.shape))
        grads.append(product)
    return tuple(grads)


einsum_row: Any = op(
    "einsum",
    lambda *xs, equation: np.einsum(equation, *xs, optimize=len(xs) > 2),
    vjp=lambda g, xs, equation: _einsum_grads(g, xs, equation),
    numpy="np.einsum({equation}, {xs})",
    domain=(-2, 2),
    samples=[
        sample((3, 4), (4, 2), equation="ab,bc->ac"),
        sample((3, 4), equation="ab->b"),
        sample((2, 3), (3, 4), (4,), equation="ab,bc,c->a"),
        sample((2, 3, 4), (2, 4), equation="abc,ac->"),
    ],
)

# --- PyTorch's signatures -----------------------------------------------------------------------------------------


def _expanded(equation: str, ranks: list[int]) -> tuple[list[str], str]:
    """Letters for every dimension: ellipses spelled out, the implicit output made explicit."""
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    parts = left.split(",")
    if len(parts) != len(ranks):
        raise RuntimeError(f"einsum(): {len(parts)} operands in the equation {equation!r}, and {len(ranks)} were given")
    free = [c for c in string.ascii_letters if c not in text]
    widest = max(
        (rank - len(p.replace("...", "")) for p, rank in zip(parts, ranks, strict=True) if "..." in p), default=0
    )
    dots = free[:widest]
    spelled = []
    for part, rank in zip(parts, ranks, strict=True):
        bare = part.replace("...", "", 1)
        if not bare.isalpha() and bare:
            raise RuntimeError(
                f"einsum(): invalid subscript given in {part!r} of {equation!r}: only letters and one '...'"
            )
        hidden = rank - len(bare)
        if hidden < 0 or (hidden and "..." not in part):
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({len(bare)}) does not match the number of dimensions "
                f"({rank}) for the operand {part!r}"
            )
        spelled.append(part.replace("...", "".join(dots[widest - hidden :]), 1))
    if arrow:
        out = right.replace("...", "".join(dots), 1)
    else:
        letters = "".join(parts).replace(".", "")
        out = "".join(dots) + "".join(c for c in sorted(set(letters)) if letters.count(c) == 1)
    for c in out:
        if out.count(c) > 1 or not any(c in s for s in spelled):
            raise RuntimeError(
                f"einsum(): output subscript {c} appears more than once or in no operand of {equation!r}"
            )
    return spelled, out


def einsum(equation: Any, *operands: Any) -> Tensor:
    """Return the sum of products that Einstein's notation describes.

    Parameters
    ----------
    equation : str
        Letters for the dimensions of each operand, separated by commas, and of the result after ``->``; ``...`` for any
        others. Letters that the result has not are summed over. Or, as PyTorch takes too, operands and lists of numbers.
    operands : Tensor

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.einsum("ij,j->i", tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    if not isinstance(equation, str):
        equation, operands = _from_lists((equation, *operands))
    elif len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    if not operands:
        raise RuntimeError("einsum(): must provide at least one operand")
    parts, out = _expanded(equation, [x._array.ndim for x in operands])
    common = dtypes.result_type(*(x._array for x in operands))
    tensors = []
    for i, x in enumerate(operands):
        letters, x = parts[i], x.to(common)
        for c in dict.fromkeys(letters):
            while letters.count(c) > 1:  # a repeated letter walks along the diagonal
                first, second = letters.index(c), letters.index(c, letters.index(c) + 1)
                x = diagonal(x, 0, first, second)
                letters = letters[:first] + letters[first + 1 : second] + letters[second + 1 :] + c
        parts[i] = letters
        tensors.append(x)
    sizes: dict[str, int] = {}
    for letters, x in zip(parts, tensors, strict=True):
        for c, n in zip(letters, x._array.shape, strict=True):
            if sizes.setdefault(c, n) not in (n, 1) and n != 1:
                raise RuntimeError(
                    f"einsum(): subscript {c} has size {n} for an operand, which does not broadcast with {sizes[c]}"
                )
            sizes[c] = max(sizes[c], n) if 0 not in (sizes[c], n) else 0
    wide = [
        x
        if all(sizes[c] == n for c, n in zip(s, x._array.shape, strict=True))
        else expand_row(x, shape=tuple(sizes[c] for c in s))
        for s, x in zip(parts, tensors, strict=True)
    ]
    return einsum_row(*wide, equation=",".join(parts) + "->" + out)  # type: ignore[no-any-return]


def _from_lists(arguments: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    def spell(numbers: Any) -> str:
        return "".join("..." if n is Ellipsis else string.ascii_letters[n] for n in numbers)

    pairs, rest = divmod(len(arguments), 2)
    operands = arguments[: 2 * pairs : 2]
    text = ",".join(spell(numbers) for numbers in arguments[1 : 2 * pairs : 2])
    return (f"{text}->{spell(arguments[-1])}" if rest else text), operands


def _ranked(name: str, *expected: tuple[str, Any, int]) -> None:
    for argument, x, rank in expected:
        if not isinstance(x, TensorBase):
            raise TypeError(f"{name}(): argument '{argument}' must be Tensor, not {type(x).__name__}")
        if x._array.ndim != rank:
            raise RuntimeError(
                f"{name}(): argument '{argument}' must be {rank}D, got shape {list(x._array.shape)}; write matmul"
            )


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """Return the product of two matrices.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.mm(tg.eye(2), tg.ones(2, 1))
    tensor([[1.],
            [1.]])
    """
    _ranked("mm", ("input", input, 2), ("mat2", mat2, 2))
    return matmul(input, mat2)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Return the products of two batches of matrices; the batches are of one size.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.bmm(tg.ones(5, 2, 3), tg.ones(5, 3, 4)).shape
    torch.Size([5, 2, 4])
    """
    _ranked("bmm", ("input", input, 3), ("mat2", mat2, 3))
    if len(input._array) != len(mat2._array):
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{len(input._array)}, ...] but got: "
            f"{list(mat2._array.shape)}; bmm does not broadcast, matmul does"
        )
    return matmul(input, mat2)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """Return the product of a matrix and a vector.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.mv(tg.ones(2, 3), tg.ones(3))
    tensor([3., 3.])
    """
    _ranked("mv", ("input", input, 2), ("vec", vec, 1))
    return matmul(input, vec)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """Return the inner product of two vectors.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.dot(tg.tensor([1, 2]), tg.tensor([3, 4]))
    tensor(11)
    """
    _ranked("dot", ("input", input, 1), ("tensor", tensor, 1))
    if input._array.shape != tensor._array.shape:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor {list(input._array.shape)} and src {list(tensor._array.shape)} to have "
            f"the same number of elements"
        )
    return matmul(input, tensor)


def inner(input: Tensor, other: Tensor) -> Tensor:
    """Return the sums of products over the last dimension of both.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.inner(tg.tensor([1.0, 2.0]), tg.tensor([[3.0, 4.0], [5.0, 6.0]]))
    tensor([11., 17.])
    """
    a, b = input._array, other._array
    if not a.ndim or not b.ndim:
        return input * other
    if a.shape[-1] != b.shape[-1]:
        raise RuntimeError(
            f"inner() the last dimension must match on both input tensors but got shapes {list(a.shape)} and {list(b.shape)}"
        )
    return tensordot(input, other, dims=([a.ndim - 1], [b.ndim - 1]))


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """Return the products of all pairs of elements of two vectors.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.outer(tg.tensor([1, 2]), tg.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    _ranked("outer", ("input", input, 1), ("vec2", vec2, 1))
    return unsqueeze(input, 1) * vec2


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Return ``beta * input + alpha * (mat1 @ mat2)``; with beta 0 the input is ignored, NaN and all.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.addmm(tg.ones(1), tg.ones(1, 2), tg.ones(2, 1), alpha=2)
    tensor([[5.]])
    """
    return _plus(input, mm(mat1, mat2), beta, alpha)  # type: ignore[no-any-return]


def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Return ``beta * input + alpha * (batch1 @ batch2)`` for batches of matrices.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.baddbmm(tg.ones(1), tg.ones(1, 1, 2), tg.ones(1, 2, 1))
    tensor([[[3.]]])
    """
    return _plus(input, bmm(batch1, batch2), beta, alpha)  # type: ignore[no-any-return]


def _plus(input: Any, product: Any, beta: float, alpha: float) -> Any:
    product = product if alpha == 1 else product * alpha
    shape = product._array.shape
    try:
        fits = np.broadcast_shapes(input._array.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise RuntimeError(
            f"The expanded size of the tensor {list(shape)} must match the input's {list(input._array.shape)}"
        )
    if beta == 0:
        return product
    return (input if beta == 1 else input * beta) + product


def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Return the sums of products over the last ``dims`` dimensions of a and the first of b, or over lists of them.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.tensordot(tg.ones(2, 3, 4), tg.ones(3, 4, 5)).shape
    torch.Size([2, 5])
    """
    n, m = a._array.ndim, b._array.ndim
    if isinstance(dims, TensorBase):
        dims = dims._array.tolist()
    if isinstance(dims, int):
        if dims < 0 or dims > min(n, m):
            raise RuntimeError(f"tensordot expects dims >= 0 and at most {min(n, m)}, but got dims={dims}")
        left, right = list(range(n - dims, n)), list(range(dims))
    else:
        left, right = (
            [axis(d, k) for d in (v if isinstance(v, (list, tuple)) else (v,))]
            for v, k in zip(dims, (n, m), strict=True)
        )
    for i, j in zip(left, right, strict=True):
        if a._array.shape[i] != b._array.shape[j]:
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {a._array.shape[i]} in dim {i} and second has size "
                f"{b._array.shape[j]} in dim {j}"
            )
    letters = string.ascii_letters
    first = list(letters[:n])
    second = list(letters[n : n + m])
    for i, j in zip(left, right, strict=True):
        second[j] = first[i]
    out = [c for i, c in enumerate(first) if i not in left] + [c for j, c in enumerate(second) if j not in right]
    return einsum(f"{''.join(first)},{''.join(second)}->{''.join(out)}", a, b)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Return softmax(query key^T / sqrt(E) + mask) value (Vaswani et al. 2017).

    Parameters
    ----------
    query, key, value : Tensor of shape (..., L, E), (..., S, E), (..., S, Ev)
    attn_mask : Tensor, optional
        Bool (true where attention may go) or added to the scores.
    is_causal : bool
        Position i sees positions up to i.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> q = tg.ones(1, 2, 4)
    >>> tg.nn.functional.scaled_dot_product_attention(q, q, q).shape
    torch.Size([1, 2, 4])
    """
    length, size = query._array.shape[-2], key._array.shape[-2]
    if enable_gqa and query._array.ndim >= 3:
        times = query._array.shape[-3] // key._array.shape[-3]
        key, value = key.repeat_interleave(times, -3), value.repeat_interleave(times, -3)
    factor = 1 / math.sqrt(query._array.shape[-1]) if scale is None else scale
    scores = matmul(query * factor, transpose(key, -2, -1))
    if is_causal:
        if attn_mask is not None:
            raise RuntimeError("scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True")
        attn_mask = wrap(np.tril(np.ones((length, size), bool)))
    if attn_mask is not None:
        if attn_mask._array.dtype.kind == "b":
            scores = where_row(attn_mask, scores, -math.inf)
        else:
            scores = scores + attn_mask
    weights = softmax(scores, -1)
    if attn_mask is not None and attn_mask._array.dtype.kind == "b":  # a row that sees nothing gives zeros, not NaN
        weights = where_row(wrap(attn_mask._array.any(-1, keepdims=True)), weights, 0.0)
    return matmul(dropout(weights, dropout_p) if dropout_p else weights, value)
