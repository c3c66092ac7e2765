"""From indices to a batch: the same in the main process and in workers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from .collate import default_collate
from .dataset import IterableDataset, positions
from .gather import gatherer

# A batch of indices (or, without batching, one index) in, what the loader yields out.
Fetch = Callable[[Any], Any]


def fetcher(dataset: Any, batched: bool, collate_fn: Callable[[Any], Any], drop_last: bool) -> Fetch:
    """How a loader gets its batches from a data set, for one epoch."""
    if isinstance(dataset, IterableDataset):
        return _from_iterable(dataset, batched, collate_fn, drop_last)
    if not batched:
        return lambda index: _asked(lambda: collate_fn(dataset[index]))
    return MapFetch(dataset, collate_fn)


class MapFetch:
    """Batches of a data set by index: gathered if that can be done, else sample by sample."""

    def __init__(self, dataset: Any, collate_fn: Callable[[Any], Any]) -> None:
        self.dataset = dataset
        self.collate_fn = collate_fn
        self._gather = gatherer(dataset) if collate_fn is default_collate else None
        self.missed = False  # whether a batch could not be gathered, as after a change of the list

    def __call__(self, indices: Any) -> Any:
        """A batch."""
        if self._gather is not None and (found := positions(indices)) is not None:
            try:
                batch = self._gather(found)
            except IndexError:
                batch = None
            if batch is not None:
                return batch
            self.missed = True
        return _asked(lambda: self.collate_fn(self._samples(indices)))

    def _samples(self, indices: Any) -> Any:
        asked = indices.tolist() if isinstance(indices, np.ndarray) else indices
        together = getattr(self.dataset, "__getitems__", None)
        return together(asked) if together else [self.dataset[i] for i in asked]


def _asked(batch: Callable[[], Any]) -> Any:
    """What user code returns. Its StopIteration must not pass for the end of the epoch."""
    try:
        return batch()
    except StopIteration as error:
        raise RuntimeError("the data set or collate_fn raised StopIteration instead of returning") from error


def _from_iterable(dataset: Any, batched: bool, collate_fn: Callable[[Any], Any], drop_last: bool) -> Fetch:
    iterator = iter(dataset)

    def fetch(indices: Any) -> Any:
        """Raises StopIteration at the end; of the indices only their number counts."""
        if not batched:
            sample = next(iterator)
            return _asked(lambda: collate_fn(sample))
        samples = list(itertools.islice(iterator, len(indices)))
        if not samples or (drop_last and len(samples) < len(indices)):
            raise StopIteration
        return _asked(lambda: collate_fn(samples))

    return fetch
