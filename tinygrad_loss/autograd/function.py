"""Ops that a user defines: a class with a forward and a backward of Tensors."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..op import Node, Row, TensorBase, Trace, edge_of, mode, next_seq, user_location, wrap
from ..ops.inplace import check_writable, rewrite
from .engine import attach, raise_modified
from .grad_mode import no_grad
from .hooks import Several


class FunctionCtx:
    """What ``forward`` leaves for ``backward``: saved tensors, and any attributes that it is given.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> class Cube(tg.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x**3
    ...
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return 3 * x**2 * g
    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> y = Cube.apply(x)
    >>> y.backward()
    >>> y, x.grad
    (tensor(8., grad_fn=<CubeBackward>), tensor(12.))
    """

    needs_input_grad: tuple[bool, ...] = ()
    _to_save: tuple[Any, ...] = ()
    _dirty: tuple[Any, ...] = ()
    _without_gradient: tuple[Any, ...] = ()
    _materialize = True
    _kept: tuple[_Saved | None, ...] | None = ()  # None once freed
    _node: Callable[[], Any] = staticmethod(lambda: None)  # a weak reference: the node owns its context
    _is_tensor: tuple[bool, ...] = ()  # of each input
    _outputs: tuple[_Form | None, ...] = ()  # of each output; None where it is no Tensor

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors (or None) for ``backward``, which finds them in ``saved_tensors``."""
        for i, t in enumerate(tensors):
            if t is not None and not isinstance(t, TensorBase):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument {i} is of type {type(t).__name__}; keep "
                    f"other things as attributes (ctx.k = k)"
                )
        self._to_save = tensors

    def mark_dirty(self, *tensors: Any) -> None:
        """Name the inputs that ``forward`` changed in place; it must return them."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Name the outputs that have no gradient."""
        self._without_gradient = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Say whether ``backward`` gets zeros (True, the default) or None for an output without a gradient."""
        self._materialize = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What ``save_for_backward`` kept, if nobody has written to it since."""
        if self._kept is None:
            node = self._node()
            where = f" of {node.name()}, recorded at {node.line}" if node is not None else ""
            raise RuntimeError(
                f"Trying to backward through the graph a second time (or directly access saved tensors after they have "
                f"already been freed): the saved tensors{where}. Write backward(retain_graph=True) the first time, or "
                f"compute the loss again before each backward()."
            )
        return tuple(None if s is None else s.tensor(i, self._node()) for i, s in enumerate(self._kept))


class _Form(NamedTuple):
    """What the gradient of an output looks like, and whether there is one."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    differentiable: bool


class _Saved:
    """A tensor in the hands of a context, as an array and its place on the tape: no cycle can come of it."""

    __slots__ = ("array", "counter", "edge", "output", "version")

    def __init__(self, t: Any, output: int | None) -> None:
        self.array, self.counter, self.version = t._array, t._version, t._version[0]
        self.output = output  # as which output of its own node
        self.edge = edge_of(t) if output is None else None

    def tensor(self, i: int, node: Any) -> Any:
        if self.counter[0] != self.version:
            raise_modified(node, f"saved tensor {i}", self.array, self.counter, self.version)
        if self.output is None:
            return attach(self.array, self.edge, self.counter)
        t = wrap(self.array, output_of(node, self.output))
        t._version = self.counter
        return t


class FunctionRow(Row):
    """The row of a custom Function: one rule, which calls its ``backward``."""

    def __init__(self, name: str, rule: Callable[..., Any], saved: int, function: type[Function] | None = None) -> None:
        self.name, self.function = name, function
        self.operands, self.params, self.variadic = (), (), "inputs"
        self.joint, self.keeps, self.view = True, function is not None, False
        self.rules, self.pickers, self.sources = (rule,), [None], [[None] * saved]
        self.numpy, self.domain, self.samples, self.outputs = None, None, (), ("y",)
        if function is not None:
            self.forward, self.call = function.forward, function.apply


class FunctionNode(Node):
    """The node of a custom Function, which shows the attributes of its context as its own."""

    __slots__ = ("ctx",)
    ctx: Any

    def release(self) -> None:
        """Let go of the saved tensors; attributes of the context stay, so that a Function without any can go again."""
        if self.ctx._kept:
            self.ctx._kept = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "ctx":
            raise AttributeError(name)
        return getattr(self.ctx, name)


class Output(Node):
    """One of several outputs of a node: it hands its gradient on, marked with its number."""

    __slots__ = ("index",)
    index: int
    row: Row

    @property
    def main(self) -> Node:
        """The node whose output this is."""
        return self.edges[0]  # type: ignore[no-any-return]

    @property
    def output_nr(self) -> int:
        """Which output of that node this is."""
        return self.index


Output.row = FunctionRow("output", lambda g, index, count: (Several({index: g}, count),), 2)


def output_of(node: Any, index: int) -> Node:
    """Where the gradient of an output goes: to the node itself if it has one, else to one of its ``Output`` nodes."""
    forms = node.ctx._outputs
    if len(forms) == 1:
        return node  # type: ignore[no-any-return]
    form = forms[index]
    return _node(Output, node.where, (node,), [(index, len(forms))], form.shape, form.dtype, index=index)  # type: ignore[no-any-return]


def _node(kind: type[Any], where: Any, edges: tuple[Any, ...], saved: Any, shape: Any, dtype: Any, **slots: Any) -> Any:
    node = object.__new__(kind)
    node.seq, node.edges, node.saved, node.shape, node.dtype = next_seq(), edges, saved, shape, dtype
    node.counters, node.versions, node.watch, node.where = [], [], None, where
    node.params, node.given = {}, {}
    for name, value in slots.items():
        setattr(node, name, value)
    return node


class _FunctionMeta(type):
    """Gives every Function its row and the class of its nodes (``CubeBackward``)."""

    row: FunctionRow
    node_type: type[FunctionNode]

    def __init__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> None:
        super().__init__(name, bases, body)
        if bases:
            cls.row = FunctionRow(name, _call_backward, 1, cls)  # type: ignore[arg-type]
            cls.node_type = type(f"{name}Backward", (FunctionNode,), {"__slots__": (), "row": cls.row})


class Function(metaclass=_FunctionMeta):
    """A differentiable op of the user's own: subclass it, write ``forward`` and ``backward``, call ``apply``.

    ``forward(ctx, *inputs)`` computes without being recorded; ``backward(ctx, *grads)`` takes one gradient for each
    output and returns one for each input (None for what is no Tensor or needs none). Or ``forward(*inputs)`` beside a
    ``setup_context(ctx, inputs, output)``. All are static methods. A backward of differentiable operations can be
    differentiated again; mark any other ``once_differentiable``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> class Straight(tg.autograd.Function):  # rounds, and lets the gradient pass
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return (x > 0.5).float()
    ...
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         return g
    >>> x = tg.tensor([0.2, 0.7], requires_grad=True)
    >>> Straight.apply(x).sum().backward()
    >>> x.grad
    tensor([1., 1.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError(
            f"{type(self).__name__} should not be instantiated: methods of a Function are static, and it is called as "
            f"{type(self).__name__}.apply(...)"
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the outputs from ``(ctx, *inputs)``, or from ``inputs`` alone where there is a ``setup_context``."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Save for ``backward`` what it needs."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Return one gradient for each input of ``forward``."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with "
            "backward mode AD."
        )

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Call ``forward``, and record the call if an input needs a gradient."""
        ctx = FunctionCtx()
        separate = cls.setup_context is not Function.setup_context
        if kwargs or separate:
            args = _positional(cls.forward, args, kwargs, skip=0 if separate else 1)
        edges = tuple(edge_of(a) if isinstance(a, TensorBase) else None for a in args)
        ctx.needs_input_grad = tuple(edge is not None for edge in edges)
        ctx._is_tensor = tuple(isinstance(a, TensorBase) for a in args)
        with no_grad():
            given = cls.forward(*args) if separate else cls.forward(ctx, *args)
            if separate:
                cls.setup_context(ctx, args, given)
        tracked = mode.grad and any(ctx.needs_input_grad)
        outputs = given if isinstance(given, (tuple, list)) else (given,)
        results = _recorded(cls, ctx, args, edges, outputs) if tracked else _unrecorded(ctx, args, outputs)
        result = results[0] if outputs is not given else results if isinstance(given, list) else tuple(results)
        if Trace.listener is not None and isinstance(results[0], TensorBase):
            Trace.listener(cls.row, args, {}, result)
        return result


def _positional(forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any], skip: int) -> tuple[Any, ...]:
    """All arguments in order, beside a ``setup_context`` with the defaults: there is one gradient for each."""
    bound = inspect.signature(forward).bind(*(None,) * skip, *args, **kwargs)
    if not skip:
        bound.apply_defaults()
    if bound.kwargs:
        raise TypeError(f"forward cannot have keyword-only arguments with apply: {', '.join(bound.kwargs)}")
    return bound.args[skip:]


def _unrecorded(ctx: FunctionCtx, inputs: Sequence[Any], outputs: Sequence[Any]) -> list[Any]:
    for t in ctx._dirty:
        rewrite(t, t, "mark_dirty")
    return [_alias(o) if _is_in(o, inputs) and not _is_in(o, ctx._dirty) else o for o in outputs]


def _is_in(x: Any, among: Sequence[Any]) -> bool:
    return isinstance(x, TensorBase) and any(x is t for t in among)


def _alias(t: Any) -> Any:
    """Another Tensor of the same storage, off the tape."""
    out = wrap(t._array)
    out._version = t._version
    return out


def _recorded(
    cls: type[Function], ctx: FunctionCtx, inputs: Sequence[Any], edges: tuple[Any, ...], outputs: Sequence[Any]
) -> list[Any]:
    """Put a call on the tape and tie its outputs to it."""
    for t in ctx._dirty:
        if not _is_in(t, outputs):
            raise RuntimeError(
                "Some elements marked as dirty during the forward method were not returned as output. The inputs that "
                "are modified inplace must all be outputs of the Function."
            )
        check_writable(t, f"{cls.__name__}.forward", tracked=True)
    results = [_own(i, outputs, inputs, ctx._dirty) for i in range(len(outputs))]
    ctx._outputs = tuple(
        _Form(r._array.shape, r._array.dtype, r._array.dtype.kind in "fc" and not _is_in(o, ctx._without_gradient))
        if isinstance(r, TensorBase)
        else None
        for r, o in zip(results, outputs, strict=True)
    )
    if not any(form is not None and form.differentiable for form in ctx._outputs):
        return results
    single = ctx._outputs[0] if len(ctx._outputs) == 1 else None
    shape, dtype = (single.shape, single.dtype) if single is not None else (Several.shape, Several.dtype)
    node = _node(cls.node_type, user_location(3), edges, [(ctx,)], shape, dtype, ctx=ctx)
    ctx._node = weakref.ref(node)
    for i, (result, form) in enumerate(zip(results, ctx._outputs, strict=True)):
        if form is not None and form.differentiable:
            _tie(result, output_of(node, i), outputs[i], inputs, ctx)
    ctx._kept = tuple(None if t is None else _Saved(t, _place(t, outputs, inputs, ctx)) for t in ctx._to_save)
    ctx._to_save = ctx._dirty = ctx._without_gradient = ()
    return results


def _own(i: int, outputs: Sequence[Any], inputs: Sequence[Any], dirty: Sequence[Any]) -> Any:
    """An output that may become this Function's: not an input as it is, nor one with a history, nor the same twice."""
    t = outputs[i]
    if not isinstance(t, TensorBase) or _is_in(t, dirty):
        return t
    foreign = _is_in(t, inputs) or _is_in(t, outputs[:i]) or edge_of(t) is not None
    return _alias(t) if foreign else t


def _tie(result: Any, place: Node, output: Any, inputs: Sequence[Any], ctx: FunctionCtx) -> None:
    if _is_in(output, ctx._dirty):
        rewrite(result, wrap(result._array, place), f"{place.main.name()}.forward")
        return
    if output._base is not None or _is_in(output, inputs):
        # Its history is this Function's, not that of a view: a write into it could not reach the base.
        result._base = output if output._base is None else output._base
        result._path = (output._path, None, {}, True)
        result._seen = result._version[1]
    result._node = place


def _place(t: Any, outputs: Sequence[Any], inputs: Sequence[Any], ctx: FunctionCtx) -> int | None:
    """As which output a saved tensor is on the tape; None if it is an input or neither."""
    if _is_in(t, inputs) and not _is_in(t, ctx._dirty):
        return None
    for i, (o, form) in enumerate(zip(outputs, ctx._outputs, strict=True)):
        if o is t and form is not None and form.differentiable:
            return i
    return None


def _call_backward(g: Any, ctx: Any) -> list[Any]:
    """The rule of every Function: ``backward`` on Tensors, and what it returns checked."""
    node, plain = ctx._node(), isinstance(g, np.ndarray)
    received = g.parts() if isinstance(g, Several) else (wrap(g) if plain else g,)
    if ctx._materialize:
        received = tuple(
            wrap(np.zeros(form.shape, form.dtype)) if x is None and form is not None else x
            for x, form in zip(received, ctx._outputs, strict=True)
        )
    result = node.row.function.backward(ctx, *received)
    result = list(result) if isinstance(result, (tuple, list)) else [result]
    n = len(node.edges)
    if len(result) < n or any(x is not None for x in result[n:]):
        raise RuntimeError(
            f"function {node.name()} returned an incorrect number of gradients (expected {n}, got {len(result)}): "
            f"backward returns one for each input of forward, None for those that have none"
        )
    for i, x in enumerate(result[:n]):
        if x is None:
            continue
        if not isinstance(x, TensorBase):
            raise RuntimeError(
                f"expected Variable or None (got {type(x).__name__}): {node.name()} returned {x!r:.40} for input {i}"
            )
        if not ctx._is_tensor[i]:
            raise RuntimeError(
                f"function {node.name()} returned a gradient different than None at position {i + 1}, but the "
                f"corresponding forward input was not a Variable"
            )
    return [None if x is None else (x if mode.grad else x._array) for x in result[:n]]


class _Refuse(Function):
    """What stands in the way of a second derivative."""

    @staticmethod
    def forward(ctx: Any, name: str, *gradients: Any) -> Any:
        ctx.name = name
        return tuple(g.clone() for g in gradients)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        raise RuntimeError(
            f"trying to differentiate twice a function that was marked with @once_differentiable: {ctx.name}. Write "
            f"its backward with differentiable operations on Tensors, and take the mark away."
        )


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a ``backward`` that cannot be differentiated itself: it is not recorded, and a second derivative raises.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_loss as tg
    >>> class Sine(tg.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return tg.from_numpy(np.sin(x.detach().numpy()))
    ...
    ...     @staticmethod
    ...     @tg.autograd.function.once_differentiable
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return tg.from_numpy(g.numpy() * np.cos(x.detach().numpy()))
    >>> x = tg.tensor([0.0], requires_grad=True)
    >>> Sine.apply(x).backward()
    >>> x.grad
    tensor([1.])
    """

    @functools.wraps(backward)
    def call(ctx: Any, *gradients: Any) -> Any:
        with no_grad():
            result = backward(ctx, *gradients)
        concerned = [g for g in gradients if isinstance(g, TensorBase) and edge_of(g) is not None]
        saved = [s for s in ctx._kept or () if s is not None and (s.edge is not None or s.output is not None)]
        if not mode.grad or not (concerned or saved):
            return result
        several = isinstance(result, (tuple, list))
        tensors = [x for x in (result if several else (result,)) if isinstance(x, TensorBase)]
        guarded = iter(_refused(ctx._node().name(), tensors))
        return tuple(next(guarded) if isinstance(x, TensorBase) else x for x in (result if several else (result,)))

    return call


def _refused(name: str, tensors: list[Any]) -> Any:
    for t in tensors:
        t = _alias(t)
        t.requires_grad_()
        yield _Refuse.apply(name, t)[0]
