"""Containers, each program run under PyTorch too where it is installed."""

from collections import OrderedDict

import pytest

import tinygrad_loss as tg
from tinygrad_loss import nn


def sequential():
    return nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 3), nn.Tanh())


def kinds(container):
    return [type(m).__name__ for m in container]


def names(container):
    return [name for name, _ in container.named_children()]


def test_sequential_indexing():
    m = sequential()
    assert len(m) == 4
    assert m[0] is next(iter(m))
    assert isinstance(m[-1], nn.Tanh)
    assert kinds(m[1:3]) == ["ReLU", "Linear"]
    assert names(m[1:3]) == ["1", "2"]
    assert m[1:3][1] is m[2]
    assert kinds(m[::-1]) == ["Tanh", "Linear", "ReLU", "Linear"]
    for i in (4, -5):
        with pytest.raises(IndexError, match="out of range"):
            m[i]
    with pytest.raises(TypeError):
        m["0"]


def test_sequential_of_names():
    m = nn.Sequential(OrderedDict(first=nn.Linear(1, 1), second=nn.ReLU()))
    assert m.first is m[0]
    assert names(m) == ["first", "second"]
    m[0] = nn.Identity()
    assert isinstance(m.first, nn.Identity)
    assert names(m) == ["first", "second"]


def test_sequential_editing():
    m = sequential()
    del m[1]
    assert (names(m), kinds(m)) == (["0", "1", "2"], ["Linear", "Linear", "Tanh"])
    del m[0:2]
    assert (names(m), kinds(m)) == (["0"], ["Tanh"])
    assert m.append(nn.ReLU()) is m
    assert m.extend([nn.ELU(), nn.Sigmoid()]) is m
    m.insert(1, nn.Identity())
    assert kinds(m) == ["Tanh", "Identity", "ReLU", "ELU", "Sigmoid"]
    assert names(m) == list("01234")
    assert isinstance(m.pop(1), nn.Identity)
    assert isinstance(m.pop(-1), nn.Sigmoid)
    assert kinds(m) == ["Tanh", "ReLU", "ELU"]
    assert names(m) == list("012")
    with pytest.raises((TypeError, AssertionError), match="odule"):  # PyTorch asserts
        m.insert(0, 3)
    with pytest.raises(TypeError, match="Module"):
        m.append(3)
    with pytest.raises(TypeError, match="iterable"):
        m.extend(3)
    with pytest.raises(IndexError):
        m.pop(7)


def test_sequential_arithmetic():
    a, b = nn.Sequential(nn.ReLU()), nn.Sequential(nn.Tanh(), nn.ELU())
    assert kinds(a + b) == ["ReLU", "Tanh", "ELU"]
    assert kinds(b * 2) == kinds(2 * b) == ["Tanh", "ELU"] * 2
    same = a
    a += b
    assert a is same
    assert kinds(a) == ["ReLU", "Tanh", "ELU"]
    b *= 2
    assert kinds(b) == ["Tanh", "ELU"] * 2
    assert names(b * 1) == ["0", "1"]  # the same modules: named once each
    for wrong, error in ((lambda: a + 3, ValueError), (lambda: a * 2.5, TypeError), (lambda: a * 0, ValueError)):
        with pytest.raises(error):
            wrong()


def test_sequential_refuses_what_is_no_module():
    with pytest.raises(TypeError, match=r"write nn\.ReLU"):
        nn.Sequential(nn.Linear(1, 1), nn.ReLU)
    with pytest.raises(TypeError, match="function"):
        nn.Sequential(lambda x: x)


def test_empty_sequential_returns_its_input():
    assert nn.Sequential()(5) == 5
    assert repr(nn.Sequential()) == "Sequential()"


def test_module_list():
    m = nn.ModuleList([nn.Linear(1, 1)])
    assert m.append(nn.ReLU()) is m
    m += [nn.Tanh()]
    m.extend([nn.ELU()])
    m.insert(0, nn.Identity())
    assert kinds(m) == ["Identity", "Linear", "ReLU", "Tanh", "ELU"]
    assert names(m) == list("01234")
    assert kinds(m[1:3]) == ["Linear", "ReLU"]
    assert type(m[1:3]) is nn.ModuleList
    assert isinstance(m.pop(0), nn.Identity)
    del m[-1]
    assert kinds(m) == ["Linear", "ReLU", "Tanh"]
    m[1] = nn.Sigmoid()
    assert kinds(m + [nn.ReLU()]) == ["Linear", "Sigmoid", "Tanh", "ReLU"]  # noqa: RUF005 -- the operator is the test
    assert m[1] in m
    assert len(list(m.parameters())) == 2
    with pytest.raises(NotImplementedError):
        m(1)
    with pytest.raises(IndexError):
        m[3]
    with pytest.raises(TypeError, match="iterable"):
        m.extend(nn.Identity)


def test_module_list_text_counts_repetitions():
    m = nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Sequential(nn.Tanh()), nn.ReLU()])
    assert repr(m) == ("ModuleList(\n  (0-1): 2 x ReLU()\n  (2): Sequential(\n    (0): Tanh()\n  )\n  (3): ReLU()\n)")


def test_module_dict():
    m = nn.ModuleDict({"a": nn.ReLU(), "b": nn.Linear(1, 1)})
    m["c"] = nn.Tanh()
    m.update([("a", nn.ELU()), ("d", nn.Identity())])
    m.update(OrderedDict(e=nn.Identity()))
    m.update(nn.ModuleDict({"f": nn.Identity()}))
    assert list(m) == list(m.keys()) == ["a", "b", "c", "d", "e", "f"]
    assert isinstance(m["a"], nn.ELU)
    assert "b" in m
    assert "z" not in m
    assert len(m) == 6
    assert isinstance(m.pop("c"), nn.Tanh)
    del m["d"]
    assert [k for k, _ in m.items()] == ["a", "b", "e", "f"]
    assert len(list(m.values())) == 4
    assert len(list(m.parameters())) == 2
    m.clear()
    assert len(m) == 0
    with pytest.raises(KeyError):
        m["a"]
    with pytest.raises(KeyError, match="already exists"):
        m["keys"] = nn.ReLU()
    for wrong, error in ((3, TypeError), ([1], TypeError), ([("a",)], ValueError)):
        with pytest.raises(error):
            m.update(wrong)


def test_parameter_list():
    p = nn.Parameter(tg.zeros(2))
    m = nn.ParameterList([p, tg.ones(3), "text"])
    assert m[0] is p
    assert isinstance(m[1], nn.Parameter)
    assert m[-1] == "text"
    assert len(list(m.parameters())) == 2
    assert m.append(tg.zeros(1)) is m
    m += [p]
    m[1] = tg.zeros(5)
    assert m[1].shape == (5,)
    assert len(m) == 5
    assert [len(x) for x in m[3:]] == [1, 2]
    assert list(m.state_dict()) == ["0", "1", "3", "4"]
    assert repr(m[:3]) == (
        "ParameterList(\n"
        "    (0): Parameter containing: [torch.float32 of size 2]\n"
        "    (1): Parameter containing: [torch.float32 of size 5]\n"
        "    (2): Object of type: str\n"
        ")"
    )
    with pytest.raises(IndexError):
        m[5]
    with pytest.raises(TypeError, match="iterable"):
        m.extend(tg.zeros(2))
    with pytest.raises(RuntimeError, match="should not be called"):
        m(1)


def test_parameter_dict():
    m = nn.ParameterDict({"b": tg.zeros(1), "a": tg.zeros(2)})
    assert list(m) == ["a", "b"]  # a plain dict is sorted
    m.update(OrderedDict(z=tg.zeros(3), y=tg.zeros(4)))
    m["text"] = "text"
    assert list(m.keys()) == ["a", "b", "z", "y", "text"]
    assert list(reversed(m)) == ["text", "y", "z", "b", "a"]
    assert len(list(m.parameters())) == 4
    assert m.get("q") is None
    assert m.get("a") is m["a"]
    assert m.get("q", 5) == 5
    assert m.setdefault("a") is m["a"]
    assert m.setdefault("new", tg.zeros(1)).shape == (1,)
    assert m.popitem()[0] == "new"
    assert m.pop("text") == "text"
    assert m.copy()["z"] is m["z"]
    assert list(m | nn.ParameterDict({"q": tg.zeros(1)})) == ["a", "b", "z", "y", "q"]
    assert list(OrderedDict(q=tg.zeros(1)) | m) == ["q", "a", "b", "z", "y"]
    m |= {"r": tg.zeros(1)}
    assert [k for k, _ in m.items()] == ["a", "b", "z", "y", "r"]
    assert len(list(m.values())) == 5
    assert "r" in m
    assert list(m.fromkeys(["u", "v"], 1).items()) == [("u", 1), ("v", 1)]
    assert "    (a): Parameter containing: [torch.FloatTensor of size 2]" in repr(m)
    del m["r"]
    m.clear()
    assert len(m) == 0
    assert list(m.state_dict()) == []
    with pytest.raises(TypeError, match="string"):
        m[3] = tg.zeros(1)
    with pytest.raises(RuntimeError, match="should not be called"):
        m(1)


@pytest.mark.parity
@pytest.mark.parametrize(
    "name", [name for name in dict(globals()) if name.startswith("test_") and "refuses" not in name]
)
def test_the_same_holds_under_pytorch(name, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setitem(globals(), "nn", torch.nn)
    monkeypatch.setitem(globals(), "tg", torch)
    globals()[name]()
