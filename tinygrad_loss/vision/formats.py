"""The files of the data sets: CIFAR's records and pickles, MNIST's IDX. Each damage is told with its file."""

from __future__ import annotations

import gzip
import io
import pickle
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..dtypes import Array
from ..unpickler import Pending, Refused, read

AGAIN = "delete it and get it again with download=True"
_LARGEST = 1 << 28  # bytes of an unpacked IDX file: those of MNIST have 47 million


def _pending_dtype(name: Any, *_: Any) -> Pending:
    """``numpy.dtype(name)``, whose byte order is a state that follows."""

    def build(state: Any) -> np.dtype[Any]:
        if not isinstance(name, str) or not re.fullmatch(r"[biuf]\d", name):
            raise Refused(f"it asks for an array of {name!r}")
        dtype: np.dtype[Any] = np.dtype(name).newbyteorder(state[1])
        return dtype

    return Pending(build)


def _pending_array(*_: Any) -> Pending:
    """The empty array of which the state that follows makes one with elements."""

    def build(state: Any) -> Array:
        _, shape, dtype, fortran, content = state
        if isinstance(content, str):  # as Python 2 wrote them
            content = content.encode("latin-1")
        if not isinstance(dtype, np.dtype) or not isinstance(content, bytes):
            raise Refused("it asks for an array of objects")
        return np.frombuffer(bytearray(content), dtype).reshape(shape, order="F" if fortran else "C")

    return Pending(build)


def _latin1(text: Any, encoding: Any) -> bytes:
    """How protocol 2 spells bytes; no other codec is of use."""
    if not isinstance(text, str) or encoding != "latin1":
        raise Refused("it asks for another codec than that of bytes")
    return text.encode("latin1")


_NAMES = {
    ("numpy.core.multiarray", "_reconstruct"): _pending_array,
    ("numpy._core.multiarray", "_reconstruct"): _pending_array,
    ("numpy", "ndarray"): None,
    ("numpy", "dtype"): _pending_dtype,
    ("_codecs", "encode"): _latin1,
}


def read_pickle(path: Path) -> dict[str, Any]:
    """A dict of arrays, lists, strings and numbers, as torchvision's CIFAR folders hold them."""
    try:
        content = read(path.read_bytes(), _NAMES)
    except Refused as error:
        raise RuntimeError(f"{path}: {error}, which is no array and could run code; refused: {AGAIN}") from None
    except (pickle.UnpicklingError, ValueError, TypeError, IndexError) as error:
        raise RuntimeError(f"{path} cannot be read ({type(error).__name__}: {error}): {AGAIN}") from None
    if not isinstance(content, dict):
        raise RuntimeError(f"{path} holds a {type(content).__name__}, expected a dict: {AGAIN}")
    return content


def cifar_pickle(path: Path, labels: str, classes: int) -> tuple[Array, Array]:
    """Images (N, 32, 32, 3) and labels of one of torchvision's batches."""
    content = read_pickle(path)
    data, targets = content.get("data"), content.get(labels)
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072:
        raise RuntimeError(f"{path}: expected 'data' of N x 3072 bytes, got {_kind(data)}: {AGAIN}")
    if not isinstance(targets, list) or len(targets) != len(data) or not all(type(t) is int for t in targets):
        raise RuntimeError(
            f"{path}: expected {len(data)} {labels!r}, whole numbers in a list, got {_kind(targets)}: {AGAIN}"
        )
    return _upright(data), checked(np.array(targets, object), classes, path)


def cifar_binary(path: Path, label_bytes: int, classes: int, images: int | None) -> tuple[Array, Array]:
    """Images and labels of records of ``label_bytes`` + 3072 bytes; of several labels the last counts (the fine one)."""
    size = label_bytes + 3072
    raw = np.fromfile(path, np.uint8)
    if raw.size == 0 or raw.size % size or (images is not None and raw.size != images * size):
        expected = (
            f"{images * size} bytes ({images} records of {size})" if images is not None else f"records of {size} bytes"
        )
        raise RuntimeError(f"{path} has {raw.size} bytes, expected {expected}: it is truncated or damaged; {AGAIN}")
    records = raw.reshape(-1, size)
    return _upright(records[:, label_bytes:]), checked(records[:, label_bytes - 1], classes, path)


def _upright(flat: Array) -> Array:
    """Channels first, as the files have it, to height, width, channels."""
    return np.ascontiguousarray(flat.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def checked(labels: Array, classes: int, path: Path) -> Array:
    """The labels as int64, if each is the number of a class."""
    bad = np.flatnonzero((labels < 0) | (labels >= classes))
    if bad.size:
        raise RuntimeError(
            f"{path}: label {labels[bad[0]]} of image {bad[0]} is not in 0 to {classes - 1}: it is damaged; {AGAIN}"
        )
    return labels.astype(np.int64)


def _kind(x: Any) -> str:
    return f"an array of shape {x.shape}, {x.dtype}" if isinstance(x, np.ndarray) else type(x).__name__


def idx(path: Path) -> Array:
    """The array of bytes in an IDX file, which may be gzipped (LeCun's format for MNIST)."""
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.GzipFile(fileobj=io.BytesIO(raw)).read(_LARGEST + 1)
        except (EOFError, OSError, zlib.error) as error:
            raise RuntimeError(f"{path} is truncated or damaged ({error}): {AGAIN}") from None
    if len(raw) > _LARGEST:
        raise RuntimeError(f"{path} holds more than {_LARGEST} bytes, which none of the data sets does: {AGAIN}")
    if len(raw) < 4 or raw[:3] != b"\0\0\x08":
        raise RuntimeError(f"{path} is no IDX file of bytes (it starts with {raw[:4].hex()}): {AGAIN}")
    start = 4 + 4 * raw[3]
    if len(raw) < start:
        raise RuntimeError(f"{path} has {len(raw)} bytes, less than its header needs: {AGAIN}")
    shape = struct.unpack(f">{raw[3]}I", raw[4:start])
    count = 1
    for n in shape:
        count *= n
    if len(raw) - start != count:
        raise RuntimeError(f"{path} announces {shape} and has {len(raw) - start} bytes, expected {count}: {AGAIN}")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape).copy()
