"""A small pool of threads for kernels that run without the GIL.

Work is cut into chunks whose bounds depend on its size alone, so results do not depend on the number of threads. The
calling thread takes chunks too and waits only for chunks that another thread has begun: with no helper at all it does
everything itself, hence nothing can deadlock.
"""

import itertools
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue

__all__ = ["get_num_threads", "parallel", "set_num_threads"]

Chunk = Callable[[int, int], object]


class _Job:
    """Chunks of [0, size), each handed out once."""

    def __init__(self, run: Chunk, size: int, grain: int) -> None:
        self.run, self.size, self.grain = run, size, grain
        self.count = -(-size // grain)
        self.next = itertools.count().__next__  # atomic under the GIL
        self.finished = itertools.count(1).__next__
        self.error: BaseException | None = None
        self.done = threading.Lock()
        self.done.acquire()

    def work(self) -> None:
        """Take chunks until none is left; the last one to finish wakes the caller."""
        while (index := self.next()) < self.count:
            start = index * self.grain
            try:
                if self.error is None:
                    self.run(start, min(start + self.grain, self.size))
            except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
                self.error = error
            if self.finished() == self.count:
                self.done.release()


class _Pool:
    """Helper threads that sleep until a job is queued."""

    def __init__(self) -> None:
        text = os.environ.get("OMP_NUM_THREADS", "")
        self.threads = int(text) if text.isdecimal() and int(text) > 0 else os.cpu_count() or 1
        self.forget()

    def forget(self) -> None:
        """Start over without helpers: in a forked child only the forking thread lives on."""
        self.helpers = 0
        self.queue: SimpleQueue[_Job] = SimpleQueue()
        self.lock = threading.Lock()
        self.inside = threading.local()

    def help(self) -> None:
        """The life of a helper."""
        self.inside.helper = True
        while True:
            self.queue.get().work()

    def start(self, wanted: int) -> None:
        """Bring the pool to `wanted` helpers; surplus ones stay asleep."""
        with self.lock:
            while self.helpers < wanted:
                threading.Thread(target=self.help, daemon=True, name="tinygrad_loss").start()
                self.helpers += 1

    def run(self, run: Chunk, size: int, grain: int, alone: int = 0) -> None:
        """Call `run(start, stop)` for every chunk of `grain` items of [0, size), several at a time beyond `alone` items."""
        if size <= grain:
            if size:
                run(0, size)
            return
        helpers = min(self.threads, -(-size // grain)) - 1
        if helpers < 1 or size <= alone or getattr(self.inside, "helper", False):
            for start in range(0, size, grain):
                run(start, min(start + grain, size))
            return
        if self.helpers < helpers:
            self.start(helpers)
        job = _Job(run, size, grain)
        for _ in range(helpers):
            self.queue.put(job)
        job.work()
        job.done.acquire()
        if job.error is not None:
            raise job.error


_pool = _Pool()
parallel = _pool.run


def get_num_threads() -> int:
    """How many threads a large kernel may use."""
    return _pool.threads


def set_num_threads(count: int) -> None:
    """Let large kernels use `count` threads, the calling one included."""
    if count < 1:
        raise ValueError(f"set_num_threads expects a positive integer, got {count}")
    _pool.threads = count


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.forget)
