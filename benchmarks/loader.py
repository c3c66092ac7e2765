"""An epoch of a loader over 50,000 CIFAR images in memory, in batches of 128, ToTensor and Normalize, against PyTorch.

python -m benchmarks.loader [--rounds N]

PyTorch's side does to each sample what torchvision's CIFAR10, ToTensor and Normalize do to it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import tinygrad_loss as tg
from tinygrad_loss.vision import datasets, transforms

from .harness import HEADER, compare

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
GOAL = 10


class Images(torch.utils.data.Dataset):
    """The images as PyTorch programs have them: an array, a transform a sample."""

    def __init__(self, data: np.ndarray, targets: list[int]) -> None:
        self.data, self.targets = data, targets
        self.mean, self.std = torch.tensor(MEAN).view(-1, 1, 1), torch.tensor(STD).view(-1, 1, 1)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = Image.fromarray(self.data[index])
        x = torch.from_numpy(np.array(image, np.uint8, copy=True)).permute(2, 0, 1).contiguous()
        return x.to(torch.float32).div(255).sub_(self.mean).div_(self.std), self.targets[index]


def archive(root: Path) -> None:
    """CIFAR-10's training files in their own format, of noise: how long a loader takes does not depend on the pixels."""
    folder = root / datasets.CIFAR10.folder
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in datasets.CIFAR10.train_files:
        records = rng.integers(0, 256, (10_000, 3073), dtype=np.uint8)
        records[:, 0] %= 10
        records.tofile(folder / f"{name}.bin")


def epoch(loader: Any) -> tuple[Any, Any]:
    """The last batch."""
    for batch in loader:
        last = batch
    return last


def main() -> None:
    """Compare, with and without shuffling."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        archive(Path(root))
        transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
        ours = datasets.CIFAR10(root, transform=transform)
    theirs = Images(ours.data, ours.targets)
    print(HEADER)
    met = True
    for shuffle in (False, True):
        mine, other = (
            make(data, batch_size=128, shuffle=shuffle)
            for make, data in ((tg.utils.data.DataLoader, ours), (torch.utils.data.DataLoader, theirs))
        )
        tg.manual_seed(0)
        torch.manual_seed(0)
        (x, y), (expected, labels) = epoch(mine), epoch(other)
        np.testing.assert_allclose(x.numpy(), expected.numpy(), rtol=1e-6, atol=1e-6)
        assert y.tolist() == labels.tolist()
        name = f"50,000 images{', shuffled' if shuffle else ''}"
        result = compare(name, lambda m=mine: epoch(m), lambda o=other: epoch(o), rounds=options.rounds, goal=GOAL)
        print(result, flush=True)
        met = met and result.speedup >= GOAL
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
