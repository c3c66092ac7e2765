"""Data sets: what has samples by index, or yields them one after the other; and sums, parts and stacks of such."""

from __future__ import annotations

import bisect
import itertools
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from ... import random
from ...dtypes import Array
from ...random import Generator
from ...tensor import Tensor
from .gather import Gather, gatherer, of_tensors
from .sampler import size_of

__all__ = [
    "ChainDataset",
    "ConcatDataset",
    "Dataset",
    "IterableDataset",
    "StackDataset",
    "Subset",
    "TensorDataset",
    "random_split",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """Base class of data sets with samples by index: define ``__getitem__`` and, for samplers, ``__len__``.

    A class may also define ``__getitems__(indices)``, which returns a list of samples faster than one at a time.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> class Squares(tg.utils.data.Dataset):
    ...     def __len__(self):
    ...         return 4
    ...
    ...     def __getitem__(self, index):
    ...         return index, float(index**2)
    >>> next(iter(tg.utils.data.DataLoader(Squares(), batch_size=4)))
    [tensor([0, 1, 2, 3]), tensor([0., 1., 4., 9.], dtype=torch.float64)]
    """

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError(
            f"{type(self).__name__} must define __getitem__(self, index), which returns one sample"
        )

    def __add__(self, other: Dataset[T]) -> ConcatDataset[T_co | T]:
        """One data set after the other."""
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co], Iterable[T_co]):
    """Base class of data sets that yield samples one after the other: define ``__iter__``.

    Each worker process of a loader iterates over its own copy: see ``get_worker_info`` for how to share the work.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> class Countdown(tg.utils.data.IterableDataset):
    ...     def __iter__(self):
    ...         return iter([3, 2, 1])
    >>> list(tg.utils.data.DataLoader(Countdown(), batch_size=2))
    [tensor([3, 2]), tensor([1])]
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__(self), which yields samples")

    def __add__(self, other: Dataset[Any]) -> ChainDataset:  # type: ignore[override]
        """One data set after the other."""
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """The rows of tensors: sample ``i`` is the tuple of each tensor's row ``i``.

    Parameters
    ----------
    *tensors : Tensor
        Of any shapes (n, ...) with the same n.

    Raises
    ------
    AssertionError
        If they have not the same number of rows.
    TypeError
        For what is no Tensor.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> data = tg.utils.data.TensorDataset(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([0, 1]))
    >>> data[1]
    (tensor([3., 4.]), tensor(1))
    """

    def __init__(self, *tensors: Tensor) -> None:
        if not tensors:
            raise ValueError("TensorDataset() has no tensors: write TensorDataset(x, y)")
        for i, tensor in enumerate(tensors):
            if not isinstance(tensor, Tensor):
                write = "from_numpy(x)" if isinstance(tensor, np.ndarray) else "tensor(x)"
                found = type(tensor).__name__
                raise TypeError(f"TensorDataset takes Tensors, got {found} at position {i}: write {write}")
            if tensor.ndim == 0:
                raise IndexError(f"TensorDataset takes tensors with rows, but the one at position {i} is 0-d")
        if any(len(tensor) != len(tensors[0]) for tensor in tensors):
            shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
            raise AssertionError(
                f"Size mismatch between tensors: their shapes are {shapes}, but the first sizes must be equal, one row "
                f"per sample"
            )
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])

    def _gatherer(self) -> Gather:
        return lambda index: of_tensors(self.tensors, index)


class StackDataset(Dataset[Any]):
    """Several data sets side by side: sample ``i`` is the tuple, or the dict, of each one's sample ``i``.

    Parameters
    ----------
    *args : Dataset
        For samples that are tuples,
    **kwargs : Dataset
        or for samples that are dicts; not both.

    Raises
    ------
    ValueError
        For none, for both kinds, or for unequal lengths.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.utils.data.StackDataset(image=["a", "b"], label=[0, 1])[1]
    {'image': 'b', 'label': 1}
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args and kwargs:
            raise ValueError(
                "StackDataset takes data sets by position (samples are tuples) or by name (samples are dicts), not both"
            )
        self.datasets: tuple[Any, ...] | dict[str, Any] = args or kwargs
        lengths = [size_of(d, "StackDataset") for d in self._parts()]
        if not lengths:
            raise ValueError("At least one dataset should be passed: write StackDataset(images, labels)")
        if len(set(lengths)) > 1:
            raise ValueError(f"Size mismatch between datasets: their lengths are {lengths}")
        self._length = lengths[0]

    def _parts(self) -> list[Any]:
        return list(self.datasets.values() if isinstance(self.datasets, dict) else self.datasets)

    def _sample(self, parts: Iterable[Any]) -> Any:
        return dict(zip(self.datasets, parts, strict=True)) if isinstance(self.datasets, dict) else tuple(parts)

    def __getitem__(self, index: Any) -> Any:
        return self._sample(d[index] for d in self._parts())

    def __getitems__(self, indices: list[Any]) -> list[Any]:
        """Samples of several indices, asked for at once where the data sets can do that."""
        return [self._sample(parts) for parts in zip(*(samples_of(d, indices) for d in self._parts()), strict=True)]

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset[T_co]):
    """One data set after the other.

    Parameters
    ----------
    datasets : iterable of Dataset
        At least one, none of them an IterableDataset (AssertionError).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> both = tg.utils.data.ConcatDataset([["a", "b"], ["c"]])
    >>> len(both), both[2], both[-3]
    (3, 'c', 'a')
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("datasets should not be an empty iterable: write ConcatDataset([first, second])")
        for i, d in enumerate(self.datasets):
            if isinstance(d, IterableDataset):
                raise AssertionError(
                    f"ConcatDataset does not support IterableDataset, as number {i} is: write ChainDataset([...])"
                )
        self.cumulative_sizes = list(itertools.accumulate(size_of(d, "ConcatDataset") for d in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, idx: int) -> T_co:
        position = idx + len(self) if idx < 0 else idx
        if position < 0:
            raise ValueError(f"absolute value of index should not exceed dataset length {len(self)}, but got {idx}")
        if position >= len(self):
            raise IndexError(f"index {idx} is out of range for a ConcatDataset of {len(self)} samples")
        which = bisect.bisect_right(self.cumulative_sizes, position)
        before = self.cumulative_sizes[which - 1] if which else 0
        sample: T_co = self.datasets[which][position - before]
        return sample


class ChainDataset(IterableDataset[Any]):
    """One iterable data set after the other.

    Parameters
    ----------
    datasets : iterable of IterableDataset
        Anything else in it is an AssertionError when it is reached.
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = datasets

    def _checked(self) -> Iterator[Any]:
        for i, d in enumerate(self.datasets):
            if not isinstance(d, IterableDataset):
                raise AssertionError(
                    f"ChainDataset only supports IterableDataset, but number {i} is a {type(d).__name__}: write "
                    f"ConcatDataset([...]) for data sets with samples by index"
                )
            yield d

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain.from_iterable(self._checked())

    def __len__(self) -> int:
        return sum(size_of(d, "ChainDataset") for d in self._checked())


class Subset(Dataset[T_co]):
    """The samples of another data set at the given indices.

    A subclass that changes ``__getitem__`` must define ``__getitems__(indices)`` too, which loaders call.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> part = tg.utils.data.Subset(["a", "b", "c"], [2, 0])
    >>> len(part), part[0]
    (2, 'c')
    """

    def __init__(self, dataset: Any, indices: Sequence[Any]) -> None:
        self.dataset = dataset
        self.indices = indices
        cls = type(self)
        if cls.__getitem__ is not Subset.__getitem__ and cls.__getitems__ is Subset.__getitems__:
            raise NotImplementedError(
                f"{cls.__name__} overrides __getitem__ but not __getitems__, which loaders call. Write\n"
                f"    def __getitems__(self, indices):\n"
                f"        return [self[i] for i in indices]"
            )

    def __getitem__(self, idx: Any) -> Any:
        if isinstance(idx, list):
            return self.dataset[[self.indices[i] for i in idx]]
        return self.dataset[self.indices[idx]]

    def __getitems__(self, indices: list[Any]) -> list[T_co]:
        """Samples of several indices, asked for at once where the data set can do that."""
        return samples_of(self.dataset, [self.indices[i] for i in indices])

    def __len__(self) -> int:
        return len(self.indices)

    def _gatherer(self) -> Gather | None:
        inner = gatherer(self.dataset)
        if inner is None:
            return None

        def gather(index: Array) -> Any:
            # looked up anew for each batch: `indices` may be a list that the user changes
            chosen = positions([self.indices[i] for i in index.tolist()])
            return None if chosen is None else inner(chosen)

        return gather


def samples_of(dataset: Any, indices: list[Any]) -> list[Any]:
    """The samples at several indices, by ``__getitems__`` where there is one."""
    together = getattr(dataset, "__getitems__", None)
    if not callable(together):
        return [dataset[i] for i in indices]
    samples: list[Any] = together(indices)
    if len(samples) != len(indices):
        raise ValueError(
            f"Nested dataset's output size mismatch: {type(dataset).__name__}.__getitems__ returned {len(samples)} "
            f"samples for {len(indices)} indices"
        )
    return samples


def positions(indices: Any) -> Array | None:
    """A batch of indices as an array; None if they are not plain ints."""
    if isinstance(indices, np.ndarray):
        return indices if indices.ndim == 1 and indices.dtype.kind == "i" else None
    if not isinstance(indices, list) or not set(map(type, indices)) <= {int, np.int64}:
        return None
    try:
        return np.array(indices, np.int64)
    except OverflowError:
        return None


def random_split(
    dataset: Any, lengths: Sequence[int | float], generator: Generator | None = random.default_generator
) -> list[Subset[Any]]:
    """Split a data set at random into parts that do not overlap.

    Parameters
    ----------
    dataset : Dataset
        With a length.
    lengths : sequence of int or of float
        Sizes that add up to the whole, or fractions that add up to 1: each part then has the floor of its share, and
        what remains goes to the first parts, one sample each.
    generator : Generator, optional
        Where to draw the permutation from, by default the default generator.

    Raises
    ------
    ValueError
        If the sizes do not add up, or a fraction is not between 0 and 1.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> first, second = tg.utils.data.random_split(range(10), [0.7, 0.3], generator=tg.Generator().manual_seed(0))
    >>> first.indices, second.indices
    ([4, 1, 7, 5, 3, 9, 0], [8, 6, 2])
    """
    n = size_of(dataset, "random_split")
    total = sum(lengths)
    sizes = list(lengths)
    if math.isclose(total, 1):
        for i, fraction in enumerate(lengths):
            if not 0 <= fraction <= 1:
                raise ValueError(f"Fraction at index {i} is not between 0 and 1, but {fraction}")
        sizes = [math.floor(n * fraction) for fraction in lengths]
        for i in range(n - int(sum(sizes))):
            sizes[i % len(sizes)] += 1
        for i, size in enumerate(sizes):
            if size == 0:
                warnings.warn(
                    f"Length of split at index {i} is 0. This might result in an empty dataset.", stacklevel=2
                )
    if sum(sizes) != n:
        raise ValueError(
            f"Sum of input lengths does not equal the length of the input dataset: {list(lengths)} add up to {total}, "
            f"but the data set has {n} samples. Write sizes that add up to {n}, or fractions that add up to 1."
        )
    if not all(isinstance(size, (int, np.integer)) and size >= 0 for size in sizes):
        raise ValueError(f"lengths must be ints >= 0, or fractions that add up to 1, but got {list(lengths)}")
    order = (random.default_generator if generator is None else generator).randperm(n).tolist()
    ends = list(itertools.accumulate(int(size) for size in sizes))
    return [Subset(dataset, order[start:end]) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
