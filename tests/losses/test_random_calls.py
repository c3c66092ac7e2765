"""Ten thousand random calls of all losses, valid and not: each agrees with PyTorch in values, gradients, or in raising.

Where the two differ, the formula in arbitrary precision decides: it must say that ours is right.
"""

from __future__ import annotations

import warnings

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from loss_table import LOSSES

import tinygrad_loss as tg

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity

CALLS = 10_000
SHAPES = [(), (1,), (3,), (0,), (2, 3), (3, 1), (1, 3), (0, 3), (3, 0), (2, 3, 2), (1, 2, 1), (2, 4, 2, 2)]
FLOATS = ("float32", "float64")
REDUCTIONS = ("none", "mean", "sum")

often = st.sampled_from([True, True, True, True, True, False])  # valid arguments are drawn more often
seldom = st.sampled_from([False, False, False, False, True])


class Call:
    """A call as NumPy arrays, to be made in either framework."""

    def __init__(self, name, tensors, settings, wants):
        self.name, self.tensors, self.settings, self.wants = name, tensors, settings, wants

    def __repr__(self):
        tensors = {k: v if v is None else f"{v.dtype}{list(v.shape)}" for k, v in self.tensors.items()}
        values = {k: v for k, v in self.tensors.items() if v is not None and v.size < 12}
        return f"{self.name}({tensors}, {self.settings}, gradients of {self.wants}) with {values}"

    def run(self, framework, wide=False):
        """(value, gradients), or the exception."""
        wrap = framework.from_numpy
        tensors = {}
        for k, v in self.tensors.items():
            if v is None:
                continue
            v = v.astype(np.float64) if wide and v.dtype.kind == "f" else v.copy()
            tensors[k] = wrap(np.array(v)).requires_grad_(k in self.wants)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                given = tensors
                if self.name == "ctc_loss":  # PyTorch's gradient is right only behind a log_softmax
                    given = {**tensors, "log_probs": framework.log_softmax(tensors["log_probs"], 2)}
                value = getattr(framework.nn.functional, self.name)(**given, **self.settings)
                cotangent = np.random.default_rng(0).normal(size=tuple(value.shape))
                if value.requires_grad:
                    value.backward(wrap(np.array(cotangent)).to(value.dtype))
            except Exception as error:  # noqa: BLE001 - that is what is compared
                return error
        gradients = {k: tensors[k].grad for k in self.wants}
        return value.detach().numpy(), {k: None if g is None else g.numpy() for k, g in gradients.items()}


@st.composite
def calls(draw, name):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return DRAWS.get(name, pairs)(draw, rng, name)


def numbers(draw, rng, shape, dtype):
    """Logits: small, large, and now and then not finite."""
    x = rng.normal(size=shape) * draw(st.sampled_from([1, 1, 10, 100]))
    if draw(seldom):
        x = np.where(rng.random(shape) < 0.2, rng.choice([np.inf, -np.inf, np.nan, 0.0], shape), x)
    return np.asarray(x, dtype)


def dtype_of(draw):
    return draw(st.sampled_from(FLOATS)) if draw(often) else draw(st.sampled_from(["int64", "int32", "bool", "uint8"]))


def like(draw, shape):
    """The shape of a second operand: most often the same."""
    if draw(often):
        return shape
    options = [shape[1:], shape[:-1], (1, *shape), (*shape, 1), (3,), (1,) * len(shape), (2, 3), ()]
    return draw(st.sampled_from(options))


def gradients(draw, tensors, names):
    floating = [n for n in names if tensors[n] is not None and tensors[n].dtype.kind == "f"]
    return [n for n in floating if draw(often)]


def options(draw, **choices):
    """Keyword settings; each left out half of the time."""
    chosen = {"reduction": draw(st.sampled_from(REDUCTIONS)) if draw(often) else "average"}
    for key, values in choices.items():
        if draw(st.booleans()):
            chosen[key] = draw(st.sampled_from(values))
    return chosen


TARGETS = {
    "binary_cross_entropy": lambda rng, s: rng.random(s),
    "binary_cross_entropy_with_logits": lambda rng, s: rng.choice([0.0, 1.0, 0.25], s),
    "soft_margin_loss": lambda rng, s: rng.choice([-1.0, 1.0], s),
    "multilabel_soft_margin_loss": lambda rng, s: rng.choice([0.0, 1.0], s),
    "hinge_embedding_loss": lambda rng, s: rng.choice([-1.0, 1.0, 0.5], s),
    "poisson_nll_loss": lambda rng, s: rng.poisson(2, s),
}
SETTINGS = {
    "smooth_l1_loss": {"beta": [1.0, 0.5, 0.0, -1.0]},
    "huber_loss": {"delta": [1.0, 0.5, 0.0, -1.0]},
    "hinge_embedding_loss": {"margin": [1.0, 0.3, -1.0, 2]},
    "poisson_nll_loss": {"log_input": [True, False], "full": [True, False], "eps": [1e-8, 0.1]},
    "kl_div": {"log_target": [True, False]},
}


def pairs(draw, rng, name):
    """Losses that compare element with element."""
    shape, dtype = draw(st.sampled_from(SHAPES)), dtype_of(draw)
    second = dtype if draw(often) else dtype_of(draw)
    t_shape = like(draw, shape)
    x = numbers(draw, rng, shape, "float64")
    chosen = options(draw, **SETTINGS.get(name, {}))
    if name == "binary_cross_entropy" and draw(often):
        x = rng.random(shape)
    if name == "poisson_nll_loss" and not chosen.get("log_input", True):
        x = np.abs(x)
    if name == "kl_div":
        x, t = -np.abs(x), rng.random(t_shape) * rng.integers(0, 2, t_shape)
        t = np.log(rng.random(t_shape)) if chosen.get("log_target") else t
        if draw(seldom):
            chosen["reduction"] = "batchmean"
    else:
        t = TARGETS.get(name, lambda rng, s: rng.normal(size=s))(rng, t_shape)
    if draw(seldom) and draw(seldom):
        t = np.where(rng.random(t_shape) < 0.3, np.nan, t)
    with np.errstate(all="ignore"):
        tensors = {"input": np.asarray(x).astype(dtype), "target": np.asarray(t).astype(second)}
        weights = {"weight": name in ("binary_cross_entropy", "binary_cross_entropy_with_logits", "multilabel_soft_margin_loss",
                                      "mse_loss", "l1_loss", "huber_loss"),
                   "pos_weight": name == "binary_cross_entropy_with_logits"}  # fmt: skip
        for key, takes in weights.items():
            if takes and draw(seldom):
                w_shape = shape if name in ("mse_loss", "l1_loss", "huber_loss") or draw(st.booleans()) else shape[1:]
                tensors[key] = rng.uniform(0, 2, like(draw, w_shape)).astype(dtype if draw(often) else dtype_of(draw))
    return Call(name, tensors, chosen, gradients(draw, tensors, ["input", "target"]))


def classes(draw, rng, name):
    """Cross-entropy and negative log-likelihood with class numbers, right and wrong ones."""
    shape, dtype = (
        draw(st.sampled_from([(4,), (3, 4), (0, 4), (1, 1), (2, 3, 2), (2, 3, 2, 2), (2, 3, 0), (3, 0), ()])),
        dtype_of(draw),
    )
    c = shape[len(shape) > 1] if shape else 1
    t_shape = shape[:1] + shape[2:] if len(shape) > 1 else ()
    t_shape = like(draw, t_shape)
    x = numbers(draw, rng, shape, "float64")
    chosen = options(draw, ignore_index=[-100, 0, 1, 7])
    soft = name == "cross_entropy" and draw(seldom)
    if soft:
        t = rng.random(shape) * rng.integers(0, 2, shape)
        kind = dtype if draw(often) else dtype_of(draw)
        if draw(often):
            chosen.pop("ignore_index", None)
    else:
        t = rng.integers(0, max(c, 1), t_shape)
        t = np.where(rng.random(t_shape) < 0.2, chosen.get("ignore_index", -100), t)
        if draw(seldom):
            t = np.where(rng.random(t_shape) < 0.2, rng.choice([-1, c, 10**6, -(2**62)], t_shape), t)
        kind = "int64" if draw(often) else draw(st.sampled_from(["uint8", "int32", "float32", "bool"]))
    with np.errstate(all="ignore"):
        tensors = {
            "input": (x if name == "cross_entropy" else -np.abs(x)).astype(dtype),
            "target": np.asarray(t).astype(kind),
        }
    if draw(seldom):
        w = rng.uniform(0, 2, c) * rng.integers(0, 2, c)
        tensors["weight"] = (w if draw(often) else w[1:]).astype(dtype if draw(often) else dtype_of(draw))
    if name == "cross_entropy" and draw(seldom):
        chosen["label_smoothing"] = draw(st.sampled_from([0.0, 0.1, 1.0, 1.5]))
    return Call(name, tensors, chosen, gradients(draw, tensors, ["input", "target"] if soft else ["input"]))


def margins(draw, rng, name):
    """The two margin losses of class numbers."""
    shape, dtype = draw(st.sampled_from([(4,), (3, 4), (0, 4), (1, 1), (2, 3, 2), (3, 0), ()])), dtype_of(draw)
    c = shape[-1] if shape else 1
    multi = name == "multi_margin_loss"
    t_shape = like(draw, shape[:-1] if multi else shape)
    t = rng.integers(0 if multi else -1, max(c, 1), t_shape)
    if draw(seldom):
        t = np.where(rng.random(t_shape) < 0.2, rng.choice([-1, -2, c, 10**6], t_shape), t)
    chosen = options(draw, p=[1, 2, 3], margin=[1.0, 0.3, 0.0]) if multi else options(draw)
    with np.errstate(all="ignore"):
        tensors = {
            "input": rng.normal(size=shape).astype(dtype),
            "target": np.asarray(t).astype("int64" if draw(often) else "int32"),
        }
    if multi and draw(seldom):
        tensors["weight"] = rng.uniform(0, 2, c if draw(often) else c + 1).astype(dtype if draw(often) else "float64")
    return Call(name, tensors, chosen, gradients(draw, tensors, ["input"]))


def gaussians(draw, rng, name):
    shape, dtype = draw(st.sampled_from(SHAPES[1:])), dtype_of(draw)
    v_shape = draw(st.sampled_from([shape, shape, shape[:-1], (*shape[:-1], 1), (1, *shape[1:]), (3,), ()]))
    v = np.abs(rng.normal(size=v_shape)) * (rng.random(v_shape) < 0.9)
    if draw(seldom):
        v = v - 0.1
    with np.errstate(all="ignore"):
        tensors = {
            "input": numbers(draw, rng, shape, "float64").astype(dtype),
            "target": rng.normal(size=like(draw, shape)).astype(dtype),
            "var": np.asarray(v).astype(dtype if dtype in FLOATS else "float64"),
        }
    chosen = options(draw, full=[True, False], eps=[1e-6, 0.1])
    if draw(seldom):
        del tensors["var"]
        chosen["var"] = draw(st.sampled_from([1.0, 0.5, -1.0, 0.0]))
    return Call(name, tensors, chosen, gradients(draw, tensors, list(tensors)))


def vectors(draw, rng, name):
    """Losses of pairs and triplets of vectors."""
    shape, dtype = draw(st.sampled_from([(4, 3), (3,), (1, 3), (0, 3), (2, 2, 3), ()])), dtype_of(draw)
    names = {"cosine_embedding_loss": ["input1", "input2"], "margin_ranking_loss": ["input1", "input2"]}.get(
        name, ["anchor", "positive", "negative"]
    )
    with np.errstate(all="ignore"):
        tensors = {k: (rng.normal(size=shape if k == names[0] else like(draw, shape)) * 2).astype(dtype) for k in names}
        if draw(seldom):
            tensors[names[1]] = tensors[names[0]].copy()
        if len(names) == 2:
            t_shape = like(draw, shape[:-1] if name[0] == "c" else shape)
            tensors["target"] = np.asarray(rng.choice([-1, 1], t_shape)).astype(
                dtype if draw(often) else dtype_of(draw)
            )
    if len(names) == 2:
        chosen = options(draw, margin=[0.0, 0.5, -0.5])
    else:
        chosen = options(draw, margin=[1.0, 0.5, 0.0, -1.0], p=[2.0, 1.0, 3.5], eps=[1e-6, 0.01], swap=[True, False])
    return Call(name, tensors, chosen, gradients(draw, tensors, names))


def sequences(draw, rng, name):
    frames, batch, c = draw(st.sampled_from([(5, 2, 3), (1, 1, 2), (4, 3, 5)]))
    dtype = draw(st.sampled_from(FLOATS))
    x = rng.normal(size=(frames, batch, c))
    x = (x - np.logaddexp.reduce(x, axis=2, keepdims=True)).astype(dtype)
    size = draw(st.integers(0, 3))
    low, high = (1, c) if draw(often) else (0, c + 1)
    tensors = {"log_probs": x, "targets": rng.integers(low, high, (batch, size)),
               "input_lengths": rng.integers(1, frames + 1 + (not draw(often)), batch),
               "target_lengths": rng.integers(0, size + 1, batch)}  # fmt: skip
    chosen = options(draw, zero_infinity=[True, False])
    return Call(name, tensors, chosen, gradients(draw, tensors, ["log_probs"]))


DRAWS = {
    "cross_entropy": classes,
    "nll_loss": classes,
    "multi_margin_loss": margins,
    "multilabel_margin_loss": margins,
    "gaussian_nll_loss": gaussians,
    "cosine_embedding_loss": vectors,
    "margin_ranking_loss": vectors,
    "triplet_margin_loss": vectors,
    "ctc_loss": sequences,
}
NAMES = sorted({loss.name for loss in LOSSES})


CLASS_NUMBERS = ("cross_entropy", "nll_loss", "multi_margin_loss", "multilabel_margin_loss", "ctc_loss")


def near(ours, theirs, narrow):
    """Which elements are those of PyTorch."""
    rtol, atol = (1e-4, 1e-5) if narrow else (1e-9, 1e-10)
    return np.isclose(ours, theirs, rtol=rtol, atol=atol, equal_nan=True)


def true(ours, truth):
    """Which elements are those of the formula; at infinities and edges of a domain a difference quotient is unknown."""
    truth = truth.astype(float)
    return ~np.isfinite(truth) | np.isclose(ours, truth, rtol=1e-4 if ours.dtype == np.float32 else 1e-8, atol=1e-25)


class Formula:
    """The loss of a call in arbitrary precision."""

    def __init__(self, call, dtype):
        self.loss = next(loss for loss in LOSSES if loss.name == call.name)
        self.settings = {k: v for k, v in call.settings.items() if k != "reduction"}
        self.reduction = call.settings.get("reduction", "mean")
        real = call.name not in CLASS_NUMBERS
        self.tensors = {k: v.astype(float) if real and v.dtype.kind != "f" else v for k, v in call.tensors.items()}
        self.dtype = dtype

    def value(self):
        return np.asarray(self.loss.truth(self.tensors, self.settings, self.reduction), object)

    def slopes(self, name):
        shape = self.value().shape
        cotangent = np.random.default_rng(0).normal(size=shape).astype(self.dtype)
        return self.loss.slopes(self.tensors, self.settings, self.reduction, name, cotangent)


@pytest.mark.parametrize("name", NAMES)
def test_random_calls(name):
    count = CALLS // len(NAMES) + 1

    @settings(max_examples=count, database=None)
    @given(calls(name))
    def check(call):
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy warns of NaN in arrays of mpf
            judge(call)

    check()


def refused(call, error):
    """Whether ours refuses on purpose what PyTorch lets pass."""
    dtypes = {v.dtype.kind for v in call.tensors.values()}
    integers = call.name in ("mse_loss", "l1_loss", "smooth_l1_loss") and "f" not in {
        call.tensors[k].dtype.kind for k in ("input", "target")
    }
    nothing = "margin" in call.name and call.tensors["input"].size == 0 and dtypes != {"f"}
    label = call.name == "ctc_loss" and isinstance(error, IndexError) and "label" in str(error)
    logits = (
        call.name == "cross_entropy" and call.tensors["input"].dtype.kind != "f"
    )  # PyTorch's pass if there are none
    return integers or nothing or label or logits


def undefined(call):
    """Whether PyTorch's own answer is a matter of chance: labels that are the blank, integers that wrap."""
    if call.name == "ctc_loss":
        return (call.tensors["targets"] == call.settings.get("blank", 0)).any()
    if call.name == "gaussian_nll_loss":  # it squares integers in their own dtype
        given = [call.tensors["input"], call.tensors["target"]]
        dtype = np.result_type(*given)
        apart = sum(np.abs(v.astype(float)).max(initial=0) for v in given)  # -2^63 stands where NaN became an integer
        return dtype.kind in "iu" and apart**2 > np.iinfo(dtype).max
    if call.name == "hinge_embedding_loss":
        return call.tensors["input"].dtype.kind == "i" and (np.abs(call.tensors["input"].astype(float)) > 2**53).any()
    # so it multiplies and subtracts unsigned integers: 0 - 254 is 2
    vectors = [v for k, v in call.tensors.items() if k != "target"]
    if call.name in ("triplet_margin_loss", "cosine_embedding_loss") and np.result_type(*vectors) == np.uint8:
        return True
    # and takes the 255 of uint8 for the -1 that it cannot hold
    return (
        call.name == "cosine_embedding_loss"
        and call.tensors["target"].dtype == np.uint8
        and 255 in call.tensors["target"]
    )


def judge(call):
    if undefined(call):
        return
    ours, theirs = call.run(tg), call.run(torch)
    if isinstance(theirs, Exception):
        # its label smoothing cannot handle one class number in a vector for one row of logits, its backward what its
        # forward took: integers, bools, that class number, images of classes uint8 that rows may be
        words = ("Found dtype", "found Byte", "Negation", "size mismatch (got input", "broadcast shape [1]")
        if any(word in str(theirs) for word in words):
            return
        assert isinstance(ours, Exception), f"PyTorch raises {theirs!r:.300} for {call}"
        assert isinstance(ours, (RuntimeError, ValueError, IndexError, TypeError)), f"{ours!r} for {call}"
        return
    if isinstance(ours, Exception):
        assert refused(call, ours), f"only ours raises {ours!r:.300} for {call}"
        return
    assert ours[0].shape == theirs[0].shape, f"{call}: {ours}, PyTorch {theirs}"
    # PyTorch multiplies in place there: a float32 target and a float64 input give float32, the other way round float64
    promotes = call.name == "binary_cross_entropy_with_logits" and ours[0].dtype == np.float64
    assert ours[0].dtype == theirs[0].dtype or promotes, f"{call}: {ours}, PyTorch {theirs}"
    wide, formula, narrow = call.run(torch, wide=True), Formula(call, ours[0].dtype), ours[0].dtype == np.float32
    for name in (None, *ours[1]):
        a, b, c = (
            result if isinstance(result, Exception) else result[0] if name is None else result[1][name]
            for result in (ours, theirs, wide)
        )
        zero = np.zeros(call.tensors[name].shape, call.tensors[name].dtype) if name else None
        a, b, c = (zero if v is None else v for v in (a, b, c))
        right = near(a, b, narrow or b.dtype == np.float32)
        if call.name == "poisson_nll_loss" and call.settings.get("full") and name == "target":
            right |= np.isnan(b) & np.isfinite(a)  # the slope of Stirling's formula where it does not count, times 0
        if not right.all() and not isinstance(wide, Exception):
            right |= near(a, c, narrow)
        if not right.all():
            right |= true(a, formula.value() if name is None else formula.slopes(name))
        assert right.all(), f"{call}: {name or 'value'} {a}, PyTorch {b}"
