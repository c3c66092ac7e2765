"""Fetching a file: resumed, checked, put in place at once, and by one process alone."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

ATTEMPTS = 5
TIMEOUT = 20.0  # seconds without a byte
_BLOCK = 1 << 16


def md5_of(path: Path) -> str:
    """The MD5 of a file, as hexadecimal digits."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file beside ``path``; who comes second waits. The system drops the lock of a process that dies."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f".{path.name}.lock").open("a+b")
    except OSError as error:
        raise type(error)(
            f"cannot write in {path.parent} ({error.strerror}), where {path.name} is missing or damaged: choose another root"
        ) from None
    with lock as file:
        _acquire(file)
        try:
            yield
        finally:
            _release(file)


if sys.platform == "win32":
    import msvcrt

    def _acquire(file: BinaryIO) -> None:
        while True:
            try:
                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            except OSError:  # noqa: PERF203 -- waiting is what the loop is for
                time.sleep(0.1)
            else:
                return

    def _release(file: BinaryIO) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _acquire(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)

    def _release(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)


def fetch(url: str, path: Path, md5: str) -> None:
    """Bring ``url`` to ``path`` unless it is there; a download that was cut is continued where it broke off.

    The bytes go to ``path.part`` and are moved once their MD5 is right: nobody sees half a file.

    Raises
    ------
    ConnectionError
        If the server cannot be reached, or keeps breaking off.
    RuntimeError
        If what came is not the file that was expected.
    """
    if path.is_file() and md5_of(path) == md5:  # without a lock, for folders that cannot be written
        return
    with locked(path):
        if path.is_file() and md5_of(path) == md5:
            return
        part = path.with_name(path.name + ".part")
        resumed = part.is_file()
        found = _fetched(url, path, part, md5)
        if found != md5 and resumed:  # what was there before may have been something else
            part.unlink()
            found = _fetched(url, path, part, md5)
        if found != md5:
            part.unlink()
            raise RuntimeError(
                f"{url} gave a file with MD5 {found}, expected {md5}: it is damaged or was replaced. It was deleted; try again, or "
                f"put the right file at {path}."
            )
        part.replace(path)


def _fetched(url: str, path: Path, part: Path, md5: str) -> str:
    """Download to ``part`` in a few attempts; the MD5 of what came."""
    import http.client
    import urllib.error

    problem = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(0.1 * 2**attempt)
        try:
            if _continue(url, part):
                return md5_of(part)
            problem = "the connection broke off"
        except urllib.error.HTTPError as error:
            problem = f"the server answered {error.code} {error.reason}"
            if error.code == 416:  # nothing is missing, or what is there is too long
                if part.is_file() and md5_of(part) == md5:
                    return md5
                part.unlink(missing_ok=True)
            elif error.code < 500:
                break
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            problem = str(getattr(error, "reason", error))
    raise ConnectionError(f"could not download {url}: {problem}. Get it another way and put it at {path}.")


def _continue(url: str, part: Path) -> bool:
    """Append what is missing to ``part``; True once all of it is there."""
    import http.client
    import urllib.request

    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        resumed = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        have = have if resumed else 0
        total = have + answer.length if answer.length is not None else None
        with part.open("ab" if resumed else "wb") as file, _bar(part.stem, have, total) as advance:
            try:
                while block := answer.read(_BLOCK):
                    file.write(block)
                    have += len(block)
                    advance(len(block))
            except (http.client.IncompleteRead, ConnectionError, TimeoutError):
                return False
    return total is None or have == total


@contextmanager
def _bar(name: str, have: int, total: int | None) -> Iterator[Callable[[int], Any]]:
    """tqdm's bar on a terminal, if tqdm is installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda _: None
        return
    with tqdm(desc=name, initial=have, total=total, unit="B", unit_scale=True, disable=None) as bar:
        yield bar.update


def extract(archive: Path, folder: Path) -> None:
    """Unpack the plain files of a tar archive into ``folder``, which appears only when all of them are there.

    Raises
    ------
    RuntimeError
        If a member would leave the folder or is no plain file, or the archive is damaged.
    """
    target = folder.with_name(folder.name + ".part")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    try:
        with tarfile.open(archive) as opened:
            for member in opened:
                name = Path(member.name)
                if name.is_absolute() or ".." in name.parts or not (member.isfile() or member.isdir()):
                    raise RuntimeError(
                        f"{archive}: its member {member.name!r} would leave the folder or is no plain file; refused"
                    )
                if member.isfile() and not name.name.startswith("._"):
                    source = opened.extractfile(member)
                    assert source is not None
                    with (target / name.name).open("wb") as file:
                        while block := source.read(_BLOCK):
                            file.write(block)
    except (tarfile.TarError, EOFError, OSError) as error:
        shutil.rmtree(target, ignore_errors=True)
        raise RuntimeError(f"{archive} is damaged ({error}): delete it and download it again (download=True)") from None
    except RuntimeError:
        shutil.rmtree(target, ignore_errors=True)
        raise
    if folder.is_dir():
        shutil.rmtree(folder)
    target.replace(folder)
