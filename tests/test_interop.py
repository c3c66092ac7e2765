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


ROW = np.array([0.5, 1.5, 2.5, 3.5])
CUBE = RNG.uniform(0.2, 0.9, (4, 2, 3))
FUNCTIONS = {
    "sum": lambda x: np.sum(x, axis=1),
    "sum-all": lambda x: np.sum(x) * 1.0,
    "sum-dtype": lambda x: np.sum(x, dtype=np.float64, keepdims=True),
    "mean": lambda x: np.mean(x, axis=0, keepdims=True),
    "prod": lambda x: np.prod(x, axis=1),
    "max": lambda x: np.max(x, axis=1),
    "max-two": lambda x: np.max(x, axis=(0, 1), keepdims=True),
    "min": lambda x: np.min(x),
    "ptp": lambda x: np.ptp(x, axis=1),
    "std": lambda x: np.std(x, axis=1),
    "var": lambda x: np.var(x, ddof=1),
    "median-even": lambda x: np.median(x, axis=1),
    "median-odd": lambda x: np.median(x, axis=0, keepdims=True),
    "median-all": lambda x: np.median(x) * 1.0,
    "average": lambda x: np.average(x, axis=1, weights=ROW),
    "average-equal": lambda x: np.average(x, axis=0),
    "average-returned": lambda x: np.average(x, weights=OTHER, returned=True)[0] * 1.0,
    "cumsum": lambda x: np.cumsum(x, axis=1),
    "cumsum-flat": np.cumsum,
    "cumprod": lambda x: np.cumprod(x, axis=0),
    "clip": lambda x: np.clip(x, 0.3, 0.7),
    "clip-names": lambda x: np.clip(x, None, OTHER),
    "nan_to_num": lambda x: np.nan_to_num(x * 2),
    "where": lambda x: np.where(VALUES > 0.5, x, 0.0),
    "where-integers": lambda x: np.where([[1], [0], [2]], x, OTHER),
    "reshape": lambda x: np.reshape(x, (4, 3)),
    "ravel": np.ravel,
    "transpose": np.transpose,
    "transpose-axes": lambda x: np.transpose(x, (1, 0)),
    "concatenate": lambda x: np.concatenate([x, OTHER], axis=1),
    "concatenate-flat": lambda x: np.concatenate([x, OTHER], axis=None),
    "stack": lambda x: np.stack([x, x], axis=1),
    "vstack": lambda x: np.vstack([x, OTHER[0]]),
    "hstack": lambda x: np.hstack([x, OTHER]),
    "split": lambda x: np.split(x, [1, 3], axis=1)[1],
    "split-equal": lambda x: np.split(x, 3)[2],
    "array_split": lambda x: np.array_split(x, 3, axis=1)[0],
    "squeeze": lambda x: np.squeeze(np.expand_dims(x, 1), 1),
    "squeeze-axis": lambda x: np.squeeze(np.expand_dims(x, axis=(0, -1)), axis=0),
    "swapaxes": lambda x: np.swapaxes(x, axis1=0, axis2=1),
    "moveaxis": lambda x: np.moveaxis(x, 0, -1),
    "broadcast_to": lambda x: np.broadcast_to(x, (2, 3, 4)),
    "flip": np.flip,
    "flip-axis": lambda x: np.flip(x, axis=1),
    "roll": lambda x: np.roll(x, 2),
    "roll-axis": lambda x: np.roll(x, shift=1, axis=0),
    "tile": lambda x: np.tile(x, 2),
    "repeat": lambda x: np.repeat(x, 2, axis=1),
    "repeat-each": lambda x: np.repeat(x, [1, 0, 2], axis=0),
    "tril": lambda x: np.tril(x, k=-1),
    "triu": lambda x: np.triu(x, 1),
    "diag": lambda x: np.diag(x, k=1),
    "diagonal": lambda x: np.diagonal(x, offset=-1),
    "trace": lambda x: np.trace(x, offset=1) * 1.0,
    "sort": lambda x: np.sort(x, axis=0),
    "sort-flat": lambda x: np.sort(x, axis=None),
    "take": lambda x: np.take(x, [2, 0, 2], axis=1),
    "take-flat": lambda x: np.take(x, [2, 5]),
    "take_along_axis": lambda x: np.take_along_axis(x, np.array([[1], [0], [3]]), axis=1),
    "copy": np.copy,
    "meshgrid": lambda x: np.meshgrid(x[0], ROW)[0],
    "dot": lambda x: np.dot(x, OTHER.T),
    "dot-vector": lambda x: np.dot(x, ROW),
    "dot-cube": lambda x: np.dot(CUBE, x),
    "matmul": lambda x: np.matmul(x, OTHER.T),
    "inner": lambda x: np.inner(x, OTHER),
    "vdot": lambda x: np.vdot(x, OTHER) * 1.0,
    "outer": lambda x: np.outer(x, ROW),
    "tensordot": lambda x: np.tensordot(x, OTHER, axes=([1], [1])),
    "tensordot-pair": lambda x: np.tensordot(x, OTHER, axes=(0, 0)),
    "einsum": lambda x: np.einsum("ij,kj->ik", x, OTHER),
    "norm": lambda x: np.linalg.norm(x, axis=1),
    "norm-frobenius": lambda x: np.linalg.norm(x) * 1.0,
    "norm-columns": lambda x: np.linalg.norm(x, 1, keepdims=True),
    "norm-rows": lambda x: np.linalg.norm(x, np.inf, axis=(1, 0)) * 1.0,
    "norm-vector": lambda x: np.linalg.norm(x, 3, axis=0),
    "add.reduce": lambda x: np.add.reduce(x),
    "multiply.reduce": lambda x: np.multiply.reduce(x, axis=1, keepdims=True),
    "maximum.reduce": lambda x: np.maximum.reduce(x, axis=None) * 1.0,
    "add.accumulate": lambda x: np.add.accumulate(x, axis=1),
    "subtract.outer": lambda x: np.subtract.outer(x, ROW),
    "maximum-number": lambda x: np.maximum(x, 0.5),
    "number-minimum": lambda x: np.minimum(0.5, x),
    "float_power": lambda x: np.float_power(x, 2),
    "list": lambda x: np.add(x, [1, 2, 3, 4]),
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


def test_integers_and_questions_answered_by_numpy() -> None:
    i = tg.tensor([3, 1, 2])
    assert np.argsort(i).tolist() == [1, 2, 0]
    assert np.unique(tg.tensor([2, 1, 2])).tolist() == [1, 2]
    assert np.bincount(i).tolist() == [0, 1, 1, 1]
    assert np.count_nonzero(tg.tensor([[1, 0], [0, 0]]), axis=0).tolist() == [1, 0]
    assert [t.tolist() for t in np.divmod(i, 2)] == [[1, 0, 1], [1, 1, 0]]
    assert [t.tolist() for t in divmod(np.array([7, 8, 9]), i)] == [[2, 8, 4], [1, 0, 1]]
    assert (np.array([1, 2, 3]) << i).tolist() == [8, 4, 12]
    assert np.isclose(tg.tensor([1.0, 2.0]), 1.0).tolist() == [True, False]
    assert np.zeros_like(i).dtype is tg.int64
    assert np.full_like(i, 7, dtype=np.float32).tolist() == [7.0, 7.0, 7.0]
    assert np.arange(5)[i].tolist() == [3, 1, 2]
    assert np.median(tg.tensor([1.0, float("nan"), 3.0])).isnan()
    assert np.size(i) == 3
    assert np.asarray(i) is i._array or np.shares_memory(np.asarray(i), i._array)
    with pytest.raises(RuntimeError, match="requires grad"):
        np.unique(tg.ones(2, requires_grad=True))


def test_a_number_does_not_widen_a_tensor() -> None:
    for t in (tg.ones(2, dtype=tg.float16), tg.tensor(1.0, dtype=tg.float16), tg.ones(2)):
        for number in (2.0, np.float64(2.0), np.int64(2), 2):
            for out in (number * t, t * number, number**t, np.maximum(number, t), np.maximum(t, number)):
                assert out.dtype is t.dtype
    assert (np.float64(0.5) * tg.tensor([1, 2])).dtype is tg.float32
    assert (np.int64(2) * tg.tensor([1, 2])).dtype is tg.int64


def test_out_and_augmented_arrays() -> None:
    x = tg.tensor(VALUES)
    out = tg.zeros(3, 4, dtype=tg.float64)
    assert np.exp(x, out=out) is out
    np.testing.assert_allclose(out.numpy(), np.exp(VALUES), rtol=1e-14)
    array = OTHER.copy()
    same = array
    array += x
    assert array is same
    np.testing.assert_array_equal(array, OTHER + VALUES)
    target = tg.zeros(3, 4, dtype=tg.float64)
    w = tg.tensor(VALUES, requires_grad=True)
    np.multiply(w, 3.0, out=target)
    target.sum().backward()
    assert w.grad is not None
    assert (w.grad == 3.0).all()


def test_what_has_no_op_says_so() -> None:
    x, w = tg.tensor(VALUES), tg.tensor(VALUES, requires_grad=True)
    integers = tg.zeros(3, 4, dtype=tg.int64)
    for call, words in (
        (lambda: np.fft.fft(x), r"numpy\.fft\.fft has no op for a Tensor\. Write t\.detach\(\)\.numpy\(\)"),
        (lambda: np.linalg.svd(x), r"numpy\.linalg\.svd has no op"),
        (lambda: np.subtract.reduce(x), r"numpy\.subtract\.reduce has no op"),
        (lambda: np.add.at(x, [0], 1.0), r"numpy\.add\.at has no op"),
        (lambda: np.spacing(x), r"numpy\.spacing has no op"),
        (lambda: np.exp(x, where=VALUES > 0.5), r"numpy\.exp of a Tensor takes no where="),
        (lambda: np.exp(x, dtype=np.float32), r"takes no dtype="),
        (lambda: np.exp(w, out=np.empty((3, 4))), r"requires a gradient into an ndarray.*array \+ t"),
        (lambda: np.exp(x, out=integers), r"result is torch\.float64, which out= of torch\.int64 cannot hold"),
        (lambda: np.divmod(x, 2, out=(np.empty((3, 4)), np.empty((3, 4)))), r"takes no out="),
        (lambda: np.sum(x, out=np.empty(())), r"numpy\.sum of a Tensor takes no out="),
        (lambda: np.sum(x, where=VALUES > 0.5), r"takes no where="),
        (lambda: np.nan_to_num(x, copy=False), r"takes no copy="),
        (lambda: np.reshape(x, 12, order="F"), r"takes no order="),
        (lambda: np.linalg.norm(x, "nuc"), r"knows no ord='nuc' for 2 dimensions"),
        (lambda: np.array([None], dtype=object) * x, r"dtype object"),
        (lambda: np.array(["a"]) + x, r"dtype <U1"),
    ):
        with pytest.raises(TypeError, match=words):
            call()
    with pytest.raises(ValueError, match=r"out= has shape \[4, 3\], the result \[3, 4\]"):
        np.exp(x, out=np.empty((4, 3)))
    with pytest.raises(ValueError, match=r"cannot squeeze dimension 1 of size 4"):
        np.squeeze(x, axis=1)


def test_dlpack_with_numpy_shares_memory() -> None:
    t = tg.zeros(3)
    a = np.from_dlpack(t)
    t[0] = 1.0
    assert a[0] == 1.0
    b = np.zeros(2)
    u = tg.from_dlpack(b)
    b[1] = 7.0
    assert u.tolist() == [0.0, 7.0]
    u += 1
    assert b.tolist() == [1.0, 8.0]
    assert tg.from_dlpack(b, copy=True)._array.base is None
    for source in (
        np.arange(6).reshape(2, 3).T,
        np.ones(()),
        np.zeros((0, 2)),
        np.array([True, False]),
        np.ones(8)[::2],
    ):
        assert np.shares_memory(tg.from_dlpack(source)._array, source) or not source.size
        np.testing.assert_array_equal(np.from_dlpack(tg.from_numpy(source)), source)
    assert tg.zeros(1).__dlpack_device__() == (1, 0)


def test_dlpack_of_our_own() -> None:
    t = tg.zeros(2)
    same = tg.from_dlpack(t)
    same[0] = 5
    assert t.tolist() == [5.0, 0.0]
    assert t._version[0] == 1
    capsule = tg.utils.dlpack.to_dlpack(t)
    again = tg.utils.dlpack.from_dlpack(capsule)
    t[1] = 6
    assert again.tolist() == [5.0, 6.0]


def test_dlpack_refuses_what_cannot_be_shared() -> None:
    for wants in (tg.zeros(2, requires_grad=True), tg.zeros(2, requires_grad=True) * 2):
        for share in (np.from_dlpack, tg.from_dlpack, tg.utils.dlpack.to_dlpack):
            with pytest.raises(BufferError, match="require gradient"):
                share(wants)
    with pytest.raises(BufferError, match=r"backwards, with strides \(-1,\).*contiguous\(\)"):
        tg.from_numpy(np.arange(3)[::-1]).__dlpack__()
    with pytest.raises(BufferError, match="no streams on the CPU"):
        tg.zeros(1).__dlpack__(stream=1)
    with pytest.raises(TypeError, match="takes an object with __dlpack__, got list"):
        tg.from_dlpack([1.0])
    with pytest.raises(RuntimeError, match="CPU alone"):
        tg.from_dlpack(np.zeros(1), device="cuda")

    class Elsewhere:
        def __dlpack__(self, **kwargs: Any) -> Any:
            raise AssertionError

        def __dlpack_device__(self) -> tuple[int, int]:
            return 2, 0

    with pytest.raises(BufferError, match="device type 2"):
        tg.from_dlpack(Elsewhere())


@pytest.mark.parity
def test_dlpack_with_pytorch_shares_memory() -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.zeros(3)
    ours = tg.from_dlpack(theirs)
    theirs[0] = 4.0
    assert ours.tolist() == [4.0, 0.0, 0.0]
    back = torch.from_dlpack(ours)
    ours[1] = 5.0
    assert back.tolist() == [4.0, 5.0, 0.0]
    assert torch.from_dlpack(tg.arange(3)).tolist() == [0, 1, 2]
    assert torch.utils.dlpack.from_dlpack(tg.utils.dlpack.to_dlpack(tg.arange(2))).tolist() == [0, 1]
    assert tg.utils.dlpack.from_dlpack(torch.utils.dlpack.to_dlpack(torch.arange(2))).tolist() == [0, 1]
    for dtype in ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"):
        assert torch.from_dlpack(tg.ones(2, dtype=getattr(tg, dtype))).dtype is getattr(torch, dtype)
        assert tg.from_dlpack(torch.ones(2, dtype=getattr(torch, dtype))).dtype is getattr(tg, dtype)
    strided = tg.arange(6).reshape(2, 3).t()[1:]
    assert torch.from_dlpack(strided).tolist() == strided.tolist()
    with pytest.raises(BufferError):
        tg.from_dlpack(torch.zeros(2, requires_grad=True))
    with pytest.raises(BufferError):
        torch.from_dlpack(tg.from_numpy(np.arange(3)[::-1]))
