"""Gradients kept within bounds, in place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ...dtypes import Array
from ...op import TensorBase, mode, wrap, written
from ...tensor import Tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_"]


def _gradients(parameters: Any) -> list[Any]:
    """The gradients that there are, of one tensor or several."""
    if isinstance(parameters, TensorBase):
        parameters = [parameters]
    elif not isinstance(parameters, Iterable):
        raise TypeError(f"expected a Tensor or an iterable of Tensors, got {type(parameters).__name__}")
    return [p._grad for p in parameters if p._grad is not None]


def _norm(values: Any, p: float) -> Any:
    """The p-norm of all elements, in the precision of the array."""
    magnitudes = np.abs(values).ravel()
    if p == np.inf:
        return magnitudes.max(initial=0)
    if p == -np.inf:
        return magnitudes.min(initial=np.inf)
    if p == 0:
        return np.count_nonzero(magnitudes)
    if p == 2:
        flat = magnitudes.astype(np.float64)  # squares of float32 neither overflow nor vanish there
        return np.sqrt(flat @ flat)
    return (magnitudes.astype(np.float64) ** p).sum() ** (1 / p)


def _total_norm(gradients: list[Array], p: float) -> Array:
    """The norm of all gradients as one vector, in their dtype."""
    return np.asarray(_norm(np.array([_norm(g, p) for g in gradients]), p), np.result_type(*gradients))


def clip_grad_norm_(
    parameters: Any,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients by one factor so that their norm, taken as that of one vector, is at most ``max_norm``.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
    max_norm : float
    norm_type : float
        p of the p-norm; ``inf`` for the largest magnitude.
    error_if_nonfinite : bool
        Raise if the norm is NaN or infinite; otherwise NaN spreads to all gradients.
    foreach : bool, optional
        Without meaning here.

    Returns
    -------
    Tensor
        The norm before.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> w = tg.tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w / 2).sum().backward()
    >>> tg.nn.utils.clip_grad_norm_(w, max_norm=1.0)
    tensor(5.)
    >>> w.grad
    tensor([0.6000, 0.8000])
    """
    gradients = _gradients(parameters)
    if not gradients:
        return wrap(np.zeros((), np.float32))  # type: ignore[no-any-return]
    total = mode.quiet(_total_norm, [g._array for g in gradients], float(norm_type))
    if error_if_nonfinite and not np.isfinite(total):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is {total}, so it cannot be clipped. "
            f"To scale the gradients by it anyway, set error_if_nonfinite=False"
        )
    scale = max_norm / (total + total.dtype.type(1e-6))
    if not scale > 1:  # not `<= 1`: NaN is passed on
        for g in gradients:
            mode.quiet(np.multiply, g._array, g._array.dtype.type(scale), g._array)
            written(g, "clip_grad_norm_")
    return wrap(total)  # type: ignore[no-any-return]


def clip_grad_value_(parameters: Any, clip_value: float, foreach: bool | None = None) -> None:
    """Move every element of every gradient into [-clip_value, clip_value].

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> w = tg.tensor([3.0, 0.5], requires_grad=True)
    >>> (w * w / 2).sum().backward()
    >>> tg.nn.utils.clip_grad_value_(w, 1.0)
    >>> w.grad
    tensor([1.0000, 0.5000])
    """
    for g in _gradients(parameters):
        np.clip(g._array, -float(clip_value), float(clip_value), out=g._array)
        written(g, "clip_grad_value_")
