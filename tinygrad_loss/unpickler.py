"""Reading pickles as data: numbers, strings, containers, and what a short list of names stands for.

Python's own unpickler runs what a file asks for, and with its names restricted a file can still set attributes of the
functions that it may name, make it allocate gigabytes for a memo of one entry, or hash tuples nested so that it takes
years. Here opcodes do what is written here and nothing else; what a file makes is bounded by its own length.
"""

from __future__ import annotations

import collections
import pickle
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

__all__ = ["Pending", "Refused", "ordered", "read"]


class Refused(Exception):
    """What the file asks for is not done; the message says why."""


class Pending:
    """What a call has made that is whole only when the file has set its state: ``build`` makes the value of it."""

    def __init__(self, build: Callable[[Any], Any]) -> None:
        self.build = build
        self.value: Any = self


_MARK = object()
_CONSTANTS = {b"N": None, b"\x88": True, b"\x89": False}
_NUMBERS = {b"J": "<i", b"K": "<B", b"M": "<H", b"G": ">d"}
# Bytes of the length that precedes a text; how the text is encoded.
_TEXTS = {
    b"X": (4, "utf-8"), b"\x8c": (1, "utf-8"), b"\x8d": (8, "utf-8"), b"T": (4, "latin-1"), b"U": (1, "latin-1"),
    b"B": (4, None), b"C": (1, None), b"\x8e": (8, None), b"\x96": (8, None), b"\x8a": (1, "int"), b"\x8b": (4, "int"),
}  # fmt: skip
_KEYS = (str, int, float, bytes, type(None))


def read(content: bytes, names: Mapping[tuple[str, str], Any], persistent: Callable[[Any], Any] | None = None) -> Any:
    """Return what a pickle of protocol 2 to 5 holds.

    Parameters
    ----------
    content : bytes
    names : mapping from (module, name)
        What a file may name; what is callable in it, the file may call.
    persistent : callable, optional
        Makes objects of what the file refers to outside itself.

    Raises
    ------
    Refused
        If the file names something else, or does what no plain data needs.
    UnpicklingError, ValueError
        If it is damaged.
    """
    return _Reader(content, names, persistent).read()


class _Reader:
    """A pickle, how far it is read, and the machine that it is written for: a stack and a memo."""

    def __init__(self, content: bytes, names: Mapping[tuple[str, str], Any], persistent: Any) -> None:
        self.content, self.at = content, 0
        self.names, self.persistent = names, persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def take(self, count: int) -> bytes:
        """The next bytes."""
        found = self.content[self.at : self.at + count]
        if len(found) < count:
            raise pickle.UnpicklingError("it is truncated")
        self.at += count
        return found

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def line(self) -> str:
        end = self.content.find(b"\n", self.at)
        if end < 0:
            raise pickle.UnpicklingError("it is truncated")
        found = self.content[self.at : end]
        self.at = end + 1
        return found.decode()

    def pop(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise pickle.UnpicklingError("it takes from an empty stack")
        return self.stack.pop()

    def popped(self) -> list[Any]:
        """All above the last mark."""
        found: list[Any] = []
        while self.stack:
            if (last := self.stack.pop()) is _MARK:
                return found[::-1]
            found.append(last)
        raise pickle.UnpicklingError("it takes from an empty stack")

    def top(self, kind: type) -> Any:
        """The last value, which is to be of this kind."""
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise pickle.UnpicklingError(f"it adds to something that is no {kind.__name__}")
        return self.stack[-1]

    def read(self) -> Any:
        push = self.stack.append
        while (code := self.take(1)) != b".":
            if code in _CONSTANTS:
                push(_CONSTANTS[code])
            elif code in _NUMBERS:
                form = _NUMBERS[code]
                push(struct.unpack(form, self.take(struct.calcsize(form)))[0])
            elif code in _TEXTS:
                push(self.text(*_TEXTS[code]))
            elif code in b"hj":
                push(self.recalled(self.number(1 if code == b"h" else 4)))
            elif code in b"qr\x94":
                place = len(self.memo) if code == b"\x94" else self.number(1 if code == b"q" else 4)
                self.memo[place] = self.pop()
                push(self.memo[place])
            elif code in (b"\x80", b"\x95"):  # protocol and frame are of no consequence
                self.take(1 if code == b"\x80" else 8)
            elif code in b"(0":
                push(_MARK) if code == b"(" else self.pop()
            elif code in b"c\x93":
                push(self.named(code))
            elif code in b"RbQ":
                push(self.made(code))
            else:
                self.container(code)
        return self.pop()

    def text(self, size: int, encoding: str | None) -> Any:
        found = self.take(self.number(size))
        if encoding == "int":
            return int.from_bytes(found, "little", signed=True)
        return (
            found if encoding is None else found.decode(encoding, "surrogatepass" if encoding == "utf-8" else "strict")
        )

    def recalled(self, place: int) -> Any:
        if place not in self.memo:
            raise pickle.UnpicklingError(f"it recalls entry {place}, which it has not stored")
        found = self.memo[place]
        return found.value if isinstance(found, Pending) else found

    def named(self, code: bytes) -> Any:
        if code == b"c":
            module, name = self.line(), self.line()
        else:
            name, module = self.pop(), self.pop()
        if not isinstance(module, str) or not isinstance(name, str) or (module, name) not in self.names:
            raise Refused(f"it asks for {module}.{name}")
        return self.names[module, name]

    def made(self, code: bytes) -> Any:
        """The result of a call, of setting a state, or what is elsewhere."""
        given = self.pop()
        if code == b"Q":
            if self.persistent is None:
                raise Refused("it refers to something outside itself")
            return self.persistent(given)
        target = self.pop()
        if code == b"R":
            if not any(target is known for known in self.names.values()) or not callable(target):
                raise Refused("it calls something that is no function")
            if type(given) is not tuple:
                raise pickle.UnpicklingError("it calls without arguments")
            return target(*given)
        if isinstance(target, Pending):
            target.value = target.build(given)
            return target.value
        if type(target) is not collections.OrderedDict:  # whose attributes, as a state dict has them, are not needed
            raise Refused(f"it sets the state of a {type(target).__name__}")
        return target

    def container(self, code: bytes) -> None:
        """Make a tuple, list or dict, or add to it."""
        push = self.stack.append
        if code in b")]}":
            push({b")": (), b"]": [], b"}": {}}[code])
        elif code in b"\x85\x86\x87":
            push(tuple(reversed([self.pop() for _ in range(code[0] - 0x84)])))
        elif code in b"tl":
            push(tuple(self.popped()) if code == b"t" else self.popped())
        elif code in b"ae":
            values = [self.pop()] if code == b"a" else self.popped()
            self.top(list).extend(values)
        elif code in b"sud":
            values = [self.pop(), self.pop()][::-1] if code == b"s" else self.popped()
            if code == b"d":
                push({})
            self.top(dict).update(_with_plain_keys(zip(values[::2], values[1::2], strict=True)))
        else:
            raise Refused(f"it uses the opcode {code!r}, which no plain data of protocol 2 to 5 needs")


def ordered(items: Any = ()) -> collections.OrderedDict[Any, Any]:
    """An OrderedDict, for files that name one."""
    return collections.OrderedDict(_with_plain_keys(tuple(item) for item in items))


def _with_plain_keys(items: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    """What a dict takes if no key is a tuple: to hash one of nested tuples may take years."""
    for key, value in items:
        if not isinstance(key, _KEYS):
            raise Refused(f"it has a dict with a key that is a {type(key).__name__}, no string, number or None")
        yield key, value
