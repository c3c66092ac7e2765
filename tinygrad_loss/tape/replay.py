"""Running a tape again, from its leaves and constants: every value, and every gradient, in one traced run."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd import enable_grad, grad
from ..autograd.engine import fit
from ..dtypes import Array
from ..op import Node, TensorBase, Trace, Watch, wrap
from ..ops.inplace import copy_slices

if TYPE_CHECKING:
    from .program import Tape


class CannotReplayError(RuntimeError):
    """What the program read is gone, or is no longer what it was."""


@dataclass
class Replay:
    """What a run again found; nodes and leaves are those of the tape."""

    root: Array
    seed: Array
    values: dict[Any, Array] = field(default_factory=dict)  # per node and leaf
    gradients: dict[Any, Array] = field(default_factory=dict)
    shares: dict[Node, list[Array | None]] = field(default_factory=dict)  # what a node sends to each operand
    constants: dict[int, tuple[Array, str | None]] = field(default_factory=dict)  # by the address of the array object


def replay(tape: Tape, gradient: Any = None, listener: Any = None) -> Replay:
    """Compute the values and gradients of a tape again, while ``listener`` hears every call."""
    run = _Run(tape, listener)
    with enable_grad():
        before, Trace.listener = Trace.listener, listener
        try:
            for node in tape.nodes:
                run.forward(node)
            run.check()
            return run.backward(gradient)
        finally:
            Trace.listener = before
            for made in run.made.values():  # these hooks lead back to the run, and that to the tape
                if made._node is not None:
                    made._node.watch = None


class _Run:
    def __init__(self, tape: Tape, listener: Any) -> None:
        self.tape = tape
        self.listener = listener
        self.node: Any = None  # the one at work
        self.made: dict[Node, Any] = {}
        self.constants: dict[int, Any] = {}
        # Own arrays, so that a replay is told apart by them from the tensors it repeats.
        self.leaves = {leaf: wrap(leaf._array.copy("K")).requires_grad_() for leaf in tape.leaves}
        root = tape.root._array
        self.found = Replay(root, np.ones(root.shape, root.dtype))
        if listener is not None:
            listener.begin(self)

    def forward(self, node: Node) -> None:
        """Call the op of a node on what its operands are in this run."""
        if node.row.call is None or node.row.numpy is None:
            raise CannotReplayError(f"{node.name()}, recorded at {node.line}, is no op with a line in NumPy")
        self.node = node
        operands = [self._operand(node, i) for i in range(len(node.edges))]
        out = node.row.call(*operands, **node.params)
        self.made[node] = first = out[0] if isinstance(out, tuple) else out
        self.found.values[node] = first._array

    def _operand(self, node: Node, i: int) -> Any:
        edge = node.edges[i]
        if isinstance(edge, Node):
            return self.made[edge]
        return self.leaves[edge] if edge is not None else self._constant(node, i)

    def _constant(self, node: Node, i: int) -> Any:
        value = _saved(node, i)
        name = None
        given = node.given.get(i)
        if isinstance(given, weakref.ref):
            given = given()
            name = self.tape.constant_names.get(id(given)) if given is not None else None
            # A write through a view notes its base after the write.
            version = node.versions[i] - (node.row is copy_slices.row)
            given = self.tape.snapshots.get((id(given), version), given)
            if value is None and given is None:
                operand = node.row.operands[i] if i < len(node.row.operands) else str(i)
                raise CannotReplayError(
                    f"operand {operand!r} of {node.row.name}, a constant used at {node.line}, is no longer alive: the "
                    f"tape keeps only what a rule needs. Keep it in a variable, look before backward(), or write "
                    f"tape(fn) with the function that computes the loss, which keeps all constants."
                )
            if value is None:
                value = given
        elif value is None:
            return given
        array = value._array if isinstance(value, TensorBase) else value
        if not isinstance(array, np.ndarray):
            return array
        if id(array) not in self.constants:
            own = wrap(array.copy("K"))
            self.constants[id(array)] = (own, array)  # with the array, so that its id stays its own
            self.found.constants[id(own._array)] = (own._array, name)
        return self.constants[id(array)][0]

    def check(self) -> None:
        """Refuse to show a program that gives something else than what the tape recorded."""
        top = self.made[self.tape.nodes[-1]]._array
        if not np.array_equal(top, self.tape.root._array, equal_nan=top.dtype.kind in "fc"):
            stale = [
                f"{node.row.name} at {node.line}"
                for node in self.tape.nodes
                if any(counter[0] != version for counter, version in zip(node.counters, node.versions, strict=True))
            ]
            where = f" What these ops read was written since: {', '.join(stale[:3])}." if stale else ""
            raise CannotReplayError(
                f"running the tape again gives another value than was recorded, so a tensor that it read has been "
                f"overwritten.{where} Look at the tape before optimizer.step() and other writes, or write tape(fn) with "
                f"the function that computes the loss."
            )

    def backward(self, gradient: Any) -> Replay:
        """Differentiate; the rules record themselves, so the listener hears them too."""
        found, top = self.found, self.made[self.tape.nodes[-1]]
        if gradient is not None:
            given = gradient._array if isinstance(gradient, TensorBase) else np.asarray(gradient)
            if given.shape != top._array.shape:
                raise ValueError(f"gradient has shape {list(given.shape)}, the tensor {list(top._array.shape)}")
            found.seed = given.astype(top._array.dtype)
        seed = wrap(found.seed)
        if self.listener is not None:
            self.listener.turn(seed._array)
        for old, new in self.made.items():
            node = new._node
            if node is not None:
                Watch.of(node).before[0] = self._see(old)
                Watch.of(node).after[0] = self._see_shares(old, node)
        leaves = list(self.leaves.items())
        gradients = grad(top, [new for _, new in leaves], seed, create_graph=True, allow_unused=True)
        for (leaf, _), g in zip(leaves, gradients, strict=True):
            found.values[leaf] = leaf._array
            if g is not None:
                found.gradients[leaf] = g._array
                if self.listener is not None:
                    self.listener.arrived(leaf, g._array)
        return found

    def _see(self, old: Node) -> Any:
        def see(gradients: Any) -> None:
            self.found.gradients[old] = gradients[0]._array
            if self.listener is not None:
                self.listener.arrived(old, gradients[0]._array)

        return see

    def _see_shares(self, old: Node, new: Node) -> Any:
        def see(shares: Any, gradients: Any) -> None:
            before, Trace.listener = Trace.listener, None  # this is for showing, and no part of the program
            try:
                self.found.shares[old] = [
                    None
                    if g is None or e is None
                    else fit(g._array, e._array if isinstance(e, TensorBase) else e, new, i)
                    for i, (g, e) in enumerate(zip(shares, new.edges, strict=True))
                ]
            finally:
                Trace.listener = before

        return see


def _saved(node: Node, i: int) -> Any:
    """The value of an operand among what the rules saved, if one of them needs it."""
    for values, sources in zip(node.saved or (), node.row.sources, strict=False):
        for value, source in zip(values or (), sources, strict=False):
            if source == ("operand", i):
                return value
            if source is not None and source[0] == "operands" and i >= source[1]:
                return value[i - source[1]]
    return None
