"""The order in which samples are drawn, from PyTorch's random stream and so in PyTorch's order."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

import numpy as np

from ... import random
from ...dtypes import Array
from ...ops.create import as_tensor
from ...random import Generator
from .gather import trusts

__all__ = [
    "BatchSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]

T_co = TypeVar("T_co", covariant=True)

# How many indices PyTorch's RandomSampler draws at a time with replacement. The stream between two draws depends on it.
DRAWN_AT_ONCE = 32


def draw_seed(generator: Generator | None) -> int:
    """A seed for a generator of its own: 63 bits, as PyTorch's loader and samplers draw it."""
    source = random.default_generator if generator is None else generator
    return int(source.random(np.empty((), np.int64)))


def size_of(dataset: Any, wanted_by: str) -> int:
    """``len(dataset)``, or an error that says who needs it."""
    try:
        return len(dataset)
    except TypeError:
        raise TypeError(
            f"{wanted_by} needs the number of samples, but {type(dataset).__name__} has no length: define __len__, or "
            f"pass a sampler= that knows which samples to draw"
        ) from None


def positive(name: str, value: Any) -> int:
    """``value`` if it is a positive int."""
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{name} should be a positive integer value, but got {name}={value}")
    return value


class Sampler(Generic[T_co]):
    """Base class of what says which samples are drawn, in which order: ``__iter__`` yields their indices.

    ``__len__`` says how many; ``len(loader)`` needs it.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> class Evens(tg.utils.data.Sampler):
    ...     def __iter__(self):
    ...         return iter([0, 2, 4])
    >>> for batch in tg.utils.data.DataLoader(range(5), batch_size=2, sampler=Evens()):
    ...     print(batch)
    tensor([0, 2])
    tensor([4])
    """

    # Built-in samplers yield from `_arrays`, which loaders read without turning each index into a Python object.

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__, which yields indices")


def arrays_of(sampler: Any) -> Iterator[Array] | None:
    """The indices that a sampler yields, in arrays as it draws them; None for a sampler of the user's own."""
    if isinstance(sampler, Sampler) and trusts(sampler, "_arrays", "__iter__"):
        arrays: Iterator[Array] = sampler._arrays()  # type: ignore[attr-defined]
        return arrays
    return None


class SequentialSampler(Sampler[int]):
    """Draws samples in their own order.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> list(tg.utils.data.SequentialSampler(["a", "b", "c"]))
    [0, 1, 2]
    """

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def _arrays(self) -> Iterator[Array]:
        yield np.arange(len(self))

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self)))

    def __len__(self) -> int:
        return size_of(self.data_source, "SequentialSampler")


class RandomSampler(Sampler[int]):
    """Draws samples in random order, each once, or with replacement.

    Parameters
    ----------
    data_source : Sized
        The data set; only its length matters.
    replacement : bool
        Whether a sample may be drawn again before all others were.
    num_samples : int, optional
        How many to draw; by default as many as there are.
    generator : Generator, optional
        Where to draw from. Without one, each epoch draws a seed from the default generator and uses that.

    Raises
    ------
    TypeError
        If ``replacement`` is no bool.
    ValueError
        If ``num_samples``, or the length of the data set, is not a positive int.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> _ = tg.manual_seed(0)
    >>> list(tg.utils.data.RandomSampler(range(5)))
    [1, 3, 4, 2, 0]
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(replacement, bool):
            raise TypeError(f"replacement should be a boolean value, but got replacement={replacement}")
        positive("num_samples", self.num_samples)
        self._size()

    @property
    def num_samples(self) -> int:
        """How many samples an epoch draws."""
        return size_of(self.data_source, "RandomSampler") if self._num_samples is None else self._num_samples

    def _size(self) -> int:
        n = size_of(self.data_source, "RandomSampler")
        if n == 0:
            raise ValueError("RandomSampler has nothing to draw from: num_samples=0 in the data set")
        return n

    def _arrays(self) -> Iterator[Array]:
        n = self._size()
        generator = Generator().manual_seed(draw_seed(None)) if self.generator is None else self.generator
        if self.replacement:
            whole, rest = divmod(self.num_samples, DRAWN_AT_ONCE)
            for size in (*itertools.repeat(DRAWN_AT_ONCE, whole), rest):
                yield generator.random(np.empty(size, np.int64), 0, n)
        else:
            whole, rest = divmod(self.num_samples, n)
            for _ in range(whole):
                yield generator.randperm(n)
            if rest or self.generator is not None:  # where nothing is left, PyTorch draws a permutation nevertheless
                yield generator.randperm(n)[:rest]

    def __iter__(self) -> Iterator[int]:
        for array in self._arrays():
            yield from array.tolist()

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[Any]):
    """Draws the given indices in random order.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> _ = tg.manual_seed(0)
    >>> list(tg.utils.data.SubsetRandomSampler([10, 20, 30, 40]))
    [10, 20, 40, 30]
    """

    def __init__(self, indices: Sequence[Any], generator: Generator | None = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[Any]:
        generator = random.default_generator if self.generator is None else self.generator
        for i in generator.randperm(len(self.indices)).tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Draws indices 0 to ``len(weights) - 1``, each as likely as its weight.

    Parameters
    ----------
    weights : sequence of float, or Tensor
        One weight per sample, >= 0, of any sum.
    num_samples : int
        How many to draw.
    replacement : bool
        Whether a sample may be drawn more than once.
    generator : Generator, optional
        Where to draw from, by default the default generator.

    Raises
    ------
    ValueError
        If ``num_samples`` is not a positive int, ``replacement`` no bool, or ``weights`` not one-dimensional.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> _ = tg.manual_seed(0)
    >>> list(tg.utils.data.WeightedRandomSampler([1.0, 1.0, 2.0], 6))
    [2, 2, 1, 2, 2, 2]
    """

    def __init__(
        self, weights: Any, num_samples: int, replacement: bool = True, generator: Generator | None = None
    ) -> None:
        positive("num_samples", num_samples)
        if not isinstance(replacement, bool):
            raise ValueError(f"replacement should be a boolean value, but got replacement={replacement}")
        self.weights = as_tensor(weights).double()
        if self.weights.ndim != 1:
            raise ValueError(
                f"weights should be a 1d sequence but given weights have shape {tuple(self.weights.shape)}: write one "
                f"weight per sample"
            )
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def _arrays(self) -> Iterator[Array]:
        generator = random.default_generator if self.generator is None else self.generator
        yield generator.multinomial(self.weights._array, self.num_samples, self.replacement)

    def __iter__(self) -> Iterator[int]:
        for array in self._arrays():
            yield from array.tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[Any]]):
    """Groups the indices of another sampler into lists of ``batch_size``.

    Parameters
    ----------
    sampler : Sampler or iterable
        Where the indices come from.
    batch_size : int
        How many make a batch.
    drop_last : bool
        Whether to drop a last batch that is shorter.

    Raises
    ------
    ValueError
        If ``batch_size`` is not a positive int or ``drop_last`` no bool.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> list(tg.utils.data.BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Sampler[Any] | Iterable[Any], batch_size: int, drop_last: bool) -> None:
        self.batch_size = positive("batch_size", batch_size)
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler = sampler
        self.drop_last = drop_last

    def _batches(self) -> Iterator[Array] | None:
        arrays = arrays_of(self.sampler)
        return None if arrays is None else self._regrouped(arrays)

    def _regrouped(self, arrays: Iterator[Array]) -> Iterator[Array]:
        # A next array is drawn only when a batch needs it: programs may draw from the same generator in between.
        size = self.batch_size
        rest: Array | None = None
        for array in arrays:
            if rest is not None and len(rest):
                array = np.concatenate((rest, array))
            whole = len(array) - len(array) % size
            for start in range(0, whole, size):
                yield array[start : start + size]
            rest = array[whole:]
        if rest is not None and len(rest) and not self.drop_last:
            yield rest

    def __iter__(self) -> Iterator[list[Any]]:
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        full, rest = divmod(size_of(self.sampler, "BatchSampler"), self.batch_size)
        return full + bool(rest and not self.drop_last)


def batches_of(sampler: Any) -> Iterator[Any]:
    """The batches of indices that a batch sampler yields: arrays where all of it is built in, else as it has them."""
    if isinstance(sampler, BatchSampler) and trusts(sampler, "_batches", "__iter__"):
        batches = sampler._batches()
        if batches is not None:
            return batches
    return iter(sampler)
