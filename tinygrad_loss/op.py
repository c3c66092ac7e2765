"""What an op is: the row that defines it, the node it leaves on the tape, and how a call is recorded.

An op is one row::

    exp = op("exp", kernels.exp, vjp=lambda g, y: g * y, numpy="np.exp({x})", domain=(-2, 2))

and the row is a function: called with Tensors it records itself, called with bare ndarrays it just computes. That is
why one rule (``vjp``) serves every order of derivative: ``backward`` calls it with ndarrays, ``create_graph=True`` with
Tensors.

* Positional parameters of the forward function are its *operands* (what may need a gradient), keyword-only ones its
  *parameters*.
* ``vjp`` is one rule per operand (a tuple; None where there is no gradient), or one rule that returns them all. A
  rule's first parameter is the incoming gradient ``g``. The names of the others are its save list: an operand ``x``,
  its shape ``x_shape``, the output ``y``, a parameter such as ``dim``, or what ``forward`` gives beside the output for
  the rules alone (``kept``). What no rule names is not kept alive.
* A rule is plain mathematics. It never changes ``g`` or what was saved, and it leaves the shape to the engine, which
  sums a broadcast gradient back to its operand.
"""

from __future__ import annotations

import contextvars
import itertools
import os
import pathlib
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any

import numpy as np

from . import dtypes
from .dtypes import F32, F64, Array

Rule = Callable[..., Any]
Location = tuple[CodeType, int]
# How a view comes from its base, last step first, as a list whose tails are shared: (steps before, view op, its
# parameters, whether it was recorded). A view made under no_grad has no part in the history; None for the op stands
# for a custom Function.
Path = tuple[Any, Any, dict[str, Any], bool]
PACKAGE = str(pathlib.Path(__file__).parent) + os.sep


class TensorBase:
    """What the engine needs of a Tensor: an array, its place on the tape, and the version of its storage."""

    _array: Array
    # [writes to the storage, changes of its history, the last write's (name, location)]; all views of it share this.
    _version: list[Any]
    _node: Node | None = None
    _requires_grad: bool = False
    _grad: Any = None
    _base: TensorBase | None = None  # the tensor that this one is a view of
    _path: Path | None = None  # and the view ops that lead from there to here
    _seen: int = 0  # the base's count of history changes when this view's node was made
    _hooks: dict[int, Callable[[Any], Any]] | None = None  # see and may replace a leaf's gradient
    _accumulated: dict[int, Callable[[Any], Any]] | None = None  # called after a leaf's gradient was added


class _Mode(threading.local):
    """Per-thread switches, and a context in which NumPy's floating point warnings are off."""

    grad: bool
    inference: bool
    wide: bool  # a gradient check is under way: casts to other floats stay float64
    walk: Any  # the backward under way: its number, its nodes, and those that lead to what was asked for
    quiet: Callable[..., Any]

    def __init__(self) -> None:
        self.grad, self.inference, self.wide, self.walk = True, False, False, None
        # np.errstate costs 0.9 us, running in a prepared context a tenth of it: NumPy 2 keeps its error state in a
        # context variable. inf and NaN are values here, not accidents, and PyTorch does not warn of them either.
        context = contextvars.copy_context()
        context.run(np.seterr, all="ignore")
        self.quiet = context.run

    def backward(self, create_graph: bool, run: Callable[..., Any], *args: Any) -> Any:
        """Call ``run`` for a backward: all of it in that context, which can be entered once; ``quiet`` then just calls."""
        here = self.__dict__  # this thread's: looked up once, where every attribute would be looked up anew
        before = here["grad"], here["walk"], here["quiet"]
        here["grad"], here["quiet"] = create_graph, _call
        try:
            return before[2](run, *args)
        finally:
            here["grad"], here["walk"], here["quiet"] = before


def _call(run: Callable[..., Any], *args: Any, **params: Any) -> Any:
    return run(*args, **params)


mode = _Mode()


class Trace:
    """Where calls are written down, tracked or not, while something listens (see ``tape.py``)."""

    listener: Callable[[Row, tuple[Any, ...], dict[str, Any], Any], None] | None = None


_tensor_type: type[TensorBase] = TensorBase
_new = object.__new__
next_seq = itertools.count(1).__next__


def use_tensor_type(cls: type[TensorBase]) -> None:
    """Make ``cls`` the class of every result; ``tensor.py`` calls this once."""
    global _tensor_type  # noqa: PLW0603 -- set once, read at every call: a module's name is the fastest to read
    _tensor_type = cls


def wrap(array: Any, node: Node | None = None) -> Any:
    """Make a Tensor of an ndarray, without a copy."""
    t = _new(_tensor_type)
    t._array = array if array.__class__ is np.ndarray else np.asarray(array)
    t._version = [0, 0, None]
    if node is not None:
        t._node = node
    return t


def edge_of(t: TensorBase) -> Any:
    """Where the gradient of ``t`` goes: the node that made it, the leaf itself, or nowhere (None)."""
    if t._base is not None and t._seen != t._version[1]:
        refresh(t)
    return t._node or (t if t._requires_grad else None)


def refresh(view: TensorBase) -> None:
    """Rebuild the history of a view whose storage was written through another view: replay it from the base."""
    view._seen = view._version[1]
    path = steps(view)
    if not all(recorded and view_op is not None for _, view_op, _, recorded in path):
        return
    before, Trace.listener = (mode.grad, Trace.listener), None
    mode.grad = True
    try:
        continue_as(view, follow(base_of(view), path)._node)
    finally:
        mode.grad, Trace.listener = before


def base_of(t: TensorBase) -> TensorBase | None:
    """The tensor that ``t`` is a view of; None if it is none."""
    base = t._base
    if base is not None and base._base is not None:  # it was reshaped in place: what it was is its own base now
        base = t._base = base._base
    return base


def steps(view: TensorBase) -> list[Path]:
    """The view ops that lead from the base to a view, in their order."""
    found = []
    at = view._path
    while at is not None:
        found.append(at)
        at = at[0]
    return found[::-1]


def follow(x: Any, path: Sequence[Path]) -> Any:
    """Apply a chain of view ops."""
    for _, view_op, params, _ in path:
        x = view_op(x, **params)
    return x


def continue_as(t: TensorBase, node: Node | None) -> None:
    """Give a tensor another history; its ``retain_grad`` comes along, its hooks stay with the value they were for."""
    watch = t._node.watch if t._node is not None else None
    if watch is not None and watch.retained is not None and watch.retained() is t:
        if node is not None:
            Watch.of(node).retained = watch.retained
        watch.retained = None
    t._node = node


def user_location(depth: int = 1) -> Location:
    """The nearest caller outside this package, as (code, offset): cheap to take, and it keeps no frame alive."""
    frame = sys._getframe(depth)
    while frame.f_back is not None:
        name = frame.f_code.co_filename
        inside = _inside.get(name)
        if inside is None:
            inside = _inside[name] = name.startswith(PACKAGE)
        if not inside:
            break
        frame = frame.f_back
    return frame.f_code, frame.f_lasti


def source_line(where: Location) -> str:
    """Turn (code, offset) into ``file.py:12``."""
    code, offset = where
    number = code.co_firstlineno
    for start, end, line in code.co_lines():
        if start <= offset < end and line is not None:
            number = line
    return f"{code.co_filename}:{number}"


_inside: dict[str, bool] = {}


class Node:
    """One recorded op: what it was, where its inputs came from, and what its rules saved.

    There is a subclass per row, named as PyTorch names it (``MulBackward0``). A node never refers to the Tensor it
    made, so a loss that goes out of scope frees its tape by reference counting alone.
    """

    __slots__ = (
        "__weakref__",
        "counters",
        "dtype",
        "edges",
        "given",
        "params",
        "saved",
        "seq",
        "shape",
        "versions",
        "watch",
        "where",
    )
    row: Row
    seq: int
    edges: tuple[Any, ...]  # per operand: the Node that made it, the leaf Tensor itself, or None
    # The constants among the operands, for who looks at the tape: numbers, and what holds data, weakly.
    given: dict[int, Any]
    params: dict[str, Any]
    saved: list[tuple[Any, ...] | None] | None  # per rule its save list; None once freed
    counters: list[list[Any]]  # the version counters of the operands and then of the outputs,
    versions: list[int]  # and what they said
    shape: tuple[int, ...]  # of the output, and so of its gradient
    dtype: np.dtype[Any]
    where: Location
    watch: Watch | None  # who wants to see gradients that pass here

    @property
    def output_nr(self) -> int:
        """Which output of ``main`` this is."""
        return 0

    @property
    def main(self) -> Node:
        """The node itself; where a call has several outputs with a node each, the one they share."""
        return self

    def name(self) -> str:
        """PyTorch's name of this node, such as ``MulBackward0``."""
        return type(self).__name__

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """The nodes that the gradient flows to, as PyTorch lists them."""
        return tuple(
            (AccumulateGrad(e), 0) if isinstance(e, TensorBase) else (None, 0) if e is None else (e.main, e.output_nr)
            for e in self.edges
        )

    @property
    def line(self) -> str:
        """The user's source line that recorded this op, as ``file.py:12``."""
        return source_line(self.where)

    def release(self) -> None:
        """Let go of what was saved for a backward."""
        self.saved = None

    def register_hook(self, hook: Callable[[Any, Any], Any]) -> RemovableHandle:
        """Call ``hook(grad_inputs, grad_outputs)`` after this node; a tuple it returns replaces the former."""
        return RemovableHandle(Watch.of(self).after, hook)

    def register_prehook(self, hook: Callable[[Any], Any]) -> RemovableHandle:
        """Call ``hook(grad_outputs)`` before this node; a tuple it returns takes their place."""
        return RemovableHandle(Watch.of(self).before, hook)

    def __repr__(self) -> str:
        return f"<{self.name()} object at {id(self):#x}>"


class Watch:
    """What looks at the gradients that pass a node."""

    __slots__ = ("after", "before", "hooks", "retained")

    def __init__(self) -> None:
        self.hooks: dict[int, Any] = {}  # of the tensor: see, and may replace, its whole gradient
        self.retained: Any = None  # a weak reference to the tensor that keeps its gradient
        self.before: dict[int, Any] = {}  # of the node itself: before
        self.after: dict[int, Any] = {}  # and after its rules are called

    @staticmethod
    def of(node: Node) -> Watch:
        """The watch at a node, placed there by the first who asks."""
        if node.watch is None:
            node.watch = Watch()
        return node.watch


class RemovableHandle:
    """What registering a hook returns: ``remove()`` takes the hook away again, and so does the end of a ``with``."""

    def __init__(self, hooks: dict[int, Any], hook: Callable[..., Any]) -> None:
        self._hooks, self.id = hooks, next_seq()
        hooks[self.id] = hook

    def remove(self) -> None:
        """Take the hook away."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


class AccumulateGrad:
    """Where the gradient of a leaf ends, as PyTorch shows it in ``next_functions``."""

    def __init__(self, variable: TensorBase) -> None:
        self.variable = variable
        self.next_functions: tuple[Any, ...] = ()

    def name(self) -> str:
        """PyTorch's name of this node."""
        return "AccumulateGrad"


class Row:
    """The definition of an op; see the module's docstring for the parts."""

    def __init__(
        self,
        name: str,
        forward: Callable[..., Any],
        vjp: Any,
        numpy: str | Callable[..., Any] | None,
        domain: tuple[float, float] | None,
        samples: Sequence[Any],
        promote: str | None,
        view: bool,
        outputs: tuple[str, ...],
        kept: tuple[str, ...],
        grad_name: str | Callable[[list[Any], dict[str, Any]], str] | None,
    ) -> None:
        code: Any = getattr(forward, "__code__", None)
        self.operands: tuple[str, ...]
        self.params: tuple[str, ...] = ()
        self.variadic: str | None = None
        if isinstance(forward, np.ufunc):
            self.operands = ("a", "b") if forward.nin == 2 else ("x",)
        else:
            n, k = code.co_argcount, code.co_kwonlyargcount
            self.operands = code.co_varnames[:n]
            self.params = code.co_varnames[n : n + k]
            self.variadic = code.co_varnames[n + k] if code.co_flags & 0x04 else None
        self.name = name
        self.forward = forward
        self.numpy = numpy
        self.domain = domain
        self.samples = samples
        self.promote = promote
        self.view = view
        self.outputs = outputs
        self.kept = kept
        self.joint = callable(vjp) and (self.variadic is not None or len(self.operands) > 1)
        self.rules: tuple[Rule | None, ...] = (vjp,) if callable(vjp) else tuple(vjp or ())
        compiled = [self._picker(rule) if rule else (None, []) for rule in self.rules]
        self.pickers = [picker for picker, _ in compiled]
        self.sources = [sources for _, sources in compiled]
        self.keeps = bool(kept) or any(source is not None for sources in self.sources for source in sources)
        self.call: Callable[..., Any]
        self.node_types: dict[str, type[Node]] = {}
        self.title = grad_name if callable(grad_name) else None
        camel = "".join(part.capitalize() for part in name.strip("_").split("_"))
        self.node_type = self.named(grad_name if isinstance(grad_name, str) else f"{camel}Backward0")
        # Kernels raise no floating point warnings; NumPy's functions do.
        self.quiet = getattr(forward, "__module__", "numpy").startswith("tinygrad_loss.kernels")

    def named(self, title: str) -> type[Node]:
        """The class of this row's nodes that has this name."""
        if title not in self.node_types:
            self.node_types[title] = type(title, (Node,), {"__slots__": (), "row": self, "__doc__": Node.__doc__})
        return self.node_types[title]

    def _picker(self, rule: Rule) -> tuple[Callable[[Any, Any, Any], tuple[Any, ...]], list[Any]]:
        """Compile a rule's save list into one function, so that recording costs one call; and say where each is from.

        The sources are ``("operand", i)``, ``("output", j)`` or None for what is not a tensor.
        """
        code = rule.__code__
        names = code.co_varnames[1 : code.co_argcount]
        parts, sources = [], []
        for name in names:
            source: Any = None
            if name in self.operands:
                i = self.operands.index(name)
                part, source = f"xs[{i}]", ("operand", i)
            elif name.endswith("_shape") and name[:-6] in self.operands:
                part = f"shape(xs[{self.operands.index(name[:-6])}])"
            elif name.endswith("_shapes") and name[:-7] == self.variadic:
                part = f"tuple(map(shape, xs[{len(self.operands)}:]))"
            elif name == self.variadic:
                part, source = f"xs[{len(self.operands)}:]", ("operands", len(self.operands))
            elif name in self.outputs:
                j = self.outputs.index(name)
                part = "out" if len(self.outputs) + len(self.kept) == 1 else f"out[{j}]"
                source = ("output", j)
            elif name in self.kept:
                part = f"out[{len(self.outputs) + self.kept.index(name)}]"
            elif name in self.params:
                part = f"params[{name!r}]"
            else:
                raise TypeError(
                    f"op {self.name!r}: its rule names {name!r}, which is no operand {self.operands}, no operand's "
                    f"shape, no output {(*self.outputs, *self.kept)} and no parameter {self.params}"
                )
            parts.append(part)
            sources.append(source)
        picker = eval(f"lambda out, xs, params: ({''.join(p + ', ' for p in parts)})", {"shape": np.shape})
        return picker, sources

    def in_numpy(self, operands: Sequence[Any], params: dict[str, Any]) -> Array:
        """What the op computes, by its definition in NumPy."""
        if self.numpy is None:
            raise TypeError(f"op {self.name!r} has no definition in NumPy")
        if callable(self.numpy):
            return np.asarray(self.numpy(*operands, **params))
        names = [f"operand_{k}" for k in range(len(operands))]
        fields = dict(zip(self.operands, names, strict=False)) | {name: name for name in params}
        if self.variadic:
            fields[self.variadic] = "".join(f"{name}, " for name in names[len(self.operands) :])
        values = {"np": np, **dict(zip(names, operands, strict=True)), **params}
        return np.asarray(eval(self.numpy.format(**fields), values))

    def __repr__(self) -> str:
        return f"<op {self.name}>"


ROWS: dict[str, Row] = {}


def sample(*operands: Any, **params: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """One call that the tests make of a row: shapes (drawn from its domain) or arrays, then parameters."""
    return operands, params


def op(
    name: str,
    forward: Callable[..., Any],
    *,
    vjp: Any = None,
    numpy: str | Callable[..., Any] | None = None,
    domain: tuple[float, float] | None = None,
    samples: Sequence[Any] = (),
    promote: str | None = None,
    view: bool = False,
    outputs: tuple[str, ...] = ("y",),
    kept: tuple[str, ...] = (),
    grad_name: str | Callable[[list[Any], dict[str, Any]], str] | None = None,
    tensors: int = 0,
    doc: str | None = None,
) -> Any:
    """Define an op and return the function that calls it.

    Parameters
    ----------
    name : str
        Its name; ``mul`` is recorded as ``MulBackward0`` unless ``grad_name`` says otherwise, which may be a function
        of the operands and parameters: PyTorch has several names for some ops.
    forward : callable
        ndarrays in, ndarray out (a tuple where ``outputs`` and ``kept`` name several; the first is differentiable).
    vjp : callable, or tuple of callable or None
        The rules; see the module's docstring.
    numpy : str or callable
        The op in plain NumPy: a template such as ``"np.exp({x})"``, or a function that uses NumPy alone.
    domain : (float, float)
        Where the tests draw operands from.
    samples : sequence of ``sample(...)``
        The calls that the tests make; by default one of shape (3, 4), and a broadcasting one for several operands.
    promote : "same", "float" or None
        Bring operands to one dtype as PyTorch does; "float" also turns integers into the default float.
    view : bool
        Whether the result shares the operand's storage.
    kept : tuple of str
        What ``forward`` gives behind the outputs for the rules alone: of it no Tensor is made.
    tensors : int
        How many of the first operands may not be Python numbers, where PyTorch's function takes none.
    doc : str
        The docstring of a row that is itself a public function.
    """
    row = Row(name, forward, vjp, numpy, domain, samples, promote, view, outputs, kept, grad_name)
    if name in ROWS:
        raise ValueError(f"there is an op {name!r} already")
    ROWS[name] = row
    simple = (
        len(row.operands) == 1 and not row.params and not row.variadic and not view and len(outputs) + len(kept) == 1
    )
    row.call = call = _unary(row) if simple and promote == "float" and row.quiet else _general(row, tensors)
    call.__name__ = call.__qualname__ = name
    call.__doc__ = doc
    call.row = row  # type: ignore[attr-defined]
    return call


def _unary(row: Row) -> Callable[..., Any]:
    """The call of a kernel of one operand: what ``_general`` does, without its loops (students' tensors are small)."""
    forward = row.forward

    def call(input: Any) -> Any:
        x = input  # PyTorch's name of it
        if not isinstance(x, TensorBase):
            return raw(row, (x,), {})
        array = x._array
        if array.dtype is not F32 and array.dtype is not F64:
            array = promoted(row, [array])[0]
        out = forward(array)
        if Trace.listener is not None:
            return _finish(row, (x,), [array], [edge_of(x)], [x._version], {}, out)
        result = _new(_tensor_type)
        result._array = out
        result._version = [0, 0, None]
        if (x._node is not None or x._requires_grad or x._base is not None) and mode.grad and row.rules:
            result._node = record(row, [array], [edge_of(x)], [x._version], {}, out, result, (x,))
        return result

    return call


def _general(row: Row, strict: int) -> Callable[..., Any]:
    """The call of any row: tell Tensors from constants, promote, compute, record."""
    promote, forward, quiet = row.promote, row.forward, row.quiet
    several, kept, view = len(row.outputs) > 1, bool(row.kept), row.view
    takes_params = bool(row.params)
    ndarray = np.ndarray

    def call(*operands: Any, **params: Any) -> Any:
        if params and not takes_params:
            operands, params = _by_name(row, operands, params), {}
        for x in operands:
            if isinstance(x, TensorBase):
                break
        else:
            if operands and operands[0].__class__ is ndarray:  # a rule, in a first-order backward
                return forward(*operands, **params)[0] if kept else forward(*operands, **params)
            return raw(row, operands, params)
        arrays: list[Any] = []
        edges: list[Any] = []
        counters: list[list[Any]] = []
        dtype: Any = None
        unequal = tracked = False
        recording = mode.grad
        for x in operands:
            if isinstance(x, TensorBase):
                if recording:
                    if x._base is not None and x._seen != x._version[1]:
                        refresh(x)
                    edge: Any = x._node
                    if edge is not None:
                        tracked = True
                    elif x._requires_grad:
                        tracked = True
                        edge = x
                    edges.append(edge)
                    counters.append(x._version)
                array = x._array
                arrays.append(array)
                if array.dtype is not dtype:
                    unequal = dtype is not None
                    dtype = array.dtype
            else:
                if x.__class__ is not float and x.__class__ is not int and x is not None:
                    x = _constant(row, x)
                    unequal = True
                if len(arrays) < strict and x.__class__ is not ndarray:
                    raise TypeError(
                        f"{row.name}(): argument {len(arrays) + 1} must be Tensor, not {type(x).__name__}; "
                        f"write tensor({x!r:.40})"
                    )
                arrays.append(x)
                edges.append(None)
                counters.append(_CONSTANT)
        if promote is not None and (unequal or (dtype is not F32 and dtype is not F64)):
            arrays = promoted(row, arrays)
        try:
            out = forward(*arrays, **params) if quiet else mode.quiet(forward, *arrays, **params)
        except (TypeError, ValueError) as error:
            raise _explained(row, arrays, error) from None
        if several or view or Trace.listener is not None:
            return _finish(row, operands, arrays, edges, counters, params, out)
        result = wrap(out[0] if kept else out)
        array = result._array
        if tracked and row.rules and array.dtype.kind in "fc":
            result._node = record(row, arrays, edges, counters, params, out if kept else array, result, operands)
        return result

    return call


_CONSTANT = [0, 0, None]
_holders = (TensorBase, np.ndarray)


def _by_name(row: Row, operands: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
    """Put operands that were given as ``input=`` and ``other=`` into their places."""
    names = ("input", "other")[: len(row.operands)]
    for name in names[len(operands) :]:
        if name in named:
            operands = (*operands, named.pop(name))
    if named or len(operands) != len(names):
        raise TypeError(f"{row.name}() takes {' and '.join(names)}, got {len(operands)} of them and {sorted(named)}")
    return operands


def _constant(row: Row, x: Any) -> Any:
    """Admit what may stand beside Tensors: numbers and arrays."""
    if isinstance(x, np.generic):
        return x.item()
    if isinstance(x, (np.ndarray, bool, int, float, complex)):
        return x
    raise TypeError(
        f"{row.name}() takes Tensors and numbers, got {type(x).__name__}: {x!r:.60}. Write tensor({x!r:.40}) to make "
        f"a Tensor of it."
    )


def _explained(row: Row, arrays: list[Any], error: Exception) -> Exception:
    """NumPy's refusal as PyTorch words it; any other error is itself."""
    shapes = [list(a.shape) for a in arrays if isinstance(a, np.ndarray)]
    if isinstance(error, ValueError) and "broadcast" in str(error):
        return RuntimeError(
            f"{row.name}(): The size of tensor a must match the size of tensor b at every dimension, counted from the end, "
            f"at which neither is 1: got the shapes {' and '.join(map(str, shapes))}"
        )
    if isinstance(error, TypeError) and isinstance(row.forward, np.ufunc):
        kinds = ", ".join(str(dtypes.of(a)) for a in arrays if isinstance(a, np.ndarray))
        return NotImplementedError(f'"{row.name}" not implemented for {kinds}: write .float(), or .long(), first')
    return error


def raw(row: Row, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """Call a row on bare ndarrays, as its rules do in a first-order backward."""
    for x in operands:
        if isinstance(x, (np.ndarray, np.generic)):
            out = row.forward(*operands, **params)
            return out[0] if row.kept else out
    x = operands[0] if operands else None
    raise TypeError(f"{row.name}() needs a Tensor, got {type(x).__name__}: {x!r:.60}. Write tensor({x!r:.40}) first.")


def promoted(row: Row, arrays: list[Any]) -> list[Any]:
    """Bring operands to the dtype of the result; Python numbers stay themselves where NumPy treats them alike."""
    target = dtypes.result_type(*(a for a in arrays if a is not None))
    if row.promote == "float" and not (target.is_floating_point or target.is_complex):
        target = dtypes.get_default_dtype()
    to = target.numpy
    out = []
    for a in arrays:
        if isinstance(a, np.ndarray):
            out.append(a if a.dtype == to else a.astype(to))
        elif a is not None and to.kind in "iub":
            out.append(np.array(a).astype(to))  # a Python integer wraps around as in PyTorch
        else:
            out.append(a)
    return out


def _finish(
    row: Row,
    operands: tuple[Any, ...],
    arrays: list[Any],
    edges: list[Any],
    counters: list[list[Any]],
    params: dict[str, Any],
    out: Any,
) -> Any:
    """Wrap what a call gave, tie views to their storage, record, and tell who listens."""
    several, kept = len(row.outputs) > 1, bool(row.kept)
    result: Any = tuple(map(wrap, out[: len(row.outputs)])) if several else wrap(out[0] if kept else out)
    first = result[0] if several else result
    recording = mode.grad
    if row.view:
        x = operands[0]
        first._version = x._version
        first._seen = x._version[1]
        first._base = x if x._base is None else base_of(x)
        first._path = (x._path, row.call, params, recording)
    if recording and row.rules and first._array.dtype.kind in "fc":
        node = record(row, arrays, edges, counters, params, out if several or kept else first._array, first, operands)
        if several and node is not None:
            for other in result[1:]:
                node.counters.append(other._version)
                node.versions.append(0)
        if node is not None:
            first._node = node
    if Trace.listener is not None:
        Trace.listener(row, operands, params, result)
    return result


def record(
    row: Row,
    arrays: list[Any],
    edges: list[Any],
    counters: list[list[Any]],
    params: dict[str, Any],
    out: Any,
    first: TensorBase,
    operands: Sequence[Any] = (),
) -> Node | None:
    """Put a call on the tape; None if nothing that has a rule needs a gradient."""
    saved: list[tuple[Any, ...] | None] = []
    tracked = False
    if row.joint:
        tracked = any(edge is not None for edge in edges)
        saved.append(row.pickers[0](out, arrays, params) if tracked else None)  # type: ignore[misc]
    else:
        for i, pick in enumerate(row.pickers):
            if edges[i] is None or pick is None:
                edges[i] = None
                saved.append(None)
            else:
                tracked = True
                saved.append(pick(out, arrays, params))
    if not tracked:
        return None
    given = {}
    for i, x in enumerate(operands):
        if x is not None and edges[i] is None:
            given[i] = weakref.ref(x) if isinstance(x, _holders) else x
    node: Node = _new(row.node_type if row.title is None else row.named(row.title(arrays, params)))
    node.seq = next_seq()
    node.edges = tuple(edges)
    node.params = params
    node.given = given
    node.saved = saved
    counters.append(first._version)
    node.counters = counters
    node.versions = [c[0] for c in counters]
    array = first._array
    node.shape = array.shape
    node.dtype = array.dtype
    node.where = user_location(3)
    node.watch = None
    return node


class Writes:
    """When, in the count of recorded ops, some storage was last written: a younger node need not look at versions."""

    last = 0


def written(t: TensorBase, name: str = "", where: Location | None = None) -> None:
    """Note that the storage of ``t`` was written, by the op ``name``: values saved from it are stale from now on."""
    version = t._version
    version[0] += 1
    version[2] = (name, where)
    Writes.last = next_seq()


identity = op("identity", lambda x: x, vjp=lambda g: g, numpy="{x}", domain=(-2, 2), grad_name="AliasBackward0")
