"""The backward walk: who owns the gradients, what stays alive, how deep and how often, in how many threads."""

import gc
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

import tinygrad_loss as tg
from tinygrad_loss.op import ROWS, Node, op


@pytest.fixture
def counted():
    """Return an op that counts the calls of its rule."""
    calls = []

    def rule(g, x):
        calls.append(g)
        return g * 2 * x

    yield op("counted_square", lambda x: x * x, vjp=rule, promote="float"), calls
    del ROWS["counted_square"]


def leaf(*shape, dtype=tg.float64):
    return tg.rand(*shape, dtype=dtype, requires_grad=True)


# --- each rule once -------------------------------------------------------------------------------------------------


def test_a_rule_is_called_once_with_the_whole_gradient(counted):
    square, calls = counted
    x = tg.tensor([3.0], dtype=tg.float64, requires_grad=True)
    y = square(x)
    z = y
    for _ in range(20):  # 2**20 ways lead back to y
        z = z + z
    z.backward()
    assert len(calls) == 1
    assert calls[0].tolist() == [2.0**20]
    assert x.grad.tolist() == [6 * 2.0**20]


def test_no_rule_is_called_for_what_was_not_asked(counted):
    square, calls = counted
    a, b = leaf(2), leaf(2)
    tg.autograd.grad((square(a) * b).sum(), b)
    assert not calls


def test_rules_get_bare_arrays_in_first_order_and_tensors_in_higher(counted):
    square, calls = counted
    x = leaf(2)
    square(x).sum().backward()
    square(x).sum().backward(create_graph=True)
    assert [type(g) for g in calls] == [np.ndarray, tg.Tensor]


def test_zero_dim_sums_stay_arrays(counted):
    """NumPy makes scalars of them, which compiled kernels do not take."""
    square, calls = counted
    x = tg.tensor(3.0, requires_grad=True)
    y = square(x)
    (y + y + y).backward()
    assert type(calls[0]) is np.ndarray
    (x.sigmoid() + x.sigmoid()).backward()
    assert type(x.grad._array) is np.ndarray


def test_broadcast_gradients_are_summed_to_the_operand():
    for shapes in (((3, 1), (4,)), ((1, 1), (2, 3)), ((), (2, 3)), ((2, 1, 3), (4, 1)), ((0, 3), (1, 3))):
        a, b = (leaf(*s) for s in shapes)
        c = tg.rand(*np.broadcast_shapes(*shapes), dtype=tg.float64)
        (a * b * c).sum().backward()
        whole = np.broadcast_to(b._array, c.shape) * c._array
        extra = tuple(d for d in range(c.ndim) if d < c.ndim - a.ndim or a.shape[d - c.ndim + a.ndim] != c.shape[d])
        np.testing.assert_allclose(a.grad._array, whole.sum(extra).reshape(a.shape), rtol=1e-12)
        assert b.grad.shape == b.shape


# --- a leaf's gradient is its own -----------------------------------------------------------------------------------


def every_array(node, found):
    """All arrays that a tape holds."""
    stack, seen = [node], set()
    while stack:
        at = stack.pop()
        for values in at.saved or ():
            for value in values or ():
                if isinstance(value, np.ndarray):
                    found.append(value)
        for edge in at.edges:
            if isinstance(edge, Node) and edge not in seen:
                seen.add(edge)
                stack.append(edge)
    return found


PROGRAMS = {
    "identity": lambda x, y: x + 0,
    "sum": lambda x, y: x.sum() + y.sum(),
    "both": lambda x, y: x + y,
    "itself": lambda x, y: x + x,
    "product": lambda x, y: x * y,
    "cat": lambda x, y: tg.cat([x, y]),
    "stack": lambda x, y: tg.stack([x, y, x]),
    "views": lambda x, y: x.t().reshape(-1) * 1 + y.t().reshape(-1),
    "matmul": lambda x, y: x @ y.t(),
    "expand": lambda x, y: x.expand(5, *x.shape) + y,
    "index": lambda x, y: x[1:] + y[:-1],
    "where": lambda x, y: tg.where(x > 0.5, x, y),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_gradient_of_a_leaf_shares_memory_with_nothing(name):
    x, y = leaf(3, 3), leaf(3, 3)
    out = PROGRAMS[name](x, y)
    g = tg.rand(*out.shape, dtype=tg.float64)
    seen = []
    x.register_hook(lambda g: seen.append(g._array))
    arrays = [*every_array(out.grad_fn, []), x._array, y._array, g._array]
    out.backward(g, retain_graph=True)
    grads = [t.grad._array for t in (x, y) if t.grad is not None]
    for i, a in enumerate(grads):
        assert a.flags.writeable
        assert not any(np.shares_memory(a, b) for b in [*arrays, *seen, *grads[:i]])


def test_what_grad_returns_is_the_callers_own():
    x = leaf(3)
    y = x + 0
    g = tg.ones(3, dtype=tg.float64)
    found = tg.autograd.grad(y, (x, y), g, retain_graph=True) + tg.autograd.grad(y.sum(), (y, x))
    for i, a in enumerate(found):
        assert a._array.flags.writeable
        assert not np.shares_memory(a._array, g._array)
        assert not any(np.shares_memory(a._array, b._array) for b in found[:i])


def test_a_gradient_lies_in_memory_as_its_leaf_does():
    """The optimizers' kernels walk through both side by side."""
    c = leaf(3, 4)
    f = tg.from_numpy(np.asfortranarray(np.ones((3, 4)))).requires_grad_()
    strided = tg.from_numpy(np.ones((3, 8))[:, ::2]).requires_grad_()
    weights = tg.from_numpy(np.asfortranarray(np.ones((3, 4))))
    for _ in range(2):
        ((c * weights) + (f * weights) + (c * f).t().t() + strided).sum().backward()
        assert c.grad._array.flags.c_contiguous
        assert f.grad._array.flags.f_contiguous
        assert strided.grad._array.flags.c_contiguous
        c.grad = None


def test_accumulating_into_a_gradient_that_the_user_set():
    x = leaf(3)
    x.grad = tg.zeros(3, dtype=tg.float64)
    mine = x.grad
    x.sum().backward()
    assert x.grad is mine
    x.grad = tg.zeros(1, dtype=tg.float64).expand(3)  # cannot be written
    x.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0, 1.0]


# --- what stays alive -----------------------------------------------------------------------------------------------


def everything(x, w):
    h = (x @ w).relu() * 1
    h += 1
    h[0] = 2.0
    v = h[1:]
    v *= w.sum()
    h = tg.cat([h, h.t()]).reshape(-1)[::2].exp_().clamp(max=9)
    a, _ = tg.stack([h, h * 2]).max(0)
    return a.logsumexp(0) + h.std()


@pytest.fixture
def no_collector():
    """Turn the cycle collector off; what compiling kernels leaves behind is collected first."""
    x = leaf(3, 3)
    (g,) = tg.autograd.grad(everything(x, x), x, create_graph=True)
    (g * g).sum().backward()
    del x, g
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_a_loss_frees_its_tape_by_reference_counting_alone(no_collector):
    x, w = leaf(3, 3), leaf(3, 3)
    loss = everything(x, w)
    loss.register_hook(lambda g: g)
    loss.grad_fn.register_hook(lambda gi, go: None)
    loss.retain_grad()
    nodes = [weakref.ref(n) for n in tape_of(loss)]
    assert len(nodes) > 15
    assert all(n() is not None for n in nodes)
    gone = [weakref.ref(loss)]
    del loss
    assert [r() for r in nodes + gone if r() is not None] == []
    assert gc.collect() == 0


def tape_of(t):
    stack, seen = [t.grad_fn], set()
    while stack:
        node = stack.pop()
        if isinstance(node, Node) and node not in seen:
            seen.add(node)
            stack += node.edges
    return seen


def test_backward_leaves_no_cycle(no_collector):
    x, w = leaf(3, 3), leaf(3, 3)
    loss = everything(x, w)
    loss.backward()
    gone = weakref.ref(loss)
    (g,) = tg.autograd.grad(everything(x, w), x, create_graph=True)
    penalty = (g * g).sum()
    (h,) = tg.autograd.grad(penalty, w, create_graph=True)
    nodes = [weakref.ref(n) for n in tape_of(h)]
    del loss, g, h, penalty
    assert gone() is None
    assert not any(n() for n in nodes)
    assert gc.collect() == 0


def test_a_leaf_that_backward_reached_is_not_kept_alive(no_collector):
    x = leaf(3)
    y = x.exp().sum()
    y.backward()
    gone = weakref.ref(x)
    del x, y
    assert gone() is None


def test_saved_values_are_freed_by_backward():
    x = leaf(100, 100)
    y = x.exp()
    gone = weakref.ref(y._array)
    z = y.sum()
    del y
    assert gone() is not None
    z.backward()
    assert gone() is None
    assert z.grad_fn.next_functions[0][0].saved is None


def test_what_no_rule_names_is_not_kept():
    x = leaf(10)
    y = x * 2
    gone = weakref.ref(y._array)
    z = y + 1
    del y
    assert gone() is None
    z.sum().backward()


def test_memory_is_flat():
    x, w = leaf(5, 5), leaf(5, 5)

    def step():
        x.grad = w.grad = None
        everything(x, w).backward()

    for _ in range(50):
        step()
    tracemalloc.start()
    try:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(200):
            step()
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < 50_000  # one node a step would be more


# --- depth ----------------------------------------------------------------------------------------------------------


def chain(x, n):
    for _ in range(n):
        x = x * 1.0
    return x


def test_a_chain_of_100_000_ops_goes_backward_and_away():
    x = tg.tensor(2.0, requires_grad=True)
    y = chain(x, 100_000)
    y.backward()
    assert x.grad.item() == 1.0
    del y  # frees nested 100,000 deep would overflow the stack
    z = chain(x, 50_000)  # and so with all that it saved
    del z


def test_a_chain_of_views_goes_backward_and_is_rebuilt_after_a_write():
    x = tg.zeros(2, 2, requires_grad=True)
    base = x * 1
    v = base
    for _ in range(10_000):
        v = v.t()
    base += 1
    v.sum().backward()
    assert x.grad.tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_a_chain_of_writes_goes_backward_and_away():
    x = tg.ones(3, requires_grad=True)
    y = x * 1
    for _ in range(2_000):
        y[1:] += 0.5
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0, 1.0]


def test_create_graph_through_a_chain():
    x = tg.tensor(1.0, dtype=tg.float64, requires_grad=True)
    y = x
    for _ in range(2_000):
        y = y * x
    (g,) = tg.autograd.grad(y, x, create_graph=True)
    (h,) = tg.autograd.grad(g, x)
    assert (g.item(), h.item()) == (2001.0, 2001.0 * 2000.0)


# --- errors ---------------------------------------------------------------------------------------------------------


def test_a_second_backward_names_op_and_line():
    y = leaf(2).exp().sum()
    y.backward()
    with pytest.raises(
        RuntimeError, match=r"second time.*ExpBackward0 saved at .*test_engine\.py:\d+.*retain_graph=True"
    ):
        y.backward()


def test_an_overwritten_value_names_op_shape_versions_and_both_lines():
    x = leaf(2, 3)
    y = x.exp()
    y.mul_(2)
    with pytest.raises(RuntimeError) as caught:
        y.sum().backward()
    message = str(caught.value)
    line = test_an_overwritten_value_names_op_shape_versions_and_both_lines.__code__.co_firstlineno
    assert f"[torch.DoubleTensor [2, 3]], which ExpBackward0 (recorded at {__file__}:{line + 2})" in message
    assert "is at version 1; expected version 0" in message
    assert f"last written by mul_ at {__file__}:{line + 3}" in message


def test_an_error_in_a_rule_leaves_all_gradients_as_they_were(counted):
    square, _ = counted
    x, y = leaf(2), leaf(2)

    def fail(g):
        raise ZeroDivisionError

    hooked = x * 1
    hooked.register_hook(fail)
    before = tg.is_grad_enabled()
    with pytest.raises(ZeroDivisionError):
        (square(hooked) * y).sum().backward()
    assert x.grad is None
    assert y.grad is None
    assert tg.is_grad_enabled() is before


def test_a_nested_graph_is_walked_inside_a_hook():
    x = leaf(2)
    seen = []

    def inner(g):
        z = leaf(2)
        with tg.enable_grad():
            (z * z).sum().backward()
        seen.append(np.array_equal(z.grad._array, 2 * z._array))

    y = x * 2
    y.register_hook(inner)
    y.sum().backward()
    assert seen == [True]
    assert x.grad.tolist() == [2.0, 2.0]


# --- threads --------------------------------------------------------------------------------------------------------


def in_threads(f, n=4):
    errors = []

    def run(i):
        try:
            f(i)
        except BaseException as error:  # noqa: BLE001 -- it is raised below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for error in errors:
        raise error


def test_threads_accumulate_in_one_leaf_without_losing_a_gradient():
    x = tg.zeros(1000, dtype=tg.float64, requires_grad=True)
    rounds = 200
    in_threads(lambda i: [(x * (i + 1)).sum().backward() for _ in range(rounds)])
    assert x.grad.tolist() == [rounds * 10.0] * 1000


def test_threads_share_a_graph():
    x = leaf(5)
    y = (x * x).exp().sum()
    expected = (2 * x * (x * x).exp()).detach()._array
    results = [None] * 4

    def run(i):
        for _ in range(50):
            results[i] = tg.autograd.grad(y, x, retain_graph=True)[0]._array

    in_threads(run)
    for r in results:
        np.testing.assert_allclose(r, expected, rtol=1e-12)


def test_a_decorated_function_runs_in_threads_at_once():
    barrier = threading.Barrier(4)

    @tg.no_grad()
    def quiet():
        barrier.wait()
        return tg.is_grad_enabled()

    def run(i):
        for _ in range(20):
            assert quiet() is False
            assert tg.is_grad_enabled()

    in_threads(run)


def test_backward_within_backward_is_as_silent_and_leaves_numpy_as_it_was():
    """Both meet an overflow, of which NumPy would warn."""
    inner = tg.tensor([1e30], requires_grad=True)
    outer = tg.tensor([1e30], requires_grad=True)
    y, z = (x * x.detach() for x in (outer, inner))
    y.register_hook(lambda g: z.backward(g))
    before = np.geterr()
    y.backward(tg.tensor([1e30]))
    assert outer.grad.item() == float("inf")
    assert inner.grad.item() == float("inf")
    assert np.geterr() == before
    with pytest.warns(RuntimeWarning, match="overflow"):
        np.float32([1e30]) * np.float32(1e30)


def test_a_backward_inside_a_hook_leaves_the_outer_one_to_its_own():
    seen = []
    a, b, inner = (tg.tensor(v, requires_grad=True) for v in (1.0, 2.0, 3.0))
    tg.autograd.graph.register_multi_grad_hook((a, b), lambda gradients: seen.append([g.item() for g in gradients]))
    inner.register_hook(lambda g: 2 * g)
    y = a * b

    def another(g):
        with tg.enable_grad():
            (inner * inner).backward()

    y.register_hook(another)
    (y * 2).backward()
    assert seen == [[4.0, 2.0]]
    assert inner.grad.item() == 12
