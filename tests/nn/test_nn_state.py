"""State dictionaries: what they hold, and that a load happens whole or not at all."""

from collections import OrderedDict

import numpy as np
import pytest

import tinygrad_loss as tg
from tinygrad_loss import nn


def net():
    return nn.Sequential(OrderedDict(a=nn.Linear(2, 3), b=nn.Linear(3, 1)))


def snapshot(m):
    return {k: v._array.copy() for k, v in m.state_dict().items()}


def unchanged(m, before):
    return all(np.array_equal(v._array, before[k]) for k, v in m.state_dict().items())


def test_state_dict_shares_storage_and_is_off_the_tape():
    m = net()
    state = m.state_dict()
    assert list(state) == ["a.weight", "a.bias", "b.weight", "b.bias"]
    assert isinstance(state, OrderedDict)
    assert not any(v.requires_grad for v in state.values())
    assert type(state["a.bias"]) is tg.Tensor
    state["a.bias"][0] = 9.0
    assert m.a.bias[0].item() == 9
    assert m.state_dict(keep_vars=True)["a.bias"] is m.a.bias
    filled = {"x": 1}
    assert m.state_dict(destination=filled, prefix="net.") is filled
    assert list(filled) == ["x", "net.a.weight", "net.a.bias", "net.b.weight", "net.b.bias"]
    assert state._metadata["a"] == {"version": 1}


def test_loading_copies_values():
    a, b = net(), net()
    weight = b.a.weight
    state = a.state_dict()
    assert repr(b.load_state_dict(state)) == "<All keys matched successfully>"
    assert b.a.weight is weight
    assert unchanged(b, snapshot(a))
    state["a.weight"][0, 0] = 77.0
    assert b.a.weight[0, 0].item() != 77


def test_loading_converts_the_dtype():
    m = net()
    m.load_state_dict({k: v.double() for k, v in net().state_dict().items()})
    assert m.a.weight.dtype is tg.float32


def test_assign_takes_the_tensors_themselves():
    m, given = net(), {k: v.double() for k, v in net().state_dict().items()}
    m.a.weight.requires_grad_(False)
    m.load_state_dict(given, assign=True)
    assert m.a.weight.dtype is tg.float64
    assert np.shares_memory(m.a.weight._array, given["a.weight"]._array)
    assert isinstance(m.a.weight, nn.Parameter)
    assert [p.requires_grad for p in m.parameters()] == [False, True, True, True]


def test_all_that_does_not_fit_is_told_at_once_and_nothing_changes():
    m = net()
    before = snapshot(m)
    bad = {
        "a.weight": tg.zeros(9, 2),
        "a.bias": tg.zeros(3),
        "b.bias": np.zeros(1),
        "c.weight": tg.zeros(1),
        "d": tg.zeros(1),
    }
    with pytest.raises(RuntimeError) as error:
        m.load_state_dict(bad)
    message = str(error.value)
    for words in (
        "Error(s) in loading state_dict for Sequential:",
        'Missing key(s) in state_dict: "b.weight". ',
        'Unexpected key(s) in state_dict: "c.weight", "d". ',
        "size mismatch for a.weight: copying a param with shape torch.Size([9, 2]) from checkpoint, the shape in",
        "current model is torch.Size([3, 2]).",
        'While copying the parameter named "b.bias", expected a Tensor from the checkpoint but received ndarray',
    ):
        assert words in message
    assert message.index("Missing") < message.index("Unexpected") < message.index("size mismatch")
    assert unchanged(m, before)
    assert list(bad) == ["a.weight", "a.bias", "b.bias", "c.weight", "d"]


def test_not_strict_loads_what_fits_by_name():
    m = net()
    before = snapshot(m)
    result = m.load_state_dict({"a.bias": tg.ones(3), "c": tg.zeros(1)}, strict=False)
    assert result.missing_keys == ["a.weight", "b.weight", "b.bias"]
    assert result.unexpected_keys == ["c"]
    assert "missing_keys" in repr(result)
    assert m.a.bias.tolist() == [1, 1, 1]
    with pytest.raises(RuntimeError, match="size mismatch"):
        m.load_state_dict({"a.weight": tg.ones(2, 2), "b.bias": tg.zeros(1)}, strict=False)
    assert np.array_equal(m.b.bias._array, before["b.bias"])


def test_loading_refuses_what_is_no_dictionary():
    with pytest.raises(TypeError, match="dict-like"):
        net().load_state_dict([1])


def test_loading_into_a_read_only_array_is_an_error():
    m = nn.Module()
    frozen = np.zeros(2, np.float32)
    frozen.flags.writeable = False
    m.w, m.v = nn.Parameter(tg.zeros(2)), nn.Parameter(tg.from_numpy(frozen))
    with pytest.raises(RuntimeError, match="v is on a read-only array"):
        m.load_state_dict({"w": tg.ones(2), "v": tg.ones(2)})
    assert m.w.tolist() == [0, 0]


def test_a_load_counts_as_a_write():
    m = nn.Linear(1, 1)
    x = tg.ones(1, 1).requires_grad_()
    loss = m(x).sum()
    m.load_state_dict({"weight": tg.zeros(1, 1), "bias": tg.zeros(1)})
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_files_of_old_hold_one_element_for_a_scalar():
    m = nn.Module()
    m.s = nn.Parameter(tg.tensor(1.0))
    m.load_state_dict({"s": tg.tensor([5.0])})
    assert m.s.item() == 5
    assert m.s.shape == ()


def test_extra_state():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.count = 0

        def get_extra_state(self):
            return {"count": self.count}

        def set_extra_state(self, state):
            self.count = state["count"]

    a, b = nn.Sequential(Counting()), nn.Sequential(Counting())
    a[0].count = 5
    assert dict(a.state_dict()) == {"0._extra_state": {"count": 5}}
    b.load_state_dict(a.state_dict())
    assert b[0].count == 5
    with pytest.raises(RuntimeError, match=r'Missing.*"0\._extra_state"'):
        b.load_state_dict({})
    with pytest.raises(RuntimeError, match="Unexpected"):
        nn.Sequential(nn.Identity()).load_state_dict(a.state_dict())


@pytest.mark.parity
def test_messages_are_pytorchs():
    torch = pytest.importorskip("torch")
    messages = []
    for framework in (torch, tg):
        m = framework.nn.Sequential(framework.nn.Linear(2, 3), framework.nn.Linear(3, 1))
        bad = {"0.weight": framework.zeros(9, 2), "1.bias": framework.zeros(1), "2.x": framework.zeros(1)}
        with pytest.raises(RuntimeError) as error:
            m.load_state_dict(bad)
        messages.append(str(error.value))
    assert messages[0] == messages[1]
