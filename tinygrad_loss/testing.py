"""What a test suite of gradients needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .autograd import GradientReport, verify


def assert_gradients(fn: Callable[..., Any], inputs: Any, **options: Any) -> GradientReport:
    """Raise AssertionError, with the report as its text, unless ``verify(fn, inputs)`` passes.

    Parameters
    ----------
    fn, inputs, options
        As for ``autograd.verify``.

    Returns
    -------
    GradientReport

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> report = tg.testing.assert_gradients(tg.sigmoid, tg.tensor([0.5, -2.0]))
    >>> tg.testing.assert_gradients(lambda x: (x.detach() * x).sum(), tg.tensor([0.5]))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    AssertionError: FAIL: gradient with respect to input [1]
    ...
    """
    __tracebackhide__ = True
    report = verify(fn, inputs, **options)
    if not report:
        raise AssertionError(str(report))
    return report
