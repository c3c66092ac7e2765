"""Anomaly mode: stop at the op whose rule made a NaN."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import numpy as np

from ..op import Node, TensorBase


class Anomaly:
    """Whether rules are watched, and the check itself."""

    enabled = False
    check_nan = True

    @staticmethod
    def check(node: Node, g: Any) -> None:
        """Raise if a rule of ``node`` returned NaN."""
        array = g._array if isinstance(g, TensorBase) else np.asarray(g)
        if Anomaly.check_nan and array.dtype.kind in "fc" and np.isnan(array).any():
            where = tuple(int(k) for k in np.argwhere(np.isnan(array))[0])
            raise RuntimeError(
                f"Function '{node.name()}' returned nan values in its gradient: the first at index {where} of shape "
                f"{list(array.shape)}. The op was recorded at {node.line}."
            )


class set_detect_anomaly:  # noqa: N801 -- PyTorch's spelling
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
        Anomaly.enabled, Anomaly.check_nan = mode, check_nan

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        Anomaly.enabled, Anomaly.check_nan = self._before


class detect_anomaly(set_detect_anomaly):  # noqa: N801 -- PyTorch's spelling
    """Raise at the op whose rule returns NaN, naming the op and the user's line that recorded it.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor([0.0, 1.0], requires_grad=True)
    >>> with tg.autograd.detect_anomaly():  # doctest: +ELLIPSIS
    ...     (x * x.log()).sum().backward()
    Traceback (most recent call last):
    RuntimeError: Function 'LogBackward0' returned nan values in its gradient: the first at index (0,) of shape [2]...
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
