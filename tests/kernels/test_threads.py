from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

from tinygrad_loss import kernels
from tinygrad_loss.kernels.threads import parallel


@pytest.fixture(autouse=True)
def _three_threads():
    before = kernels.get_num_threads()
    kernels.set_num_threads(3)
    yield
    kernels.set_num_threads(before)


def test_little_work_wakes_no_thread():
    seen = set()
    parallel(lambda a, b: (time.sleep(0.01), seen.add(threading.get_ident())), 60, 10, alone=60)
    assert seen == {threading.get_ident()}
    parallel(lambda a, b: (time.sleep(0.01), seen.add(threading.get_ident())), 60, 10, alone=59)
    assert len(seen) > 1


def test_every_item_is_visited_once():
    for size in (0, 1, 9, 10, 11, 95):
        seen = []
        parallel(lambda a, b, seen=seen: seen.extend(range(a, b)), size, 10)
        assert sorted(seen) == list(range(size))


def test_chunks_do_not_depend_on_the_threads():
    bounds = []
    for count in (1, 2, 7):
        kernels.set_num_threads(count)
        chunks = []
        parallel(lambda a, b, chunks=chunks: chunks.append((a, b)), 95, 10)
        bounds.append(sorted(chunks))
    assert bounds[0] == bounds[1] == bounds[2]


def test_other_threads_take_part():
    workers = set()

    def run(a, b):
        workers.add(threading.get_ident())
        time.sleep(0.01)

    parallel(run, 12, 1)
    assert len(workers) > 1


def test_a_call_from_within_a_chunk_is_served():
    total = []
    parallel(lambda a, b: parallel(lambda c, d: total.append(d - c), 6, 2), 8, 1)
    assert sum(total) == 48


def test_calls_from_several_threads_at_once():
    x = np.random.default_rng(0).normal(size=300_000 if not kernels.jit.JIT_DISABLED else 300)
    expected = kernels.exp(x)
    results = []
    threads = [threading.Thread(target=lambda: results.append(kernels.exp(x))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(results) == 6
    for y in results:
        np.testing.assert_array_equal(y, expected)


def test_an_error_reaches_the_caller_and_the_pool_survives():
    def fail(a, b):
        raise KeyError(a)

    with pytest.raises(KeyError):
        parallel(fail, 100, 1)
    done = []
    parallel(lambda a, b: done.append(a), 10, 1)
    assert len(done) == 10


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_starts_its_own_threads():
    parallel(lambda a, b: time.sleep(0.001), 10, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: fork with threads around
        child = os.fork()
    if child == 0:
        done = []
        parallel(lambda a, b: done.append(a), 10, 1)
        os._exit(0 if len(done) == 10 else 1)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        finished, status = os.waitpid(child, os.WNOHANG)
        if finished:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        time.sleep(0.01)
    os.kill(child, 9)
    pytest.fail("the child hangs")


def test_the_environment_sets_the_number_of_threads():
    code = "from tinygrad_loss import kernels; print(kernels.get_num_threads())"
    for text, expected in (("3", "3"), ("", str(os.cpu_count())), ("many", str(os.cpu_count()))):
        environment = {**os.environ, "OMP_NUM_THREADS": text}
        out = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert out.stdout.strip() == expected


def test_zero_threads_are_refused():
    with pytest.raises(ValueError, match="positive integer, got 0"):
        kernels.set_num_threads(0)
