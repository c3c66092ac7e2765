"""The loader in one process: batches gathered at once are those made sample by sample, whatever was changed since."""

import gc
import pickle
import weakref

import numpy as np
import pytest

import tinygrad_loss as tg
from tinygrad_loss.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    Subset,
    TensorDataset,
    default_collate,
    gather,
)

X = tg.arange(60.0).reshape(10, 2, 3)
Y = tg.arange(10)


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(5))

    def __len__(self):
        return 4


def one_by_one(samples):
    """`default_collate` under another name, which makes loaders ask for samples one by one."""
    return default_collate(samples)


def separate():
    return [(x.clone(), y.clone()) for x, y in zip(X, Y, strict=True)]


def windows():
    """Parts of one series that overlap."""
    series = tg.arange(20.0)
    return [(series[i : i + 5], series[i]) for i in range(10)]


def mixed_up():
    """Rows of one array, not in its order, some of them twice, and the columns of another, each a step apart."""
    x, columns = tg.arange(30.0).reshape(10, 3), tg.arange(50.0).reshape(5, 10).T
    order = [3, 3, 9, 0, 5, 6, 6, 2, 1, 8]
    return [(x[i], columns[j]) for i, j in zip(order, range(10), strict=True)]


def from_arrays():
    data = np.arange(40, dtype=np.uint8).reshape(10, 4)
    return [(tg.from_numpy(row[::-1]), tg.from_numpy(row[1:])) for row in data]


GATHERED = {
    "TensorDataset": lambda: TensorDataset(X.clone(), Y.clone()),
    "one tensor": lambda: TensorDataset(X.clone()),
    "strided tensors": lambda: TensorDataset(tg.arange(60.0).reshape(6, 10).T, tg.arange(40)[::4]),
    "no elements": lambda: TensorDataset(tg.ones(10, 0, 3), Y.clone()),
    "Tensor": lambda: X.clone(),
    "pairs": lambda: list(zip(X.clone(), Y.clone(), strict=True)),
    "tuple of pairs": lambda: tuple(zip(X.clone(), Y.clone(), strict=True)),
    "triples": lambda: list(zip(X.clone(), Y.clone(), X.clone(), strict=True)),
    "rows": lambda: list(X.clone()),
    "separate pairs": separate,
    "separate rows": lambda: [x for x, _ in separate()],
    "the same pair": lambda: [(X[1], Y[2])] * 10,
    "windows": windows,
    "mixed up": mixed_up,
    "from arrays": from_arrays,
    "transposed rows": lambda: [(x.T, y) for x, y in zip(X.clone(), Y.clone(), strict=True)],
    "empty rows": lambda: [(tg.ones(0, 3), y) for y in Y],
    "no fields": lambda: [()] * 10,
    "Subset": lambda: Subset(TensorDataset(X.clone(), Y.clone()), [9, 1, 1, 0, -1, 7, 3, 2, 5, 6]),
    "Subset of array": lambda: Subset(TensorDataset(X.clone(), Y.clone()), np.array([9, 1, 1, 0, 4, 7, 3, 2, 5, 6])),
    "Subset of Subset": lambda: Subset(Subset(separate(), range(9, -1, -1)), [0, 5, 2, 3, 4, 1, 6, 9, 8, 7]),
}
ONE_BY_ONE = {
    "unequal dtypes": lambda: [(x, y.float() if i else y) for i, (x, y) in enumerate(zip(X, Y, strict=True))],
    "numbers": lambda: [(x, 3) for x in X],
    "lists": lambda: [[x, y] for x, y in zip(X, Y, strict=True)],
    "range": lambda: range(10),
    "0-d": lambda: Subset(range(20), range(10)),
}


def flat(batch):
    return [batch] if isinstance(batch, tg.Tensor) else batch


def assert_equal(got, want):
    assert type(got) is type(want)
    for g, w in zip(flat(got), flat(want), strict=True):
        assert g.dtype == w.dtype
        np.testing.assert_array_equal(g.numpy(), w.numpy(), strict=True)


def gathers(loader):
    """Whether the loader can gather all of its data set."""
    how = loader._fetch._gather
    return how is not None and how(np.arange(len(loader.dataset))) is not None


@pytest.mark.parametrize("name", {**GATHERED, **ONE_BY_ONE})
@pytest.mark.parametrize("drop_last", [True, False])
def test_gathered_batches_are_those_of_single_samples(name, drop_last):
    dataset = {**GATHERED, **ONE_BY_ONE}[name]()
    generator, other = tg.Generator().manual_seed(1), tg.Generator().manual_seed(1)
    fast = DataLoader(dataset, 4, shuffle=True, generator=generator, drop_last=drop_last)
    slow = DataLoader(dataset, 4, shuffle=True, generator=other, drop_last=drop_last, collate_fn=one_by_one)
    for _ in range(2):
        batches = list(fast)
        assert len(batches) == len(fast) == (2 if drop_last else 3)
        for got, want in zip(batches, slow, strict=True):
            assert_equal(got, want)
            for part in flat(got):
                assert part.is_contiguous()
                assert part.grad_fn is None
    assert gathers(fast) == (name in GATHERED)
    assert not gathers(slow)


@pytest.mark.parametrize("name", GATHERED)
def test_a_batch_is_a_copy(name):
    dataset = GATHERED[name]()
    loader = DataLoader(dataset, 4)
    before = [[part.tolist() for part in flat(batch)] for batch in loader]
    for batch in loader:
        for part in flat(batch):
            part.zero_() if hasattr(part, "zero_") else part.__setitem__(..., 0)
    assert [[part.tolist() for part in flat(batch)] for batch in loader] == before


@pytest.mark.parametrize("name", ["pairs", "separate pairs", "TensorDataset", "Tensor", "windows", "from arrays"])
def test_what_is_written_to_samples_is_seen(name):
    dataset = GATHERED[name]()
    loader, slow = DataLoader(dataset, 4), DataLoader(dataset, 4, collate_fn=one_by_one)
    next(iter(loader))

    def sample(i):
        return flat(dataset[i])[0]

    sample(5)[0] = 77
    for got, want in zip(loader, slow, strict=True):
        assert_equal(got, want)
        sample(9).numpy()[:] = 99  # behind the tensor's back, in the middle of an epoch
    assert (flat(got)[0][1] == 99).all()
    if name == "pairs":
        x = tg.zeros(10, 2)
        loader = DataLoader(list(zip(x, Y, strict=True)), 10)
        next(iter(loader))
        x[...] = 5.0
        assert (next(iter(loader))[0] == 5.0).all()
        assert gathers(loader)


def test_samples_exchanged_in_a_list_are_seen():
    samples = list(zip(X, Y, strict=True))
    loader = DataLoader(samples, 4)
    batches = iter(loader)
    assert next(batches)[1].tolist() == [0, 1, 2, 3]
    samples[5] = (X[0], tg.tensor(55))
    assert next(batches)[1].tolist() == [4, 55, 6, 7]
    assert next(batches)[1].tolist() == [8, 9]
    samples[3:5] = [(X[1], tg.tensor(33))]  # and one fewer
    samples += [(X[1], tg.tensor(i)) for i in range(60, 64)]
    assert [batch[1].tolist() for batch in loader] == [[0, 1, 2, 33], [55, 6, 7, 8], [9, 60, 61, 62], [63]]
    assert gathers(loader)
    samples.reverse()
    assert next(iter(loader))[1].tolist() == [63, 62, 61, 60]
    samples[1] = ("a", "b")
    with pytest.raises(TypeError, match="sample 1 of the batch has <class 'str'>"):
        next(iter(loader))


def test_indices_exchanged_in_a_subset_are_seen():
    part = Subset(TensorDataset(Y), [1, 2, 3, 4])
    loader = DataLoader(part, 4)
    assert next(iter(loader))[0].tolist() == [1, 2, 3, 4]
    part.indices[2] = 9
    assert next(iter(loader))[0].tolist() == [1, 2, 9, 4]
    assert gathers(loader)
    part.indices = [[0, 1], [2, 3], [4, 5], [6, 7]]  # no positions, but what a tensor takes too
    assert next(iter(loader))[0].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_a_class_that_changes_a_sample_is_asked_for_it():
    class Noisy(TensorDataset):
        def __getitem__(self, index):
            return tuple(-t for t in super().__getitem__(index))

    class Named(TensorDataset):
        name = "y"

    class Lot(Subset):
        def __getitems__(self, indices):
            return [self.dataset[self.indices[i]] + 100 for i in indices]

    class Rows(list):
        def __getitem__(self, index):
            return super().__getitem__(index) + 1

    assert next(iter(DataLoader(Noisy(Y), 3)))[0].tolist() == [0, -1, -2]
    assert next(iter(DataLoader(Lot(Y, [4, 5]), 2))).tolist() == [104, 105]
    assert next(iter(DataLoader(Rows(Y), 3))).tolist() == [1, 2, 3]
    loader = DataLoader(Named(Y), 3)
    assert next(iter(loader))[0].tolist() == [0, 1, 2]
    assert gathers(loader)


def test_gradients_flow_to_the_samples():
    for make in (lambda w: TensorDataset(w), lambda w: Subset(TensorDataset(w * 1), range(4)), lambda w: list(w)):
        w = tg.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
        batch = next(iter(DataLoader(make(w), 3, sampler=[2, 0, 2])))
        (flat(batch)[0] * tg.tensor([1.0, 10.0, 100.0])).sum().backward()
        assert w.grad.tolist() == [10.0, 0.0, 101.0, 0.0]
    w = tg.ones(4)
    loader = DataLoader(TensorDataset(w), 4)
    assert not next(iter(loader))[0].requires_grad
    w.requires_grad_()
    assert next(iter(loader))[0].requires_grad
    with tg.no_grad():
        assert not next(iter(loader))[0].requires_grad


@pytest.mark.parametrize("dataset", [TensorDataset(Y), list(Y), Y, Subset(TensorDataset(Y), range(10))])
@pytest.mark.parametrize(
    "indices", [[0, -1], [np.int64(3), -10], [True, False], [tg.tensor(1), 2], [slice(1, 3), slice(4, 6)]]
)
def test_whatever_indices_a_sampler_yields(dataset, indices):
    fast = DataLoader(dataset, batch_sampler=[indices])
    slow = DataLoader(dataset, batch_sampler=[indices], collate_fn=one_by_one)
    try:
        want = list(slow)
    except (TypeError, IndexError, RuntimeError) as error:
        with pytest.raises(type(error)):
            list(fast)
    else:
        assert_equal(next(iter(fast)), want[0])


@pytest.mark.parametrize("dataset", [TensorDataset(Y), list(Y), Y, Subset(Y, range(10)), list(zip(X, Y, strict=True))])
@pytest.mark.parametrize("index", [10, -11, 2**70])
def test_an_index_out_of_range_is_an_error(dataset, index):
    with pytest.raises(IndexError) as error:
        list(DataLoader(dataset, batch_sampler=[[0, index]]))
    assert "axis" not in str(error.value)  # what the data set itself says, not what NumPy says of a gather


def test_rows_keep_their_arrays_alive():
    rows = gather.Rows.of([np.full(1000, float(i)) for i in range(50)])  # which nobody else holds
    gc.collect()
    others = [np.full(1000, -1.0) for _ in range(100)]
    np.testing.assert_array_equal(rows.take(np.arange(50)), np.repeat(np.arange(50.0), 1000).reshape(50, 1000))
    del others


def test_rows_that_no_array_can_span_are_left_alone():
    far = [np.broadcast_to(np.zeros(1, np.float32), (2**40, 2**20)) for _ in range(2)]
    assert gather.Rows.of(far) is None
    assert gather.Rows.of([np.zeros((2, 2)), np.zeros((2, 2)).T]) is None


# ---- arguments -----------------------------------------------------------------------------------


def test_without_batches_samples_are_converted():
    loader = DataLoader([np.array([1.0]), "a", (np.array(2), 3)], batch_size=None)
    assert len(loader) == 3
    first, second, third = loader
    assert first.tolist() == [1.0]
    assert second == "a"
    assert [third[0].item(), third[1]] == [2, 3]
    assert list(DataLoader(range(3), batch_size=None, collate_fn=lambda x: -x, sampler=[2, 1])) == [-2, -1]


def test_collate_fn_may_be_changed():
    loader = DataLoader(Y, 5, collate_fn=len)
    assert list(loader) == [5, 5]
    loader.collate_fn = sum
    assert [batch.item() for batch in loader] == [10, 35]


def test_lengths():
    assert [len(DataLoader(range(10), n)) for n in (1, 3, 5, 20)] == [10, 4, 2, 1]
    assert [len(DataLoader(range(10), n, drop_last=True)) for n in (1, 3, 5, 20)] == [10, 3, 2, 0]
    assert len(DataLoader(range(10), batch_sampler=[[1], [2, 3]])) == 2
    assert [len(DataLoader(Stream(), n)) for n in (None, 1, 3)] == [4, 4, 2]
    assert len(DataLoader(Stream(), 3, drop_last=True)) == 1
    assert len(iter(DataLoader(range(10), 3))) == 4


def test_each_loop_is_an_epoch_of_its_own():
    loader = DataLoader(range(4), 2)
    assert [[a.tolist(), b.tolist()] for a in loader for b in loader] == [
        [[0, 1], [0, 1]],
        [[0, 1], [2, 3]],
        [[2, 3], [0, 1]],
        [[2, 3], [2, 3]],
    ]
    batches = iter(loader)
    assert iter(batches) is batches
    list(batches)
    assert list(batches) == []


def test_pinned_memory_is_accepted():
    assert next(iter(DataLoader(range(2), 2, pin_memory=True, pin_memory_device="cuda"))).tolist() == [0, 1]


def test_a_loader_can_be_copied_by_pickle():
    loader = DataLoader(TensorDataset(X, Y), 4, shuffle=True)
    next(iter(loader))
    copied = pickle.loads(pickle.dumps(loader))
    tg.manual_seed(0)
    ours = [batch[1].tolist() for batch in loader]
    tg.manual_seed(0)
    assert [batch[1].tolist() for batch in copied] == ours


def test_nothing_is_left_of_a_loader():
    dataset = TensorDataset(X.clone())
    loader = DataLoader(dataset, 3, shuffle=True)
    next(iter(loader))
    refs = [weakref.ref(dataset), weakref.ref(loader), weakref.ref(dataset.tensors[0])]
    gc.disable()
    try:
        del dataset, loader
        assert [ref() for ref in refs] == [None, None, None]
    finally:
        gc.enable()


def test_more_than_was_promised_is_a_warning():
    loader = DataLoader(Stream())
    assert [batch.item() for batch in loader] == [0, 1, 2, 3, 4]  # nobody has asked for the length
    assert len(loader) == 4
    with pytest.warns(UserWarning, match="reported to be 4 .* but 5 batches have been fetched"):
        assert len(list(loader)) == 5


def test_stop_iteration_in_a_data_set_is_not_the_end():
    class Short(Dataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return next(iter([]))

    def stop(batch):
        raise StopIteration

    loaders = [DataLoader(Short()), DataLoader(Short(), batch_size=None)]
    loaders += [DataLoader(data, size, collate_fn=stop) for data in (range(3), Stream()) for size in (1, None)]
    for loader in loaders:
        with pytest.raises(RuntimeError, match="raised StopIteration instead of returning"):
            list(loader)


def test_an_iterable_whose_length_is_unknown():
    class Endless(IterableDataset):
        def __iter__(self):
            while True:
                yield 1

    batches = iter(DataLoader(Endless(), 2))
    assert [next(batches).tolist() for _ in range(3)] == [[1, 1]] * 3
    with pytest.raises(TypeError, match=r"len\(loader\) needs the number of samples, but Endless"):
        len(DataLoader(Endless()))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"num_workers": -1}, ValueError, "num_workers option should be non-negative, but got -1"),
        ({"num_workers": 1.5}, ValueError, "num_workers"),
        ({"timeout": -1}, ValueError, "timeout option should be non-negative"),
        ({"timeout": 1}, ValueError, "timeout option needs worker processes: pass num_workers > 0"),
        ({"prefetch_factor": 2}, ValueError, "prefetch_factor option needs worker processes"),
        ({"persistent_workers": True}, ValueError, "persistent_workers option needs worker processes"),
        ({"num_workers": 1, "prefetch_factor": 0}, ValueError, "prefetch_factor option should be a positive int"),
        ({"multiprocessing_context": "fork"}, ValueError, "only be used with num_workers > 0"),
        ({"num_workers": 1, "multiprocessing_context": "knife"}, ValueError, "valid start method in .*'knife'"),
        ({"num_workers": 1, "multiprocessing_context": 3}, TypeError, "a context object or one of"),
        ({"generator": 3}, TypeError, "generator must be a Generator, but got int"),
        ({"shuffle": True, "sampler": [1]}, ValueError, "mutually exclusive with shuffle: leave shuffle out"),
        ({"batch_sampler": [[1]], "batch_size": 2}, ValueError, "exclusive with batch_size, .* Leave them out"),
        ({"batch_sampler": [[1]], "shuffle": True}, ValueError, "batch_sampler option is mutually exclusive"),
        ({"batch_sampler": [[1]], "sampler": [1]}, ValueError, "batch_sampler option is mutually exclusive"),
        ({"batch_sampler": [[1]], "drop_last": True}, ValueError, "batch_sampler option is mutually exclusive"),
        ({"batch_size": None, "drop_last": True}, ValueError, "disables auto-batching"),
        ({"batch_size": 0}, ValueError, "batch_size should be a positive integer"),
        ({"dataset": Stream(), "shuffle": True}, ValueError, "expected unspecified shuffle option"),
        ({"dataset": Stream(), "sampler": [1]}, ValueError, "expected unspecified sampler option"),
        ({"dataset": Stream(), "batch_sampler": [[1]]}, ValueError, "expected unspecified batch_sampler option"),
        ({"dataset": [], "shuffle": True}, ValueError, "num_samples=0"),
        ({"dataset": iter([1]), "shuffle": True}, TypeError, "has no length"),
    ],
)
def test_arguments_that_contradict_each_other(arguments, error, message):
    with pytest.raises(error, match=message):
        DataLoader(**{"dataset": range(3), **arguments})


def test_what_is_fixed_cannot_be_set():
    loader = DataLoader(range(3))
    for name in ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"):
        with pytest.raises(ValueError, match=f"{name} attribute should not be set after DataLoader is initialized"):
            setattr(loader, name, None)
    loader.num_workers = 0


def test_a_sampler_may_be_any_iterable():
    class Odd(Sampler):
        def __iter__(self):
            return iter([1, 3])

    class Backwards(RandomSampler):
        def __iter__(self):
            return iter(range(3, -1, -1))

    class Growing(BatchSampler):
        def __iter__(self):
            return iter([[0], [1, 2], [3, 4, 5]])

    def drawn(**arguments):
        return [batch.tolist() for batch in DataLoader(Y, **arguments)]

    assert drawn(sampler=Odd(), batch_size=2) == [[1, 3]]
    assert drawn(sampler=Backwards(Y), batch_size=3) == [[3, 2, 1], [0]]
    assert drawn(batch_sampler=Growing([0], 1, False)) == [[0], [1, 2], [3, 4, 5]]
    assert drawn(batch_sampler=BatchSampler(Odd(), 1, False)) == [[1], [3]]
    assert drawn(sampler=(i for i in (5, 6, 7)), batch_size=2) == [[5, 6], [7]]
