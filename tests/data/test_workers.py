"""Worker processes of a loader: what they return, how they fail, how they end, and what is left of them."""

import collections
import contextlib
import errno
import functools
import gc
import json
import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

import tinygrad_loss as tg
from tinygrad_loss import kernels
from tinygrad_loss.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    Sampler,
    TensorDataset,
    get_worker_info,
)
from tinygrad_loss.utils.data.shared import SharedBuffer

PROGRAMS = Path(__file__).with_name("worker_programs.py")
METHODS = multiprocessing.get_all_start_methods()
FASTEST = METHODS[0] if sys.platform != "darwin" else "spawn"  # system libraries of macOS do not bear a fork
on_posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and descriptors of POSIX")
needs_fork = pytest.mark.skipif(FASTEST != "fork", reason="what the process has made is to be inherited by a fork")
Point = collections.namedtuple("Point", ["x", "y"])


class Numbers(Dataset):
    """Samples of every kind, by index."""

    def __init__(self, n=20):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        image = np.full((3, 40), i, np.float32)
        return {"image": tg.from_numpy(image), "label": i, "name": f"n{i}", "point": Point(i / 2, image)}


class Calls(Dataset):
    """Samples are what a function of the index returns, in the worker."""

    def __init__(self, function, n=8):
        self.function, self.n = function, n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return self.function(i)


class Shares(IterableDataset):
    def __iter__(self):
        info = get_worker_info()
        return iter(range(info.id, 11, info.num_workers))


class Told(Exception):
    """An exception that takes a message."""


class Particular(Exception):
    """An exception that takes two arguments and makes its own message."""

    def __init__(self, where, what):
        super().__init__(where, what)
        self.where, self.what = where, what

    def __str__(self):
        return f"{self.what} at {self.where}"


class Brittle(Exception):
    """An exception that does not survive a pickle."""

    def __reduce__(self):
        return int, ("no number",)


class Resuming(IterableDataset):
    """An iterator that goes on after its end."""

    def __iter__(self):
        self.n = -1
        return self

    def __next__(self):
        self.n += 1
        if self.n == 2:
            raise StopIteration
        return self.n


class Stubborn(Exception):
    """An exception that takes one argument and does not show it."""

    def __init__(self, code):
        super().__init__("stubborn")
        self.code = code


def loading(dataset, batch_size=None, workers=1, **options):
    return DataLoader(dataset, batch_size, num_workers=workers, multiprocessing_context=FASTEST, **options)


def plain(batch):
    if isinstance(batch, (tg.Tensor, np.ndarray)):
        return [str(batch.dtype), batch.tolist()]
    if isinstance(batch, dict):
        return {key: plain(value) for key, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        return [type(batch).__name__, *map(plain, batch)]
    return batch


def pids(batches):
    return [w.process.pid for w in batches._crew.workers]


def exists(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # a child of nobody that has ended, where no init collects it
    stat = Path(f"/proc/{pid}/stat")
    with contextlib.suppress(OSError):
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    return True


def eventually(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def descriptors():
    """How many descriptors are open, where the system tells."""
    return len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0


@pytest.fixture(autouse=True)
def _nothing_is_left():
    """No process and no descriptor."""
    gc.collect()
    before = descriptors()
    yield
    gc.collect()
    assert [p for p in multiprocessing.active_children() if p.name.startswith("DataLoader")] == []
    assert descriptors() <= before + 1  # the pipe to Python's resource tracker stays open


# ---- what workers return -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 3},
        {"batch_size": 3, "workers": 2},
        {"batch_size": 3, "workers": 2, "shuffle": True, "drop_last": True},
        {"batch_size": None, "workers": 2, "shuffle": True},
        {"batch_size": 4, "collate_fn": list},
        {"batch_size": 7, "workers": 2, "prefetch_factor": 1},
        {"batch_size": 50, "prefetch_factor": 3},
    ],
)
def test_batches_are_those_of_one_process(options):
    tg.manual_seed(1)
    got = [plain(batch) for batch in loading(Numbers(), **options)]
    here = {name: value for name, value in options.items() if name not in ("workers", "prefetch_factor")}
    tg.manual_seed(1)
    assert got == [plain(batch) for batch in DataLoader(Numbers(), **here)]


@pytest.mark.parametrize("method", [m for m in METHODS if m != FASTEST] or METHODS)
def test_start_methods(method):
    x, y = tg.rand(40, 30, 30), tg.arange(40)
    loader = DataLoader(
        TensorDataset(x, y), 16, num_workers=1, multiprocessing_context=multiprocessing.get_context(method)
    )
    batches = iter(loader)
    assert len(batches) == 3
    for start, (images, labels) in zip((0, 16, 32), batches, strict=True):
        np.testing.assert_array_equal(images.numpy(), x.numpy()[start : start + 16])
        assert labels.tolist() == list(range(start, min(start + 16, 40)))


def test_a_batch_is_the_programs_own():
    x = tg.rand(40, 100, 10)
    batches = list(loading(TensorDataset(x), 10))
    for (batch,) in batches:
        assert batch._array.dtype is np.dtype(np.float32)  # which fast paths compare by identity
        assert batch._array.flags.writeable
        assert batch._array.flags.aligned
        assert batch._version[0] == 0
    first = batches[0][0].tolist()
    batches[1][0][...] = 0.0  # is in memory of its own
    assert batches[0][0].tolist() == first
    batches[0][0][...] = 7.0
    np.testing.assert_array_equal(batches[2][0].numpy(), x.numpy()[20:30])


def test_batches_of_growing_size():
    sizes = [1, 5_000, 100, 70_000, 0, 300_000, 2]
    dataset = Calls(functools.partial(_full, sizes), len(sizes))
    for i, sample in enumerate(loading(dataset, workers=2, collate_fn=tuple)):
        assert [(a.shape, set(a.tolist())) for a in sample] == [((sizes[i],), {i} if sizes[i] else set())] * 2


def _full(sizes, i):
    return np.full(sizes[i], i), np.full(sizes[i], i, np.int16)


def test_many_indices_and_long_texts_do_not_block_the_pipes():
    dataset = Calls(_long_text, 40_000)
    texts = list(loading(dataset, 20_000, collate_fn=list, prefetch_factor=1))
    assert [len(batch) for batch in texts] == [20_000, 20_000]
    assert texts[1][7] == "20007" * 10


def _long_text(i):
    return str(i) * 10


def test_workers_know_who_they_are():
    def asked(i):
        info = get_worker_info()
        return info.id, info.num_workers, info.seed - info.id, info.dataset.n, kernels.get_num_threads()

    if FASTEST != "fork":
        pytest.skip("a function in a function cannot be pickled")
    tg.manual_seed(3)
    answers = list(loading(Calls(asked), workers=2, collate_fn=list))
    tg.manual_seed(3)
    base_seed = int(tg.default_generator.random(np.empty((), np.int64)))
    assert answers == [[i % 2, 2, base_seed, 8, 1] for i in range(8)]
    assert get_worker_info() is None


@needs_fork
def test_each_worker_has_its_own_stream_of_numpy():
    tg.manual_seed(7)
    drawn = list(loading(Calls(lambda _: [np.random.randint(10**6)]), workers=2, collate_fn=list))  # noqa: NPY002
    # what PyTorch 2.13's loader gives with this seed
    assert drawn[:4] == [[64316], [506421], [910492], [623575]]


@needs_fork
def test_iterable_data_sets_are_shared_out():
    assert list(loading(Resuming(), prefetch_factor=4)) == [0, 1]
    loader = loading(Shares(), 2, workers=2)
    assert [batch.tolist() for batch in loader] == [[0, 2], [1, 3], [4, 6], [5, 7], [8, 10], [9]]
    loader = loading(Shares(), 4, workers=2, drop_last=True, persistent_workers=True)
    for _ in range(2):
        assert [batch.tolist() for batch in loader] == [[0, 2, 4, 6], [1, 3, 5, 7]]

    class Everything(IterableDataset):
        def __iter__(self):
            return iter(range(3))

        def __len__(self):
            return 3

    with pytest.warns(UserWarning, match=r"reported to be 3 .* Each worker iterates over its own copy"):
        assert len(list(loading(Everything(), workers=2))) == 6


@needs_fork
def test_worker_init_fn():
    before = kernels.get_num_threads()

    def init(worker_id):
        get_worker_info().dataset.n = 100 + worker_id
        tg.manual_seed(5)

    dataset = Calls(lambda i: (dataset.n, tg.rand(1).item()), 2)
    tg.manual_seed(5)
    want = tg.rand(1).item()
    assert [s[0] for s in loading(dataset, workers=2, collate_fn=list, worker_init_fn=init)] == [100, 101]
    assert {s[1] for s in loading(dataset, workers=2, collate_fn=list, worker_init_fn=init)} == {want}
    assert kernels.get_num_threads() == before


@needs_fork
def test_batches_as_they_get_ready():
    ready = multiprocessing.get_context("fork").Event()

    def sample(i):
        if i == 0:
            ready.wait(10)
        return i

    batches = iter(loading(Calls(sample, 9), workers=2, in_order=False, prefetch_factor=2))
    got = [next(batches) for _ in range(3)]
    assert 0 not in got
    ready.set()
    got += list(batches)
    assert sorted(got) == list(range(9))


@needs_fork
def test_batches_in_order_whoever_is_first():
    dataset = Calls(lambda i: time.sleep(0.05 * (i % 2 == 0)) or i)
    assert list(loading(dataset, workers=2)) == list(range(8))


@needs_fork
def test_how_far_ahead_workers_are():
    drawn = []

    class Watched(Sampler):
        def __iter__(self):
            for i in range(20):
                drawn.append(i)
                yield i

    batches = iter(loading(range(20), sampler=Watched(), workers=2, prefetch_factor=3))
    assert len(drawn) == 6
    for i in range(20):
        assert next(batches) == i
        assert len(drawn) == min(7 + i, 20)
    assert next(batches, "end") == "end"


@needs_fork
def test_persistent_workers_live_on():
    loader = loading(Calls(lambda i: (os.getpid(), random.random(), i), 6), workers=2, collate_fn=list)
    persistent = loading(loader.dataset, workers=2, collate_fn=list, persistent_workers=True)
    first, second = list(persistent), list(persistent)
    assert {s[0] for s in first} == {s[0] for s in second}
    assert {s[1] for s in first}.isdisjoint(s[1] for s in second)
    for broken_off in (1, 4):
        batches = iter(persistent)
        got = [next(batches)[2] for _ in range(broken_off)]
        assert got == list(range(broken_off))
        assert [s[2] for s in persistent] == list(range(6))
        assert iter(persistent) is batches
    assert {s[0] for s in persistent} == {s[0] for s in first}
    assert {s[0] for s in loader}.isdisjoint(s[0] for s in first)
    copied = pickle.loads(pickle.dumps(loading(range(3), persistent_workers=True)))
    assert list(copied) == [0, 1, 2]


def test_more_workers_than_processors_is_a_warning():
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with pytest.warns(UserWarning, match=rf"will create {available + 1} worker processes, but .* {available} CPUs"):
        DataLoader(range(3), num_workers=available + 1)


# ---- how they fail -------------------------------------------------------------------------------


def _raising(error):
    def sample(i):
        if i == 2:
            raise error
        return i

    return Calls(sample, 5)


@needs_fork
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("bad image 7"), "bad image 7"),
        (KeyError("missing"), "KeyError: 'missing'"),
        (Told("something"), "Told: something"),
        (FileNotFoundError(errno.ENOENT, "gone", "a.png"), "gone: 'a.png'"),
        (Brittle("easily"), "Brittle: easily"),
        (StopIteration("early"), "raised StopIteration instead of returning"),
    ],
)
def test_an_exception_is_raised_here_with_its_traceback(error, message):
    batches = iter(loading(_raising(error), prefetch_factor=1))
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(RuntimeError if isinstance(error, StopIteration) else type(error)) as caught:
        next(batches)
    text = str(caught.value)
    assert text.startswith(f"Caught {type(caught.value).__name__} in DataLoader worker process 0.\nOriginal Traceback")
    assert message in text
    assert "in sample\n    raise error" in text
    assert [*batches] == [3, 4]  # the others are still to be had


@needs_fork
@pytest.mark.parametrize(
    "error", [Particular("line 3", "a mistake"), Stubborn(5), UnicodeDecodeError("a", b"b", 0, 1, "c")]
)
def test_an_exception_that_takes_no_message_is_raised_itself(error):
    with pytest.raises(type(error)) as caught:
        list(loading(_raising(error)))
    assert caught.value.args == error.args
    assert vars(caught.value) == vars(error)
    assert "Original Traceback" in str(caught.value.__cause__)
    assert "in sample\n    raise error" in str(caught.value.__cause__)


@needs_fork
def test_what_cannot_travel_is_an_error():
    class Local(Exception):
        pass

    with pytest.raises(RuntimeError, match=r"(?s)Caught Local in DataLoader worker process 0.*Local: here"):
        list(loading(_raising(Local("here"))))
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError), match=r"(?s)Caught .*[Cc]an.t pickle"):
        list(loading(Calls(lambda i: lambda: i)))


@needs_fork
def test_an_exception_before_the_first_batch():
    def init(worker_id):
        raise Told(f"no start {worker_id}")

    batches = iter(loading(range(9), workers=2, worker_init_fn=init))
    for worker in range(2):
        with pytest.raises(Told, match=rf"(?s)worker process {worker}.*no start {worker}"):
            next(batches)
    assert list(batches) == []

    class NoIterator(IterableDataset):
        def __iter__(self):
            raise Told("no iterator")

    loader = loading(NoIterator(), persistent_workers=True)
    for _ in range(2):
        with pytest.raises(Told, match="no iterator"):
            list(loader)


@on_posix
@needs_fork
def test_a_killed_worker_is_noticed():
    loader = loading(Calls(lambda i: time.sleep(0.2 * i) or i, 9), workers=2, persistent_workers=True)
    batches = iter(loader)
    assert next(batches) == 0
    victim = pids(batches)[1]
    threading.Timer(0.1, os.kill, (victim, signal.SIGKILL)).start()
    start = time.monotonic()
    with pytest.raises(RuntimeError) as caught:
        list(batches)
    assert time.monotonic() - start < 2
    assert f"DataLoader worker 1 (pid(s) {victim}) exited unexpectedly with exit code -9 (SIGKILL)" in str(caught.value)
    assert list(batches) == []
    again = iter(loader)  # has new workers
    assert next(again) == 0
    assert again is not batches


@on_posix
@needs_fork
def test_what_a_killed_worker_has_made_is_not_lost():
    made = multiprocessing.get_context("fork").Semaphore(0)
    batches = iter(loading(Calls(lambda i: made.release() or i, 9)))
    for _ in range(2):
        made.acquire()
    time.sleep(0.2)  # for the second to be on its way
    os.kill(pids(batches)[0], signal.SIGKILL)
    eventually(lambda: not exists(pids(batches)[0]))
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(RuntimeError, match="SIGKILL"):
        next(batches)


@on_posix
@needs_fork
def test_a_worker_that_dies_between_epochs_is_noticed():
    loader = loading(range(4), workers=2, persistent_workers=True)
    batches = iter(loader)
    assert list(batches) == [0, 1, 2, 3]
    os.kill(pids(batches)[0], signal.SIGTERM)
    with pytest.raises(RuntimeError, match=r"worker 0 .* exit code -15 \(SIGTERM\)"):
        list(loader)
    assert list(loader) == [0, 1, 2, 3]


@needs_fork
@pytest.mark.parametrize("leave", [os._exit, sys.exit])
def test_a_worker_that_leaves_is_noticed(leave):
    loader = loading(Calls(lambda i: leave(3) if i == 1 else i), workers=2)
    with pytest.raises(RuntimeError, match=r"worker 1 .* exit code 3\. .*os\._exit\(\)"):
        list(loader)


@needs_fork
def test_a_batch_that_takes_too_long():
    loader = loading(Calls(lambda i: time.sleep(30 * i) or i), timeout=0.3)
    batches = iter(loader)
    assert next(batches) == 0
    start = time.monotonic()
    with pytest.raises(RuntimeError, match=r"DataLoader timed out after 0\.3 seconds"):
        next(batches)
    assert 0.25 < time.monotonic() - start < 2
    del batches  # ends a worker that sleeps
    assert time.monotonic() - start < 5


def test_what_cannot_be_pickled_cannot_be_sent_to_a_spawned_worker():
    loader = DataLoader(range(3), num_workers=1, multiprocessing_context="spawn", collate_fn=lambda batch: batch)
    with pytest.raises(pickle.PicklingError, match=r"'spawn' pickles the data set, collate_fn .*no lambdas"):
        iter(loader)


# ---- how they end --------------------------------------------------------------------------------


@on_posix
@needs_fork
def test_a_loader_that_is_dropped_ends_its_workers():
    loader = loading(Numbers(), 2, workers=2)
    batches = iter(loader)
    next(batches)
    workers, alive = pids(batches), weakref.ref(batches)
    assert all(map(exists, workers))
    gc.disable()
    try:
        del batches
        assert alive() is None  # without the garbage collector
        assert not any(map(exists, workers))
        persistent = loading(Numbers(), 2, workers=2, persistent_workers=True)
        workers = pids(iter(persistent))
        del persistent
        assert not any(map(exists, workers))
    finally:
        gc.enable()
    for _ in loader:
        break
    batches = iter(loading(Numbers(), 2))
    workers = pids(batches)
    assert len(list(batches)) == 10
    assert not any(map(exists, workers))  # at the end of the epoch, though the iterator is still there
    assert list(batches) == []


@needs_fork
def test_two_loaders_at_once():
    first, second = iter(loading(range(40), 4)), iter(loading(range(40), 4, workers=2))
    assert next(first).tolist() == next(second).tolist() == [0, 1, 2, 3]
    start = time.monotonic()
    del first  # whose pipes the workers of the second have inherited
    assert time.monotonic() - start < 0.9
    assert next(second).tolist() == [4, 5, 6, 7]


@on_posix
@needs_fork
def test_a_process_forked_off_leaves_the_workers_alone():
    batches = iter(loading(range(40), 4, workers=2))
    next(batches)
    pid = os.fork()
    if pid == 0:
        batches.close()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert [batch.tolist()[0] for batch in batches] == list(range(4, 40, 4))


def run(name, act=None):
    """Run a program, act on it once it says that it is at work; its exit code, output, errors and what it said."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", PROGRAMS, name],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said = process.stdout.readline()
        if act is not None:
            act(process)
        out, errors = process.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return process.returncode, said + out, errors


@on_posix
@pytest.mark.parametrize("name", ["interrupted", "interrupted_spawn"])
def test_ctrl_c_ends_everything_with_one_traceback(name):
    start = time.monotonic()
    code, said, errors = run(name, lambda process: os.killpg(process.pid, signal.SIGINT))
    assert code == -signal.SIGINT
    assert errors.count("Traceback") == 1
    assert errors.endswith("KeyboardInterrupt\n")
    eventually(lambda: not any(exists(int(pid)) for pid in said.split()))
    assert time.monotonic() - start < 30


@on_posix
def test_ctrl_c_while_workers_start():
    def interrupt(process):
        time.sleep(0.2 + random.random() / 10)
        os.killpg(process.pid, signal.SIGINT)

    code, _, errors = run("interrupted_at_the_start", interrupt)
    assert code == -signal.SIGINT
    assert "Process" not in errors  # multiprocessing's word for the traceback of a child
    assert errors.endswith("KeyboardInterrupt\n")


@on_posix
def test_workers_outlive_their_program_only_shortly():
    with subprocess.Popen([sys.executable, PROGRAMS, "orphaned"], stdout=subprocess.PIPE, text=True) as process:
        workers = [int(pid) for pid in process.stdout.readline().split()]
        process.kill()
    assert len(workers) == 2
    eventually(lambda: not any(map(exists, workers)))


@on_posix
@pytest.mark.parametrize("name", ["left_open", "dropped"])
def test_nothing_is_left_at_the_end(name):
    shared = Path("/dev/shm")
    before = set(shared.glob("*"))
    code, said, errors = run(name)
    assert (code, errors) == (0, "")
    eventually(lambda: not any(exists(int(pid)) for pid in said.split()))
    assert [f for f in set(shared.glob("*")) - before if f.name.startswith(("psm_", "tinygrad"))] == []


@on_posix
def test_a_program_without_guard_is_told_so():
    code, _, errors = run("unguarded")
    assert code == 1
    assert "exited unexpectedly with exit code 1" in errors
    assert "'spawn' imports the main program again" in errors


# ---- shared memory -------------------------------------------------------------------------------


def twins():
    """One buffer as two processes see it."""
    if sys.platform == "win32":
        one = SharedBuffer()
        two = pickle.loads(pickle.dumps(one))
    else:
        one, two = SharedBuffer(), SharedBuffer()
        two._memory.close()
        two._memory._fd = os.dup(one._memory._fd)
    return one, two


VALUES = [
    None,
    {"a": [1, 2.5, "text"]},
    np.arange(10),
    np.arange(100_000.0),
    [np.arange(1000, dtype=np.int16).reshape(10, 100), "b", np.zeros((0, 5)), np.array(3.5)],
    np.asfortranarray(np.arange(20_000).reshape(100, 200)),
    np.arange(40_000)[::3],
    "x" * 1_000_000,
    np.ones((500, 2001), np.uint8),
    np.arange(513),
]


def test_shared_buffer_in_turns():
    one, two = twins()
    try:
        for i, value in enumerate(VALUES * 2):
            writer, reader = (one, two) if i % 3 else (two, one)
            written = writer.put(value)
            got = reader.get(written)
            if isinstance(value, np.ndarray) and value.nbytes > 5000 and value.flags.forc:
                assert written[1][1:] == [value.nbytes]  # apart from the pickle
            assert json.dumps(plain(got)) == json.dumps(plain(value))
            for array in got if isinstance(got, list) else [got]:
                if isinstance(array, np.ndarray):
                    assert array.flags.writeable
                    assert array.flags.aligned
    finally:
        one.close()
        two.close()


def test_what_was_read_does_not_change():
    one, two = twins()
    try:
        first = two.get(one.put([np.zeros(5000), np.zeros(10)]))
        two.get(one.put([np.ones(5000), np.ones(10)]))
        assert [set(a.tolist()) for a in first] == [{0.0}, {0.0}]
        first[0][:] = 5
        assert set(one.get(two.put(np.ones(5000))).tolist()) == {1.0}
        assert first[0].base is not first[1].base
    finally:
        one.close()
        two.close()


def test_what_cannot_be_pickled_leaves_the_buffer_as_it_was():
    one, two = twins()
    try:
        written = one.put("kept")
        with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
            one.put([np.zeros(10_000), lambda: 0])
        assert two.get(written) == "kept"
    finally:
        one.close()
        two.close()
