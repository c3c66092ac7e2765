"""Derivatives of functions of tensors: Jacobians, Hessians, and their products with vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..op import TensorBase, edge_of, identity, wrap
from ..ops.joining import stack
from ..ops.shape import reshape
from .backward import grad
from .grad_mode import enable_grad

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

Tensors = tuple[Any, ...]


def _tuple(x: Any, name: str, of: str) -> tuple[bool, Tensors]:
    """Whether several were given, and all of them as a tuple."""
    several = isinstance(x, (tuple, list))
    xs = tuple(x) if several else (x,)
    for i, t in enumerate(xs):
        if not isinstance(t, TensorBase):
            where = f"Value at index {i} in the tuple" if several else "Value"
            raise TypeError(
                f"The {of} given to {name} must be either a Tensor or a tuple of Tensors but the given {where.lower()} has "
                f"type {type(t).__name__}."
            )
    return several, xs


def _fresh(inputs: Tensors, create_graph: bool) -> Tensors:
    """Inputs of their own to differentiate by; under ``create_graph`` they lead on to the given ones."""
    return tuple(
        identity(x) if create_graph and edge_of(x) is not None else wrap(x._array).requires_grad_() for x in inputs
    )


def _called(
    name: str, func: Callable[..., Any], inputs: Any, create_graph: bool
) -> tuple[bool, Tensors, bool, Tensors]:
    """Call the function; tell of inputs and outputs whether they are several, and what they are."""
    many_in, xs = _tuple(inputs, name, "inputs")
    xs = _fresh(xs, create_graph)
    many_out, ys = _tuple(func(*xs), name, "outputs of the user-provided function")
    return many_in, xs, many_out, ys


def _one(ys: Tensors, many: bool, name: str) -> Any:
    if many or len(ys) != 1:
        raise RuntimeError(f"The function given to {name} should return a single Tensor, got a tuple of {len(ys)}")
    if ys[0]._array.size != 1:
        raise RuntimeError(
            f"The Tensor returned by the function given to {name} should contain a single element, got shape "
            f"{list(ys[0]._array.shape)}"
        )
    return reshape(ys[0], ())


def _vectors(v: Any, like: Tensors, many: bool, name: str, of: str) -> Tensors:
    if v is None:
        if len(like) == 1 and like[0]._array.size == 1:
            return (wrap(np.ones_like(like[0]._array)),)
        raise RuntimeError(
            f"The vector v can only be None if the {of} is a single Tensor with a single element: give {name} one of the "
            f"shape(s) {', '.join(str(list(t._array.shape)) for t in like)}"
        )
    several, vs = _tuple(v, name, "v")
    if several != many or len(vs) != len(like):
        raise RuntimeError(f"v is {len(vs)} tensor(s) and the {of} is {len(like)}: {name} needs one for each, alike")
    for i, (a, t) in enumerate(zip(vs, like, strict=True)):
        if a._array.shape != t._array.shape:
            raise RuntimeError(
                f"Entry {i} of v has invalid size: should be {list(t._array.shape)} but got {list(a._array.shape)}."
            )
    return vs


def _gradients(
    name: str, ys: Tensors, vs: Sequence[Any], xs: Tensors, *, create_graph: bool, strict: bool, retain: bool = False
) -> Tensors:
    """The gradients by all inputs; zeros where there is no dependence, or an error if that is asked for."""
    tracked = [(y, v) for y, v in zip(ys, vs, strict=True) if edge_of(y) is not None]
    found: Tensors = (None,) * len(xs)
    if tracked:
        outs, cotangents = zip(*tracked, strict=True)
        found = grad(
            outs, xs, cotangents, retain_graph=retain or create_graph, create_graph=create_graph, allow_unused=True
        )
    if strict:
        if len(tracked) < len(ys):
            raise RuntimeError(f"Output of the user-provided function given to {name} is independent of the input(s).")
        if None in [None if g is None else 1 for g in found]:
            i = next(i for i, g in enumerate(found) if g is None)
            raise RuntimeError(
                f"Output of the user-provided function is independent of input {i}. This is not allowed in strict mode."
            )
        if create_graph:
            for i, g in enumerate(found):
                if edge_of(g) is None:
                    raise RuntimeError(
                        f"The {name} of the user-provided function is independent of input {i}. This is not allowed in "
                        f"strict mode when create_graph=True."
                    )
    return tuple(wrap(np.zeros_like(x._array)) if g is None else g for x, g in zip(xs, found, strict=True))


def _given(many: bool, xs: Tensors, create_graph: bool) -> Any:
    """Results in the form of the arguments, off the tape unless it was asked for."""
    out = tuple(x if create_graph or edge_of(x) is None else x.detach() for x in xs)
    return out if many else out[0]


@enable_grad()
def vjp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """Return ``func(inputs)`` and the product of a vector with its Jacobian, v^T J.

    Parameters
    ----------
    func : callable
        Takes Tensors, returns a Tensor or a tuple of them.
    inputs : Tensor or tuple of Tensor
    v : Tensor or tuple of Tensor
        Of the shapes of the outputs; may be left out for one output of one element.
    create_graph : bool
        Let the result be differentiated again.
    strict : bool
        Raise where an output does not depend on an input, instead of giving zeros.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.autograd.functional.vjp(lambda x: x**2, tg.tensor([1.0, 2.0]), tg.tensor([1.0, 10.0]))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    many_in, xs, many_out, ys = _called("vjp", func, inputs, create_graph)
    vs = _vectors(v, ys, many_out, "vjp", "output of the function")
    result = _gradients("vjp", ys, vs, xs, create_graph=create_graph, strict=strict)
    return _given(many_out, ys, create_graph), _given(many_in, result, create_graph)


@enable_grad()
def jvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """Return ``func(inputs)`` and the product of its Jacobian with a vector, J v.

    The gradient of u^T J v by u, where u^T J is a gradient itself: two backward passes.

    Parameters
    ----------
    func, inputs, create_graph, strict
        As in ``vjp``.
    v : Tensor or tuple of Tensor
        Of the shapes of the inputs; may be left out for one input of one element.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.autograd.functional.jvp(lambda x: (x**2).sum(), tg.tensor([1.0, 2.0]), tg.tensor([1.0, 10.0]))
    (tensor(5.), tensor(42.))
    """
    _, xs, many_out, ys = _called("jvp", func, inputs, create_graph)
    many_in, _ = _tuple(inputs, "jvp", "inputs")
    vs = _vectors(v, xs, many_in, "jvp", "input to the function")
    us = tuple(wrap(np.zeros_like(y._array)).requires_grad_() for y in ys)
    products = _gradients("jvp", ys, us, xs, create_graph=True, strict=strict)
    result = _gradients("jvp", products, vs, us, create_graph=create_graph, strict=strict, retain=True)
    return _given(many_out, ys, create_graph), _given(many_out, result, create_graph)


@enable_grad()
def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """Return the Jacobian: of each output element, the gradient by each input.

    Parameters
    ----------
    func, inputs, create_graph, strict
        As in ``vjp``.
    vectorize : bool
        Accepted; a row is computed at a time.
    strategy : str
        "reverse-mode" or "forward-mode"; the values are the same, and computed in reverse.

    Returns
    -------
    Tensor of shape (*output.shape, *input.shape)
        With several inputs a tuple of them; with several outputs a tuple of that.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.autograd.functional.jacobian(lambda x: x.exp().cumsum(0), tg.zeros(2))
    tensor([[1., 0.],
            [1., 1.]])
    """
    if strategy not in ("reverse-mode", "forward-mode"):
        raise ValueError(f'Expected strategy to be either "forward-mode" or "reverse-mode". Got {strategy!r}')
    many_in, xs, many_out, ys = _called("jacobian", func, inputs, create_graph)
    blocks = []
    for y in ys:
        rows = []
        for i in np.ndindex(y._array.shape):
            hot = np.zeros_like(y._array)
            hot[i] = 1
            rows.append(
                _gradients("jacobian", (y,), (wrap(hot),), xs, create_graph=create_graph, strict=strict, retain=True)
            )
        blocks.append(
            tuple(
                reshape(stack([row[j] for row in rows]), (*y._array.shape, *x._array.shape))
                if rows
                else wrap(np.zeros((*y._array.shape, *x._array.shape), x._array.dtype))
                for j, x in enumerate(xs)
            )
        )
    results = tuple(_given(many_in, block, create_graph) for block in blocks)
    return results if many_out else results[0]


@enable_grad()
def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """Return the matrix of second derivatives of a function with one output element.

    Parameters
    ----------
    func, inputs, create_graph, strict, vectorize
        As in ``jacobian``.

    Returns
    -------
    Tensor of shape (*input.shape, *input.shape)
        With several inputs a tuple of tuples of them.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.autograd.functional.hessian(lambda x: x.prod(), tg.tensor([1.0, 2.0, 3.0]))
    tensor([[0., 3., 2.],
            [3., 0., 1.],
            [2., 1., 0.]])
    """
    many, xs = _tuple(inputs, "hessian", "inputs")

    def gradient(*xs: Any) -> Any:
        several, ys = _tuple(func(*xs), "hessian", "outputs of the user-provided function")
        return _gradients(
            "jacobian", (_one(ys, several, "hessian"),), (wrap(np.ones((), ys[0]._array.dtype)),), xs,
            create_graph=True, strict=strict,
        )  # fmt: skip

    result = jacobian(gradient, xs, create_graph, strict, vectorize, outer_jacobian_strategy)
    return result if many else result[0][0]


@enable_grad()
def vhp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """Return ``func(inputs)``, one element, and the product of a vector with its Hessian.

    Parameters
    ----------
    func, inputs, create_graph, strict
        As in ``vjp``.
    v : Tensor or tuple of Tensor
        Of the shapes of the inputs.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.autograd.functional.vhp(lambda x: (x**3).sum(), tg.tensor([1.0, 2.0]), tg.tensor([1.0, 10.0]))
    (tensor(9.), tensor([  6., 120.]))
    """
    many, xs, several, ys = _called("vhp", func, inputs, create_graph)
    vs = _vectors(v, xs, many, "vhp", "input to the function")
    y = _one(ys, several, "vhp")
    first = _gradients("jacobian", (y,), (wrap(np.ones((), y._array.dtype)),), xs, create_graph=True, strict=strict)
    result = _gradients("vhp", first, vs, xs, create_graph=create_graph, strict=strict)
    return _given(False, ys, create_graph), _given(many, result, create_graph)


def hvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """Return ``func(inputs)``, one element, and the product of its Hessian with a vector.

    The Hessian is symmetric, so that this is ``vhp``; PyTorch computes it by forward over reverse.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.autograd.functional.hvp(lambda x: (x**3).sum(), tg.tensor([1.0, 2.0]), tg.tensor([1.0, 10.0]))
    (tensor(9.), tensor([  6., 120.]))
    """
    return vhp(func, inputs, v, create_graph, strict)
