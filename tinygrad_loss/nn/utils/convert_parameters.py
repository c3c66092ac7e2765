"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...op import TensorBase
from ...ops.joining import cat
from ...ops.shape import reshape
from ...tensor import Tensor

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Join parameters, flattened, into one vector; it stays on the tape.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.nn.utils.parameters_to_vector(tg.nn.Linear(3, 2).parameters()).shape
    torch.Size([8])
    """
    return cat([reshape(p, -1) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Any]) -> None:
    """Let each parameter be its part of a vector, in the order of ``parameters_to_vector``.

    Raises
    ------
    TypeError
        If ``vec`` is no Tensor.
    RuntimeError
        If it has fewer elements than the parameters; then none is changed.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> layer = tg.nn.Linear(2, 1)
    >>> tg.nn.utils.vector_to_parameters(tg.tensor([1.0, 2.0, 3.0]), layer.parameters())
    >>> layer.bias
    Parameter containing:
    tensor([3.], requires_grad=True)
    """
    if not isinstance(vec, TensorBase):
        raise TypeError(f"expected torch.Tensor, but got: {type(vec).__name__}; write tensor(...)")
    parameters = list(parameters)
    needed = sum(p.numel() for p in parameters)
    if vec.numel() < needed:
        raise RuntimeError(f"the parameters have {needed} elements together, the vector has {vec.numel()}")
    values, start = vec.detach(), 0
    for p in parameters:
        p.data = reshape(values[start : start + p.numel()], p.shape).data
        start += p.numel()
