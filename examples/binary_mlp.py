"""Binary classification: is a sample of class 1 or of class 0? One output, a Sigmoid, and binary cross-entropy.

The network has one output for each sample, so its predictions have the shape (N, 1); scikit-learn's labels have the
shape (N,). Subtract the two and broadcasting makes an (N, N) matrix of all predictions against all labels: a loss that
compares each prediction with every label learns nothing but the mean. BCELoss refuses the two shapes and says what to
write; mean squared error by hand does not. `--trap` shows both.

    python examples/binary_mlp.py
    python examples/binary_mlp.py --trap
    python examples/binary_mlp.py --iterations 1000 --logits --plot loss.png
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from sklearn.datasets import make_classification

import tinygrad_loss as tg
from tinygrad_loss import nn
from tinygrad_loss.optim import Adam

FEATURES, HIDDEN = 20, 100


def one_sample() -> None:
    """Loss and gradient of three logits, small enough to check by hand."""
    m, loss = nn.Sigmoid(), nn.BCELoss()
    input = tg.tensor([1.3313, 1.2612, 0.3466], requires_grad=True)
    target = tg.tensor([0.0, 1.0, 1.0])
    output = loss(m(input), target)
    output.backward()
    print("input: \t\t{}".format(input))  # noqa: UP032 - the article's lines
    print("m(input): \t{}".format(m(input)))  # noqa: UP032
    print("target: \t{}".format(target))  # noqa: UP032
    print("output: \t{:.4f}".format(output))  # noqa: UP032
    print("grad: \t\t{}".format(input.grad))  # noqa: UP032


def load() -> tuple[tg.Tensor, tg.Tensor]:
    """scikit-learn's synthetic samples (N, 20), and their labels as (N, 1), the shape of the predictions."""
    features, labels = make_classification(n_samples=1000, n_features=FEATURES, random_state=0)
    return tg.from_numpy(features).float(), tg.from_numpy(labels).float().view(-1, 1)


def mlp(logits: bool) -> nn.Sequential:
    """Linear, ELU, Linear; and a Sigmoid, unless the loss holds it."""
    layers = [nn.Linear(FEATURES, HIDDEN), nn.ELU(), nn.Linear(HIDDEN, 1)]
    return nn.Sequential(*layers) if logits else nn.Sequential(*layers, nn.Sigmoid())


def train(
    model: nn.Module, criterion: nn.Module, x: tg.Tensor, y: tg.Tensor, iterations: int, lr: float
) -> list[float]:
    """Adam on all samples at once; print every hundredth loss and return all."""
    optimizer = Adam(model.parameters(), lr=lr)
    history = []
    for i in range(iterations):
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
        if i % 100 == 0:
            print(i, "%.5f" % history[-1])
    print("last", "%.5f" % history[-1])
    return history


def trap(x: tg.Tensor, y: tg.Tensor) -> None:
    """The shapes (N, 1) and (N,): what BCELoss says, and what a difference does in silence."""
    predictions, labels = mlp(logits=False)(x), y.view(-1)
    print("predictions", list(predictions.shape), "labels", list(labels.shape))
    try:
        nn.BCELoss()(predictions, labels)
    except ValueError as error:
        print("BCELoss:", error)
    difference = predictions - labels
    print("predictions - labels has the shape", list(difference.shape), "and no error is raised")
    print("its mean square %.5f" % (difference**2).mean().item())
    print("the mean square of predictions - labels.unsqueeze(1) %.5f" % ((predictions - y) ** 2).mean().item())
    constant = tg.full_like(predictions, labels.mean().item())
    print(
        "where every label counts for every sample, the best prediction is their mean, %.3f, for all:"
        % constant[0].item()
    )
    print("the first mean square is then %.5f, as small as it gets" % ((constant - labels) ** 2).mean().item())


def plot(history: list[float], path: Path) -> None:
    """The loss against the iteration."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    axes.plot(range(len(history)), history, color="tab:blue")
    axes.set(xlabel="iteration", ylabel="binary cross-entropy", title="Training loss")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong with an argument in one line, without the usage around it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = OneLineParser(description="Train a binary classifier on scikit-learn's data set.", allow_abbrev=False)
    parser.add_argument("--iterations", type=int, default=500)
    parser.add_argument("--lr", type=float, default=0.0001)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--logits", action="store_true", help="BCEWithLogitsLoss instead of Sigmoid and BCELoss")
    parser.add_argument("--trap", action="store_true", help="show what (N, 1) against (N,) does, and stop")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the loss")
    args = parser.parse_args(argv)
    if args.iterations < 1:
        parser.error(f"argument --iterations: expected a whole number of at least 1, got {args.iterations}")
    if not 0 < args.lr < float("inf"):
        parser.error(f"argument --lr: expected a learning rate above 0, got {args.lr}")
    if args.plot is not None and (args.plot.suffix != ".png" or not args.plot.absolute().parent.is_dir()):
        parser.error(f"argument --plot: expected a FILE.png in a folder that exists, got {str(args.plot)!r}")
    return args


def main(argv: list[str] | None = None) -> int:
    args = arguments(argv)
    tg.manual_seed(args.seed)
    if args.trap:
        trap(*load())
        return 0
    one_sample()
    tg.empty(3).random_(2)  # the article draws three labels here: its network starts from the numbers that follow
    x, y = load()
    model = mlp(args.logits)
    criterion = nn.BCEWithLogitsLoss() if args.logits else nn.BCELoss()
    history = train(model, criterion, x, y, args.iterations, args.lr)
    if args.plot is not None:
        plot(history, args.plot)
        print(f"wrote {args.plot}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
