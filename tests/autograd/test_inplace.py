"""Writes into tensors and their views: values, gradients, messages."""

import numpy as np
import pytest

import tinygrad_loss as tg

# --- random programs of views and writes, against NumPy's own views and complex steps --------------------------------


def run(seed, steps, base, w):
    """A random program of views and writes, on tensors or ndarrays alike; return all its views, written or not."""
    rng = np.random.default_rng(seed)
    pool = [base]
    for _ in range(steps):
        x = pool[rng.integers(len(pool))]
        if rng.random() < 0.5:
            pool.append(view_of(x, rng))
        else:
            write_into(x, w, rng)
    return pool


def view_of(x, rng):
    kind = rng.integers(6)
    if x.ndim == 0 or kind == 0:
        return x[None]
    d = int(rng.integers(x.ndim))
    before = (slice(None),) * d
    if kind < 3:
        return x[(*before, int(rng.integers(x.shape[d])), ...)]  # of an ndarray, the dots make a view of one element
    if kind == 3:
        return x[(*before, slice(int(rng.integers(x.shape[d])), None, 1 + int(rng.integers(2))))]
    if kind == 4:
        return x.swapaxes(0, x.ndim - 1) if isinstance(x, np.ndarray) else x.transpose(0, x.ndim - 1)
    return x[..., None]


def write_into(x, w, rng):
    kind, c = rng.integers(5), float(rng.uniform(0.5, 1.5))
    if kind == 0:
        x *= c
    elif kind == 1:
        x += w[0] * c
    elif kind == 2:
        x *= w[1]
    elif kind == 3:
        x[...] = w[2] * c
    else:
        x -= x * c


@pytest.mark.parametrize("seed", range(60))
def test_random_programs_of_views_and_writes(seed):
    rng = np.random.default_rng(seed)
    order = tuple(int(d) for d in rng.permutation(3))
    x0, w0 = rng.uniform(0.5, 1.5, (2, 3, 4)), rng.uniform(0.5, 1.5, 3)

    def loss(x, w, base):
        return sum(((i + 1.0) * v * v).sum() for i, v in enumerate(run(seed, 14, base, w)))

    x, w = tg.tensor(x0, requires_grad=True), tg.tensor(w0, requires_grad=True)
    out = loss(x, w, (x.permute(*order) * 1))
    out.backward()
    for t, a in ((x, x0), (w, w0)):
        for i in np.ndindex(a.shape):
            moved = {id(x0): x0.astype(complex), id(w0): w0.astype(complex)}
            moved[id(a)][i] += 1e-30j
            z = loss(moved[id(x0)], moved[id(w0)], np.array(moved[id(x0)].transpose(order), order="K"))
            np.testing.assert_allclose(t.grad._array[i], z.imag / 1e-30, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(out.item(), z.real, rtol=1e-12)


def test_a_program_can_be_differentiated_twice():
    x = tg.tensor([[0.5, 2.0], [3.0, 1.5]], dtype=tg.float64, requires_grad=True)

    def f(x):
        y = x * x
        v = y.t()[0]
        v *= x[1]
        y[1, 1] = x.sum()
        y[[0, 1], [1, 0]] += x[0] * 2
        return (y**2).sum()

    assert tg.autograd.gradcheck(f, x)
    assert tg.autograd.gradgradcheck(f, x)


# --- one by one -----------------------------------------------------------------------------------------------------

UNARY = [
    *("abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "exp", "exp2", "expm1", "fix"),
    *("floor", "frac", "log", "log10", "log1p", "log2", "neg", "nan_to_num", "reciprocal", "relu", "round", "rsqrt"),
    *("sigmoid", "sign", "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc"),
]
BINARY = [
    *("add", "atan2", "div", "floor_divide", "fmod", "mul", "pow", "remainder", "sub", "xlogy"),
    *("eq", "ne", "lt", "le", "gt", "ge"),
]


@pytest.mark.parametrize("name", UNARY + BINARY)
def test_every_method_does_what_its_name_says(name):
    values = np.array([[1.25, 1.5, 1.75]]) if name == "acosh" else np.array([[0.25, 0.5, 0.75]])
    others = () if name in UNARY else (tg.tensor([0.5, 0.25, 2.0], dtype=tg.float64),)
    x = tg.tensor(values, requires_grad=True)
    expected = getattr(x, name)(*others).to(tg.float64)
    y = x * 1
    storage, version = y._array, y._version[0]
    assert getattr(y, f"{name}_")(*others) is y
    assert y._array is storage
    assert y._version[0] == version + 1
    assert y.dtype is tg.float64
    np.testing.assert_array_equal(y._array, expected._array)
    g = tg.rand(1, 3, dtype=tg.float64)
    (ours,) = tg.autograd.grad(y, x, g)
    theirs = tg.autograd.grad(expected, x, g)[0]._array if expected.requires_grad else np.zeros((1, 3))
    np.testing.assert_array_equal(ours._array, theirs)


@pytest.mark.parity
def test_no_method_of_pytorch_is_missing_whose_op_is_here():
    torch = pytest.importorskip("torch")
    names = [n for n in dir(torch.Tensor) if n.endswith("_") and not n.startswith("_")]
    assert [n for n in names if hasattr(tg.Tensor, n[:-1]) and not hasattr(tg.Tensor, n)] == []


def test_a_chain_of_writes_whose_saved_outputs_are_overwritten():
    """PyTorch refuses this; each op here saves its own output, so the gradient is right."""
    x = tg.tensor([0.1, 0.2], dtype=tg.float64, requires_grad=True)
    y = x * 1
    y.exp_().mul_(2).sin_().add_(3)
    y.sum().backward()
    e = np.exp(x.detach()._array)
    np.testing.assert_allclose(x.grad._array, np.cos(2 * e) * 2 * e, rtol=1e-14)


def test_writing_from_itself():
    x = tg.tensor([2.0, 3.0], dtype=tg.float64, requires_grad=True)
    y = x * 1
    y *= y
    y *= y[0]
    y[1:] += y[:1]
    y.sum().backward()
    # [a^4, b^2 a^2 + a^4] summed
    a, b = 2.0, 3.0
    assert x.grad.tolist() == [8 * a**3 + 2 * a * b * b, 2 * b * a * a]


def test_an_integer_and_a_bool_tensor_are_written_in_their_own_dtype():
    x = tg.tensor([5, 7])
    x //= 2
    x **= 2
    x %= 5
    x <<= 1
    x |= 1
    assert x.tolist() == [9, 9]
    assert x.dtype is tg.int64
    m = tg.tensor([True, False])
    m ^= tg.tensor([True, True])
    assert m.tolist() == [False, True]


def test_random_overwriting_ends_the_old_history():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    v = y[:1]
    v.uniform_()
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 2.0]


def test_a_refused_write_changes_nothing():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    i = tg.tensor([1, 2])
    e = tg.ones(1, 2).expand(2, 2)
    for write in (
        lambda: x.add_(1),
        lambda: x.uniform_(),
        lambda: x.__setitem__(0, 5.0),
        lambda: i.add_(0.5),
        lambda: i.__setitem__(5, 1),
        lambda: e.mul_(2),
        lambda: x.detach().uniform_(3, 2),
    ):
        with pytest.raises((RuntimeError, IndexError)):
            write()
    assert x.tolist() == [1.0, 2.0]
    assert i.tolist() == [1, 2]
    assert e.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert (x._version[0], i._version[0], e._version[0]) == (0, 0, 0)


def test_versions_are_shared_by_views_and_detached_tensors_not_by_data():
    x = tg.zeros(2, 2)
    views = (x[0], x.t(), x.view(4), x.detach(), x[0][1:])
    for write in (x, *views):
        before = x._version[0]
        write += 1
        assert [v._version[0] for v in (x, *views)] == [before + 1] * 6
    x.data += 1
    assert x._version[0] == before + 1


def test_views_made_before_and_after_see_one_storage():
    x = tg.zeros(6)
    a, b = x.view(2, 3), x[::2]
    a[1, 2] = 5
    b += 1
    assert x.tolist() == [1.0, 0.0, 1.0, 0.0, 1.0, 5.0]
    assert a.tolist() == [[1.0, 0.0, 1.0], [0.0, 1.0, 5.0]]
    assert not x.reshape(3, 2).t().reshape(6)._is_view()  # a copy


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda x: x.mul_(2), r"a leaf Variable that requires grad .* mul_ on a tensor of shape \[2, 2\].*x\.mul\("),
        (lambda x: x[0].mul_(2), r"a view of a leaf Variable .* mul_ on a tensor of shape \[2\]"),
        (lambda x: x.__setitem__(0, 1), r"a leaf Variable .* __setitem__"),
        (lambda x: (x * 1).expand(3, 2, 2).mul_(2), r"more than one element .* mul_ .*\[3, 2, 2\].*clone\(\)"),
        (lambda x: (x * 1).add_(tg.ones(3, 2, 2)), r"output with shape \[2, 2\] .*\[3, 2, 2\].*add_ cannot enlarge"),
        (lambda x: tg.ones(2, dtype=tg.int64).div_(2), r"torch\.float32 can't be cast .* torch\.int64 by div_"),
        (lambda x: (x * 1).copy_(tg.ones(3)), r"copy_\(\) cannot spread the shape \[3\] over \[2, 2\]"),
        (lambda x: (x * 1).fill_(tg.ones(3)), r"fill_ only supports 0-dimension value tensor .* 1 dimensions"),
        (lambda x: tg.ones(2, dtype=tg.int8).fill_(300), r"cannot be converted to type torch\.int8 .*300"),
        (lambda x: next(iter(x * 1)).add_(1), r"add_ would write into a view that unbind\(\).*out of place"),
    ],
)
def test_a_refused_write_says_what_and_what_instead(write, words):
    with pytest.raises(RuntimeError, match=words):
        write(tg.ones(2, 2, requires_grad=True))


def test_read_only_memory_is_not_written():
    array = np.ones(3)
    array.flags.writeable = False
    for x in (tg.from_numpy(array), tg.from_numpy(array)[1:]):
        with pytest.raises(RuntimeError, match=r"add_: .* read-only array"):
            x.add_(1)
    assert array.tolist() == [1.0, 1.0, 1.0]


def test_an_array_and_its_tensor_are_one_memory():
    array = np.zeros(3)
    x = tg.from_numpy(array)
    x += 1
    x[1:] *= 5
    assert array.tolist() == [1.0, 5.0, 5.0]
