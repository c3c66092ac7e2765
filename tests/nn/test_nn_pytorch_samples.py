"""PyTorch's own samples of modules: what its test suite makes and calls must work here and give the same numbers."""

import warnings

import numpy as np
import pytest

import tinygrad_loss as tg
from tinygrad_loss import nn

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_modules import module_db

FILES = [
    "activation", "container", "distance", "dropout", "flatten", "linear", "normalization", "rectifiers", "sparse"
]  # fmt: skip
NAMES = {name for file in FILES for name in getattr(nn.modules, file).__all__}
INFOS = [info for info in module_db if info.module_cls.__name__ in NAMES]


def ours(x):
    """The same value as tensors of ours."""
    if isinstance(x, torch.Tensor):
        return tg.from_numpy(x.detach().numpy().copy()).requires_grad_(x.requires_grad)
    if isinstance(x, (tuple, list)):
        return type(x)(map(ours, x))
    return tg.dtypes.numpy_of(str(x).removeprefix("torch.")) if isinstance(x, torch.dtype) else x


def run(framework, module, args, kwargs):
    """Output, gradients of a random cotangent, and gradients of these."""
    framework.manual_seed(7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an implicit dim, in both
        out = module(*args, **kwargs)
    leaves = [
        x for x in (*args, *kwargs.values(), *module.parameters()) if hasattr(x, "requires_grad") and x.requires_grad
    ]
    values = [out]
    if out.requires_grad:
        framework.manual_seed(8)
        v = framework.rand(tuple(out.shape), dtype=out.dtype) - 0.5
        grads = framework.autograd.grad(out, leaves, v, create_graph=True, allow_unused=True)
        smooth = [g for g in grads if g is not None and g.requires_grad]
        total = sum((g * g).sum() for g in smooth)
        second = framework.autograd.grad(total, leaves, allow_unused=True) if smooth else [None] * len(leaves)
        values += [*grads, *second]
    return values


@pytest.mark.parametrize("info", INFOS, ids=lambda info: info.module_cls.__name__)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("training", [True, False])
def test_samples_of_pytorch(info, dtype, training):
    kind = getattr(torch, dtype)
    cls = info.module_cls
    for sample in info.module_inputs_func(info, "cpu", kind, requires_grad=True, training=training):
        construct, call = sample.constructor_input, sample.forward_input
        theirs = cls(*construct.args, **construct.kwargs).to(kind).train(training)
        mine = getattr(nn, cls.__name__)(*ours(construct.args), **{k: ours(v) for k, v in construct.kwargs.items()})
        mine.to(getattr(tg, dtype)).train(training)
        assert repr(mine) == repr(theirs)
        mine.load_state_dict({k: ours(v) for k, v in theirs.state_dict().items()})
        expected = run(torch, theirs, call.args, call.kwargs)
        actual = run(tg, mine, ours(call.args), {k: ours(v) for k, v in call.kwargs.items()})
        for a, e in zip(actual, expected, strict=True):
            if a is None or e is None:
                known = e if a is None else a
                assert known is None or not known.detach().numpy(force=True).any()
                continue
            a, e = a.detach().numpy(), e.detach().numpy(force=True)
            assert a.dtype == e.dtype
            tolerance = 2e-5 if dtype == "float32" else 1e-11
            np.testing.assert_allclose(a, e, rtol=tolerance, atol=tolerance, err_msg=f"{mine}, {sample.desc}")
