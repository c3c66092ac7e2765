"""Programs that tests start as processes of their own: ``python worker_programs.py NAME``."""

import multiprocessing
import signal
import sys
import time
import warnings

from tinygrad_loss.utils.data import DataLoader, Dataset


class Slow(Dataset):
    def __init__(self, seconds):
        self.seconds = seconds

    def __len__(self):
        return 1000

    def __getitem__(self, index):
        time.sleep(self.seconds)
        return index


def loader(method="fork", seconds=0.0, workers=2):
    return DataLoader(Slow(seconds), 4, num_workers=workers, multiprocessing_context=method)


def say(batches):
    """Tell the test that work is going on, and in which processes."""
    next(batches)
    sys.stdout.write(f"{' '.join(str(w.process.pid) for w in batches._crew.workers)}\n")
    sys.stdout.flush()
    return batches


def interrupted(method="fork"):
    """Is at work until Ctrl-C."""
    for _ in say(iter(loader(method, 0.05, workers=1 if method == "spawn" else 2))):
        pass


def interrupted_spawn():
    interrupted("spawn")


def interrupted_at_the_start():
    """Ctrl-C arrives while workers start."""
    sys.stdout.write("starting\n")
    sys.stdout.flush()
    while True:
        batches = iter(loader())
        next(batches)
        batches.close()


def orphaned():
    """Is killed, and cannot end its workers."""
    batches = say(iter(loader(seconds=0.05)))
    more = iter(loader())  # whose workers hold the pipes of the first ones
    next(more)
    for _ in batches:
        pass


def left_open():
    """Ends in the middle of an epoch, workers and all."""
    batches = say(iter(loader(seconds=0.05)))
    globals()["kept"] = batches


def dropped():
    """Drops its loader in the middle of an epoch and has nothing left of it."""
    batches = say(iter(loader("spawn", workers=1)))
    del batches
    assert multiprocessing.active_children() == []


def unguarded():
    """Starts a worker, which imports this program and would do the same."""
    next(iter(loader("spawn", workers=1)))


if __name__ == "__main__":
    warnings.simplefilter("error")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job would ignore
    globals()[sys.argv[1]]()
elif sys.argv[1] == "unguarded":
    unguarded()
