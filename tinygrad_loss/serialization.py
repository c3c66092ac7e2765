"""``save`` and ``load``: nested dicts and lists of tensors in the safetensors format; PyTorch's ``.pth`` is read as well.

A file is data and nothing else: what would run code is refused, never executed.
"""

from __future__ import annotations

import io
import json
import math
import os
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import safetensors
import safetensors.numpy

from . import dtypes
from .op import TensorBase, wrap
from .torch_archive import is_archive, is_legacy, read_archive

if TYPE_CHECKING:
    from .tensor import Tensor

_STRUCTURE = "tinygrad_loss"  # the key in the file's metadata under which the nesting is described
_DEEPEST = 100
_KINDS = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "I16": "<i2", "I32": "<i4", "I64": "<i8", "F16": "<f2", "BF16": "<u2", "F32": "<f4",
    "F64": "<f8", "C64": "<c8",
}  # fmt: skip


def save(obj: Any, f: str | os.PathLike[str] | BinaryIO) -> None:
    """Save tensors, numbers, strings, None, and dicts, lists and tuples of them, in the safetensors format.

    The format is safetensors whatever the file's name is: ``safetensors.torch.load_file`` opens it, and the names of a
    state dict are the names in the file. Saving is atomic: a crash on the way leaves an older file as it was.

    Parameters
    ----------
    obj : Tensor, dict, list, tuple, str, number, bool or None, nested
        Tensors that share memory are saved one by one and loaded without sharing it.
    f : path, or binary file object

    Raises
    ------
    TypeError
        For anything else, with the place where it stands.
    ValueError
        If the nesting has no end, or is deeper than 100.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile, os
    >>> import tinygrad_loss as tg
    >>> path = os.path.join(tempfile.mkdtemp(), "checkpoint.pth")
    >>> tg.save({"weight": tg.ones(2), "epoch": 3}, path)
    >>> tg.load(path)
    {'weight': tensor([1., 1.]), 'epoch': 3}
    """
    arrays: dict[str, Any] = {}
    structure = _described(obj, (), arrays)
    metadata = {_STRUCTURE: json.dumps(structure)}  # one key alone: the library writes several in random order
    if not isinstance(f, (str, os.PathLike)):
        if not hasattr(f, "write") or isinstance(f, io.TextIOBase):
            raise TypeError(f"expected a path or a binary file (open(path, 'wb')), got {type(f).__name__}")
        f.write(safetensors.numpy.save(arrays, metadata))
        return
    path = Path(f).resolve()  # a link goes on to point at the file that it points at
    if path.is_dir():
        raise IsADirectoryError(f"{os.fspath(f)!r} is a folder: write the name of a file in it")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot save {os.fspath(f)!r}: there is no folder {str(path.parent)!r}; make it first")
    if path.exists() and not path.is_file():  # a device or pipe is written to, not replaced
        path.write_bytes(safetensors.numpy.save(arrays, metadata))
        return
    # A neighbour, so that the final rename stays within one file system and is atomic.
    handle, temporary = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    neighbour = Path(temporary)
    try:
        safetensors.numpy.save_file(arrays, neighbour, metadata)
        with neighbour.open("rb+") as written:
            os.fsync(written.fileno())
        neighbour.chmod(_mode_of(path))
        neighbour.replace(path)
    except safetensors.SafetensorError as error:
        neighbour.unlink(missing_ok=True)
        raise OSError(f"cannot save {os.fspath(f)!r}: {error}") from None
    except BaseException:
        neighbour.unlink(missing_ok=True)
        raise


def _mode_of(path: Path) -> int:
    """The permissions that a file written here has, or would have: a temporary file's are stricter."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _described(obj: Any, place: tuple[Any, ...], arrays: dict[str, Any]) -> Any:
    """The nesting as JSON: {"d": dict, "o": OrderedDict, "l": list, "t": tuple, "T": tensor, "f": inf or NaN}."""
    if len(place) > _DEEPEST:
        raise ValueError(
            f"cannot save what is nested more than {_DEEPEST} deep; perhaps obj[{place[0]!r}] holds itself"
        )
    if isinstance(obj, TensorBase):
        dtypes.of(obj._array)
        name = ".".join(map(str, place)).encode("utf-8", "replace").decode() or "tensor"
        while name in arrays or name == "__metadata__":
            name += "_"
        array = np.ascontiguousarray(obj._array).reshape(obj._array.shape)
        about: dict[str, Any] = {"T": name}
        if array.dtype == np.complex128:  # which safetensors has not: saved as pairs of float64
            array, about["complex"] = array[..., None].view(np.float64), True
        if obj._requires_grad and obj._node is None:
            about["requires_grad"] = True
        arrays[name] = array
        return about
    if obj is None or isinstance(obj, (bool, str)) or type(obj) is int:
        return obj
    if type(obj) is float:
        return obj if math.isfinite(obj) else {"f": repr(obj)}
    if isinstance(obj, dict):
        for key in obj:
            if not (key is None or isinstance(key, (str, bool)) or type(key) in (int, float)):
                raise TypeError(
                    f"cannot save the key {key!r} of {_spelled(place)}: keys are strings, numbers, bools or None"
                )
        items = [[key, _described(value, (*place, key), arrays)] for key, value in obj.items()]
        return {"o" if isinstance(obj, OrderedDict) else "d": items}
    if isinstance(obj, (list, tuple)):
        return {"l" if isinstance(obj, list) else "t": [_described(v, (*place, i), arrays) for i, v in enumerate(obj)]}
    instead = f"tensor({type(obj).__name__})" if isinstance(obj, np.ndarray) else ".item()"
    hint = (
        f"; write {instead}" if isinstance(obj, (np.ndarray, np.generic)) else "; write model.state_dict() for a model"
    )
    raise TypeError(
        f"cannot save {_spelled(place)}: a {type(obj).__name__} is no tensor, number, string, None, dict, list or tuple{hint}"
    )


def _spelled(place: tuple[Any, ...]) -> str:
    return "obj" + "".join(f"[{key!r}]" for key in place)


def load(
    f: str | os.PathLike[str] | BinaryIO,
    map_location: Any = None,
    *,
    weights_only: bool | None = True,
    mmap: bool | None = None,
) -> Any:
    """Load what ``save`` wrote, any safetensors file, or the tensors of a PyTorch ``.pth``.

    Nothing in the file is ever executed. A PyTorch file may hold tensors, numbers, strings and containers of them; whole
    models and other objects are refused.

    Parameters
    ----------
    f : path, or binary file object
    map_location : optional
        Accepted when it names the CPU.
    weights_only : bool
        Must be true: there is no other way here.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RuntimeError
        If it is truncated, of a foreign format, or would run code.

    Examples
    --------
    >>> import io
    >>> import tinygrad_loss as tg
    >>> buffer = io.BytesIO()
    >>> tg.save([tg.tensor([1, 2]), "two"], buffer)
    >>> _ = buffer.seek(0)
    >>> tg.load(buffer)
    [tensor([1, 2]), 'two']
    """
    if weights_only is not None and not weights_only:
        raise ValueError("weights_only=False would run code from the file, which load never does; leave it out")
    places = map_location.values() if isinstance(map_location, dict) else (map_location,)
    if any(str(p).partition(":")[0] != "cpu" for p in places if p is not None and not callable(p)):
        raise RuntimeError(f"map_location={map_location!r}: there is only the CPU here; write map_location='cpu'")
    if isinstance(f, (str, os.PathLike)):
        name = os.fspath(f)
        with Path(name).open("rb") as file:
            start = file.read(16)
            if is_archive(start):
                file.seek(0)
                return read_archive(file, name)
        _refuse_foreign(start, name)
        try:
            with safetensors.safe_open(name, framework="np") as opened:
                metadata = opened.metadata() or {}
                kinds = {key: opened.get_slice(key).get_dtype() for key in opened.keys()}  # noqa: SIM118 -- it is no dict
                if set(kinds.values()) <= _KINDS.keys() - {"BF16"}:
                    arrays = {key: opened.get_tensor(key) for key in kinds}
                else:  # NumPy has no bfloat16
                    arrays = _arrays(Path(name).read_bytes())
        except (safetensors.SafetensorError, TypeError, ValueError, AttributeError, MemoryError) as error:
            raise _unreadable(name, str(error)) from None
        return _rebuilt_file(arrays, metadata, name)
    name = getattr(f, "name", "the file object")
    if not hasattr(f, "read"):
        raise TypeError(f"expected a path or a binary file (open(path, 'rb')), got {type(f).__name__}")
    content = f.read()
    if not isinstance(content, bytes):
        raise TypeError(f"{name} is a text file: open it with open(path, 'rb')")
    if is_archive(content[:16]):
        return read_archive(io.BytesIO(content), name)
    _refuse_foreign(content[:16], name)
    try:
        arrays = _arrays(content)
        metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__", {})
    except (safetensors.SafetensorError, TypeError, ValueError, AttributeError, KeyError) as error:
        raise _unreadable(name, str(error)) from None
    return _rebuilt_file(arrays, metadata, name)


def _arrays(content: bytes) -> dict[str, Any]:
    """The arrays in the bytes of a safetensors file."""
    arrays = {}
    for name, found in safetensors.deserialize(content):  # type: ignore[no-untyped-call]
        if found["dtype"] not in _KINDS:
            raise ValueError(f"its tensor {name!r} is of {found['dtype']}, a dtype that there is not here")
        array = np.frombuffer(found["data"], _KINDS[found["dtype"]])
        if found["dtype"] == "BF16":  # the upper half of a float32
            array = (array.astype(np.uint32) << 16).view(np.float32)
        arrays[name] = array.reshape(found["shape"])
    return arrays


def _unreadable(name: str, why: str) -> RuntimeError:
    return RuntimeError(
        f"{name} is no readable checkpoint: {why}. Expected a safetensors file, as save() writes, or a PyTorch .pth of tensors; "
        f"it may be truncated or damaged: copy or save it again."
    )


def _refuse_foreign(start: bytes, name: str) -> None:
    if is_legacy(start):
        raise _unreadable(
            name, "it is a bare pickle (PyTorch's format before 1.6, or another program's), which could run code"
        )
    if len(start) < 9:
        raise _unreadable(name, f"it has only {len(start)} bytes")


def _rebuilt_file(arrays: dict[str, Any], metadata: dict[str, str], name: str) -> Any:
    tensors = {key: wrap(array) for key, array in arrays.items()}
    if _STRUCTURE not in metadata:
        return tensors
    try:
        return _rebuilt(json.loads(metadata[_STRUCTURE]), tensors)
    except (KeyError, TypeError, ValueError, RecursionError, IndexError) as error:
        raise _unreadable(
            name, f"the description of its nesting is damaged ({type(error).__name__}: {error})"
        ) from None


def _rebuilt(node: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(node, dict):
        if isinstance(node, list):
            raise ValueError("a bare list")
        return node
    (kind, content), *_ = node.items()
    if kind == "T":
        tensor = tensors[content]
        if node.get("complex"):
            tensor = wrap(tensor._array.view(np.complex128)[..., 0])
        if node.get("requires_grad"):
            tensor.requires_grad_()
        return tensor
    if kind == "f":
        return float(content)
    if kind in ("d", "o"):
        pairs = [(key, _rebuilt(value, tensors)) for key, value in content]
        return dict(pairs) if kind == "d" else OrderedDict(pairs)
    if kind in ("l", "t"):
        values = [_rebuilt(value, tensors) for value in content]
        return values if kind == "l" else tuple(values)
    raise ValueError(f"unknown kind {kind!r}")
