"""What a worker process of a loader knows of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["WorkerInfo", "get_worker_info"]


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
