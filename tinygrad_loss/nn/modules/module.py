"""The class Module: what every layer and model is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from ... import dtypes
from ...autograd import RemovableHandle
from ...op import TensorBase, written
from ...ops.create import device_is_cpu
from ...tensor import Tensor
from ..parameter import Buffer, Parameter
from . import hooks, state
from .hooks import Hooks
from .members import BUFFERS, MODULES, PARAMETERS, Members, NotInitialized, tree

__all__ = ["Module"]

Self = TypeVar("Self", bound="Module")
Named = Iterator[tuple[str, Any]]
_KINDS = {PARAMETERS: "parameters", BUFFERS: "buffer", MODULES: "module"}


def _members(kind: str) -> Any:
    def set_members(self: Module, values: Mapping[str, Any]) -> None:
        values = dict(values)
        members = Members(self, kind)
        members.clear()
        members.update(values)

    return property(lambda self: Members(self, kind), set_members)


def _hook_dict(name: str) -> Any:
    return property(
        lambda self: getattr(self._own_hooks(), name), lambda self, value: setattr(self._own_hooks(), name, value)
    )


def _missing_forward(self: Module, *args: Any, **kwargs: Any) -> Any:
    raise NotImplementedError(
        f'Module [{type(self).__name__}] is missing the required "forward" function: write def forward(self, input) in '
        f"class {type(self).__name__}"
    )


def _inert(method: Any) -> Any:
    method._inert = True
    return method


class Module:
    """A part of a model: it holds parameters, buffers and other modules, and ``forward`` says what it computes.

    Subclasses call ``super().__init__()`` first, then assign their parts as attributes, which registers them.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> class Scale(tg.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = tg.nn.Parameter(tg.tensor(2.0))
    ...
    ...     def forward(self, x):
    ...         return self.factor * x
    >>> model = Scale()
    >>> model(tg.tensor([1.0, 2.0]))
    tensor([2., 4.], grad_fn=<MulBackward0>)
    >>> [name for name, _ in model.named_parameters()]
    ['factor']
    """

    training: bool = True
    forward: Callable[..., Any] = _missing_forward
    _version = 1  # of the layout of its state_dict
    _hooks: Hooks | None = None
    _direct = True  # calling it is calling forward: it has no hooks and does not override __call__
    _parameter_names: dict[str, Any] = NotInitialized()  # type: ignore[assignment]
    _buffer_names: dict[str, Any] = NotInitialized()  # type: ignore[assignment]
    _module_names: dict[str, Any] = NotInitialized()  # type: ignore[assignment]

    _parameters: Any = _members(PARAMETERS)
    _buffers: Any = _members(BUFFERS)
    _modules: Any = _members(MODULES)
    _forward_pre_hooks: Any = _hook_dict("forward_pre")
    _forward_hooks: Any = _hook_dict("forward")
    _backward_pre_hooks: Any = _hook_dict("backward_pre")
    _backward_hooks: Any = _hook_dict("backward")

    def __init__(self) -> None:
        attributes = self.__dict__
        attributes["training"] = True
        for kind in _KINDS:
            attributes[kind] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._direct = cls.__call__ is Module.__call__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the hooks and ``forward``."""
        if self._hooks is not None:
            return hooks.call(self, self._hooks, args, kwargs)
        return self.forward(*args, **kwargs) if kwargs else self.forward(*args)

    # --- members ------------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Parameter):
            self._forget(name, PARAMETERS)
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            self._forget(name, MODULES)
            Members(self, MODULES)[name] = value
        elif isinstance(value, Buffer):
            self._forget(name, BUFFERS)
            self.register_buffer(name, value, value.persistent)
        else:
            attributes = self.__dict__
            if value is not None:
                if name in attributes.get(PARAMETERS, ()):
                    raise _cannot_assign(value, "parameter", name, "nn.Parameter or None")
                if name in attributes.get(MODULES, ()):
                    raise _cannot_assign(value, "child module", name, "nn.Module or None")
                if name in attributes.get(BUFFERS, ()) and not isinstance(value, Tensor):
                    raise _cannot_assign(value, "buffer", name, "nn.Buffer, Tensor or None")
            super().__setattr__(name, value)

    def _forget(self, name: str, kind: str) -> None:
        """Make room for a member where an attribute or a member of another kind stands."""
        attributes = self.__dict__
        if kind not in attributes:
            raise AttributeError(
                f"cannot assign {_KINDS[kind]} before Module.__init__() call: write super().__init__() as the first "
                f"line of {type(self).__name__}.__init__"
            )
        if name not in attributes[kind]:
            for names in _KINDS:
                attributes[names].pop(name, None)
            attributes.pop(name, None)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        for kind in _KINDS:
            self.__dict__.get(kind, {}).pop(name, None)

    def __getattr__(self, name: str) -> Any:
        # Python comes here for what does not exist, and so do subclasses whose __getattr__ calls this one.
        return super().__getattribute__(name)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # copy.copy comes here too: a copy has the same members, but names of its own.
        self.__dict__.update(state, **{kind: dict(state[kind]) for kind in _KINDS if kind in state})

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name[:1].isdigit()]

    def _check_name(self, name: Any, kind: str, what: str) -> None:
        names = getattr(self, kind)
        if not isinstance(name, str):
            raise TypeError(f"{what} name should be a string. Got {type(name).__name__}")
        if "." in name or not name:
            raise KeyError(f'{what} name can\'t contain ".", and can\'t be empty string "", got: {name!r}')
        if name not in names and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under a name; None reserves the name."""
        self._check_name(name, PARAMETERS, "parameter")
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(
                    f"cannot assign '{type(param).__name__}' object to parameter '{name}' (nn.Parameter or None "
                    f"required): write nn.Parameter(...)"
                )
            if param.grad_fn is not None:
                raise ValueError(
                    f"Cannot assign non-leaf Tensor to parameter '{name}': a parameter is made, not computed. To have "
                    f"'{name}' as a function of another Tensor, compute it in forward()."
                )
        Members(self, PARAMETERS)[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is state but not trained; persistent ones are part of the ``state_dict``."""
        self._check_name(name, BUFFERS, "buffer")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{type(tensor).__name__}' object to buffer '{name}' (Tensor or None required): write "
                f"tensor(...)"
            )
        Members(self, BUFFERS)[name] = tensor
        self._buffer_names[name] = persistent

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child module under a name."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(
                f"{type(module).__name__} is not a Module subclass: write nn.{module.__name__}(...), with parentheses"
                if isinstance(module, type) and issubclass(module, Module)
                else f"{type(module).__name__} is not a Module subclass: {module!r:.60}"
            )
        self._check_name(name, MODULES, "module")
        Members(self, MODULES)[name] = module

    def register_module(self, name: str, module: Module | None) -> None:
        """Add a child module under a name, as ``add_module`` does."""
        self.add_module(name, module)

    def get_submodule(self, target: str) -> Any:
        """Return the module at a dotted path such as ``"features.0"``; the empty path is the module itself."""
        module = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{module._get_name()} has no attribute `{name}` (on the way to `{target}`)")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module (on the way to `{target}`)")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put a module at a dotted path; with ``strict`` only in place of one that is there."""
        if not target:
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module).__name__}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Any:
        """Return the parameter at a dotted path."""
        return self._member_at(target, PARAMETERS, "an nn.Parameter")

    def get_buffer(self, target: str) -> Any:
        """Return the buffer at a dotted path."""
        return self._member_at(target, BUFFERS, "a buffer")

    def _member_at(self, target: str, kind: str, what: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        if name not in getattr(module, kind):
            raise AttributeError(f"`{name}` is not {what}")
        return getattr(module, name)

    def get_extra_state(self) -> Any:
        """Override to put more than tensors in the ``state_dict``; override ``set_extra_state`` too."""
        raise RuntimeError("Reached a code path in Module.get_extra_state() that should never be called.")

    def set_extra_state(self, state: Any) -> None:
        """Override to take back what ``get_extra_state`` returned."""
        raise RuntimeError("Reached a code path in Module.set_extra_state() that should never be called.")

    get_extra_state, set_extra_state = _inert(get_extra_state), _inert(set_extra_state)

    # --- walking ------------------------------------------------------------------------------------------------

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Iterate over the parameters, each once."""
        found: dict[Parameter, None] = {}
        for module in tree(self) if recurse else (self,):
            attributes = module.__dict__
            for name in module._parameter_names:
                if attributes[name] is not None:
                    found[attributes[name]] = None
        return iter(found)

    def named_parameters(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True) -> Named:
        """Iterate over (name, parameter), the name a dotted path."""
        return self._named_members(PARAMETERS, prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Iterate over the buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True) -> Named:
        """Iterate over (name, buffer), the name a dotted path."""
        return self._named_members(BUFFERS, prefix, recurse, remove_duplicate)

    def _named_members(self, kind: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Named:
        seen: set[Any] = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name in getattr(module, kind):
                value = module.__dict__[name]
                if value is None or value in seen:
                    continue
                if remove_duplicate:
                    seen.add(value)
                yield (f"{path}.{name}" if path else name), value

    def children(self) -> Iterator[Module]:
        """Iterate over the modules directly below, each once."""
        return (module for _, module in self.named_children())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Iterate over (name, module) of the modules directly below, each module once."""
        seen = set()
        for name in self._module_names:
            module = self.__dict__[name]
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def modules(self) -> Iterator[Module]:
        """Iterate over this module and all below it, each once."""
        return iter(tree(self))

    def named_modules(self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True) -> Named:
        """Iterate over (name, module) of this module and all below it, the name a dotted path, its own the prefix."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name in self._module_names:
            module = self.__dict__[name]
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def apply(self: Self, fn: Callable[[Module], Any]) -> Self:
        """Call ``fn`` on every module, children first; to initialize weights, for example."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # --- mode, gradients, dtype ---------------------------------------------------------------------------------

    def train(self: Self, mode: bool = True) -> Self:
        """Set training mode, which matters to Dropout and batch normalization; ``eval()`` ends it."""
        if not isinstance(mode, bool):
            raise ValueError(f"training mode is expected to be boolean, got {mode!r}")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: Self) -> Self:
        """Set evaluation mode: ``train(False)``."""
        return self.train(False)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Record operations on all parameters, or freeze them."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or set them to zero."""
        for p in self.parameters():
            if set_to_none:
                p._grad = None
            elif p._grad is not None:
                grad = p._grad.detach()
                grad._array.fill(0)
                written(grad, "zero_grad")
                p._grad = grad

    def _apply(self: Self, fn: Callable[[Any], Any], recurse: bool = True) -> Self:
        """Replace the values of parameters and buffers by what ``fn`` makes of them; the objects stay."""
        for module in self.children() if recurse else ():
            module._apply(fn)
        for name in self._parameter_names:
            param = self.__dict__[name]
            if param is not None:
                for tensor in (param, param._grad):
                    if tensor is not None:
                        tensor.data = fn(tensor.data)
        for name in self._buffer_names:
            if self.__dict__[name] is not None:
                self.__dict__[name] = fn(self.__dict__[name])
        return self

    def to(self: Self, *args: Any, device: Any = None, dtype: Any = None, non_blocking: bool = False) -> Self:
        """Convert floating point parameters and buffers to a dtype; the device is always the CPU.

        Raises
        ------
        TypeError
            For a dtype of integers or bools.

        Examples
        --------
        >>> import tinygrad_loss as tg
        >>> tg.nn.Linear(2, 1).to(tg.float64).weight.dtype
        torch.float64
        """
        for arg in args:
            if isinstance(arg, TensorBase):
                dtype = dtypes.of(arg._array)
            elif isinstance(arg, dtypes.dtype):
                dtype = arg
            elif not isinstance(arg, bool):
                device = arg
        device_is_cpu(device)
        if dtype is None:
            return self
        target = dtypes.as_dtype(dtype)
        if not (target.is_floating_point or target.is_complex):
            raise TypeError(f"nn.Module.to only accepts floating point or complex dtypes, but got dtype={target}")
        return self._apply(lambda x: x.to(target) if x._array.dtype.kind in "fc" else x)

    def type(self: Self, dst_type: Any) -> Self:
        """Convert all parameters and buffers to a dtype."""
        return self._apply(lambda x: x.to(dst_type))

    def float(self: Self) -> Self:
        """Convert floating point parameters and buffers to float32."""
        return self.to(dtypes.float32)

    def double(self: Self) -> Self:
        """Convert floating point parameters and buffers to float64."""
        return self.to(dtypes.float64)

    def half(self: Self) -> Self:
        """Convert floating point parameters and buffers to float16."""
        return self.to(dtypes.float16)

    def cpu(self: Self) -> Self:
        """Return itself: the CPU is where it is."""
        return self

    # --- state --------------------------------------------------------------------------------------------------

    def state_dict(self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """Return parameters and persistent buffers by dotted name, as tensors of the same storage.

        Parameters
        ----------
        destination : dict, optional
            Filled instead of a new OrderedDict.
        prefix : str
            Put before every name.
        keep_vars : bool
            Give the parameters themselves, not detached tensors.

        Examples
        --------
        >>> import tinygrad_loss as tg
        >>> list(tg.nn.Linear(2, 1).state_dict())
        ['weight', 'bias']
        """
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        state.collect(self, destination, prefix, keep_vars)
        return destination

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> state.IncompatibleKeys:
        """Take over a ``state_dict``: all of it, or, if anything is wrong, nothing.

        Parameters
        ----------
        state_dict : dict of str to Tensor
        strict : bool
            Whether missing and unexpected names are errors; a wrong shape always is.
        assign : bool
            Use the given tensors themselves instead of copying their values.

        Returns
        -------
        named tuple (missing_keys, unexpected_keys)

        Raises
        ------
        RuntimeError
            That lists every missing, unexpected and mis-shaped name.

        Examples
        --------
        >>> import tinygrad_loss as tg
        >>> a, b = tg.nn.Linear(2, 1), tg.nn.Linear(2, 1)
        >>> a.load_state_dict(b.state_dict())
        <All keys matched successfully>
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict).__name__}.")
        loading = state.Loading(state_dict, strict, assign)
        loading.plan(self, "")
        return loading.finish(self)

    # --- hooks --------------------------------------------------------------------------------------------------

    def _own_hooks(self) -> Hooks:
        if self._hooks is None:
            self._hooks, self._direct = Hooks(), False
        return self._hooks

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before forward; what it returns, if not None, replaces the arguments."""
        return hooks.added(self._own_hooks().forward_pre, (hook, with_kwargs), prepend=prepend)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after forward; what it returns, if not None, replaces the output."""
        return hooks.added(self._own_hooks().forward, (hook, with_kwargs, always_call), prepend=prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` when the gradients of the outputs are known; it may return others."""
        return hooks.added(self._own_hooks().backward_pre, hook, prepend=prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when both are known; it may return another grad_input."""
        return hooks.added(self._own_hooks().backward, hook, prepend=prepend)

    register_backward_hook = register_full_backward_hook

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, prefix, keep_vars)`` before ``state_dict`` collects this module."""
        return hooks.added(self._own_hooks().state_dict_pre, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` after ``state_dict`` collected this module."""
        return hooks.added(self._own_hooks().state_dict, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, ...)`` before ``load_state_dict`` matches names, to rename some."""
        return hooks.added(self._own_hooks().load_state_dict_pre, hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, incompatible_keys)`` after ``load_state_dict`` succeeded."""
        return hooks.added(self._own_hooks().load_state_dict, hook)

    # --- as text ------------------------------------------------------------------------------------------------

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses; subclasses override it."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        return as_text(self._get_name(), extra.split("\n") if extra else [], list(self._modules.items()))


def as_text(name: str, extra: list[str], children: list[tuple[str, Any]]) -> str:
    """PyTorch's picture of a module: on one line if it has no children, else a child a line, indented."""
    lines = [*extra, *(f"({key}): {indented(repr(child))}" for key, child in children)]
    if len(extra) == 1 and not children:
        return f"{name}({extra[0]})"
    return f"{name}(\n  " + "\n  ".join(lines) + "\n)" if lines else f"{name}()"


def indented(text: str) -> str:
    """All lines but the first moved two columns to the right."""
    return text.replace("\n", "\n  ")


def _cannot_assign(value: Any, what: str, name: str, expected: str) -> TypeError:
    return TypeError(
        f"cannot assign '{type(value).__name__}' as {what} '{name}' ({expected} expected); to put an ordinary "
        f"attribute there, write del module.{name} first"
    )
