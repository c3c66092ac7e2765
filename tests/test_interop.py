"""NumPy's functions on tensors are ops on the tape; memory is shared through DLPack."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_loss as tg

RNG = np.random.default_rng(0)
VALUES = RNG.uniform(0.2, 0.9, (3, 4))
OTHER = RNG.uniform(0.2, 0.9, (3, 4))


def check(f: Any, *arrays: np.ndarray[Any, Any]) -> None:
    """The same value as NumPy's, and the same gradient as finite differences."""
    tensors = [tg.tensor(a, requires_grad=True) for a in arrays]
    out = f(*tensors)
    assert isinstance(out, tg.Tensor)
    np.testing.assert_allclose(out.detach().numpy(), f(*arrays), rtol=1e-13)
    report = tg.autograd.verify(f, tensors)
    assert report, str(report)


@pytest.mark.parametrize(
    "name",
    [
        "negative",
        "exp",
        "exp2",
        "expm1",
        "log",
        "log2",
        "log10",
        "log1p",
        "sqrt",
        "square",
        "reciprocal",
        "sin",
        "cos",
        "tan",
        "sinh",
        "cosh",
        "tanh",
        "arcsin",
        "arccos",
        "arctan",
        "absolute",
    ],
)
def test_unary_ufuncs(name: str) -> None:
    check(getattr(np, name), VALUES)


@pytest.mark.parametrize(
    "name", ["add", "subtract", "multiply", "divide", "power", "arctan2", "logaddexp", "maximum", "minimum"]
)
def test_binary_ufuncs(name: str) -> None:
    ufunc = getattr(np, name)
    check(ufunc, VALUES, OTHER)
    x = tg.tensor(VALUES, requires_grad=True)
    for out in (ufunc(x, OTHER), ufunc(OTHER, x)):
        assert isinstance(out, tg.Tensor)
        assert out.grad_fn is not None
    np.testing.assert_allclose(ufunc(OTHER, x).detach().numpy(), ufunc(OTHER, VALUES))


def test_operators_with_arrays_and_numpy_scalars() -> None:
    x = tg.tensor(VALUES, requires_grad=True)
    for out, expected in (
        (OTHER * x, OTHER * VALUES),
        (x * OTHER, OTHER * VALUES),
        (OTHER - x, OTHER - VALUES),
        (np.float64(2) / x, 2 / VALUES),
        (x**2 < np.float64(0.3), VALUES**2 < 0.3),
        (x == OTHER, OTHER == VALUES),
    ):
        assert isinstance(out, tg.Tensor)
        np.testing.assert_allclose(out.detach().numpy(), expected)
    single = tg.ones(2)
    assert (single * np.float64(2)).dtype is tg.float32  # a scalar does not widen
    assert (np.float64(2) * single).dtype is tg.float32
    assert (single * np.ones(2)).dtype is tg.float64


FUNCTIONS = {
    "sum": lambda x: np.sum(x, axis=1),
    "sum-all": lambda x: np.sum(x) * 1.0,
    "mean": lambda x: np.mean(x, axis=0, keepdims=True),
    "prod": lambda x: np.prod(x, axis=1),
    "max": lambda x: np.max(x, axis=1),
    "min": lambda x: np.min(x),
    "std": lambda x: np.std(x, axis=1),
    "var": lambda x: np.var(x, ddof=1),
    "cumsum": lambda x: np.cumsum(x, axis=1),
    "cumsum-flat": np.cumsum,
    "clip": lambda x: np.clip(x, 0.3, 0.7),
    "nan_to_num": lambda x: np.nan_to_num(x * 2),
    "where": lambda x: np.where(VALUES > 0.5, x, 0.0),
    "reshape": lambda x: np.reshape(x, (4, 3)),
    "ravel": np.ravel,
    "transpose": np.transpose,
    "concatenate": lambda x: np.concatenate([x, OTHER], axis=1),
    "stack": lambda x: np.stack([x, x], axis=1),
    "dot": lambda x: np.dot(x, OTHER.T),
    "matmul": lambda x: np.matmul(x, OTHER.T),
    "squeeze": lambda x: np.squeeze(np.expand_dims(x, 1), 1),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    check(FUNCTIONS[name], VALUES)


def test_questions_about_values() -> None:
    x = tg.tensor(VALUES, requires_grad=True)
    assert np.argmax(x).item() == np.argmax(VALUES)
    assert np.argmin(x, axis=1).tolist() == np.argmin(VALUES, axis=1).tolist()
    assert np.array_equal(x, VALUES)
    assert np.allclose(x, VALUES)
    assert np.shape(x) == (3, 4)


def test_what_has_no_op_says_so() -> None:
    x = tg.tensor(VALUES)
    for call, words in (
        (lambda: np.fft.fft(x), r"numpy\.fft has no op for a Tensor\. Write t\.detach\(\)\.numpy\(\)"),
        (lambda: np.add.reduce(x), r"numpy\.add\.reduce has no op"),
        (lambda: np.spacing(x), r"numpy\.spacing has no op"),
        (lambda: np.exp(x, out=np.empty((3, 4))), r"takes no out"),
        (lambda: np.sum(x, out=np.empty(())), r"out= is not supported"),
        (lambda: np.nan_to_num(x, copy=False), r"copy=False is not supported"),
        (lambda: np.reshape(x, 12, order="F"), r"order='F' is not supported"),
    ):
        with pytest.raises(TypeError, match=words):
            call()


def test_dlpack_with_numpy_shares_memory() -> None:
    t = tg.zeros(3)
    a = np.from_dlpack(t)
    t._array[0] = 1.0
    assert a[0] == 1.0
    b = np.zeros(2)
    u = tg.from_dlpack(b)
    b[1] = 7.0
    assert u.tolist() == [0.0, 7.0]
    assert tg.from_dlpack(b, copy=True)._array.base is None
    with pytest.raises(BufferError, match="require gradient"):
        np.from_dlpack(tg.zeros(2, requires_grad=True))
    with pytest.raises(TypeError, match="takes an object with __dlpack__, got list"):
        tg.from_dlpack([1.0])


@pytest.mark.parity
def test_dlpack_with_pytorch_shares_memory() -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.zeros(3)
    ours = tg.from_dlpack(theirs)
    theirs[0] = 4.0
    assert ours.tolist() == [4.0, 0.0, 0.0]
    back = torch.from_dlpack(ours)
    ours._array[1] = 5.0
    assert back.tolist() == [4.0, 5.0, 0.0]
    assert torch.from_dlpack(tg.arange(3)).tolist() == [0, 1, 2]
