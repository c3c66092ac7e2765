"""A page that steps through a tape: forward op by op, then backward, with the gradients adding up."""

from __future__ import annotations

import inspect
import json
import textwrap
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..op import Node, Row
from .draw import replayed
from .entry import in_bytes, short_line
from .literals import lambda_of

if TYPE_CHECKING:
    from .program import Tape
    from .replay import Replay


def html_page(tape: Tape) -> str:
    """The page as text: its data, its style and its program are all inside."""
    # Within <script>, "</" would end it and "<!--" would hide the rest.
    data = json.dumps(_data(tape)).replace("<", "\\u003c")
    page = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    title = f"Tape of {len(tape)} ops"
    return page.replace("@TITLE@", escape(title)).replace("@DATA@", data)


def _data(tape: Tape) -> dict[str, Any]:
    found = replayed(tape)
    names = {node: f"#{number}" for node, number in tape.numbers.items()} | dict(tape.leaves)
    ops = [
        {
            "number": e.number,
            "op": e.op,
            "name": e.name,
            "inputs": list(e.inputs),
            "shape": list(e.shape),
            "dtype": e.dtype,
            "saved": in_bytes(e.saved),
            "line": short_line(e.line),
            "module": e.module,
            "formula": formula(e.node.row, e.inputs, e.node.params),
            "rule": rules(e.node.row),
            "value": _shown(found.values.get(e.node) if found else None),
        }
        for e in tape
    ]
    leaves = [{"name": n, "value": _shown(leaf._array)} for leaf, n in tape.leaves.items()]
    return {"ops": ops, "leaves": leaves, "backward": _backward(tape, found, names), "replayed": found is not None}


def _backward(tape: Tape, found: Replay | None, names: dict[Any, str]) -> list[dict[str, Any]]:
    """For each op from the last to the first: the gradient that is complete there, and what it sends on."""
    waiting: dict[Any, Any] = {tape.nodes[-1]: found.seed if found else None}
    arrivals: dict[Any, int] = {tape.nodes[-1]: 1}
    expected: dict[Any, int] = {}
    for node in tape.nodes:
        for edge in node.edges:
            if edge is not None:
                expected[edge] = expected.get(edge, 0) + 1
    steps = []
    for node in reversed(tape.nodes):
        step: dict[str, Any] = {"number": tape.numbers[node], "gradient": _shown(waiting.get(node)), "sends": []}
        shares = found.shares.get(node) if found else None
        for i, edge in enumerate(node.edges):
            share = shares[i] if shares is not None else None
            if edge is None or share is None:
                continue
            before = waiting.get(edge)
            waiting[edge] = share if before is None else before + share
            arrivals[edge] = arrivals.get(edge, 0) + 1
            step["sends"].append(
                {
                    "to": names[edge],
                    "leaf": not isinstance(edge, Node),
                    "share": _shown(share),
                    "before": None if before is None else _shown(before),
                    "after": _shown(waiting[edge]),
                    "arrived": arrivals[edge],
                    "expected": expected[edge],
                }
            )
        steps.append(step)
    return steps


def formula(row: Row, inputs: tuple[str, ...], params: dict[str, Any]) -> str:
    """The op in NumPy, with the names of what it read."""
    if isinstance(row.numpy, str):
        fields: dict[str, Any] = dict(zip(row.operands, inputs, strict=False))
        if row.variadic:
            fields[row.variadic] = ", ".join(inputs[len(row.operands) :])
        return row.numpy.format(**{**params, **fields})
    if row.numpy is None:
        return row.name
    return f"{row.name}({', '.join([*inputs, *(f'{k}={v!r:.40}' for k, v in params.items())])})\n\n{source(row.numpy)}"


def rules(row: Row) -> str:
    """The rules of an op as they are written, one per operand."""
    if row.joint:
        return f"all operands: {source(row.rules[0])}"
    return "\n".join(
        f"d {x} = {source(rule) if rule else 'none'}" for x, rule in zip(row.operands, row.rules, strict=False)
    )


def source(function: Any) -> str:
    """The text of a function."""
    try:
        return (
            lambda_of(function)[1] if function.__name__ == "<lambda>" else textwrap.dedent(inspect.getsource(function))
        )
    except (OSError, TypeError):
        return f"{function.__name__} (its source is not at hand)"


def _shown(array: Any) -> str:
    if array is None:
        return "not kept: a constant that it was computed from is gone; write tape(fn)"
    return np.array2string(np.asarray(array), precision=5, threshold=60, edgeitems=3, max_line_width=78, separator=", ")
