"""What every optimizer has: parameter groups, state, hooks, and the state dict that holds it all."""

from __future__ import annotations

import copy
import functools
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..autograd import RemovableHandle
from ..op import TensorBase, wrap

__all__ = ["Optimizer", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook", "required"]

Hooks = dict[int, Callable[..., Any]]
_HOOKS = ("_step_pre", "_step_post", "_state_dict_pre", "_state_dict_post", "_load_pre", "_load_post")
_all_step_pre: Hooks = {}
_all_step_post: Hooks = {}


class _Required:
    """The default of an option that every parameter group must set itself."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


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
        try:
            for hook in [*_all_step_pre.values(), *self._step_pre.values()]:
                changed = hook(self, args, kwargs)
                if changed is not None:
                    if not isinstance(changed, tuple) or len(changed) != 2:
                        raise RuntimeError(
                            f"a step pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed}."
                        )
                    args, kwargs = changed
            result = step(self, *args, **kwargs)
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
                    grad._version[0] += 1

    # --- parameter groups ---------------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, such as layers that are no longer frozen; either whole or not at all.

        Parameters
        ----------
        param_group : dict
            ``"params"``, and options; those it does not set are the optimizer's defaults.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}: write {{'params': [...]}}")
        if "params" not in param_group:
            raise KeyError(f"a parameter group needs 'params', got a dict with {sorted(map(str, param_group))}")
        params = param_group["params"]
        if isinstance(params, (set, frozenset)):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                "will change between runs. Please use a list instead."
            )
        entries = [params] if isinstance(params, TensorBase) else list(params)
        names = [entry[0] for entry in entries if isinstance(entry, tuple)]
        if names and len(names) != len(entries):
            raise ValueError("all optimizer params should be with/without names. Some param names are missing")
        tensors = [entry[1] if isinstance(entry, tuple) else entry for entry in entries]
        for p in tensors:
            if not isinstance(p, TensorBase):
                raise TypeError(
                    f"optimizer can only optimize Tensors, but one of the params is "
                    f"{type(p).__module__}.{type(p).__name__}"
                )
            if not (p.is_leaf or p.retains_grad):  # type: ignore[attr-defined]
                raise ValueError(
                    f"can't optimize a non-leaf Tensor: this one, of shape {list(p._array.shape)}, was computed. Pass "
                    f"the Tensor that it was computed from, or write x.detach().requires_grad_()"
                )
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
        for group in self.param_groups:
            if ("param_names" in group) != bool(names):
                raise ValueError(
                    f"all optimizer param groups should be with/without names. cannot add param group "
                    f"{'with' if names else 'without'} names to the optimizer"
                )
        if len(set(map(id, tensors))) != len(tensors):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error",
                stacklevel=3,
            )
        if not {id(p) for group in self.param_groups for p in group["params"]}.isdisjoint(map(id, tensors)):
            raise ValueError("some parameters appear in more than one parameter group")
        param_group["params"] = tensors
        if names:
            param_group["param_names"] = names
        for name, default in self.defaults.items():
            param_group.setdefault(name, default)
        self.param_groups.append(param_group)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])

    # --- hooks --------------------------------------------------------------------------------------------------

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each step; it may return new (args, kwargs)."""
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
        numbers: dict[int, int] = {}
        groups = []
        start = 0
        for group in self.param_groups:
            for i, p in enumerate(group["params"], start):
                numbers.setdefault(id(p), i)
            start += len(group["params"])
            packed = {key: value for key, value in group.items() if key != "params"}
            packed["params"] = [numbers[id(p)] for p in group["params"]]
            groups.append(packed)
        state = {
            numbers[id(key)] if isinstance(key, TensorBase) else key: dict(value) if isinstance(value, dict) else value
            for key, value in self._state.items()
        }
        result: dict[str, Any] = {"state": state, "param_groups": groups}
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
        if not {"state", "param_groups"} <= state_dict.keys():
            raise KeyError(
                f"an optimizer's state dict has 'state' and 'param_groups', got {sorted(map(str, state_dict))}"
            )
        saved = copy.deepcopy(state_dict["param_groups"])
        if len(saved) != len(self.param_groups):
            raise ValueError(
                f"loaded state dict has a different number of parameter groups: {len(saved)}, and the optimizer has "
                f"{len(self.param_groups)}"
            )
        params: dict[Any, Any] = {}
        for i, (group, new) in enumerate(zip(self.param_groups, saved, strict=True)):
            if len(new["params"]) != len(group["params"]):
                raise ValueError(
                    f"loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
                    f"group {i} has {len(new['params'])} parameters, the optimizer's {len(group['params'])}"
                )
            params.update(zip(new["params"], group["params"], strict=True))
            new["params"] = group["params"]
            if "param_names" in group:
                new.setdefault("param_names", group["param_names"])
        state: defaultdict[Any, Any] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in params:
                state[params[key]] = _copied(value, params[key], None)
            else:
                state[key] = value
        self._restore(state, saved)
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


def _copied(value: Any, param: TensorBase, name: Any) -> Any:
    """A copy of what a state dict holds of a parameter: floating point Tensors in its dtype, the step count as it is.

    PyTorch does not copy, so that two optimizers may come to share, and both change, one momentum buffer.
    """
    if isinstance(value, TensorBase):
        target = param._array.dtype if name != "step" and param._array.dtype.kind == "f" else value._array.dtype
        return wrap(np.array(value._array, dtype=target))
    if isinstance(value, dict):
        return {key: _copied(v, param, key) for key, v in value.items()}
    if isinstance(value, (list, tuple, set)):
        return type(value)(_copied(v, param, None) for v in value)
    return copy.deepcopy(value)
