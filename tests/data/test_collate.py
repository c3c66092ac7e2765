"""From samples to a batch, against PyTorch's result for the same samples."""

import collections
import types

import numpy as np
import pytest

import tinygrad_loss as tg
from tinygrad_loss.utils.data import default_collate, default_convert

Point = collections.namedtuple("Point", ["x", "y"])


class Tagged(list):
    """A list that carries something else."""

    tag = None


def described(batch):
    """A batch as text: kinds, dtypes, values."""
    if hasattr(batch, "tolist") and not isinstance(batch, np.ndarray):
        return f"{batch.dtype} {batch.tolist()}"
    if isinstance(batch, collections.abc.Mapping):
        return f"{type(batch).__name__} " + str({k: described(v) for k, v in batch.items()})
    if isinstance(batch, (list, tuple)):
        return f"{type(batch).__name__} " + str([described(v) for v in batch])
    return repr(batch)


def samples(lib):
    t = lib.tensor
    tagged = Tagged([1, 2])
    tagged.tag = "kept"
    return {
        "tensors": [t([1.0, 2.0]), t([3.0, 4.0])],
        "0-d tensors": [t(1), t(2)],
        "empty tensors": [t([]), t([])],
        "dtypes that differ": [t([1.0]), t([2])],
        "arrays": [np.array([1, 2], np.int16), np.array([3, 4], np.int16)],
        "F-ordered": [np.asfortranarray(np.arange(6.0).reshape(2, 3))] * 2,
        "0-d arrays": [np.array(1.5), np.array(2.5)],
        "float32 scalars": [np.float32(1), np.float32(2)],
        "float64 scalars": [np.float64(1), np.float64(2)],
        "int32 scalars": [np.int32(1), np.int32(2)],
        "bool scalars": [np.bool_(True), np.bool_(False)],
        "floats": [1.5, 2.5],
        "ints": [1, 2**40],
        "bools": [True, False],
        "int and float": [1, 2.5],
        "float and int": [1.5, 2],
        "bool and int": [True, 2],
        "strings": ["a", "b"],
        "bytes": [b"a", b"b"],
        "tuples": [(1, "a", t([1.0])), (2, "b", t([2.0]))],
        "lists": [[1, "a"], [2, "b"]],
        "empty tuples": [(), ()],
        "own lists": [tagged, Tagged([3, 4])],
        "ranges": [range(2), range(2, 4)],
        "deques": [collections.deque([1, 2]), collections.deque([3, 4])],
        "namedtuples": [Point(1, 2.0), Point(3, 4.0)],
        "dicts": [{"a": 1, "b": [t(1), 2.0]}, {"a": 2, "b": [t(3), 4.0]}],
        "ordered dicts": [collections.OrderedDict(b=1, a=2), collections.OrderedDict(b=3, a=4)],
        "proxies": [types.MappingProxyType({"a": 1}), types.MappingProxyType({"a": 2})],
        "counters": [collections.Counter("aab"), collections.Counter("ab")],
    }


COLLATED = {
    "tensors": "torch.float32 [[1.0, 2.0], [3.0, 4.0]]",
    "0-d tensors": "torch.int64 [1, 2]",
    "empty tensors": "torch.float32 [[], []]",
    "dtypes that differ": "torch.float32 [[1.0], [2.0]]",
    "arrays": "torch.int16 [[1, 2], [3, 4]]",
    "F-ordered": "torch.float64 [[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]]",
    "0-d arrays": "torch.float64 [1.5, 2.5]",
    "float32 scalars": "torch.float32 [1.0, 2.0]",
    "float64 scalars": "torch.float64 [1.0, 2.0]",
    "int32 scalars": "torch.int32 [1, 2]",
    "bool scalars": "torch.bool [True, False]",
    "floats": "torch.float64 [1.5, 2.5]",
    "ints": "torch.int64 [1, 1099511627776]",
    "bools": "torch.bool [True, False]",
    "int and float": "torch.float32 [1.0, 2.5]",
    "float and int": "torch.float64 [1.5, 2.0]",
    "bool and int": "torch.int64 [1, 2]",
    "strings": "list [\"'a'\", \"'b'\"]",
    "bytes": "list [\"b'a'\", \"b'b'\"]",
    "tuples": "list ['torch.int64 [1, 2]', 'tuple [\"\\'a\\'\", \"\\'b\\'\"]', 'torch.float32 [[1.0], [2.0]]']",
    "lists": "list ['torch.int64 [1, 2]', 'tuple [\"\\'a\\'\", \"\\'b\\'\"]']",
    "empty tuples": "list []",
    "own lists": "Tagged ['torch.int64 [1, 3]', 'torch.int64 [2, 4]']",
    "ranges": "list ['torch.int64 [0, 2]', 'torch.int64 [1, 3]']",
    "deques": "deque([tensor([1, 3]), tensor([2, 4])])",
    "namedtuples": "Point ['torch.int64 [1, 3]', 'torch.float64 [2.0, 4.0]']",
    "dicts": "dict {'a': 'torch.int64 [1, 2]', 'b': \"list ['torch.int64 [1, 3]', 'torch.float64 [2.0, 4.0]']\"}",
    "ordered dicts": "OrderedDict {'b': 'torch.int64 [1, 3]', 'a': 'torch.int64 [2, 4]'}",
    "proxies": "mappingproxy {'a': 'torch.int64 [1, 2]'}",
}


@pytest.mark.parametrize("name", COLLATED)
def test_default_collate(name):
    assert described(default_collate(samples(tg)[name])) == COLLATED[name]


@pytest.mark.parity
@pytest.mark.parametrize("name", COLLATED)
def test_default_collate_equals_pytorch(name):
    import torch

    assert described(torch.utils.data.default_collate(samples(torch)[name])) == COLLATED[name]


@pytest.mark.parity
@pytest.mark.parametrize("name", samples(tg))
def test_default_convert_equals_pytorch(name):
    import torch

    ours, theirs = default_convert(samples(tg)[name]), torch.utils.data.default_convert(samples(torch)[name])
    assert described(ours) == described(theirs)


def test_default_convert_makes_tensors_of_arrays_only():
    array = np.array([1.0, 2.0])
    out = default_convert({"a": [array, np.float32(2)], "b": (np.array(["x"]), 1, "y"), "c": Point(np.array(3), None)})
    assert described(out["a"]) == "list ['torch.float64 [1.0, 2.0]', 'torch.float32 2.0']"
    assert out["a"][0].numpy() is array
    assert out["b"][0].tolist() == ["x"]
    assert type(out["b"][0]) is np.ndarray
    assert out["b"][1:] == [1, "y"]
    assert out["c"].x.item() == 3
    assert out["c"].y is None


def test_a_class_of_its_own_keeps_what_it_carries_and_the_sample_its_values():
    batch = samples(tg)["own lists"]
    assert default_collate(batch).tag == "kept"
    assert batch[0] == [1, 2]
    dicts = samples(tg)["ordered dicts"]
    default_collate(dicts)
    assert dicts[0] == {"b": 1, "a": 2}


def test_a_batch_is_a_copy():
    x = tg.tensor([1.0, 2.0])
    batch = default_collate([x, x])
    batch[0, 0] = 5.0
    assert x.tolist() == [1.0, 2.0]
    assert batch.tolist() == [[5.0, 2.0], [1.0, 2.0]]


def test_gradients_flow_through_a_batch():
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    batch = default_collate([w * 2, w * 3])
    (batch * tg.tensor([[1.0, 10.0], [100.0, 1000.0]])).sum().backward()
    assert w.grad.tolist() == [302.0, 3020.0]
    with tg.no_grad():
        assert not default_collate([w, w]).requires_grad


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        (
            [tg.ones(2, 3), tg.ones(2, 3), tg.ones(3, 3)],
            RuntimeError,
            r"equal size, but got \[2, 3\] at entry 0 and \[3, 3\] at entry 2: .*collate_fn=",
        ),
        ([np.ones(2), np.ones(3)], RuntimeError, r"\[2\] at entry 0 and \[3\] at entry 1"),
        ([(tg.ones(2), 1), (tg.ones(1), 1)], RuntimeError, r"\[2\] at entry 0 and \[1\] at entry 1"),
        ([(1, 2), (1, 2, 3)], RuntimeError, r"of equal size, but the samples have \[2, 3\] parts"),
        ([None, None], TypeError, r"found <class 'NoneType'>.*collate_fn="),
        ([np.array(["a"])], TypeError, "found an array of dtype <U1"),
        ([np.array([None])], TypeError, "found an array of dtype object"),
        ([tg.ones(2), 3], TypeError, "sample 1 of the batch has <class 'int'>"),
        ([{1, 2}], TypeError, "found <class 'set'>"),
        ([], IndexError, "no samples"),
        ([2**63, 1], ValueError, "int64 without overflow"),
        ([1, -(2**70)], ValueError, "int64 without overflow"),
    ],
)
def test_what_cannot_be_a_batch(batch, error, message):
    with pytest.raises(error, match=message):
        default_collate(batch)
