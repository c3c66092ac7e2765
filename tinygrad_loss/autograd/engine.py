"""The backward walk: iterative, in descending sequence number, each rule called once."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from .. import dtypes
from ..op import (
    Node,
    TensorBase,
    Writes,
    edge_of,
    identity,
    mode,
    next_seq,
    record,
    source_line,
    wrap,
    written,
)
from ..ops.broadcast import sum_to_shape
from ..ops.shape import clone_row, to
from . import hooks
from .anomaly import Anomaly

_by_sequence = attrgetter("seq")
_accumulating = threading.RLock()  # reentrant: a finalizer that runs in between may call backward, too
ndarray = np.ndarray


def walk(
    incoming: Sequence[tuple[Any, Any]],
    retain_graph: bool | None,
    create_graph: bool,
    targets: Sequence[TensorBase] | None = None,
) -> list[Any]:
    """Send gradients down the tape; ``incoming`` holds, for each root, where it stands there and its gradient.

    Without ``targets`` they end in the ``grad`` of the leaves; with them, the gradient of each target is returned
    (None where nothing arrived) and no ``grad`` is touched. Gradients are ndarrays, or Tensors under ``create_graph``.
    """
    # Infinities and NaN are values here; NumPy's warnings of them would only alarm.
    return mode.backward(create_graph, _walk, incoming, retain_graph, create_graph, targets)  # type: ignore[no-any-return]


def _walk(
    incoming: Sequence[tuple[Any, Any]],
    retain_graph: bool | None,
    create_graph: bool,
    targets: Sequence[TensorBase] | None,
) -> list[Any]:
    pending: dict[Any, Any] = {}  # per node and leaf, the sum of what has arrived there
    for edge, g in incoming:
        total = pending[edge] + g if edge in pending else g
        pending[edge] = np.asarray(total) if isinstance(total, np.generic) else total
    borrowed = set(pending)  # the leaves whose sum is memory that something else uses too
    order, due = reachable(pending)
    wanted = None if targets is None else dict.fromkeys(map(edge_of, targets))
    retain = create_graph if retain_graph is None else retain_graph
    _send(order, due, pending, borrowed, wanted, retain, create_graph)
    return [] if wanted is None else [wanted[edge_of(t)] for t in targets or ()]


def _send(
    order: list[Node],
    due: dict[Node, list[TensorBase]] | None,
    pending: dict[Any, Any],
    borrowed: set[Any],
    wanted: dict[Any, Any] | None,
    retain_graph: bool,
    create_graph: bool,
) -> None:
    """Take the nodes in their order, and hand every leaf its gradient once it is whole."""
    useful = None if wanted is None else _leading_to(wanted, order)
    hooked = due is not None
    if hooked:
        mode.walk = next_seq(), order, useful
    for node in order:
        g = pending.pop(node, None)
        if g is not None:
            if node.watch is not None:
                if not hooked:
                    hooked, mode.walk = True, (next_seq(), order, useful)
                g = hooks.arrive(node, g)
            if wanted is not None and node in wanted:
                wanted[node] = g if create_graph else g.copy()
            if useful is None or not useful.isdisjoint(node.edges):
                _step(node, g, pending, borrowed, useful, create_graph)
                if not retain_graph and node.row.keeps:
                    node.release()
        if due is not None and node in due:
            for leaf in due[node]:
                if leaf in pending:
                    _arrive(leaf, pending.pop(leaf), wanted, borrowed)
    for leaf, g in pending.items():
        if wanted is None and not leaf._hooks:
            accumulate(leaf, g, leaf not in borrowed)
        else:
            _arrive(leaf, g, wanted, borrowed)


def reachable(roots: Iterable[Any]) -> tuple[list[Node], dict[Node, list[TensorBase]] | None]:
    """All nodes below the roots, last recorded first: an order in which a node comes after all that used it.

    The second value tells after which node the gradient of a leaf that has hooks is complete; None if no leaf has.
    """
    stack, hooked = [], False
    for edge in roots:
        if isinstance(edge, Node):
            stack.append(edge)
        elif edge._hooks or edge._accumulated:
            hooked = True
    seen = set(stack)
    while stack:
        for edge in stack.pop().edges:
            if edge is not None and edge not in seen:
                if isinstance(edge, Node):
                    seen.add(edge)
                    stack.append(edge)
                elif edge._hooks or edge._accumulated:
                    hooked = True
    order = sorted(seen, key=_by_sequence, reverse=True) if len(seen) > 1 else list(seen)
    if not hooked:
        return order, None
    last: dict[TensorBase, Node] = {}
    for node in order:
        for edge in node.edges:
            if isinstance(edge, TensorBase) and (edge._hooks or edge._accumulated):
                last.pop(edge, None)
                last[edge] = node
    due: dict[Node, list[TensorBase]] = {}
    for leaf, node in last.items():
        due.setdefault(node, []).append(leaf)
    return order, due


def _leading_to(targets: Iterable[Any], order: list[Node]) -> set[Any]:
    """The targets, and the nodes from which one can be reached."""
    useful = set(targets)
    for node in reversed(order):
        if not useful.isdisjoint(node.edges):
            useful.add(node)
    useful.discard(None)
    return useful


def _step(
    node: Node, g: Any, pending: dict[Any, Any], borrowed: set[Any], useful: set[Any] | None, create_graph: bool
) -> None:
    """Call the rules of one node and add each result to what its operand's origin has received."""
    row, saved, edges = node.row, node.saved, node.edges
    if saved is None:
        raise RuntimeError(
            f"Trying to backward through the graph a second time: the values that {node.name()} saved at {node.line} "
            f"are freed after the first backward. Write backward(retain_graph=True) the first time, or compute the "
            f"loss again before each backward()."
        )
    if Writes.last > node.seq:
        _check_versions(node)
    joint = row.joint
    results: Any = None
    if joint or node.watch is not None:
        if node.watch is not None:
            g = hooks.before(node, g)
        results = _all_results(node, g, create_graph)
        if node.watch is not None:
            results = hooks.after(node, results, g)
    i = -1
    for edge in edges:
        i += 1
        if edge is None or (useful is not None and edge not in useful):
            continue
        if results is not None:
            gi = results[i]
        else:
            gi = row.rules[i](g, *(as_tensors(node, i) if create_graph else saved[i]))  # type: ignore[misc]
        if gi is None:
            continue
        if Anomaly.enabled:
            Anomaly.check(node, i, gi)
        leaf = isinstance(edge, TensorBase)
        like = edge._array if leaf else edge
        if create_graph:
            if not isinstance(gi, TensorBase):
                gi = wrap(gi)
            if gi._array.shape != like.shape or gi._array.dtype != like.dtype:
                gi = fit(gi, like, node, i)
        else:
            if gi.__class__ is not ndarray and not isinstance(gi, TensorBase):
                gi = np.asarray(gi)
            if gi.shape != like.shape or (gi.dtype is not like.dtype and gi.dtype != like.dtype):
                gi = fit(gi, like, node, i)
        before = pending.get(edge)
        if before is not None:
            gi = before + gi
            if gi.__class__ is not ndarray and isinstance(gi, np.generic):
                gi = np.asarray(gi)  # NumPy turns the sum of two 0-d arrays into a scalar, which kernels do not take
            borrowed.discard(edge)
        elif leaf and not create_graph:
            # A rule may return what it was given, a view of it, or (a joint one) the same array twice.
            alias = results is not None or gi is g or gi.base is not None
            for value in saved[i] if results is None else ():  # type: ignore[union-attr]
                alias = alias or value is gi
            if alias:
                borrowed.add(edge)
        pending[edge] = gi


def _all_results(node: Node, g: Any, create_graph: bool) -> list[Any]:
    """The gradients of all operands of a node, as one rule or all its rules give them."""
    row, saved = node.row, node.saved
    assert saved is not None

    def result(i: int) -> Any:
        return row.rules[i](g, *(as_tensors(node, i) if create_graph else saved[i] or ()))  # type: ignore[misc]

    if not row.joint:
        return [None if edge is None else result(i) for i, edge in enumerate(node.edges)]
    results = result(0)
    if len(results) != len(node.edges):
        raise RuntimeError(
            f"{node.name()} returned an incorrect number of gradients: expected {len(node.edges)}, one per operand, "
            f"got {len(results)}"
        )
    return list(results)


def fit(g: Any, like: Any, node: Node, i: int) -> Any:
    """Sum a gradient over the dimensions that broadcasting added, and bring it to the operand's dtype."""
    shape = g._array.shape if isinstance(g, TensorBase) else g.shape
    if shape != like.shape:
        try:
            g = sum_to_shape(g, like.shape)
        except ValueError:
            raise RuntimeError(
                f"Function {node.name()} returned an invalid gradient at index {i} - got {list(shape)} but expected "
                f"shape compatible with {list(like.shape)} (recorded at {node.line})"
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
        return attach(value, node.edges[k], node.counters[k])
    if kind == "operands":
        return tuple(attach(v, node.edges[k + j], node.counters[k + j]) for j, v in enumerate(value))
    if kind == "output" and isinstance(value, np.ndarray):
        t = wrap(value, node if k == 0 else None)
        t._version = node.counters[len(node.edges) + k]
        return t
    return value


def attach(value: Any, edge: Any, counter: list[Any]) -> Any:
    """A saved array as the Tensor that it was: the leaf itself, or one that stands where it stood on the tape."""
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
    for values, sources in zip(node.saved or (), node.row.sources, strict=False):
        for value, source in zip(values or (), sources, strict=False):
            if source is None:
                continue
            kind, k = source
            for j in range(k, len(node.edges)) if kind == "operands" else (k,):
                c = len(node.edges) + k if kind == "output" else j
                if node.counters[c][0] != node.versions[c]:
                    saved = value[j - k] if kind == "operands" else value
                    what = f"its {'output' if kind == 'output' else 'operand'} {j}"
                    raise_modified(node, what, saved, node.counters[c], node.versions[c])


def raise_modified(node: Node, what: str, value: Any, counter: list[Any], version: int) -> None:
    """Say which saved value was overwritten, and where."""
    name, where = counter[2] or ("", None)
    written_by = (f" by {name}" if name else "") + (f" at {source_line(where)}" if where is not None else "")
    raise RuntimeError(
        f"one of the variables needed for gradient computation has been modified by an inplace operation: "
        f"[{dtypes.legacy_name(dtypes.of(value))} {list(value.shape)}], which {node.name()} (recorded at {node.line}) "
        f"saved as {what}, is at version {counter[0]}; expected version {version} instead. It was last written"
        f"{written_by or ' by an in-place operation'}. Write the out-of-place form there (x = x + y for x += y), or "
        f"use x.clone() before it."
    )


def _arrive(leaf: TensorBase, g: Any, wanted: dict[Any, Any] | None, borrowed: set[Any]) -> None:
    """Hand the whole gradient of a leaf to its hooks, and then to its ``grad`` or to who asked for it."""
    if wanted is not None and leaf not in wanted:
        return
    if leaf._hooks:
        g = hooks.call_hooks(leaf._hooks.values(), g)
        borrowed.add(leaf)
    if wanted is not None:
        wanted[leaf] = g.copy() if isinstance(g, ndarray) and leaf in borrowed else g
    else:
        accumulate(leaf, g, leaf not in borrowed)


def accumulate(leaf: TensorBase, g: Any, owned: bool) -> None:
    """Add to the ``grad`` of a leaf, which is the user's to change: it shares memory with nothing else."""
    with _accumulating:
        old = leaf._grad
        if isinstance(g, TensorBase):
            leaf._grad = clone_row(g) if old is None else old + g
        elif old is None:
            # In the leaf's own layout: kernels of optimizers walk through both side by side.
            if not owned or g.strides != leaf._array.strides:
                own = np.empty_like(leaf._array)
                np.copyto(own, g)
                g = own
            leaf._grad = wrap(g)
        elif old._array.flags.writeable:
            np.add(old._array, g, out=old._array)
            written(old, "backward")
        else:
            leaf._grad = wrap(old._array + g)
    if leaf._accumulated:
        for hook in list(leaf._accumulated.values()):
            hook(leaf)
