"""The loader: batches of a data set, in the order that PyTorch's loader hands them out."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ...random import Generator
from .collate import default_collate, default_convert
from .dataset import IterableDataset
from .fetch import Fetch, MapFetch, fetcher
from .sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    batches_of,
    draw_seed,
    size_of,
)
from .worker import get_worker_info

if TYPE_CHECKING:
    from .parallel import ParallelIterator

__all__ = ["DataLoader", "default_collate", "default_convert", "get_worker_info"]

T_co = TypeVar("T_co", covariant=True)


class _Endless(Sampler[None]):
    """The sampler of an IterableDataset, which alone decides when it ends."""

    def __iter__(self) -> Iterator[None]:
        return itertools.repeat(None)


class DataLoader(Generic[T_co]):
    """Batches of a data set: shuffled or not, made here or in worker processes.

    Parameters
    ----------
    dataset : Dataset, sequence or IterableDataset
        Where the samples come from.
    batch_size : int or None
        Samples in a batch. None: no batches, each sample by itself.
    shuffle : bool
        Draw each epoch in a new random order.
    sampler : Sampler or iterable, optional
        Which samples to draw instead, by index.
    batch_sampler : Sampler or iterable, optional
        Which batches to draw instead, as lists of indices.
    num_workers : int
        How many processes make the batches; with 0 the calling one does.
    collate_fn : callable, optional
        Makes a batch of a list of samples; by default ``default_collate`` (``default_convert`` without batches).
    pin_memory : bool
        Accepted, and without effect: there is no other memory than the CPU's.
    drop_last : bool
        Whether to drop a last batch that is shorter.
    timeout : float
        The most seconds to wait for a batch of the workers; 0 is for ever.
    worker_init_fn : callable, optional
        Called in each worker with its number, after seeding.
    multiprocessing_context : str or context, optional
        How workers start: "fork", "spawn" or "forkserver". By default as Python does on this platform.
    generator : Generator, optional
        Where the order and the workers' seeds are drawn from, by default the default generator.
    prefetch_factor : int, optional
        How many batches each worker makes ahead, by default 2.
    persistent_workers : bool
        Whether workers live on to the next epoch.
    in_order : bool
        Whether batches come in the sampler's order, or as they get ready.

    Raises
    ------
    ValueError
        For arguments that exclude each other or are out of range.
    RuntimeError
        From the iteration, when a worker died or a batch took longer than ``timeout``. An exception in a worker is
        raised here, of the same class, with the worker's traceback in its message.

    Notes
    -----
    After the same ``manual_seed`` the order of the samples, and what the generator gives next, are PyTorch's.

    With the default ``collate_fn``, Tensors of one shape (in a TensorDataset, a list of pairs such as
    ``list(zip(x, y))``, a Subset of these, a Tensor by itself) are gathered by one call per field from where they lie:
    what is written to them, and samples exchanged in the list, are seen. Of the samples in a list, a new ``.data`` or
    ``.requires_grad`` is not seen once iteration has begun.

    Worker ``i`` seeds ``random``, this package's default generator and ``numpy.random`` as PyTorch does, from a seed
    drawn at the start of the iteration, plus ``i``. Batches come back through shared memory.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> _ = tg.manual_seed(0)
    >>> x = tg.tensor([[1.0], [2.0], [3.0]])
    >>> loader = tg.utils.data.DataLoader(list(zip(x, [0, 1, 2])), batch_size=2, shuffle=True)
    >>> for inputs, labels in loader:
    ...     print(inputs.T, labels)
    tensor([[1., 3.]]) tensor([0, 2])
    tensor([[2.]]) tensor([1])
    """

    _initialized = False

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler[Any] | Iterable[Any] | None = None,
        batch_sampler: Sampler[Any] | Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        self.dataset = dataset
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.generator = generator
        self.persistent_workers = persistent_workers
        self.in_order = in_order
        self.prefetch_factor = _checked_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        self.multiprocessing_context = _checked_context(multiprocessing_context, num_workers)
        if generator is not None and not isinstance(generator, Generator):
            raise TypeError(f"generator must be a Generator, but got {type(generator).__name__}: write Generator()")

        self._iterable = isinstance(dataset, IterableDataset)
        _check_order(self._iterable, batch_size, shuffle, sampler, batch_sampler, drop_last)
        if batch_sampler is not None:
            batch_size, drop_last = None, False
        if sampler is None:
            if self._iterable:
                sampler = _Endless()
            elif shuffle:
                sampler = RandomSampler(dataset, generator=generator)
            else:
                sampler = SequentialSampler(dataset)
        if batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self._batched = batch_sampler is not None
        self.collate_fn = collate_fn or (default_collate if self._batched else default_convert)
        self._promised: int | None = None  # what len() said of an iterable data set
        self._fetch: MapFetch | None = None  # of the last epoch: to look through a list for each would take long
        self._iterator: ParallelIterator | None = None  # of persistent workers
        self._initialized = True

    def __setattr__(self, name: str, value: Any) -> None:
        if self._initialized and name in _FIXED:
            raise ValueError(
                f"{name} attribute should not be set after {type(self).__name__} is initialized: make a new loader"
            )
        super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_fetch": None, "_iterator": None}

    def _fetcher(self) -> Fetch:
        """How this process makes the batches of an epoch."""
        last = self._fetch
        if last is None or last.missed or last.collate_fn is not self.collate_fn:
            fetch = fetcher(self.dataset, self._batched, self.collate_fn, self.drop_last)
            if not isinstance(fetch, MapFetch):
                return fetch
            self._fetch = last = fetch
        return last

    def _indices(self) -> Iterator[Any]:
        """A new epoch's batches of indices, or without batching its indices."""
        return batches_of(self.batch_sampler) if self._batched else iter(self.sampler)

    def __iter__(self) -> Iterator[Any]:
        if self.num_workers == 0:
            return LoaderIterator(self) if not self._iterable else _counted(self, LoaderIterator(self))
        from .parallel import ParallelIterator

        if not self.persistent_workers:
            iterator = ParallelIterator(self)
        elif self._iterator is None or self._iterator.closed:
            iterator = self._iterator = ParallelIterator(self)
        else:
            iterator = self._iterator
            iterator.restart(self)
        return iterator if not self._iterable else _counted(self, iterator)

    def __len__(self) -> int:
        if not self._iterable:
            return size_of(self.batch_sampler if self._batched else self.sampler, "len(loader)")
        n = self._promised = size_of(self.dataset, "len(loader)")
        if self.batch_size is None:
            return n
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)


_FIXED = frozenset({"batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"})


class LoaderIterator:
    """One epoch in the calling process."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._indices = loader._indices()
        draw_seed(loader.generator)  # PyTorch draws the workers' seed even where there are none
        self._fetch = loader._fetcher()
        self._loader = loader

    def __iter__(self) -> LoaderIterator:
        return self

    def __next__(self) -> Any:
        return self._fetch(next(self._indices))

    def __len__(self) -> int:
        return len(self._loader)


def _counted(loader: DataLoader[Any], batches: Iterator[Any]) -> Iterator[Any]:
    """Warn when an iterable data set yields more batches than it said it has samples."""
    for count, batch in enumerate(batches, 1):
        if loader._promised is not None and count > loader._promised:
            hint = ""
            if loader.num_workers:
                hint = (
                    " Each worker iterates over its own copy: let __iter__ yield only the share of "
                    "get_worker_info().id."
                )
            warnings.warn(
                f"Length of IterableDataset {loader.dataset} was reported to be {loader._promised} (when accessing "
                f"len(dataloader)), but {count} batches have been fetched.{hint}",
                stacklevel=2,
            )
        yield batch


def _checked_workers(num_workers: int, timeout: float, prefetch_factor: int | None, persistent: bool) -> int | None:
    """Check what concerns workers; the number of batches that each makes ahead."""
    if not isinstance(num_workers, int) or num_workers < 0:
        raise ValueError(
            f"num_workers option should be non-negative, but got {num_workers}; use num_workers=0 to load in this "
            f"process"
        )
    if timeout < 0:
        raise ValueError(f"timeout option should be non-negative, but got {timeout}")
    if num_workers == 0:
        for name, given in (
            ("timeout", timeout),
            ("prefetch_factor", prefetch_factor is not None),
            ("persistent_workers", persistent),
        ):
            if given:
                raise ValueError(f"{name} option needs worker processes: pass num_workers > 0, or leave {name} out")
        return None
    if prefetch_factor is not None and (not isinstance(prefetch_factor, int) or prefetch_factor < 1):
        raise ValueError(f"prefetch_factor option should be a positive int, but got {prefetch_factor}")
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if cpus is not None and num_workers > cpus:
        warnings.warn(
            f"This DataLoader will create {num_workers} worker processes, but this process may use {cpus} CPUs: more "
            f"workers than that tend to slow each other down",
            stacklevel=3,
        )
    return prefetch_factor or 2


def _checked_context(context: Any, num_workers: int) -> Any:
    """The multiprocessing context that an argument names; None for the platform's own."""
    if context is None:
        return None
    if num_workers == 0:
        raise ValueError("multiprocessing_context can only be used with num_workers > 0, but got num_workers=0")
    import multiprocessing

    methods = multiprocessing.get_all_start_methods()
    if isinstance(context, str):
        if context not in methods:
            raise ValueError(
                f"multiprocessing_context option should specify a valid start method in {methods}, but got {context!r}"
            )
        return multiprocessing.get_context(context)
    if not isinstance(context, multiprocessing.context.BaseContext):
        raise TypeError(
            f"multiprocessing_context option should be a context object or one of {methods}, but got {context!r}"
        )
    return context


def _check_order(
    iterable: bool, batch_size: int | None, shuffle: bool | None, sampler: Any, batch_sampler: Any, drop_last: bool
) -> None:
    """Check that the arguments that say what is drawn, in which order, do not contradict each other."""
    if iterable:
        for name, value in (("shuffle", shuffle or None), ("sampler", sampler), ("batch_sampler", batch_sampler)):
            if value is not None:
                raise ValueError(
                    f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={value}: the "
                    f"data set alone decides on the order. Shuffle in its __iter__."
                )
    if sampler is not None and shuffle:
        raise ValueError(
            "sampler option is mutually exclusive with shuffle: leave shuffle out; a RandomSampler shuffles by itself"
        )
    if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
        raise ValueError(
            "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last: it says "
            "all of that itself. Leave them out, or write batch_sampler=BatchSampler(sampler, batch_size, drop_last)."
        )
    if batch_sampler is None and batch_size is None and drop_last:
        raise ValueError(
            "batch_size=None option disables auto-batching and is mutually exclusive with drop_last: leave that out"
        )
