"""``gradcheck`` and ``gradgradcheck`` with PyTorch's signatures: fixed step, fixed tolerances.

They are here so that programs written for PyTorch run; ``verify`` is the better check, and says which op is wrong.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import random
from ..dtypes import Array
from ..op import TensorBase, edge_of, wrap
from .backward import grad
from .grad_mode import enable_grad


class GradcheckError(RuntimeError):
    """Raised by ``gradcheck`` and ``gradgradcheck`` where gradients differ.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> issubclass(tg.autograd.GradcheckError, RuntimeError)
    True
    """


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Compare the Jacobian of ``func`` with central differences: |analytic - numeric| <= atol + rtol |numeric|.

    Drop-in for PyTorch's, with its blind spots: absolute tolerances, no error bars, kinks fail. See ``verify``.

    Parameters
    ----------
    func : callable
        Maps tensors to a tensor or a tuple of tensors.
    inputs : Tensor or tuple
        Those that are float64 and require a gradient are checked.
    eps : float
        The step of the central difference.
    fast_mode : bool
        Compare one random projection of each Jacobian instead of all of it.
    raise_exception : bool
        Raise GradcheckError where they differ; otherwise return False.
    check_batched_grad, check_batched_forward_grad, check_forward_ad : bool
        Must be False: there is neither vmap nor forward mode here.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([0.5, 2.0], dtype=tg.float64, requires_grad=True)
    >>> tg.autograd.gradcheck(tg.log, x)
    True
    """
    if check_batched_grad or check_batched_forward_grad or check_forward_ad:
        raise NotImplementedError("gradcheck here has neither vmap nor forward mode: leave those checks at False")
    given = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    try:
        _check(func, given, eps, atol, rtol, nondet_tol, check_undefined_grad, check_backward_ad, fast_mode)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """Check the gradient of the gradient of ``func``, with random incoming gradients unless they are given.

    Parameters
    ----------
    func, inputs
        As for ``gradcheck``.
    grad_outputs : Tensor or sequence of Tensor, optional
        The incoming gradients, which are inputs of the checked function too.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([0.5, 2.0], dtype=tg.float64, requires_grad=True)
    >>> tg.autograd.gradgradcheck(lambda x: x**3, x)
    True
    """
    if check_fwd_over_rev or check_batched_grad:
        raise NotImplementedError("gradgradcheck here has neither vmap nor forward mode: leave those checks at False")
    given = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    outputs = _differentiable(_tuple(func(*given)))
    if grad_outputs is None:
        generator = random.Generator().manual_seed(0)
        incoming = [_random(generator, y._array, gen_non_contig_grad_outputs) for y in outputs]
        for g in incoming:
            g.requires_grad_()
    else:
        incoming = list(_tuple(grad_outputs))
    n = len(given)
    leaves = [i for i, x in enumerate(given) if _is_checked(x)]

    def gradient(*arguments: Any) -> Any:
        xs = arguments[:n]
        with enable_grad():
            ys = _differentiable(_tuple(func(*xs)))
            found = grad(ys, [xs[i] for i in leaves], arguments[n:], create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None and edge_of(g) is not None)

    return gradcheck(
        gradient,
        (*given, *incoming),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes,
        fast_mode=fast_mode,
    )


def _tuple(x: Any) -> tuple[Any, ...]:
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


def _is_checked(x: Any) -> bool:
    return isinstance(x, TensorBase) and edge_of(x) is not None and x._array.dtype.kind in "fc"


def _differentiable(outputs: Sequence[Any]) -> list[Any]:
    return [y for y in outputs if isinstance(y, TensorBase) and edge_of(y) is not None]


def _random(generator: random.Generator, like: Array, strided: bool = False) -> Any:
    shape = (*like.shape, 2) if strided else like.shape
    values = generator.normal(np.empty(shape, like.dtype))
    return wrap(values[..., 0] if strided else values)


def _check(
    func: Callable[..., Any],
    inputs: tuple[Any, ...],
    eps: float,
    atol: float,
    rtol: float,
    nondet_tol: float,
    check_undefined_grad: bool,
    check_backward: bool,
    fast_mode: bool,
) -> None:
    checked = [x for x in inputs if _is_checked(x)]
    if not checked:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True."
        )
    for i, x in enumerate(checked):
        if x._array.dtype.itemsize < 8:
            warnings.warn(
                f"Input #{i} requires gradient and is not a double precision floating point: differences with eps={eps} are "
                f"mostly rounding. Write x.double().",
                stacklevel=4,
            )
        if x._array.size and not x._array.flags.writeable:
            raise RuntimeError(f"Input #{i} is read-only or expanded: write x.clone().requires_grad_()")
    outputs = _tuple(func(*inputs))
    tracked = _differentiable(outputs)
    if not tracked:
        if any(np.abs(_numeric(func, inputs, x, eps)).max(initial=0.0) > atol for x in checked):
            raise GradcheckError("Numerical gradient for function expected to be zero: its outputs do not require grad")
        return
    if not check_backward:
        return
    again = [y._array for y in _differentiable(_tuple(func(*inputs)))]
    if any(
        not np.allclose(a._array, b, rtol=0, atol=nondet_tol, equal_nan=True)
        for a, b in zip(tracked, again, strict=True)
    ):
        raise GradcheckError(
            "Backward is not reentrant: two evaluations of the function differ by more than nondet_tol"
        )
    generator = random.Generator().manual_seed(0)
    for k, y in enumerate(tracked):
        rows = _projections(generator, y._array) if fast_mode else _basis(y._array)
        analytic = [grad(y, checked, wrap(v), retain_graph=True, allow_unused=True) for v in rows]
        for i, x in enumerate(checked):
            a = np.array(
                [np.zeros(x._array.shape).reshape(-1) if g[i] is None else g[i]._array.reshape(-1) for g in analytic]
            ).reshape(len(rows), x._array.size)
            j = _numeric(func, inputs, x, eps, k)
            n = np.array([v.reshape(-1) @ j for v in rows]).reshape(a.shape)
            if fast_mode:
                direction = generator.normal(np.empty(x._array.size))
                a, n = a @ direction, n @ direction
            if not np.all(np.abs(a - n) <= atol + rtol * np.abs(n)):
                raise GradcheckError(
                    f"Jacobian mismatch for output {k} with respect to input {i},\nnumerical:{n.T}\nanalytical:{a.T}\n"
                    f"Which op is wrong, and how? Write autograd.verify(func, inputs)."
                )
    if check_undefined_grad:
        grad(tracked, checked, [wrap(np.zeros_like(y._array)) for y in tracked], retain_graph=True, allow_unused=True)


def _basis(like: Array) -> list[Array]:
    return [row.reshape(like.shape) for row in np.eye(like.size, dtype=like.dtype)]


def _projections(generator: random.Generator, like: Array) -> list[Array]:
    return [_random(generator, like)._array]


def _numeric(func: Callable[..., Any], inputs: tuple[Any, ...], x: Any, eps: float, k: int = 0) -> Array:
    """The Jacobian of output k with respect to x by central differences: (outputs, elements of x)."""

    def value() -> Array:
        # With a tape, for functions that differentiate inside; the outputs are told from the rest by it.
        ys = _tuple(func(*inputs))
        tracked = _differentiable(ys) or [y for y in ys if isinstance(y, TensorBase)]
        return np.array(tracked[k]._array).reshape(-1)

    array = x._array
    columns = []
    for place in np.ndindex(array.shape):
        home = array[place]
        try:
            array[place] = home + eps
            above = value()
            array[place] = home - eps
            below = value()
        finally:
            array[place] = home
        columns.append((above - below) / (2 * eps))
    return np.array(columns).reshape(array.size, -1).T
