"""Reading PyTorch's ``.pth``: a zip of raw storages and a pickle that says how tensors lie in them.

The pickle may name a handful of harmless constructors; any other name is refused before anything is called.
"""

from __future__ import annotations

import io
import pickle
import sys
import zipfile
from typing import Any, BinaryIO

import numpy as np

from .dtypes import Array
from .op import wrap
from .unpickler import Refused, ordered, read

_STORAGES: dict[str, str] = {
    "BoolStorage": "bool", "ByteStorage": "uint8", "CharStorage": "int8", "ShortStorage": "int16", "IntStorage": "int32",
    "LongStorage": "int64", "HalfStorage": "float16", "BFloat16Storage": "bfloat16", "FloatStorage": "float32",
    "DoubleStorage": "float64", "ComplexFloatStorage": "complex64", "ComplexDoubleStorage": "complex128",
}  # fmt: skip
_LIMIT = 1 << 26  # bytes of a pickle: the names and shapes of a million parameters fit many times


def is_archive(start: bytes) -> bool:
    """Tell whether a file starts as a zip does."""
    return start.startswith(b"PK\x03\x04")


def is_legacy(start: bytes) -> bool:
    """Tell whether a file starts as a pickle does."""
    return len(start) > 1 and start[0] == 0x80 and 2 <= start[1] <= 5 and start[2:8] != b"\0" * 6


def read_archive(file: BinaryIO, name: str) -> Any:
    """Return what a ``.pth`` holds, tensors as ours; RuntimeError for what is damaged or would run code."""
    try:
        with zipfile.ZipFile(file) as archive:
            return _Archive(archive).read()
    except Refused as error:
        raise RuntimeError(f"{name}: {error}") from None
    except (
        zipfile.BadZipFile,
        pickle.UnpicklingError,
        EOFError,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
    ) as error:
        raise RuntimeError(
            f"{name} is a damaged or truncated PyTorch file ({type(error).__name__}: {error}); copy it again"
        ) from None
    except (IndexError, OverflowError, MemoryError, RecursionError, UnicodeDecodeError, NotImplementedError) as error:
        raise RuntimeError(
            f"{name} is a damaged PyTorch file ({type(error).__name__}: {error}); copy it again"
        ) from None


class _Archive:
    """One open archive: its entries are checked against their true sizes before they are read."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        pickles = [entry for entry in archive.namelist() if entry.endswith("/data.pkl") or entry == "data.pkl"]
        if len(pickles) != 1:
            raise Refused("a zip, but no PyTorch file: it has no data.pkl")
        archive.fp.seek(0, io.SEEK_END)  # type: ignore[union-attr]
        if sum(entry.file_size for entry in archive.infolist()) > archive.fp.tell():  # type: ignore[union-attr]
            raise Refused("its entries announce more bytes than the file has")
        self.root = pickles[0][: -len("data.pkl")]
        self.storages: dict[str, Array] = {}
        order = self.root + "byteorder"
        self.order = self.entry(order, 16).decode() if order in archive.namelist() else "little"

    def entry(self, name: str, limit: int) -> bytes:
        info = self.archive.getinfo(name)
        if info.compress_type != zipfile.ZIP_STORED:
            raise Refused(f"its entry {name} is compressed, which PyTorch never does")
        if info.file_size > limit:
            raise Refused(f"its entry {name} has {info.file_size} bytes, more than the {limit} that it may have")
        return self.archive.read(info)

    def read(self) -> Any:
        try:
            return read(self.entry(self.root + "data.pkl", _LIMIT), _NAMES, self.referred)
        except Refused as error:
            if not str(error).startswith("it asks for"):
                raise
            raise Refused(f"{error}, {_WHY.get(str(error)[12:], _UNKNOWN)}") from None

    def referred(self, pid: Any) -> Array:
        """The storage that the pickle refers to."""
        tag, kind, key, _, count = pid
        if tag != "storage" or not isinstance(kind, _StorageType) or type(count) is not int or count < 0:
            raise Refused(f"it refers to something that is no storage: {tag!r}")
        if not isinstance(key, str) or not key.isdigit():
            raise Refused(f"it names a storage {key!r}, where a number was expected")
        return self.storage(key, kind.kind, count)

    def storage(self, key: str, kind: str, count: int) -> Array:
        if key not in self.storages:
            stored = np.dtype("uint16" if kind == "bfloat16" else kind)
            content = self.entry(f"{self.root}data/{key}", count * stored.itemsize)
            if len(content) != count * stored.itemsize:
                raise Refused(f"its storage {key} has {len(content)} bytes where {count} {kind} are announced")
            array = np.frombuffer(bytearray(content), stored)
            if self.order != sys.byteorder:
                array = array.byteswap()
            if kind == "bfloat16":  # the upper half of a float32
                array = (array.astype(np.uint32) << 16).view(np.float32)
            self.storages[key] = array
        return self.storages[key]


class _StorageType:
    """Stands for ``torch.FloatStorage`` and its like in the pickle."""

    def __init__(self, kind: str) -> None:
        self.kind = kind


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any = False, *_: Any) -> Any:
    """A tensor in a storage, if it lies within it."""
    numbers = (offset, *size, *stride)
    if (
        not isinstance(storage, np.ndarray)
        or len(size) != len(stride)
        or not all(type(n) is int and n >= 0 for n in numbers)
    ):
        raise Refused(f"it describes an impossible tensor: offset {offset}, size {size}, stride {stride}")
    count = 1
    for n in size:
        count *= n
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) if count else offset
    if count > max(storage.size, _LIMIT) or (count and last >= storage.size):  # expanded, it has more than it stores
        raise Refused(
            f"it describes a tensor of size {tuple(size)} at offset {offset}, which does not fit its storage of {storage.size}"
        )
    step = storage.itemsize
    view = np.lib.stride_tricks.as_strided(storage[offset:] if count else storage[:0], size, [s * step for s in stride])
    out = wrap(view)
    if requires_grad is True:
        out.requires_grad_()
    return out


def _parameter(data: Any, requires_grad: Any = True, *_: Any) -> Any:
    return data.requires_grad_(bool(requires_grad))


_NAMES: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("collections", "OrderedDict"): ordered,
    ("torch", "Size"): tuple,
    **{("torch", name): _StorageType(kind) for name, kind in _STORAGES.items()},
}
_UNKNOWN = (
    "which is no part of a tensor and could run code. Save model.state_dict() instead of the model, with PyTorch: "
    "torch.save(model.state_dict(), path)."
)
_WHY = {
    "torch._utils._rebuild_tensor_v3": "for a tensor of a dtype that there is not here, as uint16 or float8. Convert it with "
    "PyTorch: tensor.float()."
}
