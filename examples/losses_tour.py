"""A tour of classification losses: what they mean, how they are computed, and where the digits get lost.

Binary cross-entropy by hand, entropy and divergence, the log-sum-exp trick, the losses that are two layers in one,
maximum likelihood, softmax and sigmoid by hand; and what three ways to write one formula give in float32.

    python examples/losses_tour.py
    python examples/losses_tour.py --plot formulas.png
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np

import tinygrad_loss as tg
import tinygrad_loss.nn.functional as F
from tinygrad_loss import nn


def title(text: str) -> None:
    print(f"\n--- {text}")


def line(label: str, value: float | str) -> None:
    print(f"{label:<58}{value if isinstance(value, str) else f'{value:.4f}'}")


def binary() -> None:
    """Five spellings of one number."""
    title("binary cross-entropy: -(t log p + (1 - t) log(1 - p)), averaged")
    t = tg.tensor([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    x = tg.tensor([[0.0391, 0.7691, 0.1190], [0.8846, 0.1628, 0.2641]])
    p = tg.sigmoid(x)
    line("by hand", (-(t * p.log() + (1 - t) * (1 - p).log())).sum().item() / 6)
    line("F.binary_cross_entropy(sigmoid(x), t)", F.binary_cross_entropy(p, t).item())
    line("nn.BCELoss()(sigmoid(x), t)", nn.BCELoss()(p, t).item())
    line("F.binary_cross_entropy_with_logits(x, t)", F.binary_cross_entropy_with_logits(x, t).item())
    line("nn.BCEWithLogitsLoss()(x, t)", nn.BCEWithLogitsLoss()(x, t).item())
    x = tg.tensor([1.3313, 1.2612, 0.3466], requires_grad=True)
    t = tg.tensor([0.0, 1.0, 1.0])
    loss = nn.BCELoss()(x.sigmoid(), t)
    loss.backward()
    line("three labels", loss.item())
    print("its gradient           ", x.grad)
    print("(sigmoid(x) - t) / 3   ", (x.detach().sigmoid() - t) / 3)


def information() -> None:
    """Cross-entropy is entropy plus divergence, so the target's own entropy is the least that a model can reach."""
    title("entropy, divergence, cross-entropy of p = (0.1, 0.2, 0.7) and q = (0.2, 0.3, 0.5)")
    p, q = tg.tensor([0.1, 0.2, 0.7]), tg.tensor([0.2, 0.3, 0.5])
    entropy, cross = -(p * p.log()).sum(), -(p * q.log()).sum()
    divergence = F.kl_div(q.log(), p, reduction="sum")
    line("entropy of p: -sum p log p", entropy.item())
    line("divergence of p from q: sum p (log p - log q)", divergence.item())
    line("entropy + divergence", (entropy + divergence).item())
    line("cross-entropy: -sum p log q", cross.item())
    line("F.cross_entropy(log q, p), the target as probabilities", F.cross_entropy(q.log(), p).item())
    line("divergence of q from p: it is no distance", F.kl_div(p.log(), q, reduction="sum").item())
    line("their mean squared difference, for comparison", F.mse_loss(q, p).item())


def log_sum_exp() -> None:
    """exp overflows from 88.7 in float32. Shifted by the largest logit, all exponents are at most 0."""
    title("log-sum-exp: log sum exp x = m + log sum exp(x - m), m = max x")
    for values in ([1000.0, 1001.0, 1002.0], [-1000.0, -1001.0, -1002.0], [1.0, 2.0, 3.0]):
        x = tg.tensor(values)
        m = x.max()
        print("x =", values)
        line("  naive", x.exp().sum().log().item())
        line("  shifted by the largest", (m + (x - m).exp().sum().log()).item())
        line("  tg.logsumexp", tg.logsumexp(x, 0).item())
    x = tg.tensor([20.0, 0.0, 0.0])
    print("a confident, right answer, x = [20, 0, 0], class 0: the loss is log(1 + 2 exp(-20))")
    shifted = (x - x.max()).exp()
    line("  log of the shifted sum: 1 + 4e-9 rounds to 1", f"{shifted.sum().log().item():.4e}")
    line("  log1p of the other terms", f"{shifted[1:].sum().log1p().item():.4e}")
    line("  F.cross_entropy", f"{F.cross_entropy(x, tg.tensor(0)).item():.4e}")


def two_in_one() -> None:
    """The loss that takes logits is the one to use: it never forms the probability that rounds to 0 or 1."""
    title("two layers in one loss")
    tg.manual_seed(0)
    x, k = tg.randn(8, 5), tg.randint(0, 5, (8,))
    line("CrossEntropyLoss()(x, k)", nn.CrossEntropyLoss()(x, k).item())
    line("NLLLoss()(LogSoftmax(dim=1)(x), k)", nn.NLLLoss()(nn.LogSoftmax(dim=1)(x), k).item())
    x, t = tg.randn(8), tg.empty(8).random_(2)
    line("BCEWithLogitsLoss()(x, t)", nn.BCEWithLogitsLoss()(x, t).item())
    line("BCELoss()(Sigmoid()(x), t)", nn.BCELoss()(nn.Sigmoid()(x), t).item())
    x, t = tg.tensor([-200.0, 0.0, 20.0]), tg.tensor([1.0, 1.0, 0.0])
    print("with logits   ", nn.BCEWithLogitsLoss(reduction="none")(x, t))
    print("with a Sigmoid", nn.BCELoss(reduction="none")(x.sigmoid(), t), "(the logarithm is cut off at -100)")


def maximum_likelihood() -> None:
    """Seven, two and one of ten draws: the model that makes them most likely gives the classes these shares."""
    title("maximum likelihood is least cross-entropy")
    draws = tg.tensor([0] * 7 + [1] * 2 + [2])
    x = tg.zeros(3, requires_grad=True)
    for _ in range(300):
        loss = F.cross_entropy(x.expand(10, 3), draws)
        (slope,) = tg.autograd.grad(loss, x)
        with tg.no_grad():
            x -= slope
    p = x.detach().softmax(0)
    likelihood = p[draws].prod().item()
    shares = tg.tensor([0.7, 0.2, 0.1])
    print("probabilities found    ", p)
    print("shares of the draws    ", shares)
    line("loss at the minimum", loss.item())
    line("-log(likelihood of all ten draws) / 10", -math.log(likelihood) / 10)
    line("entropy of the shares", -(shares * shares.log()).sum().item())


def by_hand() -> None:
    """NumPy's functions work on tensors too; the largest difference from the framework's own."""
    title("softmax and sigmoid by hand, largest difference in float64")
    x = tg.tensor(np.random.default_rng(0).normal(size=(10, 5)))
    e = np.exp(x)
    softmax = e / e.sum(1, keepdims=True)
    sigmoid = 1 / (1 + tg.exp(-x))
    line("softmax: exp(x) / sum exp(x)", f"{(softmax - F.softmax(x, dim=1)).abs().max().item():.0e}")
    line("sigmoid: 1 / (1 + exp(-x))", f"{(sigmoid - tg.sigmoid(x)).abs().max().item():.0e}")
    k = tg.tensor([0, 2] * 5)
    picked = -tg.log(softmax[range(10), k])
    line(
        "cross-entropy: -log p[range(n), k]",
        f"{(picked - F.cross_entropy(x, k, reduction='none')).abs().max().item():.0e}",
    )


# --- three ways to write one formula ------------------------------------------------------------------------------

Formula = Callable[[tg.Tensor], tg.Tensor]


def logistic(x: tg.Tensor) -> tg.Tensor:
    return 1 / (1 + tg.exp(-x))


def exact_loss(x: tg.Tensor) -> tg.Tensor:
    return F.binary_cross_entropy_with_logits(x, tg.zeros_like(x), reduction="none")


def exact_slope(x: tg.Tensor) -> tg.Tensor:
    x = x.clone().requires_grad_()
    F.binary_cross_entropy_with_logits(x, tg.ones_like(x), reduction="sum").backward()
    return x.grad


LOSS: dict[str, Formula] = {  # of the label 0: softplus(x)
    "naive: -log(1 - s(x))": lambda x: -tg.log(1 - logistic(x)),
    "PyTorch's: x - logsigmoid(x)": lambda x: x - F.logsigmoid(x),
    "exact: max(x, 0) + log1p(exp(-|x|))": exact_loss,
}
SLOPE: dict[str, Formula] = {  # of the label 1: -s(-x)
    "naive: -s (1 - s) / s": lambda x: -logistic(x) * (1 - logistic(x)) / logistic(x),
    "PyTorch's: s(x) - 1": lambda x: tg.sigmoid(x) - 1,
    "exact: -s(-x)": exact_slope,
}


def true_loss(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


def true_slope(x: np.ndarray) -> np.ndarray:
    return -np.exp(-np.logaddexp(0, x))


def ulps(value: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The error in units of the last digit that a float32 near the truth has."""
    return np.abs(value - truth) / np.spacing(np.abs(truth).astype(np.float32)).astype(np.float64)


def formulas() -> None:
    title("one loss, three formulas in float32")
    places = [-90.0, -17.0, -10.0, -1.0, 1.0, 10.0, 17.0, 30.0, 90.0]
    x = tg.tensor(places)
    for what, table, truth in (
        ("BCE of the label 0 with the logit x", LOSS, true_loss),
        ("the gradient of BCE of the label 1", SLOPE, true_slope),
    ):
        print(what)
        print(f"  {'x':<37}" + "".join(f"{v:>12g}" for v in places))
        for name, formula in table.items():
            print(f"  {name:<37}" + "".join(f"{v:>12.4g}" for v in formula(x).tolist()))
        print(f"  {'in float64':<37}" + "".join(f"{v:>12.4g}" for v in truth(np.array(places)).tolist()))


def plot(path: Path) -> None:
    """Where the three part: loss and gradient above, their errors in ULP below."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    x = np.linspace(-100, 100, 4001).astype(np.float32)
    wide = x.astype(np.float64)
    figure, axes = plt.subplots(2, 2, figsize=(11, 7), sharex=True, layout="constrained")
    for column, (what, table, truth) in enumerate(
        (("loss of the label 0", LOSS, true_loss), ("|gradient| of the label 1", SLOPE, true_slope))
    ):
        above, below = axes[:, column]
        for (name, formula), style in zip(table.items(), ("-", "--", ":"), strict=True):
            y = formula(tg.from_numpy(x)).detach().numpy().astype(np.float64)
            # a logarithmic axis has no place for 0, infinity and NaN: the curve ends where they begin
            shown = np.where(np.isfinite(y) & (y != 0), np.abs(y), np.nan)
            above.plot(x, shown, style, label=name, linewidth=2)
            with np.errstate(invalid="ignore"):
                below.plot(x, np.maximum(ulps(y, truth(wide)), 0.1), style, label=name, linewidth=1)
        above.set(yscale="log", title=what, ylim=(1e-46, 1e4))
        below.set(yscale="log", xlabel="logit", ylabel="error in ULP (0.1 and less at the bottom)")
        above.legend(fontsize="small")
        for part in (above, below):
            part.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong with an argument in one line, without the usage around it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def main(argv: list[str] | None = None) -> int:
    parser = OneLineParser(description="A tour of classification losses.", allow_abbrev=False)
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw where the formulas part")
    args = parser.parse_args(argv)
    if args.plot is not None and (args.plot.suffix != ".png" or not args.plot.absolute().parent.is_dir()):
        parser.error(f"argument --plot: expected a FILE.png in a folder that exists, got {str(args.plot)!r}")
    for part in (binary, information, log_sum_exp, two_in_one, maximum_likelihood, by_hand, formulas):
        part()
    if args.plot is not None:
        plot(args.plot)
        print(f"\nwrote {args.plot}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
