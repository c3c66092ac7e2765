"""The tape as a drawing: boxes in layers from top to bottom, made of text alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from ..dtypes import Array
from ..op import Node, TensorBase
from .entry import Entry, in_bytes, short_line
from .replay import CannotReplayError, Replay, replay

if TYPE_CHECKING:
    from .program import Tape

_FEWEST_BOXES = 5
_MOST_BOXES = 40  # more of them are not read, so they fold
_HEIGHT, _ROW, _GAP, _CHARACTER = 40, 74, 24, 7.2


def replayed(tape: Tape) -> Replay | None:
    """All values and gradients, or None where a constant that they depend on is gone."""
    try:
        return replay(tape)
    except CannotReplayError:
        return None


def brief(array: Array | None) -> str:
    """An array in one line: all of a small one, the range of a large one."""
    if array is None:
        return "not kept"
    if array.size <= 8:
        return np.array2string(array, precision=4, separator=", ").replace("\n", "")
    with np.errstate(all="ignore"):
        return f"{array.size} values from {array.min():.4g} to {array.max():.4g}, mean {array.mean():.4g}"


def hover(entry: Entry, found: Replay | None) -> str:
    """What shows when the pointer rests on an op."""
    node = entry.node
    lines = [
        f"#{entry.number} {entry.op} ({', '.join(entry.inputs)})",
        f"{list(entry.shape)} {entry.dtype}, {in_bytes(entry.saved)} saved, {short_line(entry.line)}",
        f"value: {brief(found.values.get(node) if found else None)}",
        f"gradient: {brief(found.gradients.get(node) if found else None)}",
    ]
    return "\n".join(lines)


@dataclass
class Box:
    """One op, or several that were folded."""

    entries: list[Entry]
    module: str
    inputs: set[int] = field(default_factory=set)  # the boxes that it reads
    x: float = 0.0
    rank: int = 0

    @property
    def lines(self) -> tuple[str, str]:
        """The two lines of text in it."""
        first, last = self.entries[0], self.entries[-1]
        if first is last:
            return f"{first.number} {first.op}", f"{', '.join(first.inputs)} → {list(first.shape)}"[:44]
        return (
            f"{self.module or short_line(first.line)} ({len(self.entries)} ops)",
            f"{first.number} to {last.number} → {list(last.shape)}",
        )

    @property
    def width(self) -> float:
        """How wide it has to be."""
        return max(map(len, self.lines)) * _CHARACTER + 20


def _runs(entries: list[Entry], labels: list[str]) -> list[Box]:
    boxes: list[Box] = []
    before = None
    for entry, label in zip(entries, labels, strict=True):
        if label == before:
            boxes[-1].entries.append(entry)
        else:
            boxes.append(Box([entry], label))
        before = label
    return boxes


def fold(entries: list[Entry]) -> list[Box]:
    """One box per op while they are few; else one per module, as deep as fits, or per line, or per stretch of ops.

    Only neighbours in time are folded, so that no box both feeds another and reads from it.
    """
    if len(entries) <= _MOST_BOXES:
        return [Box([entry], entry.module) for entry in entries]
    deepest = max(entry.module.count(".") + 1 if entry.module else 0 for entry in entries)
    for depth in range(deepest, 0, -1):
        labels, last = [], ""
        for entry in entries:  # an op without parameters belongs with the module before it
            last = ".".join(entry.module.split(".")[:depth]) if entry.module else last
            labels.append(last)
        boxes = _runs(entries, labels)
        if len(boxes) <= _MOST_BOXES:
            return boxes
    if not deepest:
        boxes = _runs(entries, [entry.line for entry in entries])
        if _FEWEST_BOXES <= len(boxes) <= _MOST_BOXES:  # a whole program on one line would be one box
            for box in boxes:
                box.module = ""
            return boxes
    size = -(-len(entries) // _MOST_BOXES)
    return [Box(entries[i : i + size], f"ops {i + 1} on") for i in range(0, len(entries), size)]


def place(boxes: list[Box], numbers: dict[Node, int]) -> tuple[float, float]:
    """Give each box its layer (below all that it reads) and its place there; return the size of the drawing."""
    owner = {entry.number: i for i, box in enumerate(boxes) for entry in box.entries}
    layers: dict[int, list[Box]] = {}
    for i, box in enumerate(boxes):
        for entry in box.entries:
            box.inputs |= {owner[numbers[edge]] for edge in entry.node.edges if isinstance(edge, Node)}
        box.inputs.discard(i)
        box.rank = 1 + max((boxes[j].rank for j in box.inputs), default=-1)
        layers.setdefault(box.rank, []).append(box)
    width = max(sum(box.width + _GAP for box in layer) for layer in layers.values()) + _GAP
    for rank in sorted(layers):
        layer = layers[rank]
        layer.sort(key=lambda box: sum(boxes[j].x for j in box.inputs) / len(box.inputs) if box.inputs else 0.0)
        at = (width - sum(box.width + _GAP for box in layer) + _GAP) / 2
        for box in layer:
            box.x = at + box.width / 2
            at += box.width + _GAP
    return width + 80, len(layers) * _ROW + _GAP  # beside the boxes, room for lines that skip layers


def svg(tape: Tape) -> str:
    """The drawing as SVG."""
    found, entries = replayed(tape), list(tape)
    boxes = fold(entries)
    width, height = place(boxes, tape.numbers)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="monospace" font-size="12" text-anchor="middle">'
        ),
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>',
    ]
    for box in boxes:
        top = _GAP + box.rank * _ROW
        for j in sorted(box.inputs):
            source = boxes[j]
            start = _GAP + source.rank * _ROW + _HEIGHT
            # A line that skips layers goes around the boxes between, not through them.
            aside = (box.rank - source.rank - 1 > 0) * (max(source.width, box.width) / 2 + 50)
            middle, a, b = (start + top) / 2, source.x + aside, box.x + aside
            parts.append(
                f'<path d="M{source.x:.1f} {start} C{a:.1f} {middle:.1f} {b:.1f} {middle:.1f} {box.x:.1f} {top}" '
                f'fill="none" stroke="#888"/>'
            )
    for box in boxes:
        top, left = _GAP + box.rank * _ROW, box.x - box.width / 2
        title = "\n\n".join(hover(entry, found) for entry in box.entries[:12])
        title += f"\n\nand {len(box.entries) - 12} more" if len(box.entries) > 12 else ""
        fill = "#e8eefc" if len(box.entries) == 1 else "#fdf1dc"
        first, second = map(escape, box.lines)
        parts.append(
            f'<g class="op"><title>{escape(title)}</title><rect x="{left:.1f}" y="{top}" width="{box.width:.1f}" '
            f'height="{_HEIGHT}" rx="5" fill="{fill}" stroke="#446"/><text x="{box.x:.1f}" y="{top + 16}" '
            f'font-weight="bold">{first}</text><text x="{box.x:.1f}" y="{top + 32}">{second}</text></g>'
        )
    return "\n".join([*parts, "</svg>"])


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def dot(tape: Tape) -> str:
    """The graph in Graphviz's language."""
    found = replayed(tape)
    lines = ["digraph tape {", '  node [shape=box, fontname="monospace"];']
    modules: dict[str, list[str]] = {}
    for entry in tape:
        label = _quoted(f"{entry.number} {entry.op}\n{list(entry.shape)}")
        text = f"op{entry.number} [label={label}, tooltip={_quoted(hover(entry, found))}];"
        modules.setdefault(entry.module, []).append(text)
    for i, (module, texts) in enumerate(modules.items()):
        if module:
            lines.append(f"  subgraph cluster_{i} {{ label={_quoted(module)};")
        lines += [f"    {text}" for text in texts]
        if module:
            lines.append("  }")
    leaves = {leaf: i for i, leaf in enumerate(tape.leaves)}
    for leaf, i in leaves.items():
        label = _quoted(f"{tape.leaves[leaf]}\n{list(leaf._array.shape)}")
        lines.append(f"  leaf{i} [shape=ellipse, label={label}];")
    for node in tape.nodes:
        for edge in node.edges:
            if isinstance(edge, Node):
                lines.append(f"  op{tape.numbers[edge]} -> op{tape.numbers[node]};")
            elif isinstance(edge, TensorBase):
                lines.append(f"  leaf{leaves[edge]} -> op{tape.numbers[node]};")
    return "\n".join([*lines, "}"])
