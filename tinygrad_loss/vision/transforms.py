"""Transforms of one image, on Pillow images or tensors (channels, height, width); random ones draw as torchvision's do."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle
from typing import Any

import numpy as np

from ..dtypes import F32, Array
from ..op import TensorBase, wrap
from ..ops.create import rand, randint
from ..ops.resize import interpolate
from ..tensor import Tensor

__all__ = [
    "CenterCrop", "Compose", "Grayscale", "Lambda", "Normalize", "Pad", "RandomCrop", "RandomHorizontalFlip", "Resize",
    "ToTensor",
]  # fmt: skip


def _pil() -> Any:
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise ImportError('images need Pillow: pip install "tinygrad-loss[examples]", or pip install pillow') from None
    return Image, ImageOps


def as_image(array: Array) -> Any:
    """A Pillow image of an array (height, width[, channels]) of bytes."""
    image, _ = _pil()
    return image.fromarray(array)


def _is_tensor(x: Any) -> bool:
    if isinstance(x, TensorBase):
        if x._array.ndim < 2:
            raise TypeError(f"an image tensor has the shape (..., height, width), got {list(x._array.shape)}")
        return True
    if not hasattr(x, "convert"):
        raise TypeError(
            f"expected a Pillow image or a Tensor, got {type(x).__name__}; write PIL.Image.fromarray(array), or ToTensor() first"
        )
    return False


def _size(x: Any) -> tuple[int, int]:
    """Height and width."""
    if _is_tensor(x):
        return x._array.shape[-2], x._array.shape[-1]
    return x.height, x.width


def _whole(values: Any, what: str) -> tuple[int, ...]:
    """One whole number, or several."""
    found = tuple(values) if isinstance(values, (tuple, list)) else (values,)
    if not all(isinstance(v, numbers.Integral) and not isinstance(v, bool) for v in found):
        raise TypeError(f"{what} must be an int or a sequence of ints, got {values!r}")
    return tuple(map(int, found))


def _pair(size: Any, what: str) -> tuple[int, int]:
    values = _whole(size, what)
    if len(values) not in (1, 2) or min(values) <= 0:
        raise ValueError(f"{what} must be one or two positive numbers, got {size!r}")
    return values[0], values[-1]


def _cropped(x: Any, top: int, left: int, height: int, width: int) -> Any:
    if _is_tensor(x):
        return x[..., top : top + height, left : left + width]
    return x.crop((left, top, left + width, top + height))


class Compose:
    """Apply transforms one after the other.

    Examples
    --------
    >>> from tinygrad_loss.vision import transforms
    >>> transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    Compose(
        ToTensor()
        Normalize(mean=(0.5,), std=(0.5,))
    )
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        if callable(transforms) or not isinstance(transforms, Iterable):
            raise TypeError(f"Compose takes a list of transforms, got {transforms!r}: write Compose([...])")
        self.transforms = list(transforms)
        for transform in self.transforms:
            if not callable(transform):
                raise TypeError(f"Compose takes transforms, which can be called with an image, got {transform!r}")

    def __call__(self, x: Any) -> Any:
        """Return the transformed image."""
        for transform in self.transforms:
            x = transform(x)
        return x

    def __repr__(self) -> str:
        return "Compose(\n" + "".join(f"    {t!r}\n" for t in self.transforms) + ")"


class ToTensor:
    """Turn a Pillow image or an array (height, width, channels) into a float32 tensor (channels, height, width).

    Bytes become numbers in [0, 1]; other dtypes keep their values.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_loss.vision import transforms
    >>> transforms.ToTensor()(np.array([[[0, 51, 255]]], dtype=np.uint8)).flatten()
    tensor([0.0000, 0.2000, 1.0000])
    """

    def __call__(self, x: Any) -> Tensor:
        """Return the transformed image."""
        if isinstance(x, TensorBase) or not (isinstance(x, np.ndarray) or hasattr(x, "convert")):
            raise TypeError(f"pic should be PIL Image or ndarray. Got {type(x).__name__}")
        array = np.asarray(x)
        if getattr(x, "mode", None) == "1":
            array = array * np.uint8(255)  # black and white
        elif getattr(x, "mode", "").startswith("I;16"):
            array = array.astype(np.int16)
        if array.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {array.ndim} dimensions.")
        if array.ndim == 2:
            array = array[:, :, None]
        return wrap(self.batch(array[None])[0])  # type: ignore[no-any-return]

    def batch(self, images: Array) -> Array:
        """The same for (N, height, width, channels)."""
        moved = np.ascontiguousarray(images.transpose(0, 3, 1, 2) if images.ndim == 4 else images[:, None])
        return np.divide(moved, np.float32(255), dtype=F32) if moved.dtype == np.uint8 else moved

    def __repr__(self) -> str:
        return "ToTensor()"


class Normalize:
    """Subtract a mean and divide by a standard deviation, one for each channel.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.vision.transforms.Normalize((0.5,), (0.25,))(tg.ones(1, 1, 2))
    tensor([[[2., 2.]]])
    """

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float], inplace: bool = False) -> None:
        self.mean, self.std, self.inplace = mean, std, inplace
        means, stds = self._columns(np.float64)
        if not means.size or not stds.size:
            raise ValueError(f"expected a mean and a standard deviation for each channel, got {mean} and {std}")
        if (stds == 0).any():
            raise ValueError(f"std evaluated to zero, leading to division by zero: {std}")

    def _columns(self, dtype: Any, channels: int | None = None) -> tuple[Array, Array]:
        mean, std = (np.asarray(v, dtype).reshape(-1, 1, 1) for v in (self.mean, self.std))
        if channels is not None and not {len(mean), len(std)} <= {1, channels}:
            raise RuntimeError(f"{len(mean)} means and {len(std)} standard deviations for {channels} channels")
        return mean, std

    def __call__(self, x: Tensor) -> Tensor:
        """Return the transformed image."""
        if not isinstance(x, TensorBase):
            raise TypeError(f"img should be Tensor Image. Got {type(x).__name__}: put ToTensor() before Normalize")
        if x._array.dtype.kind != "f":
            raise TypeError(f"Input tensor should be a float tensor. Got {x.dtype}.")
        if x._array.ndim < 3:
            raise ValueError(f"Expected tensor to be a tensor image of size (..., C, H, W). Got {list(x._array.shape)}")
        mean, std = self._columns(x._array.dtype, x._array.shape[-3])
        if self.inplace:
            return x.sub_(wrap(mean)).div_(wrap(std))  # type: ignore[no-any-return]
        return (x - wrap(mean)) / wrap(std)  # type: ignore[no-any-return]

    def batch(self, images: Array) -> Array:
        """The same, in place, for an array (N, channels, height, width) that is nobody else's."""
        mean, std = self._columns(images.dtype, images.shape[1])
        images -= mean
        images /= std
        return images

    def __repr__(self) -> str:
        return f"Normalize(mean={self.mean}, std={self.std})"


class Resize:
    """Scale an image: to (height, width), or its smaller side to one number. Bilinear, antialiased, by Pillow.

    Parameters
    ----------
    size : int or (int, int)
    interpolation : PIL.Image.Resampling, optional
    max_size : int, optional
        The most that the larger side may have where ``size`` is one number; the smaller one gets less, then.
    antialias : bool
        Of tensors, False takes the nearest four pixels only, as ``F.interpolate`` does; images are always antialiased.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.vision.transforms.Resize(4)(tg.rand(3, 8, 16)).shape
    torch.Size([3, 4, 8])
    """

    def __init__(
        self, size: Any, interpolation: Any = None, max_size: int | None = None, antialias: bool | None = True
    ) -> None:
        self._exact = _pair(size, "size")
        self.size = int(size) if isinstance(size, numbers.Integral) else list(size)
        self.short = None if len(_whole(size, "size")) == 2 else _whole(size, "size")[0]
        methods = _pil()[0].Resampling
        try:
            self.interpolation = methods.BILINEAR if interpolation is None else methods(interpolation)
        except ValueError:
            raise ValueError(
                f"interpolation must be one of {', '.join(m.name for m in methods)}, got {interpolation!r}"
            ) from None
        if max_size is not None and self.short is None:
            raise ValueError(f"max_size goes with a size of one number, the smaller side's; got size={size}")
        if max_size is not None and self.short is not None and max_size <= self.short:
            raise ValueError(f"max_size={max_size} must be greater than the smaller side's size={size}")
        self.max_size, self.antialias = max_size, antialias

    def _target(self, height: int, width: int) -> tuple[int, int]:
        if self.short is None:
            return self._exact
        size, short, long = self.short, min(height, width), max(height, width)
        other = int(size * long / short)
        if self.max_size is not None and other > self.max_size:
            size, other = int(self.max_size * size / other), self.max_size
        return (size, other) if height <= width else (other, size)

    def __call__(self, x: Any) -> Any:
        """Return the transformed image."""
        image, _ = _pil()
        height, width = self._target(*_size(x))
        if not _is_tensor(x):
            return x.resize((width, height), self.interpolation)
        planes = x._array.reshape(-1, *x._array.shape[-2:])
        if self.antialias is False and self.interpolation == image.Resampling.BILINEAR:
            scaled = interpolate(wrap(planes.astype(F32)[None]), (height, width), mode="bilinear")._array[0]
        else:
            scaled = [
                np.asarray(image.fromarray(p.astype(F32)).resize((width, height), self.interpolation)) for p in planes
            ]
        out = np.stack(scaled).reshape(*x._array.shape[:-2], height, width)
        return wrap(np.rint(out).astype(x._array.dtype) if x._array.dtype.kind in "iu" else out.astype(x._array.dtype))

    def __repr__(self) -> str:
        return (
            f"Resize(size={self.size}, interpolation={self.interpolation.name.lower()}, max_size={self.max_size}, "
            f"antialias={self.antialias})"
        )


class CenterCrop:
    """Cut the middle out of an image; one that is smaller is padded with zeros.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.vision.transforms.CenterCrop(2)(tg.arange(16).view(1, 4, 4))
    tensor([[[ 5,  6],
             [ 9, 10]]])
    """

    def __init__(self, size: Any) -> None:
        self.size = _pair(size, "size")

    def __call__(self, x: Any) -> Any:
        """Return the transformed image."""
        height, width = self.size
        h, w = _size(x)
        if h < height or w < width:
            left, top = max(width - w, 0) // 2, max(height - h, 0) // 2
            x = Pad((left, top, max(width - w, 0) - left, max(height - h, 0) - top))(x)
            h, w = _size(x)
        return _cropped(x, round((h - height) / 2.0), round((w - width) / 2.0), height, width)

    def __repr__(self) -> str:
        return f"CenterCrop(size={self.size})"


class Pad:
    """Put a border around an image: all sides, (left and right, top and bottom), or (left, top, right, bottom).

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.vision.transforms.Pad(1)(tg.ones(1, 1, 1))
    tensor([[[0., 0., 0.],
             [0., 1., 0.],
             [0., 0., 0.]]])
    """

    _MODES = ("constant", "edge", "reflect", "symmetric")

    def __init__(self, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> None:
        if padding_mode not in self._MODES:
            raise ValueError(
                f"Padding mode should be either constant, edge, reflect or symmetric, got {padding_mode!r}"
            )
        sides = _whole(padding, "padding")
        if len(sides) not in (1, 2, 4):
            raise ValueError(f"Padding must be an int or a 1, 2, or 4 element tuple, not a {len(sides)} element tuple")
        if min(sides) < 0:
            raise ValueError(f"padding must not be negative, got {padding}: CenterCrop makes images smaller")
        if not all(isinstance(f, numbers.Number) for f in (fill if isinstance(fill, (tuple, list)) else (fill,))):
            raise TypeError(f"fill must be a number, or one for each channel, got {fill!r}")
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode
        self._sides = sides * (4 // len(sides))

    def __call__(self, x: Any) -> Any:
        """Return the transformed image."""
        left, top, right, bottom = self._sides
        tensor = _is_tensor(x)
        array = x._array if tensor else np.asarray(x)
        border = [(top, bottom), (left, right)]
        pads = [(0, 0)] * (array.ndim - 2) + border if tensor else border + [(0, 0)] * (array.ndim - 2)
        if self.padding_mode == "constant" and isinstance(self.fill, (tuple, list)):
            axis = array.ndim - 3 if tensor else 2
            channels = 1 if array.ndim == 2 else array.shape[axis]
            if len(self.fill) not in (1, channels):
                raise ValueError(f"fill has {len(self.fill)} numbers for an image of {channels} channels: {self.fill}")
            each = [array] if array.ndim == 2 else np.moveaxis(array, axis, 0)
            filled = [
                np.pad(c, [(0, 0)] * (c.ndim - 2) + border, constant_values=f) for c, f in zip(each, cycle(self.fill))
            ]
            out = filled[0] if array.ndim == 2 else np.stack(filled, axis=axis)
        else:
            extra = {"constant_values": self.fill} if self.padding_mode == "constant" else {}
            out = np.pad(array, pads, mode=self.padding_mode, **extra)  # type: ignore[call-overload]
        if tensor:
            return wrap(out)
        image = as_image(out)
        if x.mode == "P":  # numbers of colours
            image.putpalette(x.getpalette())
        return image

    def __repr__(self) -> str:
        return f"Pad(padding={self.padding}, fill={self.fill}, padding_mode={self.padding_mode})"


class RandomCrop:
    """Cut a piece of a given size out of a random place, after padding if wished.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.vision.transforms.RandomCrop(32, padding=4)(tg.rand(3, 32, 32)).shape
    torch.Size([3, 32, 32])
    """

    def __init__(
        self, size: Any, padding: Any = None, pad_if_needed: bool = False, fill: Any = 0, padding_mode: str = "constant"
    ) -> None:
        self.size, self.padding, self.pad_if_needed = _pair(size, "size"), padding, pad_if_needed
        Pad(0 if padding is None else padding, fill, padding_mode)  # which checks them
        self.fill, self.padding_mode = fill, padding_mode

    def __call__(self, x: Any) -> Any:
        """Return the transformed image."""
        if self.padding is not None:
            x = Pad(self.padding, self.fill, self.padding_mode)(x)
        height, width = self.size
        h, w = _size(x)
        if self.pad_if_needed and w < width:
            x = Pad((width - w, 0), self.fill, self.padding_mode)(x)
        if self.pad_if_needed and h < height:
            x = Pad((0, height - h), self.fill, self.padding_mode)(x)
        h, w = _size(x)
        if h < height or w < width:
            raise ValueError(
                f"Required crop size {self.size} is larger than input image size {(h, w)}; write pad_if_needed=True"
            )
        if (h, w) == (height, width):
            return x
        top = randint(0, h - height + 1, (1,)).item()
        left = randint(0, w - width + 1, (1,)).item()
        return _cropped(x, top, left, height, width)

    def __repr__(self) -> str:
        return f"RandomCrop(size={self.size}, padding={self.padding})"


class RandomHorizontalFlip:
    """Mirror an image with a probability.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.vision.transforms.RandomHorizontalFlip(p=1.0)(tg.tensor([[[1, 2]]]))
    tensor([[[2, 1]]])
    """

    def __init__(self, p: float = 0.5) -> None:
        self.p: float = p
        if not isinstance(p, (int, float)) or not 0 <= p <= 1:
            raise ValueError(f"p is a probability between 0 and 1, got {p!r}")

    def __call__(self, x: Any) -> Any:
        """Return the transformed image."""
        tensor = _is_tensor(x)
        if rand(1).item() >= self.p:
            return x
        return wrap(x._array[..., ::-1].copy()) if tensor else _pil()[1].mirror(x)

    def __repr__(self) -> str:
        return f"RandomHorizontalFlip(p={self.p})"


class Grayscale:
    """Weigh the channels to one luminance (ITU-R 601: 0.299 R + 0.587 G + 0.114 B), repeated in 1 or 3 channels.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.vision.transforms.Grayscale()(tg.ones(3, 1, 1))
    tensor([[[0.9999]]])
    """

    def __init__(self, num_output_channels: int = 1) -> None:
        if num_output_channels not in (1, 3):
            raise ValueError(f"num_output_channels should be either 1 or 3, got {num_output_channels}")
        self.num_output_channels = num_output_channels

    def __call__(self, x: Any) -> Any:
        """Return the transformed image."""
        if not _is_tensor(x):
            gray = x.convert("L")
            return gray if self.num_output_channels == 1 else as_image(np.stack([np.asarray(gray)] * 3, axis=-1))
        array = x._array
        if array.ndim < 3 or array.shape[-3] not in (1, 3):
            raise TypeError(
                f"Grayscale takes tensors (..., 1 or 3, height, width), got one of shape {list(array.shape)}"
            )
        if array.shape[-3] == 3:
            r, g, b = (array[..., c, :, :].astype(F32) for c in range(3))
            # torchvision's weights for tensors, of four digits
            array = (0.2989 * r + 0.587 * g + 0.114 * b).astype(array.dtype)[..., None, :, :]
        return wrap(np.repeat(array, self.num_output_channels, axis=-3))

    def __repr__(self) -> str:
        return f"Grayscale(num_output_channels={self.num_output_channels})"


class Lambda:
    """Apply any function.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.vision.transforms.Lambda(lambda x: x * 2)(tg.ones(1))
    tensor([2.])
    """

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__}")
        self.lambd = lambd

    def __call__(self, x: Any) -> Any:
        """Return the transformed image."""
        return self.lambd(x)

    def __repr__(self) -> str:
        return "Lambda()"


def batched(transform: Any) -> Callable[[Array], Array] | None:
    """The transform for a whole batch (N, height, width[, channels]) of bytes, if it is one of fixed arithmetic."""
    steps: list[Any] = transform.transforms if type(transform) is Compose else [transform]
    if not steps or type(steps[0]) is not ToTensor or any(type(step) is not Normalize for step in steps[1:]):
        return None

    tables: dict[int, Array] = {}

    def table(channels: int) -> Array:
        """What becomes of each of the 256 bytes in each channel."""
        values = np.repeat(np.arange(256, dtype=np.uint8), channels).reshape(256, 1, 1, channels)
        for step in steps:
            values = step.batch(values)
        return np.ascontiguousarray(values.reshape(256, channels).T)

    def together(images: Array) -> Array:
        channels = images.shape[3] if images.ndim == 4 else 1
        if channels not in tables:
            tables[channels] = table(channels)
        out = np.empty((len(images), channels, *images.shape[1:3]), F32)
        for c, values in enumerate(tables[channels]):
            # mode="clip" writes to `out` directly; a byte cannot be out of range
            np.take(values, images[..., c] if images.ndim == 4 else images, out=out[:, c], mode="clip")
        return out

    return together
