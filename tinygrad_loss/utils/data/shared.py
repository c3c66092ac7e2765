"""Memory that two processes share, through which batches travel."""

from __future__ import annotations

import mmap
import os
import pickle
import sys
import tempfile
from typing import Any

ALIGNMENT = 64  # of each part: a cache line
SMALLEST = 1 << 16
# Arrays of fewer bytes travel within the pickle: cheaper than memory of their own.
SMALL = 4096

# What a reader must know: how much memory the writer has mapped, the length of the pickle, those of the arrays.
Written = tuple[int, list[int]]


class SharedBuffer:
    """Memory that grows, for one object at a time: what one process puts in, another gets out as a copy.

    It has no name, so nothing is left of it when the processes are gone, however they ended. Handed to a process that
    starts, it is the same memory there. The processes take turns; who may write is for them to agree on.
    """

    def __init__(self) -> None:
        self._memory = _Memory()
        self._mapped: mmap.mmap | None = None

    def put(self, value: Any) -> Written:
        """Write an object; return what `get` needs."""
        arrays: list[memoryview] = []

        def within(buffer: pickle.PickleBuffer) -> bool:
            view = buffer.raw()
            if view.nbytes >= SMALL:
                arrays.append(view)
            return view.nbytes < SMALL

        parts = [memoryview(pickle.dumps(value, protocol=5, buffer_callback=within)), *arrays]
        sizes = [part.nbytes for part in parts]
        mapped = self._at_least(sum(map(_aligned, sizes)))
        start = 0
        for part, size in zip(parts, sizes, strict=True):
            mapped[start : start + size] = part
            start += _aligned(size)
        return len(mapped), sizes

    def get(self, written: Written) -> Any:
        """Read the object that the other process wrote."""
        capacity, sizes = written
        if self._mapped is None or len(self._mapped) != capacity:
            self._map(capacity)
        assert self._mapped is not None
        parts: list[bytearray] = []  # each in memory of its own: keeping one array does not keep the others
        start = 0
        with memoryview(self._mapped) as view:
            for size in sizes:
                parts.append(bytearray(view[start : start + size]))
                start += _aligned(size)
        return pickle.loads(parts[0], buffers=parts[1:])

    def _at_least(self, size: int) -> mmap.mmap:
        if self._mapped is None or len(self._mapped) < size:
            capacity = SMALLEST
            while capacity < size:
                capacity *= 2
            self._memory.grow(capacity)
            self._map(capacity)
        assert self._mapped is not None
        return self._mapped

    def _map(self, capacity: int) -> None:
        if self._mapped is not None:
            self._mapped.close()
            self._mapped = None
        self._mapped = self._memory.map(capacity)

    def close(self) -> None:
        """Give the memory back; once all processes have, it is free."""
        if self._mapped is not None:
            self._mapped.close()
            self._mapped = None
        self._memory.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"_memory": self._memory, "_mapped": None}


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


if sys.platform == "win32":
    import itertools

    class _Memory:
        """Memory by a name that Windows forgets with its last user; of each size another, since it cannot grow."""

        _next = itertools.count().__next__

        def __init__(self) -> None:
            self._name = f"tinygrad_loss-{os.getpid()}-{self._next()}"

        def grow(self, capacity: int) -> None:
            """Nothing: a map of another size is of another memory."""

        def map(self, capacity: int) -> mmap.mmap:
            return mmap.mmap(-1, capacity, tagname=f"{self._name}-{capacity}")

        def close(self) -> None:
            """Nothing: maps are all there is."""

else:

    class _Memory:
        """A file without a name."""

        def __init__(self) -> None:
            if hasattr(os, "memfd_create"):
                self._fd = os.memfd_create("tinygrad_loss")
            else:
                with tempfile.TemporaryFile() as file:
                    self._fd = os.dup(file.fileno())

        def grow(self, capacity: int) -> None:
            if os.fstat(self._fd).st_size < capacity:
                os.ftruncate(self._fd, capacity)

        def map(self, capacity: int) -> mmap.mmap:
            return mmap.mmap(self._fd, capacity)

        def close(self) -> None:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

        def __getstate__(self) -> Any:
            from multiprocessing.reduction import DupFd

            return DupFd(self._fd)  # a descriptor in the process that starts

        def __setstate__(self, descriptor: Any) -> None:
            self._fd = descriptor.detach()
