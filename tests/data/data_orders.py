"""Programs that draw samples, written once and run by PyTorch and by us: what each returns must be equal.

Run as a script (needs torch 2.13.0) it writes what PyTorch returns to tests/fixtures/data_orders.json.
"""

import json
import random
from pathlib import Path

import numpy as np

FIXTURE = Path(__file__).resolve().parent.parent / "fixtures" / "data_orders.json"


def plain(batch):
    """A batch as nested lists."""
    if hasattr(batch, "tolist"):
        return batch.tolist()
    if isinstance(batch, dict):
        return {key: plain(value) for key, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        return [plain(part) for part in batch]
    return batch


def epochs(lib, loader, count=2, probe=None):
    """The batches of several epochs, and what the generator gives before, between and after them."""
    out = []
    for _ in range(count):
        for batch in loader:
            out.append(plain(batch))
            if probe == "each":
                out.append(lib.rand(1).tolist())
        out.append(lib.rand(2).tolist())
    return out


def numbers(lib, n):
    return lib.arange(n), lib.arange(n) * 10.0


def shuffled(lib, data, n=11, probe=None, **options):
    x, y = numbers(lib, n)
    return epochs(lib, data.DataLoader(data.TensorDataset(x, y), shuffle=True, **options), 3, probe)


def with_generator(lib, data, drop_last, n):
    own = lib.Generator().manual_seed(3)
    x, y = numbers(lib, n)
    loader = data.DataLoader(list(zip(x, y, strict=True)), 4, shuffle=True, generator=own, drop_last=drop_last)
    out = []
    for _ in range(2):
        for batch in loader:
            out += [plain(batch), lib.rand(1, generator=own).tolist(), lib.rand(1).tolist()]
    return [*out, lib.rand(2, generator=own).tolist(), lib.rand(2).tolist()]


def broken_off(lib, data):
    own = lib.Generator().manual_seed(5)
    loader = data.DataLoader(range(20), 3, shuffle=True, generator=own)
    out = []
    for stop in (0, 2, 1):
        for i, batch in enumerate(loader):
            out.append(plain(batch))
            if i == stop:
                break
        out.append(lib.rand(1, generator=own).tolist())
    return out


def two_at_once(lib, data):
    first, second = data.DataLoader(range(5), 2, shuffle=True), data.DataLoader(range(7), 2, shuffle=True)
    return [[plain(a), plain(b)] for a, b in zip(first, second, strict=False)] + [lib.rand(2).tolist()]


def replacement(lib, data, num_samples, generator):
    own = lib.Generator().manual_seed(9) if generator else None
    sampler = data.RandomSampler(range(50), replacement=True, num_samples=num_samples, generator=own)
    loader = data.DataLoader(range(50), 20, sampler=sampler)
    out = []
    for batch in loader:  # the sampler draws 32 at a time, and not before a batch needs them
        out += [plain(batch), lib.rand(1, generator=own).tolist()]
    return [*out, list(sampler), lib.rand(1).tolist()]


def more_samples_than_there_are(lib, data, num_samples):
    own = lib.Generator().manual_seed(1)
    sampler = data.RandomSampler(range(5), num_samples=num_samples, generator=own)
    return [list(sampler), list(sampler), lib.rand(1, generator=own).tolist()]


def subset_sampler(lib, data):
    own = lib.Generator().manual_seed(4)
    out = []
    for generator in (None, own):
        sampler = data.SubsetRandomSampler([3, 1, 4, 15, 9, 2, 6], generator=generator)
        out += [list(sampler), epochs(lib, data.DataLoader(range(20), 3, sampler=sampler))]
    return [*out, lib.rand(1, generator=own).tolist()]


def weighted(lib, data, replacement):
    own = lib.Generator().manual_seed(4)
    out = []
    for generator in (None, own):
        sampler = data.WeightedRandomSampler([0.1, 0.9, 0.4, 0.7, 3.0, 0.6], 5, replacement, generator)
        out += [list(sampler), epochs(lib, data.DataLoader(range(20), 2, sampler=sampler, drop_last=True))]
    return [*out, lib.rand(1, generator=own).tolist()]


def batch_sampler(lib, data):
    sampler = data.BatchSampler(data.RandomSampler(range(10)), 3, drop_last=True)
    return epochs(lib, data.DataLoader(range(10), batch_sampler=sampler))


def split(lib, data):
    x, y = numbers(lib, 10)
    out = []
    for lengths, generator in (
        ([3, 7], None),
        ([0.3, 0.3, 0.4], lib.Generator().manual_seed(2)),
        ([0.55, 0.45], None),
        ([1.0], None),
    ):
        parts = data.random_split(data.TensorDataset(x, y), lengths, generator=generator)
        out.append([list(part.indices) for part in parts])
        out += [epochs(lib, data.DataLoader(part, 2, shuffle=True)) for part in parts]
    out.append([list(part.indices) for part in data.random_split(range(6), [1, 5])])
    return out


def sampler_that_draws_early(lib, data, **options):
    """A sampler of the user's own, which draws when iteration begins: before the loader's seed."""

    class Early(data.Sampler):
        def __iter__(self):
            return iter(lib.randperm(6).tolist())

        def __len__(self):
            return 6

    loaders = [data.DataLoader(range(6), size, sampler=Early(), **options) for size in (4, None)]
    return [epochs(lib, loader) for loader in loaders]


def training(lib, data):
    """Loader, model initialization and dropout draw from one stream."""
    nn = lib.nn
    x, y = numbers(lib, 10)
    loader = data.DataLoader(list(zip(x, y, strict=True)), 4, shuffle=True)
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5))
    out = [plain(p.detach()) for p in model.parameters()]
    for _ in range(2):
        for batch in loader:
            out += [plain(batch), plain((model(lib.ones(2, 3)) == 0).detach())]
        out.append(plain(nn.Linear(2, 2).weight.detach()))
    return out


def without_batches(lib, data):
    x, y = numbers(lib, 5)
    return epochs(lib, data.DataLoader(data.TensorDataset(x, y), batch_size=None, shuffle=True))


def iterable(lib, data):
    class Stream(data.IterableDataset):
        def __iter__(self):
            return iter(range(7))

    loaders = [data.DataLoader(Stream(), **o) for o in ({"batch_size": 3}, {"batch_size": 3, "drop_last": True}, {})]
    loaders.append(data.DataLoader(data.ChainDataset([Stream(), Stream()]), batch_size=5))
    return [epochs(lib, loader) for loader in loaders]


def workers(count, **options):
    """Arguments of a loader with worker processes that inherit their data set, which here is a class in a function."""
    return {"num_workers": count, "multiprocessing_context": "fork", **options}


def draws_of_workers(lib, data, **options):
    """What the data set draws in workers: seeds of every kind, from the loader's generator or the default one."""

    class Draws(data.Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            info = data.get_worker_info()
            drawn = [random.random(), np.random.rand(), *lib.rand(2).tolist()]  # noqa: NPY002 -- what PyTorch seeds
            return {"index": index, "drawn": drawn, "info": [info.id, info.num_workers, info.seed]}

    loader = data.DataLoader(Draws(), batch_size=None, collate_fn=lambda sample: sample, **workers(2, **options))
    return epochs(lib, loader)


def shares_of_workers(lib, data, sizes, **options):
    """Data sets that end at different times in different workers."""

    class Share(data.IterableDataset):
        def __iter__(self):
            worker = data.get_worker_info().id
            return iter(range(100 * worker, 100 * worker + sizes[worker]))

    return epochs(lib, data.DataLoader(Share(), **workers(2, **options)))


def generator_of_workers(lib, data, **options):
    """When the sampler draws, where workers are ahead of the program."""
    own = lib.Generator().manual_seed(6)
    loader = data.DataLoader(
        range(40), 2, sampler=data.RandomSampler(range(40), True, 120, own), **workers(2, **options)
    )
    out = []
    for _ in range(2):
        for i, batch in enumerate(loader):
            out += [plain(batch), lib.rand(1, generator=own).tolist(), lib.rand(1).tolist()]
            if i == 12:
                break
    return out


CASES = {
    "shuffle": lambda lib, data: shuffled(lib, data, batch_size=3),
    "shuffle, draws in between": lambda lib, data: shuffled(lib, data, batch_size=3, probe="each"),
    "shuffle, no rest": lambda lib, data: shuffled(lib, data, n=12, batch_size=4),
    "shuffle, drop_last": lambda lib, data: shuffled(lib, data, batch_size=3, drop_last=True, probe="each"),
    "shuffle, one batch": lambda lib, data: shuffled(lib, data, batch_size=100),
    "shuffle, many": lambda lib, data: shuffled(lib, data, n=1500, batch_size=500),
    "generator": lambda lib, data: with_generator(lib, data, False, 10),
    "generator, no rest": lambda lib, data: with_generator(lib, data, False, 8),
    "generator, drop_last": lambda lib, data: with_generator(lib, data, True, 10),
    "broken off": broken_off,
    "two at once": two_at_once,
    "replacement": lambda lib, data: replacement(lib, data, 75, True),
    "replacement, no rest": lambda lib, data: replacement(lib, data, 64, True),
    "replacement, default generator": lambda lib, data: replacement(lib, data, 75, False),
    "num_samples 13 of 5": lambda lib, data: more_samples_than_there_are(lib, data, 13),
    "num_samples 10 of 5": lambda lib, data: more_samples_than_there_are(lib, data, 10),
    "num_samples 3 of 5": lambda lib, data: more_samples_than_there_are(lib, data, 3),
    "SubsetRandomSampler": subset_sampler,
    "WeightedRandomSampler": lambda lib, data: weighted(lib, data, True),
    "WeightedRandomSampler without replacement": lambda lib, data: weighted(lib, data, False),
    "BatchSampler": batch_sampler,
    "random_split": split,
    "own sampler": sampler_that_draws_early,
    "training": training,
    "without batches": without_batches,
    "iterable": iterable,
}
WITH_WORKERS = {
    "workers": lambda lib, data: shuffled(lib, data, **workers(2, batch_size=3)),
    "workers, drop_last": lambda lib, data: shuffled(lib, data, **workers(1, batch_size=3, drop_last=True)),
    "workers, persistent": lambda lib, data: shuffled(lib, data, **workers(2, batch_size=2, persistent_workers=True)),
    "workers, far ahead": lambda lib, data: shuffled(lib, data, **workers(2, batch_size=1, prefetch_factor=4)),
    "workers, own sampler": lambda lib, data: sampler_that_draws_early(lib, data, **workers(2)),
    "workers' draws": draws_of_workers,
    "workers' draws, persistent": lambda lib, data: draws_of_workers(lib, data, persistent_workers=True),
    "workers' draws, generator": lambda lib, data: draws_of_workers(
        lib, data, generator=lib.Generator().manual_seed(2)
    ),
    "workers' shares": lambda lib, data: shares_of_workers(lib, data, (7, 3), batch_size=2),
    "workers' shares, persistent": lambda lib, data: shares_of_workers(
        lib, data, (0, 5), batch_size=2, persistent_workers=True
    ),
    "workers' shares, drop_last": lambda lib, data: shares_of_workers(lib, data, (1, 5), batch_size=2, drop_last=True),
    "workers' shares, single": lambda lib, data: shares_of_workers(lib, data, (2, 9), batch_size=None),
    "workers' generator": generator_of_workers,
    "workers' generator, far ahead": lambda lib, data: generator_of_workers(lib, data, prefetch_factor=5),
}
CASES |= WITH_WORKERS


def run(name, lib, data):
    """What a case returns under a library, as JSON would hold it."""
    lib.manual_seed(len(name))
    return json.loads(json.dumps(CASES[name](lib, data)))


if __name__ == "__main__":
    import torch
    import torch.utils.data

    text = json.dumps({name: run(name, torch, torch.utils.data) for name in CASES})
    FIXTURE.write_text(text + "\n", encoding="utf-8")
