"""Functions of functions: a function's gradient, Jacobian or batched form, as a function again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import autograd
from .op import Node, TensorBase, edge_of, identity, mode, wrap
from .ops.arguments import axis
from .ops.joining import stack
from .ops.shape import reshape
from .ops.slicing import select_row

__all__ = [
    "functional_call",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "stack_module_state",
    "vjp",
    "vmap",
]

# --- nested structures ----------------------------------------------------------------------------------------------


def _flatten(tree: Any) -> list[Any]:
    """The leaves of nested dicts, lists and tuples."""
    if isinstance(tree, dict):
        return [leaf for value in tree.values() for leaf in _flatten(value)]
    if isinstance(tree, (tuple, list)):
        return [leaf for value in tree for leaf in _flatten(value)]
    return [tree]


def _rebuilt(tree: Any, leaves: Iterator[Any]) -> Any:
    """The same structure with other leaves."""
    if isinstance(tree, dict):
        return type(tree)((key, _rebuilt(value, leaves)) for key, value in tree.items())
    if isinstance(tree, (tuple, list)):
        values = [_rebuilt(value, leaves) for value in tree]
        return type(tree)(*values) if hasattr(tree, "_fields") else type(tree)(values)
    return next(leaves)


def _mapped(f: Callable[[Any], Any], tree: Any) -> Any:
    return _rebuilt(tree, iter([f(leaf) for leaf in _flatten(tree)]))


# --- derivatives ----------------------------------------------------------------------------------------------------


def _fresh(x: Any, name: str) -> Any:
    """A tensor to differentiate by; it leads on to the given one if that is being differentiated by itself."""
    if not isinstance(x, TensorBase):
        raise TypeError(f"{name}: expected Tensors to differentiate by, got {type(x).__name__}: {x!r:.40}")
    if x._array.dtype.kind != "f":
        raise RuntimeError(
            f"{name}: only floating point Tensors can be differentiated by, got {x._array.dtype}; write x.float()"
        )
    if mode.grad and edge_of(x) is not None:
        return identity(x)
    return wrap(x._array).requires_grad_()


def _looks_out(outputs: list[Any], fresh: list[Any]) -> bool:
    """Tell whether outputs depend on tracked tensors other than the fresh ones: the derivative then stays on the tape."""
    own = {edge_of(x) for x in fresh}
    if any(isinstance(edge, Node) for edge in own):
        return True
    stack = [edge_of(y) for y in outputs]
    seen = set(stack)
    while stack:
        edge = stack.pop()
        if isinstance(edge, TensorBase):
            if edge not in own:
                return True
        elif edge is not None:
            new = set(edge.edges) - seen
            seen |= new
            stack += new
    return False


class _Call:
    """A function called on fresh arguments, ready to be differentiated by them."""

    def __init__(
        self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Any, argnums: Any, has_aux: bool
    ) -> None:
        self.several = isinstance(argnums, tuple)
        positions = argnums if self.several else (argnums,)
        for i in positions:
            if not isinstance(i, int) or not -len(args) <= i < len(args):
                raise RuntimeError(f"{name}: argnums={argnums!r} names no one of the {len(args)} positional arguments")
        positions = [i % len(args) for i in positions]
        outer = mode.grad
        self.trees = [_mapped(lambda x: _fresh(x, name), args[i]) for i in positions]
        self.inputs = _flatten(self.trees)
        called = list(args)
        for i, tree in zip(positions, self.trees, strict=True):
            called[i] = tree
        with autograd.enable_grad():
            out = func(*called, **kwargs)
        self.aux = None
        if has_aux:
            if not isinstance(out, tuple) or len(out) != 2:
                raise RuntimeError(
                    f"{name}: with has_aux=True the function returns (output, aux), got {type(out).__name__}"
                )
            out, self.aux = out
        self.output = out
        self.outputs = _flatten(out)
        for y in self.outputs:
            if not isinstance(y, TensorBase):
                raise TypeError(f"{name}: the function must return Tensors, got {type(y).__name__}")
        self.create_graph = outer and _looks_out(self.outputs, self.inputs)

    def gradients(self, outputs: list[Any], cotangents: list[Any], retain: bool = False) -> list[Any]:
        """The gradients by all inputs; zeros where there is no dependence."""
        pairs = [(y, v) for y, v in zip(outputs, cotangents, strict=True) if edge_of(y) is not None]
        found: Any = [None] * len(self.inputs)
        if pairs:
            ys, vs = zip(*pairs, strict=True)
            found = autograd.grad(
                ys, self.inputs, vs, retain_graph=retain or self.create_graph, create_graph=self.create_graph,
                allow_unused=True,
            )  # fmt: skip
        return [wrap(np.zeros_like(x._array)) if g is None else g for x, g in zip(self.inputs, found, strict=True)]

    def in_form(self, leaves: list[Any]) -> Any:
        """Results in the form of the arguments that were differentiated by."""
        trees = _rebuilt(self.trees, iter(leaves))
        return tuple(trees) if self.several else trees[0]

    def off_tape(self, tree: Any) -> Any:
        """Values that leave: off the tape unless it leads out."""
        return tree if self.create_graph else _mapped(_detached, tree)


def _detached(x: Any) -> Any:
    return x if not isinstance(x, TensorBase) or edge_of(x) is None else wrap(x._array)


def grad(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """Return the function that computes the gradient of ``func``, which returns one 0-d Tensor.

    Parameters
    ----------
    func : callable
    argnums : int or tuple of int
        By which positional arguments; each may be a nested dict, list or tuple of Tensors.
    has_aux : bool
        Whether ``func`` returns ``(output, aux)``; the gradient then comes as ``(gradient, aux)``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> sin = lambda x: x.sin()
    >>> x = tg.tensor(0.0)
    >>> tg.func.grad(sin)(x), tg.func.grad(tg.func.grad(sin))(x)
    (tensor(1.), tensor(-0.))
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        gradient, value = grad_and_value(func, argnums, has_aux)(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return call


def grad_and_value(
    func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Return the function that computes ``(gradient, value)`` of ``func``; as in ``grad``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.func.grad_and_value(lambda x: (x * x).sum())(tg.tensor([1.0, 2.0]))
    (tensor([2., 4.]), tensor(5.))
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        made = _Call("grad", func, args, kwargs, argnums, has_aux)
        y = made.output
        if not isinstance(y, TensorBase) or y._array.ndim:
            got = f"shape {list(y._array.shape)}" if isinstance(y, TensorBase) else type(y).__name__
            raise RuntimeError(
                f"grad: Expected the function to return a 0-d Tensor, got {got}; write .sum() or .mean()"
            )
        gradient = made.in_form(made.gradients([y], [wrap(np.ones_like(y._array))]))
        value = made.off_tape(y)
        return gradient, (value, made.off_tape(made.aux)) if has_aux else value

    return call


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """Return ``func(*primals)`` and the function that maps a cotangent of it to those of the primals.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> value, pull = tg.func.vjp(lambda x: x**2, tg.tensor([1.0, 2.0]))
    >>> value, pull(tg.tensor([1.0, 10.0]))
    (tensor([1., 4.]), (tensor([ 2., 40.]),))
    """
    made = _Call("vjp", func, primals, {}, tuple(range(len(primals))), has_aux)

    def pull(*cotangents: Any) -> Any:
        given = _flatten(cotangents[0] if len(cotangents) == 1 else cotangents)
        if len(given) != len(made.outputs):
            raise RuntimeError(f"vjp: expected a cotangent for each of {len(made.outputs)} outputs, got {len(given)}")
        return made.in_form(made.gradients(made.outputs, given, retain=True))

    value = made.off_tape(made.output)
    return (value, pull, made.off_tape(made.aux)) if has_aux else (value, pull)


def jvp(
    func: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...], *, strict: bool = False,
    has_aux: bool = False,
) -> Any:  # fmt: skip
    """Return ``func(*primals)`` and its derivative in the direction of the tangents.

    The gradient of u^T J v by u, where u^T J is a gradient itself: two backward passes.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.func.jvp(lambda x: (x**2).sum(), (tg.tensor([1.0, 2.0]),), (tg.tensor([1.0, 10.0]),))
    (tensor(5.), tensor(42.))
    """
    if not isinstance(primals, tuple) or not isinstance(tangents, tuple) or len(primals) != len(tangents):
        raise RuntimeError("jvp: primals and tangents are tuples of equal length, one tangent for each primal")
    made = _Call("jvp", func, primals, {}, tuple(range(len(primals))), has_aux)
    keep, made.create_graph = made.create_graph, True
    us = [wrap(np.zeros_like(y._array)).requires_grad_() for y in made.outputs]
    with autograd.enable_grad():
        products = made.gradients(made.outputs, us)
    made.create_graph = keep
    pairs = [(p, v) for p, v in zip(products, _flatten(tangents), strict=True) if edge_of(p) is not None]
    found: Any = [None] * len(us)
    if pairs:
        ps, vs = zip(*pairs, strict=True)
        found = autograd.grad(ps, us, vs, retain_graph=True, create_graph=keep, allow_unused=True)
    slopes = [wrap(np.zeros_like(u._array)) if g is None else g for u, g in zip(us, found, strict=True)]
    value, slope = made.off_tape(made.output), _rebuilt(made.output, iter(slopes))
    return (value, slope, made.off_tape(made.aux)) if has_aux else (value, slope)


def jacrev(
    func: Callable[..., Any],
    argnums: int | tuple[int, ...] = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """Return the function that computes the Jacobian of ``func``, a row for each output element.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.func.jacrev(lambda x: x.exp().cumsum(0))(tg.zeros(2))
    tensor([[1., 0.],
            [1., 1.]])
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        made = _Call("jacrev", func, args, kwargs, argnums, has_aux)
        blocks = []
        for y in made.outputs:
            rows = []
            for i in np.ndindex(y._array.shape):
                hot = np.zeros_like(y._array)
                hot[i] = 1
                rows.append(made.gradients([y], [wrap(hot)], retain=True))
            shape = y._array.shape
            with autograd.set_grad_enabled(made.create_graph):
                blocks.append(
                    [
                        reshape(stack([row[j] for row in rows]), (*shape, *x._array.shape))
                        if rows
                        else wrap(np.zeros((*shape, *x._array.shape), x._array.dtype))
                        for j, x in enumerate(made.inputs)
                    ]
                )
        result = _rebuilt(made.output, iter([made.in_form(block) for block in blocks]))
        return (result, made.off_tape(made.aux)) if has_aux else result

    return call


def jacfwd(
    func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False, *, chunk_size: int | None = None,
    randomness: str = "error",
) -> Callable[..., Any]:  # fmt: skip
    """Return the function that computes the Jacobian of ``func``: ``jacrev`` under PyTorch's other name.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.func.jacfwd(lambda x: x**2)(tg.tensor([3.0]))
    tensor([[6.]])
    """
    return jacrev(func, argnums, has_aux=has_aux)


def hessian(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """Return the function that computes the second derivatives of ``func``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.func.hessian(lambda x: x.prod())(tg.tensor([1.0, 2.0, 3.0]))
    tensor([[0., 3., 2.],
            [3., 0., 1.],
            [2., 1., 0.]])
    """
    return jacrev(jacrev(func, argnums), argnums)


# --- batches --------------------------------------------------------------------------------------------------------


def vmap(
    func: Callable[..., Any], in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error", *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:  # fmt: skip
    """Return the function that applies ``func`` to each entry of a batch and stacks the results.

    It calls ``func`` once for each entry: a convenience, no acceleration.

    Parameters
    ----------
    func : callable
        Takes Tensors without the batch dimension, returns Tensors.
    in_dims : int, None or a nested structure of them
        The batch dimension of each argument; None for one that all calls share.
    out_dims : int or a nested structure of them
        Where the results get it.
    randomness, chunk_size
        Accepted; each call draws its own random numbers.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> per_sample = tg.func.vmap(tg.func.grad(lambda w, x: (w * x).sum() ** 2), in_dims=(None, 0))
    >>> per_sample(tg.tensor([1.0, 1.0]), tg.tensor([[1.0, 0.0], [0.0, 3.0]]))
    tensor([[ 2.,  0.],
            [ 0., 18.]])
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        dims = in_dims if isinstance(in_dims, tuple) else (in_dims,) * len(args)
        if len(dims) != len(args):
            raise ValueError(f"vmap: in_dims has {len(dims)} entries for {len(args)} arguments")
        leaves = _flatten(list(args))
        places = [_batch_dim(x, d) for x, d in zip(leaves, _spread(dims, args), strict=True)]
        sizes = {x._array.shape[d] for x, d in zip(leaves, places, strict=True) if d is not None}
        if len(sizes) != 1:
            raise ValueError(
                "vmap: at least one argument needs a batch dimension"
                if not sizes
                else f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sorted(sizes)}"
            )
        cuts = [None if d is None else (slice(None),) * d for d in places]
        results = []
        for i in range(sizes.pop()):
            entry = [x if d is None else select_row(x, index=(*d, i)) for x, d in zip(leaves, cuts, strict=True)]
            results.append(func(*_rebuilt(list(args), iter(entry)), **kwargs))
        if not results:
            raise ValueError("vmap: the batch is empty, and so the shape of the results is unknown")
        columns = zip(*map(_flatten, results), strict=True)
        places = _spread((out_dims,), (results[0],))
        return _rebuilt(results[0], iter([stack(list(c), d) for c, d in zip(columns, places, strict=True)]))

    return call


def _batch_dim(x: Any, d: Any) -> Any:
    if d is None:
        return None
    if not isinstance(x, TensorBase):
        raise ValueError(
            f"vmap: only Tensors have a batch dimension, got {type(x).__name__} for in_dims={d}; write None"
        )
    return axis(d, x._array.ndim)


def _spread(dims: Any, trees: Any) -> list[Any]:
    """One dimension for each leaf: a number or None stands for all below it."""
    if dims is None or isinstance(dims, int):
        return [dims] * len(_flatten(trees))
    if isinstance(trees, dict):
        return [d for key in trees for d in _spread(dims[key], trees[key])]
    if not isinstance(trees, (tuple, list)) or len(trees) != len(dims):
        raise ValueError(f"vmap: in_dims or out_dims {dims!r} does not match the structure of {type(trees).__name__}")
    return [d for part, tree in zip(dims, trees, strict=True) for d in _spread(part, tree)]


# --- modules --------------------------------------------------------------------------------------------------------


def functional_call(module: Any, parameter_and_buffer_dicts: Any, args: Any = None, kwargs: Any = None) -> Any:
    """Call a module with other tensors in place of its parameters and buffers.

    Parameters
    ----------
    module : Module
    parameter_and_buffer_dicts : dict of str to Tensor, or a sequence of them
        By the names of ``named_parameters`` and ``named_buffers``; those not named stay.
    args : tuple, or one argument
    kwargs : dict, optional

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> layer = tg.nn.Linear(1, 1)
    >>> tg.func.functional_call(layer, {"weight": tg.tensor([[2.0]]), "bias": tg.tensor([1.0])}, tg.tensor([3.0]))
    tensor([7.])
    """
    given = parameter_and_buffer_dicts
    tensors = dict(given) if isinstance(given, dict) else {k: v for part in given for k, v in part.items()}
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with _replaced(module, tensors):
        return module(*args, **(kwargs or {}))


@contextmanager
def _replaced(module: Any, tensors: dict[str, Any]) -> Iterator[None]:
    named = dict([*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)])
    if unknown := [name for name in tensors if name not in named]:
        raise KeyError(f"functional_call: the module has no parameter or buffer {unknown[0]!r}; it has {list(named)}")
    shared = {id(named[name]): tensor for name, tensor in tensors.items()}  # one tensor under several names
    found = []
    for name, before in named.items():
        if name in tensors or id(before) in shared:
            path, _, last = name.rpartition(".")
            owner = module.get_submodule(path)
            members = owner._parameters if last in owner._parameters else owner._buffers
            found.append((members, last, before, tensors.get(name, shared[id(before)])))
    try:
        for members, last, _, tensor in found:
            members[last] = tensor
        yield
    finally:
        for members, last, before, _ in found:
            members[last] = before


def stack_module_state(models: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the parameters and the buffers of models of one kind, stacked for ``vmap`` over an ensemble.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> parameters, buffers = tg.func.stack_module_state([tg.nn.Linear(2, 1) for _ in range(3)])
    >>> parameters["weight"].shape
    torch.Size([3, 1, 2])
    """
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    parts = []
    for kind in ("named_parameters", "named_buffers"):
        columns = [dict(getattr(model, kind)()) for model in models]
        parts.append({name: stack([c[name].detach() for c in columns]) for name in columns[0]})
    for t in parts[0].values():
        t.requires_grad_()
    return parts[0], parts[1]
