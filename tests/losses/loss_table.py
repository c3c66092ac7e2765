"""Every loss once: how to draw its arguments, its settings, and its formula in arbitrary precision. All tests read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import mpmath as mp
import numpy as np

import tinygrad_loss as tg

DIGITS = 60
REDUCTIONS = ("none", "mean", "sum")
Arrays = dict[str, np.ndarray]

# --- mathematics on arrays of mpf ---------------------------------------------------------------------------------


def exact(x: Any) -> Any:
    """An array of floats as mpf, other things as they are."""
    if isinstance(x, np.ndarray) and x.dtype.kind == "f":
        out = np.empty(x.shape, object)
        for place in np.ndindex(x.shape):
            out[place] = mp.mpf(float(x[place]))
        return out
    return x


def each(f: Callable[..., Any], count: int = 1) -> Callable[..., Any]:
    return np.frompyfunc(f, count, 1)


exp = each(mp.exp)
log = each(lambda v: mp.log(v) if v > 0 else -mp.inf if v == 0 else mp.nan)
softplus = each(lambda v: mp.log1p(mp.exp(v)) if v < 0 else v + mp.log1p(mp.exp(-v)))
sqrt = each(mp.sqrt)
positive = each(lambda v: v if v > 0 else v * 0)
larger = each(max, 2)
smaller = each(min, 2)
times = each(lambda a, b: a * b if a != 0 else mp.mpf(0), 2)  # 0 counts 0, whatever it multiplies


def log_softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """Each class against the others, so that nothing cancels at any precision."""
    rows = np.moveaxis(x, axis, -1)
    out = np.empty(rows.shape, object)
    for place in np.ndindex(rows.shape[:-1]):
        row = rows[place]
        for j in range(len(row)):
            others = mp.fsum(mp.exp(v - row[j]) for i, v in enumerate(row) if i != j)
            out[(*place, j)] = -mp.log1p(others)
    return np.moveaxis(out, -1, axis)


def total(terms: Any) -> Any:
    return mp.fsum(np.asarray(terms, object).reshape(-1).tolist())


# --- formulas -----------------------------------------------------------------------------------------------------


def bce(input, target, weight=1):
    logs = larger(log(input), mp.mpf(-100)), larger(log(1 - input), mp.mpf(-100))
    return -(target * logs[0] + (1 - target) * logs[1]) * weight


def bce_logits(input, target, weight=1, pos_weight=1):
    return (times(target * pos_weight, softplus(-input)) + times(1 - target, softplus(input))) * weight


def multilabel_soft(input, target, weight=1):
    return bce_logits(input, target, weight).sum(-1) / input.shape[-1]


def shares(input, target, weight=None, ignore_index=-100, label_smoothing=0):
    """How much each class of each position counts, and the weight of each position in the mean."""
    d = int(input.ndim > 1)
    c = input.shape[d]
    w = exact(np.ones(c)) if weight is None else weight
    e = mp.mpf(label_smoothing)
    along = w.reshape((-1,) + (1,) * (input.ndim - d - 1))
    if target.shape == input.shape:
        q = (target * (1 - e) + e / c) * along
        return q, np.full(q.sum(d).shape, mp.mpf(1), object)
    kept = target.reshape(input.shape[:d] + input.shape[d + 1 :]) != ignore_index
    k = np.where(kept, target.reshape(kept.shape), 0)
    own = np.moveaxis(np.eye(c, dtype=int)[k].astype(object), -1, d) * along
    q = (own * (1 - e) + e / c * along) * np.expand_dims(kept, d)
    return q, w[k] * kept


def cross_entropy(input, target, **settings):
    d = int(input.ndim > 1)
    q, _ = shares(input, target, **settings)
    return times(q, -log_softmax(input, d)).sum(d)


def nll(input, target, weight=None, ignore_index=-100):
    d = int(input.ndim > 1)
    return times(shares(input, target, weight, ignore_index)[0], -input).sum(d)


def by_weight(terms, reduction, input, target, **settings):
    if reduction != "mean":
        return total(terms)
    divisor = total(np.asarray(shares(input, target, **settings)[1], object))
    return total(terms) / divisor if divisor else mp.nan


def kl(input, target, log_target=False):
    return times(exp(target), target - input) if log_target else times(target, log(target) - input)


def by_batch(terms, reduction, input, target, **_):
    if reduction == "batchmean":
        return total(terms) / ((len(input) or mp.nan) if input.ndim else 1)
    return total(terms) / ((terms.size or mp.nan) if reduction == "mean" else 1)


def squared(input, target, weight=1):
    return (input - target) ** 2 * weight


def absolute(input, target, weight=1):
    return abs(input - target) * weight


def by_sum_of_weights(terms, reduction, input, target, weight=None):
    if reduction != "mean":
        return total(terms)
    return total(terms) / (terms.size if weight is None else total(weight))


def smooth(input, target, beta=1.0):
    d = abs(input - target)
    return each(lambda v: v * v / (2 * mp.mpf(beta)) if v < beta else v - mp.mpf(beta) / 2)(d)


def huber(input, target, delta=1.0, weight=1):
    d = abs(input - target)
    return each(lambda v: v * v / 2 if v < delta else delta * (v - mp.mpf(delta) / 2))(d) * weight


def soft_margin(input, target):
    return softplus(-target * input)


def gaussian(input, target, var, full=False, eps=1e-6):
    var = exact(np.asarray(var, float)) if isinstance(var, float) else var
    var = np.expand_dims(var, -1) if var.ndim == input.ndim - 1 and var.ndim else var
    v = larger(var, mp.mpf(eps))
    return (log(v) + (input - target) ** 2 / v) / 2 + (mp.log(2 * mp.pi) / 2 if full else 0)


def poisson(input, target, log_input=True, full=False, eps=1e-8):
    loss = exp(input) - target * input if log_input else input - target * log(input + mp.mpf(eps))
    if not full:
        return loss
    return loss + each(lambda t: t * mp.log(t) - t + mp.log(2 * mp.pi * t) / 2 if t > 1 else mp.mpf(0))(target)


def hinge(input, target, margin=1.0):
    like, unlike = target != -1, target != 1
    return input * like + positive(mp.mpf(margin) - input) * unlike


def cosine(input1, input2, target, margin=0.0):
    lengths = [(x * x).sum(-1) + mp.mpf("1e-12") for x in (input1, input2)]
    c = np.asarray((input1 * input2).sum(-1) / sqrt(lengths[0] * lengths[1]), object)
    return (1 - c) * (target == 1) + positive(c - mp.mpf(margin)) * (target == -1)


def ranking(input1, input2, target, margin=0.0):
    return positive(mp.mpf(margin) - target * (input1 - input2))


def distance(x, y, p, eps):
    d = abs(x - y + mp.mpf(eps))
    return np.atleast_1d(np.asarray(d ** mp.mpf(p), object)).sum(-1) ** (1 / mp.mpf(p))


def triplet(anchor, positive_, negative, margin=1.0, p=2.0, eps=1e-6, swap=False):
    far = distance(anchor, negative, p, eps)
    if swap:
        far = smaller(far, distance(positive_, negative, p, eps))
    return positive(mp.mpf(margin) + distance(anchor, positive_, p, eps) - far)


def multi_margin(input, target, p=1, margin=1.0, weight=None):
    rows = []
    for x, y in zip(np.atleast_2d(input), np.atleast_1d(target), strict=True):
        w = 1 if weight is None else weight[y]
        terms = [w * positive(mp.mpf(margin) - x[y] + x[j]) ** p for j in range(len(x)) if j != y]
        rows.append(mp.fsum(terms) / len(x))
    return np.array(rows, object).reshape(target.shape)


def multilabel_margin(input, target):
    rows = []
    for x, labels in zip(np.atleast_2d(input), np.atleast_2d(target), strict=True):
        right = labels[: list(labels).index(-1) if -1 in labels else len(labels)]
        terms = [positive(1 - x[k] + x[j]) for k in right for j in range(len(x)) if j not in right]
        rows.append(mp.fsum(terms) / len(x))
    return np.array(rows, object).reshape(input.shape[:-1])


def ctc(log_probs, targets, input_lengths, target_lengths, blank=0, zero_infinity=False):
    """The sum over all timings, one by one."""
    losses = []
    for n in range(log_probs.shape[1]):
        labels, frames = list(targets[n, : target_lengths[n]]), int(input_lengths[n])
        paths = {(): mp.mpf(1)}  # what was heard, frame by frame -> its probability
        for f in range(frames):
            paths = {
                (*heard, k): chance * mp.exp(log_probs[f, n, k])
                for heard, chance in paths.items()
                for k in range(log_probs.shape[2])
            }
        whole = mp.fsum(chance for heard, chance in paths.items() if merged(heard, blank) == labels)
        losses.append(-mp.log(whole) if whole or not zero_infinity else mp.mpf(0))
    return np.array(losses, object)


def merged(heard, blank):
    """What is left of a timing when repetitions are merged and blanks dropped."""
    return [k for i, k in enumerate(heard) if k != blank and (i == 0 or heard[i - 1] != k)]


def by_labels(terms, reduction, target_lengths, **_):
    if reduction == "mean":
        terms = terms / np.maximum(target_lengths, 1)
    return total(terms) / (terms.size if reduction == "mean" else 1)


def by_count(terms, reduction, **_):
    if reduction == "mean":
        return total(terms) / terms.size if terms.size else mp.nan
    return total(terms)


# --- the table ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Loss:
    """One loss; ``draw(rng, shape)`` gives its tensors, ``settings`` what else calls take (arrays become tensors)."""

    name: str
    module: str
    terms: Callable[..., Any]
    draw: Callable[[np.random.Generator], Arrays]
    settings: tuple[dict[str, Any], ...] = ({},)
    gradients: tuple[str, ...] = ("input",)
    reduce: Callable[..., Any] = by_count
    only_in_function: tuple[str, ...] = ()  # settings that the module does not take
    reductions: tuple[str, ...] = REDUCTIONS
    names: dict[str, str] = field(default_factory=dict)  # parameters whose names the formula cannot use
    ulps: tuple[float, float, float] = (1, 4, 8)  # bounds: in float32, of float64's value, of float64's gradient

    @property
    def function(self) -> Callable[..., Any]:
        return getattr(tg.nn.functional, self.name)

    @property
    def module_class(self) -> Any:
        return getattr(tg.nn, self.module)

    def truth(self, tensors: Arrays, settings: dict[str, Any], reduction: str) -> Any:
        """The loss in arbitrary precision: an array of mpf without a reduction, an mpf with one."""
        given = {k: exact(v) for k, v in {**tensors, **settings}.items()}
        given = {self.names.get(k, k): v for k, v in given.items()}
        with mp.workdps(DIGITS):
            terms = np.asarray(self.terms(**given), object)
            return terms if reduction == "none" else self.reduce(terms, reduction, **given)

    def slopes(
        self, tensors: Arrays, settings: dict[str, Any], reduction: str, name: str, cotangent: Any
    ) -> np.ndarray:
        """The gradient of the (weighted) loss, by a central difference at a step of 1e-25 in 60 digits."""
        out = np.empty(tensors[name].shape, object)
        given = {k: exact(v) for k, v in {**tensors, **settings}.items()}
        given = {self.names.get(k, k): v for k, v in given.items()}
        name = self.names.get(name, name)
        h = mp.mpf(10) ** -25

        def value(array: np.ndarray) -> Any:
            moved = {**given, name: array}
            terms = np.asarray(self.terms(**moved), object)
            if reduction == "none":
                return total(terms * exact(cotangent))
            return self.reduce(terms, reduction, **moved) * mp.mpf(float(cotangent))

        with mp.workdps(DIGITS):
            for place in np.ndindex(out.shape):
                ends = []
                for step in (h, -h):
                    array = given[name].copy()
                    array[place] = array[place] + step
                    ends.append(value(array))
                out[place] = (ends[0] - ends[1]) / (2 * h)
        return out


def normal(*shape: int, scale: float = 1.0) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.normal(size=shape) * scale


def drawn(**makers: Callable[[np.random.Generator], np.ndarray]) -> Callable[[np.random.Generator], Arrays]:
    return lambda rng: {name: np.asarray(make(rng)) for name, make in makers.items()}


def uniform(low: float, high: float, *shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.uniform(low, high, shape)


def chosen(values: Any, *shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.choice(np.asarray(values), shape)


def distribution(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    def draw(rng: np.random.Generator) -> np.ndarray:
        p = rng.uniform(0.1, 1, shape)
        return p / p.sum(1, keepdims=True)

    return draw


def log_probabilities(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    def draw(rng: np.random.Generator) -> np.ndarray:
        x = rng.normal(size=shape)
        return x - np.logaddexp.reduce(x, axis=-1, keepdims=True)

    return draw


W3, W4 = np.array([0.5, 1.0, 2.5]), np.array([0.5, 2.0, 1.0, 0.25])
W43 = np.linspace(0.5, 2.0, 12).reshape(4, 3)
SIGNS = drawn(input=normal(4, 3, scale=3), target=chosen([-1.0, 1.0], 4, 3))
REAL = drawn(input=normal(4, 3), target=normal(4, 3))
CLASSES = drawn(input=normal(5, 4, scale=3), target=chosen(range(4), 5))
MAP = drawn(input=normal(2, 4, 3, scale=3), target=chosen(range(4), 2, 3))
SOFT = drawn(input=normal(5, 4, scale=3), target=distribution(5, 4))

LOSSES = [
    Loss(
        "binary_cross_entropy",
        "BCELoss",
        bce,
        drawn(input=uniform(0.001, 0.999, 4, 3), target=uniform(0, 1, 4, 3)),
        ({}, {"weight": W3}),
        ("input", "target"),
    ),
    Loss(
        "binary_cross_entropy_with_logits",
        "BCEWithLogitsLoss",
        bce_logits,
        drawn(input=normal(4, 3, scale=5), target=chosen([0.0, 1.0, 0.3], 4, 3)),
        ({}, {"weight": W43}, {"pos_weight": W3}, {"weight": W3, "pos_weight": W3[::-1].copy()}),
        ("input", "target"),
    ),
    Loss("soft_margin_loss", "SoftMarginLoss", soft_margin, SIGNS),
    Loss(
        "multilabel_soft_margin_loss",
        "MultiLabelSoftMarginLoss",
        multilabel_soft,
        drawn(input=normal(4, 3, scale=3), target=chosen([0.0, 1.0], 4, 3)),
        ({}, {"weight": W3}),
    ),
    Loss(
        "nll_loss",
        "NLLLoss",
        nll,
        drawn(input=log_probabilities(5, 4), target=chosen(range(4), 5)),
        ({}, {"weight": W4}, {"ignore_index": 1}, {"weight": W4, "ignore_index": 2}),
        reduce=by_weight,
    ),
    Loss(
        "nll_loss",
        "NLLLoss",
        nll,
        drawn(input=lambda rng: -rng.exponential(size=(2, 4, 3)), target=chosen(range(4), 2, 3)),
        ({"weight": W4, "ignore_index": 2},),
        reduce=by_weight,
    ),
    Loss(
        "cross_entropy",
        "CrossEntropyLoss",
        cross_entropy,
        CLASSES,
        ({}, {"weight": W4}, {"ignore_index": 1}, {"label_smoothing": 0.1}, {"weight": W4, "label_smoothing": 0.3}),
        reduce=by_weight,
        ulps=(2, 2, 4),
    ),
    Loss(
        "cross_entropy",
        "CrossEntropyLoss",
        cross_entropy,
        MAP,
        ({"weight": W4, "ignore_index": 1}, {"label_smoothing": 0.1}),
        reduce=by_weight,
        ulps=(2, 2, 4),
    ),
    Loss(
        "cross_entropy",
        "CrossEntropyLoss",
        cross_entropy,
        SOFT,
        ({}, {"weight": W4}, {"label_smoothing": 0.2}),
        ("input", "target"),
        by_weight,
        ulps=(2, 4, 64),
    ),
    Loss(
        "multi_margin_loss",
        "MultiMarginLoss",
        multi_margin,
        drawn(input=normal(5, 4), target=chosen(range(4), 5)),
        ({}, {"p": 2}, {"margin": 0.3, "weight": W4}, {"p": 2, "weight": W4}),
    ),
    Loss(
        "multilabel_margin_loss",
        "MultiLabelMarginLoss",
        multilabel_margin,
        drawn(input=normal(3, 4), target=lambda rng: np.array([[3, 0, -1, 1], [-1, 0, 0, 0], [1, 2, 0, 3]])),
    ),
    Loss(
        "mse_loss",
        "MSELoss",
        squared,
        REAL,
        ({}, {"weight": W43}),
        ("input", "target"),
        by_sum_of_weights,
        ("weight",),
    ),
    Loss(
        "l1_loss",
        "L1Loss",
        absolute,
        REAL,
        ({}, {"weight": W43}),
        ("input", "target"),
        by_sum_of_weights,
        ("weight",),
    ),
    Loss("smooth_l1_loss", "SmoothL1Loss", smooth, REAL, ({}, {"beta": 0.5}, {"beta": 0.0}), ("input", "target")),
    Loss(
        "huber_loss",
        "HuberLoss",
        huber,
        REAL,
        ({}, {"delta": 0.5}, {"weight": W43}),
        ("input", "target"),
        only_in_function=("weight",),
    ),
    Loss(
        "kl_div",
        "KLDivLoss",
        kl,
        drawn(input=log_probabilities(4, 3), target=distribution(4, 3)),
        gradients=("input", "target"),
        reduce=by_batch,
        reductions=(*REDUCTIONS, "batchmean"),
        ulps=(1.5, 64, 64),  # batchmean divides the rounded sum; log t - x cancels
    ),
    Loss(
        "kl_div",
        "KLDivLoss",
        kl,
        drawn(input=log_probabilities(4, 3), target=log_probabilities(4, 3)),
        ({"log_target": True},),
        ("input", "target"),
        by_batch,
        reductions=(*REDUCTIONS, "batchmean"),
        ulps=(1.5, 64, 64),
    ),
    Loss(
        "gaussian_nll_loss",
        "GaussianNLLLoss",
        gaussian,
        drawn(input=normal(4, 3), target=normal(4, 3), var=uniform(0.2, 3, 4, 3)),
        ({}, {"full": True}),
        ("input", "target", "var"),
        ulps=(1, 64, 64),
    ),
    Loss(
        "gaussian_nll_loss",
        "GaussianNLLLoss",
        gaussian,
        drawn(input=normal(4, 3), target=normal(4, 3), var=uniform(0.2, 3, 4)),
        gradients=("input", "var"),
        ulps=(1, 64, 64),
    ),
    Loss(
        "poisson_nll_loss",
        "PoissonNLLLoss",
        poisson,
        drawn(input=normal(4, 3), target=chosen([0.0, 0.5, 2.0, 5.0], 4, 3)),
        ({}, {"full": True}),
        ulps=(1, 64, 2000),  # e**x and the target cancel
    ),
    Loss(
        "poisson_nll_loss",
        "PoissonNLLLoss",
        poisson,
        drawn(input=uniform(0.1, 4, 4, 3), target=chosen([0.0, 0.5, 2.0, 5.0], 4, 3)),
        ({"log_input": False}, {"log_input": False, "full": True, "eps": 0.1}),
        ("input", "target"),
        ulps=(1, 64, 64),
    ),
    Loss(
        "hinge_embedding_loss",
        "HingeEmbeddingLoss",
        hinge,
        drawn(input=normal(4, 3), target=chosen([-1.0, 1.0, 0.5], 4, 3)),
        ({}, {"margin": 0.3}),
    ),
    Loss(
        "cosine_embedding_loss",
        "CosineEmbeddingLoss",
        cosine,
        drawn(input1=normal(4, 3), input2=normal(4, 3), target=lambda rng: np.array([1.0, -1.0, -1.0, 1.0])),
        ({}, {"margin": -0.5}),
        ("input1", "input2"),
        ulps=(1, 64, 64),
    ),
    Loss(
        "margin_ranking_loss",
        "MarginRankingLoss",
        ranking,
        drawn(input1=normal(4, 3), input2=normal(4, 3), target=chosen([-1.0, 1.0], 4, 3)),
        ({}, {"margin": 0.5}),
        ("input1", "input2"),
    ),
    Loss(
        "triplet_margin_loss",
        "TripletMarginLoss",
        triplet,
        drawn(anchor=normal(4, 3), positive=normal(4, 3), negative=normal(4, 3)),
        ({}, {"margin": 2.0, "swap": True}, {"p": 3.5, "eps": 0.01}),
        ("anchor", "positive", "negative"),
        names={"positive": "positive_"},
        ulps=(1, 64, 64),
    ),
    Loss(
        "ctc_loss",
        "CTCLoss",
        ctc,
        drawn(
            log_probs=log_probabilities(5, 2, 3),
            targets=lambda rng: np.array([[1, 1, 2], [2, 1, 0]]),
            input_lengths=lambda rng: np.array([5, 4]),
            target_lengths=lambda rng: np.array([3, 2]),
        ),
        ({},),
        ("log_probs",),
        by_labels,
        ulps=(1, 16, 16),
    ),
]


def cases(*, settings: bool = True) -> list[Any]:
    """(loss, settings) with readable ids, for ``pytest.mark.parametrize``."""
    import pytest

    out = []
    for i, loss in enumerate(LOSSES):
        for given in loss.settings if settings else loss.settings[:1]:
            label = "-".join(f"{k}" if isinstance(v, np.ndarray) else f"{k}={v}" for k, v in given.items())
            out.append(pytest.param(loss, given, id=f"{i}-{loss.name}{'-' if label else ''}{label}"))
    return out


def tensors_of(loss: Loss, dtype: Any, seed: int = 0) -> Arrays:
    """What the loss is called with, floats in this dtype."""
    arrays = loss.draw(np.random.default_rng([seed, LOSSES.index(loss)]))
    return {k: v.astype(dtype) if v.dtype.kind == "f" else v for k, v in arrays.items()}


def in_dtype(settings: dict[str, Any], dtype: Any) -> dict[str, Any]:
    return {k: v.astype(dtype) if isinstance(v, np.ndarray) else v for k, v in settings.items()}


def wrapped(values: dict[str, Any], requires_grad: tuple[str, ...] = ()) -> dict[str, Any]:
    """Arrays as Tensors."""
    out = {k: tg.from_numpy(v.copy()) if isinstance(v, np.ndarray) else v for k, v in values.items()}
    for name in requires_grad:
        out[name].requires_grad_()
    return out


def error_in_ulps(value: Any, truth: Any, dtype: Any) -> float:
    """The largest error of an array, in units in the last place of the true values."""
    bits, lowest = (24, -149) if np.dtype(dtype) == np.float32 else (53, -1074)
    worst = 0.0
    for v, t in zip(np.asarray(value).reshape(-1), np.asarray(truth, object).reshape(-1), strict=True):
        if mp.isnan(t) or np.isnan(v):
            worst = worst if mp.isnan(t) and np.isnan(v) else np.inf
        elif mp.isinf(t) or np.isinf(v):
            rounded = float(np.asarray(float(t)).astype(dtype)) if abs(t) < 1e300 else float(t)
            worst = worst if rounded == v else np.inf
        else:
            exponent = max(int(mp.frexp(t)[1]) - bits, lowest) if t else lowest
            worst = max(worst, float(abs(mp.mpf(float(v)) - t) / mp.ldexp(1, exponent)))
    return worst
