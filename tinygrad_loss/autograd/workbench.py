"""Where a function is taken apart: its inputs in float64, its calls written down, and everything put back afterwards."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import dtypes, random
from ..dtypes import Array
from ..op import PACKAGE, Location, Node, Row, TensorBase, Trace, edge_of, mode, user_location, wrap
from .backward import grad
from .differences import REFUSALS
from .grad_mode import enable_grad, no_grad


@dataclass
class Call:
    """One call of an op as it happened: its row, its operands' values at that time, and what came of it."""

    row: Row
    operands: tuple[Any, ...]
    values: list[Any]  # of the operands: copies of arrays, numbers as they are
    params: dict[str, Any]
    result: Any  # the (first) Tensor
    out: Array
    where: Location
    tracked: list[bool]
    saved: list[tuple[Array, Array]]  # what the node saved, and a copy of it
    differentiable: list[int]  # the numbers of the outputs that are on the tape
    caller: str  # the name of the public function that consists of such calls, as dropout of mul


class Workbench:
    """A function and its inputs, named, and ways to evaluate and differentiate it."""

    def __init__(self, fn: Callable[..., Any], inputs: Any, names: Sequence[str] | None) -> None:
        self.leaves: dict[str, Any] = {}
        self.refused: list[tuple[str, Any]] = []  # inputs that have no gradient, and their dtypes
        self._given: dict[str, Array] = {}
        self.evaluations = 0
        self.module = inputs if hasattr(inputs, "named_parameters") else None
        self._touched: dict[int, tuple[Any, Array, Array]] = {}  # tensors met, their arrays, and what those held
        self._grads: list[tuple[Any, Any, Array | None]] = []  # their gradients, and what those held
        self._own: dict[str, Any] = {}  # the tensors given: the function works on copies
        self._quiet: Any = no_grad
        if not callable(fn):
            raise TypeError(
                f"verify takes a function and its inputs, got {type(fn).__name__}: write verify(fn, inputs)"
            )
        if self.module is not None:
            if names is not None:
                raise ValueError("names are for tensors: the parameters of a module have their own")
            for name, parameter in inputs.named_parameters():
                if parameter._requires_grad:
                    self.leaves[name] = parameter
            self.arguments: list[Any] = []
        else:
            self._name_inputs(inputs, names)
        self.fn = fn
        self._check_arguments()

    def _check_arguments(self) -> None:
        try:
            signature = inspect.signature(self.fn)
        except (TypeError, ValueError):  # some callables have none
            return
        try:
            signature.bind(*self.arguments)
        except TypeError as error:
            given = "a module, so without arguments" if self.module is not None else f"{len(self.arguments)} inputs"
            raise TypeError(f"verify calls the function with {given}, but it takes {signature}: {error}") from None

    def _name_inputs(self, inputs: Any, names: Sequence[str] | None) -> None:
        given = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
        if names is not None and len(names) != len(given):
            raise ValueError(f"got {len(given)} inputs and {len(names)} names")
        if names is not None and len(set(names)) != len(names):
            raise ValueError(f"each input needs a name of its own, got {list(names)}")
        self.arguments = []
        for i, x in enumerate(given):
            if not isinstance(x, TensorBase):
                raise TypeError(
                    f"verify checks Tensors, got {type(x).__name__} as input {i}: write tensor(...); several inputs are a "
                    f"list or a tuple of Tensors, or a Module"
                )
            name = names[i] if names is not None else f"inputs[{i}]" if len(given) > 1 else "input"
            kind = x._array.dtype.kind
            if kind == "f":
                leaf = wrap(np.array(x._array, np.float64, order="C"))
                leaf.requires_grad_()
                self._given[name] = x._array
                self._own[name] = x
                self.leaves[name] = leaf
                self.arguments.append(leaf)
            else:
                self.refused.append((name, dtypes.of(x._array)))
                self.arguments.append(x)

    # --- float64, and back --------------------------------------------------------------------------------------

    @contextmanager
    def in_float64(self) -> Iterator[None]:
        """Inside, all tensors that the function meets are float64; afterwards everything is as it was."""
        state, default, wide = random.default_generator.get_state(), dtypes.get_default_dtype(), mode.wide
        parts = [part for owner in (self.module, self.fn) for part in getattr(owner, "modules", list)()]
        training = [part.training for part in parts]
        if self.module is not None:
            for tensor in (*self.module.parameters(), *self.module.buffers()):
                self._note(tensor)
        try:
            self._meet()
            for tensor, before, _ in self._touched.values():
                if before.dtype.kind == "f":
                    tensor._array = np.array(before, np.float64, order="C")
            dtypes.set_default_dtype(dtypes.float64)
            mode.wide = True
            random.default_generator.set_state(state)
            self._choose_mode()
            yield
        finally:
            mode.wide = wide
            for part, was in zip(parts, training, strict=True):
                part.training = was
            for tensor, grad_before, held in self._grads:
                tensor._grad = grad_before
                if held is not None:
                    grad_before._array[...] = held
            for tensor, array, contents in self._touched.values():
                tensor._array = array
                if array.flags.writeable:
                    array[...] = contents
            dtypes.set_default_dtype(default)
            random.default_generator.set_state(state)

    def _note(self, tensor: Any) -> None:
        if id(tensor) not in self._touched:
            self._touched[id(tensor)] = (tensor, tensor._array, tensor._array.copy())
            g = tensor._grad
            self._grads.append((tensor, g, None if g is None else g._array.copy()))

    def _meet(self) -> None:
        """Run the function once as it is, to meet every tensor that it did not make itself."""
        own = {id(leaf) for leaf in self.arguments}
        made: list[Any] = []  # kept alive, so that their ids stay theirs
        ids: set[int] = set()

        def listen(row: Row, operands: tuple[Any, ...], params: dict[str, Any], result: Any) -> None:
            for x in operands:
                if isinstance(x, TensorBase) and id(x) not in ids and id(x) not in own:
                    self._note(x)
                    if x._base is not None:
                        self._note(x._base)
            for y in result if isinstance(result, (tuple, list)) else (result,):
                made.append(y)
                ids.add(id(y))

        wide = {name: leaf._array for name, leaf in self.leaves.items()}
        for name, array in self._given.items():  # in the dtypes that the function was written for
            self.leaves[name]._array = array.copy()
        try:
            with _listening(listen):
                self.fn(*self.arguments)
        finally:
            for name, leaf in self.leaves.items():
                leaf._array = wide[name]

    def _choose_mode(self) -> None:
        """Evaluate without a tape, unless the function differentiates inside."""
        try:
            with no_grad():
                self.call()
        except RuntimeError:
            self._quiet = enable_grad
            try:
                self.call()
            except RuntimeError as error:
                if "dtype" not in str(error):
                    raise
                raise RuntimeError(
                    f"verify works in float64, and there the function raises, while it runs as it is: {error} Give the "
                    f"tensors that it makes inside the dtype of its input: dtype=x.dtype"
                ) from error

    # --- evaluating ---------------------------------------------------------------------------------------------

    def call(self) -> Any:
        """Call the function on its inputs."""
        return self.fn(*self.arguments)

    def outputs(self) -> list[Any]:
        """The floating point tensors that the function returns."""
        out = self.call()
        many = out if isinstance(out, (tuple, list)) else (out,)
        for y in many:
            if not isinstance(y, TensorBase):
                raise TypeError(
                    f"the function must return a Tensor or a tuple of Tensors, got {type(y).__name__}: return the Tensors "
                    f"themselves, without item() or numpy()"
                )
        return [y for y in many if y._array.dtype.kind in "fc"]

    def evaluate(self) -> list[Array]:
        """The values of the outputs at the present values of the inputs."""
        self.evaluations += 1
        with self._quiet():
            return [np.array(y._array) for y in self.outputs()]

    def attempt(self, like: list[Array]) -> list[Array]:
        """The values of the outputs at inputs that were moved; NaN where the function refuses those."""
        try:
            return self.evaluate()
        except REFUSALS:
            return [np.full(y.shape, np.nan) for y in like]

    def gradients(self, cotangents: list[Array]) -> tuple[dict[str, Array | None], Exception | None]:
        """The analytic gradient of each input, and the error if the backward raised one."""
        with enable_grad():
            outputs = self.outputs()
            # Copies, for a rule may write to what it is given.
            roots = [(y, wrap(c.copy())) for y, c in zip(outputs, cotangents, strict=True) if edge_of(y) is not None]
            if not roots:
                return dict.fromkeys(self.leaves), None
            try:
                found = grad(
                    [y for y, _ in roots], list(self.leaves.values()), [c for _, c in roots], allow_unused=True
                )
            except Exception as error:  # noqa: BLE001 -- whatever a rule raises is a finding
                return dict.fromkeys(self.leaves), error
        return {k: None if g is None else np.array(g._array) for k, g in zip(self.leaves, found, strict=True)}, None

    def differentiate(self, seed: int) -> None:
        """From now on the function is its own gradient, contracted with random cotangents."""
        fn, generator = self.fn, random.Generator().manual_seed(seed + 1)
        with no_grad():
            cotangents = [wrap(generator.normal(np.empty(y._array.shape))) for y in self.outputs()]

        def gradient(*arguments: Any) -> Any:
            recording = mode.grad
            with enable_grad():
                out = fn(*arguments)
                many = [y for y in (out if isinstance(out, (tuple, list)) else (out,)) if y._array.dtype.kind in "fc"]
                found = grad(many, list(self.leaves.values()), cotangents, create_graph=recording, allow_unused=True)
            return tuple(g for g in found if g is not None)

        self.fn = gradient

    def is_elsewhere(self, name: str) -> bool:
        """Whether the function used the tensor that was given itself, and not the copy of it that is its argument."""
        return id(self._own.get(name)) in self._touched

    def trace(self) -> list[Call]:
        """Run the function with a tape and write down every call."""
        calls: list[Call] = []

        def listen(row: Row, operands: tuple[Any, ...], params: dict[str, Any], result: Any) -> None:
            results = result if isinstance(result, (tuple, list)) else (result,)
            first = results[0]
            on_tape = [k for k, y in enumerate(results) if isinstance(y, TensorBase) and y._node is not None]
            kept: list[Array] = []
            if on_tape:
                exchange_saved(results[on_tape[0]]._node, lambda array: kept.append(array) or array)  # type: ignore[func-returns-value]
            calls.append(
                Call(
                    row,
                    operands,
                    [
                        np.array(x._array)
                        if isinstance(x, TensorBase)
                        else x.copy()
                        if isinstance(x, np.ndarray)
                        else x
                        for x in operands
                    ],
                    params,
                    first,
                    np.array(first._array),
                    user_location(2),
                    [isinstance(x, TensorBase) and edge_of(x) is not None for x in operands],
                    [(v, v.copy()) for v in kept],
                    on_tape,
                    _public_function(),
                )
            )

        with enable_grad(), _listening(listen):
            self._last = self.outputs()  # alive, so that the ids in the trace stay theirs
        return calls

    def traced_outputs(self) -> list[Any]:
        """The outputs of the run that ``trace`` wrote down."""
        return self._last


def _public_function() -> str:
    """The name of the outermost function of ops/ on the stack, below the user's."""
    frame, name = sys._getframe(2), ""
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        title = frame.f_code.co_name
        if ".ops." in frame.f_globals["__name__"] and title.isidentifier() and not title.startswith("_"):
            name = title
        frame = frame.f_back
    return name


def exchange_saved(node: Node, swap: Callable[[Array], Array]) -> None:
    """Pass every array that a node saved through ``swap``; those of a custom Function are in its context."""
    ctx = getattr(node.main, "ctx", None)
    if ctx is None:
        node.saved = [
            None if values is None else tuple(swap(v) if isinstance(v, np.ndarray) else v for v in values)
            for values in node.saved or ()
        ]
        return
    for kept in ctx._kept or ():
        if kept is not None:
            kept.array = swap(kept.array)
    for name, value in vars(ctx).items():
        if isinstance(value, TensorBase):
            exchanged = swap(value._array)
            if exchanged is not value._array:
                setattr(ctx, name, wrap(exchanged))
        elif isinstance(value, np.ndarray):
            setattr(ctx, name, swap(value))


@contextmanager
def _listening(listener: Any) -> Iterator[None]:
    before = Trace.listener
    Trace.listener = listener
    try:
        yield
    finally:
        Trace.listener = before
