"""A module's state as a dictionary: collected, checked as a whole, and loaded."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...op import TensorBase, user_location, written
from ..parameter import Parameter
from .members import tree

if TYPE_CHECKING:
    from .module import Module

EXTRA = "_extra_state"


class IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What ``load_state_dict`` returns: the names that it did not find, and those that it had no use for."""

    __slots__ = ()

    def __repr__(self) -> str:
        return super().__repr__() if self.missing_keys or self.unexpected_keys else "<All keys matched successfully>"


def collect(module: Module, destination: Any, prefix: str, keep_vars: bool) -> None:
    """Put parameters, persistent buffers and extra state of a module and of those below it into a dictionary."""
    hooks = module._hooks
    if hooks is not None:
        for hook in list(hooks.state_dict_pre.values()):
            hook(module, prefix, keep_vars)
    metadata = {"version": module._version}
    if hasattr(destination, "_metadata"):
        destination._metadata[prefix[:-1]] = metadata
    attributes = module.__dict__
    for name in own_names(module):
        value = attributes[name]
        if value is not None:
            destination[prefix + name] = value if keep_vars else value.detach()
    if has_extra_state(module, "get_extra_state"):
        destination[prefix + EXTRA] = module.get_extra_state()
    for name in module._module_names:
        if attributes[name] is not None:
            attributes[name].state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
    if hooks is not None:
        for hook in list(hooks.state_dict.values()):
            hook(module, destination, prefix, metadata)


def own_names(module: Module) -> list[str]:
    """The names of a module's own parameters and persistent buffers."""
    return [*module._parameter_names, *(name for name, persistent in module._buffer_names.items() if persistent)]


def has_extra_state(module: Module, method: str) -> bool:
    """Tell whether a class has overridden ``get_extra_state`` or ``set_extra_state``."""
    return not getattr(getattr(type(module), method), "_inert", False)


class Loading:
    """One ``load_state_dict``: everything is checked, and only then anything is changed."""

    def __init__(self, given: Mapping[str, Any], strict: bool, assign: bool) -> None:
        self.given = OrderedDict(given)
        self.strict, self.assign = strict, assign
        self.missing: list[str] = []
        self.unexpected: list[str] = []
        self.errors: list[str] = []
        self.used: set[str] = set()
        self.changes: list[Callable[[], Any]] = []

    def plan(self, module: Module, prefix: str) -> None:
        """Match one module and those below it with what was given."""
        hooks = module._hooks
        if hooks is not None:
            for hook in list(hooks.load_state_dict_pre.values()):
                hook(module, self.given, prefix, {}, self.strict, self.missing, self.unexpected, self.errors)
        attributes = module.__dict__
        for name in own_names(module):
            if attributes[name] is not None:
                self._plan_tensor(module, name, prefix + name)
        if has_extra_state(module, "set_extra_state"):
            self._plan_extra_state(module, prefix + EXTRA)
        for name in module._module_names:
            if attributes[name] is not None:
                self.plan(attributes[name], f"{prefix}{name}.")

    def _plan_tensor(self, module: Module, name: str, key: str) -> None:
        if key not in self.given:
            self.missing.append(key)
            return
        self.used.add(key)
        target, value = module.__dict__[name], self.given[key]
        if not isinstance(value, TensorBase):
            self.errors.append(
                f'While copying the parameter named "{key}", expected a Tensor from the checkpoint but received '
                f"{type(value).__name__}: write tensor(...)."
            )
        elif value._array.shape != target._array.shape and not _is_old_scalar(value, target):
            self.errors.append(
                f"size mismatch for {key}: copying a param with shape {value.shape} from checkpoint, the shape in "  # type: ignore[attr-defined]
                f"current model is {target.shape}."
            )
        elif self.assign:
            self.changes.append(lambda: _assign(module, name, target, value))
        elif not target._array.flags.writeable:
            self.errors.append(
                f"{key} is on a read-only array: write load_state_dict(..., assign=True), or copy it first."
            )
        else:
            self.changes.append(lambda: _copy(target, value))

    def _plan_extra_state(self, module: Module, key: str) -> None:
        if key not in self.given:
            self.missing.append(key)
            return
        self.used.add(key)
        self.changes.append(lambda: module.set_extra_state(self.given[key]))

    def finish(self, module: Module) -> IncompatibleKeys:
        """Raise with all that does not fit, or change everything."""
        self.unexpected += [key for key in self.given if key not in self.used]
        result = IncompatibleKeys(self.missing, self.unexpected)
        errors = list(self.errors)
        if self.strict:
            for what, keys in (("Unexpected", self.unexpected), ("Missing", self.missing)):
                if keys:
                    errors.insert(0, f"{what} key(s) in state_dict: {', '.join(map(_quoted, keys))}. ")
        if errors:
            lines = "\n\t".join(errors)
            raise RuntimeError(f"Error(s) in loading state_dict for {type(module).__name__}:\n\t{lines}")
        for change in self.changes:
            change()
        for loaded in tree(module):
            for hook in list(loaded._hooks.load_state_dict.values()) if loaded._hooks is not None else ():
                hook(loaded, result)
        return result


def _quoted(key: str) -> str:
    return f'"{key}"'


def _is_old_scalar(value: Any, target: Any) -> bool:
    """Files of old PyTorch hold one element where a 0-d tensor is now."""
    return bool(target._array.shape == () and value._array.shape == (1,))


def _copy(target: Any, value: Any) -> None:
    with np.errstate(all="ignore"):
        target._array[...] = value._array.reshape(target._array.shape)
    written(target, "load_state_dict", user_location())


def _assign(module: Module, name: str, target: Any, value: Any) -> None:
    if isinstance(target, Parameter):
        value = Parameter(value, target._requires_grad)
    setattr(module, name, value)
