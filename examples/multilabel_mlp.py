"""Multi-label classification: each sample has several labels, each of which is there or not.

One output for each label, a Sigmoid that makes a probability of it, and the binary cross-entropy (BCELoss) averaged
over the labels. A sample counts as right only if all its labels are: that is the subset accuracy.

    python examples/multilabel_mlp.py
    python examples/multilabel_mlp.py --epochs 50 --hidden 64 --plot curves.png
    python examples/multilabel_mlp.py --verify        # is the gradient right? compare it with finite differences
"""

from __future__ import annotations

import argparse
import copy
import sys
from pathlib import Path
from typing import NoReturn

from joblib import Memory
from sklearn.datasets import get_data_home, make_multilabel_classification
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import tinygrad_loss as tg
from tinygrad_loss import nn
from tinygrad_loss.optim import Adam
from tinygrad_loss.utils.data import DataLoader, TensorDataset

FEATURES, LABELS = 10, 3


class MLP(nn.Module):
    """Linear, ReLU, Linear, Sigmoid."""

    def __init__(self, n_inputs: int, n_outputs: int, num_hiddens: int) -> None:
        super().__init__()
        self.linear_relu_stack = nn.Sequential(
            nn.Linear(n_inputs, num_hiddens),
            nn.ReLU(),
            nn.Linear(num_hiddens, n_outputs),
            nn.Sigmoid(),
        )

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        return self.linear_relu_stack(x)


def correct_rows(probabilities: tg.Tensor, labels: tg.Tensor) -> int:
    """How many samples have all their labels right."""
    return (probabilities.ge(0.5) == labels).all(1).sum().item()


def one_sample() -> None:
    """The loss and the accuracy of a few probabilities, small enough to check by hand."""
    p, t = tg.tensor([0.2, 0.6, 0.8]), tg.tensor([0.0, 0.0, 1.0])
    print("loss", round(nn.BCELoss()(p, t).item(), 4))
    print("accuracy", (p.ge(0.5) == t).all().int().item())
    p, t = tg.tensor([[0.2, 0.5, 0.8], [0.4, 0.7, 0.1]]), tg.tensor([[0, 0, 1], [0, 1, 0]])
    print("correct rows", correct_rows(p, t))


def documents(**sizes: int) -> tuple:
    """What make_multilabel_classification draws, kept in scikit-learn's data folder: drawing it takes seconds."""
    try:
        memory = Memory(get_data_home(), verbose=0)
    except OSError:  # a home that cannot be written: draw anew
        memory = Memory(None)
    return memory.cache(make_multilabel_classification)(**sizes)


def load() -> list[tg.Tensor]:
    """scikit-learn's synthetic documents: training and test features, training and test labels."""
    features, labels = documents(n_samples=1000, n_features=FEATURES, n_classes=LABELS, n_labels=2, random_state=1)
    parts = train_test_split(features, labels, test_size=0.33, random_state=42)
    return [tg.from_numpy(part).float() for part in parts]


def train(model: MLP, loader: DataLoader, x_test: tg.Tensor, y_test: tg.Tensor, epochs: int, lr: float) -> list[tuple]:
    """Adam on the mean loss of each batch; print and return loss and accuracies of each epoch."""
    criterion = nn.BCELoss()
    optimizer = Adam(model.parameters(), lr=lr)
    history = []
    # disable=None: a bar on a terminal, plain lines where the output goes to a file
    for epoch in tqdm(range(1, epochs + 1), unit="epoch", leave=False, disable=None):
        total, correct, seen = 0.0, 0, 0
        for x, y in loader:
            probabilities = model(x)
            loss = criterion(probabilities, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
            correct += correct_rows(probabilities, y)
            seen += len(y)
        with tg.no_grad():
            test_accuracy = correct_rows(model(x_test), y_test) / len(y_test)
        history.append((total / len(loader), correct / seen, test_accuracy))
        tqdm.write("epoch %d, loss %.4f, train acc %.3f, test acc %.3f" % (epoch, *history[-1]), file=sys.stdout)
    return history


def verify(model: MLP, x: tg.Tensor, y: tg.Tensor) -> bool:
    """Compare the gradient of each parameter with finite differences, in float64, and print a table."""
    model, x, y = copy.deepcopy(model).double(), x.double(), y.double()
    criterion = nn.BCELoss()

    def loss() -> tg.Tensor:
        return criterion(model(x), y)

    loss().backward()
    right = True
    print(f"{'parameter':<30}{'elements':>9}{'largest gradient':>18}{'largest error':>15}")
    for name, parameter in model.named_parameters():
        numeric = numerical_gradient(loss, parameter)
        error = (parameter.grad - numeric).abs().max().item()
        scale = numeric.abs().max().item()
        right &= error <= 1e-7 * max(scale, 1e-3)
        print(f"{name:<30}{parameter.numel():>9}{scale:>18.3e}{error:>15.1e}")
    print("gradients agree with finite differences" if right else "gradients DIFFER from finite differences")
    return right


def numerical_gradient(loss, parameter: tg.Tensor, step: float = 1e-7) -> tg.Tensor:
    """(f(w + h) - f(w - h)) / 2h for each element w of the parameter: an error of the order of h**2.

    The step is small because the loss has a kink wherever a ReLU switches, and a difference must not reach across one.
    """
    gradient = tg.zeros_like(parameter)
    with tg.no_grad():
        values, slopes = parameter.view(-1), gradient.view(-1)
        for i in range(parameter.numel()):
            value = values[i].item()
            values[i] = value + step
            above = loss().item()
            values[i] = value - step
            below = loss().item()
            values[i] = value
            slopes[i] = (above - below) / (2 * step)
    return gradient


def plot(history: list[tuple], path: Path) -> None:
    """Loss on the left, accuracies on the right."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    epochs = range(1, len(history) + 1)
    losses, train_accuracy, test_accuracy = zip(*history, strict=True)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    left.plot(epochs, losses, color="tab:blue")
    left.set(xlabel="epoch", ylabel="binary cross-entropy", title="Training loss")
    right.plot(epochs, train_accuracy, label="training", color="tab:blue")
    right.plot(epochs, test_accuracy, label="test", color="tab:orange")
    right.set(xlabel="epoch", ylabel="all labels right", title="Subset accuracy", ylim=(0, 1))
    right.legend()
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong with an argument in one line, without the usage around it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def number(kind: type, low: float, what: str):
    """An argument type that says what was expected."""

    def parse(text: str):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value < float("inf"):
            raise argparse.ArgumentTypeError(f"expected {what}, got {text!r}")
        return value

    return parse


def png(text: str) -> Path:
    """A picture's path, checked before an hour of training and not after."""
    path = Path(text)
    if path.suffix != ".png" or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"expected a FILE.png in a folder that exists, got {text!r}")
    return path


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = OneLineParser(description="Train a multi-label MLP on scikit-learn's data set.", allow_abbrev=False)
    positive = number(int, 1, "a whole number of at least 1")
    parser.add_argument("--epochs", type=positive, default=20)
    parser.add_argument("--lr", type=number(float, 1e-12, "a learning rate above 0"), default=1e-3)
    parser.add_argument("--hidden", type=positive, default=30, help="units of the hidden layer")
    parser.add_argument("--batch-size", type=positive, default=64)
    parser.add_argument("--seed", type=number(int, 0, "a whole number of at least 0"), default=0)
    parser.add_argument("--plot", type=png, metavar="FILE.png", help="draw loss and accuracy")
    parser.add_argument("--verify", action="store_true", help="compare the gradients with finite differences first")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = arguments(argv)
    one_sample()
    tg.manual_seed(args.seed)
    x_train, x_test, y_train, y_test = load()
    loader = DataLoader(TensorDataset(x_train, y_train), batch_size=args.batch_size, shuffle=True)
    model = MLP(FEATURES, LABELS, args.hidden)
    print(model)
    if args.verify and not verify(model, x_train[: args.batch_size], y_train[: args.batch_size]):
        return 1
    history = train(model, loader, x_test, y_test, args.epochs, args.lr)
    if args.plot:
        plot(history, args.plot)
        print(f"wrote {args.plot}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
