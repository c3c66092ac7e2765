"""PyTorch's own settings of optimizers, run by PyTorch and by us on the same gradients; and what its optimizers refuse."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import tinygrad_loss as tg

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_optimizers import optim_db

NAMES = ("Adadelta", "Adagrad", "Adam", "Adamax", "AdamW", "NAdam", "RAdam", "RMSprop", "SGD")
INFOS = [info for info in optim_db if info.name in NAMES]
STEPS = 20
# PyTorch's implementations, of which there is one here; and what is for other devices.
ELSEWHERE = {"capturable", "fused", "foreach"}


def ours(x: Any, twins: dict[int, Any]) -> Any:
    """The same value with tensors of ours; a parameter that stands at two places stays one."""
    if isinstance(x, torch.Tensor):
        if id(x) not in twins:
            twins[id(x)] = tg.tensor(x.detach().cpu().numpy()).requires_grad_(x.requires_grad)
        return twins[id(x)]
    if isinstance(x, (tuple, list)):
        return type(x)(ours(v, twins) for v in x)
    if isinstance(x, dict):
        return {k: ours(v, twins) for k, v in x.items()}
    return x


def settings() -> list[Any]:
    return [
        pytest.param(info, item, id=f"{info.name}-{i}")
        for info in INFOS
        for i, item in enumerate(info.optim_inputs_func(device="cpu"))
    ]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("info", "item"), settings())
def test_steps(info: Any, item: Any, dtype: str) -> None:
    rng = np.random.default_rng(0)
    shapes = [(5, 3), (4,), (), (2, 0)]
    values = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    kwargs = {k: v for k, v in item.kwargs.items() if k not in ELSEWHERE}
    there = [torch.tensor(v, requires_grad=True) for v in values]
    here = [tg.tensor(v, requires_grad=True) for v in values]
    theirs = info.optim_cls(there, **kwargs)
    mine = getattr(tg.optim, info.name)(here, **ours(kwargs, {}))
    for step in range(STEPS):
        for p, q in zip(there, here, strict=True):
            g = rng.standard_normal(tuple(p.shape)).astype(dtype)
            p.grad, q.grad = (torch.tensor(g), tg.tensor(g)) if step % 7 != 3 else (None, None)
        theirs.step()
        mine.step()
    tolerance = 1e-6 if dtype == "float32" else 1e-12
    for p, q in zip(there, here, strict=True):
        scale = max(1.0, float(np.abs(p.detach().numpy()).max(initial=0)))
        np.testing.assert_allclose(q.detach().numpy(), p.detach().numpy(), rtol=tolerance, atol=tolerance * scale)
    want, got = theirs.state_dict(), mine.state_dict()
    assert set(got["state"]) == set(want["state"])
    for key, state in want["state"].items():
        assert set(got["state"][key]) == set(state)
        for name, value in state.items():
            a, b = got["state"][key][name], value
            if isinstance(b, torch.Tensor):
                a, b = a.detach().numpy(), b.detach().numpy()
                assert a.dtype == b.dtype, name
            np.testing.assert_allclose(a, b, rtol=10 * tolerance, atol=10 * tolerance, err_msg=name)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("info", INFOS, ids=lambda info: info.name)
def test_errors(info: Any, dtype: str) -> None:
    found = 0
    for item in info.optim_error_inputs_func(device="cpu", dtype=getattr(torch, dtype)):
        case = item.optimizer_error_input
        if case.kwargs.keys() & ELSEWHERE:
            continue
        twins: dict[int, Any] = {}
        params = case.params if case.params is not None else [torch.nn.Parameter(torch.randn(2, 3))]
        my_params, my_kwargs = ours((params, case.kwargs), twins)  # before PyTorch writes into them
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # one of the errors is a warning
            with pytest.raises(item.error_type):
                info.optim_cls(params, **case.kwargs)
            with pytest.raises(item.error_type):
                getattr(tg.optim, info.name)(my_params, **my_kwargs)
        found += 1
    assert found
