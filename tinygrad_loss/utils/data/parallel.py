"""The loader's worker processes, seen from the main process.

Each worker has a pipe for tasks and one for results, through which only short notes go: neither side ever waits for the
other to read. Batches, and the indices to make them of, go through buffers of shared memory, of which a worker has as
many as it may have tasks. A worker that dies is noticed at once, by the sentinel of its process; none holds a lock that
another could wait for.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import pickle
import signal
import time
import warnings
import weakref
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from .sampler import draw_seed, size_of
from .shared import SharedBuffer
from .worker import BATCH, END, ERROR, Job, work

if TYPE_CHECKING:
    from .dataloader import DataLoader

# How long workers may take to finish what they are at when nobody wants it any more, before they are terminated.
GRACE = 1.0


class Worker:
    """A worker process: what it was asked, and the ends of its pipes."""

    def __init__(self, context: Any, job: Job, worker_id: int, slots: int, others: list[Worker]) -> None:
        self.id = worker_id
        self.active = True  # whether its iterable data set goes on
        self.asked: deque[tuple[int, int]] = deque()  # tasks without an answer yet: number, buffer
        self.buffers = [SharedBuffer() for _ in range(slots)]
        self.free = deque(range(slots))
        their_tasks, self.tasks = context.Pipe(duplex=False)
        self.results, their_results = context.Pipe(duplex=False)
        inherited: list[Any] = []
        self.method = context.get_start_method()
        if self.method == "fork":
            for other in others:
                inherited += [other.tasks, other.results, *other.buffers]
            inherited += [self.tasks, self.results]
        self.process = context.Process(
            target=work,
            args=(job, worker_id, their_tasks, their_results, self.buffers, inherited),
            daemon=True,
            name=f"DataLoader worker {worker_id}",
        )
        try:
            self.process.start()
        except BaseException:
            self.close()
            raise
        finally:
            their_tasks.close()
            their_results.close()

    def close(self) -> None:
        """Give back what is shared with it."""
        self.tasks.close()
        self.results.close()
        for buffer in self.buffers:
            buffer.close()

    def ask(self, number: int, indices: Any) -> None:
        """Have it make a batch of these indices."""
        slot = self.free[0]
        written = self.buffers[slot].put(indices)
        self.asked.append((number, self.free.popleft()))
        with contextlib.suppress(BrokenPipeError):  # it has died: whoever waits for its answer will say so
            self.tasks.send((slot, written))

    def answers(self) -> Iterator[tuple[int, str, Any]]:
        """Its answers that are there: number of the task, kind, and a batch or a Failure."""
        while True:
            try:
                if not self.results.poll():
                    return
                kind, note = self.results.recv()
            except (EOFError, OSError):  # it has died
                return
            number, slot = self.asked.popleft()
            self.free.append(slot)
            yield number, kind, None if note is None else self.buffers[slot].get(note)

    def epitaph(self) -> str:
        """What to say of its death."""
        self.process.join(1)
        code = self.process.exitcode
        how = f"exit code {code}"
        hint = "An exception in the data set would have been raised here; this was os._exit(), sys.exit() or a crash."
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                how += f" ({signal.Signals(-code).name})"
            hint = "It was killed from outside, as by the system when memory is short, or crashed in compiled code."
        elif code == 1 and self.method != "fork":
            hint = (
                f"Perhaps it could not start: {self.method!r} imports the main program again, so what the program runs "
                f'must stand under `if __name__ == "__main__":`.'
            )
        return f"DataLoader worker {self.id} (pid(s) {self.process.pid}) exited unexpectedly with {how}. {hint}"


class Crew:
    """The workers of one iterator. Ends them; knows nothing of the iterator, which may thus be collected."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.workers: list[Worker] = []

    def start(self, context: Any, job: Job, slots: int) -> None:
        """Start the workers."""
        try:
            with _interrupts_held_back(context.get_start_method()), warnings.catch_warnings():
                # Python 3.12 warns of every fork where there are threads. Ours are made anew in the child, and those
                # of BLAS libraries have fork handlers of their own.
                warnings.filterwarnings("ignore", ".*multi-threaded, use of fork", DeprecationWarning)
                for i in range(job.num_workers):
                    self.workers.append(Worker(context, job, i, slots, self.workers))
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            self.stop()
            raise pickle.PicklingError(
                f"a DataLoader worker could not be started: {error}. The start method {context.get_start_method()!r} "
                f"pickles the data set, collate_fn and worker_init_fn: define their classes and functions at the top "
                f"level of a module (no lambdas), or pass multiprocessing_context='fork' where the platform has it."
            ) from error
        except BaseException:
            self.stop()
            raise

    def stop(self, grace: float = GRACE) -> None:
        """End the workers and give back what was shared with them."""
        if os.getpid() != self.owner:  # a process forked off since: they are not its workers
            return
        workers, self.workers = self.workers, []
        for w in workers:
            with contextlib.suppress(OSError):
                w.tasks.send(None)
        deadline = time.monotonic() + grace
        for w in workers:
            w.process.join(max(0.0, deadline - time.monotonic()))
        for end in ("terminate", "kill"):
            late = [w for w in workers if w.process.is_alive()]
            for w in late:
                getattr(w.process, end)()
            for w in late:
                w.process.join(GRACE)
        for w in workers:
            w.close()
            if w.process.exitcode is not None:
                w.process.close()


class ParallelIterator:
    """Epochs of batches that worker processes make."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        loader._indices()  # PyTorch begins twice, and a sampler may draw when it does
        base_seed = draw_seed(loader.generator)
        self._length_of = loader.batch_sampler if loader._batched else loader.sampler
        self._persistent = loader.persistent_workers
        self._in_order = loader.in_order
        self._timeout = loader.timeout
        self._ahead = loader.prefetch_factor or 2
        job = Job(
            loader.dataset,
            loader._batched,
            loader.collate_fn,
            loader.drop_last,
            loader.worker_init_fn,
            loader.num_workers,
            base_seed,
        )
        self._crew = Crew()
        self._finalizer = weakref.finalize(self, self._crew.stop)
        self._crew.start(loader.multiprocessing_context or multiprocessing.get_context(), job, self._ahead)
        self._due: deque[int] = deque()  # tasks in their order, until their answer is used
        self._begin(loader)

    @property
    def closed(self) -> bool:
        """Whether its workers have ended."""
        return not self._crew.workers

    def close(self) -> None:
        """End the workers, and with them the epoch."""
        self._due.clear()
        self._finalizer()

    def _begin(self, loader: DataLoader[Any]) -> None:
        self._indices = loader._indices()
        self._turn = itertools.cycle(self._crew.workers)
        self._sent = 0  # the number of the next task
        self._due.clear()
        self._answers: dict[int, tuple[str, Any]] = {}  # that came before they were due
        for _ in range(self._ahead * len(self._crew.workers)):
            self._ask_next()

    def restart(self, loader: DataLoader[Any]) -> None:
        """Begin another epoch with the same workers; what was left of the last is dropped."""
        while any(w.asked for w in self._crew.workers):
            self._receive(None)
        for w in self._crew.workers:
            w.active = True
            with contextlib.suppress(BrokenPipeError):
                w.tasks.send("again")
        self._begin(loader)

    def _ask_next(self) -> None:
        """Hand out the next batch of indices, to the worker whose turn it is."""
        for w in itertools.islice(self._turn, len(self._crew.workers)):
            if w.active and w.free:
                break
        else:
            return
        try:
            indices = next(self._indices)
        except StopIteration:
            return
        w.ask(self._sent, indices)
        self._due.append(self._sent)
        self._sent += 1

    def __iter__(self) -> ParallelIterator:
        return self

    def __len__(self) -> int:
        return size_of(self._length_of, "len(iterator)")

    def __next__(self) -> Any:
        deadline = time.monotonic() + self._timeout if self._timeout else None
        while self._due:
            number = next((n for n in self._due if n in self._answers), -1) if not self._in_order else self._due[0]
            if number not in self._answers:
                self._receive(deadline)
                continue
            self._due.remove(number)
            kind, value = self._answers.pop(number)
            self._ask_next()
            if kind == BATCH:
                return value
            if kind == ERROR:
                value.raise_again()
        if not self._persistent:
            self.close()
        raise StopIteration

    def _receive(self, deadline: float | None) -> None:
        """Wait for answers; at least one has come, or it raises."""
        waiting = [w for w in self._crew.workers if w.asked]
        try:
            ready = wait(
                [source for w in waiting for source in (w.results, w.process.sentinel)],
                None if deadline is None else max(0.0, deadline - time.monotonic()),
            )
            for w in waiting if ready else ():
                for number, kind, value in w.answers():
                    self._answers[number] = kind, value
                    if kind == END:
                        w.active = False
        except BaseException:  # Ctrl-C: there is no telling what was read and what was not
            self.close()
            raise
        for w in waiting:
            if w.asked and w.process.sentinel in ready:
                epitaph = w.epitaph()
                self._crew.stop(grace=0.0)
                self.close()
                raise RuntimeError(epitaph)
        if not ready:
            raise RuntimeError(
                f"DataLoader timed out after {self._timeout} seconds: no batch came. Find out what the data set waits "
                f"for, or pass a larger timeout=."
            )


@contextlib.contextmanager
def _interrupts_held_back(method: str) -> Iterator[None]:
    """Let a process that starts here not be hit by Ctrl-C before it has decided to ignore it."""
    # A fork server that starts here would hold them back from all it ever starts.
    if not hasattr(signal, "pthread_sigmask") or method == "forkserver":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
