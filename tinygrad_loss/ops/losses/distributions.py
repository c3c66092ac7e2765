"""PyTorch's functions that compare distributions, or a value with a distribution: KL, Gaussian, Poisson."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ... import dtypes
from ...dtypes import Array
from ...op import TensorBase, op, sample
from ..elementwise import exp, log, where_row
from ..shape import to, unsqueeze_row
from .checks import (
    check_no_bools,
    check_reduction,
    check_tensors,
    legacy,
    position,
    warn,
    warn_if_made_by,
    warn_of_positive,
)
from .distance_rows import kl_row
from .reduce import reduced, single, widened
from .regression import paired

if TYPE_CHECKING:
    from ...tensor import Tensor


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    r"""Return the Kullback-Leibler divergence t (log t - x) of a target t from the distribution with logarithm x.

    The gradient with respect to x is -t, and log t - x + 1 with respect to t; divided by what the reduction divides by.

    Parameters
    ----------
    input : Tensor of any shape
        Log-probabilities: what ``log_softmax`` gives.
    target : Tensor that broadcasts with the input
        Probabilities, or their logarithms with ``log_target``.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    reduction : "mean", "batchmean", "sum" or "none"
        "batchmean" is the divergence of the mathematics: it divides by the batch size. "mean" divides by the number of
        elements, and warns.
    log_target : bool
        The target is given as its logarithm: exp(t) (t - x), which does not lose small probabilities.

    Notes
    -----
    A target of probability 0 (-inf as a logarithm) counts 0, also where x is -inf; PyTorch gives NaN there. A negative
    probability gives NaN. Computed in float64 and rounded once: near the target log t - x cancels, so its digits matter.

    Raises
    ------
    RuntimeError
        If one of them holds integers, or sizes do not broadcast.

    Warns
    -----
    UserWarning
        If the sum is negative and the input cannot be log-probabilities; it names the first positive element.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> F = tg.nn.functional
    >>> x = F.log_softmax(tg.tensor([[1.0, 2.0, 3.0]]), dim=1)
    >>> F.kl_div(x, tg.tensor([[0.2, 0.3, 0.5]]), reduction="batchmean")
    tensor(0.0780)
    """
    reduction = legacy(reduction, size_average, reduce)
    if reduction == "mean":
        warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size. 'batchmean' divides "
            "only by the batch size, and aligns with the KL div math definition. Write reduction='batchmean'."
        )
    batchmean = reduction == "batchmean"
    reduction = "sum" if batchmean else reduction
    check_reduction(reduction)
    check_tensors("kl_div", input=input, target=target)
    for x in (input, target):
        if x._array.dtype.kind != "f":
            raise RuntimeError(
                f"kl_div(): Integral inputs not supported, got {dtypes.of(input._array)} and {dtypes.of(target._array)}: "
                f"write .float()"
            )
    warn_if_made_by("kl_div", input, ("softmax", "sigmoid"), "log-probabilities", "Write log_softmax instead.")
    dtype = np.promote_types(input._array.dtype, target._array.dtype)
    inside = single(dtype)
    x, t = paired("kl_div", input, target)
    out = kl_row(to(x, inside), to(t, inside), log_target=bool(log_target), reduction=reduction)
    if reduction != "none" and out._array < 0:
        warn_of_positive("kl_div", input._array, "a divergence is never negative")
    if batchmean and input._array.ndim:
        size = input._array.shape[0]
        out = out / (size or math.nan)
    return to(out, dtype)  # type: ignore[no-any-return]


def _at_least(x: Array, *, low: float) -> Array:
    return np.maximum(x, low)


# Clamps, but lets the gradient through as if it did not: a variance below eps is still told to grow.
_floor = op(
    "variance_floor",
    _at_least,
    vjp=lambda g: g,
    numpy="np.maximum({x}, {low})",
    domain=(0.5, 2),
    samples=[sample((3, 4), low=0.1)],
    grad_name="CloneBackward0",
)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    r"""Return the negative log-likelihood of a target under a Gaussian, (log v + (x - t)^2 / v) / 2.

    The gradient with respect to the mean x is (x - t) / v, with respect to the variance v it is
    (1 - (x - t)^2 / v) / (2 v); divided by the number of elements for the mean.

    Parameters
    ----------
    input : Tensor of shape (..., D)
        The means.
    target : Tensor that broadcasts with the input
    var : Tensor or float
        The variances, not the standard deviations: of the input's shape, or (...) or (..., 1) for one for each vector.
    full : bool
        Add the constant log(2 pi) / 2.
    eps : float
        The variance is clamped to it from below. The gradient passes as if it were not, as in PyTorch.
    reduction : "mean", "sum" or "none"

    Notes
    -----
    Computed in float64 and rounded once. After D. A. Nix and A. S. Weigend, "Estimating the mean and variance of the
    target probability distribution" (1994).

    Raises
    ------
    ValueError
        If a variance is negative, or ``var`` has a shape that does not fit; it names the first, and the shapes.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([0.0, 1.0], requires_grad=True)
    >>> loss = tg.nn.functional.gaussian_nll_loss(x, tg.tensor([0.0, 3.0]), tg.tensor([1.0, 4.0]), reduction="none")
    >>> loss.sum().backward()
    >>> loss, x.grad
    (tensor([0.0000, 1.1931], grad_fn=<MulBackward0>), tensor([ 0.0000, -0.5000]))
    """
    name = "gaussian_nll_loss"
    check_reduction(reduction)
    check_tensors(name, input=input, target=target)
    shape = input._array.shape
    check_no_bools(name, input=input, target=target)
    if isinstance(var, TensorBase):
        if var._array.dtype.kind != "f":
            raise RuntimeError(f"{name}(): expected var of a floating point dtype, got {dtypes.of(var._array)}")
        variances, given = var._array, var._array.shape
        # one for each vector, or one dimension of size 1 where the input has more
        short = given == shape[:-1] and given != shape
        differing = [v for n, v in zip(shape, given, strict=False) if n != v]
        if given != shape and not short and (len(given) != len(shape) or differing != [1]):
            raise ValueError(
                f"{name}(): var is of incorrect size: {list(given)} for an input of size {list(shape)}. Give it that "
                f"size, {list(shape[:-1])}, or a single dimension of size 1"
            )
        negative = (variances < 0).reshape(-1)
        if negative.any():
            place = position(int(np.argmax(negative)), given)
            raise ValueError(
                f"{name}(): var has negative entry/entries: var{list(place) or ''} is {float(variances[place]):g}. A network "
                f"makes it positive by softplus or exp"
            )
        v = unsqueeze_row(var, dim=var._array.ndim) if short else var
        tensors = [input, target, v]
    else:
        if not isinstance(var, (int, float)):
            raise TypeError(f"{name}(): argument 'var' must be Tensor or float, not {type(var).__name__}")
        if var < 0:
            raise ValueError(f"{name}(): var has negative entry/entries: it is {var}")
        v, tensors = var, [input, target]
    dtype = dtypes.result_type(*(t._array for t in tensors), 1.0).numpy
    x, t, v = widened(input, target, v)
    spread = _floor(v, low=float(eps)) if isinstance(v, TensorBase) else max(float(v), float(eps))
    logarithm = log(spread) if isinstance(spread, TensorBase) else math.log(spread)
    d = x - t
    loss = (logarithm + d * d / spread) * 0.5
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return reduced(loss, reduction, dtype, "AddBackward0" if full else "MulBackward0")  # type: ignore[no-any-return]


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    r"""Return the negative log-likelihood of counts under a Poisson distribution, exp(x) - t x.

    The gradient with respect to x is exp(x) - t; for rates themselves (``log_input=False``) the loss is
    x - t log(x + eps) and its gradient 1 - t / (x + eps). Divided by the number of elements for the mean.

    Parameters
    ----------
    input : Tensor of any shape
        Logarithms of the expected counts, or the expected counts.
    target : Tensor that broadcasts with the input
        Counts.
    log_input : bool
        Whether the input holds logarithms.
    full : bool
        Add Stirling's approximation of log(t!), t log t - t + log(2 pi t) / 2, for targets above 1.
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch: use ``reduction``.
    eps : float
        Keeps log(0) away where ``log_input`` is False.
    reduction : "mean", "sum" or "none"

    Notes
    -----
    Computed in float64 and rounded once, so that exp(x) and t x may cancel.

    Raises
    ------
    RuntimeError
        If sizes do not broadcast.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([0.0, 1.0], requires_grad=True)
    >>> loss = tg.nn.functional.poisson_nll_loss(x, tg.tensor([2.0, 1.0]), reduction="none")
    >>> loss.sum().backward()
    >>> loss, x.grad
    (tensor([1.0000, 1.7183], grad_fn=<SubBackward0>), tensor([-1.0000,  1.7183]))
    """
    reduction = legacy(reduction, size_average, reduce)
    check_reduction(reduction)
    check_tensors("poisson_nll_loss", input=input, target=target)
    if full or input._array.dtype.kind == "b":
        check_no_bools("poisson_nll_loss", target=target)
    if not log_input:
        check_no_bools("poisson_nll_loss", input=input)
    dtype = dtypes.result_type(input._array, target._array, 1.0).numpy
    x, t = widened(*paired("poisson_nll_loss", input, target))
    loss = exp(x) - t * x if log_input else x - t * log(x + float(eps))
    if full:
        counts = where_row(t > 1, t, 1.0)  # where it does not count, the logarithm must still be harmless
        stirling = counts * log(counts) - counts + log(counts * (2 * math.pi)) * 0.5
        loss = loss + where_row(t > 1, stirling, 0.0)
    return reduced(loss, reduction, dtype, "AddBackward0" if full else "SubBackward0")  # type: ignore[no-any-return]
