"""Where a function is taken apart: its inputs in float64, its calls written down, and everything put back afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import dtypes, random
from ..dtypes import Array
from ..op import Location, Node, Row, TensorBase, Trace, edge_of, mode, user_location, wrap
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


class Workbench:
    """A function and its inputs, named, and ways to evaluate and differentiate it."""

    def __init__(self, fn: Callable[..., Any], inputs: Any, names: Sequence[str] | None) -> None:
        self.leaves: dict[str, Any] = {}
        self.refused: list[tuple[str, Any]] = []  # inputs that have no gradient, and their dtypes
        self._given: dict[str, Array] = {}
        self.evaluations = 0
        self.module = inputs if hasattr(inputs, "named_parameters") else None
        self._touched: dict[int, tuple[Any, Array, Array]] = {}  # tensors met, their arrays, and what those held
        self._quiet: Any = no_grad
        if self.module is not None:
            for name, parameter in inputs.named_parameters():
                if parameter._requires_grad:
                    self.leaves[name] = parameter
            self.arguments: list[Any] = []
        else:
            self._name_inputs(inputs, names)
        self.fn = fn

    def _name_inputs(self, inputs: Any, names: Sequence[str] | None) -> None:
        given = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
        if names is not None and len(names) != len(given):
            raise ValueError(f"got {len(given)} inputs and {len(names)} names")
        self.arguments = []
        for i, x in enumerate(given):
            if not isinstance(x, TensorBase):
                raise TypeError(f"verify checks Tensors, got {type(x).__name__} as input {i}; write tensor(...)")
            name = names[i] if names is not None else f"inputs[{i}]" if len(given) > 1 else "input"
            kind = x._array.dtype.kind
            if kind == "f":
                leaf = wrap(np.array(x._array, np.float64, order="C"))
                leaf.requires_grad_()
                self._given[name] = x._array
                self.leaves[name] = leaf
                self.arguments.append(leaf)
            else:
                self.refused.append((name, dtypes.of(x._array)))
                self.arguments.append(x)

    # --- float64, and back --------------------------------------------------------------------------------------

    @contextmanager
    def in_float64(self) -> Iterator[None]:
        """Inside, all tensors that the function meets are float64; afterwards everything is as it was."""
        state, default = random.default_generator.get_state(), dtypes.get_default_dtype()
        if self.module is not None:
            for tensor in (*self.module.parameters(), *self.module.buffers()):
                self._note(tensor)
        try:
            self._meet()
            for tensor, before, _ in self._touched.values():
                if before.dtype.kind == "f":
                    tensor._array = np.array(before, np.float64, order="C")
            dtypes.set_default_dtype(dtypes.float64)
            random.default_generator.set_state(state)
            self._choose_mode()
            yield
        finally:
            for tensor, array, contents in self._touched.values():
                tensor._array = array
                if array.flags.writeable:
                    array[...] = contents
            dtypes.set_default_dtype(default)
            random.default_generator.set_state(state)

    def _note(self, tensor: Any) -> None:
        if id(tensor) not in self._touched:
            self._touched[id(tensor)] = (tensor, tensor._array, tensor._array.copy())

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
                raise TypeError(f"the function must return a Tensor or a tuple of Tensors, got {type(y).__name__}")
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

    def gradients(self, cotangents: list[Array]) -> tuple[dict[str, Array | None], RuntimeError | None]:
        """The analytic gradient of each input, and the error if the backward raised one."""
        with enable_grad():
            outputs = self.outputs()
            roots = [(y, wrap(c)) for y, c in zip(outputs, cotangents, strict=True) if edge_of(y) is not None]
            if not roots:
                return dict.fromkeys(self.leaves), None
            try:
                found = grad(
                    [y for y, _ in roots], list(self.leaves.values()), [c for _, c in roots], allow_unused=True
                )
            except RuntimeError as error:
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
                    [np.array(x._array) if isinstance(x, TensorBase) else x for x in operands],
                    params,
                    first,
                    np.array(first._array),
                    user_location(2),
                    [isinstance(x, TensorBase) and edge_of(x) is not None for x in operands],
                    [(v, v.copy()) for v in kept],
                    on_tape,
                )
            )

        with enable_grad(), _listening(listen):
            self._last = self.call()  # alive, so that the ids in the trace stay theirs
        return calls


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
