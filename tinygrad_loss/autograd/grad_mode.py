"""Whether operations are recorded: context managers that also work as decorators."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator
from typing import Any, TypeVar, cast

from ..op import mode

Function = TypeVar("Function", bound=Callable[..., Any])


class _Recording:
    """A context manager and decorator that sets the grad mode of this thread."""

    def __init__(self) -> None:
        self._before: list[tuple[bool, bool]] = []

    def _modes(self) -> tuple[bool, bool]:
        """The grad mode and the inference mode to be set."""
        raise NotImplementedError

    def __enter__(self) -> None:
        self._before.append((mode.grad, mode.inference))
        mode.grad, mode.inference = self._modes()

    def __exit__(self, *exception: object) -> None:
        mode.grad, mode.inference = self._before.pop()

    def __call__(self, function: Function) -> Function:
        """Decorate a function: the mode holds while it runs."""
        if not callable(function):
            raise TypeError(f"{type(self).__name__} decorates a function, got {type(function).__name__}")
        if inspect.isgeneratorfunction(function):
            return cast(Function, self._decorate_generator(function))

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with _Set(self._modes()):
                return function(*args, **kwargs)

        return cast(Function, call)

    def _decorate_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Set the mode while the generator's own code runs, not while its consumer's does."""

        @functools.wraps(function)
        def generate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            generator = function(*args, **kwargs)
            resume: Callable[..., Any] = generator.send
            sent: Any = None
            while True:
                try:
                    with _Set(self._modes()):
                        value = resume(sent)
                except StopIteration as end:
                    return end.value
                try:
                    sent = yield value
                    resume = generator.send
                except GeneratorExit:
                    with _Set(self._modes()):
                        generator.close()
                    raise
                except BaseException as error:  # noqa: BLE001 -- it is handed to the generator, whose affair it is
                    sent, resume = error, generator.throw

        return generate


class _Set(_Recording):
    """One for a single call: a decorated function may recurse or run in several threads."""

    def __init__(self, modes: tuple[bool, bool]) -> None:
        super().__init__()
        self.modes = modes

    def _modes(self) -> tuple[bool, bool]:
        return self.modes


class _Plain(_Recording):
    """One without arguments: the parentheses may be left out when it decorates."""

    def __new__(cls, function: Any = None) -> Any:
        """Make a context manager, or decorate."""
        one = super().__new__(cls)
        if function is None:
            return one
        one.__init__()  # type: ignore[misc]
        return one(function)

    def __init__(self, function: None = None) -> None:
        super().__init__()


class no_grad(_Plain):
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

    def _modes(self) -> tuple[bool, bool]:
        return False, mode.inference


class enable_grad(_Plain):
    """Record again inside ``no_grad``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> with tg.no_grad(), tg.enable_grad():
    ...     tg.is_grad_enabled()
    True
    """

    def _modes(self) -> tuple[bool, bool]:
        return True, mode.inference


class set_grad_enabled(_Recording):
    """Record or not, from the call on, or inside a ``with``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> with tg.set_grad_enabled(False):
    ...     tg.is_grad_enabled()
    False
    """

    def __init__(self, mode: bool) -> None:
        super().__init__()
        if not isinstance(mode, bool):
            raise TypeError(f"set_grad_enabled(): argument 'mode' must be bool, not {type(mode).__name__}")
        self.mode = mode
        self._at_call: bool | None = _exchange(mode)

    def _modes(self) -> tuple[bool, bool]:
        return self.mode, mode.inference

    def __enter__(self) -> None:
        # The first `with` leads back to what was before the call.
        before, self._at_call = (mode.grad if self._at_call is None else self._at_call), None
        self._before.append((before, mode.inference))
        mode.grad = self.mode

    def __call__(self, function: Function) -> Function:
        """Decorate a function: the mode holds while it runs, and there alone."""
        if self._at_call is not None:  # as a decorator it acts in the function alone
            mode.grad, self._at_call = self._at_call, None
        return super().__call__(function)


def _exchange(grad: bool) -> bool:
    before, mode.grad = mode.grad, grad
    return before


class inference_mode(_Recording):
    """Do not record; here the same as ``no_grad``, which costs no more.

    Parameters
    ----------
    mode : bool
        With False, record inside.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> with tg.inference_mode():
    ...     tg.is_inference_mode_enabled()
    True
    """

    def __new__(cls, mode: Any = True) -> Any:
        """Make a context manager, or decorate where it is written without parentheses."""
        one = super().__new__(cls)
        if not callable(mode):
            return one
        one.__init__()  # type: ignore[misc]
        return one(mode)

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self.mode = bool(mode)

    def _modes(self) -> tuple[bool, bool]:
        return not self.mode, self.mode


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
