"""The largest errors of the stable functions and losses in float32, in units in the last place, beside PyTorch's and NumPy's.

python -m benchmarks.accuracy [--all]

Functions of one number are compared on every 257th of the 2**32 float32 there are, or on all of them (--all, an hour);
functions of rows on rows chosen to hurt. PyTorch's column appears where torch is installed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import mpmath as mp
import numpy as np

from benchmarks import ulp
from tinygrad_loss import kernels

try:
    import torch
except ModuleNotFoundError:
    torch = None

Array = np.ndarray[Any, Any]
Function = Callable[[Array], Array]
STEP = 257


# --- functions of one number --------------------------------------------------------------------------------------


def of_torch(name: str) -> Function | None:
    """PyTorch's function of this name, array in and array out."""
    if torch is None:
        return None
    F = torch.nn.functional

    def plain(f: Callable[[Any], Any]) -> Function:
        return lambda x: f(torch.from_numpy(x)).numpy()

    def loss(label: float, gradient: bool) -> Function:
        def call(x: Array) -> Array:
            z = torch.from_numpy(x).requires_grad_()
            y = F.binary_cross_entropy_with_logits(z, torch.full_like(z, label), reduction="none")
            return torch.autograd.grad(y.sum(), z)[0].numpy() if gradient else y.detach().numpy()

        return call

    known = {
        **{n: plain(getattr(torch, n)) for n in ("exp", "log", "log1p", "expm1", "tanh", "sigmoid")},
        "logsigmoid": plain(F.logsigmoid),
        "softplus": plain(F.softplus),
        "bce_logits_0": loss(0.0, False),
        "bce_logits_0_grad": loss(0.0, True),
        "bce_logits_1": loss(1.0, False),
        "bce_logits_1_grad": loss(1.0, True),
    }
    return known.get(name)


OF_NUMPY: dict[str, Function] = {
    "exp": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "expm1": np.expm1,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "logsigmoid": lambda x: -np.logaddexp(np.float32(0), -x),
    "softplus": lambda x: np.logaddexp(np.float32(0), x),
}
LABELS = {
    "bce_logits_0": "BCE with logits, t = 0",
    "bce_logits_0_grad": "its gradient",
    "bce_logits_1": "BCE with logits, t = 1",
    "bce_logits_1_grad": "its gradient",
}
ONE = (*OF_NUMPY, *LABELS)


# --- functions of rows --------------------------------------------------------------------------------------------

Rows = Iterator[tuple[Array, int]]  # logits and the class that is right


def rows(kind: str, count: int, seed: int = 0) -> Rows:
    """Rows of logits that hurt, each in its way."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        n = int(rng.integers(2, 40))
        x = rng.normal(size=n)
        right = int(rng.integers(n))
        if kind == "scale 100":
            x = x * 100
        elif kind == "sum near 1":
            x = x * 3
            x = x - np.logaddexp.reduce(x) + rng.normal() * 1e-3
        elif kind == "confident, right":
            x[right] += 5 + 80 * rng.random()
        elif kind == "nearly equal":
            x = rng.normal() * 10 + x * 1e-6
        elif kind == "huge":
            x = x * 1e30
        elif kind == "some -inf":
            x[rng.random(n) < 0.3] = -np.inf
            x[right] = 0.5
        yield x.astype(np.float32), right


def exact(x: Array, right: int) -> dict[str, Any]:
    """The functions of one row in 50 digits; nothing cancels, each class being set against the others."""
    v = [mp.mpf(float(a)) for a in x]
    high = max(v)
    e = [mp.exp(a - high) for a in v]
    whole = mp.fsum(e)
    others = [mp.fsum(w for j, w in enumerate(e) if j != i) for i in range(len(v))]
    logp = [-mp.inf if not e[i] else -mp.log1p(others[i] / e[i]) for i in range(len(v))]
    p = [w / whole for w in e]
    gradient = [-others[i] / whole if i == right else p[i] for i in range(len(v))]
    return {
        "softmax": p,
        "logsumexp": [high + mp.log(whole)],
        "log_softmax": logp,
        "cross-entropy": [-logp[right]],
        "its gradient": gradient,
    }


def ours(x: Array, right: int) -> dict[str, Any]:
    """What our kernels say of one row."""
    layers, target = x.reshape(1, -1, 1), np.array([[right]])
    value, _, pieces = kernels.cross_entropy(layers, target, None, -100, 0.0, "sum")
    one = np.ones((), np.float32)
    return {
        "softmax": kernels.softmax(x, 0),
        "logsumexp": [kernels.logsumexp(x, 0)],
        "log_softmax": kernels.log_softmax(x, 0),
        "cross-entropy": [value],
        "its gradient": kernels.cross_entropy_grad(one, layers, target, None, -100, 0.0, "sum", pieces).ravel(),
    }


def theirs(x: Array, right: int) -> dict[str, Any]:
    """What PyTorch says of one row."""
    F = torch.nn.functional
    z = torch.from_numpy(x).requires_grad_()
    value = F.cross_entropy(z, torch.tensor(right))
    return {
        "softmax": F.softmax(z, 0).detach().numpy(),
        "logsumexp": [torch.logsumexp(z, 0).item()],
        "log_softmax": F.log_softmax(z, 0).detach().numpy(),
        "cross-entropy": [value.item()],
        "its gradient": torch.autograd.grad(value, z)[0].numpy(),
    }


def error(values: Any, truth: list[Any]) -> float:
    """The largest error in ULP of the true values; NaN and infinities must be where they belong."""
    worst = 0.0
    for v, t in zip(values, truth, strict=True):
        v = float(v)
        if mp.isinf(t) or np.isinf(v) or np.isnan(v):
            worst = worst if v == float(t) else np.inf
            continue
        ulp_of_t = mp.ldexp(1, max(int(mp.frexp(t)[1]) - 24, -149) if t else -149)
        worst = max(worst, float(abs(mp.mpf(v) - t) / ulp_of_t))
    return worst


KINDS = ("scale 100", "sum near 1", "confident, right", "nearly equal", "huge", "some -inf")


def row_errors(kind: str, count: int, function: Callable[[Array, int], dict[str, Any]]) -> dict[str, float]:
    """The largest error of each function of a row over rows of one kind."""
    worst: dict[str, float] = {}
    with mp.workdps(50):
        for x, right in rows(kind, count):
            truth = exact(x, right)
            for name, values in function(x, right).items():
                worst[name] = max(worst.get(name, 0.0), error(values, truth[name]))
    return worst


def mean_of_equal(count: int) -> tuple[float, float | None]:
    """The error, in ULP, of the mean of many equal losses: ours and PyTorch's."""
    x, t = np.full(count, 0.7, np.float32), np.zeros(count, np.float32)
    truth = mp.log1p(mp.exp(mp.mpf(float(x[0]))))
    single = float(kernels.bce_logits(x[:1], t[:1], None, None, "mean"))
    mean = float(kernels.bce_logits(x, t, None, None, "mean"))
    other = None
    if torch is not None:
        F = torch.nn.functional
        value = F.binary_cross_entropy_with_logits(torch.from_numpy(x), torch.from_numpy(t)).item()
        other = error([value], [truth])
    return max(error([mean], [truth]), error([mean], [mp.mpf(single)])), other


# --- the table ----------------------------------------------------------------------------------------------------


def shown(x: float | None) -> str:
    """An error for the table."""
    return "-" if x is None else "inf/NaN" if x == np.inf else f"{x:.2f}" if x < 1e4 else f"{x:.1e}"


def line(name: str, *columns: float | None, at: str = "") -> str:
    """One row of the table."""
    return f"{name:<42}" + "".join(f"{shown(c):>10}" for c in columns) + (f"   {at}" if at else "")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--all", action="store_true", help="every float32 there is")
    step = 1 if parser.parse_args().all else STEP
    print(f"{'largest error in ULP, float32':<42}{'ours':>10}{'PyTorch':>10}{'NumPy':>10}   ours is largest at")
    for name in ONE:
        with np.errstate(all="ignore"):
            columns = []
            for f in (None, of_torch(name), OF_NUMPY.get(name)):
                missing = f is None and columns
                columns.append(None if missing else ulp.sweep(name, step=step, other=f))
        label = LABELS.get(name, name)
        worst = [None if c is None else np.inf if c.wrong is not None else c.ulp for c in columns]
        print(line(label, *worst, at=repr(columns[0].at)), flush=True)
    for kind in KINDS:
        found = row_errors(kind, 300, ours)
        other = row_errors(kind, 300, theirs) if torch is not None else {}
        for name, worst in found.items():
            print(line(f"{name}, {kind}", worst, other.get(name), None), flush=True)
    print(line("mean of 10^7 equal losses", *mean_of_equal(10**7), None))


if __name__ == "__main__":
    main()
