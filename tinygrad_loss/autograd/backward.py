"""``backward`` and ``grad``: arguments checked, then the walk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..op import TensorBase, edge_of, wrap
from .engine import accumulate, walk

if TYPE_CHECKING:
    from ..tensor import Tensor


def _many(x: Any) -> tuple[Any, ...]:
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


def _incoming(roots: Sequence[Any], gradients: Any, create_graph: bool) -> list[tuple[Any, Any]]:
    """Where each root stands on the tape, and the gradient that is sent from there."""
    given = None if gradients is None else _many(gradients)
    if given is not None and len(given) != len(roots):
        raise RuntimeError(f"got {len(roots)} tensors and {len(given)} gradients")
    result = []
    for i, root in enumerate(roots):
        if not isinstance(root, TensorBase):
            raise TypeError(f"expected a Tensor to differentiate, got {type(root).__name__} at position {i}")
        edge, array, g = edge_of(root), root._array, None if given is None else given[i]
        if edge is None:
            raise RuntimeError(
                f"element {i} of tensors does not require grad and does not have a grad_fn: the tensor of shape "
                f"{list(array.shape)} was not computed from one with requires_grad=True. Write "
                f"tensor(..., requires_grad=True), and compute it outside no_grad() and detach()."
            )
        if g is None:
            if array.size != 1:
                raise RuntimeError(
                    f"grad can be implicitly created only for scalar outputs, and this one has shape "
                    f"{list(array.shape)}. Write .sum().backward(), .mean().backward(), or "
                    f"backward(gradient=...) with a tensor of that shape."
                )
            # of a loss, array() makes it in a fifth of the time that ones() takes
            one = np.ones(array.shape, array.dtype) if array.ndim else np.array(1.0, array.dtype)
            result.append((edge, wrap(one) if create_graph else one))
            continue
        if not isinstance(g, TensorBase):
            raise TypeError(
                f"gradients can be either Tensors or None, but got {type(g).__name__}; write tensor({g!r:.40})"
            )
        if g._array.shape != array.shape:
            raise RuntimeError(
                f"Mismatch in shape: grad_output[{i}] has a shape of {list(g._array.shape)} and output[{i}] has a "
                f"shape of {list(array.shape)}."
            )
        if g._array.dtype != array.dtype:
            g = g.to(root.dtype)  # type: ignore[attr-defined]
        result.append((edge, g if create_graph else g._array))
    return result


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add the gradient of ``tensors`` to the ``grad`` of the leaves they were computed from.

    Parameters
    ----------
    tensors : Tensor or sequence of Tensor
    grad_tensors : Tensor or sequence of Tensor, optional
        The incoming gradients (of a vector-Jacobian product); 1 for a tensor of one element.
    retain_graph : bool, optional
        Keep the saved values, so that another backward is possible.
    create_graph : bool
        Record the backward itself, for gradients of gradients.
    inputs : Tensor or sequence of Tensor, optional
        Accumulate in these leaves alone.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor(3.0, requires_grad=True)
    >>> tg.autograd.backward(x * x)
    >>> x.grad
    tensor(6.)
    """
    roots = _many(tensors)
    if inputs is None:
        walk(_incoming(roots, grad_tensors, create_graph), retain_graph, create_graph)
        return
    targets = tuple(dict.fromkeys(_many(inputs)))
    if not targets:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    _check_inputs(targets)
    gradients = walk(_incoming(roots, grad_tensors, create_graph), retain_graph, create_graph, targets)
    for x, g in zip(targets, gradients, strict=True):
        if g is not None:
            accumulate(x, g, owned=True)


def _check_inputs(inputs: Sequence[Any]) -> None:
    for i, x in enumerate(inputs):
        if not isinstance(x, TensorBase):
            raise TypeError(f"inputs must be Tensors, got {type(x).__name__} at position {i}")
        if edge_of(x) is None:
            raise RuntimeError(
                f"One of the differentiated Tensors does not require grad: inputs[{i}] of shape "
                f"{list(x._array.shape)}. Write x.requires_grad_() before computing with it."
            )


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor, ...]:
    """Return the gradients of ``outputs`` with respect to ``inputs``, and touch no ``grad``.

    Parameters
    ----------
    outputs, inputs : Tensor or sequence of Tensor
    grad_outputs : Tensor or sequence of Tensor, optional
        The incoming gradients; 1 for an output of one element.
    create_graph : bool
        Record the backward itself, for gradients of gradients.
    allow_unused : bool
        Give None for an input that the outputs do not depend on, instead of raising.
    materialize_grads : bool
        Give zeros for it.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> (dx,) = tg.autograd.grad(x**3, x, create_graph=True)
    >>> tg.autograd.grad(dx, x)
    (tensor(12.),)
    """
    if is_grads_batched:
        raise NotImplementedError("is_grads_batched needs vmap, which is not here: call grad once for each row")
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    targets = _many(inputs)
    if not targets:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    _check_inputs(targets)
    incoming = _incoming(_many(outputs), grad_outputs, create_graph)
    gradients = walk(incoming, retain_graph, create_graph, targets)
    result: list[Any] = []
    for i, (x, g) in enumerate(zip(targets, gradients, strict=True)):
        if g is None and materialize_grads:
            g = np.zeros_like(x._array)
        if g is None and not allow_unused:
            raise RuntimeError(
                f"One of the differentiated Tensors appears to not have been used in the graph: inputs[{i}] of shape "
                f"{list(x._array.shape)}. Set allow_unused=True if this is the desired behavior."
            )
        result.append(g if g is None or isinstance(g, TensorBase) else wrap(g))
    return tuple(result)
