"""The backward walk: iterative, in descending sequence number, each rule called once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from ..op import Node, TensorBase, Writes, edge_of, identity, record, source_line, wrap, written
from ..ops.broadcast import sum_to_shape
from ..ops.shape import to
from .anomaly import Anomaly

_by_sequence = attrgetter("seq")
ndarray = np.ndarray


def walk(
    roots: Sequence[TensorBase],
    gradients: Sequence[Any],
    *,
    retain_graph: bool,
    create_graph: bool,
    targets: Sequence[TensorBase] | None = None,
) -> list[Any]:
    """Send gradients from the roots down the tape.

    Without ``targets`` they end in the ``grad`` of the leaves; with them, the gradient of each target is returned
    (None where nothing arrived) and no ``grad`` is touched. Gradients are ndarrays, or Tensors under ``create_graph``.
    """
    pending: dict[Any, Any] = {}
    for root, g in zip(roots, gradients, strict=True):
        edge = edge_of(root)
        pending[edge] = pending[edge] + g if edge in pending else g
    order = reachable(pending)
    wanted: dict[Any, Any] = {}
    useful: set[Any] | None = None
    if targets is not None:
        wanted = dict.fromkeys(map(edge_of, targets))
        useful = _leading_to(wanted, order)
    # Infinities and NaN are values here; NumPy's warnings of them would only alarm.
    with np.errstate(all="ignore"):
        for node in order:
            g = pending.pop(node, None)
            if g is None:
                continue
            if node.hooks is not None or node.retained is not None:
                g = _observe(node, g)
            if useful is None:
                _step(node, g, pending, None, create_graph)
            else:
                if node in wanted:
                    wanted[node] = g
                if not useful.isdisjoint(node.edges):
                    _step(node, g, pending, useful, create_graph)
            if not retain_graph and node.row.keeps:
                node.saved = None
        for leaf, g in pending.items():
            if leaf._hooks:
                g = call_hooks(leaf._hooks.values(), g)
            if leaf in wanted:
                wanted[leaf] = g
            elif targets is None:
                _accumulate(leaf, g)
    return [wanted[edge_of(t)] for t in targets] if targets is not None else []


def reachable(roots: Iterable[Any]) -> list[Node]:
    """All nodes below the roots, last recorded first: an order in which a node comes after all that used it."""
    stack = [edge for edge in roots if isinstance(edge, Node)]
    seen = set(stack)
    while stack:
        for edge in stack.pop().edges:
            if edge is not None and edge not in seen and isinstance(edge, Node):
                seen.add(edge)
                stack.append(edge)
    return sorted(seen, key=_by_sequence, reverse=True)


def _leading_to(targets: Iterable[Any], order: list[Node]) -> set[Any]:
    """The targets, and the nodes from which one can be reached."""
    useful = set(targets)
    for node in reversed(order):
        if not useful.isdisjoint(node.edges):
            useful.add(node)
    useful.discard(None)
    return useful


def _step(node: Node, g: Any, pending: dict[Any, Any], useful: set[Any] | None, create_graph: bool) -> None:
    """Call the rules of one node and add each result to what its operand's origin has received."""
    row, saved = node.row, node.saved
    if saved is None:
        raise RuntimeError(
            f"Trying to backward through the graph a second time: the values that {node.name()} saved at {node.line} "
            f"are freed after the first backward. Write backward(retain_graph=True) the first time, or compute the "
            f"loss again before each backward()."
        )
    if Writes.last > node.seq:
        _check_versions(node)
    joint = row.joint
    results: Sequence[Any] = ()
    if joint:
        results = row.rules[0](g, *(as_tensors(node, 0) if create_graph else saved[0]))  # type: ignore[misc]
        if len(results) != len(node.edges):
            raise RuntimeError(
                f"{node.name()} returned an incorrect number of gradients: expected {len(node.edges)}, one per "
                f"operand, got {len(results)}"
            )
    i = -1
    for edge in node.edges:
        i += 1
        if edge is None or (useful is not None and edge not in useful):
            continue
        kept = saved[0 if joint else i]
        if joint:
            gi = results[i]
        else:
            gi = row.rules[i](g, *(as_tensors(node, i) if create_graph else kept))  # type: ignore[misc]
        if gi is None:
            continue
        if Anomaly.enabled:
            Anomaly.check(node, gi)
        leaf = isinstance(edge, TensorBase)
        like = edge._array if leaf else edge
        if create_graph:
            if not isinstance(gi, TensorBase):
                gi = wrap(gi)
            if gi._array.shape != like.shape or gi._array.dtype != like.dtype:
                gi = fit(gi, like, node, i)
        else:
            if gi.__class__ is not ndarray:
                gi = np.asarray(gi)
            if gi.shape != like.shape or (gi.dtype is not like.dtype and gi.dtype != like.dtype):
                gi = fit(gi, like, node, i)
            if leaf:
                # A leaf's gradient is the user's to change: it must not share memory with anything else.
                alias = gi is g or gi.base is not None
                for value in kept or ():
                    alias = alias or value is gi
                if alias:
                    gi = gi.copy()
        before = pending.get(edge)
        pending[edge] = gi if before is None else before + gi


def fit(g: Any, like: Any, node: Node, i: int) -> Any:
    """Sum a gradient over the dimensions that broadcasting added, and bring it to the operand's dtype."""
    shape = g._array.shape if isinstance(g, TensorBase) else g.shape
    if shape != like.shape:
        try:
            g = sum_to_shape(g, like.shape)
        except ValueError:
            raise RuntimeError(
                f"{node.name()} returned an invalid gradient at index {i} - got {list(shape)} but expected shape "
                f"compatible with {list(like.shape)} (recorded at {node.line})"
            ) from None
    return to(g, like.dtype)


def as_tensors(node: Node, i: int) -> list[Any]:
    """What a rule saved, as Tensors that stand where they stood on the tape: the rule then records itself."""
    assert node.saved is not None
    values = node.saved[i] or ()
    return [_restore(node, value, source) for value, source in zip(values, node.row.sources[i], strict=True)]


def _restore(node: Node, value: Any, source: Any) -> Any:
    kind, k = source or (None, 0)
    if kind == "operand":
        return _attach(value, node.edges[k], node.counters[k])
    if kind == "operands":
        return tuple(_attach(v, node.edges[k + j], node.counters[k + j]) for j, v in enumerate(value))
    if kind == "output" and isinstance(value, np.ndarray):
        t = wrap(value, node if k == 0 else None)
        t._version = node.counters[-1]
        return t
    return value


def _attach(value: Any, edge: Any, counter: list[Any]) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    if isinstance(edge, TensorBase):
        if edge._array is value:
            return edge
        t = wrap(value)  # the leaf was promoted, or has got other data since: an identity leads back to it
        t._node = record(identity.row, [value], [edge], [counter], {}, value, t)
        return t
    t = wrap(value, edge)
    t._version = counter
    return t


def _check_versions(node: Node) -> None:
    """Raise if what a rule saved was overwritten since; writing to what it did not save is no harm."""
    for i, sources in enumerate(node.row.sources):
        if node.saved is None or node.saved[i] is None:
            continue
        for value, source in zip(node.saved[i] or (), sources, strict=True):
            if source is None:
                continue
            kind, k = source
            many = range(k, len(node.edges)) if kind == "operands" else (k,)
            for j in many:
                c = -1 if kind == "output" else j
                if node.counters[c][0] != node.versions[c]:
                    saved = value[j - k] if kind == "operands" else value
                    _raise_modified(node, kind, j, saved, node.counters[c], node.versions[c])


def _raise_modified(node: Node, kind: str, k: int, value: Any, counter: list[Any], version: int) -> None:
    what = "its output" if kind == "output" else f"its operand {k}"
    written = f" by the in-place operation at {source_line(counter[2])}" if counter[2] is not None else ""
    raise RuntimeError(
        f"one of the variables needed for gradient computation has been modified by an inplace operation: "
        f"{node.name()}, recorded at {node.line}, saved {what} of shape {list(value.shape)} at version {version}; "
        f"it is at version {counter[0]} now, overwritten{written}. Write the out-of-place form there "
        f"(x = x + y for x += y), or x.clone() before it."
    )


def _observe(node: Node, g: Any) -> Any:
    """Let hooks see, and perhaps replace, the whole gradient of a tensor; keep it where it was asked for."""
    if node.hooks:
        g = call_hooks(node.hooks.values(), g)
    t = node.retained() if node.retained is not None else None
    if t is not None:
        t._grad = g if isinstance(g, TensorBase) else wrap(g.copy())
    return g


def call_hooks(hooks: Iterable[Any], g: Any) -> Any:
    """Pass a gradient through hooks, each of which may return another in its place."""
    tensor = g if isinstance(g, TensorBase) else wrap(g)
    for hook in list(hooks):
        result = hook(tensor)
        if result is not None:
            if not isinstance(result, TensorBase) or result._array.shape != tensor._array.shape:
                got = list(result._array.shape) if isinstance(result, TensorBase) else type(result).__name__
                raise RuntimeError(f"a hook must return None or a Tensor of shape {list(tensor._array.shape)}, got {got}")
            tensor = result
    return tensor if isinstance(g, TensorBase) else tensor._array


def _accumulate(leaf: TensorBase, g: Any) -> None:
    if isinstance(g, TensorBase):
        leaf._grad = g if leaf._grad is None else leaf._grad + g
    elif leaf._grad is None:
        leaf._grad = wrap(g)
    else:
        np.add(leaf._grad._array, g, out=leaf._grad._array)
        written(leaf._grad)
    if leaf._accumulated:
        for hook in list(leaf._accumulated.values()):
            hook(leaf)
