"""PyTorch's own samples of modules: what its test suite makes and calls must work here and give the same numbers."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import tinygrad_loss as tg
from tinygrad_loss import nn

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_modules import module_db

# Every module of PyTorch's table that there is here.
INFOS = [info for info in module_db if hasattr(nn, info.module_cls.__name__)]
# PyTorch keeps the denominator of its second derivative from falling below 1e-12.
LOOSE = {("BCELoss", "float64"): 1e-9}


def ours(x: Any, twins: dict[int, Any] | None = None) -> Any:
    """The same value as tensors of ours; a tensor that stands at two places stays one."""
    twins = {} if twins is None else twins
    if isinstance(x, torch.Tensor):
        if id(x) not in twins:
            twins[id(x)] = tg.from_numpy(x.detach().numpy().copy()).requires_grad_(x.requires_grad)
        return twins[id(x)]
    if isinstance(x, (tuple, list)):
        return type(x)(ours(v, twins) for v in x)
    if isinstance(x, dict):
        return {k: ours(v, twins) for k, v in x.items()}
    return tg.dtypes.numpy_of(str(x).removeprefix("torch.")) if isinstance(x, torch.dtype) else x


def forward(framework: Any, module: Any, args: Any, kwargs: Any) -> list[Any]:
    framework.manual_seed(7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an implicit dim, in both
        out = module(*args, **kwargs)
    return list(out) if isinstance(out, tuple) else [out]


def gradients(framework: Any, out: Any, leaves: list[Any]) -> tuple[list[Any], Any]:
    """Those of a random cotangent, and the sum of their squares, whose gradient is of second order."""
    framework.manual_seed(8)
    v = framework.rand(tuple(out.shape), dtype=out.dtype) - 0.5
    grads = framework.autograd.grad(out, leaves, v, create_graph=True, allow_unused=True)
    smooth = [g for g in grads if g is not None and g.requires_grad]
    return list(grads), sum((g * g).sum() for g in smooth) if smooth else None


def compare(actual: list[Any], expected: list[Any], tolerance: float, what: str) -> None:
    for a, e in zip(actual, expected, strict=True):
        if a is None or e is None:
            known = e if a is None else a
            assert known is None or not known.detach().numpy(force=True).any()
            continue
        a, e = a.detach().numpy(), e.detach().numpy(force=True)
        assert a.dtype == e.dtype
        np.testing.assert_allclose(a, e, rtol=tolerance, atol=tolerance, err_msg=what)


def leaves_of(module: Any, args: Any, kwargs: Any) -> list[Any]:
    return [x for x in (*args, *kwargs.values(), *module.parameters()) if getattr(x, "requires_grad", False)]


@pytest.mark.parametrize("info", INFOS, ids=lambda info: info.module_cls.__name__)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("training", [True, False])
def test_samples_of_pytorch(info: Any, dtype: str, training: bool) -> None:
    kind = getattr(torch, dtype)
    cls = info.module_cls
    tolerance = 2e-5 if dtype == "float32" else 1e-11
    torch.manual_seed(0)
    for sample in info.module_inputs_func(info, "cpu", kind, requires_grad=True, training=training):
        construct, call = sample.constructor_input, sample.forward_input
        theirs = cls(*construct.args, **construct.kwargs).to(kind).train(training)
        mine = getattr(nn, cls.__name__)(*ours(construct.args), **ours(construct.kwargs))
        mine.to(getattr(tg, dtype)).train(training)
        assert repr(mine) == repr(theirs)
        mine.load_state_dict(ours(dict(theirs.state_dict())))
        args, kwargs = ours((call.args, call.kwargs))
        what = f"{mine}, {sample.desc}"
        expected, actual = forward(torch, theirs, call.args, call.kwargs), forward(tg, mine, args, kwargs)
        compare(actual, expected, tolerance, f"{what}: value")
        compare(list(mine.buffers()), list(theirs.buffers()), tolerance, f"{what}: buffers")
        if not expected[0].requires_grad:
            assert not actual[0].requires_grad
            continue
        there, here = leaves_of(theirs, call.args, call.kwargs), leaves_of(mine, args, kwargs)
        if cls is torch.nn.CTCLoss:
            continue  # PyTorch's gradient takes log_softmax into account, as if it always came before
        first, total = gradients(torch, expected[0], there)
        my_first, my_total = gradients(tg, actual[0], here)
        compare(my_first, first, tolerance, f"{what}: gradient")
        if total is None:
            continue
        try:
            second = torch.autograd.grad(total, there, allow_unused=True)
        except RuntimeError as error:
            if "is not implemented" not in str(error):
                raise
            continue
        mine_second = [None] * len(here) if my_total is None else tg.autograd.grad(my_total, here, allow_unused=True)
        compare(list(mine_second), list(second), LOOSE.get((cls.__name__, dtype), tolerance), f"{what}: second")


@pytest.mark.parametrize(
    "info", [i for i in INFOS if i.module_error_inputs_func], ids=lambda info: info.module_cls.__name__
)
@pytest.mark.parametrize("training", [True, False])
def test_errors_of_pytorch(info: Any, training: bool) -> None:
    found = 0
    for item in info.module_error_inputs_func(info, "cpu", torch.float32, requires_grad=False, training=training):
        construct, call = item.module_error_input.constructor_input, item.module_error_input.forward_input
        call = call or type(construct)()  # the constructor raises
        with pytest.raises(item.error_type):  # noqa: PT012 -- the constructor or the call raises
            theirs = info.module_cls(*construct.args, **construct.kwargs)
            theirs(*call.args, **call.kwargs)
        with pytest.raises(item.error_type):  # noqa: PT012
            mine = getattr(nn, info.module_cls.__name__)(*ours(construct.args), **ours(construct.kwargs))
            mine(*ours(call.args), **ours(call.kwargs))
        found += 1
    assert found
