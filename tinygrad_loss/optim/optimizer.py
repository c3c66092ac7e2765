"""What every optimizer has: parameter groups, state, hooks, and the state dict that holds it all."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from ..autograd import RemovableHandle
from ..op import TensorBase, written
from .groups import complete, pack, required, unpack

__all__ = ["Optimizer", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook", "required"]

Hooks = dict[int, Callable[..., Any]]
_HOOKS = ("_step_pre", "_step_post", "_state_dict_pre", "_state_dict_post", "_load_pre", "_load_post")
_all_step_pre: Hooks = {}
_all_step_post: Hooks = {}


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` before each step of any optimizer; it may return new (args, kwargs)."""
    return RemovableHandle(_all_step_pre, hook)


def register_optimizer_step_post_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` after each step of any optimizer."""
    return RemovableHandle(_all_step_post, hook)


def _observed(step: Callable[..., Any]) -> Callable[..., Any]:
    """A ``step`` that calls the hooks, and leaves a mark for the schedulers."""

    @functools.wraps(step)
    def call(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        self._opt_called = True
        if not (self._step_pre or self._step_post or _all_step_pre or _all_step_post) or self._inside:
            return step(self, *args, **kwargs)
        self._inside = True  # the step of a subclass may call that of its parent
        args = (self, *args)
        try:
            for hook in [*_all_step_pre.values(), *self._step_pre.values()]:
                changed = hook(self, args, kwargs)
                if changed is not None:
                    if not isinstance(changed, tuple) or len(changed) != 2:
                        raise RuntimeError(
                            f"a step pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed}."
                        )
                    args, kwargs = changed
            result = step(*args, **kwargs)
            for hook in [*self._step_post.values(), *_all_step_post.values()]:
                hook(self, args, kwargs)
            return result
        finally:
            self._inside = False

    return call


class Optimizer:
    """Base class of all optimizers; a subclass of yours defines ``step``.

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
        What to optimize; a dict is a parameter group: its ``"params"`` and the options in which it differs.
    defaults : dict
        The options of a group that does not set them.

    Raises
    ------
    TypeError
        If ``params`` is one Tensor, a set, or holds anything but Tensors.
    ValueError
        If it is empty, or names a computed Tensor or one that another group has.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> class SignSGD(tg.optim.Optimizer):
    ...     def __init__(self, params, lr):
    ...         super().__init__(params, {"lr": lr})
    ...
    ...     def step(self):
    ...         for group in self.param_groups:
    ...             for p in group["params"]:
    ...                 p.data -= group["lr"] * p.grad.sign()
    >>> w = tg.tensor([1.0, -2.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> SignSGD([w], lr=0.5).step()
    >>> w
    tensor([ 0.5000, -1.5000], requires_grad=True)
    """

    defaults: dict[str, Any]
    param_groups: list[dict[str, Any]]
    _opt_called = False
    _scheduled = False  # whether a scheduler wants to know that
    _inside = False
    _step_pre: Hooks
    _step_post: Hooks
    _state_dict_pre: Hooks
    _state_dict_post: Hooks
    _load_pre: Hooks
    _load_post: Hooks

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _observed(cls.step)  # type: ignore[method-assign]

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        for name in _HOOKS:
            setattr(self, name, {})
        if isinstance(params, TensorBase):
            raise TypeError(
                f"params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                f"{type(params).__name__}; write [x] for one Tensor"
            )
        self.defaults = defaults
        self._state: defaultdict[Any, Any] = defaultdict(dict)
        self.param_groups = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list: pass model.parameters() or a list of Tensors")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    @property
    def state(self) -> defaultdict[Any, Any]:
        """What the optimizer remembers of each parameter: a dict of Tensors by name."""
        return self._state

    @state.setter
    def state(self, value: defaultdict[Any, Any]) -> None:
        self._state = value

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters once, by their ``grad``.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss and its gradients anew; its result is returned.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no step()")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or set them to zero.

        Parameters
        ----------
        set_to_none : bool
            With False gradients are filled with zeros, and a step then still applies momentum and weight decay.
        """
        if set_to_none:
            for group in self.param_groups:
                for p in group["params"]:
                    p._grad = None
            return
        for group in self.param_groups:
            for p in group["params"]:
                grad = p._grad
                if grad is not None:
                    grad._node, grad._requires_grad = None, False
                    grad._array[...] = 0
                    written(grad, "zero_grad")

    # --- parameter groups ---------------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, such as layers that are no longer frozen; either whole or not at all.

        Parameters
        ----------
        param_group : dict
            ``"params"``, and options; those it does not set are the optimizer's defaults.
        """
        complete(param_group, self.param_groups, self.defaults)
        self.param_groups.append(param_group)

    def __repr__(self) -> str:
        groups = ""
        for i, group in enumerate(self.param_groups):
            options = "".join(f"    {key}: {group[key]}\n" for key in sorted(group) if key != "params")
            groups += f"\nParameter Group {i}\n{options}"
        return f"{type(self).__name__} ({groups})"

    # --- hooks --------------------------------------------------------------------------------------------------

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each step; it may return new (args, kwargs).

        ``args`` begins with the optimizer, then comes the closure if one was given.
        """
        return RemovableHandle(self._step_pre, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        return RemovableHandle(self._step_post, hook)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` before ``state_dict`` looks."""
        return _register(self._state_dict_pre, hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` on what ``state_dict`` made; it may return another."""
        return _register(self._state_dict_post, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` on a shallow copy of what is to be loaded; it may return another."""
        return _register(self._load_pre, hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` after a state dict was loaded."""
        return _register(self._load_post, hook, prepend)

    # --- the state dict -----------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return everything that a later run needs to go on, in PyTorch's format.

        Returns
        -------
        dict
            ``"state"``: for each parameter's number its Tensors by name (the optimizer's own, not copies);
            ``"param_groups"``: the options of each group, and the numbers of its parameters.

        Examples
        --------
        >>> import tinygrad_loss as tg
        >>> w = tg.tensor([1.0], requires_grad=True)
        >>> tg.optim.SGD([w], lr=0.1).state_dict()["param_groups"][0]["params"]
        [0]
        """
        for hook in self._state_dict_pre.values():
            hook(self)
        result = pack(self.param_groups, self._state)
        for hook in self._state_dict_post.values():
            changed = hook(self, result)
            result = result if changed is None else changed
        return result

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state dict, which is copied; either whole or not at all.

        Parameters
        ----------
        state_dict : dict
            What ``state_dict()`` returned, here or of an optimizer with as many groups of as many parameters.

        Raises
        ------
        ValueError
            If the numbers of groups or of their parameters differ.
        """
        state_dict = dict(state_dict)
        for hook in self._load_pre.values():
            changed = hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        self._restore(*unpack(state_dict, self.param_groups))
        for hook in self._load_post.values():
            hook(self)

    def _restore(self, state: defaultdict[Any, Any], param_groups: list[dict[str, Any]]) -> None:
        """Take over state and groups that were loaded; a subclass checks and completes them first."""
        self.state, self.param_groups = state, param_groups

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self._state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name in _HOOKS:
            setattr(self, name, {})
        self.defaults = state["defaults"]
        self._restore(state["state"], state["param_groups"])


def _register(hooks: Hooks, hook: Callable[..., Any], prepend: bool) -> RemovableHandle:
    before = list(hooks.items())
    handle = RemovableHandle(hooks, hook)
    if prepend:
        for key, other in before:
            del hooks[key]
            hooks[key] = other
    return handle
