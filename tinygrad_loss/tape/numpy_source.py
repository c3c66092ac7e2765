"""Forward and backward as the text of a plain NumPy program: what a traced run did, line by line."""

from __future__ import annotations

import builtins
import keyword
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import Array
from ..op import Node, Row, TensorBase, promoted
from .entry import short_line
from .literals import array_literal, bare, functions_of, index_literal, literal, unused_parameters
from .replay import Replay, replay

if TYPE_CHECKING:
    from .program import Tape


class NumpyProgram(str):
    """The text of a program; ``run()`` executes it."""

    __slots__ = ()

    def run(self) -> tuple[Array, dict[str, Array]]:
        """Execute the program and return its ``loss`` and its ``gradients`` by name."""
        found: dict[str, Any] = {}
        exec(compile(self, "<tape>", "exec"), found)
        return found["loss"], found["gradients"]


@dataclass
class _Line:
    makes: int
    text: str  # in which ⟦7⟧ stands for the name of variable 7
    comment: str


class Writer:
    """Listens to a run and writes down what it hears; variables are numbers until the names are known."""

    def __init__(self, tape: Tape | None = None) -> None:
        self.tape = tape
        self.known: dict[int, int] = {}  # the variable that holds an array object
        self.alive: list[Array] = []  # all arrays met, so that ids stay theirs
        self.names: list[str] = []
        self.taken = {"np", "base64", "loss", "gradients", "seed", *keyword.kwlist}
        self.functions: dict[str, str] = {}
        self.inputs: dict[int, Array] = {}  # the variables that come from outside
        self.lines: list[_Line] = []
        self.middle = 0  # the line where the backward begins
        self.titles: dict[Any, int] = {}
        self.comment = ""

    # --- variables ----------------------------------------------------------------------------------------------

    def variable(self, name: str, *arrays: Any) -> int:
        """A new variable that holds an array (or several objects that are the same array)."""
        name = re.sub(r"\W", "_", name) or "v"
        name = f"p{name}" if name[0].isdigit() else name
        chosen, k = (f"{name}_1" if hasattr(builtins, name) else name), 2
        while chosen in self.taken:
            chosen, k = f"{name}_{k}", k + 1
        self.taken.add(chosen)
        self.names.append(chosen)
        for array in arrays:
            self.known[id(array)] = len(self.names) - 1
            self.alive.append(array)
        return len(self.names) - 1

    def input(self, name: str, array: Array) -> int:
        """A variable whose value the program is given."""
        v = self.variable(name, array)
        self.inputs[v] = array
        return v

    def hoist(self, array: Array) -> str:
        """The name of an array that no line made: data."""
        if id(array) not in self.known:
            self.input("c", array)
        return f"⟦{self.known[id(array)]}⟧"

    # --- what a run tells ---------------------------------------------------------------------------------------

    def begin(self, run: Any) -> None:
        """Name the leaves."""
        self.run = run
        for leaf, new in run.leaves.items():
            self.titles[leaf] = self.input(run.tape.leaves[leaf], new._array)

    def turn(self, seed: Array) -> None:
        """The forward is over: the gradient of the result is given."""
        self.middle = len(self.lines)
        self.input("seed_of_loss", seed)

    def arrived(self, where: Any, g: Array) -> None:
        """The whole gradient of a node or leaf is known: it gets a name that says so."""
        v = self.known.get(id(g))
        if v is None or self.names[v].startswith("d_") or v in self.inputs:
            return
        made = self.run.made.get(where)
        title = self.known.get(id(made._array)) if made is not None else self.titles[where]
        if title is not None and f"d_{self.names[title]}" not in self.taken:
            self.names[v] = f"d_{self.names[title]}"
            self.taken.add(self.names[v])

    def __call__(self, row: Row, operands: tuple[Any, ...], params: dict[str, Any], result: Any) -> None:
        """Write down a call."""
        texts = self._operands(row, operands)
        several = result if isinstance(result, tuple) else (result,)
        if callable(row.numpy):  # a function may ask a number for its shape: there it is a scalar of NumPy's
            scalar = f"np.{several[0]._array.dtype.name}"
            texts = [
                f"{scalar}({bare(t)})" if isinstance(x, (int, float)) else t
                for t, x in zip(texts, operands, strict=True)
            ]
        text = self._expression(row, texts, params)
        comment = ""
        if self.tape is not None and not self.middle and len(self.lines) < len(self.tape.nodes):
            comment = short_line(self.run.node.line)
        # A NumPy line gives the first output alone; another one that is used later becomes data.
        for name, y in zip(row.outputs[1:], several[1:], strict=True):
            self.input(f"{row.name}_{name}", y._array)
        made = self.variable(row.name, several[0]._array)
        self._note_saved(row, operands, texts, several)
        self.lines.append(_Line(made, text, comment))

    def _operands(self, row: Row, operands: tuple[Any, ...]) -> list[str]:
        """The text of each operand, cast where the op promotes it."""
        arrays = [x._array if isinstance(x, TensorBase) else x for x in operands]
        used = promoted(row, list(arrays)) if row.promote and any(isinstance(a, np.ndarray) for a in arrays) else arrays
        texts = []
        for x, a, u in zip(operands, arrays, used, strict=True):
            if isinstance(a, np.ndarray):
                if isinstance(x, TensorBase) and id(a) not in self.known:
                    _, name = self.run.found.constants.get(id(a), (a, None)) if self.tape is not None else (a, None)
                    self.input(name or "c", a)
                texts.append(self.hoist(a) + (f".astype(np.{u.dtype.name})" if u.dtype != a.dtype else ""))
            else:
                texts.append(literal(a, self.hoist))
        return texts

    def _note_saved(self, row: Row, operands: tuple[Any, ...], texts: list[str], results: tuple[Any, ...]) -> None:
        """Rules see arrays of their own where operands were promoted: tie them to the variables they stand for."""
        node = results[0]._node
        if node is None or node.row is not row:
            return
        for values, sources in zip(node.saved or (), row.sources, strict=False):
            for value, source in zip(values or (), sources, strict=False):
                for i, v in enumerate(value if isinstance(value, tuple) and source else (value,)):
                    if source is None or not isinstance(v, np.ndarray) or id(v) in self.known:
                        continue
                    if source[0] == "output":
                        self.known[id(v)] = self.known[id(results[source[1]]._array)]
                        self.alive.append(v)
                    else:
                        cast = self.variable(f"{row.name}_operand", v)
                        self.lines.append(_Line(cast, texts[source[1] + i], ""))

    def _expression(self, row: Row, texts: list[str], params: dict[str, Any]) -> str:
        if callable(row.numpy):
            name = functions_of(row.numpy, self.functions, f"{row.name}_in_numpy")
            self.taken.add(name)
            unused = unused_parameters(row.numpy)
            texts = ["None" if k in unused else x for k, x in zip(row.operands, texts, strict=False)] + texts[
                len(row.operands) :
            ]
            arguments = [*texts, *(f"{k}={bare(literal(v, self.hoist))}" for k, v in params.items())]
            return f"{name}({', '.join(arguments)})"
        if row.numpy is None:
            raise RuntimeError(
                f"op {row.name!r} has no definition in NumPy, so the tape cannot be written as a program"
            )
        fields = dict(zip(row.operands, texts, strict=False))
        if row.variadic:
            rest = texts[len(row.operands) :]
            fields[row.variadic] = ", ".join(rest) + ("," if len(rest) == 1 else "")
        for k, v in params.items():
            bracketed = k == "index" and "[{index}]" in row.numpy and isinstance(v, tuple)
            fields[k] = index_literal(v, self.hoist) if bracketed else literal(v, self.hoist)
        return row.numpy.format(**fields)

    # --- the text -----------------------------------------------------------------------------------------------

    def program(self, loss: Any, gradients: dict[str, Any]) -> NumpyProgram:
        """The whole text: what is not needed for the loss and the gradients is left out."""
        results = {key: self.hoist(g) for key, g in gradients.items()}
        out = self.hoist(loss)
        needed = {int(v) for text in (out, *results.values()) for v in _used(text)}
        kept: list[tuple[bool, _Line]] = []
        for i, line in reversed(list(enumerate(self.lines))):
            if line.makes in needed:
                needed.update(_used(line.text))
                kept.append((bool(self.middle) and i >= self.middle, line))
        kept.reverse()
        inputs = {self.names[v]: a for v, a in self.inputs.items() if v in needed}
        body = ["    # forward"]
        for backward, line in kept:
            if backward and "    # backward" not in body:
                body.append("    # backward")
            text = f"    {self.names[line.makes]} = {self._named(line.text)}"
            body.append(f"{text}  # {line.comment}" if line.comment else text)
        pairs = ", ".join(f"{key!r}: {self._named(text)}" for key, text in results.items())
        body.append(f"    return {self._named(out)}, {{{pairs}}}")
        data = [f"{name} = {array_literal(a)}" for name, a in inputs.items()]
        imports = ["import base64\n"] if any("base64." in d for d in data) else []
        functions = sorted(self.functions.values(), key=lambda source: source.startswith("def "))
        arguments = ", ".join(inputs)
        parts = [
            f'"""Loss and gradients of {len(kept)} steps in plain NumPy, written by tinygrad_loss.tape."""',
            "".join(imports) + "import numpy as np",
            *functions,
            "\n".join([f"def loss_and_gradients({arguments}):", *body]),
            "\n".join(data),
            f'with np.errstate(all="ignore"):\n    loss, gradients = loss_and_gradients({arguments})\n',
        ]
        return NumpyProgram("\n\n\n".join(part for part in parts if part))

    def _named(self, text: str) -> str:
        return re.sub(r"⟦(\d+)⟧", lambda m: self.names[int(m[1])], text)


def _used(text: str) -> list[int]:
    return [int(v) for v in re.findall(r"⟦(\d+)⟧", text)]


def numpy_program(tape: Tape, gradient: Any) -> NumpyProgram:
    """Trace a run of the tape and write it down."""
    writer = Writer(tape)
    found: Replay = replay(tape, gradient, writer)
    top: Node = tape.nodes[-1]
    gradients = {name: found.gradients[leaf] for leaf, name in tape.leaves.items() if leaf in found.gradients}
    return writer.program(found.values[top], gradients)
