"""Saving and loading: what comes back, what the format is, and that no file can harm."""

from __future__ import annotations

import collections
import contextlib
import io
import json
import os
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_loss as tg

FIXTURE = Path(__file__).parent / "fixtures" / "checkpoint.pth"


def same(a: Any, b: Any) -> bool:
    """Equal, with equal types all the way down."""
    if isinstance(a, tg.Tensor):
        return (
            isinstance(b, tg.Tensor)
            and a.dtype is b.dtype
            and a.shape == b.shape
            and np.array_equal(a.detach().numpy(), b.detach().numpy(), equal_nan=a.is_floating_point())
        )
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b or (a != a and b != b)


def through_memory(obj: Any) -> Any:
    buffer = io.BytesIO()
    tg.save(obj, buffer)
    buffer.seek(0)
    return tg.load(buffer)


arrays = st.builds(
    lambda shape, dtype, seed: tg.tensor(np.random.default_rng(seed).integers(0, 2, shape).astype(dtype)),
    st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from(
        ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "complex64", "complex128"]
    ),
    st.integers(0, 99),
)
numbers = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
keys = st.text(max_size=4) | st.integers(-3, 3) | st.booleans() | st.none()
nested = st.recursive(
    arrays | numbers,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(keys, inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3).map(collections.OrderedDict)
    ),
    max_leaves=8,
)


@given(nested)
def test_everything_comes_back(obj: Any) -> None:
    assert same(through_memory(obj), obj)


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth", "noending"])
def test_the_format_is_safetensors_whatever_the_name(tmp_path: Path, name: str) -> None:
    state = {"0.weight": tg.ones(2, 3), "0.bias": tg.zeros(2)}
    tg.save(state, tmp_path / name)
    read = safetensors.numpy.load_file(tmp_path / name)
    assert {k: v.tolist() for k, v in read.items()} == {k: v.tolist() for k, v in state.items()}
    assert same(tg.load(tmp_path / name), state)


def test_a_foreign_safetensors_file(tmp_path: Path) -> None:
    safetensors.numpy.save_file({"x": np.arange(3.0)}, tmp_path / "x")
    assert same(tg.load(tmp_path / "x"), {"x": tg.tensor([0.0, 1.0, 2.0], dtype=tg.float64)})


def foreign(dtype: str, shape: list[int], content: bytes) -> bytes:
    header = json.dumps({"x": {"dtype": dtype, "shape": shape, "data_offsets": [0, len(content)]}}).encode()
    return struct.pack("<Q", len(header)) + header + content


def test_dtypes_that_numpy_has_not(tmp_path: Path) -> None:
    content = foreign("BF16", [3, 1], np.array([0x3F80, 0xC020, 0x7F80], "<u2").tobytes())
    (tmp_path / "x").write_bytes(content)
    expected = {"x": tg.tensor([[1.0], [-2.5], [np.inf]])}
    assert same(tg.load(tmp_path / "x"), expected)
    assert same(tg.load(io.BytesIO(content)), expected)
    content = foreign("U16", [2], bytes(4))
    (tmp_path / "x").write_bytes(content)
    for source in (tmp_path / "x", io.BytesIO(content)):
        with pytest.raises(RuntimeError, match="'x' is of U16, a dtype that there is not here"):
            tg.load(source)


def test_names_that_collide() -> None:
    obj = {"a": {"b": tg.ones(1)}, "a.b": tg.zeros(1), "__metadata__": tg.full((1,), 5.0)}
    assert same(through_memory(obj), obj)


def test_layouts_and_gradient_flags() -> None:
    w = tg.arange(6.0).view(2, 3).t().requires_grad_()
    back = through_memory({"w": w, "v": w * 2})
    assert back["w"].requires_grad
    assert not back["v"].requires_grad
    assert back["w"].tolist() == w.tolist()


@pytest.mark.parametrize(
    ("obj", "words"),
    [
        ({"a": [object()]}, r"obj\['a'\]\[0\]: a object is no tensor"),
        ({"a": np.ones(2)}, r"obj\['a'\].*write tensor\(ndarray\)"),
        ({"a": np.float32(1)}, r"write \.item\(\)"),
        ({(1, 2): 3}, r"cannot save the key \(1, 2\) of obj"),
    ],
)
def test_what_cannot_be_saved_is_named_and_nothing_is_written(tmp_path: Path, obj: Any, words: str) -> None:
    path = tmp_path / "kept"
    path.write_bytes(b"old")
    with pytest.raises(TypeError, match=words):
        tg.save(obj, path)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept"]


def test_a_crash_while_saving_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kept"
    tg.save({"x": tg.ones(3)}, path)

    def crash(arrays: Any, name: str, metadata: Any) -> None:
        Path(name).write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors.numpy, "save_file", crash)
    with pytest.raises(OSError, match="No space"):
        tg.save({"x": tg.zeros(3)}, path)
    assert tg.load(path)["x"].tolist() == [1.0, 1.0, 1.0]
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept"]


def test_what_has_no_end_or_goes_too_deep(tmp_path: Path) -> None:
    endless: dict[str, Any] = {}
    endless["self"] = endless
    with pytest.raises(ValueError, match=r"perhaps obj\['self'\] holds itself"):
        tg.save(endless, tmp_path / "x")
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    assert through_memory(deep) == deep
    with pytest.raises(ValueError, match="more than 100 deep"):
        tg.save([deep], tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_texts_that_no_file_can_hold_as_names() -> None:
    obj = {**{chr(0xD800 + i): tg.full((1,), i) for i in range(3)}, "nul\0": tg.ones(2), "": tg.ones(3)}
    assert same(through_memory(obj), obj)


def test_where_a_file_can_and_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*missing'; make it first"):
        tg.save(1, tmp_path / "missing" / "x")
    with pytest.raises(IsADirectoryError, match="is a folder: write the name of a file in it"):
        tg.save(1, tmp_path)
    for wrong in (None, 3, io.StringIO(), b"name"):
        with pytest.raises(TypeError, match="expected a path or a binary file"):
            tg.save(1, wrong)
    for wrong in (None, 3, b"name"):
        with pytest.raises(TypeError, match="expected a path or a binary file"):
            tg.load(wrong)
    with pytest.raises(TypeError, match="is a text file"):
        tg.load(io.StringIO("text"))
    (tmp_path / "target").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    tg.save({"x": tg.ones(1)}, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert same(tg.load(tmp_path / "target"), {"x": tg.ones(1)})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        tg.save({"x": tg.ones(2)}, tmp_path / "pipe")
        assert same(tg.load(io.BytesIO(os.read(reader, 4096))), {"x": tg.ones(2)})
        assert not (tmp_path / "pipe").is_file()
    finally:
        os.close(reader)


def test_permissions_are_those_of_an_ordinary_file(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"")
    tg.save([1], tmp_path / "x")
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_every_truncation_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    tg.save({"x": tg.ones(4), "e": 1}, path)
    whole = path.read_bytes()
    for size in range(len(whole)):
        for content in (whole[:size],):
            path.write_bytes(content)
            with pytest.raises(RuntimeError, match="no readable checkpoint"):
                tg.load(path)
            with pytest.raises(RuntimeError, match="no readable checkpoint"):
                tg.load(io.BytesIO(content))


def header(content: Any, data: bytes = b"") -> bytes:
    text = json.dumps(content).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    "content",
    [
        header({"x": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}}, b"1234"),
        header({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 2**60]}}, b"1234"),
        header({"x": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}, b"1234"),
        header({"x": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"1234"),
        header({"x": {"dtype": "Q9", "shape": [1], "data_offsets": [0, 4]}}, b"1234"),
        header({"x": "y"}),
        header([1, 2]),
        struct.pack("<Q", 2**62) + b"{}",
        struct.pack("<Q", 2) + b"{",
        b"\xff" * 64,
        header({"__metadata__": {"tinygrad_loss": '{"T": "absent"}'}}),
        header({"__metadata__": {"tinygrad_loss": "[" * 100_000}}),
        header({"__metadata__": {"tinygrad_loss": '{"l": ' * 3000 + "1" + "}" * 3000}}),
        header({"__metadata__": {"tinygrad_loss": "{}"}}),
        header({"__metadata__": {"tinygrad_loss": "[1]"}}),
    ],
)
def test_hostile_files_are_refused_with_little_memory(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        for source in (path, io.BytesIO(content)):
            with pytest.raises(RuntimeError, match="no readable checkpoint"):
                tg.load(source)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_a_missing_file_and_arguments() -> None:
    with pytest.raises(FileNotFoundError):
        tg.load("no/such/file")
    with pytest.raises(ValueError, match="would run code"):
        tg.load(FIXTURE, weights_only=False)
    for place in ("cuda", "cpux", {"cuda:0": "cuda:1"}):
        with pytest.raises(RuntimeError, match="only the CPU"):
            tg.load(FIXTURE, map_location=place)
    for place in ("cpu", {"cuda:0": "cpu"}, lambda storage, location: storage):
        assert tg.load(FIXTURE, map_location=place, weights_only=None)["epoch"] == 3


def test_a_pytorch_file_without_pytorch() -> None:
    checkpoint = tg.load(FIXTURE, map_location="cpu")
    assert list(checkpoint) == ["model", "optimizer", "epoch", "notes", "transposed", "half", "parameter"]
    assert checkpoint["epoch"] == 3
    assert checkpoint["notes"] == ["a", None, 1.5, (True, 2)]
    assert checkpoint["transposed"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert checkpoint["half"].tolist() == [1.0, -2.5]
    assert checkpoint["parameter"].requires_grad
    weight = checkpoint["model"]["0.weight"]
    assert weight.shape == (2, 3)
    assert weight.dtype is tg.float32
    assert checkpoint["optimizer"]["state"][0]["exp_avg"].shape == (2, 3)
    assert same(through_memory(checkpoint), checkpoint)


class Pickled:
    """Writes an archive with a pickle of our making."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, data: bytes, storage: bytes = b"\0" * 16, compression: int = zipfile.ZIP_STORED) -> Path:
        with zipfile.ZipFile(self.path, "w", compression) as archive:
            archive.writestr("archive/data.pkl", data)
            archive.writestr("archive/data/0", storage)
            archive.writestr("archive/byteorder", "little")
        return self.path


class Runs:
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/it-ran",)


class Named:
    """Pickles as a reference to a name of another module."""

    def __init__(self, module: str, name: str, *args: Any) -> None:
        self.module, self.name, self.args = module, name, args


class Writer(pickle._Pickler):  # type: ignore[name-defined,misc]
    """A pickler that writes torch's names without torch."""

    def persistent_id(self, obj: Any) -> Any:
        return obj.args if isinstance(obj, Named) and obj.module == "persistent" else None

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Named) and obj.module != "persistent":
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
            if obj.args:
                self.save(obj.args)
                self.write(pickle.REDUCE)
            return
        super().save(obj, save_persistent_id)


def pickled(obj: Any) -> bytes:
    buffer = io.BytesIO()
    Writer(buffer, 2).dump(obj)
    return buffer.getvalue()


def tensor_of(offset: Any, size: Any, stride: Any, count: int = 4, kind: str = "FloatStorage") -> Named:
    storage = Named("persistent", "", "storage", Named("torch", kind), "0", "cpu", count)
    return Named("torch._utils", "_rebuild_tensor_v2", storage, offset, size, stride, False, None)


def test_the_writer_of_these_tests_writes_what_is_read(tmp_path: Path) -> None:
    path = Pickled(tmp_path / "x").write(pickled(tensor_of(1, (3,), (1,))), np.arange(4, dtype="<f4").tobytes())
    assert tg.load(path).tolist() == [1.0, 2.0, 3.0]


def test_a_file_of_the_other_byte_order(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x", "w") as archive:
        archive.writestr("archive/data.pkl", pickled(tensor_of(0, (4,), (1,))))
        archive.writestr("archive/data/0", np.arange(4, dtype=">f4").tobytes())
        archive.writestr("archive/byteorder", "big")
    assert tg.load(tmp_path / "x").tolist() == [0.0, 1.0, 2.0, 3.0]


def test_an_expanded_tensor_has_more_than_it_stores(tmp_path: Path) -> None:
    path = Pickled(tmp_path / "x").write(pickled(tensor_of(1, (2, 3), (0, 1))), np.arange(4, dtype="<f4").tobytes())
    assert tg.load(path).tolist() == [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]


@pytest.mark.parametrize(
    ("obj", "words"),
    [
        (Runs(), "could run code"),
        (Named("torch._utils", "_rebuild_tensor_v3", 1), "dtype that there is not here"),
        (Named("builtins", "eval", "1+1"), "builtins.eval"),
        (Named("torch.nn.modules.linear", "Linear"), r"Save model.state_dict\(\)"),
        (tensor_of(0, (2**40, 2**40), (0, 0)), "does not fit its storage of 4"),
        (tensor_of(0, (5,), (1,)), "does not fit its storage"),
        (tensor_of(2, (3,), (1,)), "does not fit its storage"),
        (tensor_of(0, (2, 2), (3, 1)), "does not fit its storage"),
        (tensor_of(-1, (2,), (1,)), "impossible tensor"),
        (tensor_of(0, (2,), (-1,)), "impossible tensor"),
        (tensor_of(0, (-2,), (1,)), "impossible tensor"),
        (tensor_of(0, (2,), (1, 1)), "impossible tensor"),
        (tensor_of(0, (2,), (1,), count=2**50), "has 16 bytes where"),
        (tensor_of(0, (2,), (1,), count=3), "has 16 bytes, more than the 12"),
        (Named("torch._utils", "_rebuild_tensor_v2", "no storage", 0, (2,), (1,)), "impossible tensor"),
    ],
)
def test_a_pytorch_file_that_lies_or_would_run_code(tmp_path: Path, obj: Any, words: str) -> None:
    path = Pickled(tmp_path / "x").write(pickled(obj))
    with pytest.raises(RuntimeError, match=words):
        tg.load(path)
    assert not Path("/tmp/it-ran").exists()


def test_compressed_archives_and_other_zips(tmp_path: Path) -> None:
    path = Pickled(tmp_path / "x").write(pickled([1]), compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(RuntimeError, match="compressed"):
        tg.load(path)
    with zipfile.ZipFile(tmp_path / "y", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(RuntimeError, match=r"no data\.pkl"):
        tg.load(tmp_path / "y")
    (tmp_path / "z").write_bytes(pickle.dumps([1, 2, 3], protocol=2))
    with pytest.raises(RuntimeError, match="bare pickle"):
        tg.load(tmp_path / "z")


def test_damaged_pytorch_files(tmp_path: Path) -> None:
    whole = FIXTURE.read_bytes()
    for size in range(4, len(whole), 97):
        (tmp_path / "cut").write_bytes(whole[:size])
        with pytest.raises(RuntimeError, match=r"damaged|no readable checkpoint"):
            tg.load(tmp_path / "cut")
    rng = np.random.default_rng(0)
    for _ in range(200):  # a flipped byte is found or harmless, and never crashes
        data = bytearray(whole)
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        (tmp_path / "flipped").write_bytes(data)
        with contextlib.suppress(RuntimeError):  # anything else fails the test
            tg.load(tmp_path / "flipped")


@pytest.mark.parity
def test_pytorch_opens_what_we_save(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    torch.save(model.state_dict(), tmp_path / "theirs.pth")
    tg.save(tg.load(tmp_path / "theirs.pth"), tmp_path / "ours.pth")
    again = load_file(tmp_path / "ours.pth")
    assert model.load_state_dict(again)
    for name, value in model.state_dict().items():
        assert torch.equal(again[name], value)
