"""Every row: its value against its NumPy line, its rules against finite differences, the layouts of its inputs."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest
from row_samples import operands_of, samples_of

import tinygrad_loss as tg
from tinygrad_loss.op import ROWS, Row, TensorBase, wrap

Case = tuple[Row, tuple[Any, ...], dict[str, Any]]


CASES = [
    pytest.param(row, spec, params, id=f"{row.name}-{i}")
    for row in ROWS.values()
    for i, (spec, params) in enumerate(samples_of(row))
]
each_case = pytest.mark.parametrize(("row", "spec", "params"), CASES)


def is_float(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "fc"


def has_rule(row: Row, i: int) -> bool:
    if row.joint:
        return True
    return i < len(row.rules) and row.rules[i] is not None


def first(out: Any) -> Any:
    return out[0] if isinstance(out, tuple) else out


def call(row: Row, arrays: list[Any], params: dict[str, Any], need: list[int]) -> tuple[Any, list[Any]]:
    """Call a row on Tensors, of which those at ``need`` require a gradient."""
    tensors = [wrap(a) if isinstance(a, (np.ndarray, np.generic)) else a for a in arrays]
    for i in need:
        tensors[i].requires_grad_()
    if not any(isinstance(t, TensorBase) for t in tensors):
        raise AssertionError("a sample needs an array")
    return first(row.call(*tensors, **params)), tensors


def differences(f: Any, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The gradient of a scalar function by a five-point stencil (error of order h^4)."""
    out, h = np.zeros_like(x), 1e-3
    for i in np.ndindex(x.shape):
        points = []
        for k in (-2, -1, 1, 2):
            moved = x.copy()
            moved[i] += k * h
            points.append(f(moved))
        out[i] = (points[0] - 8 * points[1] + 8 * points[2] - points[3]) / (12 * h)
    return out


def replaced(arrays: list[Any], i: int, value: Any) -> list[Any]:
    return [value if j == i else a for j, a in enumerate(arrays)]


def differentiable(row: Row, arrays: list[Any]) -> list[int]:
    return [i for i, a in enumerate(arrays) if is_float(a) and has_rule(row, i)]


@pytest.mark.parametrize("row", ROWS.values(), ids=str)
def test_row_is_complete(row: Row) -> None:
    assert row.numpy is not None, f"op {row.name!r} has no NumPy line"
    assert row.domain is not None, f"op {row.name!r} has no sample domain"


@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.call.__doc__], ids=str)
def test_example_of_a_row_that_is_a_public_function(row: Row) -> None:
    examples = doctest.DocTestParser().get_doctest(row.call.__doc__ or "", {}, row.name, None, None)
    assert examples.examples
    assert doctest.DocTestRunner().run(examples).failed == 0


@each_case
def test_value_is_that_of_the_numpy_line(row: Row, spec: Any, params: Any) -> None:
    arrays = operands_of(row, spec)
    out, _ = call(row, arrays, params, [])
    expected = row.in_numpy(arrays, params)
    assert out._array.shape == np.shape(expected)
    np.testing.assert_allclose(out._array, expected, rtol=1e-12, atol=1e-12)
    raw = first(row.call(*[np.asarray(a) if is_float(a) else a for a in arrays], **params))
    np.testing.assert_array_equal(raw, out._array)


@each_case
def test_first_order_gradient(row: Row, spec: Any, params: Any) -> None:
    arrays = operands_of(row, spec)
    need = differentiable(row, arrays)
    out, tensors = call(row, arrays, params, need)
    if out._node is None:
        assert not need or out._array.dtype.kind not in "fc"
        return
    cotangent = np.random.default_rng(1).standard_normal(out._array.shape)
    got = tg.autograd.grad(out, [tensors[i] for i in need], wrap(cotangent), allow_unused=True)
    for i, g in zip(need, got, strict=True):
        expected = differences(
            lambda v, i=i: float((call(row, replaced(arrays, i, v), params, [])[0]._array * cotangent).sum()), arrays[i]
        )
        actual = np.zeros_like(arrays[i]) if g is None else g._array
        assert actual.shape == arrays[i].shape
        np.testing.assert_allclose(actual, expected, rtol=1e-7, atol=1e-8, err_msg=f"operand {i} of {row.name}")


@each_case
def test_second_order_gradient(row: Row, spec: Any, params: Any) -> None:
    arrays = operands_of(row, spec)
    need = differentiable(row, arrays)
    rng = np.random.default_rng(2)

    def gradients(values: list[Any], create_graph: bool) -> tuple[list[Any], list[Any], Any]:
        out, tensors = call(row, values, params, need)
        if out._node is None:
            return [], tensors, None
        rng = np.random.default_rng(3)
        c = wrap(rng.standard_normal(out._array.shape)).requires_grad_(create_graph)
        got = tg.autograd.grad(
            out, [tensors[i] for i in need], c, create_graph=create_graph, allow_unused=True, materialize_grads=True
        )
        return list(got), tensors, c

    recorded, tensors, _ = gradients(arrays, True)
    plain, _, _ = gradients(arrays, False)
    if not recorded:
        return
    for a, b in zip(recorded, plain, strict=True):  # one rule, two orders
        np.testing.assert_allclose(a._array, b._array, rtol=1e-14, atol=1e-300)
    directions = [rng.standard_normal(g._array.shape) for g in recorded]
    total = sum(((g * wrap(d)).sum() for g, d in zip(recorded, directions, strict=True)), wrap(np.zeros(())))
    if total._node is None:
        return

    def along(values: list[Any]) -> float:
        got, _, _ = gradients(values, False)
        return float(sum((g._array * d).sum() for g, d in zip(got, directions, strict=True)))

    second = tg.autograd.grad(total, [tensors[i] for i in need], allow_unused=True)
    for i, g in zip(need, second, strict=True):
        expected = differences(lambda v, i=i: along(replaced(arrays, i, v)), arrays[i])
        actual = np.zeros_like(arrays[i]) if g is None else g._array
        np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-7, err_msg=f"operand {i} of {row.name}")


@each_case
def test_float32(row: Row, spec: Any, params: Any) -> None:
    arrays = operands_of(row, spec)
    single = [a.astype(np.float32) if is_float(a) else a for a in arrays]
    need = differentiable(row, single)
    out, tensors = call(row, single, params, need)
    wide, _ = call(row, [a.astype(np.float64) if is_float(a) else a for a in single], params, [])
    if out._array.dtype.kind != "f":
        np.testing.assert_array_equal(out._array, wide._array)
        return
    if "dtype" not in params:
        assert out._array.dtype == np.float32
    np.testing.assert_allclose(out._array, wide._array, rtol=1e-5, atol=1e-6)
    if out._node is not None:
        for g in tg.autograd.grad(out, [tensors[i] for i in need], tg.ones_like(out), allow_unused=True):
            assert g is None or g._array.dtype == np.float32


def layouts(a: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """The same values, laid out otherwise."""
    doubled = np.zeros([2 * n for n in a.shape])
    strided = doubled[(*(slice(None, None, 2) for _ in a.shape), Ellipsis)]
    strided[...] = a
    back = (*(slice(None, None, -1) for _ in a.shape), Ellipsis)
    reversed_ = a[back].copy()[back]
    frozen = a.copy()
    frozen.flags.writeable = False
    return {"fortran": np.array(a, order="F"), "strided": strided, "reversed": reversed_, "read-only": frozen}


@each_case
@pytest.mark.parametrize("layout", ["fortran", "strided", "reversed", "read-only"])
def test_layouts(row: Row, spec: Any, params: Any, layout: str) -> None:
    arrays = operands_of(row, spec)
    need = differentiable(row, arrays)
    other = [layouts(a)[layout] if is_float(a) else a for a in arrays]
    results = []
    for values in (arrays, other):
        before = [np.array(v) for v in values if isinstance(v, np.ndarray)]
        try:
            out, tensors = call(row, values, params, need)
        except ValueError:
            assert row.name == "view"  # some layouts cannot be viewed: that is its contract
            return
        got: tuple[Any, ...] = ()
        if out._node is not None:
            c = np.random.default_rng(4).standard_normal(out._array.shape)
            c = layouts(c)[layout] if values is other else c
            got = tg.autograd.grad(out, [tensors[i] for i in need], wrap(c), allow_unused=True)
        for b, v in zip(before, [v for v in values if isinstance(v, np.ndarray)], strict=True):
            np.testing.assert_array_equal(b, v)  # neither the op nor its rule writes to its inputs
        results.append([out._array] + [g._array for g in got if g is not None])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)
