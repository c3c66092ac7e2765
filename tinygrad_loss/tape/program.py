"""The tape of a loss as a sequence of entries: print it, iterate over it, ask what it keeps in memory."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..autograd.engine import reachable
from ..op import Node, TensorBase, Watch, edge_of
from . import draw, page
from .entry import Entry, in_bytes, saved_arrays, short_line, shown_constant
from .numpy_source import NumpyProgram, numpy_program
from .replay import CannotReplayError, Replay, replay


class Tape:
    """The recorded program of a tensor: a sequence of entries in the order in which the ops ran."""

    def __init__(self, root: Any, names: Mapping[int, str], snapshots: dict[tuple[int, int], Any]) -> None:
        self.root = root
        self.snapshots = snapshots  # constants that nothing else may keep, by tensor and version
        self.kept: list[Any] = []  # tensors that must not go: nodes know their constants weakly
        top = edge_of(root)
        order, _ = reachable([top])
        self.nodes: list[Node] = order[::-1]
        self.numbers = {node: i for i, node in enumerate(self.nodes, 1)}
        self.leaves: dict[Any, str] = {}
        self.constant_names: dict[int, str] = dict(names)
        taken: set[str] = set()
        edges = [edge for node in self.nodes for edge in node.edges] or [top]
        for edge in edges:
            if isinstance(edge, TensorBase) and edge not in self.leaves:
                name = names.get(id(edge))
                if name is None or name in taken:
                    name = next(n for i in range(len(edges) + 1) if (n := f"leaf{len(self.leaves) + i}") not in taken)
                taken.add(name)
                self.leaves[edge] = name
        self.norms: dict[int, float] = {}
        for node in self.nodes:
            Watch.of(node).before[-id(self.norms)] = _note_norm(node.seq, self.norms)
        weakref.finalize(self, _stop_watching, [weakref.ref(node) for node in self.nodes], -id(self.norms))

    # --- the entries --------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator[Entry]:
        norms = self._norms()
        modules = self.modules()
        for i in range(len(self.nodes)):
            yield self._entry(i, norms, modules)

    def __getitem__(self, i: int) -> Entry:
        return list(self)[i]

    def _entry(self, i: int, norms: Mapping[int, float], modules: list[str]) -> Entry:
        node = self.nodes[i]
        return Entry(
            i + 1,
            node.row.name,
            node.name(),
            tuple(self._input(node, k) for k in range(len(node.edges))),
            node.shape,
            str(node.dtype),
            sum(array.nbytes for array in saved_arrays(node).values()),
            node.line,
            modules[i],
            norms.get(node.seq),
            node,
        )

    def _input(self, node: Node, k: int) -> str:
        edge = node.edges[k]
        if isinstance(edge, Node):
            return f"#{self.numbers[edge]}"
        if edge is not None:
            return self.leaves[edge]
        value = node.given.get(k)
        if isinstance(value, weakref.ref):
            value = value()
            return self.constant_names.get(id(value)) or shown_constant(value) if value is not None else "const"
        return shown_constant(value)

    def modules(self) -> list[str]:
        """For each op the path of the module whose parameter it used, or that of what it read of its module."""
        found: dict[Node, str] = {}
        for node in self.nodes:
            for edge in node.edges:
                if isinstance(edge, TensorBase) and "." in self.leaves[edge]:
                    found[node] = self.leaves[edge].rpartition(".")[0]
        for node in reversed(
            self.nodes
        ):  # what only feeds an op of a module, from its parameters alone, is the module's
            if node in found:
                for edge in node.edges:
                    if (
                        isinstance(edge, Node)
                        and edge not in found
                        and not any(isinstance(e, Node) for e in edge.edges)
                    ):
                        own = [e for e in edge.edges if e is not None]
                        if own and all(self.leaves[e].startswith(found[node] + ".") for e in own):
                            found[edge] = found[node]
        return [found.get(node, "") for node in self.nodes]

    def _norms(self) -> Mapping[int, float]:
        """The norms that a backward has shown, or that it must have had if it came before the tape was looked at."""
        released = any(node.row.keeps and node.saved is None for node in self.nodes)
        if self.norms or not (released or (self.leaves and all(leaf._grad is not None for leaf in self.leaves))):
            return self.norms
        try:
            found = replay(self)
        except CannotReplayError:
            return self.norms  # a constant is gone, so there is nothing to compute them from
        return {node.seq: norm(g) for node, g in found.gradients.items() if isinstance(node, Node)}

    # --- memory -------------------------------------------------------------------------------------------------

    @property
    def saved_bytes(self) -> int:
        """What the tape keeps alive for a backward; an array that several ops saved counts once."""
        return sum(self.memory().values())

    def memory(self) -> dict[str, int]:
        """Bytes kept for a backward, by op, the most first; an array goes to the op that saved it first."""
        seen: dict[int, int] = {}
        total: dict[str, int] = {}
        for node in self.nodes:
            for address, array in saved_arrays(node).items():
                new = array.nbytes - seen.get(address, 0)
                if new > 0:
                    seen[address] = array.nbytes
                    total[node.row.name] = total.get(node.row.name, 0) + new
        return dict(sorted(total.items(), key=lambda item: -item[1]))

    # --- text ---------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        rows = [("#", "op", "inputs", "shape", "dtype", "saved", "line")]
        entries = list(self)
        after = any(e.norm is not None for e in entries)
        if after:
            rows[0] += ("|grad|",)  # type: ignore[assignment]
        for e in entries:
            row = (
                str(e.number), e.op, ", ".join(e.inputs), str(list(e.shape)), e.dtype, in_bytes(e.saved), short_line(e.line)
            )  # fmt: skip
            rows.append(row + (("" if e.norm is None else f"{e.norm:.4g}",) if after else ()))  # type: ignore[arg-type]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        memory = self.memory()
        by_op = ", ".join(f"{op} {in_bytes(n)}" for op, n in memory.items())
        total = f"{len(entries)} ops, {in_bytes(self.saved_bytes)} saved" + (f": {by_op}" if by_op else "")
        return "\n".join([*lines, total])

    # --- other forms --------------------------------------------------------------------------------------------

    def replay(self, gradient: Any = None) -> Replay:
        """Compute everything again: the value of each op, and its gradient."""
        return replay(self, gradient)

    def to_numpy(self, gradient: Any = None) -> NumpyProgram:
        """Return forward and backward as the text of a plain NumPy program.

        Running it computes ``loss`` and the dictionary ``gradients``.

        Parameters
        ----------
        gradient : Tensor, optional
            The incoming gradient, where the tape's tensor has several elements; ones by default.

        Raises
        ------
        RuntimeError
            If a tensor that the program read is gone or was overwritten since, or an op has no NumPy line.

        Examples
        --------
        >>> import tinygrad_loss as tg
        >>> w = tg.tensor([1.0, 2.0], requires_grad=True)
        >>> program = tg.tape((w * w).sum()).to_numpy()
        >>> found = {}
        >>> exec(program, found)
        >>> float(found["loss"]), found["gradients"]["w"].tolist()
        (5.0, [2.0, 4.0])
        """
        return numpy_program(self, gradient)

    def to_dot(self) -> str:
        """Return the graph in the DOT language of Graphviz; modules are clusters."""
        return draw.dot(self)

    def to_svg(self) -> str:
        """Return the graph as an SVG drawing: values and gradients show when the pointer rests on an op."""
        return draw.svg(self)

    _repr_svg_ = to_svg

    def to_html(self, path: str | Path) -> None:
        """Write a page that steps forward and backward through the tape, and needs nothing but itself."""
        Path(path).write_text(page.html_page(self), encoding="utf-8")


def norm(g: Any) -> float:
    """The length of a gradient."""
    return float(np.sqrt(np.sum(np.square(np.abs(g), dtype=np.float64))))


def _note_norm(seq: int, norms: dict[int, float]) -> Callable[[Any], None]:
    def note(gradients: Any) -> None:
        norms[seq] = float(np.sqrt(sum(norm(g._array) ** 2 for g in gradients if g is not None)))

    return note


def _stop_watching(nodes: list[Any], key: int) -> None:
    for reference in nodes:
        node = reference()
        if node is not None and node.watch is not None:
            node.watch.before.pop(key, None)
