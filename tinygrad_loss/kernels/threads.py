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
            except BaseException as error:
                self.error = error
            if self.finished() == self.count:
                self.done.release()


def _helper(queue: "SimpleQueue[_Job | None]") -> None:
    _in_pool.flag = True
    while (job := queue.get()) is not None:
        job.work()


_in_pool = threading.local()
_queue: "SimpleQueue[_Job | None]" = SimpleQueue()
_helpers = 0
_lock = threading.Lock()


def _default() -> int:
    text = os.environ.get("OMP_NUM_THREADS", "")
    return int(text) if text.isdecimal() and int(text) > 0 else os.cpu_count() or 1


_threads = _default()


def get_num_threads() -> int:
    """How many threads a large kernel may use."""
    return _threads


def set_num_threads(count: int) -> None:
    """Let large kernels use `count` threads, the calling one included."""
    global _threads
    if count < 1:
        raise ValueError(f"set_num_threads expects a positive integer, got {count}")
    _threads = count


def _start(wanted: int) -> None:
    """Bring the pool to `wanted` helpers; surplus ones stay asleep."""
    global _helpers
    with _lock:
        while _helpers < wanted:
            threading.Thread(target=_helper, args=(_queue,), daemon=True, name="tinygrad_loss").start()
            _helpers += 1


def parallel(run: Chunk, size: int, grain: int) -> None:
    """Call `run(start, stop)` for every chunk of `grain` items of [0, size), in several threads where there is more than one."""
    helpers = min(_threads - 1, -(-size // grain) - 1)
    if helpers < 1 or getattr(_in_pool, "flag", False):
        for start in range(0, size, grain):
            run(start, min(start + grain, size))
        return
    if _helpers < helpers:
        _start(helpers)
    job = _Job(run, size, grain)
    for _ in range(helpers):
        _queue.put(job)
    job.work()
    job.done.acquire()
    if job.error is not None:
        raise job.error


def _after_fork() -> None:
    """Only the forking thread lives on in the child: start over without helpers, locks or jobs."""
    global _queue, _helpers, _lock
    _queue, _helpers, _lock = SimpleQueue(), 0, threading.Lock()
    _in_pool.flag = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
