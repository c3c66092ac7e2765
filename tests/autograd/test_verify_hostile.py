"""Gradient checks where fixed steps and fixed tolerances go wrong: what is right must not fail, what is wrong must."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_loss as tg
from tinygrad_loss import nn
from tinygrad_loss.autograd import Function, complex_step, verify
from tinygrad_loss.autograd.workbench import Workbench

X = tg.tensor([0.3, 0.7, 1.1], dtype=tg.float64)


def function(name: str, forward: Callable[..., Any], backward: Callable[..., Any]) -> Any:
    """A custom Function that saves its inputs."""

    def saving(ctx: Any, *inputs: Any) -> Any:
        ctx.save_for_backward(*inputs)
        return forward(*inputs)

    return type(name, (Function,), {"forward": staticmethod(saving), "backward": staticmethod(backward)}).apply


def kinds(report: Any) -> list[tuple[str, str | None]]:
    return [(f.kind, f.op) for f in report.findings]


# --- what fixed tolerances miss -----------------------------------------------------------------------------------


def test_a_zero_backward_of_a_large_input_is_caught() -> None:
    x = tg.tensor(np.random.default_rng(0).standard_normal(30_000))
    assert verify(lambda x: x * x, x)
    report = verify(function("ZeroSquare", lambda x: x * x, lambda ctx, g: g * 0), x)
    assert kinds(report) == [("zero-gradient", "ZeroSquare")]


def test_one_wrong_element_of_a_large_input_is_found_and_its_op_named() -> None:
    def backward(ctx: Any, g: Any) -> Any:
        d = 2 * g * ctx.saved_tensors[0]
        d[7777] += 0.1
        return d

    x = tg.tensor(np.random.default_rng(0).standard_normal(30_000))
    report = verify(function("OneBad", lambda x: x * x, backward), x)
    assert kinds(report) == [("wrong", "OneBad")]
    assert report.findings[0].index == (7777,)


SCALES = [
    ("square", lambda x: 1e-6 * x**2, lambda x: 2e-6 * x, [0.5, -2.0]),
    ("log", lambda x: x.log(), lambda x: 1 / x, [1e-6, 1e-3, 1e-9]),
    ("identity", lambda x: x.clone(), lambda x: x**0, [1e10, -2e10]),
    ("tiny", lambda x: x * x, lambda x: 2 * x, [1e-8, 3e-8]),
]


@pytest.mark.parametrize(("name", "f", "df", "values"), SCALES, ids=lambda v: v if isinstance(v, str) else "")
def test_every_scale(name: str, f: Any, df: Any, values: list[float]) -> None:
    x = tg.tensor(values, dtype=tg.float64)
    assert verify(f, x)
    for factor, kind in ((1.0, None), (0.0, "zero-gradient"), (1.0005, "scale"), (-1.0, "sign")):
        rule = function(name.title(), f, lambda ctx, g, c=factor: c * g * df(ctx.saved_tensors[0]))
        report = verify(rule, x)
        assert kinds(report) == ([] if kind is None else [(kind, name.title())]), factor


HARD = [
    (
        "waves narrower than the first steps",
        lambda x: x.sin(),
        lambda x: x.cos(),
        [2807242.22982401, -2916657.95333617],
    ),
    ("tiny beside what it is added to", lambda x: x.exp(), lambda x: x.exp(), [5e-12, -1e-10]),
]


@pytest.mark.parametrize(("name", "f", "df", "values"), HARD, ids=lambda v: v if isinstance(v, str) else "")
def test_a_mistake_that_first_steps_do_not_see(name: str, f: Any, df: Any, values: list[float]) -> None:
    x = tg.tensor(values, dtype=tg.float64)
    for factor in (1.0, 1.0005, -1.0, 0.0):
        rule = function("Rule", f, lambda ctx, g, c=factor: c * g * df(ctx.saved_tensors[0]))
        assert (verify(rule, x).verdict == "pass") == (factor == 1.0), factor


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_gradient_that_is_not_finite_fails(bad: float) -> None:
    def backward(ctx: Any, g: Any) -> Any:
        return 2 * g + tg.tensor([0.0, bad, 0.0])

    report = verify(function("Bad", lambda x: 2 * x, backward), X)
    assert report.verdict == "fail"
    assert report.findings[0].op == "Bad"
    assert report.findings[0].index == (1,)


# --- what looks wrong and is not ----------------------------------------------------------------------------------


def pair_of_relus(x: Any) -> Any:
    return tg.relu(x) - tg.relu(-x)


RIGHT: list[tuple[str, Callable[..., Any], list[float], str]] = [
    ("waves narrower than the first steps", lambda x: x.sin(), [1e9, -3e8, 0.5], "pass"),
    ("treads narrower than the first steps", lambda x: x.frac(), [1e8 + 0.3, -2e8 + 0.4, 0.5], "pass"),
    ("waves narrower than any step", lambda x: x.sin(), [1e17, 3e17, 2e16], "pass"),
    ("waves wider than the spacing by little", lambda x: x.sin(), [2428986884231.9854, 1.5e12], "pass"),
    ("a jump", lambda x: x.ceil() * x, [3e8, 2e8, 1.5], "inconclusive"),
    ("a tie of three, where one alone moves nothing", lambda x: x.median(), [0.5, 0.5, 0.5, 2.0], "inconclusive"),
    ("saturation", lambda x: x.softmax(0) * tg.tensor([1.0, 2.0, 3.0]), [0.5, 250.0, -0.5], "pass"),
    ("a tie of three, sorted", lambda x: x.sort()[0], [0.5, 0.5, 0.5, 2.0], "inconclusive"),
    ("two kinks that make a straight line", pair_of_relus, [0.0, 1.0], "inconclusive"),
    ("rounding on the way", lambda x: 3 * ((x + 1e14) - 1e14), [1.0, 2.0], "pass"),
    ("rounding in the end", lambda x: x + 1e17, [1.0, 2.0], "pass"),
    ("a share that rounding hides", lambda x: (1e-3 * x, 1e-11 * x.tanh() + 1e7), [1.0, 1e9], "pass"),
    ("rounding around a kink", lambda x: 3 * ((x.abs() + 1e14) - 1e14), [1.0, 2.0], "inconclusive"),
    ("infinities", lambda x: x.exp(), [math.inf, -math.inf, 1.0], "inconclusive"),
    ("NaN", lambda x: x.exp(), [math.nan, 1.0], "inconclusive"),
    ("a vertical slope", lambda x: x.abs().sqrt(), [0.0, 1.0], "inconclusive"),
    ("a smooth point of |x|", lambda x: x * x.abs(), [0.0, 1.0], "pass"),
]


@pytest.mark.parametrize(("name", "fn", "values", "verdict"), RIGHT, ids=lambda v: v if isinstance(v, str) else "")
def test_right_gradients_do_not_fail(name: str, fn: Any, values: list[float], verdict: str) -> None:
    report = verify(fn, tg.tensor(values, dtype=tg.float64))
    assert report.verdict == verdict, str(report)


WITNESSED = [lambda x: x.sin(), lambda x: 3 * ((x + 1e17) - 1e17), lambda x: (x + 1e14) * 2.0]


@pytest.mark.parametrize("fn", WITNESSED)
def test_the_complex_step_confirms_and_does_not_accuse(fn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x = tg.tensor([1e17, 3e17] if fn is WITNESSED[0] else [1.0, 2.0], dtype=tg.float64)
    for order in (1, 2) if fn is WITNESSED[0] else (1,):
        report = verify(fn, x, order=order)
        assert report.verdict == "pass", str(report)
        assert "complex step confirms" in report.notes[0]
    monkeypatch.setattr(complex_step.ComplexStep, "slope", lambda *args: (1e-7, 1e-6))
    assert {f.kind for f in verify(fn, x).findings} <= {"precision", "vacuous"}
    assert verify(fn, x).verdict == "inconclusive"
    monkeypatch.undo()
    for wrong in (lambda ctx, g: 1.001 * g, lambda ctx, g: g):  # without a definition in NumPy there is no witness
        own = function("Own", lambda x: 1.0 * x, wrong)
        assert verify(lambda x, own=own: fn(own(x)), x).verdict != "pass"


def test_the_complex_step_believes_only_what_it_may() -> None:
    def step(fn: Any, x: Any) -> Any:
        bench = Workbench(fn, x, None)
        with bench.in_float64():
            (leaf,) = bench.leaves.values()
            return complex_step.ComplexStep(bench).slope(leaf, 0, [np.ones_like(bench.evaluate()[0])])

    at = tg.tensor([0.7, 0.2], dtype=tg.float64)
    slope, size = step(lambda x: (x * x).sin(), at)
    assert slope == pytest.approx(1.4 * math.cos(0.49), rel=1e-15)
    assert size == pytest.approx(abs(slope))
    assert step(lambda x: tg.nn.functional.layer_norm(tg.stack([x, x.sigmoid()]), [2]).tanh(), at) is not None

    def written(x: Any) -> Any:
        y = x * 2
        y[0] = y[0] * x[1]
        return y

    for fn in (
        tg.abs,
        lambda x: x.abs().exp(),
        tg.floor,
        written,
        lambda x: x.detach() * x,
        function("No", tg.exp, tg.exp),
    ):
        assert step(fn, at) is None
    assert step(tg.relu, tg.zeros(2)) is None  # one way it is 1, the other way 0
    assert step(lambda x: x.max(), tg.zeros(2)) is None


def test_an_error_beside_outputs_that_rounding_holds_still() -> None:
    for factor, kind in ((1.0, "precision"), (1.0005, "scale")):
        small = function("Small", lambda x: 1e-3 * x, lambda ctx, g, c=factor: 1e-3 * c * g)
        x = tg.tensor([1.0, 1e9], dtype=tg.float64)
        report = verify(lambda x, f=small: (f(x), 1e-11 * x.tanh() + 1e7), x)
        (finding,) = report.findings
        assert finding.kind == kind, str(report)
        assert (abs(finding.analytic - finding.numeric) <= finding.error_bar) == (kind == "precision")


def test_a_function_that_refuses_points_outside_its_domain() -> None:
    p = tg.tensor([0.0, 1.0, 0.5], dtype=tg.float64)
    target = tg.tensor([0.0, 1.0, 1.0], dtype=tg.float64)
    report = verify(lambda p: nn.functional.binary_cross_entropy(p, target), p)
    assert {f.kind for f in report.findings} == {"not-finite"}


def test_empty_and_complex_inputs_are_vacuous() -> None:
    for x, words in ((tg.zeros(0), "no elements"), (tg.tensor([1 + 2j]), "complex128|complex64")):
        report = verify(lambda x: x * 2, x)
        assert kinds(report) == [("vacuous", None)]
        assert any(word in report.findings[0].hint for word in words.split("|"))


def test_softplus_beyond_its_threshold_has_a_second_derivative() -> None:
    # The rule once was 0 there while the gradient was not constant.
    assert verify(tg.nn.functional.softplus, tg.tensor([21.0, 25.0, 0.5]), order=2)


# --- culprits -----------------------------------------------------------------------------------------------------


def test_the_second_of_two_outputs() -> None:
    two = function("Two", lambda x: (2 * x, x * x), lambda ctx, a, b: 2 * a + b * ctx.saved_tensors[0])
    assert kinds(verify(two, X)) == [("scale", "Two")]
    assert kinds(verify(lambda x: two(x)[1].sum(), X)) == [("scale", "Two")]


def test_what_a_function_keeps_as_an_attribute() -> None:
    def forward(ctx: Any, x: Any) -> Any:
        ctx.x, ctx.y = x, x.exp()
        return ctx.y.clone()

    for name, backward, found in (
        ("Right", lambda ctx, g: g * ctx.y, []),
        ("Mistaken", lambda ctx, g: g * ctx.x, [("output-for-input", "Mistaken")]),
    ):
        body = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
        assert kinds(verify(type(name, (Function,), body).apply, X)) == found


def test_what_a_function_saved_and_somebody_wrote_to() -> None:
    class Exp(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.saved_tensors[0]

    def fn(x: Any) -> Any:
        y = Exp.apply(x)
        z = y * 1.0
        y.detach().numpy()[...] = 0
        return z

    assert kinds(verify(fn, X)) == [("saved-modified", "Exp")]


def test_an_op_after_a_transposed_layout_is_not_blamed() -> None:
    # The copy of its operand kept Fortran order, in which the moved elements were those of another copy.
    halves = function("Half", lambda x: x[:, [2, 0, 2]], lambda ctx, g: g @ tg.zeros(3, 4, dtype=g.dtype))
    x = tg.tensor(np.random.default_rng(0).standard_normal((3, 4)))
    report = verify(lambda x: halves(x).reshape(1, -1) * 2.0, x)
    assert {op for _, op in kinds(report)} == {"Half"}


def test_a_large_op_that_is_right_is_not_blamed() -> None:
    minus = function("Minus", lambda x: -x, lambda ctx, g: g)
    report = verify(lambda x: minus(x.exp()).tanh(), tg.tensor(np.linspace(-1, 1, 1000)))
    assert kinds(report) == [("sign", "Minus")]


def test_an_op_that_refuses_points_can_be_the_culprit() -> None:
    def entropy(p: Any) -> Any:
        if bool((p <= 0).any()):
            raise RuntimeError("p must be above 0")
        return -p * p.log()

    wrong = function("Entropy", entropy, lambda ctx, g: g * (1 - ctx.saved_tensors[0].log()))
    report = verify(wrong, tg.tensor([1e-9, 0.5, 0.25], dtype=tg.float64))
    assert kinds(report) == [("wrong", "Entropy")]


def test_names_of_a_functions_operands() -> None:
    times = function("Times", lambda x, weight: x * weight, lambda ctx, g: (g * ctx.saved_tensors[1], None))

    class Named(Function):
        @staticmethod
        def forward(ctx: Any, x: Any, weight: Any) -> Any:
            ctx.save_for_backward(x, weight)
            return x * weight

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.saved_tensors[1], g * 0

    assert kinds(verify(times, (X, X + 1))) == [("forgotten-term", "Times")]
    (finding,) = verify(Named.apply, (X, X + 1)).findings
    assert "gradient of weight is zero" in finding.hint


# --- modules ------------------------------------------------------------------------------------------------------


def test_a_module_with_buffers_dropout_and_gradients_is_left_as_it_was() -> None:
    tg.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 2))
    x, y = tg.randn(8, 4), tg.randn(8, 2)
    nn.functional.mse_loss(net(x), y).backward()
    before = {k: v.numpy().copy() for k, v in net.state_dict().items()}
    grads = {k: p.grad.numpy().copy() for k, p in net.named_parameters()}
    gradients, arrays = {k: p.grad for k, p in net.named_parameters()}, {k: p._array for k, p in net.named_parameters()}
    state = tg.get_rng_state().numpy().copy()

    report = verify(lambda: nn.functional.mse_loss(net(x), y), net)  # draws a mask at every call
    assert report.findings[0].kind == "nondeterministic"

    def seeded() -> Any:
        tg.manual_seed(3)
        return nn.functional.mse_loss(net(x), y)

    report = verify(seeded, net)
    assert report.verdict != "fail", str(report)  # the bias before a batch norm has no effect
    assert {f.kind for f in report.findings} <= {"vacuous", "kink"}

    def evaluated() -> Any:
        net.eval()
        try:
            return nn.functional.mse_loss(net(x), y)
        finally:
            net.train()

    assert verify(evaluated, net).verdict != "fail"
    assert net.training
    assert all(m.training for m in net.modules())
    for k, v in net.state_dict().items():
        np.testing.assert_array_equal(v.numpy(), before[k], err_msg=k)
    for k, p in net.named_parameters():
        assert p.dtype is tg.float32
        assert p._array is arrays[k]
        assert p.grad is gradients[k]
        np.testing.assert_array_equal(p.grad.numpy(), grads[k], err_msg=k)
    np.testing.assert_array_equal(tg.get_rng_state().numpy(), state)
    assert x.dtype is y.dtype is tg.float32


def test_shared_parameters_are_one() -> None:
    lin = nn.Linear(3, 3)
    net = nn.Sequential(lin, nn.Tanh(), lin)
    report = verify(lambda: net(tg.ones(2, 3)).sum(), net)
    assert report, str(report)
    assert list(report.inputs) == ["0.weight", "0.bias"]


def test_the_bound_on_what_a_sample_may_miss_is_told() -> None:
    report = verify(lambda x: (x * x).sum(), tg.rand(100, 100))
    assert report.verdict == "pass"
    assert report.checked < report.elements == 10_000
    assert "missed with a probability below 2e-09" in report.notes[0]


@pytest.mark.slow
def test_a_million_parameters_in_a_minute() -> None:
    tg.manual_seed(0)
    net = nn.Sequential(nn.Linear(1000, 900), nn.Tanh(), nn.Linear(900, 110))
    x, y = tg.randn(16, 1000), tg.randn(16, 110)
    assert sum(p.numel() for p in net.parameters()) > 999_000
    start = time.process_time()
    assert verify(lambda: nn.functional.mse_loss(net(x), y), net)
    assert time.process_time() - start < 60


def test_a_pole_that_long_steps_reach_hides_no_mistake():
    """Beside 1e24, which stands outside (0, 1), everything would be rounding."""

    class Steep(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return 1 / (x * (1 - x)).clamp(min=1e-12) ** 2

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * g * (1 - 2 * x) / (x * (1 - x)) ** 3  # the sign is missing

    report = verify(Steep.apply, tg.tensor([0.3, 0.8, 0.7]))
    assert report.verdict == "fail"
    assert (report.findings[0].kind, report.findings[0].op) == ("sign", "Steep")
