"""The gradient check: what is right passes at every scale, what is wrong is found, named and explained."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_loss as tg
from tinygrad_loss import nn
from tinygrad_loss.autograd import finite_difference, gradcheck, gradgradcheck, verify
from tinygrad_loss.op import ROWS, wrap
from tinygrad_loss.testing import assert_gradients
from tinygrad_loss.verify import main


@contextmanager
def mutated(name: str, *rules: Any) -> Iterator[None]:
    """Let a row have other rules; None keeps one. A rule takes what the right one takes."""
    row = ROWS[name]
    before = row.rules
    row.rules = tuple(new or old for new, old in zip(rules, before, strict=True))
    try:
        yield
    finally:
        row.rules = before


def kinds(report: Any) -> list[tuple[str, str | None]]:
    return [(f.kind, f.op) for f in report.findings]


X = tg.tensor(np.random.default_rng(0).standard_normal((3, 4)))


# --- right gradients pass, at every scale -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fn", "x"),
    [
        (lambda x: (x.sigmoid() * x).sum(), X),
        (lambda x: x.softmax(1), X),
        (lambda x: x.logsumexp(1), X),
        (lambda x: x * 1.0, tg.tensor([1e10, 1.0, -3e10])),
        (lambda x: 1e-6 * x**2, tg.tensor([1e-8, 1.0, 3.0])),
        (lambda x: x.log(), tg.tensor([1e-8, 1.0, 1e-30])),
        (lambda x: 1 / x, tg.tensor([1e-6, 2.0, -1e6])),
        (lambda x: (x * 1e8).tanh(), tg.tensor([1e-8, -2e-8])),
        (lambda x: x.exp(), tg.tensor([-30.0, 0.0, 30.0])),
        (lambda x: x @ x.T, X),
        (lambda x: (x[0], x.sum(0), x.argmax(1)), X),
        (lambda x: x.reshape(-1), X.float()),
    ],
)
def test_right_gradients_pass(fn: Callable[..., Any], x: tg.Tensor) -> None:
    for order in (1, 2):
        report = verify(fn, x, order=order)
        assert report.verdict != "fail", str(report)
        if order == 1:
            assert report, str(report)


def model() -> nn.Module:
    tg.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3), nn.Sigmoid())


def test_a_module_by_parameter_names_restored_afterwards() -> None:
    net, x, y = model(), tg.rand(6, 5), (tg.rand(6, 3) > 0.5).float()
    loss = nn.BCELoss()
    loss(net(x), y).backward()
    before = {k: v.numpy().copy() for k, v in net.state_dict().items()}
    grads = {k: p.grad.numpy().copy() for k, p in net.named_parameters()}
    state = tg.get_rng_state().numpy()
    report = verify(lambda: loss(net(x), y), net)
    assert report, str(report)
    assert list(report.inputs) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert report.checked == report.elements == 5 * 7 + 7 + 7 * 3 + 3
    for name, p in net.named_parameters():
        assert p.dtype is tg.float32
        np.testing.assert_array_equal(p.detach().numpy(), before[name])
        np.testing.assert_array_equal(p.grad.numpy(), grads[name])
    assert x.dtype is tg.float32
    assert y.dtype is tg.float32
    np.testing.assert_array_equal(tg.get_rng_state().numpy(), state)
    assert tg.get_default_dtype() is tg.float32
    assert loss(net(x), y).dtype is tg.float32


def test_everything_is_restored_when_the_function_raises() -> None:
    x = tg.rand(3)
    constant = tg.rand(3)
    calls = []

    def fn(x: tg.Tensor) -> tg.Tensor:
        calls.append(1)
        if len(calls) > 3:
            raise KeyError("mine")
        return x * constant

    with pytest.raises(KeyError, match="mine"):
        verify(fn, x)
    assert constant.dtype is tg.float32
    assert tg.get_default_dtype() is tg.float32


def test_names_and_arguments() -> None:
    report = verify(lambda a, b: a * b, (X, X), names=["left", "right"])
    assert list(report.inputs) == ["left", "right"]
    for call, words in (
        (lambda: verify(tg.exp, X, order=3), "order must be 1 or 2"),
        (lambda: verify(tg.exp, X, names=["a", "b"]), "1 inputs and 2 names"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    with pytest.raises(TypeError, match="verify checks Tensors, got list as input 0"):
        verify(tg.exp, [[1.0]])
    with pytest.raises(TypeError, match="must return a Tensor"):
        verify(lambda x: x.detach().numpy(), X)


# --- nothing can be said ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fn", "x", "value", "low", "high"),
    [
        (tg.relu, [0.0, 1.0, -1.0], 0.0, 0.0, 1.0),
        (tg.abs, [0.0, 2.0], 0.0, -1.0, 1.0),
        (lambda x: x.clamp(min=0), [0.0, 2.0], 1.0, 0.0, 1.0),
        (lambda x: x.max(), [2.0, 2.0, 1.0], 0.5, 0.0, 1.0),
    ],
)
def test_kinks_are_inconclusive_with_the_range(fn: Any, x: list[float], value: float, low: float, high: float) -> None:
    report = verify(fn, tg.tensor(x))
    assert report.verdict == "inconclusive"
    (finding,) = report.findings
    assert finding.kind == "kink"
    assert finding.index == (0,)
    ends = [float(v) for v in finding.hint.split("[")[1].split("]")[0].split(", ")]
    scale = (max(ends) - min(ends)) / (high - low)  # the cotangent is random
    assert finding.analytic == pytest.approx(math.copysign(1, finding.analytic or 1) * abs(value) * scale, rel=1e-5)
    assert min(ends) - 1e-5 <= finding.analytic <= max(ends) + 1e-5


def test_a_value_outside_the_range_of_subgradients_fails() -> None:
    with mutated("relu", lambda g, *saved: g * 1.5):
        assert verify(tg.relu, tg.tensor([0.0, 1.0])).verdict == "fail"


def test_vacuous_checks_are_refused() -> None:
    for fn, words in (
        (lambda x: x.softmax(1).sum(), "zero everywhere"),
        (lambda x: (x * 0.0).sum(), "zero everywhere"),
        (lambda x: tg.ones(2), "does not depend on this input"),
    ):
        report = verify(fn, X)
        assert report.verdict == "inconclusive"
        assert kinds(report) == [("vacuous", None)]
        assert words in report.findings[0].hint
    report = verify(lambda n: n * 2, tg.tensor([1, 2]))
    assert kinds(report) == [("vacuous", None)]
    assert "integers" in report.findings[0].hint
    assert verify(lambda x, n: x * n, (X, tg.tensor([1, 2, 3, 4]))).verdict == "inconclusive"


def test_random_functions_are_named() -> None:
    report = verify(lambda x: x * tg.rand(3, 4), X)
    assert report.verdict == "inconclusive"
    assert kinds(report) == [("nondeterministic", "mul")]
    assert "manual_seed" in report.findings[0].hint
    assert "test_verify.py" in report.findings[0].where


def test_values_that_are_not_finite() -> None:
    report = verify(tg.sqrt, tg.tensor([0.0, 1.0]))
    assert kinds(report) == [("not-finite", None)]
    with mutated("exp", lambda g, y: g * y * math.nan):
        assert verify(tg.exp, X).verdict == "fail"  # NaN is never equal to anything
    with mutated("exp", lambda g, y: g * y * math.inf):
        assert verify(tg.exp, X).verdict == "fail"


# --- the culprit and its mistake ----------------------------------------------------------------------------------


def shift(a: Any) -> Any:
    return np.roll(a, 1, -1) if isinstance(a, np.ndarray) else a


MISTAKES: list[tuple[str, str, tuple[Any, ...], str]] = [
    ("sign", "sigmoid", (lambda g, x: -tg.ops.activation.sigmoid_grad(g, x),), "wrong sign"),
    ("scale", "tanh", (lambda g, y: 2 * g * (1 - y * y),), " 2 times"),
    ("scale", "tanh", (lambda g, y: 1.0005 * g * (1 - y * y),), "1.0005 times"),
    ("scale", "linear", (None, None, lambda g: g.mean(0)), "1/N"),
    ("shifted", "tanh", (lambda g, y: shift(g * (1 - y * y)),), "off by one"),
    ("zero-gradient", "tanh", (lambda g, y: g * 0.0,), "zero everywhere"),
    ("forgotten-term", "linear", (None, None, lambda g: g.sum(0) * 0.0), "forgotten"),
    ("ignores-incoming", "tanh", (lambda g, y: 1 - y * y,), "multiply by g"),
    ("missing-unbroadcast", "linear", (None, None, lambda g: g[0]), "broadcast"),
    ("transposed", "linear", (None, lambda g, x: x.T @ g, None), "transpose"),
    ("wrong", "tanh", (lambda g, y: g * (1 - y**3),), ""),
]


@pytest.mark.parametrize(("kind", "op", "rules", "hint"), MISTAKES, ids=lambda v: v if isinstance(v, str) else None)
def test_the_culprit_is_named_inside_a_model(kind: str, op: str, rules: tuple[Any, ...], hint: str) -> None:
    net, x, y = model(), tg.rand(6, 5), (tg.rand(6, 3) > 0.5).float()
    with mutated(op, *rules):
        report = verify(lambda: nn.BCELoss()(net(x), y), net)
    assert report.verdict == "fail"
    assert kinds(report) == [(kind, op)], str(report)
    (finding,) = report.findings
    assert hint in finding.hint
    assert "test_verify.py:" in finding.where
    assert finding.input in report.inputs
    assert not abs(finding.analytic - finding.numeric) <= 5 * finding.error_bar  # NaN where the rule raised
    assert kind in str(report)
    assert op in report._repr_html_()


def test_one_wrong_element_is_found() -> None:
    def rule(g: Any, y: Any) -> Any:
        out = np.array(g * (1 - y * y))
        out[1, 2] *= 1.001
        return out

    with mutated("tanh", rule):
        report = verify(tg.tanh, X)
    assert kinds(report) == [("wrong", "tanh")]
    assert report.findings[0].index == (1, 2)


def test_one_wrong_element_of_a_large_input_is_found() -> None:
    x = tg.rand(100, 100)

    def rule(g: Any, y: Any) -> Any:
        out = np.array(g * (1 - y * y))
        out[37, 21] += 0.1
        return out

    assert verify(tg.tanh, x)
    with mutated("tanh", rule):
        report = verify(tg.tanh, x)
    assert report.verdict == "fail"
    assert report.findings[0].index == (37, 21)
    assert "missed with a probability below" in verify(tg.tanh, x).notes[0]


def test_overwritten_instead_of_accumulated() -> None:
    def rule(g: Any, *rest: Any) -> Any:
        out = np.zeros((3, 4))
        out[np.array([0, 2, 0])] = g
        return out

    with mutated("index", rule):
        report = verify(lambda x: x[[0, 2, 0]] * 1.0, X)
    assert kinds(report) == [("overwritten", "index")]


def test_output_for_input() -> None:
    row = ROWS["exp"]
    before = row.rules, row.pickers, row.sources
    rule = lambda g, x: g * x  # noqa: E731 -- as a row spells it
    picker, sources = row._picker(rule)
    row.rules, row.pickers, row.sources = (rule,), [picker], [sources]
    try:
        report = verify(tg.exp, tg.rand(3, 4))
    finally:
        row.rules, row.pickers, row.sources = before
    assert kinds(report) == [("output-for-input", "exp")]


def test_detached() -> None:
    for fn, op in (
        (lambda x: (x.detach() * x).sum(), "mul"),
        (lambda x: tg.tensor(x.detach().numpy() ** 2) + x, "add"),
        (lambda x: x * x.data.exp(), "exp"),
    ):
        report = verify(fn, X)
        assert kinds(report) == [("detached", op)], str(report)

    def inside(x: tg.Tensor) -> tg.Tensor:
        with tg.no_grad():
            y = x.exp()
        return x * y

    assert kinds(verify(inside, X)) == [("detached", "exp")]


def test_saved_values_that_were_modified() -> None:
    def fn(x: tg.Tensor) -> tg.Tensor:
        y = x.exp()
        z = y * 1.0
        y.data._array[...] *= 2
        return z

    assert kinds(verify(fn, X)) == [("saved-modified", "exp")]


def test_second_order_names_the_op_of_the_backward() -> None:
    with mutated("sigmoid_grad", None, lambda g, *rest: g * 0.3):
        assert verify(tg.sigmoid, X)  # the first order is right
        report = verify(tg.sigmoid, X, order=2)
    assert report.verdict == "fail"
    assert {f.op for f in report.findings} == {"sigmoid_grad"}
    with mutated("sigmoid", lambda g, x: g * 0.3):
        report = verify(tg.sigmoid, X, order=2)
    assert report.notes == ["the first-order gradient is wrong already:"]


# --- around it ----------------------------------------------------------------------------------------------------


def test_assert_gradients() -> None:
    assert assert_gradients(tg.sigmoid, X).verdict == "pass"
    with pytest.raises(AssertionError, match=r"(?s)FAIL.*detached in mul"):
        assert_gradients(lambda x: (x.detach() * x).sum(), X)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "exercise.py"
    path.write_text(
        "import tinygrad_loss as tg\n"
        "from tinygrad_loss.autograd import verify\n"
        "def verify_right():\n    return verify(tg.exp, tg.tensor([1.0]))\n"
        "def verify_kink():\n    return verify(tg.relu, tg.tensor([0.0]))\n"
        "def verify_wrong():\n    return [verify(lambda x: x.detach() * x, tg.tensor([1.0]))]\n"
        "def other():\n    return 3\n",
        encoding="utf-8",
    )
    assert main([str(path)]) == 1
    assert main([f"{path}:verify_right"]) == 0
    assert main([f"{path}:verify_kink"]) == 2
    out = capsys.readouterr().out
    assert out.index("verify_right") < out.index("PASS") < out.index("verify_kink") < out.index("INCONCLUSIVE")
    assert main([f"{path}:other"]) == 1
    assert "return verify(fn, inputs)" in capsys.readouterr().out
    for target, words in ((f"{path}:absent", "no function 'absent'"), ("no.py", "there is no file 'no.py'")):
        with pytest.raises(SystemExit) as stop:
            main([target])
        assert stop.value.code == 2
        assert words in capsys.readouterr().err


def test_finite_difference_shows_the_v() -> None:
    table = finite_difference(tg.exp, tg.tensor([0.0, 1.0]), 1)
    assert table.reference == pytest.approx(math.e, rel=1e-11)
    assert table.analytic == pytest.approx(math.e, rel=1e-15)
    central = [row.central_error for row in table]
    best = int(np.argmin(central))
    assert 3 <= best <= 6
    assert central[0] == pytest.approx(math.e * 0.1**2 / 6, rel=0.01)  # h^2 f'''/6
    assert central[-1] > 1e3 * central[best]
    assert min(row.extrapolated_error for row in table) < min(central)
    assert "forward" in str(table)
    with pytest.raises(IndexError, match="not an element"):
        finite_difference(tg.exp, X, 1)


def test_gradcheck_is_a_drop_in() -> None:
    x = X.clone().requires_grad_()
    y = tg.rand(4, 2, dtype=tg.float64, requires_grad=True)
    assert gradcheck(lambda a, b: (a @ b).tanh(), (x, y))
    assert gradcheck(tg.sigmoid, x, fast_mode=True)
    assert gradgradcheck(lambda a, b: (a @ b).tanh(), (x, y))
    assert not gradcheck(lambda a: a.detach() * a, x, raise_exception=False)
    with pytest.raises(tg.autograd.GradcheckError, match="Jacobian mismatch for output 0 with respect to input 0"):
        gradcheck(lambda a: a.detach() * a, x)
    with pytest.raises(ValueError, match="at least one input tensor to require gradient"):
        gradcheck(tg.exp, X)
    with mutated("tanh_grad", None, lambda g, *rest: g * 0.5):
        assert gradcheck(tg.tanh, x)
        assert not gradgradcheck(tg.tanh, x, raise_exception=False)


@pytest.mark.parity
def test_gradcheck_agrees_with_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    values = X.numpy()
    for name in ("exp", "sigmoid", "tanh", "relu", "abs"):
        for point in (values, np.zeros((2, 2))):
            ours = gradcheck(getattr(tg, name), wrap(point.copy()).requires_grad_(), raise_exception=False)
            x = torch.tensor(point, requires_grad=True)
            assert ours == torch.autograd.gradcheck(getattr(torch, name), x, raise_exception=False), name
