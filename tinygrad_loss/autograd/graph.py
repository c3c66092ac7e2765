"""The graph seen from outside: nodes, and hooks on several tensors at once."""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..op import AccumulateGrad, Node, RemovableHandle, TensorBase, edge_of
from ..op import mode as thread

__all__ = ["GradientEdge", "Node", "get_gradient_edge", "register_multi_grad_hook"]


class GradientEdge(NamedTuple):
    """Where the gradient of a tensor goes: a node, and which of its outputs the tensor is."""

    node: Any
    output_nr: int


def get_gradient_edge(tensor: Any) -> GradientEdge:
    """Return where the gradient of a tensor goes.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor(1.0, requires_grad=True)
    >>> tg.autograd.graph.get_gradient_edge(x * 2).node.name()
    'MulBackward0'
    """
    edge = edge_of(tensor)
    if edge is None:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients.")
    if isinstance(edge, TensorBase):
        return GradientEdge(AccumulateGrad(edge), 0)
    return GradientEdge(edge.main, edge.output_nr)


class MultiHandle:
    """What ``register_multi_grad_hook`` returns: ``remove()`` takes the hook away from all its tensors."""

    def __init__(self, handles: Sequence[RemovableHandle]) -> None:
        self.handles = tuple(handles)

    def remove(self) -> None:
        """Take the hook away."""
        for handle in self.handles:
            handle.remove()

    def __enter__(self) -> MultiHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


def register_multi_grad_hook(tensors: Sequence[Any], fn: Callable[..., Any], *, mode: str = "all") -> MultiHandle:
    """Call ``fn`` once in each backward: with the gradients of all tensors when the last is known, or with the first.

    Parameters
    ----------
    tensors : sequence of Tensor
        They must require a gradient.
    fn : callable
        With ``mode="all"`` it gets one list, None for a tensor that the backward does not reach; with ``"any"`` the
        first gradient that is known.
    mode : "all" or "any"

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> a, b = (tg.tensor(v, requires_grad=True) for v in (2.0, 3.0))
    >>> handle = tg.autograd.graph.register_multi_grad_hook((a, b), lambda grads: print(grads))
    >>> (a * b).backward()
    [tensor(3.), tensor(2.)]
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    edges = [edge_of(t) for t in tensors]
    if None in edges:
        raise RuntimeError(
            f"cannot register a hook on a tensor that doesn't require gradient: tensors[{edges.index(None)}]"
        )
    group = _Group(fn, edges, mode == "all")
    return MultiHandle([t.register_hook(functools.partial(group.arrived, i)) for i, t in enumerate(tensors)])


class _Group:
    """What a hook of several tensors knows of the backward under way."""

    def __init__(self, fn: Callable[..., Any], edges: list[Any], wait: bool) -> None:
        self.fn, self.wait, self.count = fn, wait, len(edges)
        # Weakly: the hooks live at these nodes, and a node must not keep itself alive.
        self.edges = [weakref.ref(edge) for edge in edges]
        self.lock = threading.Lock()
        self.walks: dict[int, tuple[set[int], list[Any]]] = {}  # per backward: who is awaited, and what has come
        self.last = 0

    def arrived(self, i: int, g: Any) -> None:
        number, order, useful = thread.walk
        if not self.wait:
            with self.lock:
                first, self.last = self.last != number, number
            if first:
                self.fn(g)
            return
        with self.lock:
            if number not in self.walks:
                self.walks = {number: (self._reached(order, useful), [None] * self.count)}
            awaited, gradients = self.walks[number]
            gradients[i] = g
            awaited.discard(i)
        if not awaited:
            self.fn(self.walks.pop(number)[1])

    def _reached(self, order: list[Any], useful: set[Any] | None) -> set[int]:
        nodes = set(order)
        nodes.update(edge for node in order for edge in node.edges if edge is not None)
        return {i for i, edge in enumerate(self.edges) if edge() in nodes and (useful is None or edge() in useful)}
