"""The random stream against PyTorch's: frozen arrays in the plain suite, live draws in the `parity` tests.

`python tests/test_random.py` writes the frozen arrays anew (needs torch 2.13.0).
"""

import copy
import json
import pickle
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_loss import random as tgr
from tinygrad_loss.kernels.jit import JIT_DISABLED
from tinygrad_loss.random import Generator

FIXTURES = Path(__file__).parent / "fixtures"
SIZES = (0, 1, 5, 15, 16, 17, 31, 100)
SEEDS = (0, 1, -1, 2**40 + 3, -(2**63), 2**64 - 1)
INTEGERS = ("bool", "uint8", "int8", "int16", "int32", "int64")
FLOATS = ("float32", "float64")
LOWEST = -(2**63)

# A step is (method, dtype, layout, shape, arguments). One generator runs the steps of a case one after the other:
# a draw too many or too few in one shows in all that follow.
RANGES = {
    "bool": [(0, 2), (1, 2), (0, None)],
    "uint8": [(3, 250), (0, 256), (7, None)],
    "int8": [(-128, 128), (-5, 6), (-3, None)],
    "int16": [(-300, 300), (100, None)],
    "int32": [(-7, 2**28 - 8), (-7, 2**28 - 7), (-(2**31), 2**31), (5, None)],
    "int64": [(0, 10), (-(2**62), 2**63 - 1), (LOWEST, 2**62), (LOWEST, None), (-9, None), (0, 2**63 - 1)],
    "float32": [(0, 10), (-(2**24), 2**24), (5, None), (LOWEST, None)],
    "float64": [(0, 10), (-(2**53), 2**53), (5, None), (LOWEST, None)],
}
SHAPES = [("C", (3, 7)), ("T", (5, 6)), ("strided", (9, 4)), ("permuted", (2, 3, 4)), ("C", ())]
LAWS = [
    ("uniform", (-0.3, 0.7123)),
    ("normal", (0.3, 1.7)),
    ("bernoulli", (0.3,)),
    ("exponential", (1.5,)),
    ("geometric", (0.3,)),
    ("cauchy", (0.3, 1.2)),
    ("log_normal", (0.3, 0.9)),
]


def cases():
    out = {}
    for dtype in FLOATS:
        out[f"sizes-{dtype}"] = [
            (method, dtype, "C", (n,), args) for n in SIZES for method, args in (("uniform", ()), ("normal", ()))
        ]
        out[f"layouts-{dtype}"] = [
            (method, dtype, layout, shape, args) for layout, shape in SHAPES for method, args in LAWS
        ]
    for dtype, ranges in RANGES.items():
        out[f"integers-{dtype}"] = [
            step
            for args in [(), *ranges]
            for step in (("random", dtype, "C", (17,), args), ("uniform", "float32", "C", (3,), ()))
        ]
    out["large"] = [
        ("uniform", "float32", "C", (1000,), ()),
        ("randperm", "int64", "C", (1000,), ()),
        ("normal", "float32", "C", (1000,), ()),
        ("bernoulli", "bool", "C", (1000,), (0.5,)),
        ("normal", "float64", "C", (3,), ()),
        ("normal", "float32", "C", (1,), ()),
    ]
    out["interleaved"] = [
        step
        for n in (1, 5, 33)
        for step in (
            ("normal", "float32", "C", (n,), ()),
            ("randperm", "int64", "C", (n,), ()),
            ("bernoulli_of", "float64", "C", (n,), ("float64",)),
            ("normal", "float64", "C", (n + 1,), (1.0, 0.0)),
            ("bernoulli_of", "float32", "T", (n, 2), ("float32",)),
            ("multinomial", "int64", "C", (n + 1, 3), ("float32", True)),
            ("multinomial", "int64", "C", (n + 3, 2), ("float64", False)),
            ("multinomial", "int64", "C", (n + 3, 1), ("float32", False)),
            ("multinomial", "int64", "C", (n + 3, 1), ("float32", True)),
            ("random", "int64", "C", (), ()),
            ("log_normal", "float32", "C", (n,), (0.0, 1.0)),
        )
    ]
    return out


def laid_out(empty, layout, shape, transpose):
    """An empty array of `shape` whose elements lie in memory in another way."""
    if layout == "T":
        return transpose(empty(shape[::-1]), (1, 0))
    if layout == "strided":
        return empty((shape[0], 3 * shape[1]))[:, ::3]
    if layout == "permuted":
        return transpose(empty((shape[2], shape[0], shape[1])), (1, 2, 0))
    return empty(shape)


def ours(g, method, dtype, layout, shape, args):
    if method == "randperm":
        return g.randperm(*shape)
    if method == "multinomial":
        weights = g.uniform(np.empty((2, shape[0]), args[0]))
        return g.multinomial(weights, shape[1], args[1])
    out = laid_out(lambda s: np.empty(s, dtype), layout, shape, np.transpose)
    if method == "bernoulli_of":
        return g.bernoulli(out, g.uniform(np.empty(shape, args[0])))
    assert getattr(g, method)(out, *args) is out
    return out


def theirs(g, method, dtype, layout, shape, args):
    import torch

    if method == "randperm":
        return torch.randperm(*shape, generator=g).numpy()
    if method == "multinomial":
        weights = torch.rand((2, shape[0]), dtype=getattr(torch, args[0]), generator=g)
        return torch.multinomial(weights, shape[1], args[1], generator=g).numpy()
    out = laid_out(lambda s: torch.empty(s, dtype=getattr(torch, dtype)), layout, shape, torch.permute)
    if method == "bernoulli_of":
        return out.bernoulli_(torch.rand(shape, dtype=getattr(torch, args[0]), generator=g), generator=g).numpy()
    return getattr(out, method + "_")(*args, generator=g).numpy()


def position(state):
    """A state without its 624 words: seed, position, the normal that waits."""
    return np.concatenate([state[:24], state[-40:]])


def assert_equal(got, want, method):
    """Equal to the bit, but for what the platform's C library rounds (log, cos, ...) where that is another one."""
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    if sys.platform == "linux" or method not in ("normal", "exponential", "cauchy", "log_normal"):
        np.testing.assert_array_equal(got, want, strict=True)
    else:
        np.testing.assert_array_max_ulp(got, want, 1 if got.dtype == np.float32 else 8)


@pytest.fixture(scope="module")
def frozen():
    with np.load(FIXTURES / "random.npz") as file:
        return dict(file)


@pytest.mark.parametrize("name", cases())
def test_equals_frozen_pytorch(name, frozen):
    g = Generator().manual_seed(SEEDS[len(name) % 3])
    for i, step in enumerate(cases()[name]):
        assert_equal(ours(g, *step), frozen[f"{name}-{i}"], step[0])
    np.testing.assert_array_equal(position(g.get_state()), frozen[f"{name}-state"])


@pytest.mark.parametrize("seed", SEEDS)
def test_seeds_equal_frozen_pytorch(seed, frozen):
    g = Generator().manual_seed(seed)
    assert g.initial_seed() == seed % 2**64
    np.testing.assert_array_equal(g.uniform(np.empty(3, np.float32)), frozen[f"seed{seed}"])


def test_state_of_pytorch_is_taken_and_given(frozen):
    g = Generator()
    g.set_state(frozen["state"])  # after one word and an odd number of normals
    np.testing.assert_array_equal(g.get_state(), frozen["state"])
    assert_equal(g.normal(np.empty(2)), frozen["state-normal"], "normal")
    np.testing.assert_array_equal(g.random(np.empty(700, np.int32)), frozen["state-random"])


def test_state_round_trips():
    g = Generator().manual_seed(3)
    g.normal(np.empty(3))
    copies = [g.clone_state(), copy.deepcopy(g), pickle.loads(pickle.dumps(g)), Generator()]
    copies[-1].set_state(g.get_state())
    want = g.normal(np.empty(1001))
    for other in copies:
        np.testing.assert_array_equal(other.normal(np.empty(1001)), want)
        assert other.initial_seed() == 3


def test_default_generator_functions():
    before = tgr.get_rng_state()
    try:
        assert tgr.manual_seed(7.9) is tgr.default_generator
        assert tgr.initial_seed() == 7
        first = tgr.default_generator.uniform(np.empty(4))
        with tgr.fork_rng():
            inner = tgr.default_generator.uniform(np.empty(4))
        np.testing.assert_array_equal(tgr.default_generator.uniform(np.empty(4)), inner)
        with tgr.fork_rng(enabled=False):
            tgr.manual_seed(7)
        np.testing.assert_array_equal(tgr.default_generator.uniform(np.empty(4)), first)
        assert tgr.seed() == tgr.initial_seed() != 7
        tgr.set_rng_state(before)
        np.testing.assert_array_equal(tgr.get_rng_state(), before)
    finally:
        tgr.set_rng_state(before)


def test_seeding_without_a_kernel_is_the_kernels_seeding():
    entropy_seeded = tgr._entropy_seeded()
    same = Generator().manual_seed(entropy_seeded.initial_seed())
    np.testing.assert_array_equal(entropy_seeded.get_state(), same.get_state())


def test_threads_share_one_generator():
    n = 1_000 if JIT_DISABLED else 500_000  # long enough that the threads overlap
    parts = np.empty((4, n), np.int64)
    g = Generator().manual_seed(1)
    workers = [threading.Thread(target=g.random, args=(part,)) for part in parts]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    whole = Generator().manual_seed(1).random(np.empty(4 * n, np.int64))
    np.testing.assert_array_equal(np.sort(parts, axis=None), np.sort(whole))


def test_bounds_of_values():
    g = Generator().manual_seed(0)
    low, high = np.float32(1.0), np.nextafter(np.float32(1.0), np.float32(2.0))
    assert set(g.uniform(np.empty(100, np.float32), low, high)) == {low}  # what rounds to `high` becomes `low`
    assert g.uniform(np.empty(3, np.float64), 2.0, 2.0).tolist() == [2.0, 2.0, 2.0]
    assert g.bernoulli(np.empty(1000), 0.0).max() == 0.0
    assert g.bernoulli(np.empty(1000), 1.0).min() == 1.0
    assert sorted(g.randperm(1000)) == list(range(1000))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda g: Generator("cuda"), RuntimeError, "device 'cpu', but got 'cuda'"),
        (lambda g: g.manual_seed(1.5), RuntimeError, "expects an int, but got 1.5"),
        (lambda g: g.manual_seed(True), RuntimeError, "type bool"),
        (lambda g: g.manual_seed(2**64), ValueError, "but got 18446744073709551616"),
        (lambda g: g.manual_seed(LOWEST - 1), ValueError, "from -2"),
        (lambda g: g.set_state(np.zeros(5056)), TypeError, "uint8 array, .* but got float64"),
        (lambda g: g.set_state(np.zeros(5, np.uint8)), RuntimeError, "5056 bytes, but got 5"),
        (lambda g: g.set_state(np.zeros(5056, np.uint8)), RuntimeError, "Invalid mt19937 state"),
        (lambda g: g.uniform(np.empty(3, int)), NotImplementedError, "float32 and float64, but got int64"),
        (lambda g: g.uniform(np.empty(3), 2, 1), RuntimeError, "low <= high"),
        (lambda g: g.uniform(np.empty(3), float("nan"), 1), RuntimeError, "got nan"),
        (lambda g: g.uniform(np.empty(3, np.float32), -3e38, 3e38), RuntimeError, "finite"),
        (lambda g: g.uniform(np.broadcast_to(np.empty(1), 3)), RuntimeError, "share memory"),
        (lambda g: g.random(np.empty(3, np.uint32)), NotImplementedError, "got uint32"),
        (lambda g: g.random(np.empty(3, int), 5, 5), RuntimeError, "low=5 >= high=5"),
        (lambda g: g.random(np.empty(3, np.uint8), 0, 257), RuntimeError, "high - 1 = 256 is out of bounds for uint8"),
        (lambda g: g.random(np.empty(3, np.uint8), -1, 5), RuntimeError, "low = -1"),
        (lambda g: g.random(np.empty(3, int), 0, 2**64), RuntimeError, "out of bounds for int64"),
        (lambda g: g.random(np.empty(3, np.int32), LOWEST), NotImplementedError, "64 random bits"),
        (lambda g: g.random(np.empty(3, np.float32), 2**25), RuntimeError, "expects low < high"),
        (lambda g: g.normal(np.empty(3, int)), NotImplementedError, "got int64"),
        (lambda g: g.normal(np.empty(3), 0, -1), RuntimeError, "std >= 0, but got -1"),
        (lambda g: g.bernoulli(np.empty(3), 1.5), RuntimeError, "got 1.5"),
        (lambda g: g.bernoulli(np.empty(3), np.array([0.5, 2.0, 0.1])), RuntimeError, "from 0.1 to 2.0"),
        (lambda g: g.bernoulli(np.empty(3), np.array([0.5, np.nan, 0.1])), RuntimeError, "every p in"),
        (lambda g: g.bernoulli(np.empty(3), np.zeros(2)), RuntimeError, "does not broadcast"),
        (lambda g: g.bernoulli(np.empty(3), np.zeros(3, int)), NotImplementedError, "got int64"),
        (lambda g: g.exponential(np.empty(3), 0), RuntimeError, "above 0, but got 0"),
        (lambda g: g.geometric(np.empty(3), 1), RuntimeError, "got 1"),
        (lambda g: g.randperm(-1), RuntimeError, "n=-1"),
        (lambda g: g.multinomial(np.ones(3), 4), RuntimeError, "4 of 3"),
        (lambda g: g.multinomial(np.ones(3), 0, True), RuntimeError, "0 of 3"),
        (lambda g: g.multinomial(np.zeros(3), 1), RuntimeError, "not all 0"),
        (lambda g: g.multinomial(np.array([1.0, -1.0]), 1), RuntimeError, ">= 0"),
        (lambda g: g.multinomial(np.array([1.0, np.inf]), 1), RuntimeError, "finite"),
        (lambda g: g.multinomial(np.ones((2, 2, 2)), 1), RuntimeError, "1 or 2 dims"),
    ],
)
def test_wrong_calls_say_so_and_draw_nothing(call, error, message):
    g = Generator().manual_seed(5)
    before = g.get_state()
    with pytest.raises(error, match=message):
        call(g)
    np.testing.assert_array_equal(g.get_state(), before)


@pytest.mark.parametrize(("low", "high"), [(2**25 - 4, 2**25 + 4), (-(2**25) - 7, -(2**25) + 4)])
def test_bounds_that_a_float_cannot_hold_move_inwards(low, high):
    with pytest.warns(UserWarning, match="holds not every integer"):
        x = Generator().random(np.empty(1000, np.float32), low, high)
    assert low <= int(x.min()) <= int(x.max()) < high


def test_a_state_with_a_wrong_position_is_refused():
    g = Generator()
    for left, following in ((5, 0), (5, 5), (0, 625), (1, 2**40)):
        state = g.get_state().numpy()
        state[8:12].view(np.int32)[0], state[16:24].view(np.uint64)[0] = left, following
        with pytest.raises(RuntimeError, match="Invalid mt19937 state"):
            g.set_state(state)


# How PyTorch 2.13.0's DataLoader, samplers and layers consume the stream.


def draw_seed(g):
    return int(g.random(np.empty((), np.int64)))


def loader_order(g, n, shuffle_with=None):
    """One epoch of DataLoader(shuffle=True): the base seed, then the sampler's seed unless it has a generator."""
    base_seed = draw_seed(g if shuffle_with is None else shuffle_with)
    sampler = Generator().manual_seed(draw_seed(g)) if shuffle_with is None else shuffle_with
    order = sampler.randperm(n).tolist()
    sampler.randperm(n)  # drawn at the end of the epoch for the remainder num_samples % n, which is 0, and dropped
    return base_seed, order


def test_loader_order_equals_frozen_pytorch():
    facts = json.loads((FIXTURES / "random_loader.json").read_text())
    g = Generator().manual_seed(facts["seed"])
    assert [loader_order(g, 10)[1] for _ in range(3)] == facts["shuffle"]
    own = Generator().manual_seed(facts["seed"])
    assert [loader_order(g, 10, own)[1] for _ in range(3)] == facts["shuffle with generator"]
    g.manual_seed(facts["seed"])
    indices = g.randperm(10).tolist()
    assert [indices[:3], indices[3:]] == facts["random_split"]
    weights = np.array(facts["weights"])
    g.manual_seed(facts["seed"])
    assert g.multinomial(weights, 5, True).tolist() == facts["weighted"]
    assert g.multinomial(weights, 5, False).tolist() == facts["weighted without replacement"]


def record():
    """Write the fixtures from PyTorch."""
    import torch
    from torch.utils.data import DataLoader, WeightedRandomSampler, random_split

    arrays = {}
    for name, steps in cases().items():
        g = torch.Generator().manual_seed(SEEDS[len(name) % 3])
        for i, step in enumerate(steps):
            arrays[f"{name}-{i}"] = theirs(g, *step)
        arrays[f"{name}-state"] = position(g.get_state().numpy())
    for seed in SEEDS:
        arrays[f"seed{seed}"] = torch.rand(3, generator=torch.Generator().manual_seed(seed)).numpy()
    g = torch.Generator().manual_seed(11)
    torch.rand(1, generator=g)
    torch.randn(3, generator=g)
    arrays["state"] = g.get_state().numpy()
    arrays["state-normal"] = torch.randn(2, dtype=torch.float64, generator=g).numpy()
    arrays["state-random"] = torch.empty(700, dtype=torch.int32).random_(generator=g).numpy()
    np.savez_compressed(FIXTURES / "random.npz", **arrays)

    seed, weights = 7, [0.1, 0.9, 0.4, 0.7, 3.0, 0.6]
    facts = {"seed": seed, "weights": weights}
    torch.manual_seed(seed)
    loader = DataLoader(range(10), batch_size=3, shuffle=True)
    facts["shuffle"] = [torch.cat(list(loader)).tolist() for _ in range(3)]
    own = torch.Generator().manual_seed(seed)
    loader = DataLoader(range(10), batch_size=3, shuffle=True, generator=own)
    facts["shuffle with generator"] = [torch.cat(list(loader)).tolist() for _ in range(3)]
    torch.manual_seed(seed)
    facts["random_split"] = [list(part.indices) for part in random_split(range(10), [3, 7])]
    torch.manual_seed(seed)
    facts["weighted"] = list(WeightedRandomSampler(weights, 5, True))
    facts["weighted without replacement"] = list(WeightedRandomSampler(weights, 5, False))
    (FIXTURES / "random_loader.json").write_text(json.dumps(facts, indent=1) + "\n")


shapes = st.one_of(
    st.tuples(st.just("C"), st.lists(st.integers(0, 40), max_size=2).map(tuple)),
    st.tuples(st.sampled_from(["T", "strided"]), st.tuples(st.integers(1, 20), st.integers(1, 20))),
    st.tuples(st.just("permuted"), st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5))),
)
bounds = st.floats(-1e6, 1e6)


@st.composite
def steps(draw):
    layout, shape = draw(shapes)
    method = draw(st.sampled_from([*(name for name, _ in LAWS), "random", "randperm", "multinomial", "bernoulli_of"]))
    dtype = draw(st.sampled_from(FLOATS))
    if method == "random":
        dtype = draw(st.sampled_from([*INTEGERS, *FLOATS]))
        top = {"float32": 2**24, "float64": 2**53, "bool": 1}.get(dtype) or np.iinfo(dtype).max
        bottom = -top if dtype in FLOATS else 0 if dtype in ("bool", "uint8") else -top - 1
        low = draw(st.integers(bottom, top - 1))
        high = draw(st.integers(low + 1, min(top + 1, 2**63 - 1)))
        return method, dtype, layout, shape, draw(st.sampled_from([(), (low, None), (low, high), (low, low + 1)]))
    if method == "randperm":
        return method, "int64", "C", (draw(st.integers(0, 3000)),), ()
    if method == "multinomial":
        n = draw(st.integers(1, 50))
        return method, "int64", "C", (n, draw(st.integers(1, n))), (dtype, draw(st.booleans()))
    if method == "bernoulli_of":
        return method, draw(st.sampled_from([*INTEGERS, *FLOATS])), layout, shape, (draw(st.sampled_from(FLOATS)),)
    if method == "bernoulli":
        return method, draw(st.sampled_from([*INTEGERS, *FLOATS])), layout, shape, (draw(st.floats(0, 1)),)
    if method == "uniform":
        return method, dtype, layout, shape, tuple(sorted((draw(bounds), draw(bounds))))
    positive = draw(st.floats(0.01, 0.99))
    if method in ("exponential", "geometric"):
        return method, dtype, layout, shape, (positive,)
    return method, dtype, layout, shape, (draw(st.floats(-3, 3)), positive)


@pytest.mark.parity
@settings(max_examples=100, deadline=None)
@given(st.integers(LOWEST, 2**64 - 1), st.lists(steps(), min_size=1, max_size=8))
def test_any_sequence_of_draws_equals_pytorch(seed, sequence):
    import torch

    g, other = Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
    for step in sequence:
        np.testing.assert_array_equal(ours(g, *step), theirs(other, *step), strict=True, err_msg=str(step))
        np.testing.assert_array_equal(g.get_state(), other.get_state().numpy(), err_msg=str(step))
    other.set_state(torch.from_numpy(g.get_state().numpy()))
    np.testing.assert_array_equal(torch.rand(5, generator=other), g.uniform(np.empty(5, np.float32)))


@pytest.mark.parity
@pytest.mark.parametrize("n", [15, 16, 1000, 100_003])
def test_long_fills_equal_pytorch(n):
    import torch

    g, other = Generator().manual_seed(n), torch.Generator().manual_seed(n)
    for dtype in FLOATS:
        for method, args in LAWS:
            step = (method, dtype, "C", (n,), args)
            np.testing.assert_array_equal(ours(g, *step), theirs(other, *step), strict=True, err_msg=method)


@pytest.mark.parity
@pytest.mark.parametrize("with_generator", [False, True])
@pytest.mark.parametrize(
    ("n", "batch_size", "drop_last"), [(10, 3, False), (10, 3, True), (10, 5, True), (10, None, False), (3, 8, True)]
)
def test_shuffling_loader_consumes_the_stream_as_pytorch(n, batch_size, drop_last, with_generator):
    import torch
    from torch.utils.data import DataLoader

    torch.manual_seed(3)
    own = torch.Generator().manual_seed(4) if with_generator else None
    loader = DataLoader(range(n), batch_size, shuffle=True, drop_last=drop_last, generator=own)
    g, ours_own = Generator().manual_seed(3), Generator().manual_seed(4) if with_generator else None
    for _ in range(3):
        batches = iter(loader)
        got = [i for batch in batches for i in np.atleast_1d(batch).tolist()]
        base_seed, order = loader_order(g, n, ours_own)
        assert batches._base_seed == base_seed
        assert got == (order[: n // batch_size * batch_size] if drop_last else order)
        np.testing.assert_array_equal(g.get_state(), torch.get_rng_state().numpy())
        if own is not None:
            np.testing.assert_array_equal(ours_own.get_state(), own.get_state().numpy())


@pytest.mark.parity
def test_layers_and_dropout_consume_the_stream_as_pytorch():
    import torch

    torch.manual_seed(3)
    linear = torch.nn.Linear(7, 5)
    conv = torch.nn.Conv2d(4, 6, (3, 5), groups=2)
    embedding = torch.nn.Embedding(5, 4)
    masks = [torch.nn.functional.dropout(torch.ones(shape), 0.3) != 0 for shape in ((4, 50), (3,))]
    masks.append(torch.nn.functional.dropout(torch.ones(4, 50).T, 0.3) != 0)
    g = Generator().manual_seed(3)

    def uniform(like, fan_in):
        bound = 1 / np.sqrt(fan_in)
        np.testing.assert_array_equal(g.uniform(np.empty(like.shape, np.float32), -bound, bound), like.detach().numpy())

    for layer, fan_in in ((linear, 7), (conv, 4 // 2 * 3 * 5)):
        uniform(layer.weight, fan_in)
        uniform(layer.bias, fan_in)
    np.testing.assert_array_equal(g.normal(np.empty((5, 4), np.float32)), embedding.weight.detach().numpy())
    for mask, out in zip(masks, (np.empty((4, 50)), np.empty(3), np.empty((4, 50)).T), strict=True):
        np.testing.assert_array_equal(g.bernoulli(out, 1 - 0.3) != 0, mask.numpy())


if __name__ == "__main__":
    record()
