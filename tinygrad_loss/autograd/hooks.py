"""Hooks: functions that see gradients on their way, and may replace them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import dtypes
from ..op import Node, TensorBase, wrap


def call_hooks(hooks: Iterable[Any], g: Any) -> Any:
    """Pass the gradient of a tensor through hooks, each of which may return another in its place."""
    tensor = g if isinstance(g, TensorBase) else wrap(g)
    for hook in list(hooks):
        result = hook(tensor)
        if result is not None:
            _check(result, tensor, hook)
            tensor = result
    return tensor if isinstance(g, TensorBase) else tensor._array


def _check(result: Any, given: TensorBase, hook: Any) -> None:
    name = getattr(hook, "__name__", type(hook).__name__)
    if not isinstance(result, TensorBase):
        raise TypeError(
            f"expected Variable, but hook returned '{type(result).__name__}': hook '{name}' must return None (leave "
            f"the gradient as it is) or a Tensor of shape {list(given._array.shape)}"
        )
    for what, was, got in (
        ("size", list(given._array.shape), list(result._array.shape)),
        ("type", dtypes.of(given._array), dtypes.of(result._array)),
    ):
        if was != got:
            raise RuntimeError(f"hook '{name}' has changed the {what} of value: was {was}, got {got}")


def arrive(node: Node, g: Any) -> Any:
    """Let those who watch a node see, and perhaps replace, the whole gradient that arrived there."""
    watch = node.watch
    assert watch is not None
    if watch.hooks:
        g = call_hooks(watch.hooks.values(), g)
    t = watch.retained() if watch.retained is not None else None
    if t is not None:
        t._grad = g if isinstance(g, TensorBase) else wrap(g.copy())
    return g


def before(node: Node, g: Any) -> Any:
    """Call the hooks that a node itself has, before its rules."""
    assert node.watch is not None
    for hook in list(node.watch.before.values()):
        result = hook(shown(g))
        if result is not None:
            g = _replaced(g, _as_tuple(result, len(shown(g))))
    return g


def after(node: Node, gradients: list[Any], g: Any) -> list[Any]:
    """Call the hooks that a node itself has, after its rules."""
    assert node.watch is not None
    for hook in list(node.watch.after.values()):
        tensors = tuple(x if x is None or isinstance(x, TensorBase) else wrap(x) for x in gradients)
        result = hook(tensors, shown(g))
        if result is not None:
            new = _as_tuple(result, len(gradients))
            gradients = [_like(n, x) for n, x in zip(new, gradients, strict=True)]
    return gradients


def shown(g: Any) -> tuple[Any, ...]:
    """The gradients of a node's outputs as hooks see them."""
    return g.parts() if isinstance(g, Several) else (g if isinstance(g, TensorBase) else wrap(g),)


def _replaced(g: Any, new: tuple[Any, ...]) -> Any:
    return Several(dict(enumerate(new)), len(new)) if isinstance(g, Several) else _like(new[0], g)


def _like(new: Any, old: Any) -> Any:
    return new._array if isinstance(new, TensorBase) and isinstance(old, np.ndarray) else new


def _as_tuple(result: Any, length: int) -> tuple[Any, ...]:
    if not isinstance(result, tuple):
        raise TypeError(
            f"expected tuple, but hook returned '{type(result).__name__}': return a tuple of {length} gradients"
        )
    if len(result) != length:
        raise RuntimeError(f"hook has changed the number of values: expected {length} gradients, got {len(result)}")
    return result


class Several(TensorBase):
    """The gradients of a node with several outputs, on their way to it as one; an output that got none is None."""

    _array = np.zeros(())
    shape = _array.shape
    dtype = _array.dtype

    def __init__(self, known: dict[int, Any], count: int) -> None:
        self.known, self.count = known, count

    def parts(self) -> tuple[Any, ...]:
        """One gradient for each output, as Tensors."""
        found = (self.known.get(i) for i in range(self.count))
        return tuple(x if x is None or isinstance(x, TensorBase) else wrap(x) for x in found)

    def __add__(self, other: Several) -> Several:
        known = dict(self.known)
        for i, g in other.known.items():
            known[i] = known[i] + g if i in known else g
        return Several(known, self.count)
