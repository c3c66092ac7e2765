"""Losses and stable functions against mpmath on inputs chosen to hurt: values and gradients, in both precisions.

Bounds are in units in the last place of the true value. In float32 all is computed in float64 and rounded once, so that
bounds hold even where terms cancel; in float64 a sum that cancels is measured by its largest term.
"""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest

import tinygrad_loss as tg
from tinygrad_loss.kernels.jit import JIT_DISABLED

F = tg.nn.functional
DTYPES = (np.float32, np.float64)
DIGITS = 120
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


def unit(truth, dtype):
    """One unit in the last place at a true value."""
    bits, lowest = (24, -149) if dtype == np.float32 else (53, -1074)
    return mp.ldexp(1, max(int(mp.frexp(truth)[1]) - bits, lowest) if truth else lowest)


def check(values, truths, dtype, bound, scales=None, what=()):
    """Every value within the bound; infinities and NaN where they belong.

    ``scales`` are the largest terms of sums that may cancel: they measure the error in float64. In float32 the bound holds
    for the sum itself, but for what float64 loses of its terms.
    """
    values = np.asarray(values).reshape(-1)
    assert values.dtype == dtype
    scales = truths if scales is None else scales
    for i, (v, t, s) in enumerate(zip(values, truths, scales, strict=True)):
        where = [w[i] if np.ndim(w) else w for w in what]
        v = float(v)
        largest = float(np.finfo(dtype).max)
        if mp.isnan(t):
            assert math.isnan(v), where
        elif mp.isinf(t) or abs(t) > largest:
            assert v == float(t) or (not mp.isinf(t) and abs(v) >= largest), (v, t, where)
        else:
            assert math.isfinite(v), (v, t, where)
            room = bound * unit(t if dtype == np.float32 else max(abs(s), abs(t)), dtype)
            if s is not t and dtype == np.float32:
                room += 8 * unit(s, np.float64)
            error = abs(mp.mpf(v) - t)
            assert error <= room, (float(error / room), v, float(t), where)


def numbers(x):
    return [mp.mpf(float(v)) for v in np.asarray(x).reshape(-1)]


def gradient_of(loss, x):
    x = tg.from_numpy(x.copy()).requires_grad_()
    loss(x).backward()
    return x.grad.numpy()


def softplus(x):
    return (
        mp.mpf(0)
        if x == -mp.inf
        else mp.inf
        if x == mp.inf
        else mp.log1p(mp.exp(x))
        if x < 0
        else x + mp.log1p(mp.exp(-x))
    )


def sigmoid(x):
    return mp.mpf(0) if x == -mp.inf else mp.mpf(1) if x == mp.inf else 1 / (1 + mp.exp(-x))


def logits(dtype):
    """Zeros, subnormals, every magnitude, both sides of each place where an exponential over- or underflows."""
    info = np.finfo(dtype)
    edges = [0.0, info.smallest_subnormal, info.smallest_normal, info.eps, 1e-5, 0.1, 0.5, 1.0, 2.0, 10.0, 16.6, 17.0, 36.8,
             87.3, 88.8, 103.9, 104.1, 708.3, 709.9, 745.0, 746.0, 1e4, info.max, np.inf]  # fmt: skip
    rng = np.random.default_rng(1)
    more = [rng.normal(size=6 if JIT_DISABLED else 60) * scale for scale in (1e-6, 0.1, 1, 10, 80)]
    with np.errstate(over="ignore"):
        x = np.concatenate([edges, *more]).astype(dtype)
    return np.concatenate([x, -x])


# --- functions of numbers -----------------------------------------------------------------------------------------


@each_dtype
def test_softplus_and_logsigmoid(dtype):
    x = logits(dtype)
    z, bound = numbers(x), 1 if dtype is np.float32 else 2
    ours = tg.from_numpy(x)
    with mp.workdps(DIGITS):
        check(F.softplus(ours, threshold=math.inf).numpy(), [softplus(v) for v in z], dtype, bound, what=(x,))
        check(F.logsigmoid(ours).numpy(), [-softplus(-v) for v in z], dtype, bound, what=(x,))
        check(tg.sigmoid(ours).numpy(), [sigmoid(v) for v in z], dtype, bound, what=(x,))
        check(gradient_of(lambda v: F.logsigmoid(v).sum(), x), [sigmoid(-v) for v in z], dtype, bound, what=(x,))
        slopes = gradient_of(lambda v: tg.sigmoid(v).sum(), x)
        check(slopes, [sigmoid(v) * sigmoid(-v) for v in z], dtype, 1 if dtype is np.float32 else 3, what=(x,))


@each_dtype
def test_logaddexp(dtype):
    rng = np.random.default_rng(2)
    a = rng.choice(logits(dtype), 60 if JIT_DISABLED else 400)
    b = np.where(rng.random(a.size) < 0.3, a + rng.normal(size=a.size).astype(dtype), rng.permutation(a)).astype(dtype)
    b[:3], a[:3] = [np.inf, -np.inf, np.inf], [-np.inf, -np.inf, np.inf]
    truths, scales = [], []
    with mp.workdps(DIGITS):
        for u, v in zip(numbers(a), numbers(b), strict=True):
            high, low = max(u, v), min(u, v)
            truths.append(high if mp.isinf(high) or low == -mp.inf else high + mp.log1p(mp.exp(low - high)))
            scales.append(max(abs(truths[-1]), abs(u) if mp.isfinite(u) else 0, abs(v) if mp.isfinite(v) else 0))
        value = tg.logaddexp(tg.from_numpy(a), tg.from_numpy(b)).numpy()
        check(value, truths, dtype, 2, scales, (a, b))


# --- binary cross-entropy -----------------------------------------------------------------------------------------


@each_dtype
@pytest.mark.parametrize("weighted", [False, True])
def test_bce_with_logits(dtype, weighted):
    x = logits(dtype)
    soft = 1 / (1 + np.exp(-np.clip(x, -80, 80).astype(np.float64)))  # near-equal: the gradient all but vanishes
    # a label whose product with a weight is no subnormal, which would have lost digits
    labels = [0.0, 1.0, 0.3, 1e8 * np.finfo(dtype).smallest_normal, 1 - np.finfo(dtype).epsneg]
    target = np.concatenate([np.full(x.shape, label) for label in labels] + [soft]).astype(dtype)
    x = np.tile(x, len(labels) + 1)
    weights = {}
    if weighted:
        rng = np.random.default_rng(3)
        weights = {name: rng.uniform(0.1, 3, x.shape).astype(dtype) for name in ("weight", "pos_weight")}
    given = {name: tg.from_numpy(w) for name, w in weights.items()}
    t = tg.from_numpy(target)

    def loss(v):
        return F.binary_cross_entropy_with_logits(v, t, reduction="none", **given)

    ones = [mp.mpf(1)] * x.size
    w, p = (numbers(weights[k]) if weighted else ones for k in ("weight", "pos_weight"))
    values, slopes, scales = [], [], []
    with mp.workdps(DIGITS):
        for v, q, wi, pi in zip(numbers(x), numbers(target), w, p, strict=True):
            up, down = (0 if q == 1 else (1 - q) * softplus(v)), (0 if q == 0 else pi * q * softplus(-v))
            values.append(wi * (up + down))
            rise, fall = wi * (1 - q) * sigmoid(v), wi * pi * q * sigmoid(-v)
            slopes.append(rise - fall)
            scales.append(max(abs(rise), abs(fall)))
        single = dtype is np.float32
        check(loss(tg.from_numpy(x)).numpy(), values, dtype, 1 if single else 3, what=(x, target))
        got = gradient_of(lambda v: loss(v).sum(), x)
        check(got, slopes, dtype, 1 if single else 4, scales, (x, target))


@each_dtype
def test_bce(dtype):
    info = np.finfo(dtype)
    edges = [0.0, info.smallest_subnormal, info.smallest_normal, 1e-30, 1e-12, info.eps, 1e-3, 0.25, 0.5 - info.epsneg, 0.5,
             0.5 + info.eps, 0.9, 1 - 3 * info.epsneg, 1 - info.epsneg, 1.0]  # fmt: skip
    edges = np.array([*edges, *np.random.default_rng(4).random(9)], dtype)
    x, target = (v.reshape(-1).copy() for v in np.meshgrid(edges, edges))
    values, slopes, by_target = [], [], []
    with mp.workdps(DIGITS):
        for v, q in zip(numbers(x), numbers(target), strict=True):
            logs = [max(log, mp.mpf(-100)) for log in (mp.log(v) if v else -mp.inf, mp.log1p(-v) if v < 1 else -mp.inf)]
            values.append(-(q * logs[0] + (1 - q) * logs[1]))
            slopes.append((v - q) / max(v * (1 - v), mp.mpf(1e-12)))
            by_target.append(logs[1] - logs[0])
        ours = [tg.from_numpy(v.copy()).requires_grad_() for v in (x, target)]
        value = F.binary_cross_entropy(*ours, reduction="none")
        value.sum().backward()
        single = dtype is np.float32
        check(value.detach().numpy(), values, dtype, 1 if single else 3, what=(x, target))
        check(ours[0].grad.numpy(), slopes, dtype, 1 if single else 3, what=(x, target))
        scales = [max(abs(b), abs(b) + 1) for b in by_target]
        check(ours[1].grad.numpy(), by_target, dtype, 1 if single else 2, scales, (x, target))


# --- rows of classes ----------------------------------------------------------------------------------------------


KINDS = (
    "plain",
    "tiny",
    "scale 100",
    "confident",
    "confident, wrong",
    "sum near 1",
    "near-equal",
    "equal",
    "huge",
    "-inf",
    "one",
)


def rows(dtype, count):
    """(logits, the right class, what kind of row) with 1 to 40 classes."""
    rng = np.random.default_rng(5)
    for i in range(count):
        kind = KINDS[i % len(KINDS)]
        n = 1 if kind == "one" else int(rng.integers(2, 40))
        x, right = rng.normal(size=n), int(rng.integers(n))
        if kind == "tiny":
            x = x * 10.0 ** rng.uniform(-40, -5)
        elif kind == "scale 100":
            x = x * 100
        elif kind == "confident":
            x[right] += 5 + 80 * rng.random()
        elif kind == "confident, wrong":
            x[right] -= 5 + 80 * rng.random()
        elif kind == "sum near 1":
            x = 3 * x - np.logaddexp.reduce(3 * x) + rng.normal() * 1e-3
        elif kind == "near-equal":
            x = rng.normal() * 10 + x * 1e-6
        elif kind == "equal":
            x[:] = rng.normal() * 30
        elif kind == "huge":
            x = x * 1e30
        elif kind == "-inf":
            x[rng.random(n) < 0.4] = -np.inf
            x[right] = rng.normal()
        yield x.astype(dtype), right, kind


def exact(x):
    """(logsumexp, softmax, -log_softmax, 1 - softmax): each class against the others."""
    v = numbers(x)
    high = max(v)
    e = [mp.exp(a - high) for a in v]
    whole = mp.fsum(e)
    others = [whole - a for a in e]
    losses = [mp.inf if not a else mp.log1p(o / a) for a, o in zip(e, others, strict=True)]
    return high + mp.log(whole), [a / whole for a in e], losses, [o / whole for o in others]


@each_dtype
def test_functions_of_rows(dtype):
    single = dtype is np.float32
    with mp.workdps(DIGITS):
        for x, _, kind in rows(dtype, 22 if JIT_DISABLED else 165):
            total, p, losses, _ = exact(x)
            ours = tg.from_numpy(x)
            finite = np.abs(x[np.isfinite(x)]).max()
            check(
                tg.logsumexp(ours, 0).numpy(), [total], dtype, 2, None if single else [max(abs(total), finite)], (kind,)
            )
            check(tg.softmax(ours, 0).numpy(), p, dtype, 2 if single else 3, what=(kind,))
            check(tg.log_softmax(ours, 0).numpy(), [-v for v in losses], dtype, 2, what=(kind,))


@each_dtype
def test_cross_entropy_of_class_numbers(dtype):
    single = dtype is np.float32
    with mp.workdps(DIGITS):
        for x, k, kind in rows(dtype, 22 if JIT_DISABLED else 165):
            _, p, losses, missing = exact(x)
            target = tg.tensor([k])

            def loss(v, target=target):
                return F.cross_entropy(v, target)

            check(loss(tg.from_numpy(x[None])).numpy(), [losses[k]], dtype, 2, what=(kind,))
            slopes = [-missing[k] if j == k else p[j] for j in range(x.size)]
            check(gradient_of(loss, x[None]), slopes, dtype, 2 if single else 3, what=(kind,))
            two_steps = gradient_of(lambda v: F.nll_loss(F.log_softmax(v, 1), target), x[None])  # noqa: B023
            check(two_steps, slopes, dtype, 2 if single else 3, what=(kind,))


@each_dtype
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("soft", [False, True])
def test_cross_entropy_with_everything(dtype, weighted, smoothing, soft):
    single, rng = dtype is np.float32, np.random.default_rng(6)
    # the shares' weights and the divisor are rounded too; interpreted, there is no fused multiply-add
    bound = 2 if single else 4 if JIT_DISABLED else 2
    with mp.workdps(DIGITS):
        for x, k, kind in rows(dtype, 11 if JIT_DISABLED else 77):
            if smoothing and kind == "-inf":
                continue  # infinite: every class counts
            _, p, losses, missing = exact(x)
            n = x.size
            target, share = tg.tensor([k]), [mp.mpf(j == k) for j in range(n)]
            if soft:
                q = rng.dirichlet(np.ones(n)).astype(dtype)
                q[np.isinf(x)] = 0
                q = (q / q.sum()).astype(dtype)
                target, share = tg.from_numpy(q[None]), numbers(q)
            w = rng.uniform(0.2, 3, n).astype(dtype)
            weights = numbers(w) if weighted else [mp.mpf(1)] * n
            e = mp.mpf(smoothing)
            q = [((1 - e) * s + e / n) * v for s, v in zip(share, weights, strict=True)]
            divisor = 1 if soft else weights[k]
            value = mp.fsum(a * b for a, b in zip(q, losses, strict=True) if a) / divisor
            # (sum of the others' q) p - q (1 - p)
            whole = mp.fsum(q)
            terms = [((whole - a) * b / divisor, a * c / divisor) for a, b, c in zip(q, p, missing, strict=True)]

            def loss(v, target=target, w=w):
                weight = tg.from_numpy(w) if weighted else None
                return F.cross_entropy(v, target, weight, label_smoothing=smoothing)

            check(loss(tg.from_numpy(x[None])).numpy(), [value], dtype, bound, what=(kind,))
            slopes, scales = [a - b for a, b in terms], [max(a, b) for a, b in terms]
            got = gradient_of(loss, x[None])
            check(got, slopes, dtype, 2 if single else 12 if JIT_DISABLED else 4, scales, (kind,))


@each_dtype
def test_one_hot_probabilities_are_class_numbers(dtype):
    """Nothing beside the target counts: each slope has to hold by itself."""
    with mp.workdps(DIGITS):
        for x, k, kind in rows(dtype, 22 if JIT_DISABLED else 88):
            _, p, losses, missing = exact(x)
            target = tg.from_numpy(np.eye(x.size, dtype=dtype)[[k]])

            def loss(v, target=target):
                return F.cross_entropy(v, target)

            check(loss(tg.from_numpy(x[None])).numpy(), [losses[k]], dtype, 2, what=(kind,))
            slopes = [-missing[k] if j == k else p[j] for j in range(x.size)]
            check(gradient_of(loss, x[None]), slopes, dtype, 2 if dtype is np.float32 else 3, what=(kind,))


@each_dtype
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("classes", [3, 100])
def test_gradients_that_all_but_vanish(dtype, soft, classes):
    """Where the softmax agrees with the target but for the last digits of a float32, they are what remains."""
    x = (np.random.default_rng(10).normal(size=classes) * (1 if soft else 1e-6)).astype(dtype)
    _, p, _, missing = exact(x)
    if soft:
        e = np.exp(x - x.max(), dtype=np.float64)
        q = (e / e.sum()).astype(dtype)
        target, smoothing, share = tg.from_numpy(q[None]), 0.0, numbers(q)
    else:
        target, smoothing, share = tg.tensor([1]), 1.0, [mp.mpf(1) / classes] * classes
    got = gradient_of(lambda v: F.cross_entropy(v, target, label_smoothing=smoothing), x[None])
    bound = 2 if dtype is np.float32 else 12 if JIT_DISABLED else 4
    with mp.workdps(DIGITS):
        whole = mp.fsum(share)
        terms = [((whole - a) * b, a * c) for a, b, c in zip(share, p, missing, strict=True)]
        check(got, [a - b for a, b in terms], dtype, bound, [max(t) for t in terms])


@each_dtype
@pytest.mark.parametrize("classes", [1, 2, 1000, pytest.param(100_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("advantage", [0.0, 40.0])
def test_from_one_class_to_a_hundred_thousand(classes, advantage, dtype):
    classes = min(classes, 70) if JIT_DISABLED else classes
    x = (np.random.default_rng(7).normal(size=classes) * 5).astype(dtype)
    right, slack = classes // 2, 6 if JIT_DISABLED else 1  # interpreted, a row is summed one by one, not in lanes
    bound = slack * (2 if dtype is np.float32 else 4)
    x[right] += advantage
    with mp.workdps(DIGITS):
        total, p, losses, missing = exact(x)

        def loss(v):
            return F.cross_entropy(v, tg.tensor([right]))

        check(loss(tg.from_numpy(x[None])).numpy(), [losses[right]], dtype, 2 * slack)
        slopes = [-missing[right] if j == right else p[j] for j in range(classes)]
        check(gradient_of(loss, x[None]), slopes, dtype, bound)
        check(tg.softmax(tg.from_numpy(x), 0).numpy(), p, dtype, bound)
        check(tg.logsumexp(tg.from_numpy(x), 0).numpy(), [total], dtype, 2)


@each_dtype
@pytest.mark.parametrize("advantage", [25.0, 3.0])
def test_a_hundred_thousand_equal_classes(advantage, dtype):
    classes = 70 if JIT_DISABLED else 100_000  # in one float64 sum their roundings would add up to 20 ULP
    x = np.full(classes, -0.3, dtype)
    x[-1] = advantage
    with mp.workdps(DIGITS):
        top, low = numbers(x[-2:][::-1])
        rest = (classes - 1) * mp.exp(low - top)
        got = F.cross_entropy(tg.from_numpy(x[None]), tg.tensor([classes - 1]))
        check(got.numpy(), [mp.log1p(rest)], dtype, 2)
        check(tg.softmax(tg.from_numpy(x), 0).numpy()[-1:], [1 / (1 + rest)], dtype, 2)
        check(tg.logsumexp(tg.from_numpy(x), 0).numpy(), [top + mp.log1p(rest)], dtype, 2)


# --- divergence and likelihood ------------------------------------------------------------------------------------


@each_dtype
@pytest.mark.parametrize("log_target", [False, True])
def test_kl_div(dtype, log_target):
    rng, single = np.random.default_rng(8), dtype is np.float32
    t = np.concatenate([10.0 ** rng.uniform(-37, 0, 100), [0.5, 1.0, 0.0, np.finfo(dtype).smallest_subnormal]]).astype(
        dtype
    )
    with np.errstate(divide="ignore"):
        logs = np.log(t.astype(np.float64))
        near = np.where(t > 0, logs, -5).astype(dtype)  # the divergence all but vanishes
    x = np.concatenate([near, -rng.exponential(size=t.size).astype(dtype) * 30])
    t = np.tile(logs.astype(dtype) if log_target else t, 2)
    values, scales, by_target = [], [], []
    with mp.workdps(DIGITS):
        for v, q in zip(numbers(x), numbers(t), strict=True):
            p, log = (mp.exp(q), q) if log_target else (q, mp.log(q) if q else -mp.inf)
            values.append(p * (log - v) if p else mp.mpf(0))
            scales.append(
                p if single else max(abs(p * log), abs(p * v)) if p else mp.mpf(0)
            )  # log t - x loses but 2**-53
            by_target.append((p * (log - v) + p if p else mp.mpf(0)) if log_target else log - v + 1)
        ours = [tg.from_numpy(v.copy()).requires_grad_() for v in (x, t)]
        value = F.kl_div(*ours, reduction="none", log_target=log_target)
        value.sum().backward()
        check(value.detach().numpy(), values, dtype, 1 if single else 3, scales, (x, t))
        slopes = [-(mp.exp(q) if log_target else q) for q in numbers(t)]
        check(ours[0].grad.numpy(), slopes, dtype, 1 if single else 2, what=(x, t))
        kept = np.isfinite(t) if log_target else t > 0
        if single:
            kept &= np.abs([float(b) for b in by_target]) > 1e-30
            check(
                ours[1].grad.numpy()[kept],
                [b for b, k in zip(by_target, kept, strict=True) if k],
                dtype,
                1,
                what=(t[kept],),
            )


@each_dtype
def test_the_mean_of_class_numbers_with_weights(dtype):
    rng = np.random.default_rng(9)
    x, t = -rng.exponential(size=(1000, 7)).astype(dtype), rng.integers(0, 7, 1000)
    w = rng.uniform(0.1, 3, 7).astype(dtype)
    t[::10] = -100
    with mp.workdps(DIGITS):
        kept = [(numbers([w[k]])[0], -numbers([row[k]])[0]) for row, k in zip(x, t, strict=True) if k >= 0]
        truth = mp.fsum(a * b for a, b in kept) / mp.fsum(a for a, _ in kept)
        value = F.nll_loss(tg.from_numpy(x), tg.from_numpy(t), tg.from_numpy(w))
        check(value.numpy(), [truth], dtype, 1 if dtype is np.float32 else 4)


# --- long sums ----------------------------------------------------------------------------------------------------


def equal_losses(count):
    """(name, one loss of float32 operands as a call that takes how many of them)."""
    x = tg.full((count,), 0.7)
    rows_, zeros = tg.tensor([[0.3, -0.4]]), tg.zeros(count)
    classes = tg.zeros(count, dtype=tg.int64)
    return {
        "binary_cross_entropy_with_logits": lambda n: F.binary_cross_entropy_with_logits(x[:n], zeros[:n]),
        "binary_cross_entropy": lambda n: F.binary_cross_entropy(x[:n], zeros[:n]),
        "mse_loss": lambda n: F.mse_loss(x[:n], zeros[:n]),
        "l1_loss": lambda n: F.l1_loss(x[:n], zeros[:n]),
        "cross_entropy": lambda n: F.cross_entropy(rows_.expand(n, 2), classes[:n]),
        "nll_loss": lambda n: F.nll_loss(-x[:n, None], classes[:n]),
        "kl_div": lambda n: F.kl_div(-x[:n], x[:n], reduction="batchmean"),
    }


@pytest.mark.parametrize(
    "name",
    [
        "binary_cross_entropy_with_logits",
        "mse_loss",
        *(pytest.param(n, marks=pytest.mark.slow)
          for n in ("binary_cross_entropy", "l1_loss", "cross_entropy", "nll_loss", "kl_div")),
    ],
)  # fmt: skip
def test_the_mean_of_ten_million_equal_losses(name):
    count = 10_000 if JIT_DISABLED else 10_000_000
    loss = equal_losses(count)[name]
    single, mean = loss(1).item(), loss(count).item()
    assert abs(mean - single) <= np.spacing(np.float32(single))


def test_sums_of_mixed_signs_keep_their_digits():
    # 10**5 large terms that cancel in pairs, and small ones that alone remain
    x = np.tile(np.array([3e7, 1.0, -3e7], np.float32), 100_000 if not JIT_DISABLED else 1000)
    value = F.nll_loss(tg.from_numpy(-x[:, None]), tg.zeros(x.size, dtype=tg.int64), reduction="sum")
    assert value.item() == x.size / 3


# --- NaN and infinity, as in PyTorch where LOSSES differ in nothing ------------------------------------------------

INF, NAN = math.inf, math.nan


@each_dtype
def test_nan_comes_through(dtype):
    """NaN in an input or target gives NaN there, and only there; BCELoss refuses it."""
    bad, ones = np.array([[NAN, 1.0], [0.5, 0.25]], dtype), np.full((2, 2), 0.5, dtype)
    for name in ("binary_cross_entropy_with_logits", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div",
                 "poisson_nll_loss", "soft_margin_loss", "hinge_embedding_loss"):  # fmt: skip
        loss = getattr(F, name)
        for pair in ((bad, ones), (ones, bad)):
            value = loss(*(tg.from_numpy(v) for v in pair), reduction="none").numpy()
            # a comparison with NaN is false: hinge_embedding adds both branches, as for any target that is not 1 or -1
            harmless = name == "hinge_embedding_loss" and pair[1] is bad
            assert np.isnan(value[0, 0]) != harmless, name
            assert np.isfinite(value.reshape(-1)[1:]).all(), name
        if name != "kl_div":
            assert np.isnan(loss(tg.from_numpy(bad), tg.from_numpy(ones)).item())
    for target in (tg.tensor([0, 0]), tg.tensor([1, 0])):
        x = tg.from_numpy(bad).requires_grad_()
        value = F.cross_entropy(x, target, reduction="none")
        value.sum().backward()
        assert np.isnan(value.detach().numpy()).tolist() == [True, False]
        assert np.isnan(x.grad.numpy()).tolist() == [[True, True], [False, False]]
    with pytest.raises(RuntimeError, match=r"input\[0, 0\] is nan"):
        F.binary_cross_entropy(tg.from_numpy(bad), tg.from_numpy(ones))


@each_dtype
def test_infinite_logits(dtype):
    x = tg.from_numpy(np.array([[-INF, 0.0, 1.0], [INF, 0.0, 1.0], [-INF, -INF, -INF]], dtype)).requires_grad_()
    with mp.workdps(30):
        one = float(mp.log1p(mp.exp(-1)))
    value = F.cross_entropy(x, tg.tensor([2, 1, 0]), reduction="none").detach().numpy()
    assert value[0] == pytest.approx(one, rel=1e-6)
    assert np.isnan(value[1]) or value[1] == INF
    smooth = F.cross_entropy(x[:1], tg.tensor([2]), label_smoothing=0.1)
    assert smooth.item() == INF  # a class that counts is impossible
    w = tg.from_numpy(np.array([0.0, 1.0, 1.0], dtype))
    assert np.isfinite(F.cross_entropy(x[:1], tg.tensor([2]), w, label_smoothing=0.1).item())
    soft = tg.from_numpy(np.array([[0.0, 0.0, 1.0]], dtype))
    loss = F.cross_entropy(x[:1], soft)
    loss.backward()
    assert loss.item() == pytest.approx(one, rel=1e-6)
    np.testing.assert_allclose(x.grad.numpy()[0], [0, 1 / (1 + math.e), -1 / (1 + math.e)], rtol=1e-6)


@each_dtype
def test_nothing_to_sum(dtype):
    empty = tg.from_numpy(np.empty((0, 3), dtype)).requires_grad_()
    for loss, target in (
        (F.binary_cross_entropy, tg.from_numpy(np.empty((0, 3), dtype))),
        (F.binary_cross_entropy_with_logits, tg.from_numpy(np.empty((0, 3), dtype))),
        (F.mse_loss, tg.from_numpy(np.empty((0, 3), dtype))),
        (F.cross_entropy, tg.zeros(0, dtype=tg.int64)),
        (F.cross_entropy, tg.from_numpy(np.empty((0, 3), dtype))),
        (F.nll_loss, tg.zeros(0, dtype=tg.int64)),
    ):
        assert math.isnan(loss(empty, target).item())
        assert loss(empty, target, reduction="sum").item() == 0
        assert loss(empty, target, reduction="none").numel() == 0
        (gradient,) = tg.autograd.grad(loss(empty, target), empty)
        assert gradient.shape == (0, 3)
