"""The tape as a NumPy program: run alone, it gives the loss and the gradients that the package gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from row_samples import operands_of, samples_of

import tinygrad_loss as tg
from tinygrad_loss.op import ROWS, Row, Trace, wrap
from tinygrad_loss.tape.numpy_source import Writer

nn = tg.nn


CASES = [
    pytest.param(row, spec, params, id=f"{row.name}-{i}")
    for row in ROWS.values()
    for i, (spec, params) in enumerate(samples_of(row))
]


def close(got: Any, expected: Any) -> None:
    expected = np.asarray(expected)
    scale = np.abs(expected[np.isfinite(expected)]).max(initial=1e-300)
    assert np.shape(got) == expected.shape
    np.testing.assert_allclose(got, expected, rtol=2e-13, atol=2e-14 * max(scale, 1.0))


def check(program: str, loss: Any, gradients: dict[str, Any]) -> None:
    assert "tinygrad_loss." not in program.split('"""', 2)[2]
    found: dict[str, Any] = {}
    exec(program, found)
    close(found["loss"], loss._array)
    assert set(found["gradients"]) == {k for k, g in gradients.items() if g is not None}
    for k, g in found["gradients"].items():
        close(g, gradients[k]._array)


@pytest.mark.parametrize(("row", "spec", "params"), CASES)
def test_every_row_runs_as_numpy(row: Row, spec: Any, params: Any) -> None:
    tensors = [wrap(a) if isinstance(a, np.ndarray) else a for a in operands_of(row, spec)]
    leaves = {}
    for i, t in enumerate(tensors):
        if (
            isinstance(t, tg.Tensor)
            and t._array.dtype.kind in "fc"
            and (row.joint or (i < len(row.rules) and row.rules[i]))
        ):
            leaves[f"x{i}"] = t.requires_grad_()
    writer = Writer()
    Trace.listener = writer
    try:
        out = row.call(*tensors, **params)
    finally:
        Trace.listener = None
    out = out[0] if isinstance(out, tuple) else out
    if out._node is None:  # no gradient flows: the value alone
        found: dict[str, Any] = {}
        exec(writer.program(out._array, {}), found)
        close(found["loss"], out._array)
        return
    cotangent = wrap(np.random.default_rng(1).standard_normal(out._array.shape))
    program = tg.tape(out, names=leaves).to_numpy(cotangent)
    gradients = tg.autograd.grad(out, list(leaves.values()), cotangent, allow_unused=True)
    check(program, out, dict(zip(leaves, gradients, strict=True)))


def exported(loss: Any, module: Any) -> None:
    program = tg.tape(loss, module=module).to_numpy()
    parameters = dict(module.named_parameters())
    gradients = tg.autograd.grad(loss, list(parameters.values()), retain_graph=True)
    check(program, loss, dict(zip(parameters, gradients, strict=True)))


def test_mlp_runs_as_numpy() -> None:
    tg.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(5, 16), nn.ReLU(), nn.LayerNorm(16), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3)
    ).double()
    x, y = tg.randn(7, 5, dtype=tg.float64), tg.tensor([0, 1, 2, 0, 1, 2, 2])
    exported(nn.functional.cross_entropy(model(x), y), model)


def test_cnn_runs_as_numpy() -> None:
    tg.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 3)
    ).double()
    x, y = tg.randn(3, 1, 8, 8, dtype=tg.float64), tg.tensor([0, 2, 1])
    exported(nn.functional.cross_entropy(model(x), y), model)


def test_the_program_is_one_of_its_data_and_no_table_of_results() -> None:
    """With another input the same program gives what the package gives for it."""
    w = tg.tensor([[0.3, -0.2], [1.5, 0.7]], dtype=tg.float64, requires_grad=True)
    x = tg.tensor([[1.0, 2.0], [3.0, -4.0]], dtype=tg.float64)

    def f(x: Any) -> Any:
        return ((x @ w).sigmoid() * tg.tensor([1, 2])).pow(2).sum()

    other = tg.tensor([[0.5, 0.25], [-1.0, 2.0]], dtype=tg.float64)
    found: dict[str, Any] = {}
    exec(tg.tape(lambda: f(x), names={"w": w, "x": x}).to_numpy(), found)
    arguments = found["loss_and_gradients"].__code__.co_varnames[: found["loss_and_gradients"].__code__.co_argcount]
    loss, gradients = found["loss_and_gradients"](**{k: other._array if k == "x" else found[k] for k in arguments})
    expected = f(other)
    close(loss, expected._array)
    close(gradients["w"], tg.autograd.grad(expected, w)[0]._array)


def test_writes_in_place_are_exported() -> None:
    a = tg.tensor([1.0, 2.0, 3.0], dtype=tg.float64, requires_grad=True)

    def f(scale: float) -> Any:
        out = tg.zeros(3, 2, dtype=tg.float64)
        out[:, 0] = a * 2
        out[1] = a[:2].exp()
        out[...] = out * scale + 1
        out[tg.tensor([0, 2]), 1] += a[1:]
        return (out * out).sum()

    program = tg.tape(lambda: f(3.0), names={"a": a}).to_numpy()
    check(program, f(3.0), {"a": tg.autograd.grad(f(3.0), a)[0]})
    out = tg.ones(3, dtype=tg.float64)
    out[0] = a.sum()
    check(
        tg.tape((out * out).sum(), names={"a": a}).to_numpy(),
        (out * out).sum(),
        {"a": tg.autograd.grad((out * out).sum(), a)[0]},
    )


def test_float32_stays_float32() -> None:
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    whole = tg.tensor([1, 2])  # NumPy would make float64 of float32 and int64
    loss, gradients = tg.tape((w.exp() + whole).sum(), names={"w": w}).to_numpy().run()
    assert (loss.dtype, gradients["w"].dtype) == (np.float32, np.float32)


def test_a_constant_that_is_gone_is_named() -> None:
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    loss = (w * w + tg.tensor([5.0, 6.0])).sum()
    with pytest.raises(
        RuntimeError, match=r"operand 'b' of add, a constant used at .*test_tape_numpy.py:\d+, is no longer"
    ):
        tg.tape(loss).to_numpy()
    tg.tape(lambda: (w * w + tg.tensor([5.0, 6.0])).sum()).to_numpy().run()


def test_what_was_overwritten_since_is_refused() -> None:
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    loss = (w * w).sum()
    with tg.no_grad():
        w[:] = tg.zeros(2)
    with pytest.raises(RuntimeError, match=r"mul at .*test_tape_numpy.py"):
        tg.tape(loss).to_numpy()


def test_numbers_of_all_kinds_survive() -> None:
    x = tg.tensor([np.inf, -np.inf, np.nan, -0.0, 1e-310, 0.1], dtype=tg.float64, requires_grad=True)
    big = tg.tensor(np.linspace(-1, 1, 600).reshape(100, 6), requires_grad=True)
    loss = (x * big).clamp(-float("inf"), 3)
    found: dict[str, Any] = {}
    exec(tg.tape(loss, names={"x": x, "big": big}).to_numpy(), found)
    np.testing.assert_array_equal(found["x"].view(np.int64), x._array.view(np.int64))
    np.testing.assert_array_equal(found["loss"], loss._array)
