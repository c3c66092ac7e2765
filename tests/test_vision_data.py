"""Data sets: downloads over a real connection that may be cut, archives of the true format, damaged files."""

from __future__ import annotations

import gzip
import hashlib
import io
import multiprocessing
import os
import pickle
import socket
import struct
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_loss as tg
from tinygrad_loss.utils.data import DataLoader
from tinygrad_loss.vision import datasets, download, transforms

N = 20  # images in each file of our small archives


def records(seed: int, label_bytes: int = 1, classes: int = 10) -> bytes:
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 256, (N, label_bytes + 3072), dtype=np.uint8)
    raw[:, :label_bytes] %= classes
    return raw.tobytes()


def archive(files: dict[str, bytes], folder: str = "cifar-10-batches-bin/") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(folder + name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


CIFAR = archive({f"{n}.bin": records(i) for i, n in enumerate((*datasets.CIFAR10.train_files, "test_batch"))})


class Server(ThreadingHTTPServer):
    """Serves bytes by path, with ranges; the first ``cuts`` answers break off half-way."""

    daemon_threads = True
    files: dict[str, bytes]
    cuts = 0
    ranges = True
    shift = 0  # by how much a range begins too early
    requests: list[str | None]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        content = self.server.files.get(self.path.strip("/"))
        asked = self.headers.get("Range")
        self.server.requests.append(asked)
        if content is None:
            self.send_error(404)
            return
        if content.startswith(b"to "):
            self.send_response(302)
            self.send_header("Location", content[3:].decode())
            self.end_headers()
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.ranges else 0
        if start >= len(content):
            self.send_error(416)
            return
        start = max(start - self.server.shift, min(start, 1))
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        rest = content[start:]
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if self.server.cuts > 0:
            self.server.cuts -= 1
            self.wfile.write(rest[: len(rest) // 2])
            self.wfile.flush()
            self.connection.close()
            return
        self.wfile.write(rest)

    def log_message(self, *args: Any) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    running = Server(("127.0.0.1", 0), Handler)
    running.files, running.requests = {"cifar-10-binary.tar.gz": CIFAR}, []
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(datasets.CIFAR10, "url", running.url + "cifar-10-binary.tar.gz")
    monkeypatch.setattr(datasets.CIFAR10, "md5", hashlib.md5(CIFAR).hexdigest())
    monkeypatch.setattr(datasets.CIFAR10, "images_per_file", N)
    monkeypatch.setattr(download.time, "sleep", lambda _: None)
    yield running
    running.shutdown()
    running.server_close()


def test_download_and_parse(tmp_path: Path, server: Server) -> None:
    train = datasets.CIFAR10(tmp_path, download=True)
    test = datasets.CIFAR10(tmp_path, train=False)
    assert (len(train), len(test)) == (5 * N, N)
    raw = np.frombuffer(records(0), np.uint8).reshape(N, 3073)
    assert train.targets[:N] == raw[:, 0].tolist()
    np.testing.assert_array_equal(train.data[3], raw[3, 1:].reshape(3, 32, 32).transpose(1, 2, 0))
    image, label = train[3]
    assert image.size == (32, 32)
    np.testing.assert_array_equal(np.asarray(image), train.data[3])
    assert label == raw[3, 0]
    assert train.class_to_idx["frog"] == 6
    asked = len(server.requests)
    datasets.CIFAR10(tmp_path, download=True)
    assert len(server.requests) == asked  # what is there and whole is not fetched again


def test_a_cut_download_is_resumed(tmp_path: Path, server: Server) -> None:
    server.cuts = 3
    assert len(datasets.CIFAR10(tmp_path, download=True)) == 5 * N
    half = len(CIFAR) // 2
    assert server.requests[0] is None
    assert server.requests[1] == f"bytes={half}-"
    assert len(server.requests) == 4


def test_a_server_without_ranges_starts_again(tmp_path: Path, server: Server) -> None:
    server.cuts, server.ranges = 1, False
    assert len(datasets.CIFAR10(tmp_path, download=True)) == 5 * N


def test_an_earlier_run_is_resumed(tmp_path: Path, server: Server) -> None:
    (tmp_path / "cifar-10-binary.tar.gz.part").write_bytes(CIFAR[:1000])
    datasets.CIFAR10(tmp_path, download=True)
    assert server.requests == ["bytes=1000-"]


def test_another_range_than_the_wanted_one_is_not_appended(tmp_path: Path, server: Server) -> None:
    server.cuts, server.shift = 1, 7
    part = tmp_path / "cifar-10-binary.tar.gz.part"
    assert not download._continue(datasets.CIFAR10.url, part)
    half = part.stat().st_size
    download._continue(datasets.CIFAR10.url, part)
    assert part.read_bytes() == CIFAR[half - 7 :]


def test_an_earlier_run_that_was_killed_at_the_end_is_not_repeated(tmp_path: Path, server: Server) -> None:
    (tmp_path / "cifar-10-binary.tar.gz.part").write_bytes(CIFAR)
    datasets.CIFAR10(tmp_path, download=True)
    assert server.requests == [f"bytes={len(CIFAR)}-"]


@pytest.mark.parametrize("size", [1000, len(CIFAR), len(CIFAR) + 7])
def test_an_earlier_run_of_something_else_is_started_again(tmp_path: Path, server: Server, size: int) -> None:
    (tmp_path / "cifar-10-binary.tar.gz.part").write_bytes(b"?" * size)
    assert len(datasets.CIFAR10(tmp_path, download=True)) == 5 * N
    assert server.requests == [f"bytes={size}-", None]


def test_a_redirect_is_followed(tmp_path: Path, server: Server) -> None:
    server.files["elsewhere"] = CIFAR
    server.files["cifar-10-binary.tar.gz"] = b"to /elsewhere"
    server.cuts = 1
    assert len(datasets.CIFAR10(tmp_path, download=True)) == 5 * N


def test_a_server_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.05)
    monkeypatch.setattr(download.time, "sleep", lambda _: None)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(
            datasets.CIFAR10, "url", f"http://127.0.0.1:{silent.getsockname()[1]}/cifar-10-binary.tar.gz"
        )
        with pytest.raises(ConnectionError, match=r"could not download .*timed out\. Get it another way"):
            datasets.CIFAR10(tmp_path, download=True)


def test_where_nothing_can_be_written(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match=r"cannot write in .*file.*: choose another root"):
        datasets.CIFAR10(tmp_path / "file", download=True)
    assert len(datasets.CIFAR10(tmp_path, download=True)) == 5 * N
    monkeypatch.setattr(datasets, "locked", None)  # what is whole is left alone
    monkeypatch.setattr(download, "locked", None)
    assert len(datasets.CIFAR10(tmp_path, download=True)) == 5 * N


def test_damaged_sums_are_made_again(tmp_path: Path, server: Server) -> None:
    datasets.CIFAR10(tmp_path, download=True)
    (tmp_path / "cifar-10-batches-bin" / "notes").mkdir()
    (tmp_path / "cifar-10-batches-bin" / "MD5SUMS").write_bytes(b"\xff no sums\n\n")
    assert len(datasets.CIFAR10(tmp_path, download=True)) == 5 * N
    assert len(server.requests) == 1  # the archive is there
    assert "data_batch_1.bin" in (tmp_path / "cifar-10-batches-bin" / "MD5SUMS").read_text()


def test_a_server_that_keeps_breaking_off(tmp_path: Path, server: Server) -> None:
    server.cuts = 99
    with pytest.raises(ConnectionError, match=r"the connection broke off\. Get it another way and put it at .*tar\.gz"):
        datasets.CIFAR10(tmp_path, download=True)
    assert (tmp_path / "cifar-10-binary.tar.gz.part").stat().st_size > len(CIFAR) // 2  # not lost


def test_a_wrong_file_is_not_kept(tmp_path: Path, server: Server) -> None:
    server.files["cifar-10-binary.tar.gz"] = CIFAR[:-1] + b"!"
    with pytest.raises(RuntimeError, match=r"gave a file with MD5 [0-9a-f]{32}, expected [0-9a-f]{32}"):
        datasets.CIFAR10(tmp_path, download=True)
    assert not list(tmp_path.glob("cifar*"))


def test_no_server_and_no_file(tmp_path: Path, server: Server) -> None:
    server.files.clear()
    part = tmp_path / "cifar-10-binary.tar.gz.part"
    for content in (None, CIFAR[:1000]):
        if content is not None:
            part.write_bytes(content)
        with pytest.raises(ConnectionError, match=r"the server answered 404"):
            datasets.CIFAR10(tmp_path, download=True)
    assert part.read_bytes() == CIFAR[:1000]  # not lost
    with pytest.raises(RuntimeError, match=r"There is no .*data_batch_1.*download=True"):
        datasets.CIFAR10(tmp_path)


def test_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.CIFAR10, "url", "http://127.0.0.1:9/cifar-10-binary.tar.gz")
    monkeypatch.setattr(download.time, "sleep", lambda _: None)
    with pytest.raises(ConnectionError, match=r"could not download http://127\.0\.0\.1:9"):
        datasets.CIFAR10(tmp_path, download=True)


def _download(root: str, url: str, md5: str) -> None:
    datasets.CIFAR10.url, datasets.CIFAR10.md5, datasets.CIFAR10.images_per_file = url, md5, N
    datasets.CIFAR10(root, download=True)


def test_a_second_process_waits_and_does_not_fetch(tmp_path: Path, server: Server) -> None:
    context = multiprocessing.get_context("spawn")
    arguments = (str(tmp_path), datasets.CIFAR10.url, datasets.CIFAR10.md5)
    with download.locked(tmp_path / datasets.CIFAR10.folder):
        processes = [context.Process(target=_download, args=arguments) for _ in range(2)]
        for process in processes:
            process.start()
        processes[0].join(1.0)
        assert processes[0].is_alive()  # it waits
        assert server.requests == []
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert server.requests == [None]


@pytest.mark.parametrize("name", ["../evil.bin", "/tmp/evil.bin", "a/../../evil.bin"])
def test_no_member_leaves_the_folder(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(archive({name: b"x"}, folder=""))
    with pytest.raises(RuntimeError, match=r"would leave the folder"):
        download.extract(path, tmp_path / "deep" / "out")
    assert not (tmp_path / "deep" / "out").exists()
    assert not list(tmp_path.rglob("evil.bin"))


def test_links_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        member = tarfile.TarInfo("link.bin")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(RuntimeError, match="no plain file"):
        download.extract(tmp_path / "x.tar", tmp_path / "out")


def test_a_truncated_archive(tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").write_bytes(CIFAR[: len(CIFAR) // 2])
    with pytest.raises(RuntimeError, match=r"is damaged .*download=True"):
        download.extract(tmp_path / "x.tar.gz", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damaged_files_are_named(tmp_path: Path, server: Server) -> None:
    datasets.CIFAR10(tmp_path, download=True)
    victim = tmp_path / "cifar-10-batches-bin" / "data_batch_2.bin"
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-7])
    with pytest.raises(
        RuntimeError, match=rf"data_batch_2\.bin has {len(whole) - 7} bytes, expected {len(whole)} bytes"
    ):
        datasets.CIFAR10(tmp_path)
    victim.write_bytes(b"\x0b" + whole[1:])
    with pytest.raises(RuntimeError, match=r"data_batch_2\.bin: label 11 of image 0 is not in 0 to 9"):
        datasets.CIFAR10(tmp_path)
    victim.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))  # a pixel: only the sum tells
    datasets.CIFAR10(tmp_path, download=True)
    assert victim.read_bytes() == whole
    victim.unlink()
    with pytest.raises(RuntimeError, match=r"There is no .*data_batch_2\.bin"):
        datasets.CIFAR10(tmp_path)


def pickles(folder: Path) -> None:
    folder.mkdir()
    for i, name in enumerate((*datasets.CIFAR10.train_files, "test_batch")):
        raw = np.frombuffer(records(i), np.uint8).reshape(N, 3073)
        content = {b"data": raw[:, 1:], b"labels": raw[:, 0].tolist(), b"batch_label": b"x"}
        # Python 2 wrote str where Python 3 writes bytes: the same opcodes as latin-1 text
        text = {k.decode(): v for k, v in content.items()}
        (folder / name).write_bytes(pickle.dumps(text, protocol=2))


def test_torchvisions_folder_of_pickles(tmp_path: Path, server: Server) -> None:
    pickles(tmp_path / "cifar-10-batches-py")
    from_pickles = datasets.CIFAR10(tmp_path)
    datasets.CIFAR10(tmp_path / "other", download=True)
    from_binary = datasets.CIFAR10(tmp_path / "other")
    np.testing.assert_array_equal(from_pickles.data, from_binary.data)
    assert from_pickles.targets == from_binary.targets
    server.requests.clear()
    np.testing.assert_array_equal(datasets.CIFAR10(tmp_path, download=True).data, from_pickles.data)
    assert not server.requests  # all is there
    (tmp_path / "cifar-10-batches-py" / "test_batch").unlink()
    datasets.CIFAR10(tmp_path, download=True)
    assert server.requests == [None]


class Runs:
    def __reduce__(self) -> Any:
        return os.system, ("touch ran",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pickle.dumps({"data": Runs()}), "could run code; refused"),
        (pickle.dumps([1]), "holds a list, expected a dict"),
        (pickle.dumps({"data": np.zeros((2, 3)), "labels": [1, 2]}), "expected 'data' of N x 3072 bytes"),
        (pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [1]}), "expected 2 'labels'"),
        (pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [1, 10]}), "label 10 of image 1"),
        (pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [2**70, 1]}), f"label {2**70} of image 0"),
        (pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [1, "cat"]}), "expected 2 'labels', whole"),
        (b"\x80\x02}q\x00(", "cannot be read"),
    ],
)
def test_pickles_admit_arrays_and_nothing_else(tmp_path: Path, content: bytes, words: str) -> None:
    pickles(tmp_path / "cifar-10-batches-py")
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(content)
    with pytest.raises(RuntimeError, match=words):
        datasets.CIFAR10(tmp_path)
    assert not Path("ran").exists()


def test_cifar100(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-100-binary"
    folder.mkdir()
    (folder / "train.bin").write_bytes(records(1, 2, 100))
    data = datasets.CIFAR100(tmp_path)
    raw = np.frombuffer(records(1, 2, 100), np.uint8).reshape(N, 3074)
    assert data.targets == raw[:, 1].tolist()  # the fine label
    assert len(data.classes) == 100


def idx(array: np.ndarray[Any, Any]) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize("cls", [datasets.MNIST, datasets.FashionMNIST])
def test_mnist(tmp_path: Path, server: Server, cls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (N, 28, 28), dtype=np.uint8), rng.integers(0, 10, N).astype(np.uint8)
    files = {name: gzip.compress(idx(images if "images" in name else labels)) for name in cls.md5s}
    server.files = {f"{name}.gz": content for name, content in files.items()}
    monkeypatch.setattr(cls, "url", server.url)
    monkeypatch.setattr(cls, "md5s", {name: hashlib.md5(content).hexdigest() for name, content in files.items()})
    data = cls(tmp_path, train=False, download=True)
    np.testing.assert_array_equal(data.data, images)
    assert data.targets == labels.tolist()
    assert data[0][0].mode == "L"
    for name, content in files.items():
        (data.raw_folder / name).write_bytes(gzip.decompress(content))
        (data.raw_folder / f"{name}.gz").unlink()
    server.requests.clear()
    assert cls(tmp_path, train=False, download=True).targets == data.targets
    assert not server.requests  # all is there
    (data.raw_folder / "t10k-labels-idx1-ubyte").write_bytes(idx(labels + 5))
    with pytest.raises(RuntimeError, match=r"t10k-labels-idx1-ubyte: label 1\d of image \d+ is not in 0 to 9"):
        cls(tmp_path, train=False)
    for name, content in files.items():
        (data.raw_folder / name).unlink()
        (data.raw_folder / f"{name}.gz").write_bytes(content)
    path = data.raw_folder / "t10k-images-idx3-ubyte.gz"
    for content, words in (
        (path.read_bytes()[:50], "truncated or damaged"),
        (gzip.compress(idx(images)[:-5]), r"announces \(20, 28, 28\)"),
        (b"hello world", "no IDX file"),
    ):
        path.write_bytes(content)
        with pytest.raises(RuntimeError, match=words):
            cls(tmp_path, train=False)


def test_a_batch_is_transformed_at_once_with_the_same_result(tmp_path: Path, server: Server) -> None:
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.4, 0.5, 0.6), (0.2, 0.3, 0.4))])
    data = datasets.CIFAR10(tmp_path, transform=transform, download=True)
    x, y = next(iter(DataLoader(data, batch_size=16)))
    assert x.tolist() == tg.stack([data[i][0] for i in range(16)]).tolist()
    assert y.tolist() == data.targets[:16]
    data.targets = [0] * 3  # somebody's edit: sample by sample then
    with pytest.raises(IndexError):
        next(iter(DataLoader(data, batch_size=16)))


def test_transforms_that_draw_are_applied_one_by_one(tmp_path: Path, server: Server) -> None:
    transform = transforms.Compose([transforms.RandomHorizontalFlip(), transforms.ToTensor()])
    data = datasets.CIFAR10(tmp_path, transform=transform, target_transform=lambda y: y + 1, download=True)
    x, y = next(iter(DataLoader(data, batch_size=8)))
    assert x.shape == (8, 3, 32, 32)
    assert y.tolist() == [t + 1 for t in data.targets[:8]]
