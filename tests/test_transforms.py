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


def test_modes_of_pillow() -> None:
    gray = IMAGE.convert("L")
    black = gray.convert("1")
    assert sorted(set(T.ToTensor()(black).flatten().tolist())) == [0.0, 1.0]
    deep = Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 100)
    assert T.ToTensor()(deep).dtype is tg.int16
    palette = IMAGE.quantize(16)
    padded = T.Pad(2)(palette)
    assert padded.mode == "P"
    np.testing.assert_array_equal(np.asarray(padded.convert("RGB"))[2:-2, 2:-2], np.asarray(palette.convert("RGB")))
    assert T.Pad(1, fill=9)(IMAGE.convert("RGBA")).getpixel((0, 0)) == (9, 9, 9, 9)


def test_one_fill_for_each_channel() -> None:
    for image in (IMAGE, PLANES):
        assert pixels(T.Pad(1, fill=(1, 2, 3))(image))[0, 0].tolist() == [1, 2, 3]
    assert pixels(T.Pad(1, fill=(5,))(IMAGE.convert("L")))[0, 0].tolist() == [5]
    with pytest.raises(ValueError, match="fill has 3 numbers for an image of 1 channels"):
        T.Pad(1, fill=(1, 2, 3))(IMAGE.convert("L"))


def test_resize_to_a_smaller_side() -> None:
    assert T.Resize([5])(IMAGE).size == (5, 6)  # a sequence of one is one number
    assert T.Resize(20)(IMAGE).size == (20, 24)
    assert T.Resize(20, max_size=22)(IMAGE).size == (18, 22)
    assert repr(T.Resize(5)) == "Resize(size=5, interpolation=bilinear, max_size=None, antialias=True)"
    nearest = T.Resize((24, 20), interpolation=Image.Resampling.NEAREST)(PLANES)
    np.testing.assert_array_equal(pixels(nearest), PIXELS.repeat(2, 0).repeat(2, 1))


def test_resize_of_a_tensor_without_antialias_is_interpolation() -> None:
    x = tg.rand(3, 12, 10)
    expected = tg.nn.functional.interpolate(x.unsqueeze(0), (5, 4), mode="bilinear")[0]
    np.testing.assert_array_equal(T.Resize((5, 4), antialias=False)(x).numpy(), expected.numpy())
    assert not np.allclose(T.Resize((5, 4))(x).numpy(), expected.numpy())


def test_one_mean_for_all_channels() -> None:
    x = tg.rand(3, 4, 5)
    np.testing.assert_array_equal(T.Normalize(0.5, 0.25)(x).numpy(), (x.numpy() - np.float32(0.5)) / np.float32(0.25))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: T.Resize(0), ValueError, "positive numbers, got 0"),
        (lambda: T.Resize(2.5), TypeError, "size must be an int"),
        (lambda: T.Resize("a"), TypeError, "size must be an int"),
        (lambda: T.Resize((3, 3), max_size=4), ValueError, "max_size goes with a size of one number"),
        (lambda: T.Resize(5, max_size=5), ValueError, "must be greater"),
        (lambda: T.Resize(5, interpolation=9), ValueError, "BILINEAR"),
        (lambda: T.Pad(-1), ValueError, "must not be negative"),
        (lambda: T.Pad(1.5), TypeError, "padding must be an int"),
        (lambda: T.Pad(1, fill="red"), TypeError, "fill must be a number"),
        (lambda: T.RandomCrop(4, padding=(1, 2, 3)), ValueError, "3 element tuple"),
        (lambda: T.RandomHorizontalFlip(1.5), ValueError, "probability"),
        (lambda: T.RandomHorizontalFlip("often"), ValueError, "probability"),
        (lambda: T.Normalize((0.5,), ()), ValueError, "for each channel"),
        (
            lambda: T.Normalize((0.5, 0.5), (0.5, 0.5)).batch(np.zeros((1, 3, 2, 2), np.float32)),
            RuntimeError,
            "2 means",
        ),
        (lambda: T.Grayscale()(tg.ones(2, 4, 4)), TypeError, r"\[2, 4, 4\]"),
        (lambda: T.Compose(T.ToTensor()), TypeError, r"write Compose\(\[...\]\)"),
        (lambda: T.Compose([3]), TypeError, "called with an image, got 3"),
    ],
)
def test_wrong_arguments_are_named_when_a_transform_is_made(call: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_an_odd_rest_is_cut_off_as_python_rounds() -> None:
    x = tg.arange(7 * 5).reshape(1, 7, 5)
    assert T.CenterCrop((4, 4))(x)[0, 0, 0].item() == 2 * 5 + 0  # 1.5 rounds to 2 and 0.5 to 0


def test_luminance_of_a_tensor_has_four_digits() -> None:
    gray = T.Grayscale()(tg.tensor([1000.0, 100.0, 10.0]).reshape(3, 1, 1)).item()
    assert gray == pytest.approx(298.9 + 58.7 + 1.14, rel=1e-6)
