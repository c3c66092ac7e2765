"""``tape``: from a loss, or a function that computes one, to its tape."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from ..autograd import enable_grad
from ..op import Node, Row, TensorBase, Trace, edge_of
from .program import Tape


def _names(module: Any, names: Mapping[str, Any] | None, frame: Any) -> dict[int, str]:
    """What to call the tensors: the user's names first, then the module's, then those of the caller's variables."""
    found: dict[int, str] = {}
    for name, value in (names or {}).items():
        found.setdefault(id(value), name)
    if module is not None:
        for name, value in (*module.named_parameters(), *module.named_buffers()):
            found.setdefault(id(value), name)
    for variables in (frame.f_locals, frame.f_globals):
        for name, value in list(variables.items()):
            if isinstance(value, TensorBase) and not name.startswith("_"):
                found.setdefault(id(value), name)
    return found


def tape(loss: Any, *, module: Any = None, names: Mapping[str, Any] | None = None) -> Tape:
    """Return the recorded program of a loss: to print, to iterate over, to draw, to step through, to export.

    ``print`` shows a line per op: its number, inputs, shape, dtype, the bytes it saved and the line of your program.
    Called before ``backward``, it sees the gradients pass, and a ``print`` afterwards shows their norms.

    Parameters
    ----------
    loss : Tensor or callable
        The tensor whose history is shown; or a function without arguments that computes it, whose constants the tape
        then keeps alive (a tape does not otherwise keep what no rule needs, and ``to_numpy`` may then miss it).
    module : Module, optional
        Its parameters name the leaves, and its modules the boxes of the drawing.
    names : dict of str to Tensor, optional
        Names for leaves and constants; by default those of the caller's variables.

    Raises
    ------
    TypeError
        If ``loss`` is no Tensor and no function.
    RuntimeError
        If it was not computed from a tensor that requires a gradient.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> w = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> t = tg.tape((w * w).sum())
    >>> [(entry.op, entry.inputs) for entry in t]
    [('mul', ('w', 'w')), ('sum', ('#1',))]
    >>> t.memory()
    {'mul': 8}
    """
    frame = sys._getframe(1)
    kept: list[Any] = []  # alive, so that the ids stay theirs
    snapshots: dict[tuple[int, int], Any] = {}
    if not isinstance(loss, TensorBase) and callable(loss):
        before = Trace.listener

        def listen(row: Row, operands: tuple[Any, ...], params: dict[str, Any], result: Any) -> None:
            kept.append((operands, result))
            for x in operands:
                if isinstance(x, TensorBase) and edge_of(x) is None:
                    snapshots.setdefault((id(x), x._version[0]), x._array.copy("K"))

        Trace.listener = listen
        try:
            with enable_grad():
                loss = loss()
        finally:
            Trace.listener = before
    if not isinstance(loss, TensorBase):
        raise TypeError(
            f"tape() shows the history of a Tensor, got {type(loss).__name__}: write tape(loss), or tape(fn) with a "
            f"function that returns one"
        )
    if not isinstance(edge_of(loss), Node):
        raise RuntimeError(
            "this tensor has no history: it is a leaf, or was computed from nothing that requires a gradient. Write "
            "tensor(..., requires_grad=True), and compute it outside no_grad() and detach()."
        )
    made = Tape(loss, _names(module, names, frame), snapshots)
    made.kept = kept
    return made
