"""The order of samples, and the state of the generator at every moment, against PyTorch: frozen, and live."""

import json
import multiprocessing

import data_orders
import pytest

import tinygrad_loss as tg
from tinygrad_loss.utils import data


@pytest.fixture(scope="module")
def frozen():
    return json.loads(data_orders.FIXTURE.read_text(encoding="utf-8"))


def assert_same(got, want, path=()):
    """Equal to the bit; where not, the path says where."""
    if isinstance(want, list):
        assert len(got) == len(want), path
        for i, (g, w) in enumerate(zip(got, want, strict=True)):
            assert_same(g, w, (*path, i))
    else:
        assert got == want, path


can_fork = "fork" in multiprocessing.get_all_start_methods()


@pytest.mark.parametrize("name", data_orders.CASES if can_fork else data_orders.CASES.keys() - data_orders.WITH_WORKERS)
def test_order_equals_frozen_pytorch(name, frozen):
    assert_same(data_orders.run(name, tg, data), frozen[name])


def test_every_frozen_case_is_run(frozen):
    assert frozen.keys() == data_orders.CASES.keys()


@pytest.mark.parity
@pytest.mark.parametrize("name", data_orders.CASES)
def test_order_equals_live_pytorch(name, frozen):
    import torch
    import torch.utils.data

    theirs = data_orders.run(name, torch, torch.utils.data)
    assert_same(data_orders.run(name, tg, data), theirs)
    assert_same(theirs, frozen[name])
