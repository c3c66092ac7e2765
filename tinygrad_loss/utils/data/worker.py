"""What runs in a worker process of a loader."""

from __future__ import annotations

import os
import pickle
import random as python_random
import signal
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ... import random
from ...kernels import set_num_threads
from .dataset import IterableDataset
from .fetch import Fetch, fetcher

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from .shared import SharedBuffer, Written

__all__ = ["WorkerInfo", "get_worker_info"]

ORPHAN_CHECK = 2.0  # seconds between looks whether the main process is still there

# What a worker answers to a batch of indices: a batch, an exception, or that its iterable data set has ended.
BATCH, ERROR, END = "batch", "error", "end"


@dataclass(frozen=True)
class WorkerInfo:
    """Which worker of a loader a process is: ``id`` of ``num_workers``, its ``seed``, its copy of the ``dataset``."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """Tell which worker of a loader this process is; None in the main process.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> class Numbers(tg.utils.data.IterableDataset):
    ...     def __iter__(self):  # each worker takes its share
    ...         info = tg.utils.data.get_worker_info()
    ...         return iter(range(6)) if info is None else iter(range(info.id, 6, info.num_workers))
    >>> list(Numbers()), tg.utils.data.get_worker_info()
    ([0, 1, 2, 3, 4, 5], None)
    """
    return _info


@dataclass(frozen=True)
class Job:
    """What all workers of a loader do."""

    dataset: Any
    batched: bool
    collate_fn: Callable[[Any], Any]
    drop_last: bool
    init_fn: Callable[[int], Any] | None
    num_workers: int
    base_seed: int


def work(
    job: Job,
    worker_id: int,
    tasks: Connection,
    results: Connection,
    buffers: Sequence[SharedBuffer],
    inherited: Sequence[Any],
) -> None:
    """Make batches until told to stop, or until the main process is gone.

    A task is (buffer, what is written in it): a batch of indices. The batch goes into the same buffer. "again" starts
    another epoch, None ends the process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's affair, which then ends this one
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    for other in inherited:  # by a fork: while this process held them, no other would notice the end of the main one
        other.close()
    set_num_threads(1)
    _introduce(job, worker_id)
    fetch = _prepare(job, worker_id, job.init_fn)
    ended = False
    for task in _tasks(tasks):
        if task == "again":
            if isinstance(job.dataset, IterableDataset):
                fetch = _prepare(job, worker_id, None)
            ended = False
            continue
        number, written = task
        buffer = buffers[number]
        indices = buffer.get(written)
        answer, note = END, None
        if isinstance(fetch, Failure):
            if not ended:
                answer, note = ERROR, buffer.put(fetch)
            ended = True
        elif not ended:
            answer, note = _make(fetch, indices, buffer, worker_id)
            ended = answer == END
        results.send((answer, note))


def _prepare(job: Job, worker_id: int, init_fn: Callable[[int], Any] | None) -> Fetch | Failure:
    """Begin an epoch: how to make batches, or why that cannot be done."""
    try:
        if init_fn is not None:
            init_fn(worker_id)
        return fetcher(job.dataset, job.batched, job.collate_fn, job.drop_last)
    except Exception as error:  # noqa: BLE001 -- user code: whatever it raises is raised again in the main process
        return Failure(error, worker_id)


def _make(fetch: Fetch, indices: Any, buffer: SharedBuffer, worker_id: int) -> tuple[str, Written | None]:
    """Put one batch, or what went wrong, into the buffer."""
    try:
        return BATCH, buffer.put(fetch(indices))
    except StopIteration:  # `fetch` lets no other pass than that of an iterable data set at its end
        return END, None
    except Exception as error:  # noqa: BLE001 -- as in `_prepare`
        return ERROR, buffer.put(Failure(error, worker_id))


def _tasks(tasks: Connection) -> Any:
    """What the main process asks for."""
    parent = os.getppid()
    while True:
        while not tasks.poll(ORPHAN_CHECK):
            # The end of the pipe says so too, unless another process happens to hold the main one's side of it.
            if os.getppid() != parent:
                return
        try:
            task = tasks.recv()
        except (EOFError, OSError):
            return
        if task is None:
            return
        yield task


def _introduce(job: Job, worker_id: int) -> None:
    """Seed this process and let `get_worker_info` know of it."""
    global _info  # noqa: PLW0603 -- a process is one worker, or none
    seed = job.base_seed + worker_id
    python_random.seed(seed)
    random.manual_seed(seed)
    # PyTorch's mixture is NumPy's SeedSequence of these four words
    words = [worker_id, job.base_seed & 0xFFFFFFFF, job.base_seed >> 32, 0]
    np.random.seed(np.random.SeedSequence(words).generate_state(4))  # noqa: NPY002 -- what user code may draw from
    _info = WorkerInfo(worker_id, job.num_workers, seed, job.dataset)


class Failure:
    """An exception on its way from a worker to the main process."""

    def __init__(self, error: Exception, worker_id: int) -> None:
        self.name = type(error).__name__
        self.text = f"Caught {self.name} in DataLoader worker process {worker_id}.\nOriginal " + "".join(
            traceback.format_exception(type(error), error, error.__traceback__)
        )
        self.kind, self.original = (_travelling(pickle.dumps, what) for what in (type(error), error))

    def raise_again(self) -> NoReturn:
        """Raise an exception of the same class, whose message is that of the worker with its traceback.

        Where the class takes no message, the original exception with the worker's traceback as its cause; where it
        cannot travel, a RuntimeError.
        """
        kind, original = (_travelling(pickle.loads, what) for what in (self.kind, self.original))
        error = _travelling(kind, _Verbatim(self.text))  # a class of the user's may want other arguments
        if error is not None and self.text in str(error):
            raise error
        if original is not None:
            raise original from RuntimeError(self.text)
        raise RuntimeError(self.text)


def _travelling(step: Callable[[Any], Any] | None, what: Any) -> Any:
    """One step of an exception's way; None if it cannot be taken."""
    if step is None or what is None:
        return None
    try:
        return step(what)
    except Exception:  # noqa: BLE001 -- user code, which may raise anything and then does not travel
        return None


class _Verbatim(str):
    """A message that a KeyError shows with its line breaks, where it would show the repr of another str."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)
