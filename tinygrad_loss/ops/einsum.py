"""Einstein summation: products summed over the letters that the result does not name."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..dtypes import Array
from ..op import TensorBase, op, sample
from .broadcast import expand_row
from .diagonals import diagonal
from .shape import reshape, to

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = ["einsum"]

SMALL = 4096  # multiplications below which NumPy's plain loop beats the search for a better order


def _product(*xs: Array, equation: str) -> Any:
    sizes: dict[str, int] = {}
    for term, x in zip(equation.partition("->")[0].split(","), xs, strict=True):
        sizes.update({letter: n for letter, n in zip(term, x.shape, strict=True) if n != 1 or letter not in sizes})
    work = 1
    for n in sizes.values():
        work *= n
    return np.einsum(equation, *xs, optimize=work > SMALL)


def _grads(g: Any, xs: tuple[Any, ...], equation: str) -> tuple[Any, ...]:
    inputs, output = equation.split("->")
    terms = inputs.split(",")
    return tuple(_grad(g, xs, terms, output, i) for i in range(len(xs)))


def _grad(g: Any, xs: tuple[Any, ...], terms: list[str], output: str, i: int) -> Any:
    """The incoming gradient times all other operands, summed over the letters that operand i has not."""
    others = [k for k in range(len(xs)) if k != i]
    known = set(output).union(*(terms[k] for k in others))
    kept = "".join(letter for letter in terms[i] if letter in known)
    equation = ",".join([output, *(terms[k] for k in others)]) + "->" + kept
    out = einsum_row(g, *(xs[k] for k in others), equation=equation)
    # A letter that stands nowhere else was summed over: every element along it has the same gradient. So have those
    # along a letter that is of size 1 everywhere else.
    sizes, shape = dict(zip(kept, out.shape, strict=True)), xs[i].shape
    full = (
        tuple(max(sizes.get(letter, 1), n) for letter, n in zip(terms[i], shape, strict=True))
        if 0 not in shape
        else shape
    )
    if out.shape == full:
        return out
    return expand_row(reshape(out, tuple(sizes.get(letter, 1) for letter in terms[i])), shape=full)


einsum_row: Any = op(
    "einsum",
    _product,
    vjp=lambda g, xs, equation: _grads(g, xs, equation),
    numpy="np.einsum({equation}, {xs})",
    domain=(-2, 2),
    samples=[
        sample((3, 4), (4, 2), equation="ij,jk->ik"),
        sample((2, 3), (3,), (2, 4), equation="ab,b,ac->c"),
        sample((2, 3), equation="ab->b"),
        sample((2, 1), (3, 4), equation="ab,bc->ac"),
        sample((2,), (3,), equation="a,b->"),
    ],
)

# --- PyTorch's signature ------------------------------------------------------------------------------------------


def _terms(args: tuple[Any, ...]) -> tuple[list[str], str | None, list[Any]]:
    """The subscripts of each operand and of the result, and the operands, of either way to write a call."""
    if isinstance(args[0], str):
        left, arrow, right = args[0].replace(" ", "").partition("->")
        operands = list(args[1]) if len(args) == 2 and isinstance(args[1], (tuple, list)) else list(args[1:])
        return left.split(","), right if arrow else None, operands
    operands, lists = list(args[0 : len(args) // 2 * 2 : 2]), list(args[1::2])
    output = args[-1] if len(args) % 2 else None
    return [_letters(s) for s in lists], None if output is None else _letters(output), operands


def _letters(subscripts: Any) -> str:
    if any(s is not Ellipsis and not 0 <= s < 52 for s in subscripts):
        raise RuntimeError(f"einsum(): subscripts in a list must be in the range [0, 52) or Ellipsis, got {subscripts}")
    return "".join("..." if s is Ellipsis else string.ascii_letters[s] for s in subscripts)


def _check(term: str, where: str) -> None:
    rest = term.replace("...", "", 1)
    if "." in rest:
        raise RuntimeError(
            f"einsum(): found '.' for {where} that is not part of any ellipsis, or a second ellipsis: {term!r}"
        )
    for letter in rest:
        if letter not in string.ascii_letters:
            raise RuntimeError(f"einsum(): invalid subscript {letter!r} in {term!r}: subscripts must be in [a-zA-Z]")


def einsum(*args: Any) -> Tensor:
    """Return the sum of the products of the operands' elements over all subscripts that the result has not.

    Parameters
    ----------
    args : str, Tensor...
        An equation such as ``"bij,bjk->bik"`` and an operand for each of its terms. ``...`` stands for dimensions that
        broadcast; without ``->`` the result has the letters that stand once, in order. Or operands and lists of ints
        in turn: ``einsum(a, [0, 1], b, [1, 2], [0, 2])``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.einsum("ij,j->i", tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    if not args or (len(args) == 1 and isinstance(args[0], str)):
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one operand and its "
            "subscripts list"
        )
    terms, output, operands = _terms(args)
    if len(terms) != len(operands):
        fewer = "fewer" if len(operands) < len(terms) else "more"
        raise RuntimeError(
            f"einsum(): {fewer} operands were provided than specified in the equation: {len(operands)} for {len(terms)} terms"
        )
    for i, (term, x) in enumerate(zip(terms, operands, strict=True)):
        if not isinstance(x, TensorBase):
            raise TypeError(f"einsum(): operand {i} must be Tensor, not {type(x).__name__}")
        _check(term, f"operand {i}")
    names, covered = _named_ellipses(terms, operands)
    output = _result(names, output, covered)
    _check_sizes(names, operands)
    if len({x._array.dtype for x in operands}) > 1:
        common = dtypes.result_type(*(x._array for x in operands)).numpy
        operands = [to(x, common) for x in operands]
    unique = [_diagonals(term, x) for term, x in zip(names, operands, strict=True)]
    everything = "".join(term for term, _ in unique) + output
    # What is summed over one operand alone is a sum, and those of integers are int64.
    unique = [
        (term, to(x, dtypes.I64) if x._array.dtype.kind in "iub" and any(everything.count(c) == 1 for c in term) else x)
        for term, x in unique
    ]
    equation = ",".join(term for term, _ in unique) + "->" + output
    return einsum_row(*(x for _, x in unique), equation=equation)  # type: ignore[no-any-return]


def _named_ellipses(terms: list[str], operands: list[Any]) -> tuple[list[str], str]:
    """The terms with letters of their own for what an ellipsis covers, aligned at the end; and these letters."""
    free = [c for c in string.ascii_letters if not any(c in term for term in terms)]
    spans = []
    for i, (term, x) in enumerate(zip(terms, operands, strict=True)):
        n, named = x._array.ndim, len(term.replace("...", ""))
        if "..." not in term and named != n:
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({named}) does not match the number of dimensions "
                f"({n}) for operand {i} and no ellipsis was given"
            )
        if named > n:
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({named}) is more than the number of dimensions ({n}) "
                f"for operand {i}"
            )
        spans.append(n - named)
    widest = max(spans)
    if widest > len(free):
        raise RuntimeError("einsum(): too many subscripts: 52 letters name at most 52 dimensions")
    covered = "".join(free[:widest])
    return [term.replace("...", covered[widest - span :]) for term, span in zip(terms, spans, strict=True)], covered


def _result(names: list[str], output: str | None, covered: str) -> str:
    everything = "".join(names)
    if output is None:
        once = sorted(c for c in set(everything) - set(covered) if everything.count(c) == 1)
        return covered + "".join(once)
    _check(output, "the output")
    output = output.replace("...", covered)
    for letter in output:
        if letter not in everything:
            raise RuntimeError(
                f"einsum(): output subscript {letter} does not appear in the equation for any input operand"
            )
        if output.count(letter) > 1:
            raise RuntimeError(f"einsum(): output subscript {letter} appears more than once in the output")
    return output


def _check_sizes(names: list[str], operands: list[Any]) -> None:
    seen: dict[str, int] = {}
    for i, (term, x) in enumerate(zip(names, operands, strict=True)):
        own: dict[str, int] = {}
        for letter, n in zip(term, x._array.shape, strict=True):
            if own.setdefault(letter, n) != n:
                raise RuntimeError(
                    f"einsum(): subscript {letter} is repeated for operand {i} but the sizes don't match, {n} != {own[letter]}"
                )
            if n != 1 and seen.setdefault(letter, n) != n:
                raise RuntimeError(
                    f"einsum(): subscript {letter} has size {n} for operand {i} which does not broadcast with previously "
                    f"seen size {seen[letter]}"
                )


def _diagonals(term: str, x: Any) -> tuple[str, Any]:
    """A letter that an operand has twice names its diagonal."""
    for letter in term:
        while term.count(letter) > 1:
            first = term.index(letter)
            second = term.index(letter, first + 1)
            x = diagonal(x, 0, first, second)
            term = term[:first] + term[first + 1 : second] + term[second + 1 :] + letter
    return term, x
