"""Anomaly mode: stop at the op whose rule made a NaN, and say whether the forward had one already."""

from __future__ import annotations

import linecache
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar

import numpy as np

from ..op import Node, Row, TensorBase, Trace


class Anomaly:
    """Whether rules are watched, and what was seen."""

    enabled = False
    check_nan = True
    # The nodes whose op made a NaN out of operands without one, while anomaly mode was on.
    sources: ClassVar[weakref.WeakSet[Node]] = weakref.WeakSet()
    outer: Callable[..., None] | None = None  # who listened to calls before

    @staticmethod
    def check(node: Node, i: int, g: Any) -> None:
        """Raise if the gradient that ``node`` returned for its operand ``i`` holds NaN."""
        if not Anomaly.check_nan or not has_nan(g):
            return
        array = array_of(g)
        where = tuple(int(k) for k in np.argwhere(np.isnan(array))[0])
        raise RuntimeError(
            f"Function '{node.name()}' returned nan values in its {i}th output: the gradient of its operand {i}, of "
            f"shape {list(array.shape)}, has {np.isnan(array).sum()} of them, the first at index {where}. The op was "
            f"recorded at {_quoted(node)}.{_forward_hint(node)}"
        )


def array_of(x: Any) -> Any:
    """The ndarray of a Tensor; anything else as it is."""
    return x._array if isinstance(x, TensorBase) else x


def has_nan(x: Any) -> bool:
    """Tell whether an array or Tensor holds NaN."""
    array = np.asarray(array_of(x))
    return array.dtype.kind in "fc" and bool(np.isnan(array).any())


def _quoted(node: Node) -> str:
    """Where a node was recorded, with the source text if it can be read."""
    file, _, number = node.line.rpartition(":")
    text = linecache.getline(file, int(number)).strip()
    return f"{node.line}: {text}" if text else node.line


def _forward_hint(node: Node) -> str:
    below, stack = {node}, [node]
    while stack:
        new = {edge for edge in stack.pop().edges if isinstance(edge, Node)} - below
        below |= new
        stack += new
    guilty = [n for n in below if n in Anomaly.sources]
    if not guilty:
        return ""
    first = min(guilty, key=lambda n: n.seq)
    return f" The forward had made a NaN before: {first.name()}, recorded at {_quoted(first)}."


def _listen(row: Row, operands: tuple[Any, ...], params: dict[str, Any], result: Any) -> None:
    """Note where the forward makes NaN, and pass the call on to who listened before."""
    if Anomaly.outer is not None:
        Anomaly.outer(row, operands, params, result)
    first = result[0] if isinstance(result, tuple) else result
    known = not Anomaly.enabled or first._node is None or any(has_nan(x) for x in operands if x is not None)
    if not known and has_nan(first):
        Anomaly.sources.add(first._node)


def _switch(enabled: bool, check_nan: bool) -> None:
    if enabled and not Anomaly.enabled:
        Anomaly.outer, Trace.listener = Trace.listener, _listen
    elif Anomaly.enabled and not enabled and Trace.listener is _listen:
        Trace.listener = Anomaly.outer
    Anomaly.enabled, Anomaly.check_nan = enabled, check_nan


class set_detect_anomaly:
    """Turn anomaly mode on or off, as a call or as a context manager.

    Parameters
    ----------
    mode : bool
    check_nan : bool
        Raise where a rule returns NaN.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> with tg.autograd.set_detect_anomaly(True):
    ...     tg.is_anomaly_enabled()
    True
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = Anomaly.enabled, Anomaly.check_nan
        _switch(bool(mode), check_nan)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        _switch(*self._before)


class detect_anomaly(set_detect_anomaly):
    """Raise at the op whose rule returns NaN, naming the op and the user's line that recorded it.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([0.0, 1.0], requires_grad=True)
    >>> with tg.autograd.detect_anomaly():  # doctest: +ELLIPSIS
    ...     (x * x.log()).sum().backward()
    Traceback (most recent call last):
    RuntimeError: Function 'LogBackward0' returned nan values in its 0th output: the gradient of its operand 0...
    """

    def __init__(self, check_nan: bool = True) -> None:
        super().__init__(True, check_nan)


def is_anomaly_enabled() -> bool:
    """Tell whether anomaly mode is on.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.is_anomaly_enabled()
    False
    """
    return Anomaly.enabled
