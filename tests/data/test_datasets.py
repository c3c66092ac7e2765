"""Data sets and samplers by themselves, and what they say to wrong calls."""

import numpy as np
import pytest

import tinygrad_loss as tg
from tinygrad_loss.utils.data import (
    BatchSampler,
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    StackDataset,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
    random_split,
)


class Letters(Dataset):
    def __init__(self, letters):
        self.letters = letters

    def __getitem__(self, index):
        return self.letters[index]

    def __len__(self):
        return len(self.letters)


class Together(Letters):
    """Counts how often it was asked for several samples at once."""

    asked = 0

    def __getitems__(self, indices):
        self.asked += 1
        return [self.letters[i].upper() for i in indices]


class Stream(IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter(range(self.n))

    def __len__(self):
        return self.n


class Unsized(Dataset):
    def __getitem__(self, index):
        return index


def test_tensor_dataset_has_rows():
    x, y = tg.rand(4, 2, 3), tg.arange(4)
    dataset = TensorDataset(x, y)
    assert len(dataset) == 4
    assert dataset.tensors == (x, y)
    assert dataset[2][0].tolist() == x[2].tolist()
    assert [t.tolist() for t in dataset[1:3]] == [x[1:3].tolist(), [1, 2]]


def test_sums_of_datasets():
    both = Letters("ab") + Letters("cde")
    assert isinstance(both, ConcatDataset)
    assert [both[i] for i in range(-5, 5)] == list("abcdeabcde")
    assert both.cumulative_sizes == [2, 5]
    assert len(both + Letters("f")) == 6
    chain = Stream(2) + Stream(3)
    assert isinstance(chain, ChainDataset)
    assert (list(chain), list(chain), len(chain)) == ([0, 1, 0, 1, 2], [0, 1, 0, 1, 2], 5)


def test_stack_is_of_tuples_or_of_dicts():
    together = Together("abc")
    pairs = StackDataset(Letters("xyz"), together)
    assert (pairs[1], len(pairs)) == (("y", "b"), 3)
    assert pairs.__getitems__([2, 0]) == [("z", "C"), ("x", "A")]
    assert together.asked == 1
    named = StackDataset(image=Letters("xyz"), label=[1, 2, 3])
    assert named.__getitems__([1]) == [named[1]] == [{"image": "y", "label": 2}]


def test_subset_asks_for_several_samples_at_once():
    together = Together("abcd")
    part = Subset(Subset(together, [3, 2, 0]), [2, 0])
    assert [part[0], part[1], len(part)] == ["a", "d", 2]
    assert [list(batch) for batch in DataLoader(part, batch_size=2)] == [["A", "D"]]
    assert together.asked == 1
    x = tg.arange(5)
    assert Subset(x, [4, 1, 0])[[0, 2]].tolist() == [4, 0]


def test_subset_of_its_own_kind_must_say_how_to_get_several():
    class Half(Subset):
        def __getitem__(self, idx):
            return self.dataset[self.indices[idx]] / 2

    with pytest.raises(NotImplementedError, match="Half overrides __getitem__ but not __getitems__"):
        Half([1, 2], [0])

    class Whole(Half):
        def __getitems__(self, indices):
            return [self[i] for i in indices]

    assert next(iter(DataLoader(Whole(tg.tensor([4.0, 6.0]), [1, 0]), 2))).tolist() == [3.0, 2.0]


def test_random_split_parts_do_not_overlap():
    parts = random_split(range(17), [0.5, 0.25, 0.25])
    assert [len(p) for p in parts] == [9, 4, 4]
    assert sorted(i for p in parts for i in p) == list(range(17))
    for fractions in ([0.7, 0.2, 0.1], [0.01, 0.32, 0.56, 0.11]):  # which add up to less and to more than 1
        assert sum(fractions) != 1
        lengths = [len(p) for p in random_split(range(100), fractions)]
        assert lengths == [round(100 * f) for f in fractions]
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0"):
        assert [len(p) for p in random_split(range(1), [0.9, 0.1])] == [1, 0]


@pytest.mark.parametrize(
    ("sampler", "length"),
    [
        (SequentialSampler(range(7)), 7),
        (RandomSampler(range(7)), 7),
        (RandomSampler(range(7), num_samples=3), 3),
        (WeightedRandomSampler(tg.tensor([1, 2]), 9), 9),
        (BatchSampler(range(7), 3, False), 3),
        (BatchSampler(range(7), 3, True), 2),
        (BatchSampler(range(6), 3, True), 2),
        (BatchSampler(RandomSampler(range(6)), 3, False), 2),
    ],
)
def test_samplers_yield_as_many_as_they_say(sampler, length):
    drawn = list(sampler)
    assert len(drawn) == len(sampler) == length
    assert all(type(i) in (int, list) for i in drawn)


def test_dataset_may_grow():
    samples = [1, 2]
    loader = DataLoader(samples, 2, shuffle=True)
    samples += [3, 4, 5]
    assert len(loader) == 3
    assert sorted(i for batch in loader for i in batch.tolist()) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Dataset()[0], NotImplementedError, r"Dataset must define __getitem__\(self, index\)"),
        (lambda: iter(IterableDataset()), NotImplementedError, "must define __iter__"),
        (lambda: iter(Sampler()), NotImplementedError, "must define __iter__"),
        (lambda: TensorDataset(), ValueError, "no tensors"),
        (lambda: TensorDataset(tg.ones(2), np.ones(2)), TypeError, r"ndarray at position 1: write from_numpy\(x\)"),
        (lambda: TensorDataset([1, 2]), TypeError, r"list at position 0: write tensor\(x\)"),
        (lambda: TensorDataset(tg.tensor(1.0)), IndexError, "position 0 is 0-d"),
        (lambda: TensorDataset(tg.ones(3, 2), tg.ones(4)), AssertionError, r"shapes are \(3, 2\), \(4,\)"),
        (lambda: StackDataset(), ValueError, "At least one dataset"),
        (lambda: StackDataset([1], a=[1]), ValueError, "by position .* or by name"),
        (lambda: StackDataset([1], [1, 2]), ValueError, r"lengths are \[1, 2\]"),
        (lambda: StackDataset(Unsized()), TypeError, "StackDataset needs the number of samples, but Unsized"),
        (lambda: ConcatDataset([]), AssertionError, "should not be an empty iterable"),
        (lambda: ConcatDataset([[1], Stream(3)]), AssertionError, "as number 1 is: write ChainDataset"),
        (lambda: ConcatDataset([[1], [2]])[2], IndexError, "index 2 is out of range .* 2 samples"),
        (lambda: ConcatDataset([[1], [2]])[-3], ValueError, "dataset length 2, but got -3"),
        (lambda: list(ChainDataset([Stream(1), [1]])), AssertionError, "number 1 is a list: write ConcatDataset"),
        (lambda: random_split(range(10), [3, 3]), ValueError, r"\[3, 3\] add up to 6, but the data set has 10"),
        (lambda: random_split(range(10), [0.5, 0.6, -0.1]), ValueError, "Fraction at index 2 .* but -0.1"),
        (lambda: random_split(range(10), [12, -2]), ValueError, "must be ints >= 0"),
        (lambda: random_split(range(10), [7.5, 2.5]), ValueError, "must be ints >= 0"),
        (lambda: random_split(Unsized(), [0.5, 0.5]), TypeError, "random_split needs the number of samples"),
        (lambda: RandomSampler(range(3), replacement=1), TypeError, "replacement should be a boolean"),
        (lambda: RandomSampler(range(3), num_samples=0), ValueError, "num_samples should be a positive integer"),
        (lambda: RandomSampler([]), ValueError, "num_samples=0"),
        (lambda: RandomSampler([], num_samples=3), ValueError, "nothing to draw from"),
        (lambda: RandomSampler(Unsized()), TypeError, "RandomSampler needs the number of samples, but Unsized"),
        (lambda: WeightedRandomSampler([1.0], True), ValueError, "num_samples=True"),
        (lambda: WeightedRandomSampler([1.0], 1, "no"), ValueError, "replacement should be a boolean"),
        (lambda: WeightedRandomSampler([[1.0]], 1), ValueError, r"shape \(1, 1\)"),
        (lambda: list(WeightedRandomSampler([1.0, 0.0], 3, False)), RuntimeError, "cannot take 3 of 2"),
        (lambda: BatchSampler(range(3), 0, False), ValueError, "batch_size=0"),
        (lambda: BatchSampler(range(3), 2.0, False), ValueError, "batch_size=2.0"),
        (lambda: BatchSampler(range(3), 2, None), ValueError, "drop_last=None"),
    ],
)
def test_wrong_calls_say_what_to_write(call, error, message):
    with pytest.raises(error, match=message):
        call()
