"""Gradient checks as people new to them write them: rules that raise, functions with effects, wrong arguments."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_loss as tg
from tinygrad_loss import nn
from tinygrad_loss.autograd import Function, verify
from tinygrad_loss.op import ROWS, mode, op
from tinygrad_loss.verify import main

F = nn.functional
X = tg.tensor(np.random.default_rng(0).standard_normal((3, 4)))
V = tg.tensor([0.3, 0.7, 1.1, -0.4], dtype=tg.float64)


def function(name: str, forward: Callable[..., Any], backward: Callable[..., Any]) -> Any:
    return type(
        name, (Function,), {"forward": staticmethod(lambda ctx, *x: forward(*x)), "backward": staticmethod(backward)}
    ).apply


def only(report: Any) -> Any:
    (finding,) = report.findings
    return finding


# --- rules that raise ---------------------------------------------------------------------------------------------


def raises(ctx: Any, g: Any) -> Any:
    return {}["absent"]


RAISING: list[tuple[Callable[..., Any], str, str]] = [
    (raises, "wrong", r"the rule raised: KeyError: 'absent' \(.*test_verify_misuse.py:\d+\)"),
    (lambda ctx, g: g * (1 / 0), "wrong", "ZeroDivisionError"),
    (lambda ctx, g: g.no_such_method(), "wrong", "AttributeError"),
    (lambda ctx, g: tg.ones(7), "wrong", r"of shape \[7\] for an operand of shape \[3, 4\]"),
    (lambda ctx, g: g.T, "transposed", "transpose it"),
]


@pytest.mark.parametrize(("backward", "kind", "hint"), RAISING, ids=[kind + hint[:9] for _, kind, hint in RAISING])
def test_a_rule_that_raises_is_a_finding(backward: Any, kind: str, hint: str) -> None:
    report = verify(function("Broken", lambda x: 2 * x, backward), X)
    finding = only(report)
    assert report.verdict == "fail"
    assert (finding.kind, finding.op) == (kind, "Broken")
    assert math.isnan(finding.analytic)
    assert math.isfinite(finding.numeric)
    assert re.search(hint, finding.hint)


def test_channels_that_nobody_summed() -> None:
    add = function("AddBias", lambda x, b: x + b.reshape(1, 3, 1), lambda ctx, g: (g, g))
    finding = only(verify(add, (tg.rand(2, 3, 4), tg.rand(3))))
    assert (finding.kind, finding.op) == ("missing-unbroadcast", "AddBias")
    assert "sum it over the other dimensions" in finding.hint


def test_a_saved_value_that_was_written_to_in_the_open() -> None:
    def fn(x: Any) -> Any:
        y = x.exp()
        z = y * 1
        y.add_(1)
        return z

    finding = only(verify(fn, V))
    assert (finding.kind, finding.op) == ("saved-modified", "exp")
    assert "last written by add_" in finding.hint
    assert "version counter" not in finding.hint


def test_a_rule_that_writes_to_the_incoming_gradient() -> None:
    for amount, kind in ((0.0, "zero-gradient"), (3.0, "scale")):
        twice = function("Twice", lambda x: x * 2, lambda ctx, g, amount=amount: g.mul_(amount))
        report = verify(lambda x, f=twice: f(x) * 1.0 + x, V)
        assert (only(report).kind, only(report).op) == (kind, "Twice")


def test_a_function_that_writes_to_its_operand() -> None:
    class Double(Function):
        @staticmethod
        def forward(ctx: Any, *xs: Any) -> Any:
            ctx.mark_dirty(xs[0])
            return xs[0].mul_(2)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 3

    finding = only(verify(lambda x: Double.apply(x * 1.0) * 1.0, V))
    assert (finding.kind, finding.op) == ("scale", "Double")
    assert finding.hint == "the gradient of operand 0 is 3/2 times the right one"


@pytest.mark.parametrize(
    ("op", "fn", "values"),
    [
        ("div", lambda x: tg.where(x != 0, x.sin() / x, 1.0), [0.0, 1.0]),
        ("sqrt", lambda x: tg.where(x > 0, x.sqrt(), 2 * x), [-1.0, 1.0]),
        ("sqrt", lambda x: tg.where(x > 0.5, x.sqrt(), x * x), [0.0, 1.0]),
    ],
)
def test_nan_from_the_branch_that_where_leaves_out(op: str, fn: Any, values: list[float]) -> None:
    finding = only(verify(fn, tg.tensor(values)))
    assert (finding.kind, finding.op, finding.index) == ("wrong", op, (0,))
    assert math.isnan(finding.analytic)
    assert "behind where()" in finding.hint


# --- what leaves the tape -----------------------------------------------------------------------------------------

CUT: list[tuple[str, Callable[..., Any]]] = [
    ("mul", lambda x: x * x.sum().item()),
    ("mul", lambda x: x * x.detach().numpy()),
    ("pow", lambda x: (x + 3) ** float(x[0])),
    ("leaky_relu", lambda x: F.leaky_relu(x, x[0].item())),
]


@pytest.mark.parametrize(("name", "fn"), CUT, ids=[str(k) for k in range(len(CUT))])
def test_numbers_and_arrays_cut_the_tape(name: str, fn: Any) -> None:
    finding = only(verify(fn, V))
    assert (finding.kind, finding.op) == ("detached", name)


def test_an_op_without_a_rule() -> None:
    cube = op("cube_without_rule", lambda x: x**3)
    try:
        finding = only(verify(cube, V))
    finally:
        del ROWS["cube_without_rule"]
    assert (finding.kind, finding.op) == ("detached", "cube_without_rule")
    assert "vjp" in finding.hint


# --- float64 whatever the function asks for -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: x.float().sin(),
        lambda x: x.half().sin() + x.to(tg.float16) * x.type(tg.float32),
        lambda x: (x > 0).float() * x * x,
    ],
)
def test_casts_inside_do_not_round(fn: Any) -> None:
    for x in (X, X.float()):
        assert verify(fn, x), str(verify(fn, x))
    assert not mode.wide
    assert X.float().dtype is tg.float32


def test_a_check_inside_a_check() -> None:
    def fn(x: Any) -> Any:
        assert verify(tg.exp, V)
        return x.float().exp()

    assert verify(fn, X)
    assert not mode.wide


def test_a_matrix_of_a_fixed_dtype_inside() -> None:
    weight = np.ones((4, 2), np.float32)
    with pytest.raises(RuntimeError, match=r"verify works in float64.*dtype=x.dtype"):
        verify(lambda x: x @ tg.tensor(weight), X.float())
    assert not mode.wide
    assert verify(lambda x: x @ tg.tensor(weight, dtype=x.dtype), X.float())


# --- functions with effects ---------------------------------------------------------------------------------------


def test_train_mode_and_gradients_are_put_back() -> None:
    net, x = nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.5)), tg.randn(3, 4)

    def evaluated() -> Any:
        net.eval()
        return net(x).square().mean()

    assert verify(evaluated, net)
    assert all(part.training for part in net.modules())

    net = nn.Sequential(nn.Linear(4, 2))
    for grads in (False, True):
        if grads:
            net(x).sum().backward()
        before = {k: p.grad for k, p in net.named_parameters()}
        held = {k: g.numpy().copy() for k, g in before.items() if g is not None}

        def differentiated() -> Any:
            loss = net(x).square().mean()
            loss.backward(retain_graph=True)
            return loss

        assert verify(differentiated, net)
        for k, p in net.named_parameters():
            assert p.grad is before[k]
            if grads:
                np.testing.assert_array_equal(p.grad.numpy(), held[k])


def test_a_function_that_writes_to_its_input() -> None:
    net, x = nn.Linear(4, 2), tg.randn(3, 4)
    optimizer, before = tg.optim.SGD(net.parameters(), lr=0.1), net.weight.detach().numpy().copy()

    def step() -> Any:
        loss = net(x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    finding = only(verify(step, net))
    assert (finding.kind, finding.op) == ("nondeterministic", "linear")
    assert "the function writes to weight itself" in finding.hint
    np.testing.assert_array_equal(net.weight.detach().numpy(), before)
    finding = only(verify(lambda x: x.data.mul_(2) * x, V))
    assert "the function writes to input itself" in finding.hint


def test_dropout_is_named() -> None:
    finding = only(verify(lambda x: F.dropout(x, 0.5), X))
    assert (finding.kind, finding.op) == ("nondeterministic", "mul")
    assert "from this op of dropout on" in finding.hint


def test_a_function_that_uses_the_tensor_and_not_its_argument() -> None:
    net, x = nn.Linear(4, 2), tg.randn(3, 4)
    report = verify(lambda *parameters: net(x), list(net.parameters()))
    assert {f.kind for f in report.findings} == {"vacuous"}
    assert all("and not its argument" in f.hint and "module" in f.hint for f in report.findings)
    assert "argument" not in only(verify(lambda x: tg.ones(2), V)).hint


# --- files --------------------------------------------------------------------------------------------------------

FILES = {
    "raises": (
        "def verify_one():\n    raise KeyError('mine')\ndef check_two():\n    return verify(tg.exp, tg.ones(1))\n",
        1,
        "RAISED.*line 4, in verify_one.*KeyError: 'mine'.*check_two.*PASS",
    ),
    "asserts": (
        "def check_it():\n    return tg.testing.assert_gradients(lambda x: x.detach() * x, tg.ones(1))\n",
        1,
        "RAISED: FAIL.*detached in mul",
    ),
    "helpers": ("def check_shape(x, y): pass\ndef verify_it(k=3): return verify(tg.exp, tg.ones(k))\n", 0, "PASS"),
    "syntax": ("def f(:\n", 2, "cannot be run.*SyntaxError"),
    "imports": ("import no_such_module\n", 2, "cannot be run.*ModuleNotFoundError"),
    "exits": ("raise SystemExit(7)\n", 2, "cannot be run.*SystemExit: 7"),
    "nothing": ("def verify_none(): return []\n", 2, "verify_none"),
    "random": ("def verify_it(): return verify(tg.exp, tg.ones(1))\n", 0, "PASS"),
}


@pytest.mark.parametrize("name", list(FILES))
def test_the_command_on_files_of_all_kinds(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, code, words = FILES[name]
    path = tmp_path / f"{name}.py"
    path.write_text(f"import tinygrad_loss as tg\nfrom tinygrad_loss.autograd import verify\n{text}", encoding="utf-8")
    modules, before = dict(sys.modules), list(sys.path)
    try:
        got = main([str(path)])
    except SystemExit as stop:
        got = stop.code
    finally:
        sys.path[:] = before
    out, err = capsys.readouterr()
    assert got == code
    assert re.search(words, out + err, re.DOTALL), out + err
    assert "tinygrad_loss/verify.py" not in (out + err)
    assert all(sys.modules[k] is v for k, v in modules.items())


# --- wrong arguments ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: verify(V, V), TypeError, r"got Tensor: write verify\(fn, inputs\)"),
        (lambda: verify(lambda a, b: a, V), TypeError, "calls the function with 1 inputs, but it takes .*'b'"),
        (lambda: verify(lambda x: x, nn.Linear(2, 2)), TypeError, "a module, so without arguments"),
        (lambda: verify(tg.exp, {"x": V}), TypeError, "got dict as input 0.*a list or a tuple of Tensors"),
        (lambda: verify(lambda x: {"y": x}, V), TypeError, "got dict: return the Tensors themselves"),
        (lambda: verify(lambda x: x.sum().item(), V), TypeError, r"got float.*without item\(\)"),
        (lambda: verify(tg.mul, (V, V), names=["x", "x"]), ValueError, "a name of its own"),
        (lambda: verify(tg.mul, nn.Linear(2, 2), names=["x", "y"]), ValueError, "names are for tensors"),
        (lambda: verify(tg.exp, V, tol=-1.0), ValueError, "tol is a relative difference, 0 or more, got -1.0"),
        (lambda: verify(tg.exp, V, tol=math.nan), ValueError, "got nan"),
        (lambda: verify(tg.exp, V, tol="a"), ValueError, "got 'a'"),  # type: ignore[arg-type]
    ],
)
def test_wrong_arguments_are_explained(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
