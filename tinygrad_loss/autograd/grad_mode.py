"""Whether operations are recorded: context managers that also work as decorators."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from ..op import mode

Function = TypeVar("Function", bound=Callable[..., Any])


class _Recording:
    """A context manager and decorator that sets the grad mode of this thread."""

    value = True

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        self._before: list[bool] = []
        self._function = function
        if function is not None:
            functools.update_wrapper(self, function)

    def __enter__(self) -> None:
        self._before.append(mode.grad)
        mode.grad = self.value

    def __exit__(self, *exception: object) -> None:
        mode.grad = self._before.pop()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._function is not None:  # @no_grad without parentheses
            with type(self)():
                return self._function(*args, **kwargs)
        return self._decorate(*args)

    def _decorate(self, function: Function) -> Function:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return call  # type: ignore[return-value]


class no_grad(_Recording):  # noqa: N801 -- PyTorch's spelling
    """Do not record: what is computed inside needs no gradient.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> x = tg.tensor(1.0, requires_grad=True)
    >>> with tg.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    value = False


class enable_grad(_Recording):  # noqa: N801 -- PyTorch's spelling
    """Record again inside ``no_grad``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> with tg.no_grad(), tg.enable_grad():
    ...     tg.is_grad_enabled()
    True
    """

    value = True


class set_grad_enabled(_Recording):  # noqa: N801 -- PyTorch's spelling
    """Record or not, from the call on, or inside a ``with``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> with tg.set_grad_enabled(False):
    ...     tg.is_grad_enabled()
    False
    """

    def __init__(self, mode_: bool) -> None:
        super().__init__()
        self.value = bool(mode_)
        self._at_call = mode.grad
        mode.grad = self.value

    def __enter__(self) -> None:
        self._before.append(self._at_call)
        mode.grad = self.value

    def _decorate(self, function: Function) -> Function:
        mode.grad = self._at_call  # as a decorator it acts in the function alone
        return super()._decorate(function)


class inference_mode(_Recording):  # noqa: N801 -- PyTorch's spelling
    """Do not record; here the same as ``no_grad``, which costs no more.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> with tg.inference_mode():
    ...     tg.is_inference_mode_enabled()
    True
    """

    def __init__(self, mode: Any = True) -> None:
        super().__init__(mode if callable(mode) else None)
        self.enabled = True if callable(mode) else bool(mode)

    def __enter__(self) -> None:
        self._before += [mode.grad, mode.inference]
        if self.enabled:
            mode.grad, mode.inference = False, True
        else:
            mode.inference = False

    def __exit__(self, *exception: object) -> None:
        mode.inference = self._before.pop()
        mode.grad = self._before.pop()


def is_grad_enabled() -> bool:
    """Tell whether operations are recorded.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.is_grad_enabled()
    True
    """
    return mode.grad


def is_inference_mode_enabled() -> bool:
    """Tell whether ``inference_mode`` is on.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.is_inference_mode_enabled()
    False
    """
    return mode.inference
