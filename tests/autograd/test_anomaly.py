"""Anomaly mode names the op and the user's line."""

import pytest

import tinygrad_loss as tg
from tinygrad_loss.autograd import Function
from tinygrad_loss.op import Trace


def here(offset):
    """The file and line of the test that calls, and so many lines below."""
    import inspect

    frame = inspect.currentframe().f_back
    return f"{__file__}:{frame.f_lineno + offset}"


def test_nan_in_backward_names_op_operand_index_and_line():
    x = tg.tensor([[1.0, 0.0], [2.0, 0.0]], requires_grad=True)
    line = here(1)
    y = x.sqrt() * 0.0
    with pytest.raises(RuntimeError) as caught, tg.autograd.detect_anomaly():
        y.sum().backward()
    message = str(caught.value)
    assert "Function 'SqrtBackward0' returned nan values in its 0th output" in message
    assert "shape [2, 2], has 2 of them, the first at index (0, 1)" in message
    assert f"recorded at {line}: y = x.sqrt() * 0.0" in message
    assert "forward" not in message
    assert not tg.is_anomaly_enabled()
    assert x.grad is None


def test_nan_that_the_forward_made_is_traced_to_its_op():
    x = tg.tensor([-1.0, 4.0], requires_grad=True)
    with tg.autograd.detect_anomaly():
        line = here(1)
        y = x.log()
        z = (y * y.exp()).sum()
        with pytest.raises(RuntimeError) as caught:
            z.backward()
    assert f"The forward had made a NaN before: LogBackward0, recorded at {line}: y = x.log()" in str(caught.value)


def test_the_second_operand_is_counted():
    a, b = tg.tensor([0.0], requires_grad=True), tg.tensor([float("inf")], requires_grad=True)
    with tg.autograd.detect_anomaly(), pytest.raises(RuntimeError, match=r"'DivBackward0' returned nan .* 1th output"):
        (b / b).backward(tg.tensor([0.0]))
    del a


def test_a_custom_function_is_named():
    class Bad(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return g * float("nan")

    x = tg.tensor([1.0], requires_grad=True)
    with tg.autograd.detect_anomaly(), pytest.raises(RuntimeError, match="'BadBackward' returned nan"):
        Bad.apply(x).backward()
    Bad.apply(x).backward()
    assert x.grad.isnan().all()


def test_nan_in_higher_order():
    x = tg.tensor([0.0], requires_grad=True)
    (g,) = tg.autograd.grad((x**1.5).sum(), x, create_graph=True)
    with tg.autograd.detect_anomaly(), pytest.raises(RuntimeError, match="returned nan"):
        (g * 0).sum().backward(create_graph=True)


def test_check_nan_false_lets_it_pass():
    x = tg.tensor([0.0], requires_grad=True)
    with tg.autograd.detect_anomaly(check_nan=False):
        (x.sqrt() * 0).backward()
        assert tg.is_anomaly_enabled()
    assert x.grad.isnan().all()


def test_switching_on_and_off_leaves_no_listener():
    assert Trace.listener is None
    with tg.autograd.detect_anomaly():
        with tg.autograd.set_detect_anomaly(False):
            assert not tg.is_anomaly_enabled()
            assert Trace.listener is None
        assert tg.is_anomaly_enabled()
        assert Trace.listener is not None
    assert Trace.listener is None
    tg.autograd.set_detect_anomaly(True)
    tg.autograd.set_detect_anomaly(True)
    assert tg.is_anomaly_enabled()
    tg.autograd.set_detect_anomaly(False)
    assert not tg.is_anomaly_enabled()
    assert Trace.listener is None


def test_who_listened_before_still_hears():
    heard = []
    Trace.listener = lambda row, operands, params, result: heard.append(row.name)
    try:
        with tg.autograd.detect_anomaly():
            tg.ones(2).exp()
    finally:
        Trace.listener = None
    assert heard == ["exp"]
