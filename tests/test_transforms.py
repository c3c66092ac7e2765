"""Transforms: on Pillow images and tensors alike, with torchvision's shapes, draws and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

import tinygrad_loss as tg
from tinygrad_loss.vision import transforms as T

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (12, 10, 3), dtype=np.uint8)
IMAGE = Image.fromarray(PIXELS)
PLANES = tg.tensor(np.ascontiguousarray(PIXELS.transpose(2, 0, 1)))


def pixels(x: Any) -> np.ndarray[Any, Any]:
    """Height, width, channels of either kind."""
    return x.numpy().transpose(1, 2, 0) if isinstance(x, tg.Tensor) else np.asarray(x).reshape(x.height, x.width, -1)


@pytest.mark.parametrize("image", [IMAGE, PIXELS], ids=["pillow", "array"])
def test_to_tensor(image: Any) -> None:
    out = T.ToTensor()(image)
    assert out.dtype is tg.float32
    np.testing.assert_array_equal(pixels(out), PIXELS.astype(np.float32) / np.float32(255))
    assert T.ToTensor()(Image.fromarray(PIXELS[..., 0])).shape == (1, 12, 10)
    assert T.ToTensor()(PIXELS.astype(np.float64)).dtype is tg.float64


def test_normalize() -> None:
    x = tg.rand(2, 3, 4, 5)
    out = T.Normalize((0.1, 0.2, 0.3), (0.5, 0.6, 0.7))(x)
    mean, std = (np.array(v, np.float32).reshape(3, 1, 1) for v in ((0.1, 0.2, 0.3), (0.5, 0.6, 0.7)))
    np.testing.assert_array_equal(out.numpy(), (x.numpy() - mean) / std)
    for bad, words in (
        (lambda: T.Normalize((0.0,), (0.0,)), "division by zero"),
        (lambda: T.Normalize((0.0,), (1.0,))(IMAGE), r"put ToTensor\(\) before Normalize"),
        (lambda: T.Normalize((0.0,), (1.0,))(PLANES), "float tensor"),
        (lambda: T.Normalize((0.0, 0.0), (1.0, 1.0))(x), "2 means"),
    ):
        with pytest.raises((ValueError, TypeError, RuntimeError), match=words):
            bad()


@pytest.mark.parametrize("image", [IMAGE, PLANES], ids=["pillow", "tensor"])
def test_crops_pads_and_flips_agree_on_both_kinds(image: Any) -> None:
    np.testing.assert_array_equal(pixels(T.CenterCrop((4, 6))(image)), PIXELS[4:8, 2:8])
    padded = np.pad(PIXELS, ((2, 4), (1, 3), (0, 0)), constant_values=7)
    np.testing.assert_array_equal(pixels(T.Pad((1, 2, 3, 4), fill=7)(image)), padded)
    edge = np.pad(PIXELS, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(pixels(T.Pad(1, padding_mode="reflect")(image)), edge)
    np.testing.assert_array_equal(pixels(T.RandomHorizontalFlip(1.0)(image)), PIXELS[:, ::-1])
    np.testing.assert_array_equal(pixels(T.RandomHorizontalFlip(0.0)(image)), PIXELS)
    assert pixels(T.CenterCrop(16)(image)).shape == (16, 16, 3)
    assert pixels(T.Resize(5)(image)).shape == (6, 5, 3)
    assert pixels(T.Resize((7, 8))(image)).shape == (7, 8, 3)
    assert pixels(T.Grayscale()(image)).shape == (12, 10, 1)
    assert pixels(T.Grayscale(3)(image)).shape == (12, 10, 3)


def test_resize_of_a_tensor_is_that_of_the_image() -> None:
    difference = pixels(T.Resize((6, 5))(IMAGE)).astype(int) - pixels(T.Resize((6, 5))(PLANES)).astype(int)
    assert np.abs(difference).max() <= 1  # Pillow rounds between its two passes where it works on bytes


@pytest.mark.parametrize("image", [IMAGE, PLANES], ids=["pillow", "tensor"])
def test_random_crop_draws_top_then_left(image: Any) -> None:
    tg.manual_seed(3)
    top, left = tg.randint(0, 9, (1,)).item(), tg.randint(0, 5, (1,)).item()
    tg.manual_seed(3)
    np.testing.assert_array_equal(pixels(T.RandomCrop((4, 6))(image)), PIXELS[top : top + 4, left : left + 6])
    state = tg.get_rng_state()
    np.testing.assert_array_equal(pixels(T.RandomCrop((12, 10))(image)), PIXELS)  # nothing to draw
    assert np.array_equal(state, tg.get_rng_state())
    with pytest.raises(ValueError, match="pad_if_needed=True"):
        T.RandomCrop(20)(image)
    assert pixels(T.RandomCrop(20, pad_if_needed=True)(image)).shape == (20, 20, 3)


def test_wrong_inputs_are_named() -> None:
    with pytest.raises(TypeError, match=r"expected a Pillow image or a Tensor, got ndarray"):
        T.CenterCrop(3)(PIXELS)
    with pytest.raises(TypeError, match="pic should be PIL Image or ndarray"):
        T.ToTensor()(PLANES)
    with pytest.raises(ValueError, match="one or two positive numbers"):
        T.CenterCrop(0)
    with pytest.raises(ValueError, match="Padding mode"):
        T.Pad(1, padding_mode="round")
    with pytest.raises(TypeError, match="callable"):
        T.Lambda(3)  # type: ignore[arg-type]


def test_compose_and_lambda() -> None:
    chain = T.Compose([T.ToTensor(), T.Lambda(lambda x: x * 2)])
    assert chain(IMAGE).max().item() <= 2
    assert repr(chain) == "Compose(\n    ToTensor()\n    Lambda()\n)"
