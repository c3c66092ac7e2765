"""A tour of gradient verification.

A right gradient, five wrong ones and what is said of each, a kink, a vacuous check, and why a finite difference is best
at a middling step.

    python examples/gradient_verification.py
    python examples/gradient_verification.py --plot v_curve.png
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import tinygrad_loss as tg
from tinygrad_loss import nn
from tinygrad_loss.autograd import GradientReport, finite_difference, verify


def softsign(backward: Callable[..., Any]) -> Any:
    """x / (1 + |x|) as a student writes it: the forward is right, the backward is the exercise."""

    class Softsign(tg.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: tg.Tensor) -> tg.Tensor:
            y = x / (1 + x.abs())
            ctx.save_for_backward(x, y)
            return y

        @staticmethod
        def backward(ctx: Any, g: tg.Tensor) -> tg.Tensor:
            return backward(g, *ctx.saved_tensors)

    return Softsign.apply


# d/dx x / (1 + |x|) = 1 / (1 + |x|)^2
ATTEMPTS: dict[str, Callable[..., Any]] = {
    "right": lambda g, x, y: g / (1 + x.abs()) ** 2,
    "a sign lost": lambda g, x, y: -g / (1 + x.abs()) ** 2,
    "a factor 2 too many": lambda g, x, y: 2 * g / (1 + x.abs()) ** 2,
    "the incoming gradient forgotten": lambda g, x, y: 1 / (1 + x.abs()) ** 2,
    "the output where the input belongs": lambda g, x, y: g / (1 + y.abs()) ** 2,
    "an index off by one": lambda g, x, y: tg.cat([g[1:], g[:1]]) / (1 + tg.cat([x[1:], x[:1]]).abs()) ** 2,
}


def show(title: str, report: GradientReport) -> None:
    print(f"\n--- {title}\n{report}")


def attempts() -> None:
    """The same function with six backwards, each inside a small network."""
    tg.manual_seed(0)
    first, second = nn.Linear(3, 4), nn.Linear(4, 1)
    x, y = tg.randn(4, 3), tg.randn(4, 1)
    for title, backward in ATTEMPTS.items():
        activation = softsign(backward)
        model = nn.ModuleList([first, second])

        def loss(activation: Any = activation) -> tg.Tensor:
            return nn.functional.mse_loss(second(activation(first(x))), y)

        show(title, verify(loss, model))


def doubts() -> None:
    """What no check can decide, and says so."""
    show("a kink: any slope between the one-sided ones is a subgradient", verify(tg.relu, tg.tensor([0.0, 1.0])))
    show(
        "a vacuous check: softmax sums to 1 whatever x is", verify(lambda x: x.softmax(0).sum(), tg.tensor([0.5, 2.0]))
    )
    show("random numbers inside", verify(lambda x: x * tg.rand(2), tg.tensor([0.5, 2.0])))


def v_curve(path: Path | None) -> None:
    """Truncation shrinks with the step, rounding grows: the error has the shape of a V."""
    table = finite_difference(tg.exp, tg.tensor([1.0]), 0)
    print("\n--- d/dx exp(x) at 1 with steps from 1e-1 to 1e-15")
    print(table)
    best = min(table, key=lambda row: row.central_error)
    print(f"the central difference is best at h = {best.step:.0e}, about the cube root of 1e-16")
    if path is not None:
        import matplotlib

        matplotlib.use("Agg")
        table.plot(path)
        print(f"wrote {path}")


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong with an argument in one line, without the usage around it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def main(argv: list[str] | None = None) -> int:
    parser = OneLineParser(description="A tour of gradient verification.", allow_abbrev=False)
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the error against the step")
    args = parser.parse_args(argv)
    if args.plot is not None and (args.plot.suffix != ".png" or not args.plot.absolute().parent.is_dir()):
        parser.error(f"argument --plot: expected a FILE.png in a folder that exists, got {str(args.plot)!r}")
    attempts()
    doubts()
    v_curve(args.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
