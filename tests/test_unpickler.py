"""Pickles are read as data: what Python's unpickler reads of it, and nothing that acts on the process."""

import collections
import contextlib
import io
import pickle
import pickletools
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

import tinygrad_loss as tg
from tinygrad_loss import torch_archive
from tinygrad_loss.unpickler import Refused, ordered, read
from tinygrad_loss.vision import formats

NAMES = {("collections", "OrderedDict"): ordered, ("torch._utils", "_rebuild_tensor_v2"): torch_archive._tensor}

PLAIN = [
    None, True, False, 0, 1, 255, 256, 65535, 65536, -1, 2**31, -(2**31), 2**63, -(2**63), 2**2100, 0.0, -0.0, 1.5e300, "",
    "a", "é\0\n", "\ud800", "x" * 300, "x" * 70000, b"", b"\xff\0", b"x" * 300, (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], [1],
    list(range(3000)), {}, {"a": 1}, {1: "a", None: 2, 2.5: [{}]}, dict.fromkeys(range(3000), "same"),
    collections.OrderedDict(b=1, a=[2]), [(), [(), {}]],
]  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("i", range(len(PLAIN)))
def test_plain_data_is_read_as_python_reads_it(i, protocol):
    content = pickle.dumps(PLAIN[i], protocol)
    if isinstance(PLAIN[i], bytes) and protocol == 2:
        assert read(content, {("_codecs", "encode"): formats._latin1, ("__builtin__", "bytes"): bytes}) == PLAIN[i]
        return
    found = read(content, NAMES)
    assert found == PLAIN[i]
    assert type(found) is type(PLAIN[i])
    assert repr(found) == repr(PLAIN[i])
    assert read(pickletools.optimize(content), NAMES) == PLAIN[i]


def test_what_occurs_twice_stays_one_thing():
    inner = [1]
    found = read(pickle.dumps([inner, inner], 2), {})
    assert found[0] is found[1]
    inner.append(inner)
    found = read(pickle.dumps(inner, 2), {})
    assert found[1] is found


def test_every_cut_and_every_flipped_byte_is_an_error_or_data():
    content = pickle.dumps({"a": [1, 2.5, "text"], "b": (None, True, b"bytes"), 3: collections.OrderedDict(c=2**70)}, 4)
    for size in range(len(content)):
        with pytest.raises((Refused, pickle.UnpicklingError)):
            read(content[:size], NAMES)
    for at in range(len(content)):
        for bit in range(8):
            flipped = bytearray(content)
            flipped[at] ^= 1 << bit
            with contextlib.suppress(Refused, pickle.UnpicklingError, ValueError, TypeError):
                read(bytes(flipped), NAMES)


def laughs(depth):
    """A tuple of two references to a tuple of two references to ..., as the key of a dict."""
    lines = [b"\x80\x02Nq\x00"]
    lines += [b"0h" + bytes([i]) + b"h" + bytes([i]) + b"\x86q" + bytes([i + 1]) for i in range(depth)]
    return b"".join(lines) + b"0}h" + bytes([depth]) + b"Ns."


GLOBAL = b"ctorch._utils\n_rebuild_tensor_v2\n"
HOSTILE = {
    "a name": b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.",
    "a name of another protocol": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
    "an instance by its name": b"(X\x04\x00\x00\x00trueios\nsystem\n.",
    "a new object": b"\x80\x02ccollections\nOrderedDict\n)\x81.",
    "attributes of a function": b"\x80\x02" + GLOBAL + b"N}X\x0c\x00\x00\x00__defaults__)s\x86b.",
    "the dict of a function": b"\x80\x02" + GLOBAL + b"}X\x01\x00\x00\x00xK\x01sb.",
    "a call of a string": b"\x80\x02X\x01\x00\x00\x00a)R.",
    "a registered extension": b"\x80\x02\x82\x01.",
    "a tuple as a key": laughs(40),
    "a tuple as a key of an OrderedDict": b"\x80\x02ccollections\nOrderedDict\n](N\x85N\x86e\x85R.",
    "a reference to elsewhere": b"\x80\x02K\x01Q.",
    "a memory of one entry far away": b"\x80\x02Nr\xf0\xff\xff\xffj\xf0\xff\xff\xff\x85\x81.",
    "a text of many bytes": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"a.",
    "many bytes": b"\x80\x05\x96" + struct.pack("<Q", 1 << 62) + b"a.",
    "a huge number": b"\x80\x02\x8b\xff\xff\xff\x7f\x01.",
    "nothing on the stack": b"\x80\x02.",
    "a mark alone": b"\x80\x02(.",
    "more than there is": b"\x80\x02\x86.",
    "no list to add to": b"\x80\x02K\x01K\x02a.",
    "no dict to add to": b"\x80\x02]K\x01K\x02s.",
    "an odd dict": b"\x80\x02}(K\x01u.",
    "an entry that is not there": b"\x80\x02h\x07.",
    "an old protocol": b"(dp0\nS'a'\np1\nI1\ns.",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_data_is_refused_at_once(name):
    before = vars(torch_archive._tensor).copy(), torch_archive._tensor.__defaults__
    start = time.monotonic()
    with pytest.raises((Refused, pickle.UnpicklingError, ValueError)):
        read(HOSTILE[name], NAMES)
    assert time.monotonic() - start < 1
    assert (vars(torch_archive._tensor), torch_archive._tensor.__defaults__) == before


def test_depth_needs_no_recursion():
    found = read(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".", {})
    for _ in range(99_999):
        (found,) = found
    assert found == []


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("dtype", ["u1", "<i8", ">i4", "<f4", "|b1"])
def test_arrays_of_numbers(tmp_path: Path, protocol: int, dtype: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps({"data": array, "again": array, "f": np.asfortranarray(array)}, protocol))
    found = formats.read_pickle(path)
    for part in found.values():
        np.testing.assert_array_equal(part, array)
        assert part.dtype == array.dtype
    assert found["again"] is found["data"]


def test_an_array_as_python_2_wrote_it(tmp_path: Path) -> None:
    """The files of CIFAR-10 itself are such: their bytes are strings."""
    array = np.random.default_rng(0).integers(0, 256, (2, 3072), dtype=np.uint8)
    minus = b"J\xff\xff\xff\xff"
    content = (
        b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x15training batch 1 of 5q\x03U\x06labelsq\x04]q\x05(K\x06K\x09eU\x04dataq\x06"
        b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\x09(K\x01K\x02M\x00\x0c\x86"
        b"cnumpy\ndtype\nq\x0aU\x02u1K\x00K\x01\x87Rq\x0b(K\x03U\x01|NNN" + minus * 2 + b"K\x00tb\x89"
        b"T" + struct.pack("<I", array.size) + array.tobytes() + b"tbU\x09filenamesq\x0c]q\x0d(U\x05a.pngU\x05b.pngeu."
    )
    (tmp_path / "data_batch_1").write_bytes(content)
    images, labels = formats.cifar_pickle(tmp_path / "data_batch_1", "labels", 10)
    np.testing.assert_array_equal(images, array.reshape(2, 3, 32, 32).transpose(0, 2, 3, 1))
    assert labels.tolist() == [6, 9]
    assert formats.read_pickle(tmp_path / "data_batch_1")["filenames"] == ["a.png", "b.png"]


@pytest.mark.parametrize(
    "array", [np.array([[1]], object), np.array(["a"]), np.zeros(2, "u1,f4"), np.zeros(2, "M8[s]")]
)
def test_arrays_of_anything_else_are_refused(tmp_path: Path, array: np.ndarray) -> None:
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps({"data": array}, 2))
    with pytest.raises(RuntimeError, match="asks for an array of"):
        formats.read_pickle(path)


def test_entries_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps([1], 2))
        archive.writestr("archive/data/0", bytes(4096))
        for i in range(1, 50):
            twin = zipfile.ZipInfo(f"archive/data/{i}")
            first = archive.getinfo("archive/data/0")
            twin.header_offset, twin.file_size, twin.compress_size = 0, first.file_size, first.compress_size
            twin.CRC = first.CRC
            archive.filelist.append(twin)
            archive.NameToInfo[twin.filename] = twin
    path = tmp_path / "x.pth"
    path.write_bytes(buffer.getvalue())
    with pytest.raises(RuntimeError, match="more bytes than the file has"):
        tg.load(path)
