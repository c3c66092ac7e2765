"""The article's network trains as under PyTorch: the losses of 100 steps, from the same seed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_loss as tg
from benchmarks.cnn import lenet

FROZEN = Path(__file__).parent.parent / "fixtures" / "cnn_losses.json"  # PyTorch 2.13.0 on the CPU, one thread


def losses(torch: Any, nn: Any, F: Any, optim: Any) -> list[float]:
    """100 steps of batches of 4 with SGD and momentum, as in the article, on noise whose class is its brightest channel."""
    net = lenet(nn, F, torch)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    found = []
    for _ in range(100):
        images = torch.rand(4, 3, 32, 32) - 0.5
        labels = torch.randint(0, 3, (4,))
        with torch.no_grad():
            for image, label in zip(images, labels, strict=True):
                image[label] += 0.5
        optimizer.zero_grad()
        loss = criterion(net(images), labels)
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


def test_losses_of_100_steps() -> None:
    found = losses(tg, tg.nn, tg.nn.functional, tg.optim)
    np.testing.assert_allclose(found, json.loads(FROZEN.read_text(encoding="ascii")), rtol=0, atol=1e-4)
    assert np.mean(found[-10:]) < 0.75 * np.mean(found[:10])  # it learns: an untrained network would prove little


@pytest.mark.parity
def test_pytorch_still_gives_the_frozen_losses() -> None:
    torch = pytest.importorskip("torch")
    found = losses(torch, torch.nn, torch.nn.functional, torch.optim)
    np.testing.assert_allclose(found, json.loads(FROZEN.read_text(encoding="ascii")), rtol=0, atol=1e-4)
