"""A small convolutional network for images: LeNet's shape, cross-entropy, SGD with momentum, checkpoints.

python examples/cifar10_cnn.py --data digits                 # handwritten digits that scikit-learn carries
python examples/cifar10_cnn.py --data cifar10 --epochs 2     # downloads CIFAR-10 (163 MB) if it is not there
python examples/cifar10_cnn.py --data digits --save net.pth --epochs 3
python examples/cifar10_cnn.py --data digits --resume net.pth --epochs 6 --plot net.png
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from tqdm import tqdm

import tinygrad_loss as tg
import tinygrad_loss.nn.functional as F
from tinygrad_loss import nn, optim
from tinygrad_loss.utils.data import DataLoader, Dataset, TensorDataset
from tinygrad_loss.vision import datasets, transforms


class Net(nn.Module):
    """Two convolutions with pooling, three linear layers: for images of 3 x 32 x 32.

    5 x 5 filters take 32 to 28, pooling to 14, the next to 10, pooling to 5: that is where 16 * 5 * 5 comes from. An
    image of another size does not fit the first linear layer, and the error says so.
    """

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = tg.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


@dataclass
class Data:
    """Training and test images with the names of their classes."""

    train: Dataset
    test: Dataset
    classes: list[str]


def cifar10(root: Path) -> Data:
    """CIFAR-10, downloaded unless it is there, normalized to [-1, 1]."""
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))])
    train = datasets.CIFAR10(root, train=True, transform=transform, download=True)
    test = datasets.CIFAR10(root, train=False, transform=transform)
    return Data(train, test, train.classes)


def digits(root: Path) -> Data:
    """scikit-learn's 1,797 handwritten digits of 8 x 8 (Alpaydin and Kaynak, 1998), scaled to 3 x 32 x 32."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    planes = tg.from_numpy(images.reshape(-1, 8, 8).astype(np.float32) / 8 - 1)
    scaled = transforms.Resize((32, 32))(planes).unsqueeze(1).expand(-1, 3, -1, -1).contiguous()
    chosen = train_test_split(np.arange(len(labels)), test_size=0.25, random_state=0, stratify=labels)
    train, test = (TensorDataset(scaled[part], tg.from_numpy(labels[part]).long()) for part in chosen)
    return Data(train, test, [str(i) for i in range(10)])


@dataclass
class Run:
    """What training is made of, and how far it has come; all of it is in a checkpoint."""

    net: Net
    optimizer: optim.Optimizer
    epoch: int = 0
    losses: list[float] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        return {
            "model": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "losses": self.losses,
            "generator": tg.get_rng_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.losses = state["epoch"], list(state["losses"])
        tg.set_rng_state(state["generator"])


def train_epoch(run: Run, loader: DataLoader, every: int) -> None:
    """One pass over the training images; print the mean loss of every so many batches."""
    criterion = nn.CrossEntropyLoss()
    running = 0.0
    # disable=None: a bar on a terminal, plain lines where the output goes to a file
    for i, (images, labels) in enumerate(tqdm(loader, f"epoch {run.epoch + 1}", leave=False, disable=None), start=1):
        run.optimizer.zero_grad()
        loss = criterion(run.net(images), labels)
        loss.backward()
        run.optimizer.step()
        running += loss.item()
        if i % every == 0:
            run.losses.append(running / every)
            tqdm.write("[%d, %5d] loss: %.3f" % (run.epoch + 1, i, running / every), file=sys.stdout)
            running = 0.0
    run.epoch += 1


def confusion(net: Net, loader: DataLoader, classes: int) -> np.ndarray:
    """How often an image of class i (row) was taken for class j (column)."""
    counts = np.zeros((classes, classes), int)
    net.eval()
    with tg.no_grad():
        for images, labels in loader:
            predicted = net(images).argmax(1)
            np.add.at(counts, (labels.numpy(), predicted.numpy()), 1)
    net.train()
    return counts


def report(counts: np.ndarray, classes: list[str]) -> float:
    """Print the accuracy of all images and of each class; return the former in per cent."""
    accuracy = 100 * counts.trace() / counts.sum()
    print("Accuracy of the network on the %d test images: %.1f %%" % (counts.sum(), accuracy))
    for name, row in zip(classes, counts, strict=True):
        right = row[classes.index(name)]
        print("  %-11s %5.1f %%" % (name, 100 * right / max(row.sum(), 1)))
    return accuracy


def plot(run: Run, counts: np.ndarray, classes: list[str], path: Path) -> None:
    """The loss, the confusion matrix, and the filters of the first layer."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(14, 4.2), layout="constrained")
    left.plot(run.losses)
    left.set(title="Training loss", xlabel="report", ylabel="cross-entropy")
    left.grid(alpha=0.3)
    shown = middle.imshow(counts / np.maximum(counts.sum(1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    middle.set(title="Confusion", xlabel="predicted", ylabel="true")
    middle.set_xticks(range(len(classes)), classes, rotation=90)
    middle.set_yticks(range(len(classes)), classes)
    figure.colorbar(shown, ax=middle)
    filters = run.net.conv1.weight.detach().numpy().transpose(0, 2, 3, 1)
    filters = (filters - filters.min()) / (filters.max() - filters.min())
    gap = np.ones((filters.shape[1], 1, 3))
    right.imshow(np.concatenate([part for f in filters for part in (f, gap)][:-1], axis=1))
    right.set(title="Filters of the first layer")
    right.set_axis_off()
    figure.savefig(path, dpi=120)
    plt.close(figure)


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong with an argument in one line, without the usage around it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def positive(kind: type) -> Any:
    """An argument type: a number above 0."""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if not 0 < value < float("inf"):
            what = "a whole number of at least 1" if kind is int else "a number above 0"
            raise argparse.ArgumentTypeError(f"expected {what}, got {text!r}")
        return value

    return parse


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = OneLineParser(description="Train a small convolutional network.", allow_abbrev=False)
    parser.add_argument("--data", choices=("cifar10", "digits"), default="cifar10")
    parser.add_argument("--root", type=Path, default=Path("data"), help="the folder of the data set")
    parser.add_argument("--epochs", type=positive(int), default=None, help="in all, those of a resumed run included")
    parser.add_argument("--batch-size", type=positive(int), default=None)
    parser.add_argument("--lr", type=positive(float), default=None)
    parser.add_argument("--every", type=positive(int), default=None, help="batches between two reports")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", type=Path, metavar="CHECKPOINT", help="write the state after each epoch")
    parser.add_argument("--resume", type=Path, metavar="CHECKPOINT", help="go on from a saved state")
    parser.add_argument("--plot", type=Path, metavar="FILE.png")
    args = parser.parse_args(argv)
    # The article's settings for CIFAR-10; the digits are few and easy, and want larger steps.
    defaults = {"cifar10": (2, 4, 0.001, 2000), "digits": (12, 32, 0.02, 20)}[args.data]
    for name, value in zip(("epochs", "batch_size", "lr", "every"), defaults, strict=True):
        if getattr(args, name) is None:
            setattr(args, name, value)
    for name in ("save", "plot"):
        path = getattr(args, name)
        if path is not None and not path.absolute().parent.is_dir():
            parser.error(f"argument --{name}: there is no folder {str(path.parent)!r}")
        if path is not None and path.is_dir():
            parser.error(f"argument --{name}: {str(path)!r} is a folder")
    if args.plot is not None and args.plot.suffix != ".png":
        parser.error(f"argument --plot: expected a FILE.png, got {str(args.plot)!r}")
    if args.resume is not None and not args.resume.is_file():
        parser.error(f"argument --resume: there is no file {str(args.resume)!r}")
    return args


def main(argv: list[str] | None = None) -> int:
    args = arguments(argv)
    try:
        data = {"cifar10": cifar10, "digits": digits}[args.data](args.root)
    except ConnectionError as error:
        print(f"{error} Without a network, --data digits trains on images that scikit-learn carries.", file=sys.stderr)
        return 1
    except (OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    tg.manual_seed(args.seed)
    net = Net(len(data.classes))
    run = Run(net, optim.SGD(net.parameters(), lr=args.lr, momentum=0.9))
    if args.resume is not None:
        try:
            run.restore(tg.load(args.resume))
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            what = f"no {error}" if isinstance(error, KeyError) else str(error).partition("\n")[0]
            print(f"--resume {args.resume}: this is not what --save writes: {what}", file=sys.stderr)
            return 1
        print("resumed after epoch %d" % run.epoch)
    loader = DataLoader(data.train, batch_size=args.batch_size, shuffle=True)
    while run.epoch < args.epochs:
        train_epoch(run, loader, args.every)
        if args.save is not None:
            tg.save(run.state(), args.save)
    counts = confusion(net, DataLoader(data.test, batch_size=256), len(data.classes))
    report(counts, data.classes)
    if args.plot is not None:
        plot(run, counts, data.classes, args.plot)
        print(f"wrote {args.plot}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
