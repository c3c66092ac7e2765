"""Optimizers against PyTorch's frozen runs, and in what no table can say: layouts, failures, memory, hooks."""

import copy
import gc
import json
import pickle
import re
import weakref
from collections import defaultdict

import numpy as np
import pytest
from optim_cases import DTYPES, FIXTURES, OPTIMIZERS, RICH, RUNS, SCENARIOS, Drawn, Scalar, make, outcome, row, run_id

import tinygrad_loss as tg
from tinygrad_loss import optim
from tinygrad_loss.op import wrap
from tinygrad_loss.optim.plan import GroupPlan

FROZEN = np.load(FIXTURES / "optim.npz")
LOOKS = json.loads((FIXTURES / "optim.json").read_text(encoding="utf-8"))
# float32 differs where PyTorch's square root is one unit off; Tensors as options make PyTorch compute in float32
CLOSE = {"float64": {"rtol": 1e-10, "atol": 1e-14}, "float32": {"rtol": 1e-5, "atol": 1e-6}}
TENSOR_OPTION = {"rtol": 1e-6, "atol": 1e-9}


def closeness(case, dtype):
    given = [x for value in OPTIMIZERS[case][1].values() for x in (value if isinstance(value, tuple) else (value,))]
    return TENSOR_OPTION if dtype == "float64" and any(isinstance(x, Scalar) for x in given) else CLOSE[dtype]


def parameter(values, dtype=tg.float64):
    return tg.tensor(np.asarray(values), dtype=dtype, requires_grad=True)


def snapshot(optimizer):
    """Everything that a failed step must leave as it was."""
    params = [p.detach().numpy().copy() for group in optimizer.param_groups for p in group["params"]]
    versions = [p._version[0] for group in optimizer.param_groups for p in group["params"]]
    state = {
        i: {name: t.detach().numpy().copy() for name, t in entry.items()}
        for i, entry in optimizer.state_dict()["state"].items()
    }
    return params, versions, state


def assert_same(a, b):
    np.testing.assert_equal(a, b)


# ---- against PyTorch -----------------------------------------------------------------------------


@pytest.mark.parametrize("run", RUNS, ids=run_id)
def test_a_run_ends_as_pytorchs(run):
    arrays, look = outcome(tg, *run)
    frozen = FROZEN[run_id(run)]
    assert row(arrays).shape == frozen.shape
    np.testing.assert_allclose(row(arrays), frozen, **closeness(*run[1:]))
    if run_id(run) in LOOKS:
        assert look == LOOKS[run_id(run)]


def test_the_table_covers_every_optimizer():
    assert {name for name, _ in OPTIMIZERS.values()} == set(optim.__all__) - {"Optimizer", "lr_scheduler"}
    assert {OPTIMIZERS[case][0] for case in RICH} == {name for name, _ in OPTIMIZERS.values()}


@pytest.mark.parity
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.__name__)
@pytest.mark.parametrize("case", OPTIMIZERS)
def test_a_run_ends_as_live_pytorchs(case, scenario):
    torch = pytest.importorskip("torch")
    for dtype in DTYPES:
        (ours, our_look), (theirs, their_look) = (
            outcome(tg, scenario, case, dtype),
            outcome(torch, scenario, case, dtype),
        )
        np.testing.assert_allclose(row(ours), row(theirs), **closeness(case, dtype))
        assert our_look == their_look


def from_torch(value):
    torch = pytest.importorskip("torch")
    if isinstance(value, torch.Tensor):
        return tg.tensor(value.detach().numpy(), requires_grad=value.requires_grad)
    if isinstance(value, dict):
        return {key: from_torch(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(from_torch, value))
    return value


@pytest.mark.parity
@pytest.mark.parametrize("name", sorted(set(optim.__all__) - {"Optimizer", "lr_scheduler"}))
def test_pytorchs_own_samples_of_options(name):
    torch = pytest.importorskip("torch")
    from torch.testing._internal.common_optimizers import optim_db

    info = next(info for info in optim_db if info.optim_cls.__name__ == name)
    samples = info.optim_inputs_func(device="cpu", dtype=torch.float64)
    assert len(samples) >= 5
    for sample in samples:
        theirs = [
            torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(3, 4),
            torch.ones(2, 1, 3, dtype=torch.float64),
        ]
        theirs = [p.requires_grad_() for p in theirs]
        ours = from_torch(theirs)
        a, b = info.optim_cls(theirs, **sample.kwargs), getattr(optim, name)(ours, **from_torch(sample.kwargs))
        rng = np.random.default_rng(0)
        for _ in range(20):
            for p, q in zip(theirs, ours, strict=True):
                noise = rng.standard_normal(tuple(p.shape)) + p.detach().numpy()
                p.grad, q.grad = torch.tensor(noise), tg.tensor(noise)
            a.step()
            b.step()
        for p, q in zip(theirs, ours, strict=True):
            np.testing.assert_allclose(q.detach().numpy(), p.detach().numpy(), rtol=1e-6, err_msg=sample.desc)


@pytest.mark.parity
@pytest.mark.parametrize("name", sorted(set(optim.__all__) - {"Optimizer", "lr_scheduler"}))
def test_what_pytorch_refuses_is_refused(name):
    torch = pytest.importorskip("torch")
    from torch.testing._internal.common_optimizers import OptimizerErrorEnum, optim_db

    info = next(info for info in optim_db if info.optim_cls.__name__ == name)
    errors = info.optim_error_inputs_func(device="cpu", dtype=torch.float64)
    assert len(errors) >= 7
    for error in errors:
        params, options = error.optimizer_error_input.params, error.optimizer_error_input.kwargs
        shared = {}  # one Tensor of theirs is one of ours

        def ours(value, shared=shared):
            if isinstance(value, torch.Tensor):
                return shared.setdefault(id(value), from_torch(value))
            if isinstance(value, dict):
                return {key: ours(v) for key, v in value.items()}
            return type(value)(map(ours, value)) if isinstance(value, (list, tuple)) else value

        params = [parameter([1.0])] if params is None else ours(params)
        expected = pytest.warns if issubclass(error.error_type, Warning) else pytest.raises
        assert error.error_on is OptimizerErrorEnum.CONSTRUCTION_ERROR
        with expected(error.error_type, match=error.error_regex):
            getattr(optim, name)(params, **ours(options))


@pytest.mark.parity
@pytest.mark.parametrize("case", RICH)
def test_a_checkpoint_of_pytorch_goes_on_here(case, tmp_path):
    torch = pytest.importorskip("torch")
    runs = [Drawn(torch), Drawn(tg)]
    a, b = (make(drawn.tg, case, drawn.params) for drawn in runs)
    for _ in range(5):
        runs[0].gradients()
        a.step()
    torch.save({"optimizer": a.state_dict(), "params": [p.detach() for p in runs[0].params]}, tmp_path / "run.pth")
    checkpoint = tg.load(tmp_path / "run.pth")
    b.load_state_dict(checkpoint["optimizer"])
    for p, q in zip(runs[1].params, checkpoint["params"], strict=True):
        p.data = q
    runs[1].rng.bit_generator.state = runs[0].rng.bit_generator.state
    for _ in range(5):
        for drawn, optimizer in zip(runs, (a, b), strict=True):
            drawn.gradients()
            optimizer.step()
    for p, q in zip(*(drawn.params for drawn in runs), strict=True):
        # loading, PyTorch's too, turns NAdam's product of momenta into the parameter's dtype
        np.testing.assert_allclose(q.detach().numpy(), p.detach().numpy(), rtol=1e-8)
    assert repr(a) == repr(b)


# ---- arguments -----------------------------------------------------------------------------------

W = parameter([1.0, 2.0])
WRONG_OPTIONS = [
    ("SGD", {"lr": -1}, "Invalid learning rate: -1"),
    ("SGD", {"lr": float("nan")}, "Invalid learning rate: nan"),
    ("SGD", {"momentum": -0.5}, "Invalid momentum value: -0.5"),
    ("SGD", {"weight_decay": -2}, "Invalid weight_decay value: -2"),
    ("SGD", {"nesterov": True}, "Nesterov momentum requires a momentum and zero dampening"),
    ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "Nesterov momentum requires"),
    ("SGD", {"lr": tg.tensor([0.1, 0.2])}, "Tensor lr must be 1-element"),
    ("Adam", {"eps": -1e-8}, "Invalid epsilon value: -1e-08"),
    ("Adam", {"betas": (1.0, 0.9)}, "Invalid beta parameter at index 0: 1.0"),
    ("Adam", {"betas": (0.9, -0.1)}, "Invalid beta parameter at index 1: -0.1"),
    ("Adam", {"betas": (0.9,)}, "betas must be two numbers"),
    ("Adam", {"betas": (0.9, tg.tensor(0.9))}, "betas must be either both floats or both Tensors"),
    ("Adam", {"lr": tg.tensor(0.1), "foreach": True}, "lr as a Tensor is not supported"),
    ("AdamW", {"weight_decay": -1}, "Invalid weight_decay value: -1"),
    ("RMSprop", {"alpha": -0.1}, "Invalid alpha value: -0.1"),
    ("RMSprop", {"momentum": -1.0}, "Invalid momentum value: -1.0"),
    ("Adagrad", {"lr_decay": -0.5}, "Invalid lr_decay value: -0.5"),
    ("Adagrad", {"initial_accumulator_value": -1}, "Invalid initial_accumulator_value value: -1"),
    ("Adadelta", {"rho": 1.1}, "Invalid rho value: 1.1"),
    ("Adamax", {"betas": (0.0, 1.0)}, "Invalid beta parameter at index 1: 1.0"),
    ("NAdam", {"momentum_decay": -0.2}, "Invalid momentum_decay value: -0.2"),
    ("RAdam", {"eps": -1}, "Invalid epsilon value: -1"),
]


@pytest.mark.parametrize(("name", "options", "message"), WRONG_OPTIONS)
def test_a_wrong_option_is_a_value_error(name, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(optim, name)([W], **options)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (W, TypeError, "should be an iterable of Tensors or dicts, but got Tensor"),
        ([], ValueError, "empty parameter list"),
        ({W}, TypeError, "but one of the params is"),
        ([{"params": {W}}], TypeError, "ordered collections"),
        ([1.0], TypeError, "can only optimize Tensors, but one of the params is builtins.float"),
        ([W * 2], ValueError, "can't optimize a non-leaf Tensor"),
        ([{"lr": 1.0}], KeyError, "a parameter group needs 'params', got a dict with"),
        ([{"params": W}, {"params": W}], ValueError, "some parameters appear in more than one parameter group"),
        ([{"params": W}, W], TypeError, "param_group must be a dict"),
        ([("w", W), parameter([1.0])], ValueError, "Some param names are missing"),
        ([{"params": [("w", W)]}, {"params": [parameter([1.0])]}], ValueError, "cannot add param group without names"),
    ],
)
def test_wrong_parameters_are_refused(params, error, message):
    if isinstance(params, set):
        with pytest.raises(TypeError, match="ordered collections"):
            optim.SGD([{"params": params}])
        return
    with pytest.raises(error, match=re.escape(message)):
        optim.SGD(params)


@pytest.mark.parametrize("value", ["0.1", None, [0.1], 1j, tg.tensor([0.1, 0.2])])
@pytest.mark.parametrize("case", RICH)
def test_an_option_that_is_no_number_stops_the_step(case, value):
    drawn = Drawn(tg)
    optimizer = make(tg, case, drawn.params)
    for steps in range(2):
        drawn.gradients()
        before = snapshot(optimizer)
        rate, optimizer.param_groups[0]["lr"] = optimizer.param_groups[0]["lr"], value
        with pytest.raises((TypeError, RuntimeError), match=r"must be a number|ambiguous"):
            optimizer.step()
        assert_same(snapshot(optimizer), before)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        assert steps == 0 or optimizer._plan is not None


def test_pytorchs_choices_of_an_implementation():
    for options in ({"foreach": True}, {"fused": True}, {"fused": False}, {"capturable": True}):
        optim.Adam([parameter([1.0])], **options)
    with pytest.raises(RuntimeError, match="`fused` and `foreach` cannot be `True` together"):
        optim.SGD([W], fused=True, foreach=True)
    with pytest.raises(RuntimeError, match="`fused` does not support `differentiable`"):
        optim.SGD([W], fused=True, differentiable=True)
    with pytest.raises(NotImplementedError, match="a step is not recorded"):
        optim.RAdam([W], differentiable=True)


def test_duplicates_in_a_group_warn_and_step_twice():
    w = parameter([1.0])
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optimizer = optim.SGD([w, w], lr=0.5)
    w.grad = tg.tensor([0.5], dtype=tg.float64)
    optimizer.step()
    assert w.tolist() == [0.5]
    assert optimizer.state_dict()["param_groups"][0]["params"] == [0, 0]


def test_named_parameters_are_remembered():
    optimizer = optim.Adam([("first", parameter([1.0])), ("second", parameter([2.0]))])
    assert optimizer.param_groups[0]["param_names"] == ["first", "second"]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["first", "second"]


# ---- what the kernels walk through ---------------------------------------------------------------


def layouts_of(values):
    """The same numbers in arrays that lie in memory in different ways."""
    padded = np.zeros((values.shape[0] * 2, values.shape[1] * 3), values.dtype)
    padded[::2, ::3] = values
    shifted = np.zeros(values.nbytes + 1, np.uint8)[1:].view(values.dtype).reshape(values.shape)
    shifted[...] = values
    backwards = values[::-1, ::-1].copy()[::-1, ::-1]
    return {
        "C": values.copy(),
        "F": np.asfortranarray(values),
        "strided": padded[::2, ::3],
        "backwards": backwards,
        "unaligned": shifted,
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.complex64, np.complex128])
@pytest.mark.parametrize("case", OPTIMIZERS)
def test_layout_does_not_matter(case, dtype):
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((4, 2, 3, 4))
    start, *slopes = (draws[:, 0] + 1j * draws[:, 1] if np.iscomplexobj(dtype(0)) else draws[:, 0]).astype(dtype)
    ends = {}
    for name, array in layouts_of(start).items():
        p = wrap(array)
        optimizer = make(tg, case, [p], lr=0.05)
        for slope in slopes:
            p.grad = wrap(layouts_of(slope)[name])
            p.grad._array.flags.writeable = False
            optimizer.step()
        assert p._array is array
        ends[name] = array.copy()
    for name, end in ends.items():
        np.testing.assert_array_equal(end, ends["C"], err_msg=name)
    assert np.isfinite(ends["C"]).all()
    assert not np.array_equal(ends["C"], start)


@pytest.mark.parametrize("case", OPTIMIZERS)
def test_a_complex_parameter_is_two_real_ones(case):
    real = Drawn(tg, shapes=((5, 2),))
    whole = wrap(real.params[0].detach().numpy().copy().view(np.complex128))
    a, b = make(tg, case, real.params), make(tg, case, [whole])
    for _ in range(5):
        real.gradients()
        whole.grad = wrap(real.params[0].grad.numpy().copy().view(np.complex128))
        a.step()
        b.step()
    np.testing.assert_array_equal(whole.numpy().view(np.float64), real.params[0].detach().numpy())


@pytest.mark.parametrize("case", OPTIMIZERS)
def test_half_precision_is_single_precision_rounded_after_each_step(case):
    start = np.linspace(-1, 1, 7, dtype=np.float16)
    p = wrap(start.copy())
    optimizer = make(tg, case, [p], lr=0.05)
    slope = np.linspace(2, 1, 7, dtype=np.float16)
    for _ in range(3):
        q = wrap(p.numpy().astype(np.float32))
        other = make(tg, case, [q])
        saved = optimizer.state_dict()
        other.load_state_dict(saved)
        p.grad, q.grad = wrap(slope), wrap(slope.astype(np.float32))
        optimizer.step()
        other.step()
        np.testing.assert_array_equal(p.numpy(), q.numpy().astype(np.float16))
    assert all(t.dtype is tg.float16 for k, t in optimizer.state[p].items() if k not in ("step", "mu_product"))


@pytest.mark.parametrize("case", RICH)
def test_one_kernel_call_serves_a_group_and_dtype(case, monkeypatch):
    dtypes = ["float32", "float64", "float32", "float16", "float64"]
    params = [tg.ones(4, dtype=getattr(tg, d)).requires_grad_() for d in dtypes]
    singles = [p.detach().clone().requires_grad_() for p in params]
    together, alone = make(tg, case, params), [make(tg, case, [p]) for p in singles]
    calls, kernel = [], type(together)._kernel
    for _ in range(3):
        for p, q in zip(params, singles, strict=True):
            p.grad = q.grad = p.detach() * 0.5
        for optimizer in alone:
            optimizer.step()
        monkeypatch.setattr(type(together), "_kernel", staticmethod(lambda *args: (calls.append(args), kernel(*args))))
        together.step()
        monkeypatch.undo()
        assert [a.tolist() for a in params] == [a.tolist() for a in singles]
    assert [(args[0].dtype.name, args[1].shape[1]) for args in calls] == [
        ("float32", 2),
        ("float64", 2),
        ("float32", 1),
    ] * 3


def test_an_integer_parameter_is_refused():
    p = tg.tensor([1, 2])
    p._grad = tg.tensor([1, 1])
    with pytest.raises(TypeError, match=r"updates floating point parameters, got one of torch.int64"):
        optim.SGD([p]).step()
    p._grad = None
    optim.SGD([p]).step()


def test_many_random_groups_step_as_their_parameters_alone():
    rng = np.random.default_rng(0)
    for _ in range(30):
        case = list(OPTIMIZERS)[rng.integers(len(OPTIMIZERS))]
        shapes = [tuple(rng.integers(0, 5, rng.integers(0, 4))) for _ in range(rng.integers(1, 9))]
        together, alone = Drawn(tg, shapes=shapes), Drawn(tg, shapes=shapes)
        optimizer, singles = make(tg, case, together.params), [make(tg, case, [p]) for p in alone.params]
        for _ in range(6):
            skip = set(np.flatnonzero(rng.random(len(shapes)) < 0.3).tolist())
            together.gradients(skip)
            alone.gradients(skip)
            optimizer.step()
            for single in singles:
                single.step()
            gc.collect(0)
        assert [p.tolist() for p in together.params] == [p.tolist() for p in alone.params]


# ---- a step happens whole or not at all ----------------------------------------------------------


def other_shape(params):
    params[-1].data = tg.zeros(9, dtype=tg.float64)


def other_dtype(params):
    params[-1].data = params[-1].data.float()


def read_only(params):
    array = params[-1].detach().numpy().copy()
    array.flags.writeable = False
    params[-1].data = wrap(array)


def shared_elements(params):
    params[-1].data = tg.zeros(1, 1, 1, dtype=tg.float64).expand(2, 1, 3)


@pytest.mark.parametrize("steps", [0, 2])
@pytest.mark.parametrize("harm", [other_shape, other_dtype, read_only, shared_elements])
@pytest.mark.parametrize("case", RICH)
def test_a_parameter_that_cannot_be_updated_stops_the_whole_step(case, harm, steps):
    drawn = Drawn(tg)
    optimizer = make(tg, case, [{"params": drawn.params[:3]}, {"params": drawn.params[3:]}])
    for _ in range(steps):
        drawn.gradients()
        optimizer.step()
    drawn.gradients()
    kept = drawn.params[-1].data
    harm(drawn.params)
    before = snapshot(optimizer)
    for _ in range(2):
        with pytest.raises(
            RuntimeError, match=r"the gradient of a parameter has shape|cannot write|must be a writable"
        ):
            optimizer.step()
        assert_same(snapshot(optimizer), before)
    drawn.params[-1].data = kept
    optimizer.step()
    assert all((a != b).all() for a, b in zip(snapshot(optimizer)[0], before[0], strict=True) if a.shape == b.shape)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("exp_avg", "x"),
        ("exp_avg", tg.zeros(3, dtype=tg.float64)),
        ("exp_avg_sq", tg.zeros(2)),
        ("exp_avg_sq", tg.zeros(1, dtype=tg.float64).expand(2)),
        ("step", tg.zeros(2)),
        ("step", "x"),
    ],
)
def test_state_that_does_not_fit_stops_the_step_and_the_load(name, value):
    w = parameter([1.0, 2.0])
    optimizer = optim.Adam([w])
    w.grad = tg.ones(2, dtype=tg.float64)
    optimizer.step()
    good = optimizer.state_dict()
    bad = copy.deepcopy(good)
    bad["state"][0][name] = value
    if not isinstance(value, tg.Tensor) or value.numel() != 2 or name == "step":
        before = snapshot(optimizer)
        with pytest.raises(RuntimeError, match=f"the state '{name}'"):
            optimizer.load_state_dict(bad)
        assert_same(snapshot(optimizer), before)
    optimizer.state[w][name] = value
    start = w.tolist()
    with pytest.raises(RuntimeError, match=f"the state '{name}'"):
        optimizer.step()
    assert w.tolist() == start


# ---- the tape ------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", RICH)
def test_a_graph_from_before_the_step_is_stale(case):
    w = parameter([1.0, 2.0])
    optimizer = make(tg, case, [w])
    loss = (w * w).sum()
    loss.backward(retain_graph=True)
    before = w._version[0]
    optimizer.step()
    assert w._version[0] == before + 1
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation[\s\S]*test_optimizers.py:\d+"):
        loss.backward()
    assert w.is_leaf
    assert w.grad_fn is None


@pytest.mark.parametrize("case", RICH)
def test_steps_descend_along_what_backward_gives(case):
    w = parameter(np.linspace(-2, 2, 6))
    optimizer = make(tg, case, [w], maximize=False)
    losses = []
    for _ in range(50):
        optimizer.zero_grad()
        loss = ((w - 1) ** 2).sum()
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
    assert losses[-1] < losses[0]
    assert min(np.diff(losses)[:5]) < 0


def test_gradients_that_are_on_the_tape_themselves():
    w = parameter([1.0, 2.0])
    optimizer = optim.SGD([w], lr=0.5)
    (w**3).sum().backward(create_graph=True)
    assert w.grad.grad_fn is not None
    optimizer.step()
    assert w.tolist() == [-0.5, -4.0]
    assert w.is_leaf
    w.grad = None


def test_zero_grad():
    w, idle = parameter([1.0, 2.0]), parameter([1.0])
    optimizer = optim.SGD([w, idle])
    (w * w).sum().backward(create_graph=True)
    first = w.grad
    optimizer.zero_grad(set_to_none=False)
    assert w.grad is first
    assert first.tolist() == [0.0, 0.0]
    assert not first.requires_grad
    assert idle.grad is None
    optimizer.zero_grad()
    assert w.grad is None


def test_zeroed_gradients_still_apply_momentum_and_decay_where_missing_ones_do_not():
    for set_to_none in (True, False):
        w = parameter([1.0])
        optimizer = optim.SGD([w], lr=0.5, momentum=0.5)
        w.grad = tg.ones(1, dtype=tg.float64)
        optimizer.step()
        optimizer.zero_grad(set_to_none)
        optimizer.step()
        assert w.tolist() == [0.5 if set_to_none else 0.25]


def test_a_closure_computes_the_gradients_anew_and_its_loss_is_returned():
    w = parameter([3.0])
    optimizer = optim.SGD([w], lr=0.25)

    def closure():
        assert tg.is_grad_enabled()
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    with tg.no_grad():
        assert optimizer.step(closure).item() == 9.0
    assert w.tolist() == [1.5]
    assert optimizer.step() is None
    assert optimizer.step(lambda: 7) == 7


def test_zeroing_a_gradient_is_a_write():
    w = parameter([2.0])
    optimizer = optim.SGD([w])
    w.grad = parameter([3.0]) * 1
    saved = w.grad * w.grad
    optimizer.zero_grad(set_to_none=False)
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation[\s\S]*zero_grad"):
        saved.sum().backward()


# ---- state ---------------------------------------------------------------------------------------


def test_a_parameter_replaced_in_its_group():
    old, new = parameter([1.0]), parameter([1.0])
    optimizer = optim.SGD([old], lr=0.5)
    for p in (old, new):
        p.grad = tg.ones(1, dtype=tg.float64)
    optimizer.step()
    optimizer.param_groups[0]["params"][0] = new
    optimizer.step()
    assert (old.tolist(), new.tolist()) == ([0.5], [0.5])


def test_state_that_is_set_takes_the_place_of_what_was_there():
    w = parameter([1.0])
    optimizer = optim.SGD([w], lr=0.5, momentum=0.5)
    w.grad = tg.ones(1, dtype=tg.float64)
    optimizer.step()
    optimizer.state = defaultdict(dict)
    optimizer.step()
    assert w.tolist() == [0.0]
    assert optimizer.state[w]["momentum_buffer"].tolist() == [1.0]


def test_momentum_switched_on_later_begins_with_the_gradient():
    w = parameter([1.0])
    optimizer = optim.SGD([w], lr=0.5)
    w.grad = tg.ones(1, dtype=tg.float64)
    optimizer.step()
    assert optimizer.state_dict()["state"] == {}
    optimizer.param_groups[0]["momentum"] = 0.5
    optimizer.step()
    assert optimizer.state[w]["momentum_buffer"].tolist() == [1.0]
    optimizer.step()
    assert optimizer.state[w]["momentum_buffer"].tolist() == [1.5]


def test_amsgrad_switched_on_later_begins_with_zero():
    w = parameter([1.0])
    optimizer = optim.Adam([w])
    w.grad = tg.ones(1, dtype=tg.float64)
    optimizer.step()
    optimizer.param_groups[0]["amsgrad"] = True
    optimizer.step()
    state = optimizer.state[w]
    assert state["max_exp_avg_sq"].tolist() == state["exp_avg_sq"].tolist()


def test_a_tensor_as_learning_rate_may_change_in_place():
    rate = tg.tensor(0.5)
    w = parameter([1.0])
    optimizer = optim.SGD([w], lr=rate)
    w.grad = tg.ones(1, dtype=tg.float64)
    optimizer.step()
    rate[...] = 0.25
    optimizer.step()
    assert w.tolist() == [0.25]


def test_betas_in_a_list_may_change_in_place():
    drawn, other = Drawn(tg), Drawn(tg)
    a = optim.Adam(drawn.params)
    b = optim.Adam(other.params)
    a.param_groups[0]["betas"] = [0.9, 0.999]
    for step in range(4):
        drawn.gradients()
        other.gradients()
        if step == 2:
            a.param_groups[0]["betas"][0] = 0.5
            b.param_groups[0]["betas"] = (0.5, 0.999)
        a.step()
        b.step()
    assert [p.tolist() for p in drawn.params] == [p.tolist() for p in other.params]


@pytest.mark.parametrize("case", RICH)
def test_loading_copies(case):
    drawn = Drawn(tg)
    optimizer = make(tg, case, drawn.params)
    drawn.gradients()
    optimizer.step()
    saved = optimizer.state_dict()
    other = make(tg, case, Drawn(tg).params, lr=0.7)
    other.load_state_dict(saved)
    frozen = copy.deepcopy(saved)
    for p, q in zip(drawn.params, other.param_groups[0]["params"], strict=True):
        q.grad = p.grad
    other.step()
    for i, state in frozen["state"].items():
        for name, t in state.items():
            assert t.tolist() == saved["state"][i][name].tolist()
    assert other.param_groups[0]["lr"] == saved["param_groups"][0]["lr"]


def test_older_state_dicts_with_numbers_and_without_newer_options_load():
    drawn = Drawn(tg)
    optimizer = optim.Adam(drawn.params)
    drawn.gradients()
    optimizer.step()
    old = optimizer.state_dict()
    for entry in old["state"].values():
        entry["step"] = 1
    for group in old["param_groups"]:
        del group["decoupled_weight_decay"], group["fused"]
    other = optim.Adam(drawn.params)
    other.load_state_dict(old)
    other.step()
    assert other.state[drawn.params[0]]["step"].item() == 2.0
    assert repr(other) == repr(optimizer)


def test_adams_state_becomes_adamws():
    drawn = Drawn(tg)
    adam, adamw = optim.Adam(drawn.params), optim.AdamW(drawn.params)
    drawn.gradients()
    adam.step()
    adamw.load_state_dict(adam.state_dict())
    assert adamw.param_groups[0]["decoupled_weight_decay"] is True


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda s: s["param_groups"].append(s["param_groups"][0]),
            ValueError,
            "different number of parameter groups: 2",
        ),
        (lambda s: s["param_groups"][0]["params"].pop(), ValueError, "group 0 has 4 parameters, the optimizer's 5"),
        (lambda s: s.pop("state"), KeyError, "has 'state' and 'param_groups'"),
    ],
)
def test_a_state_dict_that_does_not_fit_changes_nothing(change, error, message):
    drawn = Drawn(tg)
    optimizer = optim.Adam(drawn.params)
    drawn.gradients()
    optimizer.step()
    before, look = snapshot(optimizer), repr(optimizer)
    bad = copy.deepcopy(optimizer.state_dict())
    bad["param_groups"][0]["lr"] = 9.0
    change(bad)
    with pytest.raises(error, match=message):
        optimizer.load_state_dict(bad)
    assert_same(snapshot(optimizer), before)
    assert repr(optimizer) == look


def test_step_counts_follow_the_default_dtype():
    tg.set_default_dtype(tg.float64)
    try:
        a = [np.random.default_rng(0).standard_normal(5)]
        w = parameter(a[0])
        optimizer = optim.NAdam([w], lr=0.1)
        for _ in range(3):
            w.grad = w.detach() * 2
            optimizer.step()
        state = optimizer.state[w]
        assert state["step"].dtype is state["mu_product"].dtype is tg.float64
        assert state["step"].item() == 3.0
        momenta = [0.9 * (1 - 0.5 * 0.96 ** (t * 4e-3)) for t in (1, 2, 3)]
        assert state["mu_product"].item() == pytest.approx(np.prod(momenta), rel=1e-15)
    finally:
        tg.set_default_dtype(tg.float32)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
@pytest.mark.parametrize("case", RICH)
def test_a_copy_goes_on_by_itself(case, clone):
    drawn = Drawn(tg)
    optimizer = make(tg, case, drawn.params)
    for _ in range(3):
        drawn.gradients()
        optimizer.step()
    other = clone(optimizer)
    params = other.param_groups[0]["params"]
    assert repr(other) == repr(optimizer)
    drawn.gradients()
    for p, q in zip(drawn.params, params, strict=True):
        q.grad = p.grad
    before = [p.tolist() for p in drawn.params]
    other.step()
    assert [p.tolist() for p in drawn.params] == before
    optimizer.step()
    assert [p.tolist() for p in drawn.params] == [p.tolist() for p in params]


# ---- hooks, and optimizers of one's own ----------------------------------------------------------


class Descent(optim.Optimizer):
    """An optimizer as a course writes it."""

    def __init__(self, params, lr=optim.optimizer.required):
        super().__init__(params, {"lr": lr})

    def step(self, closure=None):
        loss = closure() if closure is not None else None
        with tg.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.data = p.data - group["lr"] * p.grad
                        self.state[p]["steps"] = self.state[p].get("steps", 0) + 1
        return loss


class Twice(optim.SGD):
    """One that steps twice."""

    def step(self, closure=None):
        super().step(closure)
        return super().step()


def test_an_optimizer_of_ones_own():
    w = parameter([1.0])
    w.grad = tg.ones(1, dtype=tg.float64)
    with pytest.raises(ValueError, match="required optimization parameter lr"):
        Descent([w])
    optimizer = Descent([w], lr=0.25)
    calls = []
    optimizer.register_step_post_hook(lambda *args: calls.append(args))
    assert optimizer.step(lambda: 5) == 5
    assert w.tolist() == [0.75]
    assert len(calls) == 1
    other = Descent([w], lr=1.0)
    other.load_state_dict(optimizer.state_dict())
    assert other.state[w] == {"steps": 1}
    assert repr(optimizer) == "Descent (\nParameter Group 0\n    lr: 0.25\n)"
    with pytest.raises(NotImplementedError, match="Optimizer defines no step"):
        optim.Optimizer([w], {}).step()


def test_step_hooks_are_called_in_order_and_may_change_the_arguments():
    w = parameter([1.0])
    w.grad = tg.ones(1, dtype=tg.float64)
    optimizer = Twice([w], lr=0.25)
    seen = []
    handles = [
        optimizer.register_step_pre_hook(
            lambda o, args, kwargs: seen.append(("pre", o is optimizer, args[1:], kwargs))
        ),
        optimizer.register_step_pre_hook(lambda o, args, kwargs: ((o, lambda: seen.append("closure")), {})),
        optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append(("post", len(args)))),
        optim.optimizer.register_optimizer_step_pre_hook(lambda *args: seen.append("all pre")),
        optim.optimizer.register_optimizer_step_post_hook(lambda *args: seen.append("all post")),
    ]
    optimizer.step()
    assert seen == ["all pre", ("pre", True, (), {}), "closure", ("post", 2), "all post"]
    assert w.tolist() == [0.5]
    for handle in handles:
        handle.remove()
    optimizer.step()
    assert len(seen) == 5
    optimizer.register_step_pre_hook(lambda *args: 3)
    with pytest.raises(RuntimeError, match=r"None or a tuple of \(new_args, new_kwargs\), but got 3"):
        optimizer.step()


def test_state_dict_hooks():
    optimizer = optim.SGD([parameter([1.0])])
    seen = []
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("second"))
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("first"), prepend=True)
    optimizer.register_state_dict_post_hook(lambda o, s: {**s, "extra": 1})
    saved = optimizer.state_dict()
    assert saved["extra"] == 1
    optimizer.register_load_state_dict_pre_hook(lambda o, s: s.update(param_groups=saved["param_groups"]))
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append("loaded"))
    empty = {"state": {}, "param_groups": []}
    optimizer.load_state_dict(empty)
    assert seen == ["first", "second", "loaded"]
    assert empty["param_groups"] == []


# ---- memory --------------------------------------------------------------------------------------


def test_a_step_keeps_no_gradient_and_no_optimizer_alive():
    w = parameter(np.ones(1000))
    optimizer = optim.Adam([w])
    for _ in range(2):
        w.grad = tg.ones(1000, dtype=tg.float64)
        optimizer.step()
    gradient, owner = weakref.ref(w.grad._array), weakref.ref(optimizer)
    optimizer.zero_grad()
    assert gradient() is None
    gc.disable()
    try:
        del optimizer
        assert owner() is None
    finally:
        gc.enable()


def test_the_arrays_behind_the_addresses_stay_alive():
    drawn = Drawn(tg, shapes=((200,), (300,)))
    reference = Drawn(tg, shapes=((200,), (300,)))
    optimizer, other = optim.Adam(drawn.params), optim.Adam(reference.params)
    for _ in range(30):
        drawn.gradients()
        reference.gradients()
        for p in drawn.params:
            p.data = p.data.clone()
        optimizer._state = copy.deepcopy(optimizer._state, {id(p): p for p in drawn.params})
        optimizer._plan = None
        gc.collect(0)
        np.full(300, np.nan)  # what was freed is overwritten
        optimizer.step()
        other.step()
    assert [p.tolist() for p in drawn.params] == [p.tolist() for p in reference.params]


def test_a_plan_is_made_once():
    drawn = Drawn(tg)
    optimizer = optim.Adam(drawn.params)
    plans = set()
    for _ in range(3):
        drawn.gradients()
        optimizer.step()
        optimizer.param_groups[0]["eps"] = 1e-8  # the same value again
        plans.add(id(optimizer._plan))
    assert len(plans) == 1
    assert isinstance(optimizer._plan[0], GroupPlan)
