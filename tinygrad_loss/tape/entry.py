"""One op on the tape as it is shown."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..op import Node, TensorBase


@dataclass(frozen=True)
class Entry:
    """One recorded op: a line of the tape.

    ``inputs`` are the numbers of the entries it read (``#2``), names of leaves, or constants.
    """

    number: int
    op: str  # the row's name, such as "mul"
    name: str  # PyTorch's, such as "MulBackward0"
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    saved: int  # bytes that it keeps for its rules
    line: str  # of the user's program, as file.py:12
    module: str  # the dotted path of the module whose parameters it used, "" if unknown
    norm: float | None  # of its gradient, after a backward
    node: Node = field(repr=False, compare=False)


def saved_arrays(node: Node) -> dict[int, Any]:
    """The memory that a node keeps for its rules, by the address of its first byte: views of one array count once."""
    found: dict[int, Any] = {}

    def visit(value: Any) -> None:
        if isinstance(value, tuple):
            for v in value:
                visit(v)
        elif isinstance(value, np.ndarray):
            address = value.__array_interface__["data"][0]
            if address not in found or found[address].nbytes < value.nbytes:
                found[address] = value

    visit(tuple(v for v in node.saved or () if v is not None))
    return found


def shown_constant(value: Any) -> str:
    """A constant operand in a few characters."""
    if value is None or isinstance(value, (bool, int, float, complex)):
        return repr(value)
    array = value._array if isinstance(value, TensorBase) else value
    if isinstance(array, np.ndarray):
        return f"{array.item():g}" if array.size == 1 and array.dtype.kind in "iuf" else f"const{list(array.shape)}"
    return "const"


def short_line(line: str) -> str:
    """``/home/me/model.py:12`` as ``model.py:12``."""
    return pathlib.PurePath(line).name


def in_bytes(count: int) -> str:
    """A number of bytes for people: ``1.5 KiB``."""
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
