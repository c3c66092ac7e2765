"""PyTorch's functions on pairs and triplets of vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ... import dtypes
from ...op import TensorBase
from ..broadcast import sum_row
from ..elementwise import clamp_min_row, minimum, sqrt, where_row
from ..pairwise import pairwise_distance
from .checks import check_no_bools, check_reduction, check_tensors, legacy, warn
from .reduce import reduced, widened
from .regression import broadcast

if TYPE_CHECKING:
    from ...tensor import Tensor

Distance = Callable[[Any, Any], Any]


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    r"""Return 1 - cos(x1, x2) where t = 1, and max(0, cos(x1, x2) - margin) where t = -1.

    The gradient of the cosine c with respect to x1 is (x2 / |x2| - c x1 / |x1|) / |x1|; it enters with a minus where
    t = 1, with a plus where t = -1 and c reaches the margin. Divided by the number of pairs for the mean.

    Parameters
    ----------
    input1, input2 : Tensors of shape (N, D), or (D,)
    target : Tensor of shape (N,), or ()
        1 for like, -1 for unlike; other values count 0.
    margin : float
        From -1 to 1; 0 to 0.5 is usual.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : "mean", "sum" or "none"

    Notes
    -----
    1e-12 is added to both squared lengths, as in PyTorch: a vector of zeros has the cosine 0 with any other. Computed
    in float64 and rounded once, so that 1 - cos keeps its digits for vectors that are nearly parallel.

    Raises
    ------
    RuntimeError
        If the target has more than one dimension, or the inputs not one more than the target, or sizes do not broadcast.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> a, b = tg.tensor([[1.0, 0.0], [1.0, 1.0]]), tg.tensor([[1.0, 1.0], [1.0, 0.0]])
    >>> tg.nn.functional.cosine_embedding_loss(a, b, tg.tensor([1, -1]), reduction="none")
    tensor([0.2929, 0.7071])
    """
    reduction = legacy(reduction, size_average, reduce)
    name = "cosine_embedding_loss"
    check_reduction(reduction)
    check_tensors(name, input1=input1, input2=input2, target=target)
    a, b, t = input1._array, input2._array, target._array
    if t.ndim > 1:
        raise RuntimeError(
            f"{name}(): 0D or 1D target tensor expected, multi-target not supported: got {list(t.shape)}. Write "
            f"target.squeeze(1)."
        )
    if a.ndim != t.ndim + 1 or b.ndim != t.ndim + 1:
        raise RuntimeError(
            f"{name}(): {t.ndim}D target tensor expects {t.ndim + 1}D input tensors, but found inputs with sizes "
            f"{list(a.shape)} and {list(b.shape)}"
        )
    dtype = dtypes.result_type(a, b, 1.0).numpy
    x, y, t64 = widened(input1, input2, target)
    wide = broadcast(name, x, y)
    if a.shape[-1] != b.shape[-1]:
        warn(
            f"{name}(): vectors of sizes {a.shape[-1]} and {b.shape[-1]} broadcast in their products, not in their lengths, as "
            f"in PyTorch: what results is no cosine. Write input2.expand_as(input1)."
        )

    def along(v: Any) -> Any:
        return sum_row(v, dim=(t.ndim,), keepdim=False)

    lengths = sqrt((along(x * x) + 1e-12) * (along(y * y) + 1e-12))
    cosine, t64 = broadcast(name, along(wide[0] * wide[1]) / lengths, t64)
    like = where_row(t64 == 1, 1.0 - cosine, 0.0)
    unlike = where_row(t64 == -1, clamp_min_row(cosine - float(margin), 0.0), 0.0)
    return reduced(like + unlike, reduction, dtype, "AddBackward0")  # type: ignore[no-any-return]


def _triplet(
    name: str, anchor: Any, positive: Any, negative: Any, margin: float, reduction: str
) -> tuple[Any, tuple[Any, ...]]:
    """Check what both triplet losses take; return the dtype of the loss, and the three as float64."""
    check_reduction(reduction)
    check_tensors(name, anchor=anchor, positive=positive, negative=negative)
    if not margin > 0:
        raise ValueError(f"{name}(): margin must be greater than 0, got {margin}")
    three = (anchor, positive, negative)
    a, p, n = (v._array.ndim for v in three)
    if not a == p == n:
        raise RuntimeError(
            f"{name}(): The anchor, positive, and negative tensors are expected to have the same number of dimensions, but "
            f"got: anchor {a}D, positive {p}D, and negative {n}D inputs. Write .unsqueeze(0) for one vector against many."
        )
    check_no_bools(name, anchor=anchor, positive=positive, negative=negative)
    return dtypes.result_type(*(v._array for v in three), 1.0).numpy, three


def _triplet_terms(near: Any, far: Any, across: Any, margin: float) -> Any:
    """max(0, near - far + margin), far being the smaller of the distances of the negative."""
    return clamp_min_row(near - (far if across is None else minimum(far, across)) + float(margin), 0.0)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    r"""Return max(0, d(a, p) - d(a, n) + margin): the positive shall be nearer to the anchor than the negative.

    d is the p-norm of the difference, to whose elements eps is added. The gradient with respect to the positive is that
    of d(a, p), and to the negative minus that of d(a, n), where the loss is positive; divided by the number of triplets
    for the mean.

    Parameters
    ----------
    anchor, positive, negative : Tensors of shape (N, D) or (D,) that broadcast
    margin : float
        Above 0.
    p : float
        The norm.
    eps : float
        Keeps the norm away from 0, where it has no gradient.
    swap : bool
        Count the distance of positive and negative instead of d(a, n) where it is the smaller, after Balntas et al.,
        "Learning local feature descriptors with triplets and shallow convolutional neural networks" (2016).
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : "mean", "sum" or "none"

    Notes
    -----
    Computed in float64 and rounded once.

    Raises
    ------
    ValueError
        If the margin is not positive.
    RuntimeError
        If the numbers of dimensions differ, or sizes do not broadcast.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> a, p, n = tg.zeros(1, 2), tg.tensor([[3.0, 4.0]]), tg.tensor([[0.0, 5.5]])
    >>> tg.nn.functional.triplet_margin_loss(a, p, n)
    tensor(0.5000)
    """
    reduction = legacy(reduction, size_average, reduce)
    dtype, three = _triplet("triplet_margin_loss", anchor, positive, negative, margin, reduction)
    a, b, c = widened(*three)

    def distance(x: Any, y: Any) -> Any:
        return pairwise_distance(x, y, float(p), float(eps))

    terms = _triplet_terms(distance(a, b), distance(a, c), distance(b, c) if swap else None, margin)
    return reduced(terms, reduction, dtype, "ClampMinBackward0")  # type: ignore[no-any-return]


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Distance | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    r"""Return ``triplet_margin_loss`` by a distance of one's own, max(0, d(a, p) - d(a, n) + margin).

    The gradient is that of the distances, where the loss is positive; divided by the number of triplets for the mean.

    Parameters
    ----------
    anchor, positive, negative : Tensors of the same number of dimensions
    distance_function : callable
        Takes two tensors and gives a tensor of real numbers; ``pairwise_distance`` by default.
    margin : float
        Above 0.
    swap : bool
        Count the distance of positive and negative instead of d(a, n) where it is the smaller.
    reduction : "mean", "sum" or "none"

    Raises
    ------
    ValueError
        If the margin is not positive.
    RuntimeError
        If the numbers of dimensions differ.
    TypeError
        If the distance is no Tensor.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> a, p, n = tg.zeros(1, 2), tg.tensor([[3.0, 4.0]]), tg.tensor([[0.0, 6.5]])
    >>> F = tg.nn.functional
    >>> F.triplet_margin_with_distance_loss(a, p, n, distance_function=lambda x, y: (x - y).abs().sum(-1))
    tensor(1.5000)
    """
    name = "triplet_margin_with_distance_loss"
    _, (a, b, c) = _triplet(name, anchor, positive, negative, margin, reduction)
    measure = pairwise_distance if distance_function is None else distance_function
    pairs = [(a, b), (a, c), *([(b, c)] if swap else [])]
    measured = [measure(x, y) for x, y in pairs]
    for d in measured:
        if not isinstance(d, TensorBase):
            raise TypeError(f"{name}(): distance_function must give a Tensor, not {type(d).__name__}")
    dtype = dtypes.result_type(*(d._array for d in measured), 1.0).numpy
    near, far, *across = broadcast(name, *widened(*measured))
    terms = _triplet_terms(near, far, across[0] if across else None, margin)
    return reduced(terms, reduction, dtype, "ClampMinBackward0")  # type: ignore[no-any-return]
