"""What a Module holds: parameters, buffers and modules, as live dictionaries over its attributes."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .module import Module

PARAMETERS, BUFFERS, MODULES = "_parameter_names", "_buffer_names", "_module_names"


class Members(MutableMapping[str, Any]):
    """The members of one kind, under PyTorch's names ``_parameters``, ``_buffers`` and ``_modules``.

    A member lives in the instance's ``__dict__`` as any attribute does, so that ``self.weight`` costs what an attribute
    costs (a ``__getattr__`` would cost 0.5 us more); what is kept apart are only the names of each kind. This is a view
    of both: writing to it changes the module.
    """

    __slots__ = ("_attributes", "_names")

    def __init__(self, module: Module, kind: str) -> None:
        self._attributes: dict[str, Any] = module.__dict__
        self._names: dict[str, Any] = getattr(module, kind)

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        return self._attributes[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._names.setdefault(name, True)  # what it says of a buffer: that it is part of the state_dict
        self._attributes[name] = value

    def __delitem__(self, name: str) -> None:
        del self._names[name]
        del self._attributes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return repr(dict(self))


class NotInitialized:
    """What stands in for the names until ``Module.__init__`` made them: an error that says so."""

    def __get__(self, module: object, owner: type) -> Any:
        raise AttributeError(
            f"{owner.__name__} has no members before Module.__init__() call: write super().__init__() as the first "
            f"line of {owner.__name__}.__init__"
        )


def tree(root: Module) -> list[Module]:
    """A module and all below it, each once, parents first."""
    seen: dict[Module, None] = {}
    stack = [root]
    while stack:
        module = stack.pop()
        if module in seen:
            continue
        seen[module] = None
        names = module._module_names
        if names:
            attributes = module.__dict__
            stack += [attributes[name] for name in reversed(names) if attributes[name] is not None]
    return list(seen)
