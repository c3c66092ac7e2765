"""Hooks of a Module: functions called before and after its forward, and when gradients pass through it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ...autograd import RemovableHandle
from ...op import TensorBase, op

if TYPE_CHECKING:
    from .module import Module

Hook = Callable[..., Any]
Gradients = tuple[Any, ...]

passing = op(
    "backward_hook_function",
    lambda x: x,
    vjp=lambda g: g,
    numpy="{x}",
    domain=(-2, 2),
    grad_name="BackwardHookFunctionBackward",
)


class Hooks:
    """The hooks of one module; made when the first is registered, so that a module without any pays one look."""

    def __init__(self) -> None:
        self.forward_pre: dict[int, tuple[Hook, bool]] = {}  # with_kwargs
        self.forward: dict[int, tuple[Hook, bool, bool]] = {}  # with_kwargs, always_call
        self.backward_pre: dict[int, Hook] = {}
        self.backward: dict[int, Hook] = {}
        self.state_dict_pre: dict[int, Hook] = {}
        self.state_dict: dict[int, Hook] = {}
        self.load_state_dict_pre: dict[int, Hook] = {}
        self.load_state_dict: dict[int, Hook] = {}


def added(hooks: dict[int, Any], entry: Any, *, prepend: bool = False) -> RemovableHandle:
    """Add an entry, at the front on request."""
    before = dict(hooks)
    handle = RemovableHandle(hooks, entry)
    if prepend:
        for key in before:
            hooks[key] = hooks.pop(key)
    return handle


def call(module: Module, hooks: Hooks, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a module with its hooks."""
    for hook, with_kwargs in list(hooks.forward_pre.values()):
        if with_kwargs:
            changed = hook(module, args, kwargs)
            if changed is None:
                continue
            if not (isinstance(changed, tuple) and len(changed) == 2):
                raise RuntimeError(
                    f"forward pre-hook must return None or a tuple (new_args, new_kwargs), got {changed}"
                )
            args, kwargs = changed
        else:
            changed = hook(module, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
    called: set[int] = set()
    try:
        crossing = None
        if hooks.backward or hooks.backward_pre:
            crossing = Crossing(module, list(hooks.backward_pre.values()), list(hooks.backward.values()))
            args = crossing.into(args)
        versions = [x._version[0] for x in args if isinstance(x, TensorBase)] if crossing else []
        result = module.forward(*args, **kwargs)
        if crossing and versions != [x._version[0] for x in args if isinstance(x, TensorBase)]:
            raise RuntimeError(
                f"{type(module).__name__}.forward wrote into its input in place, so its backward hooks cannot see the "
                f"gradient of what it was: write inplace=False, or x = x.clone() first, or remove the hooks"
            )
        for key, (hook, with_kwargs, _) in list(hooks.forward.items()):
            called.add(key)
            changed = hook(module, args, kwargs, result) if with_kwargs else hook(module, args, result)
            if changed is not None:
                result = changed
        return result if crossing is None else crossing.out_of(result)
    except Exception:
        for key, (hook, with_kwargs, always) in list(hooks.forward.items()):
            if always and key not in called:
                _call_after_failure(module, hook, args, kwargs, with_kwargs)
        raise


def _call_after_failure(module: Module, hook: Hook, args: Any, kwargs: Any, with_kwargs: bool) -> None:
    """Call a hook that wants to be called in any case; the failure of forward is what the caller is to see."""
    try:
        if with_kwargs:
            hook(module, args, kwargs, None)
        else:
            hook(module, args, None)
    except Exception as error:  # noqa: BLE001 -- it is told, and the first error goes on
        warnings.warn(
            f"module forward hook with ``always_call=True`` raised an exception that was silenced as another error was "
            f"raised in forward: {error}",
            stacklevel=4,
        )


class Crossing:
    """One call of a module as gradients will cross it backward: in at its outputs, out at its inputs."""

    def __init__(self, module: Module, before: Sequence[Hook], after: Sequence[Hook]) -> None:
        self.module, self.before, self.after = module, before, after
        self.inputs = 0
        self.reaches_inputs = False
        self.grad_output: Gradients | None = None

    def into(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Prepare what goes into forward."""
        self.inputs = len(args)
        tapped = tapped_by(self.at_inputs, args)
        self.reaches_inputs = any(a is not b for a, b in zip(args, tapped, strict=True))
        return tapped

    def out_of(self, result: Any) -> Any:
        """Prepare what came out of forward."""
        if isinstance(result, TensorBase):
            return tapped_by(self.at_outputs, (result,))[0]
        if isinstance(result, (tuple, list)):
            items = tapped_by(self.at_outputs, result)
            return type(result)(*items) if hasattr(result, "_fields") else type(result)(items)
        warnings.warn(
            f"For backward hooks to be called, module output should be a Tensor or a tuple of Tensors but "
            f"{type(self.module).__name__} returned {type(result).__name__}",
            stacklevel=4,
        )
        return result

    def at_outputs(self, grads: Gradients) -> Gradients:
        """The gradients of all outputs are known."""
        for hook in self.before:
            grads = _replaced(grads, hook(self.module, grads), "grad_output")
        self.grad_output = grads
        if not self.reaches_inputs:
            for hook in self.after:
                changed = hook(self.module, (None,) * self.inputs, grads)
                if changed is not None and any(g is not None for g in _tuple(changed)):
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always return None or "
                        "None for all gradients."
                    )
        return grads

    def at_inputs(self, grads: Gradients) -> Gradients:
        """The gradients of all inputs are known."""
        grad_output, self.grad_output = self.grad_output, None
        if grad_output is None:
            return grads  # of a gradient: it did not come through the outputs
        for hook in self.after:
            grads = _replaced(grads, hook(self.module, grads, grad_output), "grad_input")
        return grads


def _tuple(x: Any) -> Gradients:
    return x if isinstance(x, tuple) else (x,)


def _replaced(grads: Gradients, changed: Any, name: str) -> Gradients:
    if changed is None:
        return grads
    result = _tuple(changed)
    if len(result) != len(grads):
        counts = f"got {len(result)}, but expected {len(grads)}"
        raise RuntimeError(f"Backward hook returned an invalid number of {name}, {counts}")
    return result


def tapped_by(fn: Callable[[Gradients], Gradients], values: Sequence[Any]) -> tuple[Any, ...]:
    """Let ``fn`` see, and perhaps replace, the gradients of the tensors among ``values``, all at once.

    Each tensor passes two nodes. Backward takes nodes last recorded first, so it comes to every second node before any
    first one: the second ones collect the gradients, the first ones hand on what ``fn`` makes of them.
    """
    collected: dict[int, Any] = {}
    ready: dict[int, Any] = {}
    count = len(values)  # the hooks live on the tape: they must not keep the tensors

    def collect(i: int, g: Any) -> None:
        collected[i] = g

    def release(i: int, g: Any) -> Any:
        if i not in ready:
            known = {**collected, i: g}
            collected.clear()
            changed = fn(tuple(known.get(j) for j in range(count)))
            ready.update({j: changed[j] for j in known})
        return ready.pop(i)

    def observed(hook: Callable[[int, Any], Any]) -> None:
        for i, x in enumerate(out):
            if isinstance(x, TensorBase) and x.requires_grad:  # type: ignore[attr-defined]
                out[i] = passing(x)
                out[i]._version = x._version  # the storage is one
                if out[i]._node is not None:
                    out[i].register_hook(lambda g, i=i: hook(i, g))

    out = list(values)
    observed(release)
    observed(collect)
    return tuple(out)
