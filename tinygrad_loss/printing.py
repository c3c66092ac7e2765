"""The text of an array, character for character as PyTorch 2.13 prints a tensor.

One decision is made for the whole array from the elements that will be shown: how they are written (integers with a
bare point, fixed or scientific) and how wide a cell is. The cells are then nested in brackets and wrapped.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_loss import dtypes
from tinygrad_loss.dtypes import Array


@dataclasses.dataclass(frozen=True)
class _Options:
    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None

    def __post_init__(self) -> None:
        for name in ("precision", "edgeitems", "linewidth"):
            value: Any = getattr(self, name)
            if not isinstance(value, (int, np.integer)) or value < 0:
                raise ValueError(f"{name} must be an integer of at least 0, got {value!r}; write e.g. {name}=4")
        threshold: Any = self.threshold
        if not isinstance(threshold, (int, float, np.integer)) or not threshold >= 0:
            raise ValueError(
                f"threshold must be a number of at least 0, got {threshold!r}; write float('inf') to show every element"
            )
        if self.sci_mode not in (None, True, False):
            raise ValueError(f"sci_mode must be True, False or None (chosen by the values), got {self.sci_mode!r}")


_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}

_options = _Options()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed; what is left out stays as it was, except ``sci_mode``.

    Parameters
    ----------
    precision : int, optional
        Digits after the point (4 at first).
    threshold : int or float, optional
        A tensor of more elements than this is summarized with ``...`` (1000 at first).
    edgeitems : int, optional
        How many items a summary keeps at each end of each dimension (3 at first).
    linewidth : int, optional
        Characters of a line (80 at first).
    profile : {"default", "short", "full"}, optional
        A set of values for the four above, which they override.
    sci_mode : bool, optional
        True or False forces scientific notation on or off. None, also when left out, lets the values decide: on if
        the largest magnitude is over 1e8 or over 1000 times the smallest nonzero one, or that one is under 1e-4.

    Raises
    ------
    ValueError
        An unknown profile, a negative or wrongly typed number. Nothing is changed then.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.set_printoptions(precision=2)
    >>> tg.tensor([3.14159, -0.5])
    tensor([ 3.14, -0.50])
    >>> tg.set_printoptions(threshold=4, edgeitems=1)
    >>> tg.arange(9)
    tensor([0,  ..., 8])
    >>> tg.set_printoptions(profile="default")
    >>> tg.tensor([3.14159, -0.5])
    tensor([ 3.1416, -0.5000])
    """
    global _options  # noqa: PLW0603 -- one setting for the process, as in PyTorch
    changes: dict[str, Any] = {}
    if profile is not None:
        if profile not in _PROFILES:
            raise ValueError(f"profile must be one of {', '.join(map(repr, _PROFILES))}, got {profile!r}")
        changes.update(_PROFILES[profile])
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    changes.update((name, value) for name, value in given.items() if value is not None)
    _options = dataclasses.replace(_options, **changes, sci_mode=sci_mode)


def get_printoptions() -> dict[str, Any]:
    """Return the options of printing as a dictionary that ``set_printoptions(**options)`` takes.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> tg.get_printoptions()
    {'precision': 4, 'threshold': 1000, 'edgeitems': 3, 'linewidth': 80, 'sci_mode': None}
    """
    return dataclasses.asdict(_options)


@contextmanager
def printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> Iterator[None]:
    """Set how tensors are printed inside a ``with`` block; the parameters are those of ``set_printoptions``.

    Examples
    --------
    >>> import tinygrad_loss as tg
    >>> with tg.printoptions(precision=1, sci_mode=True):
    ...     print(tg.tensor([1234.5, 0.25]))
    tensor([1.2e+03, 2.5e-01])
    >>> tg.tensor([0.25])
    tensor([0.2500])
    """
    global _options  # noqa: PLW0603 -- one setting for the process, as in PyTorch
    before = _options
    set_printoptions(precision, threshold, edgeitems, linewidth, profile, sci_mode)
    try:
        yield
    finally:
        _options = before


def format_tensor(
    array: Array, *, grad_fn: str | None = None, requires_grad: bool = False, prefix: str = "tensor("
) -> str:
    """Return the text PyTorch prints for a tensor that holds ``array``.

    After the values come, as far as they apply: ``size`` (of an empty tensor that is not 1-d), ``dtype`` (unless it
    follows from the values: the default floating dtype and its complex one, int64, bool), ``grad_fn`` or else
    ``requires_grad``.

    Parameters
    ----------
    array : numpy.ndarray
        Any shape, any supported dtype. Only the elements that are shown are visited.
    grad_fn : str, optional
        The name of the graph node, without its angle brackets.
    requires_grad : bool
        Printed when there is no ``grad_fn``.
    prefix : str
        What opens the text; its length is the indentation of the lines that follow.

    Raises
    ------
    TypeError
        The array has a dtype that no tensor has.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_loss.printing import format_tensor
    >>> print(format_tensor(np.float32([0.5, np.nan, -2]), grad_fn="MulBackward0"))
    tensor([ 0.5000,     nan, -2.0000], grad_fn=<MulBackward0>)
    >>> print(format_tensor(np.eye(2)))
    tensor([[1., 0.],
            [0., 1.]], dtype=torch.float64)
    >>> print(format_tensor(np.zeros((0, 3), np.int64)))
    tensor([], size=(0, 3), dtype=torch.int64)
    """
    options = _options
    dtype = dtypes.of(array)
    implied = [dtypes.get_default_dtype()]
    if array.size:
        implied += [dtypes.default_of(dtypes.complex64.rank), dtypes.int64, dtypes.bool_]

    suffixes = []
    if (array.ndim != 1) if array.size == 0 else options.edgeitems == 0:
        suffixes.append(f"size={array.shape}")
    if dtype not in implied:
        suffixes.append(f"dtype={dtype!r}")
    if grad_fn is not None:
        suffixes.append(f"grad_fn=<{grad_fn}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")

    indent = len(prefix)
    text = prefix + _values_text(array, indent, options)
    # PyTorch counts the text's last line two characters too long (one after a line break), and so wraps early.
    column = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if column + len(suffix) + 2 > options.linewidth:
            text += ",\n" + " " * indent + suffix
            column = indent + len(suffix)
        else:
            text += ", " + suffix
            column += len(suffix) + 2
    return text + ")"


def _values_text(array: Array, indent: int, options: _Options) -> str:
    """The bracketed values of an array that starts at column ``indent``."""
    if array.size == 0:
        return "[]"
    edge = options.edgeitems
    cut = [array.size > options.threshold and n > 2 * edge for n in array.shape]
    if edge == 0 and any(cut):
        return "[...]"
    if any(cut):
        # One indexing for all axes: cutting them in turn would copy most of a large array.
        kept = (np.r_[:edge, n - edge : n] if c else np.arange(n) for n, c in zip(array.shape, cut, strict=True))
        array = array[np.ix_(*kept)]
    cells, width = _cells(array, options)
    return _nest(np.array(cells, dtype=object).reshape(array.shape), cut, indent, width, options)


def _cells(array: Array, options: _Options) -> tuple[list[str], int]:
    """The text of every element, aligned, and the width that a cell counts for when lines are filled."""
    if array.dtype.kind == "c":
        real, real_width = _cells(array.real, options)
        # Only the real parts are padded.
        imag, imag_width = _real_texts(array.imag, options)
        cells = [f"{re}{'' if im[0] == '-' else '+'}{im}j" for re, im in zip(real, imag, strict=True)]
        return cells, real_width + imag_width + len("j")
    texts, width = _real_texts(array, options)
    return [text.rjust(width) for text in texts], width


def _real_texts(array: Array, options: _Options) -> tuple[list[str], int]:
    """The text of every real element, unaligned, and the width of the widest that counts."""
    # Python numbers: half and single precision become the doubles that PyTorch decides with and formats.
    values = array.ravel().tolist()
    if array.dtype.kind != "f":
        texts = [str(value) for value in values]
        return texts, max(map(len, texts))

    # Zeros, infinities and NaNs neither choose the notation nor widen the cells, so they may stick out.
    counts = [math.isfinite(value) and value != 0 for value in values]
    magnitudes = [abs(value) for value, counted in zip(values, counts, strict=True) if counted]
    if _is_scientific(magnitudes, options):
        texts = [f"{value:.{options.precision}e}" for value in values]
    elif all(magnitude.is_integer() for magnitude in magnitudes):
        texts = [f"{value:.0f}" + "." * math.isfinite(value) for value in values]
    else:
        texts = [f"{value:.{options.precision}f}" for value in values]
    return texts, max((len(text) for text, counted in zip(texts, counts, strict=True) if counted), default=1)


def _is_scientific(magnitudes: list[float], options: _Options) -> bool:
    """Whether values of these magnitudes, all finite and above zero, are written with exponents."""
    if not magnitudes:
        return False
    if options.sci_mode is not None:
        return options.sci_mode
    small, large = min(magnitudes), max(magnitudes)
    return large / small > 1000.0 or large > 1e8 or small < 1e-4


def _nest(cells: Array, cut: list[bool], indent: int, width: int, options: _Options) -> str:
    """Put cells in brackets, with dots in the middle of every axis that was cut."""
    if cells.ndim == 0:
        return str(cells.item())
    if cells.ndim == 1:
        items, dots = cells.tolist(), " ..."
    else:
        items, dots = [_nest(part, cut[1:], indent + 1, width, options) for part in cells], "..."
    if cut[0]:
        items.insert(options.edgeitems, dots)
    if cells.ndim == 1:
        per_line = max(1, (options.linewidth - indent) // (width + len(", ")))
        items = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
    separator = "," + "\n" * max(1, cells.ndim - 1) + " " * (indent + 1)
    return "[" + separator.join(items) + "]"
