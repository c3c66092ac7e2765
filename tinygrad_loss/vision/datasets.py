"""CIFAR-10, CIFAR-100, MNIST and FashionMNIST, downloaded on request and kept in memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..dtypes import Array
from ..op import wrap
from ..utils.data import Dataset
from . import formats
from .download import extract, fetch, locked, md5_of
from .transforms import as_image, batched

__all__ = ["CIFAR10", "CIFAR100", "MNIST", "FashionMNIST"]


class VisionDataset(Dataset[Any]):
    """Images in memory with a class number each; subclasses say where the files are and how to read them.

    Attributes
    ----------
    data : uint8 array (N, height, width[, 3])
    targets : list of int
    classes : list of str
    class_to_idx : dict from class to number
    """

    classes: ClassVar[list[str]]

    def __init__(
        self,
        root: str | os.PathLike[str],
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        self.root, self.train = Path(root).expanduser(), train
        self.transform, self.target_transform = transform, target_transform
        if download:
            self.download()
        self.data, labels = self._read()
        self.targets: list[int] = labels.tolist()
        self._labels = labels
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}

    def download(self) -> None:
        """Bring the files to ``root`` unless they are there and whole."""
        raise NotImplementedError

    def _read(self) -> tuple[Array, Array]:
        raise NotImplementedError

    def _missing(self, path: Path) -> RuntimeError:
        return RuntimeError(
            f"Dataset not found or corrupted. There is no {path}: write {type(self).__name__}(root={str(self.root)!r}, "
            f"download=True) to get it."
        )

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, target = as_image(self.data[index]), self.targets[index]
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def _gatherer(self) -> Callable[[Array], Any] | None:
        """Whole batches at once, where the transform can be applied to a batch with the same result."""
        together = batched(self.transform)
        if together is None or self.target_transform is not None:
            return None
        data, labels = self.data, self._labels

        def gather(index: Array) -> Any:
            if self.data is not data or len(self.targets) != len(labels):
                return None
            return [wrap(together(data[index])), wrap(labels[index])]

        return gather

    def __repr__(self) -> str:
        lines = [
            f"Dataset {type(self).__name__}",
            f"    Number of datapoints: {len(self)}",
            f"    Root location: {self.root}",
        ]
        lines.append(f"    Split: {'Train' if self.train else 'Test'}")
        if self.transform is not None:
            lines.append("    StandardTransform\nTransform: " + repr(self.transform).replace("\n", "\n" + " " * 11))
        return "\n".join(lines)


class CIFAR10(VisionDataset):
    """60,000 colour images of 32 x 32 in 10 classes (Krizhevsky, 2009).

    Parameters
    ----------
    root : path
        The folder that has, or gets, ``cifar-10-batches-bin``; torchvision's ``cifar-10-batches-py`` is read as well, with an
        unpickler that admits NumPy arrays and nothing else.
    train : bool
        The 50,000 training images or the 10,000 test images.
    transform, target_transform : callable, optional
        Applied to the PIL image and the class number.
    download : bool
        Download (163 MB, resumed if it was cut, MD5 checked) what is not there.

    Raises
    ------
    RuntimeError
        For files that are missing, truncated or damaged: which, what was expected, how to get it again.
    ConnectionError
        If the server cannot be reached.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.vision.datasets.CIFAR10("no such folder")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    RuntimeError: Dataset not found or corrupted. There is no ...download=True) to get it.
    """

    url = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    md5 = "c32a1d4ab5d03f1284b67883e8d87530"
    folder, pickles = "cifar-10-batches-bin", "cifar-10-batches-py"
    train_files = tuple(f"data_batch_{i}" for i in range(1, 6))
    test_files: tuple[str, ...] = ("test_batch",)
    images_per_file: int | None = 10_000
    label_bytes, label_key = 1, "labels"
    classes: ClassVar[list[str]] = [
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ]

    def _files(self) -> tuple[str, ...]:
        return self.train_files if self.train else self.test_files

    def download(self) -> None:
        """Bring the binary archive to ``root`` and unpack it, unless its files are there and whole, or torchvision's are."""
        folder = self.root / self.folder
        pickled = (self.root / self.pickles / name for name in (*self.train_files, *self.test_files))
        if self._is_whole(folder) or (not folder.is_dir() and all(path.is_file() for path in pickled)):
            return
        with locked(folder):
            if not self._is_whole(folder):
                archive = self.root / self.url.rpartition("/")[2]
                fetch(self.url, archive, self.md5)
                extract(archive, folder)
                sums = [f"{md5_of(path)}  {path.name}\n" for path in sorted(folder.glob("*.bin"))]
                (folder / "MD5SUMS").write_text("".join(sums), encoding="ascii")

    def _is_whole(self, folder: Path) -> bool:
        """Whether all files are there with the sums they had when they were unpacked."""
        if not (folder / "MD5SUMS").is_file():
            return False
        lines = (folder / "MD5SUMS").read_text(encoding="ascii", errors="replace").splitlines()
        sums = {name: digits for digits, _, name in (line.partition("  ") for line in lines)}
        names = [f"{name}.bin" for name in (*self.train_files, *self.test_files)]
        return all((folder / name).is_file() and md5_of(folder / name) == sums.get(name) for name in names)

    def _read(self) -> tuple[Array, Array]:
        binary, pickles = self.root / self.folder, self.root / self.pickles
        parts = []
        for name in self._files():
            path = binary / f"{name}.bin"
            if binary.is_dir() or not pickles.is_dir():
                if not path.is_file():
                    raise self._missing(path)
                parts.append(formats.cifar_binary(path, self.label_bytes, len(self.classes), self.images_per_file))
            elif (pickles / name).is_file():
                parts.append(formats.cifar_pickle(pickles / name, self.label_key, len(self.classes)))
            else:
                raise self._missing(pickles / name)
        images, labels = zip(*parts, strict=True)
        return np.concatenate(images), np.concatenate(labels)


class CIFAR100(CIFAR10):
    """60,000 colour images of 32 x 32 in 100 classes (Krizhevsky, 2009); arguments as ``CIFAR10``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.vision.datasets.CIFAR100.classes[:2]
    ['apple', 'aquarium_fish']
    """

    url = "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
    md5 = "03b5dce01913d631647c71ecec9e9cb8"
    folder, pickles = "cifar-100-binary", "cifar-100-python"
    train_files, test_files = ("train",), ("test",)
    images_per_file = None
    label_bytes, label_key = 2, "fine_labels"
    classes: ClassVar[list[str]] = [
        "apple",
        "aquarium_fish",
        "baby",
        "bear",
        "beaver",
        "bed",
        "bee",
        "beetle",
        "bicycle",
        "bottle",
        "bowl",
        "boy",
        "bridge",
        "bus",
        "butterfly",
        "camel",
        "can",
        "castle",
        "caterpillar",
        "cattle",
        "chair",
        "chimpanzee",
        "clock",
        "cloud",
        "cockroach",
        "couch",
        "crab",
        "crocodile",
        "cup",
        "dinosaur",
        "dolphin",
        "elephant",
        "flatfish",
        "forest",
        "fox",
        "girl",
        "hamster",
        "house",
        "kangaroo",
        "keyboard",
        "lamp",
        "lawn_mower",
        "leopard",
        "lion",
        "lizard",
        "lobster",
        "man",
        "maple_tree",
        "motorcycle",
        "mountain",
        "mouse",
        "mushroom",
        "oak_tree",
        "orange",
        "orchid",
        "otter",
        "palm_tree",
        "pear",
        "pickup_truck",
        "pine_tree",
        "plain",
        "plate",
        "poppy",
        "porcupine",
        "possum",
        "rabbit",
        "raccoon",
        "ray",
        "road",
        "rocket",
        "rose",
        "sea",
        "seal",
        "shark",
        "shrew",
        "skunk",
        "skyscraper",
        "snail",
        "snake",
        "spider",
        "squirrel",
        "streetcar",
        "sunflower",
        "sweet_pepper",
        "table",
        "tank",
        "telephone",
        "television",
        "tiger",
        "tractor",
        "train",
        "trout",
        "tulip",
        "turtle",
        "wardrobe",
        "whale",
        "willow_tree",
        "wolf",
        "woman",
        "worm",
    ]


class MNIST(VisionDataset):
    """70,000 handwritten digits of 28 x 28 (LeCun, Cortes, Burges); arguments as ``CIFAR10``.

    The files lie in ``root/MNIST/raw``, gzipped or not, as torchvision keeps them.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.vision.datasets.MNIST.classes[3]
    '3 - three'
    """

    url = "https://ossci-datasets.s3.amazonaws.com/mnist/"
    md5s: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
    }
    classes: ClassVar[list[str]] = [
        f"{i} - {name}"
        for i, name in enumerate(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
    ]

    @property
    def raw_folder(self) -> Path:
        """Where the files lie."""
        return self.root / type(self).__name__ / "raw"

    def download(self) -> None:
        """Bring the four files to ``raw_folder`` unless they are there and whole."""
        for name, md5 in self.md5s.items():
            if not (self.raw_folder / name).is_file():
                fetch(f"{self.url}{name}.gz", self.raw_folder / f"{name}.gz", md5)

    def _read(self) -> tuple[Array, Array]:
        prefix = "train" if self.train else "t10k"
        images = formats.idx(self._file(f"{prefix}-images-idx3-ubyte"))
        labels = formats.idx(self._file(f"{prefix}-labels-idx1-ubyte"))
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise RuntimeError(
                f"{self.raw_folder}: images of shape {images.shape} and labels of {labels.shape} do not fit: {formats.AGAIN}"
            )
        return images, formats.checked(labels, len(self.classes), self.raw_folder / f"{prefix}-labels-idx1-ubyte")

    def _file(self, name: str) -> Path:
        for path in (self.raw_folder / name, self.raw_folder / f"{name}.gz"):
            if path.is_file():
                return path
        raise self._missing(self.raw_folder / f"{name}.gz")


class FashionMNIST(MNIST):
    """70,000 images of clothes of 28 x 28 (Zalando, 2017); arguments as ``CIFAR10``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.vision.datasets.FashionMNIST.classes[9]
    'Ankle boot'
    """

    url = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
    md5s: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
    }
    classes: ClassVar[list[str]] = [
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ]  # fmt: skip
