"""Module: its members and how they are assigned, walked, moved, shown."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_loss as tg
from tinygrad_loss import nn


class Scale(nn.Module):
    def __init__(self, factor=2.0):
        super().__init__()
        self.factor = nn.Parameter(tg.tensor(factor))
        self.register_buffer("calls", tg.tensor(0.0))
        self.register_buffer("scratch", None, persistent=False)
        self.note = "plain"

    def forward(self, x):
        return self.factor * x


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = Scale()
        self.second = nn.Sequential(nn.Linear(2, 2), Scale(3.0))
        self.shared = self.first


# ---- members -----------------------------------------------------------------------------------


def test_assignment_registers():
    m = Scale()
    assert list(m._parameters) == ["factor"]
    assert list(m._buffers) == ["calls", "scratch"]
    assert m.factor is m._parameters["factor"]
    assert m.note == "plain"
    assert m._parameters["factor"] is next(m.parameters())
    assert list(Net()._modules) == ["first", "second", "shared"]


def test_a_member_takes_the_place_of_an_attribute_and_of_a_member_of_another_kind():
    m = nn.Module()
    m.part = 5
    m.part = nn.Parameter(tg.zeros(1))
    assert list(m._parameters) == ["part"]
    m.part = nn.Linear(1, 1)
    assert list(m._parameters) == []
    assert list(m._modules) == ["part"]
    m.part = nn.Buffer(tg.zeros(2))
    assert list(m._modules) == []
    assert list(m._buffers) == ["part"]
    m.part = nn.Parameter(tg.zeros(3))
    assert list(m._buffers) == []
    assert m.part.shape == (3,)


def test_buffers_take_tensors_and_parameters_take_parameters():
    m = Scale()
    m.calls = tg.tensor(7.0)
    assert m._buffers["calls"].item() == 7
    m.factor = None
    assert dict(m._parameters) == {"factor": None}
    assert list(m.parameters()) == []
    m.factor = nn.Parameter(tg.tensor(1.0))
    assert len(list(m.parameters())) == 1
    m.calls = None
    assert list(m.buffers()) == []


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("factor", tg.tensor(1.0), "cannot assign 'Tensor' as parameter 'factor' (nn.Parameter or None expected)"),
        ("calls", 3, "cannot assign 'int' as buffer 'calls' (nn.Buffer, Tensor or None expected)"),
        ("child", tg.tensor(1.0), "cannot assign 'Tensor' as child module 'child' (nn.Module or None expected)"),
    ],
)
def test_a_registered_name_refuses_other_kinds(name, value, words):
    m = Scale()
    m.child = nn.Identity()
    before = m.__dict__[name]
    with pytest.raises(TypeError) as error:
        setattr(m, name, value)
    assert words in str(error.value)
    assert m.__dict__[name] is before


@pytest.mark.parametrize("value", [nn.Parameter(tg.zeros(1)), nn.Identity(), nn.Buffer(tg.zeros(1))])
def test_assigning_before_init_says_what_is_missing(value):
    class Forgetful(nn.Module):
        def __init__(self):
            self.plain = 1  # as in PyTorch, no harm
            self.part = value

    with pytest.raises(AttributeError, match=r"before Module.__init__\(\) call: write super\(\).__init__\(\)"):
        Forgetful()


def test_walking_before_init_says_what_is_missing():
    class Forgetful(nn.Module):
        def __init__(self):
            pass

    m = Forgetful()
    for walk in (m.parameters, m.state_dict, lambda: list(m.named_modules()), lambda: m.register_parameter("w", None)):
        with pytest.raises(AttributeError, match="Forgetful has no members before Module"):
            walk()


def test_deleting_members():
    m = Net()
    del m.first
    assert [name for name, _ in m.named_children()] == ["second", "shared"]
    with pytest.raises(AttributeError, match="first"):
        _ = m.first
    with pytest.raises(AttributeError):
        del m.first
    s = Scale()
    del s.factor, s.calls, s.note
    assert list(s.state_dict()) == []
    s.factor = 5  # the name is free again
    assert s.factor == 5


def test_edits_of_the_dictionaries_are_seen():
    m = Scale()
    w = nn.Parameter(tg.tensor(9.0))
    m._parameters["factor"] = w
    assert m.factor is w
    assert m(tg.tensor(1.0)).item() == 9
    m._parameters["other"] = nn.Parameter(tg.tensor(1.0))
    assert m.other is m._parameters["other"]
    del m._parameters["other"]
    assert not hasattr(m, "other")
    assert m._parameters.pop("factor") is w
    m.factor = w * 2  # as weight normalization does
    assert m(tg.tensor(1.0)).item() == 18
    m._buffers["late"] = tg.zeros(1)
    assert list(m.state_dict()) == ["calls", "late"]
    m._parameters = {"factor": w}
    assert list(m._parameters.items()) == [("factor", w)]
    assert repr(m._modules) == "{}"
    assert "factor" in m._parameters
    assert len(m._parameters) == 1
    with pytest.raises(KeyError):
        m._parameters["calls"]


def test_missing_attributes_are_named_and_properties_tell_their_own_error():
    class Broken(nn.Module):
        @property
        def size(self):
            return self.missing_part

    with pytest.raises(AttributeError, match="'Broken' object has no attribute 'missing_part'"):
        _ = Broken().size
    with pytest.raises(AttributeError, match="'Scale' object has no attribute 'fcator'") as error:
        _ = Scale().fcator
    assert error.value.name == "fcator"  # from which Python suggests: did you mean 'factor'?


def test_getattr_of_a_subclass_may_call_that_of_module():
    class Wrapper(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def __getattr__(self, name):
            try:
                return super().__getattr__(name)
            except AttributeError:
                return getattr(self.inner, name)

    m = Wrapper(Scale())
    assert m.note == "plain"
    assert m.factor is m.inner.factor
    assert nn.Module.__getattr__(m.inner, "factor") is m.inner.factor


def test_a_property_may_stand_in_for_a_parameter():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.base = nn.Parameter(tg.tensor(1.0))

        @property
        def whole(self):
            return self.base * 2

    assert Tied().whole.item() == 2
    with pytest.raises(KeyError, match="already exists"):
        Tied().whole = nn.Parameter(tg.tensor(1.0))


def test_a_class_attribute_is_hidden_by_a_module():
    class WithDefault(nn.Module):
        layer = None

        def __init__(self):
            super().__init__()
            self.layer = nn.Identity()

    assert isinstance(WithDefault().layer, nn.Identity)


@pytest.mark.parametrize("register", ["register_parameter", "register_buffer", "register_module", "add_module"])
@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("a.b", KeyError),
        ("", KeyError),
        (3, TypeError),
        ("note", KeyError),
        ("forward", KeyError),
        ("training", KeyError),
    ],
)
def test_names_are_checked(register, name, error):
    m = Scale()
    with pytest.raises(error):
        getattr(m, register)(name, None)
    assert list(m.state_dict()) == ["factor", "calls"]


def test_register_checks_what_it_is_given():
    m = nn.Module()
    with pytest.raises(TypeError, match=r"nn\.Parameter or None"):
        m.register_parameter("w", tg.zeros(1))
    with pytest.raises(TypeError, match="Tensor or None"):
        m.register_buffer("b", 3)
    with pytest.raises(TypeError, match=r"write nn\.Linear"):
        m.add_module("m", nn.Linear)
    with pytest.raises(TypeError, match="not a Module subclass"):
        m.add_module("m", 3)
    computed = nn.Parameter(tg.zeros(1))
    computed._node = (tg.ones(1, requires_grad=True) * 2)._node
    with pytest.raises(ValueError, match="compute it in forward"):
        m.register_parameter("w", computed)
    assert dict(m._parameters) == {}


def test_digits_are_not_listed_as_attributes():
    assert "0" not in dir(nn.Sequential(nn.Identity()))
    assert "factor" in dir(Scale())


# ---- Parameter and Buffer ----------------------------------------------------------------------


def test_a_shallow_copy_has_the_same_members_and_names_of_its_own():
    m = Scale()
    twin = copy.copy(m)
    assert twin.factor is m.factor
    twin.extra = nn.Parameter(tg.zeros(1))
    del twin.calls
    assert [name for name, _ in m.named_parameters()] == ["factor"]
    assert [name for name, _ in twin.named_parameters()] == ["factor", "extra"]
    assert list(m.state_dict()) == ["factor", "calls"]


def test_a_subclass_may_change_what_is_pickled():
    m = Versioned()
    assert pickle.loads(pickle.dumps(m)).count == 5
    assert list(pickle.loads(pickle.dumps(m)).state_dict()) == ["factor", "calls"]


class Versioned(Scale):
    def __setstate__(self, state):
        super().__setstate__(state)
        self.count = 5


def test_parameter_shares_storage_and_shows_itself():
    t = tg.zeros(2)
    p = nn.Parameter(t)
    t[0] = 5.0
    assert p.tolist() == [5, 0]
    assert p.requires_grad
    assert p.is_leaf
    assert isinstance(p, tg.Tensor)
    assert repr(p) == "Parameter containing:\ntensor([5., 0.], requires_grad=True)"
    assert repr(nn.Parameter(t, requires_grad=False)) == "Parameter containing:\ntensor([5., 0.])"
    assert nn.Parameter().shape == (0,)
    assert type(p * 2) is tg.Tensor
    assert type(p.detach()) is tg.Tensor


def test_parameter_refuses_what_it_cannot_be():
    with pytest.raises(RuntimeError, match="floating point"):
        nn.Parameter(tg.tensor([1]))
    assert nn.Parameter(tg.tensor([1]), requires_grad=False).dtype is tg.int64
    with pytest.raises(TypeError, match="tensor"):
        nn.Parameter([1.0])


def test_parameter_copies_without_its_gradient():
    p = nn.Parameter(tg.ones(2))
    (p * p).sum().backward()
    q = copy.deepcopy(p)
    assert type(q) is nn.Parameter
    assert q.grad is None
    assert p.grad is not None
    memo = {}
    assert copy.deepcopy(p, memo) is copy.deepcopy(p, memo)


def test_buffers_are_state_but_not_parameters():
    m = nn.Module()
    m.kept = nn.Buffer(tg.ones(1))
    m.lost = nn.Buffer(tg.ones(1), persistent=False)
    assert list(m.state_dict()) == ["kept"]
    assert [name for name, _ in m.named_buffers()] == ["kept", "lost"]
    assert list(m.parameters()) == []
    other = pickle.loads(pickle.dumps(m))
    assert list(other.state_dict()) == ["kept"]
    other.again = other.lost
    assert list(other.state_dict()) == ["kept"]


# ---- walking -----------------------------------------------------------------------------------


def test_walks_give_each_part_once_in_order_of_assignment():
    m = Net()
    assert [name for name, _ in m.named_modules()] == ["", "first", "second", "second.0", "second.1"]
    assert [name for name, _ in m.named_modules(prefix="net", remove_duplicate=False)] == [
        "net", "net.first", "net.second", "net.second.0", "net.second.1", "net.shared",
    ]  # fmt: skip
    assert list(m.modules()) == [m, m.first, m.second, m.second[0], m.second[1]]
    assert [name for name, _ in m.named_children()] == ["first", "second"]
    assert list(m.children()) == [m.first, m.second]
    names = ["first.factor", "second.0.weight", "second.0.bias", "second.1.factor"]
    assert [name for name, _ in m.named_parameters()] == names
    assert [p for _, p in m.named_parameters()] == list(m.parameters())
    assert [name for name, _ in m.named_parameters(remove_duplicate=False)] == [*names, "shared.factor"]
    assert [name for name, _ in m.second[0].named_parameters("x")] == ["x.weight", "x.bias"]
    assert list(m.parameters(recurse=False)) == []
    assert list(m.named_parameters(recurse=False)) == []
    assert [name for name, _ in m.named_buffers()] == ["first.calls", "second.1.calls"]
    assert len(list(m.buffers())) == 2
    assert list(m.buffers(recurse=False)) == []


def test_a_parameter_used_twice_is_one():
    m = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    m[1].weight = m[0].weight
    assert [name for name, _ in m.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert len(list(m.parameters())) == 3
    assert list(m.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    twin = copy.deepcopy(m)
    assert twin[0].weight is twin[1].weight
    assert twin[0].weight is not m[0].weight


def test_walks_end_where_modules_hold_each_other():
    m = nn.Module()
    m.child = nn.Module()
    m.child.parent = m
    assert list(m.modules()) == [m, m.child]
    assert [name for name, _ in m.named_modules()] == ["", "child"]


def test_walks_skip_what_is_none():
    m = nn.Module()
    m.add_module("none", None)
    m.register_parameter("w", None)
    m.register_buffer("b", None)
    assert list(m.modules()) == [m]
    assert list(m.children()) == []
    assert list(m.named_modules()) == [("", m)]
    assert not m.state_dict()
    m.train()
    m.to(tg.float64)
    assert repr(m) == "Module(\n  (none): None\n)"


def test_getting_by_path():
    m = Net()
    assert m.get_submodule("second.0") is m.second[0]
    assert m.get_submodule("") is m
    assert m.get_parameter("second.0.bias") is m.second[0].bias
    assert m.get_buffer("first.calls") is m.first.calls
    for call in (
        lambda: m.get_submodule("second.7"),
        lambda: m.get_submodule("first.note"),
        lambda: m.get_parameter("first.calls"),
        lambda: m.get_parameter("first.absent"),
        lambda: m.get_buffer("first.factor"),
    ):
        with pytest.raises(AttributeError):
            call()


def test_setting_by_path():
    m = Net()
    new = nn.Identity()
    m.set_submodule("second.0", new)
    assert m.second[0] is new
    m.set_submodule("second.extra", new)
    assert m.second.extra is new
    with pytest.raises(AttributeError, match="absent"):
        m.set_submodule("second.absent", new, strict=True)
    with pytest.raises(AttributeError, match="not an"):
        m.set_submodule("first.note", new)
    with pytest.raises(ValueError, match="target name"):
        m.set_submodule("", new)
    with pytest.raises(ValueError, match=r"not an nn\.Module"):
        m.set_submodule("first", 3)


def test_apply_goes_from_the_leaves_up():
    m, seen = Net(), []
    assert m.apply(seen.append) is m
    assert [type(s).__name__ for s in seen] == ["Scale", "Linear", "Scale", "Sequential", "Net"]


# ---- mode, gradients, dtype --------------------------------------------------------------------


def test_train_calls_that_of_the_children():
    class Frozen(nn.Identity):
        def train(self, mode=True):
            return super().train(False)

    m = nn.Sequential(Frozen(), nn.Identity())
    m.train()
    assert [s.training for s in m] == [False, True]
    with pytest.raises(ValueError, match="boolean"):
        m.train("yes")


def test_requires_grad():
    m = Net()
    assert m.requires_grad_(False) is m
    assert not any(p.requires_grad for p in m.parameters())
    m.requires_grad_()
    assert all(p.requires_grad for p in m.parameters())


def test_zero_grad():
    m = nn.Linear(2, 1)
    m(tg.ones(1, 2)).sum().backward()
    kept = m.weight.grad
    m.zero_grad(set_to_none=False)
    assert m.weight.grad.tolist() == [[0, 0]]
    assert kept.tolist() == [[0, 0]]
    m.zero_grad()
    assert m.weight.grad is None
    assert m.bias.grad is None


def test_conversion_keeps_the_parameters_and_converts_their_gradients():
    m = nn.Linear(2, 1)
    m.register_buffer("count", tg.tensor(3))
    m(tg.ones(1, 2)).sum().backward()
    weight, grad = m.weight, m.weight.grad
    assert m.double() is m
    assert m.weight is weight
    assert weight.dtype is tg.float64
    assert weight.grad is grad
    assert grad.dtype is tg.float64
    assert m.count.dtype is tg.int64
    assert m(tg.ones(1, 2, dtype=tg.float64)).dtype is tg.float64
    assert m.to(tg.zeros(1)).weight.dtype is tg.float32
    assert m.to("cpu", tg.float64).weight.dtype is tg.float64
    assert m.to(dtype=tg.float32, device="cpu").weight.dtype is tg.float32
    assert m.half().weight.dtype is tg.float16
    assert m.float().weight.dtype is tg.float32
    assert m.type(tg.float64).count.dtype is tg.float64
    assert m.cpu() is m


def test_conversion_refuses_what_cannot_be():
    m = nn.Linear(2, 1)
    with pytest.raises(TypeError, match="floating point"):
        m.to(tg.int64)
    with pytest.raises(RuntimeError, match="cpu"):
        m.to("cuda")
    with pytest.raises(TypeError, match="dtype"):
        m.to(dtype="float64")


# ---- calling -----------------------------------------------------------------------------------


def test_a_module_without_forward_says_so():
    class Empty(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match=r'Module \[Empty\] is missing the required "forward" function'):
        Empty()(1)


def test_arguments_are_handed_on():
    class Many(nn.Module):
        def forward(self, a, b=2, *rest, c=3, **others):
            return a, b, rest, c, others

    assert Many()(1) == (1, 2, (), 3, {})
    assert Many()(1, 5, 6, c=7, d=8) == (1, 5, (6,), 7, {"d": 8})


def test_sequential_calls_a_module_that_overrides_call():
    class Old(nn.Module):
        def __call__(self, x):
            return x + 100

    class Older(Old):
        pass

    assert nn.Sequential(nn.Identity(), Old(), Older())(1) == 201


def test_forward_may_be_replaced_on_the_instance():
    m = nn.Identity()
    m.forward = lambda x: x + 1
    assert m(1) == 2
    assert nn.Sequential(m, m)(1) == 3


def test_wrong_number_of_features_names_both_and_the_shape():
    with pytest.raises(RuntimeError) as error:
        nn.Linear(3, 4)(tg.zeros(2, 5))
    for words in ("3 features", "5", "[2, 5]"):
        assert words in str(error.value)


def test_wrong_dtype_says_what_to_write():
    with pytest.raises(RuntimeError, match=r"same dtype.*float64.*float32"):
        nn.Linear(3, 4)(tg.zeros(2, 3, dtype=tg.float64))


def test_softmax_without_a_dimension_warns_and_picks_pytorchs():
    with pytest.warns(UserWarning, match="dim=1"):
        out = nn.Softmax()(tg.zeros(2, 4))
    assert out[0, 0].item() == 0.25
    with pytest.warns(UserWarning, match="dim=0"):
        out = nn.LogSoftmax()(tg.zeros(2, 4, 1))
    assert out[0, 0, 0].item() == pytest.approx(-np.log(2))


# ---- as text -----------------------------------------------------------------------------------


def test_text_of_nested_modules():
    class Titled(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.ModuleDict({"a": nn.Sequential(nn.Linear(1, 2), nn.ReLU())})
            self.empty = nn.ModuleList()

        def extra_repr(self):
            return "one=1\ntwo=2"

    assert repr(Titled()) == (
        "Titled(\n"
        "  one=1\n"
        "  two=2\n"
        "  (inner): ModuleDict(\n"
        "    (a): Sequential(\n"
        "      (0): Linear(in_features=1, out_features=2, bias=True)\n"
        "      (1): ReLU()\n"
        "    )\n"
        "  )\n"
        "  (empty): ModuleList()\n"
        ")"
    )
    assert repr(nn.Module()) == "Module()"
