"""Modules that hold modules or parameters: in a row, in a list, under names."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from .module import Module, indented

__all__ = ["ModuleDict", "ModuleList", "Sequential"]

Self = TypeVar("Self", bound="_List")


class _List(Module):
    """What Sequential and ModuleList share: modules named "0", "1", ..., used as a list."""

    def _values(self) -> list[Any]:
        return [self.__dict__[name] for name in self._module_names]

    def _replace(self, modules: Iterable[Module]) -> None:
        """Hold these modules, numbered anew."""
        self._modules = {str(i): module for i, module in enumerate(modules)}

    def _name_of(self, index: Any) -> str:
        """The name at a position, which may count from the end."""
        size, i = len(self), operator.index(index)
        if not -size <= i < size:
            raise IndexError(f"index {i} is out of range: the {type(self).__name__} holds {size}")
        return next(itertools.islice(self._module_names, i % size, None))

    def __len__(self) -> int:
        return len(self._module_names)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values())

    def __getitem__(self, index: Any) -> Any:
        return self.__dict__[self._name_of(index)]

    def __setitem__(self, index: Any, module: Module) -> None:
        setattr(self, self._name_of(index), module)

    def __delitem__(self, index: Any) -> None:
        values = self._values()
        del values[index if isinstance(index, slice) else list(self._module_names).index(self._name_of(index))]
        self._replace(values)

    def append(self: Self, module: Module) -> Self:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self: Self, modules: Iterable[Module]) -> Self:
        """Add several modules at the end."""
        if not isinstance(modules, Iterable):
            name, given = type(self).__name__, type(modules).__name__
            raise TypeError(f"{name}.extend should be called with an iterable, but got {given}")
        for module in list(modules):
            self.append(module)
        return self

    def insert(self: Self, index: int, module: Module) -> Self:
        """Add a module before a position."""
        if not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        values = self._values()
        values.insert(index, module)
        self._replace(values)
        return self

    def pop(self, index: Any) -> Any:
        """Take the module at a position out and return it."""
        module = self[index]
        del self[index]
        return module


class Sequential(_List):
    """Modules called one after another, each with what the one before returned.

    Parameters
    ----------
    args : Module..., or one OrderedDict of names to modules

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> from tinygrad_loss import nn
    >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> model(tg.zeros(5, 4)).shape
    torch.Size([5, 1])
    >>> model[1:]
    Sequential(
      (1): ReLU()
      (2): Linear(in_features=3, out_features=1, bias=True)
    )
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        named = args[0].items() if len(args) == 1 and isinstance(args[0], Mapping) else enumerate(args)
        for name, module in named:
            self.add_module(str(name) if isinstance(name, int) else name, module)

    def forward(self, input: Any) -> Any:
        """Return what the last module makes of what the others made of the input."""
        attributes = self.__dict__
        for name in attributes["_module_names"]:
            module = attributes[name]
            input = module.forward(input) if module._direct else module(input)
        return input

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            part = type(self).__new__(type(self))
            Module.__init__(part)
            part._modules = dict(list(self._modules.items())[index])
            return part
        return super().__getitem__(index)

    def __add__(self, other: Any) -> Sequential:
        if not isinstance(other, Sequential):
            raise ValueError(f"add operator supports only objects of Sequential class, but {type(other)} is given.")
        return Sequential(*self, *other)

    def __iadd__(self, other: Any) -> Sequential:
        if not isinstance(other, Sequential):
            raise ValueError(f"add operator supports only objects of Sequential class, but {type(other)} is given.")
        self.extend(other)
        return self

    def _times(self, other: Any) -> int:
        if not isinstance(other, int):
            raise TypeError(f"unsupported operand type(s) for *: {type(self)} and {type(other)}")
        if other <= 0:
            raise ValueError(f"Non-positive multiplication factor {other} for {type(self)}")
        return other

    def __mul__(self, other: Any) -> Sequential:
        return Sequential(*self._values() * self._times(other))

    def __rmul__(self, other: Any) -> Sequential:
        return self.__mul__(other)

    def __imul__(self, other: Any) -> Sequential:
        self._replace(self._values() * self._times(other))
        return self


class ModuleList(_List):
    """A list of modules, all of them registered; it has no forward.

    Examples
    --------
    >>> from tinygrad_loss import nn
    >>> nn.ModuleList(nn.Linear(8, 8) for _ in range(3))
    ModuleList(
      (0-2): 3 x Linear(in_features=8, out_features=8, bias=True)
    )
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def __getitem__(self, index: Any) -> Any:
        return type(self)(self._values()[index]) if isinstance(index, slice) else super().__getitem__(index)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def __iadd__(self, modules: Iterable[Module]) -> ModuleList:
        return self.extend(modules)

    def __repr__(self) -> str:
        children: list[tuple[str, str]] = []
        first = 0
        for text, group in itertools.groupby(map(repr, self)):
            count = len(list(group))
            label = f"({first})" if count == 1 else f"({first}-{first + count - 1})"
            children.append((label, text if count == 1 else f"{count} x {text}"))
            first += count
        if not children:
            return f"{self._get_name()}()"
        return self._get_name() + "(\n" + "".join(f"  {label}: {indented(text)}\n" for label, text in children) + ")"


class ModuleDict(Module):
    """Modules under names, all of them registered; it has no forward.

    Examples
    --------
    >>> from tinygrad_loss import nn
    >>> choices = nn.ModuleDict({"relu": nn.ReLU(), "tanh": nn.Tanh()})
    >>> choices["tanh"]
    Tanh()
    """

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._module_names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._module_names)

    def __contains__(self, key: object) -> bool:
        return key in self._module_names

    def clear(self) -> None:
        """Take all modules out."""
        self._modules.clear()

    def pop(self, key: str) -> Any:
        """Take a module out and return it."""
        return self._modules.pop(key)

    def keys(self) -> Iterable[str]:
        """Return the names."""
        return self._modules.keys()  # type: ignore[no-any-return]

    def items(self) -> Iterable[tuple[str, Any]]:
        """Return the (name, module) pairs."""
        return self._modules.items()  # type: ignore[no-any-return]

    def values(self) -> Iterable[Any]:
        """Return the modules."""
        return self._modules.values()  # type: ignore[no-any-return]

    def update(self, modules: Any) -> None:
        """Add modules from a mapping or (name, module) pairs; a name that is there gets the new module."""
        for key, module in pairs(modules, "ModuleDict"):
            self[key] = module


def pairs(values: Any, name: str) -> list[tuple[str, Any]]:
    """The (key, value) pairs of a mapping, or of an iterable of pairs."""
    if isinstance(values, Mapping) or (isinstance(values, Module) and hasattr(values, "items")):
        return list(values.items())
    if not isinstance(values, Iterable):
        given = type(values).__name__
        raise TypeError(f"{name}.update should be called with an iterable of key/value pairs, but got {given}")
    result = []
    for i, pair in enumerate(values):
        if not isinstance(pair, Iterable):
            raise TypeError(f"{name} update sequence element #{i} should be Iterable; is {type(pair).__name__}")
        pair = tuple(pair)
        if len(pair) != 2:
            raise ValueError(f"{name} update sequence element #{i} has length {len(pair)}; 2 is required")
        result.append(pair)
    return result
